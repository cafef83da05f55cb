"""The mean of the coefficient, a number or a matrix: the naive baseline's tensor."""

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
from homog.references.spectral_cell import relative_size

Mean = np.ndarray
"""Of a, shape (); or of a matrix A, shape (d, d)."""

Solution = Callable[[Sequence[np.ndarray]], np.ndarray]
"""u on the tensor grid of coordinates on each axis."""

_PANELS_OF_CELL = {1: 64, 2: 64, 3: 16}  # an axis, for each dimension
_MOST_PANELS = {1: 20_000, 2: 300, 3: 30}
_SMOOTH_PANELS = {1: 64, 2: 6, 3: 2}  # for a solution without small scales
_POINTS, _PARTS = 2**19, 64  # from four dimensions on
_POINTS_OF_CELL = {1: 512, 2: 64, 3: 20}


def mean_coefficient(problem: Problem) -> tuple[Mean, float]:
    """The mean of a linear problem's a, over one period where it has one, else over the domain; by Gauss quadrature.

    Panels follow the slopes of log a along each axis, as far as their number allows it, and without a period the
    problem's scale.

    Returns:
        The mean, and the relative distance from that with every second panel's edge.
    """
    box = problem.cell or problem.domain
    if axes_of_factors(problem) is not None:
        mean, error = mean_of_factors(problem, np.asarray(box.lower, dtype=np.float64), box.sides)
        return np.asarray(mean), error
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
        return fine, _apart(fine, coarse)
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
    return fine, _apart(fine, coarse)


def number(mean: Mean) -> float:
    """The mean as one number: of a matrix tr / d."""
    return float(np.trace(mean) / len(mean)) if mean.ndim else float(mean)


def _apart(mean: Mean, other: Mean) -> float:
    """The distance of two means, relative to the first."""
    return relative_size(other - mean, mean) if mean.ndim else float(abs(mean - other) / abs(mean))


def _mean_over_points(problem: Problem, box: Box) -> tuple[Mean, float]:
    """By evenly spread points; and what half of them differ by, relative."""
    points = box.spread(_POINTS, np.random.default_rng(0))
    means = [problem.operator.values_at(part).mean(0) for part in np.split(points, _PARTS)]
    mean = np.mean(means, axis=0)
    return mean, _apart(mean, np.mean(means[: _PARTS // 2], axis=0))


def mean_on_solution(problem: Problem, u: Solution) -> Mean:
    """The mean of a(x, u(x)) over the domain, by the same quadrature.

    Args:
        problem: A nonlinear one.
        u: Its solution u_eps.
    """
    return _mean(problem, *_gauss(_equal(problem.domain, _fine_panels(problem))), u)


def mean_on_limit(problem: Problem, u: Solution) -> Mean:
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
    total, many = np.zeros(()), cell.shape[0] * values.size * len(problem.operator.entries)
    for points in np.array_split(cell, max(1, many // 2**21)):
        coefficient = problem.operator.values_at(
            np.broadcast_to(points, (points.shape[0], values.size, dimension)),
            np.broadcast_to(values, (points.shape[0], values.size)),
        )
        total = total + np.tensordot(coefficient, weights, axes=(1, 0)).sum(0)
    return total / cell.shape[0]


def _fine_panels(problem: Problem) -> tuple[int, ...]:
    fine = [ceil(4 * side / problem.scale) for side in problem.domain.sides]
    return tuple(int(np.clip(count, 16, _MOST_PANELS[problem.dimension])) for count in fine)


def _equal(box: Box, panels: tuple[int, ...]) -> list[np.ndarray]:
    return [np.linspace(low, high, n + 1) for low, high, n in zip(box.lower, box.upper, panels, strict=True)]


def _mean(problem: Problem, axes: list[np.ndarray], weights: list[np.ndarray], u: Solution | None) -> Mean:
    """Slab by slab: nothing of the size of the whole grid is kept."""
    values = None if u is None else u(axes)
    many = np.prod([float(x.size) for x in axes]) * len(problem.operator.entries)
    total, slabs = np.zeros(()), max(1, int(many / 2**20))
    for rows in np.array_split(np.arange(axes[0].size), min(slabs, axes[0].size)):
        here = None if values is None else values[rows]
        part = problem.operator.values_at(tensor_grid([axes[0][rows], *axes[1:]]), here)
        for along in [weights[0][rows], *weights[1:]]:
            part = np.tensordot(along, part, axes=(0, 0))
        total = total + part
    return total


def _gauss(edges: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Coordinates on each axis and their weights, with sum 1 on each: eight points a panel."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    axes = [(x[:-1, None] + np.diff(x)[:, None] * (1 + nodes) / 2).ravel() for x in edges]
    return axes, [(np.diff(x)[:, None] * weights / 2 / (x[-1] - x[0])).ravel() for x in edges]
