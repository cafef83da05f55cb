"""What else solves these problems: a cell problem with one coarse FEM solve, and FEM on the fine scale."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.cases import Case, case
from benchmarks.table import Row
from benchmarks.timing import Budget, cores, use_threads
from homog.config import FEMReference
from homog.equation import Problem
from homog.machine.home import home
from homog.measures.evaluation import relative_l2, values_on_grid
from homog.references import Reference, effective_tensor, process
from homog.references.fem import System
from homog.references.lattice import Lattice
from homog.references.laws import ConstantLaw, FineLaw, Law
from homog.references.resolution import fine_lattices, smooth_lattice
from homog.references.tensor_of_u import EffectiveLaw

TITLE = "seconds of other solvers to the energy's, all solving from scratch"
PERIODIC = ("problem=linear eps=0.05", "problem=linear eps=0.01", "problem=nonlinear eps=0.05")
CUBE = "problem=cube eps=0.1 reference=homogenized"
RANDOM = "problem=random_field"
_PLAIN_FEM = FEMReference(degree=2, min_cells=1)  # 4 cells a period, or a correlation length
_CELLS = 10  # a period, for the fine FEM in three dimensions
_REPEATS = 3


@dataclass(frozen=True)
class Solved:
    """Median seconds, how many of them, and the error against u_eps, or u_0 where there is none."""

    seconds: float
    repeats: int
    error: float


def measure(budget: Budget) -> list[Row]:
    """Rows for the periodic problems, the random field, the cube, and where FEM ends."""
    use_threads(cores())
    rows, repeats = [], 1 if budget.quick else _REPEATS
    with _folder() as folder:
        begun = time.perf_counter()
        for name in PERIODIC[:1] if budget.quick else (*PERIODIC, RANDOM):
            rows += _planar(name, case(*name.split()), folder, repeats)
            if time.perf_counter() - begun > budget.seconds / 5:  # the first problem is the quickest
                repeats = 1
        if not budget.quick:
            rows += _cube(case(*CUBE.split()), folder)
        start = _measured(lambda: _starting(folder), repeats)[0]
        note = "in each FEM time: a process that imports dolfinx; homog's own start is in the section startup"
        rows.append(Row("FEM, the start alone", None, "", f"{start:.3g} s", start, repeats, note))
    return [*rows, *_limits()]


def _planar(name: str, made: Case, folder: Path, repeats: int) -> list[Row]:
    """A problem in two dimensions that FEM can solve."""
    problem, truth = made.problem, made.truth()
    assert truth.fine is not None
    energy = _energy(made, truth, repeats)
    rows = [_energy_row(name, energy)]
    if problem.operator.field is None:
        found = _solved(problem, _smooth(problem), _effective, folder, truth.fine, repeats)
        rows.append(_row(f"{name}, cell problem and coarse FEM", found, energy))
    else:
        error = relative_l2(truth.homogenized, truth.fine) if truth.homogenized is not None else None
        note = f"no period: with the whole field as one it is {error:.2e} off" if error else "no period"
        rows.append(Row(f"{name}, cell problem and coarse FEM", None, "energy", "does not apply", None, 0, note))
    plain = _solved(problem, _fine(problem, _PLAIN_FEM), FineLaw, folder, truth.fine, repeats)
    rows.append(_row(f"{name}, fine FEM, degree 2, {_PLAIN_FEM.cells_per_period:g} cells a period", plain, energy))
    settings = made.settings.reference
    if problem.operator.field is None and not problem.operator.nonlinear and isinstance(settings, FEMReference):
        exact = _solved(problem, _fine(problem, settings), FineLaw, folder, truth.fine, 1)
        exact = replace(exact, error=truth.error_estimate or 0.0)
        note = "the reference itself: its own estimate of its error"
        rows.append(_row(f"{name}, fine FEM, degree {settings.degree}", exact, energy, note))
    return rows


def _cube(made: Case, folder: Path) -> list[Row]:
    """Three dimensions: errors against u_0, which the cell problem and coarse FEM are."""
    truth = made.truth(grid=41)
    energy = _energy(made, truth, 1)
    assert truth.homogenized is not None
    found = _solved(made.problem, _smooth(made.problem), _effective, folder, truth.homogenized, 1)
    note = "against u_0, which is what it computes"
    name = "problem=cube eps=0.1"
    return [
        _energy_row(name, energy, "against u_0"),
        _row(f"{name}, cell problem and coarse FEM", found, energy, note),
    ]


def _limits() -> list[Row]:
    """Where no fine mesh is possible, by homog's own limit."""
    rows = []
    for name in (CUBE, "problem=cube eps=0.01", "problem=linear eps=0.001"):
        made = case(*name.split(), "reference=fem")
        settings = made.settings.reference
        assert isinstance(settings, FEMReference)
        resolved = replace(settings, cells_per_period=float(_CELLS), min_cells=1)
        rows.append(_limit(name.removesuffix(" reference=homogenized"), made.problem, resolved))
    return rows


def _limit(name: str, problem: Problem, settings: FEMReference) -> Row:
    assert problem.cell is not None
    periods = problem.domain.sides / problem.cell.sides
    cells = tuple(round(float(count) * settings.cells_per_period) for count in periods)
    degrees = (1, settings.degree)
    lattices = [Lattice(problem.domain.lower, problem.domain.upper, cells, degree) for degree in degrees]
    few, many = (lattice.unknowns for lattice in lattices)
    allowed = [fine_lattices(problem, replace(settings, degree=degree)) is not None for degree in degrees]
    notes = [f"degree {degree} {'allowed' if yes else 'refused'}" for degree, yes in zip(degrees, allowed, strict=True)]
    measured = f"{few:.2g} unknowns at degree {degrees[0]}, {many:.2g} at degree {degrees[1]}"
    note = f"{', '.join(notes)} by reference.max_unknowns={settings.max_unknowns:,}"
    return Row(f"{name}, fine FEM, {_CELLS} cells a period", None, "", measured, float(many), 0, note)


def _effective(problem: Problem) -> Law:
    """The law of u_0, from the cell problem."""
    return EffectiveLaw(problem) if problem.operator.nonlinear else ConstantLaw(effective_tensor(problem)[0])


def _smooth(problem: Problem) -> Lattice:
    lattice = smooth_lattice(problem, FEMReference())
    assert lattice is not None
    return lattice


def _fine(problem: Problem, settings: FEMReference) -> Lattice:
    lattices = fine_lattices(problem, settings)
    assert lattices is not None
    return lattices[0]


def _starting(folder: Path) -> np.ndarray:
    problem = case("problem=linear", "eps=0.05").problem
    lattice = Lattice(problem.domain.lower, problem.domain.upper, (2, 2), 4)
    return process.solve(problem, [System(lattice, ConstantLaw(np.eye(2)))], folder)[0]


@contextmanager
def _folder() -> Iterator[Path]:
    """An empty cache but for compiled forms, which are those of HOMOG_HOME."""
    with tempfile.TemporaryDirectory(prefix="homog-bench-") as name:
        jit = home() / "cache" / "jit"
        jit.mkdir(parents=True, exist_ok=True)
        (Path(name) / "jit").symlink_to(jit)
        yield Path(name)


def _energy(made: Case, truth: Reference, repeats: int) -> Solved:
    against = truth.fine if truth.fine is not None else truth.homogenized
    assert against is not None
    next(made.training(iterations=1))  # loads compiled code
    found = []
    for seed in range(repeats):
        *_, last = made.training(seed)
        found.append((last.seconds, relative_l2(values_on_grid(last.solution, truth.axes), against)))
    seconds, errors = zip(*found, strict=True)
    return Solved(statistics.median(seconds), repeats, statistics.median(errors))


def _solved(
    problem: Problem, lattice: Lattice, law: Callable[[Problem], Law], folder: Path, truth: np.ndarray, repeats: int
) -> Solved:
    """One equation on one lattice, from its law on, to values on the grid of the truth."""
    axes = problem.domain.axes(len(truth))

    def solve(on: Lattice) -> np.ndarray:
        return on.interpolate(process.solve(problem, [System(on, law(problem))], folder)[0], axes)

    solve(replace(lattice, cells=(8,) * lattice.dimension))  # compiles its forms
    seconds, values = _measured(lambda: solve(lattice), repeats)
    return Solved(seconds, repeats, relative_l2(values, truth))


def _measured(solve: Callable[[], np.ndarray], repeats: int) -> tuple[float, np.ndarray]:
    taken, values = [], np.empty(0)
    for _ in range(repeats):
        start = time.perf_counter()
        values = solve()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken), values


def _energy_row(name: str, energy: Solved, note: str = "") -> Row:
    measured = f"{energy.seconds:.3g} s, error {energy.error:.2e}"
    return Row(f"{name}, energy", 1.0, "energy", measured, energy.seconds, energy.repeats, note)


def _row(name: str, found: Solved, energy: Solved, note: str = "") -> Row:
    measured = f"{found.seconds:.3g} s, error {found.error:.2e}"
    return Row(name, found.seconds / energy.seconds, "energy", measured, found.seconds, found.repeats, note)
