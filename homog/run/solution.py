"""u as a function on the domain, with its error bar."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import ArrayLike
from torch import nn

from homog.config import WITH_A_GRID, EvaluationSettings, RunSettings
from homog.equation import Problem
from homog.errors import UserError
from homog.measures import evaluation
from homog.measures.ensemble import Ensemble
from homog.measures.family import Family
from homog.measures.fine_scale import FineScale, fine_scale
from homog.measures.longer_walk import LongerWalk
from homog.measures.spreading import EffectiveTensor, effective_tensor_by_walkers
from homog.networks import values_without_gradient
from homog.plots import draw_solution, drawn_axes, solution_data
from homog.references import Reference
from homog.run import budget
from homog.run.evolving import Evolving
from homog.run.further import Further, Modes
from homog.run.task import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROUNDING = 1e-9  # of a side, by which a point may lie outside


@dataclass(frozen=True, eq=False)
class Solution:
    """u, as walkers or a baseline have found it: a function on the domain, with its error bar.

    Attributes:
        plan: The settings, the problem and the time steps that it was found with.
        network: The trained network, a torch module.
        standard_error: Standard deviation of u by sampling, in the L2 norm and relative to that of u; None where the
            optimizer knows none (Adam without `last_layer`).
        check: What walkers of one long macro step have found of the error of u; None where none were sent, as for a
            run that is read back.
        warnings: What puts u in doubt, a line each.
        budget: The parts of the error of u and the estimates made of them, by the names of metrics: see
            `docs/error_budget.md`. Empty where they are not known.
        further: What the problem asks for besides.
        curve: (iteration, relative L2 error) over the training, where there was a reference to hold it against.
    """

    plan: Plan
    network: nn.Module
    standard_error: float | None
    check: LongerWalk | None
    warnings: tuple[str, ...] = ()
    budget: Mapping[str, float] = field(default_factory=dict, repr=False)
    curve: tuple[tuple[int, float], ...] = field(default=(), repr=False)
    further: Further = field(default_factory=Further, repr=False)

    @property
    def error_estimate(self) -> float | None:
        """Estimate of the relative L2 error of u against u_eps, by the run itself; None where it is not known."""
        return self.budget.get("rel_l2_error_estimate")

    @property
    def modes(self) -> Modes | None:
        """Eigenvalues and modes, where the problem asks for them."""
        return self.further.modes

    @property
    def evolution(self) -> Evolving | None:
        """u(x, t), where the problem asks for it."""
        return self.further.evolution

    @property
    def family(self) -> Family | None:
        """u for all values of the parameters that are ranges; `further.family.plot()` draws it."""
        return None if self.further.family is None else self.further.family.family

    @property
    def ensemble(self) -> Ensemble | None:
        """u over the law of a random medium, where samples are asked for; `further.ensemble.plot()` draws it."""
        return None if self.further.ensemble is None else self.further.ensemble.ensemble

    @property
    def settings(self) -> RunSettings:
        """All settings that it was found with."""
        return self.plan.settings

    @property
    def problem(self) -> Problem:
        """The problem that it solves."""
        return self.plan.problem

    def __repr__(self) -> str:
        noise = "unknown" if self.standard_error is None else f"{100 * self.standard_error:.2g} %"
        return f"<u of {self.plan.what}, seed {self.settings.seed}: standard error {noise}>"

    def __call__(self, *coordinates: ArrayLike, **values: float) -> Any:
        """u at points of the closed domain: `u(x1, x2)`, `u(points)`, `u(points, c=0.3)`, `u(points, t=0.05)`.

        Args:
            coordinates: x1, x2, ..., numbers or arrays that fit together; or one array of points, shape (..., d): in
                one dimension (n, 1), since a row of numbers are coordinates.
            values: Of a problem with ranges a value for each of these parameters; of one with time t, from 0 on.

        Returns:
            A number for numbers, else an array: of the coordinates' shape, or of shape (...) for points.

        Raises:
            UserError: If the numbers are no points of the domain, or there is no such parameter.
        """
        points = self._points(coordinates)
        if values:
            there = self._at_values(points, values)
            return float(there) if there.ndim == 0 else there
        device = next(self.network.parameters()).device
        x = torch.as_tensor(points, dtype=torch.float32, device=device)
        found = values_without_gradient(self.network, x).double().cpu().numpy()
        return float(found) if found.ndim == 0 else found

    def _at_values(self, points: Float64[np.ndarray, "*batch d"], values: Mapping[str, float]) -> np.ndarray:
        """u for values of parameters, or at a time."""
        if self.family is not None:
            return self.family(points, **values)
        if self.evolution is None or set(values) != {"t"}:
            raise UserError(f"u depends on no {', '.join(values)}: such values are of problem.time or of ranges")
        if not values["t"] >= 0:
            raise UserError(f"t={values['t']:g}: write a time from 0 on")
        evolved = self.evolution.evolved
        return evolved.values([evolved.at(float(values["t"]))], points)[0]

    def error(self, truth: Reference) -> float:
        """The relative L2 error of u against a reference, at its places: against u_eps, or u_0 where that is missing.

        Raises:
            UserError: If there is nothing to hold it against.
        """
        known = evaluation.best_reference(truth)
        if known is None or not known.any():
            raise UserError(f"there is no reference to hold u against: {' '.join(truth.notes) or 'it is zero'}")
        found = evaluation.errors(evaluation.values_at(self.network, truth.places.points), truth)
        error = found.homogenized if found.fine is None else found.fine
        assert error is not None
        return error

    def effective_tensor(self) -> EffectiveTensor:
        """a* by walkers, with the standard error of each entry: see `homog.effective_tensor`.

        Raises:
            UserError: If the problem has no period or depends on u.
        """
        return effective_tensor_by_walkers(self.problem, seed=self.settings.seed, cache=self.plan.kernels)

    def fine_scale(self, points: ArrayLike, walkers: int = EvaluationSettings.fine_scale_walkers) -> FineScale:
        """u with the microscale put back, E[u(X) + R] over walkers from each point.

        Args:
            points: Points of the closed domain, shape (..., d).
            walkers: Walkers from each point: the noise falls like one over the root.

        Raises:
            UserError: If the numbers are no points of the domain.
        """
        x, plan = self._points((points,)), self.plan
        steps = plan.fine_scale_steps()
        return fine_scale(self.network, self.problem, steps, x, walkers, self.settings.seed, plan.kernels)

    def plot(self, truth: Reference | None = None) -> "Figure":
        """The figure of a run: coefficient, u, its pointwise error where there is a reference, and cross-sections."""
        domain, evaluated = self.problem.domain, self.settings.evaluation
        axes = (truth and truth.axes) or drawn_axes(domain, evaluated.count(min(domain.dimension, WITH_A_GRID)))
        values = evaluation.values_on_grid(self.network, axes)
        held = None if truth is None or truth.axes else evaluation.values_at(self.network, truth.places.points)
        title = budget.title(self.plan.what, self.settings.seed, self.budget)
        name = self.settings.network.title(self.problem.dimension)
        data = solution_data(title, self.problem, axes, values, truth, list(self.curve), answer=name, at_points=held)
        return draw_solution(data)

    def _points(self, coordinates: tuple[ArrayLike, ...]) -> Float64[np.ndarray, "*batch d"]:
        domain = self.problem.domain
        d = domain.dimension
        given = [np.asarray(part, dtype=np.float64) for part in coordinates]
        fewest = 2 if d == 1 else 1  # axes of an array of points; in one dimension a row of numbers are coordinates
        if len(given) == 1 and given[0].ndim >= fewest and given[0].shape[-1] == d:
            points = given[0]
        elif len(given) == d:
            points = np.stack(np.broadcast_arrays(*given), axis=-1)
        else:
            raise UserError(f"u takes {d} coordinates, or one array of points whose last axis has the length {d}")
        slack = _ROUNDING * domain.sides
        outside = ~((points >= domain.lower - slack) & (points <= domain.upper + slack)).all(-1)
        if outside.any():
            raise UserError(f"{points[outside][0].tolist()} lies outside of the domain: u is known within it")
        return points
