"""From a problem and its settings to the reference solutions."""

import logging
import time
from functools import partial, singledispatch
from pathlib import Path

import numpy as np

from homog.config import FEMReference, HomogenizedReference, ReferenceSettings
from homog.problems import Problem
from homog.references import cache, process
from homog.references.cell import TOLERANCE, effective_tensor
from homog.references.fem import Task
from homog.references.lattice import Lattice
from homog.references.mean import mean_coefficient
from homog.references.resolution import fine_lattices, smooth_lattice
from homog.references.result import Reference

# Where two discretisations are compared: midpoints of so many intervals an axis, for each dimension. Prime numbers, so
# that they visit all phases of a period, whatever the evaluation grid does.
_SAMPLES = {1: 9973, 2: 331, 3: 61}

_log = logging.getLogger("homog")


def reference(problem: Problem, settings: ReferenceSettings, grid_count: int, folder: Path) -> Reference:
    """What an answer to the problem is held against, from the cache where it is there.

    Args:
        problem: What is solved.
        settings: Which solutions to compute, and how accurately.
        grid_count: Points an axis of the evaluation grid, ends included.
        folder: For the cache (`folder/references`) and compiled forms (`folder/jit`).

    Returns:
        The solutions on the grid.

    Raises:
        UserError: If nothing is cached and dolfinx is missing, or ended for want of memory, or if the folder cannot be
            written.
        RuntimeError: If dolfinx failed otherwise.
    """
    path, question = cache.entry(problem, settings, grid_count, folder)
    return cache.fetch(path, question, partial(_compute, settings, problem, grid_count, folder))


@singledispatch
def _compute(settings: ReferenceSettings, problem: Problem, grid_count: int, folder: Path) -> Reference:
    raise TypeError(f"no reference for {type(settings).__name__}")


@_compute.register
def _(settings: FEMReference, problem: Problem, grid_count: int, folder: Path) -> Reference:
    fine = fine_lattices(problem, settings)
    missing = (
        f"reference.max_unknowns={settings.max_unknowns} allows no mesh with {settings.cells_per_period:g} cells a"
        " period: there is no u_eps"
    )
    notes = () if fine else (missing,)
    return _solve(problem, fine, smooth_lattice(problem, settings), notes, grid_count, folder)


@_compute.register
def _(settings: HomogenizedReference, problem: Problem, grid_count: int, folder: Path) -> Reference:
    notes = ("reference=homogenized: there is no u_eps",)
    return _solve(problem, None, smooth_lattice(problem, FEMReference()), notes, grid_count, folder)


def _solve(
    problem: Problem,
    fine: tuple[Lattice, Lattice] | None,
    smooth: Lattice | None,
    notes: tuple[str, ...],
    grid_count: int,
    folder: Path,
) -> Reference:
    """All solutions that the two discretisations allow, in one child process."""
    start = time.perf_counter()
    process.require_dolfinx()  # before the cell problem, which may take a while
    tensor, further = _tensor(problem)
    mean = mean_coefficient(problem)
    tasks: dict[str, Task] = {}
    if fine:
        tasks = {"second": Task(fine[1]), "main": Task(fine[0])}  # the second one is the first one's start
    if smooth:
        tasks["mean"] = Task(smooth, mean * np.eye(problem.dimension))
        if tensor is not None:
            tasks["homogenized"] = Task(smooth, tensor)
    else:
        further = (
            *further,
            "f or g vary with eps, and no mesh resolves them: there is neither u_0 nor u_mean",
        )

    unknowns = max((task.lattice.unknowns for task in tasks.values()), default=0)
    nodal: dict[str, np.ndarray] = {}
    if tasks:
        _log.info("computing the FEM reference: %s unknowns", f"{unknowns:,}")
        nodal = dict(zip(tasks, process.solve(problem, list(tasks.values()), folder), strict=True))

    axes = problem.domain.axes(grid_count)
    on_grid = {name: tasks[name].lattice.interpolate(values, axes) for name, values in nodal.items()}
    return Reference(
        axes=axes,
        fine=on_grid.get("main"),
        homogenized=on_grid.get("homogenized"),
        mean_coefficient=on_grid.get("mean"),
        effective_tensor=tensor,
        mean=mean,
        error_estimate=_distance(problem, tasks, nodal) if fine else None,
        unknowns=unknowns,
        seconds=time.perf_counter() - start,
        notes=(*notes, *further),
    )


def _tensor(problem: Problem) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """a* and what has to be said about it."""
    if problem.period is None:
        return None, ("the coefficient is not periodic: there is no u_0",)
    tensor, change = effective_tensor(problem)
    if change > TOLERANCE:
        return tensor, (f"the cell problem is resolved only to {change:.1e} (relative change of a* between grids)",)
    return tensor, ()


def _distance(problem: Problem, tasks: dict[str, Task], nodal: dict[str, np.ndarray]) -> float:
    """Relative L2 distance of the main discretisation from the second."""
    count = _SAMPLES[problem.dimension]
    offsets = (np.arange(count) + 0.5) / count
    axes = [low + side * offsets for low, side in zip(problem.domain.lower, problem.domain.sides, strict=True)]
    main, second = (tasks[name].lattice.interpolate(nodal[name], axes) for name in ("main", "second"))
    size = float(np.linalg.norm(main))
    return float(np.linalg.norm(main - second)) / size if size else 0.0
