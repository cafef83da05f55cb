"""What the equations of a solve give besides u: eigenvalues and modes, u(x, t), u(x; mu), and u over samples."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from homog.measures.assembled import Assembled
from homog.measures.ensemble import Ensemble
from homog.measures.evolution import Evolved
from homog.measures.family import Family
from homog.measures.spectrum import Spectrum, homogenized_spectrum, mode_values, spectrum
from homog.measures.spreading import effective_tensor_by_walkers
from homog.networks import LinearInFeatures
from homog.plots.modes import draw_modes
from homog.plots.panels import DOTS_PER_INCH
from homog.plots.sections import coarse_axes
from homog.references import Reference
from homog.references.cell import effective_tensor
from homog.run.ensembles import Ensembles
from homog.run.evolving import Evolving, evolving
from homog.run.families import Families, families
from homog.run.task import Plan
from homog.solvers.ensemble import EnsembleSolve
from homog.solvers.family import FamilyEquations, FamilySolver
from homog.solvers.solve import Solve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FURTHER = "further.npz"
"""What a run's folder keeps for what the equations give besides u."""

_MICRO = 2e-3  # what micro steps leave of an eigenvalue at m0 = 12, relative


@dataclass(frozen=True, eq=False)
class Modes:
    """Eigenvalues by walkers, beside those of a*.

    Attributes:
        found: By walkers.
        homogenized: Of a* by the cell problem, in the same functions; None where that is not known.
        fine: Of u_eps by finite elements; None where they are not known.
        axes: A grid.
        drawn: The modes there, shape (n, *grid).
    """

    found: Spectrum
    homogenized: Float64[np.ndarray, " n"] | None
    axes: tuple[Float64[np.ndarray, " k"], ...]
    drawn: Float64[np.ndarray, "..."]
    fine: Float64[np.ndarray, " n"] | None = None

    def plot(self, title: str = "modes") -> "Figure":
        """The modes, each under its eigenvalue."""
        return draw_modes(self.axes, self.drawn, self.found.values, self.found.half_width(), title)

    def metrics(self) -> dict[str, float]:
        """Their numbers, by the names that `metrics.json` has for them."""
        numbers: dict[str, float] = {}
        for number, (value, error, bias) in enumerate(
            zip(self.found.values, self.found.standard_error, self.found.bias, strict=True), 1
        ):
            numbers |= {f"eigenvalue_{number}": float(value), f"eigenvalue_{number}_standard_error": float(error)}
            numbers[f"eigenvalue_{number}_bias"] = float(bias)
            if self.homogenized is not None:
                numbers[f"eigenvalue_{number}_homogenized"] = float(self.homogenized[number - 1])
            if self.fine is not None:
                numbers[f"eigenvalue_{number}_fine"] = float(self.fine[number - 1])
        return numbers


@dataclass(frozen=True, eq=False)
class Further:
    """What the equations of a solve give besides u; None what the problem does not ask for.

    Attributes:
        modes: Eigenvalues and modes.
        evolution: u(x, t).
        family: u(x; mu).
        ensemble: u over the law of a random medium.
    """

    modes: Modes | None = None
    evolution: Evolving | None = None
    family: Families | None = None
    ensemble: Ensembles | None = None

    def metrics(self) -> dict[str, float]:
        """Its numbers, by the names that `metrics.json` has for them."""
        parts = (part for part in (self.modes, self.evolution, self.family, self.ensemble) if part is not None)
        return {name: value for part in parts for name, value in part.metrics().items()}

    def figures(self, what: str, folder: Path) -> list[Path]:
        """Its figures, drawn into a folder."""
        found = list[Path]()
        parts = {"modes": self.modes, "evolution": self.evolution, "family": self.family, "ensemble": self.ensemble}
        for name, part in parts.items():
            if part is not None:
                path = folder / f"{name}.png"
                part.plot(f"{what}: {name}").savefig(path, dpi=DOTS_PER_INCH)
                found.append(path)
        return found


def further_of(plan: Plan, solve: object) -> Further:
    """By itself: with walkers and the cell problem for what the macro step adds, and for a*, where these are wanted."""
    excess, tensor = None, None
    if _by_matrix(plan) and plan.problem.cell is not None:
        assert plan.steps is not None
        by_walkers = effective_tensor_by_walkers(plan.problem, seed=plan.settings.seed, cache=plan.kernels)
        excess, (tensor, _) = by_walkers.excess(plan.steps.macro_step), effective_tensor(plan.problem)
    arrays = left(plan, solve, excess, tensor)
    return Further() if arrays is None else further(plan, network_of(solve), arrays, None)


def left(
    plan: Plan, solve: object, excess: float | None, tensor: Float64[np.ndarray, "d d"] | None
) -> Mapping[str, np.ndarray] | None:
    """What a finished solve leaves for it, as arrays by name, which a run's folder keeps; None where nothing is asked.

    Args:
        plan: The plan.
        solve: The optimizer that has finished.
        excess: What the macro step adds to the tensor that the energy sees, relative; None where it is not known.
        tensor: a* by the cell problem.
    """
    if isinstance(solve, FamilySolver):
        return solve.equations().arrays()
    if isinstance(solve, EnsembleSolve):
        weights, halves = solve.answers
        return {"weights": weights, "halves": halves}
    if not _by_matrix(plan):
        return None
    assert isinstance(solve, Solve)
    assert plan.steps is not None
    solver, problem = solve.solver, plan.problem
    answers, freedom = solver.answers()
    macro = solver.macro_step_error() if excess is None else None
    numbers = {"excess": excess or 0.0, "steps": math.hypot(_MICRO, macro.error if macro else 0.0)}
    arrays = {name: np.array(number) for name, number in numbers.items()}
    if problem.eigenvalues and tensor is not None:
        arrays["homogenized"] = homogenized_spectrum(solver.network, problem, tensor, problem.eigenvalues)
    return {**Assembled(solver.network, solver.matrices(), answers, freedom, plan.steps.macro_step).arrays(), **arrays}


def further(
    plan: Plan, network: LinearInFeatures, arrays: Mapping[str, np.ndarray], truth: Reference | None
) -> Further:
    """What the equations of a solve give besides u.

    Args:
        plan: The plan.
        network: Gives the features.
        arrays: What the solve has left.
        truth: What is held against u(x, t) and u(x; mu); None for nothing.
    """
    problem = plan.problem
    if problem.ranges is not None:
        family = Family(problem, FamilyEquations.of(problem.ranges, arrays), network)
        return Further(family=families(family, plan, truth))
    if plan.settings.problem.samples > 1:
        return Further(ensemble=Ensembles.of(Ensemble(network, arrays["weights"], arrays["halves"]), problem.domain))
    assembled, excess = Assembled.of(network, arrays), float(arrays["excess"])
    axes = coarse_axes(problem.domain)
    modes = evolution = None
    if problem.eigenvalues:
        found = spectrum(assembled, problem, excess, _MICRO)
        values, fine = mode_values(network, found.weights, axes), None if truth is None else truth.eigenvalues
        modes = Modes(found, arrays.get("homogenized"), axes, values, fine)
    if problem.evolution is not None:
        evolved = Evolved(assembled, problem, excess, float(arrays["steps"]))
        axes = axes if truth is None else truth.axes
        evolution = evolving(evolved, problem.evolution.times, axes, truth)
    return Further(modes, evolution)


def network_of(solve: object) -> LinearInFeatures:
    """What gives the features of a finished solve."""
    assert isinstance(solve, Solve | FamilySolver | EnsembleSolve)
    return solve.solver.network if isinstance(solve, Solve) else solve.network


def asked(plan: Plan) -> bool:
    """Whether anything is asked for besides u."""
    return _by_matrix(plan) or plan.problem.ranges is not None or plan.settings.problem.samples > 1


def _by_matrix(plan: Plan) -> bool:
    return bool(plan.problem.eigenvalues) or plan.problem.evolution is not None
