"""The cell problem: what a periodic coefficient looks like from far away."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.signal import resample

from homog.config import WITH_A_GRID
from homog.domains import tensor_grid
from homog.equation import Problem
from homog.equation.density import Density, graded
from homog.equation.factors import axes_of_factors
from homog.equation.lengths import slopes_of_log
from homog.equation.tensor import least_eigenvalues
from homog.fields.phases import Phases
from homog.references.correctors import CorrectorsAlongAxes, correctors_along_axes
from homog.references.element_cell import element_bounds
from homog.references.factors import tensor_of_factors
from homog.references.spectral_cell import Bounds, Sampled, relative_size, spectral_bounds, spectral_correctors
from homog.references.stirred_cell import delay_of_both, stirred
from homog.references.voxel_cell import Correctors, Enclosed, correctors, cut, delay, enclosed, halved, voxels

TOLERANCE = 1e-9  # of a*, relative
_FIELD_TOLERANCE = 1e-6  # a spline has three derivatives, and one sample's a* is further from another's

# Odd: an even grid has a highest frequency without a derivative. Products of 3 and 5: fast to transform.
_SIZES = (15, 27, 45, 63, 81, 135, 243, 405, 729)
_MOST_ITERATIONS = 120  # of each cell problem: enough for a contrast of 100
_MOST_WORK = 6e7  # iterations times points, over all grids: some 10 s
_CHANGE_A_STEP = 4.0  # of log a: a grid that is coarser may pass a feature by
_FORMULA_SIZE = 243  # in two dimensions elements are tried before a larger grid, unless that one is close
_CLOSE = 1e-4
_OF_MATRICES = {2: 243, 3: 45}  # for correctors
_OF_STIRRED = {2: (45, 81), 3: (15, 27)}  # likewise: the second, held against the first, and seen at more points
_MOST_ITERATIONS_OF_STIRRED = 600  # a Peclet number of 200 takes 200

_ELEMENTS = ((16, 2.0), (32, 1.0), (48, 0.7), (72, 0.45))  # least cells an axis, most change of log a on a cell
_VOXELS = {1: (64, 4096), 2: (64, 1024), 3: (16, 96)}  # an axis: the fewest, and the most
_OF_CORRECTORS = {1: 4096, 2: 256, 3: 32}  # voxels an axis
_OF_IMAGES = {1: 2**16, 2: 512, 3: 96}  # of an image, up to which they are its own
_OF_LARGE_IMAGES = {1: 2**16, 2: 512, 3: 64}  # of one that is larger
_JUMP_TOLERANCE = 1e-3
_MOST_ITERATIONS_OF_NETWORKS = 1000
_MOST_OWN = 3_000_000  # voxels of an image; of a larger one there are fewer, and places in them are looked at
_MOST_WORK_OF_NETWORKS = 1e9  # iterations times voxels: some 15 s
_MOST_CELLS = 7_000  # elements of degree four: 4 s

_NOTHING = Bounds(np.zeros((1, 1)), np.zeros((1, 1)), np.inf)


def effective_tensor(problem: Problem, u: float = 0.0, most_points: int = 600_000) -> tuple[np.ndarray, float]:
    """The effective tensor a*(u) of a periodic coefficient at one value of the solution, between two bounds.

    a*_ij is the mean over a cell of a (e_i + grad chi_i) . (e_j + grad chi_j), where the periodic chi_i solve
    -div(a (e_i + grad chi_i)) = 0 (Bensoussan, Lions and Papanicolaou, Asymptotic Analysis for Periodic
    Structures, chapter 1). On the small scale u is a constant: a coefficient a(x/eps, u) has the limit a*(u) of its
    tensors at each u (Artola and Duvaut, C. R. Acad. Sci. Paris 284, 1977).

    Of a matrix A of functions all of this holds with A in place of a. A velocity that stirs (`Problem.stirs`) adds to
    a*: see `homog.references.stirred_cell`. It has no bounds here; the last of finer and finer grids is returned, and
    for its error the distance from the one before. Any other velocity is left out.

    Any periodic chi gives an upper bound by this primal problem, and any field without divergence a lower one by the
    dual problem. What is returned is the middle of the two:

    - Where a is a product of functions of one coordinate each, a* is known: along each axis the harmonic mean of
      that coordinate's factor times the arithmetic means of the others, by adaptive quadrature.
    - Otherwise by trigonometric polynomials on finer and finer grids; an error of chi enters a* squared.
    - Where a jumps, by two networks of conductors on finer and finer voxels (`homog.references.voxel_cell`).
    - In two dimensions, where these do not come to an end (a contrast above some hundred), by elements of degree four
      on a grid that is fine where log a changes. *Measured*, exp(k sin sin) with a* = 1: 1e-9 at k = 15, contrast
      1e13, with 32 cells an axis in 0.6 s.

    Args:
        problem: With a cell; see `cell_sides`.
        u: Value of the solution; a linear problem has no use for it.
        most_points: Points of the finest grid that is tried.

    Returns:
        a*, shape (d, d), symmetric; and the relative estimate e of what it is off: |x.(a* - exact) x| <= e x.a* x for
        every x. At most `tolerance` unless the coefficient is too rough for what is affordable.

    Raises:
        ValueError: If the coefficient is not periodic, or not positive at this u.
    """
    sides = cell_sides(problem)
    if sides is None:
        raise ValueError("the coefficient is not periodic")
    lower = np.asarray(problem.domain.lower, dtype=np.float64)
    sampled = _positive(problem, u)
    if problem.stirs:
        return _between_grids(problem, sampled, lower, sides, most_points)
    varying = axes_of_factors(problem)
    if varying is not None and not problem.has_holes:
        return tensor_of_factors(problem, sampled, lower, sides, u)
    if problem.operator.jumps:
        found = _between_networks(problem, sampled, lower, sides)
        return found.tensor, found.error
    best = _best(problem, sampled, lower, sides, u, most_points)
    return best.middle, best.gap


def _between_grids(
    problem: Problem, sampled: Sampled, lower: np.ndarray, sides: np.ndarray, most_points: int
) -> tuple[np.ndarray, float]:
    """a* of a medium that a velocity stirs, and its distance from that of a coarser grid, relative."""
    tensor, gap, work = np.eye(len(sides)), np.inf, 0.0
    for size in _SIZES:
        points, dimension = size ** len(sides), len(sides)
        if (points > most_points or work > _MOST_WORK) and np.isfinite(gap):
            break
        found = stirred(sampled, problem.operator.velocity_at, lower, sides, size, _MOST_ITERATIONS_OF_STIRRED)
        work += found.iterations * points
        if size > _SIZES[0]:
            gap = relative_size(found.tensor - tensor, found.tensor)
        tensor = found.tensor
        if gap <= tolerance(problem) or found.iterations >= 2 * dimension * _MOST_ITERATIONS_OF_STIRRED:
            break
    return tensor, float(gap)


def _between_networks(problem: Problem, sampled: Sampled, lower: np.ndarray, sides: np.ndarray) -> Enclosed:
    """By voxels, twice as many along an axis until that is accurate enough, or too dear; of an image first its own."""
    field = problem.operator.field
    own = field is not None and _is_constant_on_voxels(problem) and math.prod(field.intervals) <= _MOST_OWN
    if own:
        assert field is not None
        means, most = voxels(sampled, lower, sides, field.intervals, looks=1), math.inf
        found = enclosed(means, None, sides, _MOST_ITERATIONS_OF_NETWORKS)
    else:
        size, most = _VOXELS[len(sides)]
        means = voxels(sampled, lower, sides, (size,) * len(sides))
        found = enclosed(means, halved(means), sides, _MOST_ITERATIONS_OF_NETWORKS)
    finer, work = 2 ** len(sides), 0.0
    while found.error > _JUMP_TOLERANCE and max(means[0].shape) < most:
        work += found.iterations * means[0].size
        if work + finer * found.iterations * means[0].size > _MOST_WORK_OF_NETWORKS:
            break
        wider, counts = means, [2 * count for count in means[0].shape]
        # the voxels of an image are cut: a is constant on them
        means = cut(wider) if own else voxels(sampled, lower, sides, counts)
        found = enclosed(means, wider, sides, _MOST_ITERATIONS_OF_NETWORKS)
    return found


def _is_constant_on_voxels(problem: Problem) -> bool:
    """Whether the coefficient is made of phases, and nothing in it varies within a voxel of theirs."""
    operator = problem.operator
    return isinstance(operator.field, Phases) and not operator.names & set(operator.coefficient.axes)


def correctors_of(problem: Problem) -> Correctors | CorrectorsAlongAxes:
    """The correctors of a linear problem with a cell, to about a part in a hundred; in more than three dimensions of
    a product of functions of one coordinate. With a velocity that stirs they are those of its walk.
    """
    sides = cell_sides(problem)
    if sides is None:
        raise ValueError("the coefficient is not periodic")
    lower, field = np.asarray(problem.domain.lower, dtype=np.float64), problem.operator.field
    if len(sides) > WITH_A_GRID:
        return correctors_along_axes(problem, lower, sides)
    most = _OF_CORRECTORS[len(sides)]
    sampled = _positive(problem, 0.0)
    if problem.stirs:
        return _correctors_of_stirred(problem, sampled, lower, sides)
    if problem.operator.tensor is not None:
        return _correctors_of_matrix(sampled, lower, sides)
    if field and _is_constant_on_voxels(problem) and max(field.intervals) <= _OF_IMAGES[len(sides)]:
        means = voxels(sampled, lower, sides, field.intervals, looks=1)
        while max(means[0].shape) <= most // 2:
            means = cut(means)
    else:
        count = _OF_LARGE_IMAGES[len(sides)] if isinstance(field, Phases) else most
        means = voxels(sampled, lower, sides, (count,) * len(sides))
    return correctors(means, lower, sides, _MOST_ITERATIONS)


def _correctors_of_matrix(sampled: Sampled, lower: np.ndarray, sides: np.ndarray) -> Correctors:
    """By trigonometric polynomials, which stand at points of a grid; the weight of the walkers is tr A / d."""
    size, dimension = _OF_MATRICES[len(sides)], len(sides)
    bounds, found = spectral_correctors(sampled, lower, sides, size, _MOST_ITERATIONS)
    values = sampled(_grid(lower, sides, size))
    weight = np.trace(values, axis1=-2, axis2=-1).ravel() / dimension / size**dimension
    return Correctors(lower, sides, found, delay(found, weight), 2 * bounds.gap, exact=False)


def _correctors_of_stirred(problem: Problem, sampled: Sampled, lower: np.ndarray, sides: np.ndarray) -> Correctors:
    """Those of the walk with the velocity; what they lack is the distance of a* on two grids."""
    operator, sizes = problem.operator, _OF_STIRRED[len(sides)]
    coarse, fine = (
        stirred(sampled, operator.velocity_at, lower, sides, size, _MOST_ITERATIONS_OF_STIRRED) for size in sizes
    )
    weight = operator.coefficient_at(_grid(lower, sides, sizes[1])).ravel() / sizes[1] ** len(sides)
    lags = delay_of_both(fine.correctors, fine.backwards, weight)
    lack = relative_size(fine.tensor - coarse.tensor, fine.tensor)
    values = fine.correctors
    for axis in range(len(sides)):
        values = np.asarray(resample(values, _OF_MATRICES[len(sides)], axis=axis + 1))
    return Correctors(lower, sides, values, lags, lack, exact=False)


def _grid(lower: np.ndarray, sides: np.ndarray, size: int) -> np.ndarray:
    """Evenly spaced points of a cell, from its corner on."""
    return tensor_grid([low + side * np.arange(size) / size for low, side in zip(lower, sides, strict=True)])


def tolerance(problem: Problem) -> float:
    """The relative estimate at which a* is accurate enough."""
    if problem.operator.jumps:
        return _JUMP_TOLERANCE
    return TOLERANCE if problem.operator.field is None else _FIELD_TOLERANCE


def cell_sides(problem: Problem) -> np.ndarray | None:
    """The sides of a period of the coefficient, shape (d,), or None.

    Of a field that continues periodically over the faces of the domain, and enters the coefficient together with no
    coordinate, that is the whole domain.
    """
    if problem.cell is not None:
        return problem.cell.sides
    field, box = problem.operator.field, problem.domain
    if field is None or not field.periodic or problem.operator.names & set(problem.operator.coefficient.axes):
        return None
    return box.sides if (field.lower, field.upper) == (box.lower, box.upper) else None


def _positive(problem: Problem, u: float) -> Sampled:
    def sampled(points: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            coefficient = problem.operator.values_at(points, u)
            least = (coefficient if problem.operator.tensor is None else least_eigenvalues(coefficient)).min()
        if not (np.isfinite(coefficient).all() and (least > 0 or (least == 0 and problem.operator.jumps))):
            raise ValueError(f"the coefficient is not positive at u={u:.4g}")
        return coefficient

    return sampled


def _best(
    problem: Problem, sampled: Sampled, lower: np.ndarray, sides: np.ndarray, u: float, most_points: int
) -> Bounds:
    """The closest bounds that are affordable."""
    dimension, wanted = problem.dimension, tolerance(problem)
    slopes = slopes_of_log(problem, u)
    least = max(density.largest * side for density, side in zip(slopes, sides, strict=True)) / _CHANGE_A_STEP
    best, work = _NOTHING, 0.0
    for size in _SIZES:
        points = size**dimension
        most = min(_MOST_ITERATIONS, int((_MOST_WORK - work) / (dimension * points)))
        beyond = dimension == 2 and problem.operator.field is None and size > _FORMULA_SIZE and best.gap > _CLOSE
        if points > most_points or most < 20 or beyond:
            break
        if size < least:
            continue
        bounds = spectral_bounds(sampled, lower, sides, size, most)
        work += bounds.iterations * points
        stopped = bounds.iterations >= dimension * most
        useless = stopped and (dimension == 2 or bounds.gap > best.gap / 2)
        best = min(best, bounds, key=lambda bounds: bounds.gap)
        if best.gap <= wanted or useless:
            break
    if best.gap > wanted and dimension == 2:
        for edges in _grids(problem, slopes, lower, sides, most_points):
            best = min(best, element_bounds(sampled, edges), key=lambda bounds: bounds.gap)
            if best.gap <= wanted:
                break
    if best is _NOTHING:  # three dimensions or four, and rough
        best = spectral_bounds(sampled, lower, sides, _SIZES[2 if dimension == 3 else 0], _MOST_ITERATIONS)
    return best


def _grids(
    problem: Problem, slopes: Sequence[Density], lower: np.ndarray, sides: np.ndarray, most_points: int
) -> list[list[np.ndarray]]:
    """Finer and finer edges of cells, denser where log a changes along an axis; of a spline, at its knots."""
    grids = []
    if problem.operator.field is not None:
        counts = [count // max(1, round(count / 80)) for count in problem.operator.field.intervals]
        grids = [[np.linspace(low, low + side, n + 1) for low, side, n in zip(lower, sides, counts, strict=True)]]
    else:
        for cells, change in _ELEMENTS:
            densities = [
                Density(density.edges, np.maximum(density.values / change, cells / side))
                for density, side in zip(slopes, sides, strict=True)
            ]
            grids.append([graded(density, 1.0) for density in densities])
    numbers = [(first.size - 1) * (second.size - 1) for first, second in grids]
    affordable = [n <= min(_MOST_CELLS, most_points // 16) for n in numbers]
    return [grid for grid, allowed in zip(grids, affordable, strict=True) if allowed] or grids[:1]
