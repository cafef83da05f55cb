"""Means and effective tensors of products of functions of one coordinate each: integrals along the axes."""

from collections.abc import Callable

import numpy as np

from homog.equation import Problem
from homog.equation.lengths import slopes_of_log
from homog.references.quadrature import adaptive_mean

Sampled = Callable[[np.ndarray], np.ndarray]
"""a at points of shape (..., d)."""


def tensor_of_factors(
    problem: Problem, sampled: Sampled, lower: np.ndarray, sides: np.ndarray, u: float
) -> tuple[np.ndarray, float]:
    """a* of a = c a_1(x1) ... a_d(xd), and its relative error, estimated.

    It is diagonal: e_i/a_i is a constant and a gradient, and its flux, which does not change along x_i, has no
    divergence. So a*_ii is c times the harmonic mean of a_i times the arithmetic means of the others.

    Args:
        problem: One that `axes_of_factors` has taken apart.
        sampled: Its coefficient at this u.
        lower: Corner of the cell, shape (d,).
        sides: Its sides, shape (d,).
        u: Value of the solution.
    """
    scale, arithmetic, inverse, error = _means(problem, sampled, lower, sides, u)
    diagonal = [scale * np.prod(np.delete(arithmetic, i)) / inverse[i] for i in range(problem.dimension)]
    return np.diag(diagonal), error


def mean_of_factors(problem: Problem, lower: np.ndarray, sides: np.ndarray) -> tuple[float, float]:
    """The mean of such a coefficient over a box, and its relative error, estimated."""
    scale, arithmetic, _, error = _means(problem, problem.operator.coefficient_at, lower, sides, 0.0)
    return float(scale * np.prod(arithmetic)), error


def _means(
    problem: Problem, sampled: Sampled, lower: np.ndarray, sides: np.ndarray, u: float
) -> tuple[float, np.ndarray, np.ndarray, float]:
    """a at the corner, and along each axis the means of a factor and of its inverse, in relation to the corner."""
    corner = float(sampled(lower[None])[0])
    means, estimate = [], 0.0
    for axis, panels in enumerate(_panels(problem, lower, sides, u)):

        def factor(coordinates: np.ndarray, axis: int = axis) -> np.ndarray:
            points = np.repeat(lower[None], coordinates.size, axis=0)
            points[:, axis] = coordinates
            values = sampled(points) / corner
            return np.stack([values, 1 / values])

        found, error = adaptive_mean(factor, panels)
        means.append(found)
        estimate += error
    arithmetic, inverse = np.array(means).T
    return corner, arithmetic, inverse, estimate


def _panels(problem: Problem, lower: np.ndarray, sides: np.ndarray, u: float) -> list[np.ndarray]:
    """Intervals on which log a changes by little; of a spline, those between its knots."""
    if problem.operator.field is not None:
        return [
            np.linspace(low, low + side, count + 1)
            for low, side, count in zip(lower, sides, problem.operator.field.intervals, strict=True)
        ]
    return [slopes.edges for slopes in slopes_of_log(problem, u)]
