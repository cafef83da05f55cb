"""The walkers' step and the loops around it as they are written: Python on NumPy's float32 numbers, one at a time.

What a kernel is specialised for are globals of homog.walkers.step: here the functions get globals of their own. Only
the medium's formulas and the lookup in a table, which homog writes as text, come from the kernel's text.
"""

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import batched
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from homog.walkers import arithmetic, lanes, metropolis, step, threads, walk, walls
from homog.walkers.batch import Batch, Found
from homog.walkers.kernel import cpu_source, static_names
from homog.walkers.medium import Medium
from homog.walkers.on_cpu import Cpu, _pace_arguments
from homog.walkers.step import Scheme, Vector

LANES = 8  # of a block: they are walked one after the other


def functions(loops: ModuleType, medium: Medium, dimension: int, scheme: Scheme, *, paced: bool) -> dict[str, Any]:
    """The functions of the arithmetic, of the step and of one module of loops, in globals of their own."""
    space: dict[str, Any] = {}
    for module in (arithmetic, step, walls, metropolis, loops):
        for name, value in vars(module).items():
            known = value.py_func if isinstance(value, Dispatcher) else value
            own = isinstance(known, FunctionType) and known.__module__.startswith("homog.walkers")
            space[name] = _with_globals(known, space) if own else value
    text = ast.parse(cpu_source(medium, dimension, scheme))
    wanted = (ast.Assign, ast.FunctionDef)  # constants, and what no module has
    generated = [
        node
        for node in text.body
        if isinstance(node, wanted) and getattr(node, "name", "medium").startswith(_GENERATED)
    ]
    for node in generated:
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
    exec(compile(ast.Module(generated, []), "<generated>", "exec"), space)
    space |= static_names(medium, dimension, scheme)
    space["SPLINE"] = [space.get({1: "linear", 3: "cubic"}.get(degree)) for degree in medium.tables.values()]
    space |= {"LANES": LANES, "CHUNK": 2 * LANES, "PACED": paced}
    space["Block"] = lambda: [lanes.Lane(i) for i in range(LANES)]
    of_scalars = space["medium" if medium.has_drift else "ground"]

    def of_vectors(*arguments: Any) -> tuple[Any, ...]:
        found = of_scalars(*_flat(arguments))
        data = 1 + medium.kills
        v = found[:-data]
        return Vector(enumerate(v)) if medium.has_drift else v[0], *found[-data:]

    if medium.noise:
        space["noise"] = _of_vectors(space["noise"])
    space["medium"] = space["ground"] = of_vectors
    space["WALL"] = [_of_vectors(space.get(f"wall_{face}")) for face in range(2 * dimension)]
    return space


def _of_vectors(of_scalars: Callable[..., Any] | None) -> Callable[..., Any] | None:
    return None if of_scalars is None else lambda *arguments: of_scalars(*_flat(arguments))


_GENERATED = ("medium", "ground", "linear", "cubic", "wall_", "noise")


def _with_globals(function: FunctionType, space: dict[str, Any]) -> FunctionType:
    made = FunctionType(function.__code__, space, function.__name__, function.__defaults__)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _flat(parts: Iterable[Any]) -> Iterator[Any]:
    for part in parts:
        if isinstance(part, Vector | tuple | list):
            yield from _flat(part)
        else:
            yield part


class AsWritten(Cpu):
    """Walks by the functions as they are written: in lanes or in threads."""

    def __init__(self, loops: ModuleType) -> None:
        self._loops = loops

    def source(self, medium: Medium, dimension: int, scheme: Scheme) -> Any:
        return functions(self._loops, medium, dimension, scheme, paced=False)

    def source_by_pace(self, medium: Medium, dimension: int, scheme: Scheme) -> Any:
        return functions(self._loops, medium, dimension, scheme, paced=True)

    def run(
        self, kernel: Callable[..., None], batch: Batch, constants: np.ndarray, tables: list[tuple[Any, ...]]
    ) -> Found:
        d = batch.dimension
        found = np.empty((Found.rows(batch), batch.walkers), dtype=np.float32)
        left = np.empty(batch.walkers, dtype=np.bool_)
        given = batch.places, batch.keys, found, left, batch.per_point, batch.count, batch.micro_step, batch.safe
        held = [
            (*(part for part in parts if isinstance(part, np.ndarray)),
             *batched((part for part in parts if not isinstance(part, np.ndarray)), d))
            for parts in tables
        ]  # fmt: skip
        clocks = ()
        if batch.pace is not None:
            longest, *numbers = _pace_arguments(batch.pace, batch.lower)
            clocks = longest, *batched(numbers, d)
        with np.errstate(all="ignore"):
            if self._loops is lanes:
                kernel(0, batch.walkers, *given, tuple(constants), *clocks, held)
            else:
                for number in range(batch.walkers):
                    kernel.__globals__["cuda"] = SimpleNamespace(grid=lambda _, number=number: number)
                    kernel(*given, tuple(constants), held)
        return Found.of(batch, found, left)


@contextmanager
def walked_as_written(patch: pytest.MonkeyPatch, loops: ModuleType) -> Iterator[None]:
    """Within it, walkers that are made walk as written."""
    with patch.context() as inside:
        inside.setattr(walk, "Cpu", lambda: AsWritten(loops))
        names = {lanes: {False: "walk", True: "walk_by_pace"}, threads: {False: "walk"}}[loops]
        inside.setattr(walk, "load_module", lambda space, _: SimpleNamespace(walk=space[names[space["PACED"]]]))
        yield
