"""The mean of the coefficient: the naive baseline's tensor."""

from collections.abc import Callable, Sequence
from math import ceil

import numpy as np

from homog.problems import Box, Problem, tensor_grid

Solution = Callable[[Sequence[np.ndarray]], np.ndarray]
"""u on the tensor grid of coordinates on each axis."""

_PANELS_OF_CELL = {1: 64, 2: 64, 3: 16}  # an axis, for each dimension
_MOST_PANELS = {1: 20_000, 2: 300, 3: 30}
_SMOOTH_PANELS = {1: 64, 2: 6, 3: 2}  # for a solution without small scales
_POINTS_OF_CELL = {1: 512, 2: 64, 3: 20}


def mean_coefficient(problem: Problem) -> float:
    """The mean of a linear problem's a, over one period where it has one, else over the domain; by Gauss quadrature.

    Without a period, the panels follow the problem's scale as long as their number allows it.
    """
    if problem.period is not None:
        upper = tuple(low + problem.period for low in problem.domain.lower)
        panels = (_PANELS_OF_CELL[problem.dimension],) * problem.dimension
        return _mean(problem, Box(problem.domain.lower, upper), panels, None)
    return _mean(problem, problem.domain, _fine_panels(problem), None)


def mean_on_solution(problem: Problem, u: Solution) -> float:
    """The mean of a(x, u(x)) over the domain, by the same quadrature.

    Args:
        problem: A nonlinear one.
        u: Its solution u_eps.
    """
    return _mean(problem, problem.domain, _fine_panels(problem), u)


def mean_on_limit(problem: Problem, u: Solution) -> float:
    """The limit of the mean of a(x, u_eps(x)) for a period that tends to zero: of its means over a cell at each u_0(x).

    Args:
        problem: A nonlinear one, with a period.
        u: Its homogenised solution u_0.
    """
    assert problem.period is not None
    dimension = problem.dimension
    axes, weights = _gauss(problem.domain, (_SMOOTH_PANELS[dimension],) * dimension)
    values, weights = u(axes).ravel(), weights.ravel()
    phases = problem.period * np.arange(_POINTS_OF_CELL[dimension]) / _POINTS_OF_CELL[dimension]
    cell = tensor_grid([low + phases for low in problem.domain.lower]).reshape(-1, 1, dimension)
    total = 0.0
    for points in np.array_split(cell, max(1, cell.shape[0] * values.size // 2**21)):
        coefficient = problem.coefficient_at(
            np.broadcast_to(points, (points.shape[0], values.size, dimension)),
            np.broadcast_to(values, (points.shape[0], values.size)),
        )
        total += float(np.sum(coefficient @ weights))
    return total / cell.shape[0]


def _fine_panels(problem: Problem) -> tuple[int, ...]:
    fine = [ceil(4 * side / problem.scale) for side in problem.domain.sides]
    return tuple(int(np.clip(count, 16, _MOST_PANELS[problem.dimension])) for count in fine)


def _mean(problem: Problem, box: Box, panels: tuple[int, ...], u: Solution | None) -> float:
    axes, weights = _gauss(box, panels)
    return float(np.sum(weights * problem.coefficient_at(tensor_grid(axes), 0.0 if u is None else u(axes))))


def _gauss(box: Box, panels: tuple[int, ...]) -> tuple[list[np.ndarray], np.ndarray]:
    """Coordinates on each axis and the weights of their tensor grid, with sum 1: eight points a panel."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    axes, product = [], np.ones(())
    for low, side, count in zip(box.lower, box.sides, panels, strict=True):
        axes.append(low + side / count * (np.arange(count)[:, None] + (1 + nodes) / 2).ravel())
        product = np.multiply.outer(product, np.tile(weights / (2 * count), count))
    return axes, product
