"""The derivative-free loss method (DFLM): a martingale's target, bootstrapped (equations 9 to 14)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from homog.config import DFLM
from homog.losses.loss import LossValue
from homog.networks import BoundaryAnsatz, boundary_values, values_without_gradient
from homog.problems import Problem
from homog.timestep import TimeSteps
from homog.walkers import Scheme, Walkers, point_generator, stream_key


class DFLMLoss:
    """mean |u(x) - target(x)|^2 over resampled points, the target without gradient (12).

    With drift walkers D = 1. R is the integral of f / (2a), u(X) is g(X) where a walker left, and E is the mean
    over a point's walkers:

    - `plain`: target = E[(u(X) + R) D], equations (8) and (16).
    - `control_variate`: target = u(x) + E[(u(X) - u(x) + R) D]. The same expectation, since E[D] = 1 holds exactly.
    - `gradient`: the same less E[grad u(x) . W], W the walker's Brownian increment up to its last step, which has mean
      zero exactly (optional stopping). What is left of the noise is the part that the fine scale makes.

    Args:
        settings: Sample sizes, scheme, estimator and boundary condition.
        problem: What is solved.
        steps: The time steps.
        seed: Of points and walkers; both are a function of (seed, iteration).
        cache: Folder for compiled kernels.
    """

    def __init__(self, settings: DFLM, problem: Problem, steps: TimeSteps, seed: int, cache: Path) -> None:
        self.settings = settings
        self.problem = problem
        self.steps = steps
        self.seed = seed
        scheme = Scheme(settings.martingale, settings.step, settings.exit)
        self.walkers = Walkers(problem, scheme, cache)
        self._target = _TARGETS[settings.estimator]

    def network(self, network: nn.Module) -> nn.Module:
        """The network as this loss wants it: in the boundary ansatz, or as it is where a penalty holds it."""
        return BoundaryAnsatz(network, self.problem) if self.settings.boundary == "ansatz" else network

    def __call__(self, network: nn.Module, iteration: int) -> LossValue:
        """The loss of one iteration, on the network's device."""
        settings, device = self.settings, next(network.parameters()).device
        random = point_generator(self.seed, iteration)
        points = self.problem.domain.sample(settings.points, random)
        walk = self.walkers.walk(points, settings.walkers, self.steps, stream_key(self.seed, iteration))

        def tensor(array) -> torch.Tensor:
            return torch.as_tensor(array, dtype=torch.float32, device=device)

        x = tensor(points)  # (n, d)
        ends = x[:, None, :] + tensor(walk.displacement).permute(1, 2, 0)  # (n, s, d)
        reached = values_without_gradient(network, ends)
        arrived = torch.where(tensor(walk.left) > 0, boundary_values(self.problem, ends), reached)
        weight = torch.exp(tensor(walk.log_weight))
        arrivals = _Arrivals(x, arrived + tensor(walk.reward), weight, tensor(walk.brownian))
        target = self._target(network, arrivals)
        loss = ((network(x) - target) ** 2).mean()
        if settings.boundary == "penalty":
            edge = tensor(self.problem.domain.sample_boundary(settings.boundary_points, random))
            loss = loss + ((network(edge) - boundary_values(self.problem, edge)) ** 2).mean()
        return LossValue(loss, walk.steps)


@dataclass(frozen=True)
class _Arrivals:
    """What the walkers of n points bring back: `value` is u(X) + R, `weight` D, `brownian` W."""

    x: Float[Tensor, "n d"]
    value: Float[Tensor, "n s"]
    weight: Float[Tensor, "n s"]
    brownian: Float[Tensor, "d n s"]


def _plain(network: nn.Module, walk: _Arrivals) -> Float[Tensor, " n"]:
    return (walk.value * walk.weight).mean(1)


def _control_variate(network: nn.Module, walk: _Arrivals) -> Float[Tensor, " n"]:
    with torch.no_grad():
        here = network(walk.x)
    return here + ((walk.value - here[:, None]) * walk.weight).mean(1)


def _gradient(network: nn.Module, walk: _Arrivals) -> Float[Tensor, " n"]:
    x = walk.x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(network(x).sum(), x)  # (n, d)
    return _control_variate(network, walk) - (slope * walk.brownian.mean(2).T).sum(1)


_TARGETS: dict[str, Callable[[nn.Module, _Arrivals], Tensor]] = {
    "plain": _plain,
    "control_variate": _control_variate,
    "gradient": _gradient,
}
