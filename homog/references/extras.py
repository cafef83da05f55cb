"""What is asked for beside the steady state: solutions over time and eigenvalues, of u_eps and of u_0."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from homog.equation import Problem
from homog.references.estimates import distance, eigenvalue_estimate, fine_estimate
from homog.references.fem import Modes, System, Transient
from homog.references.lattice import Lattice
from homog.references.resolution import Meshes

# Of systems the accuracy in time of those that go with them: the second ones serve the estimates.
_LEVELS = {"main": 0, "second": 1, "third": 2, "homogenized": 0, "homogenized second": 1}
_LIMIT = frozenset({"homogenized", "homogenized second"})
_CELLS_A_MODE = 4  # on an interval, for u_0: 60 modes take more than a smooth solution

CALLED = {
    "main in time": "u_eps over time",
    "second in time": "second discretisation over time, and no estimate of u_eps's own error there",
    "homogenized in time": "u_0 over time",
    "main modes": "eigenvalue of u_eps's operator",
    "second modes": "second discretisation of the eigenvalues, and no estimate of their error",
    "homogenized modes": "eigenvalue of u_0's operator",
}
"""What a note calls the systems that `with_extras` adds."""


def note(problem: Problem, fine: Meshes | None) -> tuple[str, ...]:
    """A sentence for each thing that is asked for and not computed."""
    found = list[str]()
    if problem.evolution is not None and not _in_time_suited(problem):
        found.append("a reference over time is computed for linear problems without holes alone: there is none")
    elif problem.evolution is not None and _rough(problem) and fine is None:
        found.append("u(x, 0) varies with eps, and no mesh resolves it: there is no u_0 over time")
    if problem.eigenvalues and not _modes_suited(problem):
        found.append(
            "a reference of eigenvalues is computed for linear problems without a velocity and without holes alone:"
            " there is none"
        )
    return tuple(found)


def note_without_mesh(problem: Problem) -> tuple[str, ...]:
    """The same for references that come from no mesh."""
    found = list[str]()
    if problem.evolution is not None:
        found.append("without a mesh there is no reference over time")
    if problem.eigenvalues:
        found.append("without a mesh there is no reference of eigenvalues")
    return tuple(found)


def with_extras(problem: Problem, systems: Mapping[str, System], fine: Meshes | None) -> dict[str, System]:
    """Each system, followed by those on the same mesh that give it over time, and its eigenvalues."""
    timed = problem.evolution is not None and _in_time_suited(problem)
    vibrates = bool(problem.eigenvalues) and _modes_suited(problem)
    found = dict[str, System]()
    for name, system in systems.items():
        found[name] = system
        if name not in _LEVELS:
            continue
        if timed:
            lattice = _in_time(problem, name, system.lattice, fine)
            if lattice is not None:
                found[f"{name} in time"] = Transient(lattice, system.law, level=_LEVELS[name])
        if vibrates and name != "homogenized second":
            found[f"{name} modes"] = Modes(_of_modes(problem, name, system.lattice), system.law)
    return found


def results(
    problem: Problem,
    fine: Meshes | None,
    known: Mapping[str, tuple[Lattice, np.ndarray]],
    axes: tuple[np.ndarray, ...],
    gap: float | None,
    tensor: np.ndarray | None,
) -> dict[str, Any]:
    """The fields of a `Reference` that come from these systems.

    Args:
        problem: What is solved.
        fine: The discretisations of u_eps.
        known: Lattice and result of each system that was solved.
        axes: Of the evaluation grid.
        gap: Relative error of a*, estimated.
        tensor: a*, where there is one.
    """
    found, count = dict[str, Any](), len(axes[0])
    for name, field in (("main in time", "fine_over_time"), ("homogenized in time", "homogenized_over_time")):
        if name in known:
            lattice, values = known[name]
            found[field] = np.stack([lattice.interpolate(at_time, axes) for at_time in values])
    if fine is not None and {"main in time", "second in time"} <= known.keys():
        each = [_each(known.get(f"{name} in time")) for name in ("main", "second", "third")]
        thirds = each[2] or [None] * len(each[0])
        found["fine_over_time_error_estimate"] = np.array(
            [
                fine_estimate(problem, fine, main, second, third, count)
                for main, second, third in zip(each[0], each[1], thirds, strict=True)
            ]
        )
    if {"homogenized in time", "homogenized second in time"} <= known.keys() and problem.evolution is not None:
        each = [_each(known[f"{name} in time"]) for name in ("homogenized", "homogenized second")]
        by_mesh = [distance(problem, main, second, count) for main, second in zip(each[0], each[1], strict=True)]
        found["homogenized_over_time_error_estimate"] = np.array(by_mesh) + _by_tensor(problem, gap, tensor)
    if "main modes" in known:
        found["eigenvalues"] = known["main modes"][1]
    if fine is not None and {"main modes", "second modes"} <= known.keys():
        main, second = (known[f"{name} modes"][1] for name in ("main", "second"))
        third = known["third modes"][1] if "third modes" in known else None
        found["eigenvalues_error_estimate"] = eigenvalue_estimate(problem, fine, main, second, third)
    if "homogenized modes" in known:
        found["homogenized_eigenvalues"] = known["homogenized modes"][1]
    return found


def _in_time_suited(problem: Problem) -> bool:
    return not (problem.operator.reads_u or problem.has_holes)


def _modes_suited(problem: Problem) -> bool:
    return _in_time_suited(problem) and problem.operator.velocity is None


def _rough(problem: Problem) -> bool:
    """Whether u(x, 0) varies with eps. Where f does, the lattice of u_0 is that of u_eps anyway."""
    return problem.evolution is not None and "eps" in problem.evolution.initial.names


def _in_time(problem: Problem, name: str, lattice: Lattice, fine: Meshes | None) -> Lattice | None:
    """The lattice of a system over time, for u_0 one that resolves u(x, 0); None where there is none."""
    if name not in _LIMIT or not _rough(problem):
        return lattice
    if fine is None:
        return None
    return fine.main if name == "homogenized" else fine.second


def _of_modes(problem: Problem, name: str, lattice: Lattice) -> Lattice:
    if name not in _LIMIT or problem.dimension > 1 or lattice.edges is not None:
        return lattice
    return replace(lattice, cells=(max(lattice.cells[0], _CELLS_A_MODE * problem.eigenvalues),))


def _each(known: tuple[Lattice, np.ndarray] | None) -> list[tuple[Lattice, np.ndarray]]:
    """A lattice with the values at each time."""
    return [] if known is None else [(known[0], values) for values in known[1]]


def _by_tensor(problem: Problem, gap: float | None, tensor: np.ndarray | None) -> np.ndarray:
    """The relative error of u_0 that comes from that of a*, at each time: of e^(-l t) it is l t times that of l.

    The first eigenvalue l of -div(a* grad u) is at most that with u = 0 on all faces.
    """
    evolution = problem.evolution
    assert evolution is not None
    if gap is None:
        return np.zeros(len(evolution.times))
    rate = 0.0 if tensor is None else np.pi**2 * float(np.sum(np.diag(tensor) / problem.domain.sides**2))
    return gap * np.maximum(1.0, rate * np.array(evolution.times))
