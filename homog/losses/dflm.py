"""The derivative-free loss method (DFLM): a martingale's target, bootstrapped (equations 9 to 14)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from homog.config import DFLM
from homog.errors import UserError
from homog.fields.splines import Spline
from homog.losses.lagged import lagged_spline
from homog.losses.loss import Draw
from homog.losses.system import ROWS, LinearSystem, functions, quotients
from homog.losses.walking import Mass, Sample, WalkingLoss
from homog.machine import ranks
from homog.networks import BoundaryAnsatz, LinearInFeatures, boundary_values, values_without_gradient
from homog.walkers import Lagged, SplineValues, placed


@dataclass(frozen=True)
class Arrivals:
    """What the walkers of n points bring back, on the network's device.

    Attributes:
        x: The points.
        ends: X.
        left: Whether a walker left; then X lies on the boundary.
        reward: R.
        weight: D.
        kept: w of a walker, by which what it finds at its end counts: 1 without a reaction.
        brownian: W.
        mass: What each point counts for, 1 on average; None where all count the same.
        edge: Points on the boundary, for a penalty.
        here: u(x) without gradient, by the same arithmetic as u(X); None where it is asked of the network.
        reached: u(X), likewise.
    """

    x: Float[Tensor, "n d"]
    ends: Float[Tensor, "n s d"]
    left: Bool[Tensor, "n s"]
    reward: Float[Tensor, "n s"]
    weight: Float[Tensor, "n s"]
    kept: Float[Tensor, "n s"]
    brownian: Float[Tensor, "d n s"]
    mass: Float[Tensor, " n"] | None
    edge: Float[Tensor, "m d"] | None
    here: Float[Tensor, " n"] | None
    reached: Float[Tensor, "n s"] | None


class DFLMLoss(WalkingLoss[DFLM]):
    """mean |u(x) - target(x)|^2 over resampled points, the target without gradient (12).

    With drift walkers D = 1. R is the integral of f / (2a), u(X) is g(X) where a walker left, and E is the mean
    over a point's walkers. With a reaction u(X) counts for w = exp(-int c / (2a)), which R has in it:

    - `plain`: target = E[(u(X) + R) D], equations (8) and (16).
    - `control_variate`: target = u(x) + E[(u(X) - u(x) + R) D]. The same expectation, since E[D] = 1 holds exactly.
    - `gradient`: the same less E[grad u(x) . W], W the walker's Brownian increment up to its last step, which has mean
      zero exactly (optional stopping). What is left of the noise is the part that the fine scale makes.

    A nonlinear coefficient is read on the path from a table of the current network, `table` nodes an axis, through
    cubic splines. With `targets=table` u(X) and u(x) in the difference come from it too: 4^d coefficients instead of
    a network.

    `sampling` is the measure rho in which the mean over the points is taken: `uniform`, the paper's; `coefficient`,
    where a uniform point counts for a(x, u(x)) over the mean of a; or `walkers` (Han, Nica and Stinchcombe 2020),
    where the points are where the walkers of the last iteration arrived, one from each point, and drawn anew where it
    left. The residual of the solution is zero in each of them, so the fixed point is the same; the way to it is not.
    The target is held, so what is descended is no gradient: along v = du/dtheta it is int rho v (u - P u - h - r) dx
    (P, h and r as in `EnergyLoss`), and where I - P is not positive in rho, u feeds on itself, as temporal differences
    do away from the process' own law (Tsitsiklis and Van Roy 1997). Walkers are reversible in a dx: there P is
    self-adjoint and contracts, and what is descended is a multiple of the energy's slope. In the uniform measure, for
    short Dt and g = 0, int u (P - I) u dx / Dt is 1/2 int (V . grad u^2 - |grad u|^2) dx; with a = 1 + alpha u^2 that
    is 1/2 int (alpha u^2 - 1) / (alpha u^2 + 1) |grad u|^2 dx, positive once alpha u^2 is mostly above 1: the larger u
    is, the faster it grows.

    A smooth u also sees E[X - x]: its mean over a period cell is zero in a dx, and in dx only where a reflection leaves
    the cell as it is; elsewhere the uniform measure adds a drift of order eps / Dt that is not there.

    Args:
        settings: Sample sizes, scheme, estimator and boundary condition.
        problem: What is solved.
        steps: The time steps.
        seed: Seed of the points and the walkers; both are a function of (seed, iteration).
        cache: Folder for compiled kernels.
        device: Where walkers walk, and the network trains.
    """

    @cached_property
    def _look_up(self) -> SplineValues | None:
        """For `targets=table`."""
        return SplineValues(self.problem.dimension, self._cache) if self.settings.targets == "table" else None

    def network(self, network: nn.Module) -> nn.Module:
        """The network as this loss wants it: in the boundary ansatz, or as it is where a penalty holds it."""
        return BoundaryAnsatz(network, self.problem) if self.settings.boundary == "ansatz" else network

    def draw(self, network: nn.Module, iteration: int) -> Draw:
        table = lagged_spline(network, self.problem.domain, self.nodes) if self._look_up else None
        lagged = table if table and self.problem.operator.reads_u else self.lagged_for_walkers(network)
        sample = self.sample(iteration, lagged)
        return Draw(self.inputs(sample, table), sample.walker_steps)

    def remedy(self) -> str:
        """What to write instead where a training by Adam runs away."""
        measure = "write method.sampling=coefficient, " if self.settings.sampling == "uniform" else ""
        return f"{measure}take a smaller optimizer.learning_rate, or method=energy"

    @property
    def capturable(self) -> bool:
        return super().capturable and self.settings.targets == "network"

    def value(self, network: nn.Module, inputs: Arrivals) -> Float[Tensor, ""]:
        here, reached = inputs.here, inputs.reached
        if here is None or reached is None:
            here = values_without_gradient(network, inputs.x)
            reached = values_without_gradient(network, inputs.ends)
        value = torch.where(inputs.left, boundary_values(self.problem, inputs.ends), reached)
        value = inputs.kept * value + inputs.reward
        target = _TARGETS[self.settings.estimator](network, inputs, here, value)
        squares = (network(inputs.x) - target) ** 2
        loss = (squares if inputs.mass is None else inputs.mass * squares).sum() / self.settings.points
        if inputs.edge is not None:
            mismatch = network(inputs.edge) - boundary_values(self.problem, inputs.edge)
            loss = loss + (mismatch**2).sum() / self.settings.boundary_points
        return loss

    def inputs(self, sample: Sample, table: Spline | None = None) -> Arrivals:
        """What walkers brought back; with `targets=table` u, read from the table, too."""
        settings, walk, points, device = self.settings, sample.walk, sample.points, self._device
        here = reached = edge = None
        if self._look_up and table:
            still = np.zeros((self.problem.dimension, len(points), 1), dtype=np.float32)
            here = placed(self._look_up(table, points, still)[:, 0], device)
            reached = placed(self._look_up(table, points, walk.on_host().displacement), device)
        absorbs = self.problem.boundary.walls.absorbs
        if settings.boundary == "penalty" and any(absorbs):
            edge = self.problem.domain.sample_boundary(settings.boundary_points, sample.random, absorbs)
            edge = placed(edge[ranks.share(len(edge))].astype(np.float32), device)
        x, kills = placed(points.astype(np.float32), device), self.problem.kills
        weight = torch.exp(placed(walk.log_weight, device))
        return Arrivals(
            x=x,
            ends=x[:, None, :] + placed(walk.displacement, self._device).permute(1, 2, 0),
            left=placed(walk.left, self._device),
            reward=placed(walk.reward, self._device),
            weight=torch.ones_like(weight) if kills else weight,
            kept=weight if kills else torch.ones_like(weight),
            brownian=placed(walk.brownian, self._device),
            mass=self._mass(sample),
            edge=edge,
            here=here,
            reached=reached,
        )

    def lagged(self, network: nn.Module) -> Spline | None:
        if self.settings.boundary != "ansatz":
            raise UserError("optimizer=galerkin needs the boundary values in the network: write method.boundary=ansatz")
        return super().lagged(network)

    def equations(self, network: LinearInFeatures, iteration: int, lagged: Spline | None) -> LinearSystem:
        """The Bellman equation u = target tested with each feature: least-squares temporal difference.

        A v = load with A_ij = -mean phi_i(x) E[(phi_j(X) - phi_j(x)) D] and load_i = mean phi_i(x) E[R D] (Bradtke and
        Barto 1996), the mean in the measure of `sampling`. The features are zero on the boundary and the lift is g
        there. With `estimator=gradient` the control has grad phi_j(x) . W in place of phi_j(X) - phi_j(x); `plain` and
        `control_variate` are one here.
        """
        sample = self.sample(iteration, lagged)
        walk, walkers = sample.walk, sample.total * self.settings.per_point
        starts = placed(sample.points.astype(np.float32), self._device)
        kills, factor = self.problem.kills, torch.exp(placed(walk.log_weight, self._device))
        weight = (torch.ones_like(factor) if kills else factor) / walkers  # D / (n s)
        ends = starts[:, None, :] + placed(walk.displacement, self._device).permute(1, 2, 0)
        reward, brownian = (
            (weight * placed(walk.reward, self._device)).sum(1),
            placed(walk.brownian, self._device).sum(2) / walkers,
        )
        mass = self._mass(sample)
        rows = max(1, ROWS // self.settings.per_point)
        count = len(network.weights()) + 1
        matrix, control = np.zeros((2, count, count))
        load = np.zeros(count)
        with torch.no_grad():
            for first in range(0, len(starts), rows):
                block = slice(first, first + rows)
                here = functions(network, starts[block])  # (n, functions)
                gained = functions(network, ends[block])
                gained = (gained * factor[block, :, None] if kills else gained) - here[:, None]
                tested = here if mass is None else mass[block, None] * here
                gained = torch.einsum("ns,nsf->nf", weight[block], gained)
                matrix -= (tested.T @ gained).double().cpu().numpy()
                load += (reward[block] @ tested).double().cpu().numpy()
                if self.settings.estimator == "gradient":
                    reach, domain = math.sqrt(self.steps.macro_step), self.problem.domain
                    slope = quotients(lambda x: functions(network, x), starts[block], reach, domain)
                    along = torch.einsum("dn,dnf->nf", brownian[:, block], slope)
                    control += (tested.T @ along).double().cpu().numpy()
        return LinearSystem(matrix, control, load, sample.walker_steps)

    def equations_and_value(
        self, network: LinearInFeatures, iteration: int, lagged: Spline | None
    ) -> tuple[LinearSystem, None]:
        return self.equations(network, iteration, lagged), None

    def _points(self, random: np.random.Generator, lagged: Lagged | None) -> tuple[np.ndarray, Mass | None]:
        points, _ = super()._points(random, lagged)
        if self.settings.sampling != "coefficient":
            return points, None
        mass = self._coefficient(points, lagged)
        return points, mass / mass.mean()

    def _mass(self, sample: Sample) -> Float[Tensor, " n"] | None:
        mass = sample.mass
        if mass is None:
            return None
        return mass.float() if isinstance(mass, Tensor) else placed(mass.astype(np.float32), self._device)


def _plain(network: nn.Module, walk: Arrivals, here: Tensor, value: Tensor) -> Float[Tensor, " n"]:
    return (value * walk.weight).mean(1)


def _control_variate(network: nn.Module, walk: Arrivals, here: Tensor, value: Tensor) -> Float[Tensor, " n"]:
    gained = ((value - here[:, None]) * walk.weight).mean(1)
    return values_without_gradient(network, walk.x) + gained


def _gradient(network: nn.Module, walk: Arrivals, here: Tensor, value: Tensor) -> Float[Tensor, " n"]:
    x = walk.x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(network(x).sum(), x)  # (n, d)
    return _control_variate(network, walk, here, value) - (slope * walk.brownian.mean(2).T).sum(1)


_TARGETS: dict[str, Callable[[nn.Module, Arrivals, Tensor, Tensor], Tensor]] = {
    "plain": _plain,
    "control_variate": _control_variate,
    "gradient": _gradient,
}
