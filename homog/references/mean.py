"""The mean of the coefficient: the naive baseline's tensor."""

from collections.abc import Callable, Sequence
from functools import reduce
from math import ceil

import numpy as np

from homog.config import WITH_A_GRID
from homog.domains import Box, tensor_grid
from homog.equation import Problem
from homog.equation.density import Density, graded
from homog.equation.factors import axes_of_factors
from homog.equation.lengths import slopes_of_log
from homog.references.factors import mean_of_factors

Solution = Callable[[Sequence[np.ndarray]], np.ndarray]
"""u on the tensor grid of coordinates on each axis."""

_PANELS_OF_CELL = {1: 64, 2: 64, 3: 16}  # an axis, for each dimension
_MOST_PANELS = {1: 20_000, 2: 300, 3: 30}
_SMOOTH_PANELS = {1: 64, 2: 6, 3: 2}  # for a solution without small scales
_POINTS = 2**19  # from four dimensions on
_POINTS_OF_CELL = {1: 512, 2: 64, 3: 20}


def mean_coefficient(problem: Problem) -> tuple[float, float]:
    """The mean of a linear problem's a, over one period where it has one, else over the domain; by Gauss quadrature.

    Panels follow the slopes of log a along each axis, as far as their number allows it, and without a period the
    problem's scale.

    Returns:
        The mean, and the relative distance from that with every second panel's edge.
    """
    box = problem.cell or problem.domain
    if axes_of_factors(problem) is not None:
        return mean_of_factors(problem, np.asarray(box.lower, dtype=np.float64), box.sides)
    if problem.dimension > WITH_A_GRID:
        return _mean_over_points(problem, box)
    panels = _fine_panels(problem)
    if problem.cell is not None:
        panels = (_PANELS_OF_CELL[problem.dimension],) * problem.dimension
    if problem.operator.jumps:
        panels = tuple(min(_MOST_PANELS[problem.dimension], 2 * count) for count in panels)
        fine, coarse = (
            _mean(problem, *_gauss(_equal(box, some)), None) for some in (panels, tuple(n // 2 for n in panels))
        )
        return fine, abs(fine - coarse) / abs(fine)
    edges = []
    for count, slopes, low, side in zip(panels, slopes_of_log(problem), box.lower, box.sides, strict=True):
        along = np.linspace(low, low + side, count + 1)
        if problem.operator.field is None and slopes.largest * side / count > 1:
            density = Density(slopes.edges, np.maximum(slopes.values, count / side))
            finer = graded(density, 1.0)
            along = finer if finer.size - 1 <= _MOST_PANELS[problem.dimension] else along
        edges.append(along)
    fine, coarse = (
        _mean(problem, *_gauss(parts), None) for parts in (edges, [np.append(x[:-1:2], x[-1]) for x in edges])
    )
    return fine, abs(fine - coarse) / abs(fine)


def _mean_over_points(problem: Problem, box: Box) -> tuple[float, float]:
    """By evenly spread points; and what half of them differ by, relative."""
    values = problem.operator.coefficient_at(box.spread(_POINTS, np.random.default_rng(0)))
    mean = float(values.mean())
    return mean, abs(float(values[: _POINTS // 2].mean()) - mean) / mean


def mean_on_solution(problem: Problem, u: Solution) -> float:
    """The mean of a(x, u(x)) over the domain, by the same quadrature.

    Args:
        problem: A nonlinear one.
        u: Its solution u_eps.
    """
    return _mean(problem, *_gauss(_equal(problem.domain, _fine_panels(problem))), u)


def mean_on_limit(problem: Problem, u: Solution) -> float:
    """The limit of the mean of a(x, u_eps(x)) for a period that tends to zero: of its means over a cell at each u_0(x).

    Args:
        problem: A nonlinear one, with a period.
        u: Its homogenised solution u_0.
    """
    assert problem.cell is not None
    dimension = problem.dimension
    axes, weights = _gauss(_equal(problem.domain, (_SMOOTH_PANELS[dimension],) * dimension))
    values = u(axes).ravel()
    weights = reduce(np.multiply.outer, weights).ravel()
    phases = np.arange(_POINTS_OF_CELL[dimension]) / _POINTS_OF_CELL[dimension]
    sides = zip(problem.cell.lower, problem.cell.sides, strict=True)
    cell = tensor_grid([low + side * phases for low, side in sides]).reshape(-1, 1, dimension)
    total = 0.0
    for points in np.array_split(cell, max(1, cell.shape[0] * values.size // 2**21)):
        coefficient = problem.operator.coefficient_at(
            np.broadcast_to(points, (points.shape[0], values.size, dimension)),
            np.broadcast_to(values, (points.shape[0], values.size)),
        )
        total += float(np.sum(coefficient @ weights))
    return total / cell.shape[0]


def _fine_panels(problem: Problem) -> tuple[int, ...]:
    fine = [ceil(4 * side / problem.scale) for side in problem.domain.sides]
    return tuple(int(np.clip(count, 16, _MOST_PANELS[problem.dimension])) for count in fine)


def _equal(box: Box, panels: tuple[int, ...]) -> list[np.ndarray]:
    return [np.linspace(low, high, n + 1) for low, high, n in zip(box.lower, box.upper, panels, strict=True)]


def _mean(problem: Problem, axes: list[np.ndarray], weights: list[np.ndarray], u: Solution | None) -> float:
    """Slab by slab: nothing of the size of the whole grid is kept."""
    values = None if u is None else u(axes)
    total, slabs = 0.0, max(1, int(np.prod([float(x.size) for x in axes]) / 2**20))
    for rows in np.array_split(np.arange(axes[0].size), min(slabs, axes[0].size)):
        here = None if values is None else values[rows]
        part = problem.operator.coefficient_at(tensor_grid([axes[0][rows], *axes[1:]]), here)
        for along in reversed(weights[1:]):
            part = part @ along
        total += float(part @ weights[0][rows])
    return total


def _gauss(edges: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Coordinates on each axis and their weights, with sum 1 on each: eight points a panel."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    axes = [(x[:-1, None] + np.diff(x)[:, None] * (1 + nodes) / 2).ravel() for x in edges]
    return axes, [(np.diff(x)[:, None] * weights / 2 / (x[-1] - x[0])).ravel() for x in edges]
