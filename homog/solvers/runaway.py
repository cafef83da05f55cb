"""A training that runs away, told from one that overshoots: by what the maximum principle allows of the solution."""

import math

import numpy as np
import torch
from torch import nn

from homog.equation import Problem
from homog.errors import UserError
from homog.losses import Loss
from homog.networks import values_without_gradient

_POINTS = 256  # where u is looked at: a thousandth of the work of an iteration
_SAMPLE = 2**14  # points of the domain, for the extremes of the data
_LEVELS = 9  # values of u between its bounds, for the least coefficient
_ROUNDS = 50
_ROUNDING = 1e-6  # of div b, in relation to |b| over a side
_FAR = 10.0  # times the bound: Adam's first steps overshoot, a run that came back reached 2.3 times the solution
_PATIENCE = 50  # iterations: Adam forgets an overshoot in ten to forty


class Watch:
    """Looks at max |u| while Adam trains, and ends a training that has left the solution's range for good.

    Whatever is minimised, u obeys `bound_of_solution`. A network may pass it for a while: Adam's first steps are of the
    size of the learning rate, however small the solution is, and its momentum carries them on. So |u| is too large
    beyond ten times the bound, or beyond 10 where the bound is less than 1, a network's natural size; and the training
    has run away where it stays there for 50 iterations in which it does not halve, or ends there. What is watched is a
    function of the weights alone: it changes nothing in a training, and after a resumption it starts anew.

    Args:
        loss: The method, which gives the problem and the remedy.
        network: As it trains.
    """

    def __init__(self, loss: Loss, network: nn.Module) -> None:
        self._loss = loss
        self._network = network
        points = loss.problem.domain.spread(_POINTS, np.random.default_rng(0))
        self._points = torch.as_tensor(points, dtype=torch.float32, device=next(network.parameters()).device)
        self._bound: float | None = None
        self._since = 0  # when |u| became too large, or had halved
        self._largest = 0.0  # since then; zero where it is not too large

    def look(self, iteration: int) -> None:
        """Look at the network after an iteration, counted from 0; the host waits for a GPU.

        Raises:
            UserError: If the training has run away.
        """
        size = self._size(self._network)
        if self._is_possible(size):
            self._largest = 0.0
            return
        if self._largest == 0 or size < 0.5 * self._largest:
            self._since, self._largest = iteration, size
        self._largest = max(self._largest, size)
        if iteration - self._since >= _PATIENCE:
            raise self._error(size, iteration)

    def look_at_the_answer(self, answer: nn.Module, iteration: int) -> None:
        """Look at what a training ends with.

        Raises:
            UserError: If it is beyond what the solution can be.
        """
        size = self._size(answer)
        if not self._is_possible(size):
            raise self._error(size, iteration)

    def _size(self, network: nn.Module) -> float:
        return float(values_without_gradient(network, self._points).abs().max())

    def _is_possible(self, size: float) -> bool:
        if size <= _FAR:  # whatever the bound is, which most trainings then never need
            return True
        if self._bound is None:
            self._bound = bound_of_solution(self._loss.problem)
        return size <= _FAR * max(1.0, self._bound)

    def _error(self, size: float, iteration: int) -> UserError:
        return UserError(
            f"the training has run away: |u| is {size:.3g} at iteration {iteration + 1}, and by the maximum principle"
            f" the solution stays below {self._bound:.3g}; {self._loss.remedy()}"
        )


def bound_of_solution(problem: Problem) -> float:
    """A bound of |u|: max |g| + max |f| R^2 / (2 d min a), R the radius of the ball with the domain's volume.

    By the comparison theorem of Talenti (1976) the solution of -div(a grad u) = f with u = 0 on the boundary is, sorted
    by size, below that of -min a Lap v = sorted f in the ball; what g adds stays between its extremes. The positive
    part of f bounds u from above, the negative from below.

    A velocity b with div b <= 0 changes nothing: with a function of u that is not negative and zero on the boundary,
    the integral of b.grad u is that of -div b times its antiderivative in u.

    With a(x, u) the least a is taken over the values that u may have, which widen with what it allows, until they do
    not widen any more: this bounds the solution that is led from f = 0 to f. Where they widen without end, the bound is
    infinite; so it is where u is not given on all faces, or is in b, f or c, or where div b > 0. The extremes are those
    of a sample, and so they are a little less far than the true ones.
    """
    if problem.operator.data_of_u or not problem.boundary.walls.all_absorbing:
        return math.inf
    domain = problem.domain
    dimension = problem.dimension
    volume = float(np.prod(domain.sides))
    squared_radius = (volume * math.gamma(dimension / 2 + 1)) ** (2 / dimension) / math.pi
    points = domain.spread(_SAMPLE, np.random.default_rng(0))
    if _spreads(problem, points):
        return math.inf
    edge = np.concatenate([domain.sample_boundary(_SAMPLE // 4, np.random.default_rng(1)), domain.corners()])
    forcing, boundary = problem.operator.forcing_at(points), problem.boundary.at(edge)
    lowest, highest = float(boundary.min()), float(boundary.max())
    down, up = (squared_radius / (2 * dimension) * max(0.0, float((sign * forcing).max())) for sign in (-1, 1))
    low, high = lowest, highest
    for _ in range(_ROUNDS):
        least = _least_coefficient(problem, points, low, high)
        if not least > 0:
            break
        widened = lowest - down / least, highest + up / least
        if widened[0] >= low - 1e-3 * abs(low) and widened[1] <= high + 1e-3 * abs(high):
            return max(abs(low), abs(high))
        low, high = widened
    return math.inf


def _spreads(problem: Problem, points: np.ndarray) -> bool:
    """Whether div b is positive somewhere, or may be since b depends on u."""
    operator = problem.operator
    if operator.velocity is None or operator.velocity_of_u:
        return operator.velocity_of_u
    size = float(np.abs(operator.velocity_at(points)).max()) / float(problem.domain.sides.min())
    return bool((operator.spreads_at(points) > _ROUNDING * size).any())


def _least_coefficient(problem: Problem, points: np.ndarray, low: float, high: float) -> float:
    levels = np.linspace(low, high, _LEVELS) if problem.operator.nonlinear else [0.0]
    with np.errstate(all="ignore"):
        return min(float(problem.operator.least_at(points, np.full(len(points), u)).min()) for u in levels)
