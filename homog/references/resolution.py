"""How fine the meshes must be."""

from dataclasses import replace
from math import ceil, inf

from homog.config import FEMReference
from homog.problems import Problem
from homog.problems.problem import FIELD
from homog.references.lattice import Lattice

# Degree and cells an axis for u_0 and u_mean, for each dimension: with f = 10, u_0 of the unit square is then 3e-8
# off, that of the cube 1e-6. Corners limit it: the error falls like the third power of the width of the cells.
_SMOOTH = {1: (4, 64), 2: (4, 64), 3: (3, 20)}
_MOST_ENTRIES = 2**31 - 1  # PETSc counts them with 32 bits
_ROW = 6**2  # entries a row at degree 4 in two dimensions: what max_unknowns is meant for


def fine_lattices(problem: Problem, settings: FEMReference) -> tuple[Lattice, Lattice] | None:
    """The discretisation for u_eps, and a second, less accurate one for its error estimate.

    A whole and even number of cells to a period puts the same places of each period on nodes, which a coefficient with
    its extrema there rewards. The second discretisation has the same cells and one degree less (at degree 1: half
    the cells), hence an error several times as large, of the same sign (Galerkin's energy comes from one side):
    the distance of the two is about the second one's error and bounds the first one's.
    Measured for the paper's coefficient, relative L2 on the 501 x 501 grid against degree 8 with six cells a period
    (eps = 0.05) and degree 6 with four (0.01):

        cells a period, degree    4, 3     4, 4     4, 5     6, 3     6, 4
        eps = 0.05                2.4e-4   6.8e-5   2.6e-5   7.5e-5   3.2e-5
        eps = 0.01                2.1e-4   4.4e-5   1.0e-5   5.1e-5

    Of a field the correlation length takes the period's place. Measured for one like the paper's (section 4.3: 4 to
    118 periods a side, amplitudes 1/|k|, correlation length 0.0135, values from 0.1 to 1.9), against degree 5 with
    six cells a length:

        cells a length, degree    2, 3     2, 4     3, 3     3, 4     4, 2     4, 3     4, 4
                                  1.4e-4   3.0e-5   2.9e-5   4.7e-6   9.3e-5   9.6e-6   1.2e-6

    Returns:
        Both, or None where `max_unknowns` does not allow `cells_per_period`. The cells are refined to `min_cells` on
        the longest side where that is possible (in one dimension to its square, in three to an eighth of it).
    """
    sides, degree = problem.domain.sides, settings.degree
    length = _fine_scale(problem)
    periods = [max(1.0, float(side) / length) for side in sides]
    least = {1: settings.min_cells**2, 2: settings.min_cells, 3: settings.min_cells / 8}[problem.dimension]
    refined = 2 * ceil(least / max(periods) / 2)
    for a_period in (max(settings.cells_per_period, refined), settings.cells_per_period):
        cells = tuple(ceil(count * a_period - 1e-9) for count in periods)
        main = Lattice(problem.domain.lower, problem.domain.upper, cells, degree)
        if main.entries <= min(_MOST_ENTRIES, _ROW * settings.max_unknowns):
            if degree > 1:
                return main, replace(main, degree=degree - 1)
            return main, replace(main, cells=tuple(ceil(count / 2) for count in cells))
    return None


def smooth_lattice(problem: Problem, settings: FEMReference) -> Lattice | None:
    """The discretisation for u_0 and u_mean, or None where their data oscillate too fast for any.

    Where f or g vary with eps it is that of u_eps.
    """
    if "eps" not in problem.forcing.names | problem.boundary.names:
        degree, cells = _SMOOTH[problem.dimension]
        return Lattice(problem.domain.lower, problem.domain.upper, (cells,) * problem.dimension, degree)
    fine = fine_lattices(problem, settings)
    return fine[0] if fine else None


def _fine_scale(problem: Problem) -> float:
    """The length on which the coefficient or the data vary fastest; infinite where the formulas name none.

    That u names the fine scale too changes nothing: it varies as the coefficient does, and by little.
    """
    coefficient = problem.coefficient.names
    scales = [inf]
    if problem.period is not None and coefficient & set(problem.coefficient.axes):
        scales.append(problem.period)
    if FIELD in coefficient:
        scales.append(problem.scale)
    if "eps" in coefficient | problem.forcing.names | problem.boundary.names:
        scales.append(problem.scale)
    return min(scales)
