"""From a problem and its settings to the reference solutions."""

import threading
import time
from functools import partial, singledispatch
from pathlib import Path

import numpy as np

from homog.config import FEMReference, HomogenizedReference, ReferenceSettings
from homog.problems import Problem
from homog.references import cache, process
from homog.references.cell import cell_sides, effective_tensor, tolerance
from homog.references.effective import EffectiveLaw, tensors_between
from homog.references.fem import Task
from homog.references.lattice import Lattice
from homog.references.laws import ConstantLaw, FineLaw, Law
from homog.references.mean import mean_coefficient, mean_on_limit, mean_on_solution
from homog.references.resolution import fine_lattices, smooth_lattice
from homog.references.result import Reference

# Where two discretisations are compared: midpoints of so many intervals an axis, for each dimension. Prime numbers, so
# that they visit all phases of a period, whatever the evaluation grid does.
_SAMPLES = {1: 9973, 2: 331, 3: 61}

_CALLED = {
    "homogenized": "u_0",
    "second": "second discretisation, and no estimate of u_eps's own error",
    "main": "u_eps",
    "mean": "u_mean",
}


def reference(
    problem: Problem,
    settings: ReferenceSettings,
    grid_count: int,
    folder: Path,
    stop: threading.Event | None = None,
) -> Reference:
    """What an answer to the problem is held against, from the cache where it is there.

    Args:
        problem: What is solved.
        settings: Which solutions to compute, and how accurately.
        grid_count: Points an axis of the evaluation grid, ends included.
        folder: For the cache (`folder/references`) and compiled forms (`folder/jit`).
        stop: Set by another thread when the reference is not wanted any more.

    Returns:
        The solutions on the grid.

    Raises:
        Stopped: If `stop` was set.
        UserError: If nothing is cached and dolfinx is missing, if no solution of a nonlinear problem is found, or if
            the folder cannot be written.
        SolverFailed: If dolfinx ended for want of memory, or otherwise.
    """
    path, question = cache.entry(problem, settings, grid_count, folder)
    solve = process.Solver(folder, stop)
    return cache.fetch(path, question, partial(_compute, settings, problem, grid_count, solve), stop)


@singledispatch
def _compute(settings: ReferenceSettings, problem: Problem, grid_count: int, solve: process.Solver) -> Reference:
    raise TypeError(f"no reference for {type(settings).__name__}")


@_compute.register
def _(settings: FEMReference, problem: Problem, grid_count: int, solve: process.Solver) -> Reference:
    fine = fine_lattices(problem, settings)
    missing = (
        f"reference.max_unknowns={settings.max_unknowns} allows no mesh with {settings.cells_per_period:g} cells a"
        " period: there is no u_eps"
    )
    notes = () if fine else (missing,)
    return _solve(problem, fine, smooth_lattice(problem, settings), notes, grid_count, solve)


@_compute.register
def _(settings: HomogenizedReference, problem: Problem, grid_count: int, solve: process.Solver) -> Reference:
    notes = ("reference=homogenized: there is no u_eps",)
    return _solve(problem, None, smooth_lattice(problem, FEMReference()), notes, grid_count, solve)


def _solve(
    problem: Problem,
    fine: tuple[Lattice, Lattice] | None,
    smooth: Lattice | None,
    notes: tuple[str, ...],
    grid_count: int,
    solve: process.Solver,
) -> Reference:
    """All solutions that the two discretisations allow, in one child process or, with u in the coefficient, two."""
    start = time.perf_counter()
    process.require_dolfinx()  # before the cell problem, which may take a while
    law, tensor, further = _effective_law(problem)
    tasks, own = dict[str, Task](), FineLaw(problem)
    if smooth is None:
        further = (*further, "f or g vary with eps, and no mesh resolves them: there is neither u_0 nor u_mean")
    elif law is not None:
        tasks["homogenized"] = Task(smooth, law)
    elif problem.nonlinear and fine and smooth.unknowns < fine[1].unknowns:
        tasks["first"] = Task(smooth, own)  # it resolves nothing, but has about the size of u
    if fine:
        tasks["second"] = Task(fine[1], own, continued=problem.nonlinear and bool(tasks))
        tasks["main"] = Task(fine[0], own, continued=True)
    solve.check()
    mean = None if problem.nonlinear else mean_coefficient(problem)
    if mean is not None and smooth:
        tasks["mean"] = Task(smooth, ConstantLaw(mean * np.eye(problem.dimension)))

    unknowns = max((task.lattice.unknowns for task in tasks.values()), default=0)
    nodal, unsolved = _solutions(problem, tasks, solve)
    solve.check()
    values = tensors = None
    if problem.nonlinear:
        mean = _mean(problem, tasks, nodal)
        if mean is not None and smooth:
            tasks["mean"] = Task(smooth, ConstantLaw(mean * np.eye(problem.dimension)))
            nodal |= _solutions(problem, {"mean": tasks["mean"]}, solve)[0]
        if "homogenized" in nodal:
            u = nodal["homogenized"]
            values, tensors, change = tensors_between(problem, float(u.min()), float(u.max()))
            further = (*further, *_resolution_note(problem, change))

    axes = problem.domain.axes(grid_count)
    on_grid = {name: tasks[name].lattice.interpolate(solution, axes) for name, solution in nodal.items()}
    return Reference(
        axes=axes,
        fine=on_grid.get("main"),
        homogenized=on_grid.get("homogenized"),
        mean_coefficient=on_grid.get("mean"),
        effective_tensor=tensor,
        mean=mean,
        error_estimate=_distance(problem, tasks, nodal) if {"main", "second"} <= set(nodal) else None,
        unknowns=unknowns,
        seconds=time.perf_counter() - start,
        notes=(*notes, *further, *unsolved),
        effective_values=values,
        effective_tensors=tensors,
    )


def _effective_law(problem: Problem) -> tuple[Law | None, np.ndarray | None, tuple[str, ...]]:
    """The law of u_0, a* where it is one tensor, and what has to be said about it."""
    if cell_sides(problem) is None:
        return None, None, ("the coefficient is not periodic: there is no u_0",)
    if problem.nonlinear:
        if problem.field is not None:  # a cell problem as large as the domain for each of some 30 values of u
            return None, None, ("the coefficient depends on u and on a field: there is no u_0",)
        return EffectiveLaw(problem), None, ()
    tensor, change = effective_tensor(problem)
    whole = () if problem.field is None else ("u_0 has the a* of the whole field as one period",)
    return ConstantLaw(tensor), tensor, (*whole, *_resolution_note(problem, change))


def _resolution_note(problem: Problem, change: float) -> tuple[str, ...]:
    if change <= tolerance(problem):
        return ()
    return (f"the cell problem is resolved only to {change:.1e} (relative change of a* between grids)",)


def _solutions(
    problem: Problem, tasks: dict[str, Task], solve: process.Solver
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """What was solved, and a note on what was not."""
    if not tasks:
        return {}, ()
    try:
        return dict(zip(tasks, solve(problem, list(tasks.values())), strict=True)), ()
    except process.Unsolved as error:
        found = dict(zip(tasks, error.solutions, strict=True))
        reasons = {name: one for name, one in found.items() if isinstance(one, str)}
        notes = (f"there is no {_CALLED[name]}: {reason}" for name, reason in reasons.items() if name in _CALLED)
        return {name: one for name, one in found.items() if not isinstance(one, str)}, tuple(notes)


def _mean(problem: Problem, tasks: dict[str, Task], nodal: dict[str, np.ndarray]) -> float | None:
    """The mean of a nonlinear problem's coefficient where the best solution leads it, as the paper takes it."""
    for name, mean in (("main", mean_on_solution), ("homogenized", mean_on_limit)):
        if name in nodal:
            return mean(problem, partial(tasks[name].lattice.interpolate, nodal[name]))
    return None


def _distance(problem: Problem, tasks: dict[str, Task], nodal: dict[str, np.ndarray]) -> float:
    """Relative L2 distance of the main discretisation from the second."""
    count = _SAMPLES[problem.dimension]
    offsets = (np.arange(count) + 0.5) / count
    axes = [low + side * offsets for low, side in zip(problem.domain.lower, problem.domain.sides, strict=True)]
    main, second = (tasks[name].lattice.interpolate(nodal[name], axes) for name in ("main", "second"))
    size = float(np.linalg.norm(main))
    return float(np.linalg.norm(main - second)) / size if size else 0.0
