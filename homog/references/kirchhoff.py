"""Kirchhoff's transformation: a function of u for which a nonlinear equation is linear, or nearly so."""

import numpy as np

from homog.equation import Problem

_SAMPLE = 64  # points of the domain
_NODES = 3000  # in each direction
_REACH = 1e6  # of the table, in scales
_FINEST = 1e-2  # of its nodes, likewise
_NEAR = 0.25  # to a range of u, in its lengths


class Kirchhoff:
    """theta(u), the integral of c from the reference to u over c(reference), where a(x, u) is about b(x) c(u).

    If it is so exactly, a grad u = b c(reference) grad theta: theta solves a linear equation, with a at the reference
    for its coefficient. c is the geometric mean of a over a sample of the domain.

    Args:
        problem: Gives a.
        reference: u where theta is zero; a is positive there.
        scale: About how far u is from it.
    """

    def __init__(self, problem: Problem, reference: float, scale: float) -> None:
        points = problem.domain.spread(_SAMPLE, np.random.default_rng(0))
        steps = scale * _FINEST * np.sinh(np.linspace(0, np.arcsinh(_REACH / _FINEST), _NODES))
        below, above = (_integrals(problem, points, reference, sign * steps) for sign in (-1, 1))
        self.reference = reference
        self._u = reference + np.concatenate([-steps[1 : below.size][::-1], steps[: above.size]])
        self._theta = np.concatenate([-below[1:][::-1], above])

    def __call__(self, u: np.ndarray) -> np.ndarray:
        """theta at values of u."""
        return np.interp(u, self._u, self._theta)

    def inverse(self, theta: np.ndarray) -> np.ndarray:
        """u at values of theta; the last one of the table beyond its ends."""
        return np.interp(theta, self._theta, self._u)

    def reach(self, theta: np.ndarray, slope: np.ndarray) -> float:
        """The largest step t for which theta + t slope stays clear of the ends of theta's range.

        It takes up to 0.9 of the room that there is: towards an end, u may tend to infinity.
        """
        low, high = self._theta[0], self._theta[-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(slope > 0, (high - theta) / slope, np.where(slope < 0, (low - theta) / slope, np.inf))
        return 0.9 * float(room.min())

    def ends_near(self, low: float, high: float) -> bool:
        """Whether the coefficient ceases to be positive, or finite, close to an end of a range of u."""
        margin = _NEAR * ((high - low) or 1.0)
        return bool(low - margin < self._u[0] or high + margin > self._u[-1])


def _integrals(problem: Problem, points: np.ndarray, reference: float, steps: np.ndarray) -> np.ndarray:
    """The integral of c / c(reference) from the reference along some steps, as far as c is defined."""
    u = reference + np.broadcast_to(steps[:, None], (steps.size, points.shape[0]))
    with np.errstate(all="ignore"):
        values = problem.operator.coefficient_at(np.broadcast_to(points, (*u.shape, points.shape[1])), u)
        sound = (np.isfinite(values) & (values > 0)).all(1)
        count = sound.size if sound.all() else max(1, int(np.argmin(sound)))
        values = np.log(values[:count]).mean(1)
        mean = np.exp(values - values[0])
        found = np.concatenate([[0.0], np.cumsum((mean[1:] + mean[:-1]) / 2 * np.diff(np.abs(steps[:count])))])
    return found[: int(np.argmin(found < 1e200)) or None]
