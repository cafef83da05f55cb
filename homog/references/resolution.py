"""How fine the meshes must be."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import reduce
from math import ceil, inf
from typing import NamedTuple

import numpy as np

from homog.config import FEMReference
from homog.equation import Problem
from homog.equation.density import Density, graded, joined, repeated
from homog.equation.lengths import Lengths, shortest_length
from homog.equation.operator import FIELD
from homog.equation.velocities import parts_of_velocity, with_velocity
from homog.references.lattice import Lattice

# Degree and cells an axis for u_0 and u_mean, for each dimension: with f = 10, u_0 of the unit square is then 3e-8
# off, that of the cube 1e-6. Corners limit it: the error falls like the third power of the width of the cells.
_SMOOTH = {1: (4, 64), 2: (4, 64), 3: (3, 20)}
_MOST_ENTRIES = 2**31 - 1  # PETSc counts them with 32 bits
_ROW = 6**2  # entries a row at degree 4 in two dimensions: what max_unknowns is meant for

_RESOLVED = 4.6  # change of log a on a cell of degree 4 up to which equal cells are left as they are: a factor 100
_CHANGES = (1.0, 2.0, _RESOLVED)  # what is aimed at where they are not, as far as the number of unknowns stays below
_ACROSS_LAYERS = 2.0  # change of the exponent b x / a on a cell: layers may be anywhere, and all cells are as small
_CHEAP = 1_500_000
_WORTH = 4_000_000  # unknowns beyond which a lower degree is taken
_AT_JUMPS = 2  # the degree: a higher one is not more accurate
_GROWTH = 0.7  # of the width of cells along an axis
_DATA = 2.0  # a forcing that is not a wave takes more cells a length than one


class Meshes(NamedTuple):
    """The discretisations of u_eps and of its estimate.

    Attributes:
        main: That of u_eps.
        second: A less accurate one.
        third: One that is less accurate still, where the order is not known beforehand and has to be observed.
        resolved: Whether the coarsest cells resolve what was found in the problem.
        notes: What has to be said about them.
    """

    main: Lattice
    second: Lattice
    third: Lattice | None = None
    resolved: bool = True
    notes: tuple[str, ...] = ()


def fine_lattices(problem: Problem, settings: FEMReference) -> Meshes | None:
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

    Such equal cells are taken where they resolve what `shortest_length` finds: `cells_per_period` of them to each wave
    in a phase, and log a changing by at most 4.6 on a cell, as well as the exponent b x / a of a velocity's layers.
    Elsewhere the cells of each axis follow what varies along it, where it does, and a third discretisation shows how
    fast the errors fall.

    Returns:
        The meshes, or None where `max_unknowns` does not allow `cells_per_period`. Equal cells are refined to
        `min_cells` on the longest side where that is possible (in one dimension to its square, in three to an eighth).
    """
    if problem.operator.jumps:
        return _across_jumps(problem, settings)
    usual = _equal_cells(problem, settings)
    lengths = shortest_length(problem)
    if usual is not None and _resolves(usual, lengths, settings.cells_per_period):
        return Meshes(usual, _less_accurate(usual))
    found = _following(problem, settings, lengths)
    if found is not None:
        return found
    if usual is None and problem.operator.field is None:
        return None
    return _affordable(problem, settings, lengths)


def _across_jumps(problem: Problem, settings: FEMReference) -> Meshes:
    """As many equal cells as are worth it: an interface passes through them, and the error falls like their width.

    A multiple of four to a period, if possible, so that a quarter of a period ends on an edge in the coarser meshes.
    """
    degree = min(_AT_JUMPS, settings.degree)
    length, sides = min(_fine_scale(problem), float(problem.domain.sides.max())), problem.domain.sides
    unknowns = min(_CHEAP, settings.max_unknowns)
    a_length = length * (unknowns / float(np.prod(sides))) ** (1 / problem.dimension) / degree
    a_period = 4 * int(a_length / 4) if a_length >= 4 else a_length
    cells = [max(4, round(a_period * side / length)) for side in sides]
    main = Lattice(problem.domain.lower, problem.domain.upper, tuple(cells), degree)
    second = main.coarser()
    note = "the coefficient jumps within cells of the mesh: the error of u_eps falls like their width"
    resolved = a_period >= settings.cells_per_period
    return Meshes(main, second, second.coarser(), resolved, (note,))


def smooth_lattice(problem: Problem, settings: FEMReference) -> Lattice | None:
    """The discretisation for u_0 and u_mean, or None where the data vary and no mesh resolves them.

    Where f, c or g vary with eps it is that of u_eps; otherwise its cells are as small as these and a velocity ask for.

    A velocity that stirs is not in these equations.
    """
    if "eps" in problem.data_names:
        fine = fine_lattices(problem, settings)
        return fine.main if fine else None
    parts = parts_of_velocity(problem)
    problem = with_velocity(problem, None if parts is None else parts.carrying)
    degree, cells = _SMOOTH[problem.dimension]
    usual = Lattice(problem.domain.lower, problem.domain.upper, (cells,) * problem.dimension, degree)
    lengths = shortest_length(problem)
    layers = [_constant(problem, i, layer / _ACROSS_LAYERS) for i, layer in enumerate(lengths.layers)]
    data = [joined(*pair) for pair in zip(_of_data(lengths, 4.0), layers, strict=True)]
    if all(density.largest * side <= cells for density, side in zip(data, problem.domain.sides, strict=True)):
        return usual
    least = [_constant(problem, i, cells / side) for i, side in enumerate(problem.domain.sides)]
    found = _lattice(problem, [joined(*pair) for pair in zip(data, least, strict=True)], degree)
    return found if _fits(found, settings.max_unknowns) else _reduced(found, settings.max_unknowns)


def _equal_cells(problem: Problem, settings: FEMReference) -> Lattice | None:
    sides = problem.domain.sides
    length = _fine_scale(problem)
    periods = [max(1.0, float(side) / length) for side in sides]
    refined = 2 * ceil(_least_cells(problem, settings) / max(periods) / 2)
    for a_period in (max(settings.cells_per_period, refined), settings.cells_per_period):
        cells = tuple(ceil(count * a_period - 1e-9) for count in periods)
        main = Lattice(problem.domain.lower, problem.domain.upper, cells, settings.degree)
        if _fits(main, settings.max_unknowns):
            return main
    return None


def _resolves(lattice: Lattice, lengths: Lengths, a_period: float) -> bool:
    """Whether every cell of a lattice is small against what varies."""
    a_wave = 2 * np.pi / a_period * (1 + 1e-6)
    for width, slopes, layer, wave, curvature, data_wave in zip(
        lattice.widest,
        lengths.slopes,
        lengths.layers,
        lengths.waves,
        lengths.curvature,
        lengths.data_waves,
        strict=True,
    ):
        if max(slopes.largest, layer) * width > _RESOLVED or max(wave, curvature.largest, data_wave) * width > a_wave:
            return False
    return True


def _following(problem: Problem, settings: FEMReference, lengths: Lengths) -> Meshes | None:
    """Cells that follow the lengths of each axis, of the highest degree that is worth its price."""
    least = [
        max(1, int(_uniformly(problem, settings, lengths, i) * side)) for i, side in enumerate(problem.domain.sides)
    ]
    if not _fits(Lattice(problem.domain.lower, problem.domain.upper, tuple(least), 1), settings.max_unknowns):
        return None
    tried = []
    for degree in range(settings.degree, 0, -1):
        tried += [_lattice(problem, _densities(problem, settings, lengths, change), degree) for change in _CHANGES]
        if problem.operator.field is None:
            break
    affordable = [lattice for lattice in tried if _fits(lattice, settings.max_unknowns)]
    if not affordable:
        return None
    best = next(
        (
            lattice
            for most, degree in ((_CHEAP, 3), (_WORTH, 2))
            for lattice in affordable
            if _fits(lattice, most) and lattice.degree >= min(degree, settings.degree)
        ),
        affordable[-1],
    )
    return _compared(best, settings, resolved=True)


def _affordable(problem: Problem, settings: FEMReference, lengths: Lengths) -> Meshes:
    """What fits, though it resolves less than it should."""
    densities = _densities(problem, settings, lengths, _RESOLVED)
    lattice = _reduced(_lattice(problem, densities, min(2, settings.degree)), settings.max_unknowns)
    return _compared(lattice, settings, resolved=False)


def _compared(main: Lattice, settings: FEMReference, resolved: bool) -> Meshes:
    second = _less_accurate(main)
    notes = []
    if resolved and main.degree < settings.degree:
        notes.append(
            f"reference.degree={settings.degree} takes more than it is worth on {_by(main.cells)} cells:"
            f" u_eps has degree {main.degree}"
        )
    if not resolved:
        notes.append(
            f"reference.max_unknowns={settings.max_unknowns} allows {_by(main.cells)} cells, which do not resolve the"
            f" problem with reference.cells_per_period={settings.cells_per_period:g}: see the estimate of u_eps"
        )
    return Meshes(main, second, _less_accurate(second), resolved, tuple(notes))


def _by(cells: Sequence[int]) -> str:
    return " x ".join(map(str, cells))


def _less_accurate(lattice: Lattice) -> Lattice:
    return replace(lattice, degree=lattice.degree - 1) if lattice.degree > 1 else lattice.coarser()


def _densities(problem: Problem, settings: FEMReference, lengths: Lengths, change: float) -> list[Density]:
    """Cells a unit length along each axis."""
    data, found = _of_data(lengths, settings.cells_per_period), []
    for axis, slopes in enumerate(lengths.slopes):
        varies = slopes.largest > 0
        along = replace(slopes, values=slopes.values / change)
        if problem.cell is not None:
            along = repeated(along, float(problem.cell.sides[axis]), problem.domain.upper[axis])
        layers = _constant(problem, axis, lengths.layers[axis] / max(change, _ACROSS_LAYERS))
        parts = [along, layers, data[axis], _constant(problem, axis, _uniformly(problem, settings, lengths, axis))]
        if not varies:
            others = np.delete(lengths.of_coefficient, axis)
            if others.size and np.isfinite(others.min()):
                parts.append(_towards_faces(problem, axis, float(others.min()), settings.cells_per_period))
        found.append(reduce(joined, parts))
    return found


def _uniformly(problem: Problem, settings: FEMReference, lengths: Lengths, axis: int) -> float:
    """Cells a unit length that `min_cells`, waves and the problem's scale ask for along a whole axis."""
    varies, least = lengths.slopes[axis].largest > 0, _least_cells(problem, settings)
    if not varies:  # the solution is smooth along it but for its ends
        least = min(least, _SMOOTH[problem.dimension][1])
    scale = _fine_scale(problem) if varies and problem.operator.field is None else inf
    wave = max(2 * np.pi / scale, lengths.waves[axis])
    return max(least / float(problem.domain.sides.max()), settings.cells_per_period * wave / (2 * np.pi))


def _of_data(lengths: Lengths, a_period: float) -> list[Density]:
    return [
        replace(curvature, values=np.maximum(_DATA * curvature.values, wave) * a_period / (2 * np.pi))
        for curvature, wave in zip(lengths.curvature, lengths.data_waves, strict=True)
    ]


def _constant(problem: Problem, axis: int, value: float) -> Density:
    return Density(np.array([problem.domain.lower[axis], problem.domain.upper[axis]]), np.array([value]))


def _towards_faces(problem: Problem, axis: int, length: float, a_period: float) -> Density:
    """Cells of the size of a layer's thickness at the faces where the layers end, and wider inside.

    A solution that oscillates along the other axes only meets its boundary values on these faces, in a boundary layer
    as thick as a wave is long.
    """
    low, side = problem.domain.lower[axis], float(problem.domain.sides[axis])
    distance = np.concatenate([[0.0], np.geomspace(min(length, side / 4), side / 2, 24)])
    edges = low + np.concatenate([distance, side - distance[-2::-1]])
    inside = np.minimum(edges[:-1] - low, low + side - edges[1:]).clip(0)
    return Density(edges, a_period / 2 / (length + inside))


def _lattice(problem: Problem, densities: Iterable[Density], degree: int) -> Lattice:
    edges = []
    for axis, density in enumerate(densities):
        along = graded(density, _GROWTH)
        field = problem.operator.field
        intervals = inf if field is None or (field.tiled and field.degree) else field.intervals[axis]
        if along.size - 1 >= 0.7 * intervals:  # cells that end where the pieces of the spline do
            low, high = problem.domain.lower[axis], problem.domain.upper[axis]
            along = np.linspace(low, high, int(intervals) * max(1, ceil((along.size - 1) / intervals - 0.25)) + 1)
        edges.append(tuple(along.tolist()))
    cells = tuple(len(along) - 1 for along in edges)
    return Lattice(problem.domain.lower, problem.domain.upper, cells, degree, tuple(edges))


def _reduced(lattice: Lattice, most: int) -> Lattice:
    """Fewer cells, spread likewise, as many as fit."""
    assert lattice.edges is not None
    while not _fits(lattice, most):
        edges = tuple(
            tuple(np.interp(np.linspace(0, 1, max(2, int(0.9 * len(x)))), np.linspace(0, 1, len(x)), x).tolist())
            for x in lattice.edges or ()
        )
        lattice = replace(lattice, edges=edges, cells=tuple(len(x) - 1 for x in edges))
    return lattice


def _fits(lattice: Lattice, most_unknowns: int) -> bool:
    return lattice.entries <= min(_MOST_ENTRIES, _ROW * most_unknowns)


def _least_cells(problem: Problem, settings: FEMReference) -> float:
    return {1: settings.min_cells**2, 2: settings.min_cells, 3: settings.min_cells / 8}[problem.dimension]


def _fine_scale(problem: Problem) -> float:
    """The length on which coefficient, velocity or data vary fastest; infinite where the formulas name none.

    That u names the fine scale too changes nothing: it varies as the coefficient does, and by little.
    """
    coefficient, velocity = problem.operator.names, problem.operator.velocity or ()
    scales = [inf]
    if problem.cell is not None and coefficient & set(problem.operator.coefficient.axes):
        scales.append(float(problem.cell.sides.min()))
    if FIELD in coefficient:
        scales.append(problem.scale)
    if "eps" in coefficient.union(problem.data_names, *(part.names for part in velocity)):
        scales.append(problem.scale)
    return min(scales)
