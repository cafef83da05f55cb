"""From a problem and its settings to the reference solutions."""

import threading
import time
from dataclasses import replace
from functools import partial, singledispatch
from pathlib import Path

import numpy as np

from homog.config import (
    WITH_A_GRID,
    ExactReference,
    FEMReference,
    FeynmanKacReference,
    HomogenizedReference,
    ReferenceSettings,
)
from homog.domains import Places
from homog.equation import Problem
from homog.equation.evolution import TIME
from homog.equation.velocities import Parts, parts_of_velocity, with_velocity
from homog.errors import UserError
from homog.formula.evaluate import at_points
from homog.formula.parse import parse
from homog.references import cache, extras, process
from homog.references.estimates import distance, fine_estimate
from homog.references.fem import System
from homog.references.lattice import Lattice
from homog.references.laws import ConstantLaw, FineLaw, Law
from homog.references.limit import effective_law, resolution_note
from homog.references.mean import Mean, mean_coefficient, mean_on_limit, mean_on_solution, number
from homog.references.resolution import Meshes, fine_lattices, smooth_lattice
from homog.references.result import Reference
from homog.references.tensor_of_u import tensors_between

_LOOKS = 2**20
_CALLED = {
    "homogenized": "u_0",
    "second": "second discretisation, and no estimate of u_eps's own error",
    "main": "u_eps",
    "mean": "u_mean",
    **extras.CALLED,
}


def reference(
    problem: Problem,
    settings: ReferenceSettings,
    count: int,
    folder: Path,
    stop: threading.Event | None = None,
) -> Reference:
    """What an answer to the problem is held against, from the cache where it is there.

    Args:
        problem: What is solved.
        settings: Which solutions to compute, and how accurately.
        count: Points an axis of the evaluation grid, ends included; where there is no grid, points in all.
        folder: For the cache (`folder/references`) and compiled forms (`folder/jit`).
        stop: Set by another thread when the reference is not wanted any more.

    Returns:
        The solutions there.

    Raises:
        Stopped: If `stop` was set.
        UserError: If nothing is cached and dolfinx is missing, if no solution of a nonlinear problem is found, or if
            the folder cannot be written.
        SolverFailed: If dolfinx ended for want of memory, or otherwise.
    """
    path, question = cache.entry(problem, settings, count, folder)
    solve = process.Solver(folder, stop)
    return cache.fetch(path, question, partial(_compute, settings, problem, count, solve), stop)


@singledispatch
def _compute(settings: ReferenceSettings, problem: Problem, count: int, solve: process.Solver) -> Reference:
    raise TypeError(f"no reference for {type(settings).__name__}")


@_compute.register
def _(settings: FEMReference, problem: Problem, grid_count: int, solve: process.Solver) -> Reference:
    fine = fine_lattices(problem, settings)
    missing = (
        f"reference.max_unknowns={settings.max_unknowns} allows no mesh with"
        f" reference.cells_per_period={settings.cells_per_period:g}: there is no u_eps"
    )
    notes = fine.notes if fine else (missing,)
    return _solve(problem, fine, smooth_lattice(problem, settings), notes, grid_count, solve)


@_compute.register
def _(settings: HomogenizedReference, problem: Problem, grid_count: int, solve: process.Solver) -> Reference:
    notes = ("reference=homogenized: there is no u_eps",)
    if problem.dimension > WITH_A_GRID:
        return _by_walks(replace(FeynmanKacReference(), most_steps=0), problem, solve, notes)
    return _solve(problem, None, smooth_lattice(problem, FEMReference()), notes, grid_count, solve)


@_compute.register
def _(settings: FeynmanKacReference, problem: Problem, count: int, solve: process.Solver) -> Reference:
    return _by_walks(settings, problem, solve, ())


def _by_walks(
    settings: FeynmanKacReference, problem: Problem, solve: process.Solver, notes: tuple[str, ...]
) -> Reference:
    from homog.references.feynman_kac import reference_by_walks  # imports torch, and FEM does without

    notes = (*notes, *extras.note_without_mesh(problem))
    return reference_by_walks(settings, problem, solve.folder / "kernels", notes, solve.check)


@_compute.register
def _(settings: ExactReference, problem: Problem, count: int, solve: process.Solver) -> Reference:
    places, evolution = Places.of(problem.domain, count), problem.evolution

    def values(name: str, text: str | None) -> tuple[np.ndarray | None, np.ndarray | None]:
        """What a formula gives that does not name t, and what one gives that does, at each time."""
        if text is None:
            return None, None
        formula = parse(text, problem.dimension, problem.parameters, where=f"reference.{name}")
        over_time = evolution is not None and TIME in formula.names
        given = [{}] if evolution is None or not over_time else [{TIME: time} for time in evolution.times]
        found = np.stack([at_points(formula, places.points, {**problem.parameters, **time}) for time in given])
        if not np.isfinite(found).all():
            raise UserError(f"reference.{name}={text} has no finite value somewhere in the domain")
        return (None, found) if over_time else (found[0], None)

    fine, fine_over_time = values("fine", settings.fine)
    homogenized, homogenized_over_time = values("homogenized", settings.homogenized)
    return Reference(
        *(places, fine, homogenized, None, None, None, None, 0, 0.0, ()),
        by="formula",
        fine_over_time=fine_over_time,
        homogenized_over_time=homogenized_over_time,
    )


def _solve(
    problem: Problem,
    fine: Meshes | None,
    smooth: Lattice | None,
    notes: tuple[str, ...],
    grid_count: int,
    solve: process.Solver,
) -> Reference:
    """All solutions that the two discretisations allow, in one child process or, with u in the coefficient, two."""
    if problem.has_holes:
        problem, fine = _without_holes(problem), None
        notes = ("the coefficient has holes: there is no u_eps, and u_0 has the forcing of what is not hole",)
    start = time.perf_counter()
    process.require_dolfinx()  # before the cell problem, which may take a while
    law, tensor, gap, further = effective_law(problem)
    parts = parts_of_velocity(problem)
    solve.check()
    mean, mean_error = (None, 0.0) if problem.operator.nonlinear else mean_coefficient(problem)
    systems = dict[str, System]()
    if smooth is None:
        further = (*further, "f, c or g vary with eps, and no mesh resolves them: there is neither u_0 nor u_mean")
    elif law is not None:
        systems |= _pair("homogenized", smooth, fine, law)
    systems |= _fine_systems(problem, smooth, fine, following=bool(systems))
    if mean is not None and smooth and parts is not None:
        systems |= _pair("mean", smooth, fine, _mean_law(problem, mean, parts))
    systems = extras.with_extras(problem, systems, fine)
    notes = (*notes, *extras.note(problem, fine))

    unknowns = max((system.lattice.unknowns for system in systems.values()), default=0)
    nodal, unsolved = _solutions(problem, systems, solve)
    solve.check()
    values = tensors = None
    if problem.operator.nonlinear:
        mean = _mean(problem, systems, nodal)
        if mean is not None and smooth and parts is not None:
            added = _pair("mean", smooth, fine, _mean_law(problem, mean, parts))
            systems, nodal = systems | added, nodal | _solutions(problem, added, solve)[0]
        if "homogenized" in nodal:
            u = nodal["homogenized"]
            stirred = problem if parts is None else with_velocity(problem, parts.stirring)
            values, tensors, gap = tensors_between(stirred, float(u.min()), float(u.max()))
            further = (*further, *resolution_note(problem, gap))

    known = {name: (systems[name].lattice, solution) for name, solution in nodal.items()}

    def by_second(name: str, further: float | None) -> float | None:
        if name not in known or f"{name} second" not in known:
            return None
        return distance(problem, known[name], known[f"{name} second"], grid_count) + (further or 0.0)

    places = Places.of(problem.domain, grid_count)
    on_grid = {
        name: known[name][0].interpolate(known[name][1], places.axes)
        for name in ("main", "homogenized", "mean")
        if name in known
    }
    return Reference(
        places=places,
        fine=on_grid.get("main"),
        homogenized=on_grid.get("homogenized"),
        mean_coefficient=on_grid.get("mean"),
        effective_tensor=tensor,
        mean=None if mean is None else number(mean),
        error_estimate=(
            fine_estimate(problem, fine, known["main"], known["second"], known.get("third"), grid_count)
            if fine and {"main", "second"} <= set(known)
            else None
        ),
        unknowns=unknowns,
        seconds=time.perf_counter() - start,
        notes=(*notes, *further, *unsolved),
        effective_values=values,
        effective_tensors=tensors,
        homogenized_error_estimate=by_second("homogenized", gap),
        mean_coefficient_error_estimate=by_second("mean", mean_error),
        cell_problem_error_estimate=gap if tensor is not None or tensors is not None else None,
        **extras.results(problem, fine, known, places.axes, gap, tensor),
    )


def _without_holes(problem: Problem) -> Problem:
    """The same coefficient, with the forcing that its limit sees: f acts on what is not hole, a share of the volume."""
    points = (problem.cell or problem.domain).spread(_LOOKS, np.random.default_rng(0))
    share = float(np.mean(problem.operator.coefficient_at(points) > 0))
    forcing = problem.operator.forcing
    scaled = replace(forcing, text=f"{share:.6g}*({forcing.text})", expression=share * forcing.expression)
    return problem.but(operator=replace(problem.operator, forcing=scaled))


def _pair(name: str, smooth: Lattice, fine: Meshes | None, law: Law) -> dict[str, System]:
    """A smooth solution, after a less accurate one that it starts from and is compared with."""
    second = fine.second if fine and smooth == fine.main else smooth.coarser()
    return {f"{name} second": System(second, law), name: System(smooth, law, continued=True)}


def _fine_systems(problem: Problem, smooth: Lattice | None, fine: Meshes | None, following: bool) -> dict[str, System]:
    """u_eps, after the less accurate ones; `following` a solution that a nonlinear problem can start from."""
    if fine is None:
        return {}
    systems, own = dict[str, System](), FineLaw(problem)
    if problem.operator.nonlinear and not following and smooth and smooth.unknowns < fine.second.unknowns:
        systems["first"] = System(smooth, own)  # it resolves nothing, but has about the size of u
        following = True
    for name, lattice in (("third", fine.third), ("second", fine.second), ("main", fine.main)):
        if lattice is not None:
            systems[name] = System(lattice, own, continued=name == "main" or (problem.operator.reads_u and following))
            following = True
    return systems


def _solutions(
    problem: Problem, systems: dict[str, System], solve: process.Solver
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """What was solved, and a note on what was not."""
    if not systems:
        return {}, ()
    try:
        return dict(zip(systems, solve(problem, list(systems.values())), strict=True)), ()
    except process.Unsolved as error:
        found = dict(zip(systems, error.solutions, strict=True))
        reasons = {name: one for name, one in found.items() if isinstance(one, str)}
        notes = (f"there is no {_CALLED[name]}: {reason}" for name, reason in reasons.items() if name in _CALLED)
        return {name: one for name, one in found.items() if not isinstance(one, str)}, tuple(notes)


def _mean_law(problem: Problem, mean: Mean, parts: Parts) -> Law:
    return ConstantLaw(mean if mean.ndim else mean * np.eye(problem.dimension), parts.carrying)


def _mean(problem: Problem, systems: dict[str, System], nodal: dict[str, np.ndarray]) -> Mean | None:
    """The mean of a nonlinear problem's coefficient where the best solution leads it, as the paper takes it."""
    for name, mean in (("main", mean_on_solution), ("homogenized", mean_on_limit)):
        if name in nodal:
            return mean(problem, partial(systems[name].lattice.interpolate, nodal[name]))
    return None
