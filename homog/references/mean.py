"""The mean of the coefficient: the naive baseline's tensor."""

from math import ceil

import numpy as np

from homog.problems import Box, Problem, tensor_grid

_PANELS_OF_CELL = {1: 64, 2: 64, 3: 16}  # an axis, for each dimension
_MOST_PANELS = {1: 20_000, 2: 300, 3: 30}


def mean_coefficient(problem: Problem) -> float:
    """The mean of a, over one period where it has one, else over the domain; by Gauss quadrature.

    Without a period, the panels follow eps as long as their number allows it.
    """
    dimension = problem.dimension
    if problem.period is not None:
        upper = tuple(low + problem.period for low in problem.domain.lower)
        return _mean(problem, Box(problem.domain.lower, upper), (_PANELS_OF_CELL[dimension],) * dimension)
    fine = [ceil(4 * side / problem.scale) for side in problem.domain.sides]
    panels = tuple(int(np.clip(count, 16, _MOST_PANELS[dimension])) for count in fine)
    return _mean(problem, problem.domain, panels)


def _mean(problem: Problem, box: Box, panels: tuple[int, ...]) -> float:
    nodes, weights = np.polynomial.legendre.leggauss(8)
    axes = []
    mean = np.ones(())
    for low, side, count in zip(box.lower, box.sides, panels, strict=True):
        axes.append(low + side / count * (np.arange(count)[:, None] + (1 + nodes) / 2).ravel())
        mean = np.multiply.outer(mean, np.tile(weights / (2 * count), count))
    return float(np.sum(mean * problem.coefficient_at(tensor_grid(axes))))
