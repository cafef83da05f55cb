"""The source of a spline lookup, and splines in the form that compiled code reads.

A function without a formula, the solution of a nonlinear problem or a random field, enters the walker step as
B-splines on a regular grid: a value and its d slopes from 4^d coefficients, or 2^d of degree 1, whatever the function.
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float64
from torch import Tensor

from homog.fields.phases import Phases
from homog.fields.splines import Spline
from homog.machine.pieces import in_pieces
from homog.walkers.compiled import SCALAR, load_module
from homog.walkers.device_spline import Lagged


@dataclass(frozen=True)
class Table:
    """A spline on the problem's domain in single precision, or phases on voxels.

    Attributes:
        coefficients: Flattened, x1 along the first index, float32; a tensor where those of the spline are one. Of
            phases the labels, uint8.
        counts: Coefficients on each axis, shape (d,), int32.
        per_length: Intervals a unit length on each axis, shape (d,), float32; cells, of what is repeated.
        values: Of phases, the value of each label, float32.
    """

    coefficients: np.ndarray | Tensor
    counts: np.ndarray
    per_length: np.ndarray
    values: np.ndarray | None = None

    @classmethod
    def of(cls, spline: Lagged | Phases) -> "Table":
        """The same function, rounded."""
        sides = np.subtract(spline.upper, spline.lower)
        if isinstance(spline, Phases):
            counts = np.array(spline.labels.shape)
            rates = ((1 if spline.tiled else counts) / sides).astype(np.float32)
            labels = np.asarray(spline.labels).reshape(-1)  # of an array in a file: no copy
            return cls(labels, counts.astype(np.int32), rates, spline.values.astype(np.float32))
        exact, tiled = spline.coefficients, isinstance(spline, Spline) and spline.tiled
        return cls(
            exact.float().ravel() if isinstance(exact, Tensor) else exact.astype(np.float32).ravel(),
            np.array(spline.coefficients.shape, dtype=np.int32),
            ((1 if tiled else np.array(spline.intervals)) / sides).astype(np.float32),
        )

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What compiled code is handed: the coefficients, then each count, then each number of intervals a length.

        Of phases the values come after the labels.
        """
        return self.coefficients, *([] if self.values is None else [self.values]), *self.counts, *self.per_length


LOOKUP = {1: "linear", 3: "cubic"}
"""What the function that `lookup_source` defines is called, by the degree."""


def lookup_source(dimension: int, degree: int) -> str:
    """The text of `cubic(table, c1, ..., t1, ...)` or `linear`: a spline's value and slopes along t1, ..., td.

    Here t counts intervals from the lower corner, and c coefficients on an axis. Beyond the box the outermost
    polynomial goes on.
    """
    axes, order = range(1, dimension + 1), degree + 1
    counts, places = [f"c{i}" for i in axes], [f"t{i}" for i in axes]
    lines = []
    for i in axes:
        basis = ", ".join(f"{letter}{i}{n}" for letter in "be" for n in range(order))
        lines += [f"n{i} = min(max(int32(t{i}), int32(0)), c{i} - int32({order}))"]
        lines += [f"{basis} = {LOOKUP[degree]}_weights(t{i} - float32(n{i}))"]
    index = "n1"
    for i in axes[1:]:
        index = f"({index}) * c{i} + n{i}"
    lines += [f"first = {index}"]
    strides = {dimension: "int32(1)"}
    for i in reversed(axes[:-1]):
        strides[i] = f"c{i + 1}" if i + 1 == dimension else f"c{i + 1} * {strides[i + 1]}"
    for corner in product(range(order), repeat=dimension):
        offset = " + ".join(f"int32({n}) * {strides[i]}" for i, n in zip(axes, corner, strict=True) if n) or "int32(0)"
        lines += [f"a{_digits(corner)} = table[uint32(first + {offset})]"]
    # one axis after the other, the last one first: f a value, g1, ... its slopes along the axes that are done
    for i in reversed(axes):
        source = "a" if i == dimension else "f"
        for corner in product(range(order), repeat=i - 1):
            own, parts = _digits(corner), [_digits((*corner, n)) for n in range(order)]

            def combined(letter: str, name: str, axis: int = i, parts: list[str] = parts) -> str:
                return " + ".join(f"{letter}{axis}{n} * {name}{part}" for n, part in enumerate(parts))

            lines += [f"f{own} = {combined('b', source)}", f"g{i}{own} = {combined('e', source)}"]
            lines += [f"g{j}{own} = {combined('b', f'g{j}')}" for j in range(i + 1, dimension + 1)]
    results = ", ".join(["f_", *(f"g{i}_" for i in axes)])
    head = [SCALAR, f"def {LOOKUP[degree]}(table, {', '.join([*counts, *places])}):"]
    return "\n".join([*head, *(f"    {line}" for line in [*lines, f"return {results}"])])


def _digits(corner: tuple[int, ...]) -> str:
    return "_" + "".join(map(str, corner))


_HEADER = '''"""Spline values at walkers' ends, generated by homog.walkers.lookup; do not edit."""

import numpy as np
from numba import float32, int32, njit, uint32

from homog.walkers.arithmetic import cubic_weights
'''


_PIECE = 1024  # walkers


class SplineValues:
    """Values of a cubic spline where walkers are, compiled.

    Args:
        dimension: d.
        cache: Folder for compiled code.
    """

    def __init__(self, dimension: int, cache: Path) -> None:
        axes = range(dimension)
        counts, per_length = (", ".join(f"{name}{i + 1}" for i in axes) for name in ("c", "per"))
        places = ", ".join(f"(below[{i}, point] + displacement[{i}, walker]) * per{i + 1}" for i in axes)
        source = [
            lookup_source(dimension, 3),
            "",
            "",
            "@njit(fastmath=True, error_model='numpy', nogil=True, cache=True)",
            f"def values(first, last, table, {counts}, {per_length}, below, displacement, per_point, found):",
            "    for walker in range(first, last):",
            "        point = walker // per_point",
            f"        found[walker] = cubic(table, {counts}, {places})[0]",
        ]
        self._values = load_module("\n".join([_HEADER, "", *source, ""]), cache).values

    def __call__(
        self,
        spline: Spline,
        points: Float64[np.ndarray, "n d"],
        displacement: Float[np.ndarray, "d n s"],
    ) -> Float[np.ndarray, "n s"]:
        """The spline at points + displacement; float32."""
        dimension, count, per_point = displacement.shape
        found = np.empty(count * per_point, dtype=np.float32)
        below = np.ascontiguousarray((points - spline.lower).T, dtype=np.float32)
        flat = displacement.reshape(dimension, -1)
        arguments = *Table.of(spline).arguments, below, flat, per_point, found
        in_pieces(lambda first, last: self._values(first, last, *arguments), len(found), _PIECE)
        return found.reshape(count, per_point)
