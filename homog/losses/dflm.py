"""The derivative-free loss method (DFLM): a martingale's target, bootstrapped (equations 9 to 14)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from homog.config import DFLM
from homog.errors import UserError
from homog.losses.equations import ROWS, Equations, functions, slopes
from homog.losses.loss import LossValue
from homog.losses.walking import WalkingLoss
from homog.networks import BoundaryAnsatz, LinearInFeatures, boundary_values, values_without_gradient
from homog.problems import Box, Problem
from homog.splines import CubicSpline, interpolate
from homog.timestep import TimeSteps
from homog.walkers import SplineValues, Walk, point_generator


class DFLMLoss(WalkingLoss[DFLM]):
    """mean |u(x) - target(x)|^2 over resampled points, the target without gradient (12).

    With drift walkers D = 1. R is the integral of f / (2a), u(X) is g(X) where a walker left, and E is the mean
    over a point's walkers:

    - `plain`: target = E[(u(X) + R) D], equations (8) and (16).
    - `control_variate`: target = u(x) + E[(u(X) - u(x) + R) D]. The same expectation, since E[D] = 1 holds exactly.
    - `gradient`: the same less E[grad u(x) . W], W the walker's Brownian increment up to its last step, which has mean
      zero exactly (optional stopping). What is left of the noise is the part that the fine scale makes.

    A nonlinear coefficient is read on the path from a table of the current network, `table` nodes an axis, through
    cubic splines. With `targets=table` u(X) and u(x) in the difference come from it too: 4^d coefficients instead of
    a network. The points are drawn anew in each iteration, or (`sampling=walkers`, Han, Nica and Stinchcombe 2020)
    are where the walkers of the last iteration arrived, one from each point, and drawn anew where it left.

    Args:
        settings: Sample sizes, scheme, estimator and boundary condition.
        problem: What is solved.
        steps: The time steps.
        seed: Of points and walkers; both are a function of (seed, iteration).
        cache: Folder for compiled kernels.
    """

    def __init__(self, settings: DFLM, problem: Problem, steps: TimeSteps, seed: int, cache: Path) -> None:
        super().__init__(settings, problem, steps, seed, cache)
        self._target = _TARGETS[settings.estimator]
        self._look_up = SplineValues(problem.dimension, cache) if settings.targets == "table" else None
        self._arrived: np.ndarray | None = None  # where sampling=walkers goes on, nan where a walker left

    def network(self, network: nn.Module) -> nn.Module:
        """The network as this loss wants it: in the boundary ansatz, or as it is where a penalty holds it."""
        return BoundaryAnsatz(network, self.problem) if self.settings.boundary == "ansatz" else network

    def __call__(self, network: nn.Module, iteration: int) -> LossValue:
        """The loss of one iteration, on the network's device.

        Raises:
            UserError: If the coefficient is not positive where the solution leads it.
        """
        settings, device = self.settings, next(network.parameters()).device
        random = point_generator(self.seed, iteration)
        points = self._points(random)
        solution = None
        if self.problem.nonlinear or self._look_up:
            solution = spline_of(network, self.problem.domain, settings.table)
            self.problem.require_positive(points, solution)
        walk = self.walk(points, iteration, solution if self.problem.nonlinear else None)

        def tensor(array) -> torch.Tensor:
            return torch.as_tensor(array, dtype=torch.float32, device=device)

        x = tensor(points)  # (n, d)
        ends = x[:, None, :] + tensor(walk.displacement).permute(1, 2, 0)  # (n, s, d)
        if self._look_up and solution:
            here = tensor(self._look_up(solution, points, np.zeros((self.problem.dimension, len(points), 1))))[:, 0]
            reached = tensor(self._look_up(solution, points, walk.displacement))
        else:
            here = values_without_gradient(network, x)
            reached = values_without_gradient(network, ends)
        value = torch.where(tensor(walk.left) > 0, boundary_values(self.problem, ends), reached) + tensor(walk.reward)
        arrivals = _Arrivals(x, here, value, torch.exp(tensor(walk.log_weight)), tensor(walk.brownian))
        target = self._target(network, arrivals)
        loss = ((network(x) - target) ** 2).mean()
        if settings.boundary == "penalty":
            edge = tensor(self.problem.domain.sample_boundary(settings.boundary_points, random))
            loss = loss + ((network(edge) - boundary_values(self.problem, edge)) ** 2).mean()
        return LossValue(loss, walk.steps)

    def medium(self, network: nn.Module) -> CubicSpline | None:
        """The table of u that walkers of a nonlinear problem read in `equations`; None for a linear one.

        Raises:
            UserError: If a penalty holds the boundary: then the loss has no such equations.
        """
        if self.settings.boundary != "ansatz":
            raise UserError("optimizer=galerkin needs the boundary values in the network: write method.boundary=ansatz")
        return spline_of(network, self.problem.domain, self.settings.table) if self.problem.nonlinear else None

    def equations(self, network: LinearInFeatures, iteration: int, medium: CubicSpline | None) -> Equations:
        """The Bellman equation u = target tested with each feature: least-squares temporal difference.

        A v = load with A_ij = -mean phi_i(x) E[(phi_j(X) - phi_j(x)) D] and load_i = mean phi_i(x) E[R D] (Bradtke and
        Barto 1996). The features are zero on the boundary and the lift is g there. With `estimator=gradient` the
        control has grad phi_j(x) . W in place of phi_j(X) - phi_j(x); `plain` and `control_variate` are one here.

        Args:
            network: In the boundary ansatz.
            iteration: Number of the batch.
            medium: From `medium`.
        """
        points = self._points(point_generator(self.seed, iteration))
        if medium is not None:
            self.problem.require_positive(points, medium)
        walk = self.walk(points, iteration, medium)
        device = network.weights().device

        def tensor(array: np.ndarray) -> Tensor:
            return torch.as_tensor(array, dtype=torch.float32, device=device)

        starts, weight = tensor(points), torch.exp(tensor(walk.log_weight)) / walk.reward.size  # D / (n s)
        ends = starts[:, None, :] + tensor(walk.displacement).permute(1, 2, 0)
        reward, brownian = (weight * tensor(walk.reward)).sum(1), tensor(walk.brownian).sum(2) / walk.reward.size
        rows = max(1, ROWS // walk.reward.shape[1])
        count = len(network.weights()) + 1
        matrix, control = np.zeros((2, count, count))
        load = np.zeros(count)
        with torch.no_grad():
            for first in range(0, len(points), rows):
                block = slice(first, first + rows)
                here = functions(network, starts[block])  # (n, functions)
                gained = functions(network, ends[block]) - here[:, None]
                gained = torch.einsum("ns,nsf->nf", weight[block], gained)
                matrix -= (here.T @ gained).double().cpu().numpy()
                load += (reward[block] @ here).double().cpu().numpy()
                if self.settings.estimator == "gradient":
                    slope = slopes(network, starts[block], math.sqrt(self.steps.macro_step), self.problem.domain)
                    along = torch.einsum("dn,dnf->nf", brownian[:, block], slope)
                    control += (here.T @ along).double().cpu().numpy()
        return Equations(matrix, control, load, walk.steps)

    def walk(self, points: np.ndarray, iteration: int, medium: CubicSpline | None) -> Walk:
        walk = super().walk(points, iteration, medium)
        if self.settings.sampling == "walkers":
            self._arrived = points + np.where(walk.left[:, :1], np.nan, walk.displacement[:, :, 0].T)
        return walk

    def state(self) -> dict[str, Any]:
        return {**super().state(), "arrived": None if self._arrived is None else torch.from_numpy(self._arrived)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        self._arrived = None if state["arrived"] is None else state["arrived"].numpy()

    def _points(self, random: np.random.Generator) -> np.ndarray:
        """This iteration's points, shape (n, d), float64."""
        points = self.problem.domain.sample(self.settings.points, random)
        return points if self._arrived is None else np.where(np.isnan(self._arrived), points, self._arrived)


def spline_of(network: nn.Module, domain: Box, count: int) -> CubicSpline:
    """The spline through a network's values on `count` equidistant nodes an axis of the domain, without gradient."""
    device = next(network.parameters()).device
    grid = torch.as_tensor(domain.grid(count), dtype=torch.float32, device=device)
    values = values_without_gradient(network, grid).double().cpu().numpy()
    return interpolate(values, domain.lower, domain.upper)


@dataclass(frozen=True)
class _Arrivals:
    """What the walkers of n points bring back.

    Attributes:
        x: The points.
        here: u(x), by the same arithmetic as u(X).
        value: u(X) + R.
        weight: D.
        brownian: W.
    """

    x: Float[Tensor, "n d"]
    here: Float[Tensor, " n"]
    value: Float[Tensor, "n s"]
    weight: Float[Tensor, "n s"]
    brownian: Float[Tensor, "d n s"]


def _plain(network: nn.Module, walk: _Arrivals) -> Float[Tensor, " n"]:
    return (walk.value * walk.weight).mean(1)


def _control_variate(network: nn.Module, walk: _Arrivals) -> Float[Tensor, " n"]:
    gained = ((walk.value - walk.here[:, None]) * walk.weight).mean(1)
    return values_without_gradient(network, walk.x) + gained


def _gradient(network: nn.Module, walk: _Arrivals) -> Float[Tensor, " n"]:
    x = walk.x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(network(x).sum(), x)  # (n, d)
    return _control_variate(network, walk) - (slope * walk.brownian.mean(2).T).sum(1)


_TARGETS: dict[str, Callable[[nn.Module, _Arrivals], Tensor]] = {
    "plain": _plain,
    "control_variate": _control_variate,
    "gradient": _gradient,
}
