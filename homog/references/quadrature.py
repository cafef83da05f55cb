"""Integrals along one axis, adaptively, and with an estimate of what is left."""

from collections.abc import Callable

import numpy as np

_MOST_ROUNDS = 60
_MOST_PANELS = 2**19
_NODES = 10


def adaptive_mean(
    function: Callable[[np.ndarray], np.ndarray], edges: np.ndarray, tolerance: float = 1e-13
) -> tuple[np.ndarray, float]:
    """The means of one or several positive functions over an interval, by Gauss's rule on panels that are halved.

    A panel's estimate is the difference between its own rule and that of its two halves, which is far above the error
    of the halves, whose sum is kept.

    Args:
        function: Values at points of shape (n,): shape (k, n).
        edges: Edges of the first panels, ascending: they have to find the features of the function.
        tolerance: Relative to the mean.

    Returns:
        The k means, and the largest relative error estimated for one of them.
    """
    lower, upper = edges[:-1], edges[1:]
    whole = _panels(function, lower, upper)
    length = edges[-1] - edges[0]
    means, left = np.zeros(len(whole)), np.zeros(len(whole))
    for _ in range(_MOST_ROUNDS):
        middle = (lower + upper) / 2
        first, second = _panels(function, lower, middle), _panels(function, middle, upper)
        errors = np.abs(first + second - whole)
        total = means + (first + second).sum(1)
        share = np.maximum((upper - lower) / length, 1 / 64)  # of a spike, the panels are small
        # what rounding leaves of a sum of `_NODES` terms is not worth another round
        wanting = (errors > np.maximum(tolerance * share * total[:, None], 1e-15 * np.abs(whole))).any(0)
        done = ~wanting | (middle <= lower) | (middle >= upper)
        means += (first + second)[:, done].sum(1)
        left += errors[:, done].sum(1)
        if done.all():
            break
        if (~done).sum() > _MOST_PANELS:
            means += (first + second)[:, ~done].sum(1)
            left += errors[:, ~done].sum(1)
            break
        lower, upper, middle = lower[~done], upper[~done], middle[~done]
        whole = np.concatenate([first[:, ~done], second[:, ~done]], axis=1)
        lower, upper = np.concatenate([lower, middle]), np.concatenate([middle, upper])
    return means / length, float((left / means).max())


def _panels(function: Callable[[np.ndarray], np.ndarray], lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """The integrals over each panel, shape (k, panels)."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    points = lower[:, None] + (upper - lower)[:, None] * (1 + nodes) / 2
    values = function(points.ravel())
    return values.reshape(len(values), *points.shape) @ weights * (upper - lower) / 2
