"""What a discretisation is off, from its distance to less accurate ones and from what its cells hide."""

import numpy as np

from homog.domains import tensor_grid
from homog.equation import Problem
from homog.references.lattice import Lattice
from homog.references.resolution import Meshes

# Where two discretisations are compared: midpoints of so many intervals an axis, for each dimension. Prime numbers, so
# that they visit all phases of a period, whatever the evaluation grid does.
_SAMPLES = {1: 9973, 2: 331, 3: 61}
_SLOWEST = 0.9  # ratio of distances beyond which nothing converges
_CELLS, _IN_CELL = 256, {1: 64, 2: 12, 3: 6}

Nodal = tuple[Lattice, np.ndarray]
"""A lattice and nodal values on it."""


def distance(problem: Problem, first: Nodal, second: Nodal, grid_count: int) -> float:
    """Relative L2 distance of two discretisations of a solution, in relation to the first.

    It is the larger of that on the evaluation grid, which may meet a thin layer in each period, and of that on a grid
    which meets all phases.
    """
    found = []
    for axes in (_axes(problem), problem.domain.axes(grid_count)):
        main, other = (lattice.interpolate(values, axes) for lattice, values in (first, second))
        size = float(np.linalg.norm(main))
        found.append(float(np.linalg.norm(main - other)) / size if size else 0.0)
    return max(found)


def fine_estimate(
    problem: Problem, meshes: Meshes, main: Nodal, second: Nodal, third: Nodal | None, grid_count: int
) -> float:
    """The relative L2 error of u_eps, from above.

    Where the order is known beforehand the distance from the second mesh is enough. Where a third shows that distances
    shrink by a factor r only, the error is their geometric series, r/(1 - r) of the last. Cells that do not resolve the
    coefficient show the solution of a problem in which each of them has some mean of its own: between the harmonic
    and the arithmetic one, by whose ratio the solution can be off without any distance to tell of it.
    """
    last = distance(problem, main, second, grid_count)
    if third is None:
        return last
    estimate = _series(last, distance(problem, second, third, grid_count))
    return estimate if meshes.resolved else max(estimate, _hidden(problem, meshes.main))


def eigenvalue_estimate(
    problem: Problem, meshes: Meshes, main: np.ndarray, second: np.ndarray, third: np.ndarray | None
) -> np.ndarray:
    """The error of eigenvalues of u_eps's operator, from above, as `fine_estimate` has it; shape (n,), absolute."""
    last = np.abs(main - second)
    if third is None:
        return last
    before = np.abs(second - third)
    estimate = np.array([_series(*both) for both in zip(last.tolist(), before.tolist(), strict=True)])
    return estimate if meshes.resolved else np.maximum(estimate, _hidden(problem, meshes.main) * np.abs(main))


def _series(last: float, before: float) -> float:
    """The sum of the distances that follow the last two, or the last one if that is larger."""
    ratio = min(last / before, _SLOWEST) if before > 0 else 0.0
    return last * max(1.0, ratio / (1 - ratio))


def _axes(problem: Problem) -> list[np.ndarray]:
    count = _SAMPLES[problem.dimension]
    offsets = (np.arange(count) + 0.5) / count
    return [low + side * offsets for low, side in zip(problem.domain.lower, problem.domain.sides, strict=True)]


def _hidden(problem: Problem, lattice: Lattice) -> float:
    """Root mean square, over cells of the lattice, of how far the arithmetic mean is above the harmonic one."""
    random = np.random.default_rng(0)
    ends = lattice.ends
    excess = []
    for cell in zip(*(random.integers(0, x.size - 1, _CELLS) for x in ends), strict=True):
        count = _IN_CELL[problem.dimension]
        axes = [
            x[i] + (x[i + 1] - x[i]) * (np.arange(count) + random.random()) / count
            for x, i in zip(ends, cell, strict=True)
        ]
        points = tensor_grid(axes)
        u = problem.boundary.at(points) + float(problem.operator.nonlinear)
        excess.append(_excess(problem.operator.values_at(points, u), problem.dimension))
    return float(np.sqrt(np.mean(np.square(excess))))


def _excess(values: np.ndarray, dimension: int) -> float:
    """How far the arithmetic mean of a is above the harmonic one, relative; of a matrix, in the worst direction."""
    if values.ndim == dimension:
        return float(values.mean() * np.mean(1 / values)) - 1
    whole = tuple(range(dimension))
    return float(np.linalg.eigvals(values.mean(whole) @ np.linalg.inv(values).mean(whole)).real.max()) - 1
