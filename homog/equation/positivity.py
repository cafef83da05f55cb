"""Whether a coefficient made of a field is positive everywhere: on the spline itself, not on its nodes or a sample.

On a cell of its grid a spline lies between the least and the largest of the coefficients of the B-splines there. With
these ranges interval arithmetic bounds the formula. Where that does not show it to be positive, the cell is taken in
Bezier form, whose bounds are closer, and halved along each axis, by which they converge of second order (de Casteljau).
"""

import functools
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.optimize import minimize

from homog.equation.operator import FIELD, SOLUTION
from homog.equation.statement import Statement
from homog.fields.splines import Spline
from homog.formula.bounds import Range, bounds
from homog.formula.evaluate import NUMPY, evaluate
from homog.formula.parse import symbol

_SLAB = 2**18  # cells bounded at once
_PIECES = 2**21  # coefficients of pieces in hand at once
_MOST_SEARCHED = 2**26  # coefficients of pieces in all: some ten seconds
_MANY = 0.02  # of the cells of a slab
_DEPTH = 12  # halvings of a cell: 4096 along an axis
_BEZIER = {  # from the coefficients of B-splines
    1: np.eye(2),
    3: np.array([[1, 4, 1, 0], [0, 4, 2, 0], [0, 2, 4, 0], [0, 1, 4, 1]]) / 6,
}
_LOWER_HALF = {1: np.array([[2, 0], [1, 1]]) / 2,
               3: np.array([[8, 0, 0, 0], [4, 4, 0, 0], [2, 4, 2, 0], [1, 3, 3, 1]]) / 8}  # fmt: skip

_log = logging.getLogger("homog")


@dataclass(frozen=True)
class Lowest:
    """A place where the coefficient is not positive.

    Attributes:
        place: Shape (d,).
        value: Value of the coefficient there.
        field: Value of the spline there.
    """

    place: Float64[np.ndarray, " d"]
    value: float
    field: float


def not_positive(problem: Statement) -> Lowest | None:
    """Where the coefficient of a problem with a field is not positive, for u as the boundary value; None for nowhere.

    Where neither is shown within 12 halvings of a cell, as for a coefficient that touches zero, that is None too.
    """
    formula = problem.operator.coefficient.expression.xreplace({symbol(SOLUTION): problem.boundary.value.expression})
    spline = problem.operator.field
    assert isinstance(spline, Spline)
    ranges: dict[str, Range] = {name: (value, value) for name, value in problem.parameters.items()}
    ends = zip(spline.lower, spline.upper, strict=True)
    everywhere: dict[str, Range] = {**ranges, **dict(zip(problem.operator.coefficient.axes, ends, strict=True))}
    everywhere[FIELD] = spline.coefficients.min(), spline.coefficients.max()
    if bounds(formula, everywhere)[0] > 0:
        return None
    left = _MOST_SEARCHED
    for cells in _doubtful_cells(formula, ranges, problem, spline):
        size = max(1, _PIECES // (spline.degree + 1) ** problem.dimension)
        for part in np.array_split(cells, -(-len(cells) // size)):
            lowest, searched = _searched(formula, ranges, problem, _Pieces.of(spline, part))
            if lowest is not None:
                return _descended(problem, spline, lowest)
            left -= searched
            if left < 0:
                _log.info("the coefficient is positive where it was looked at; everywhere is more than could be shown")
                return None
    return None


def _doubtful_cells(
    formula: Any, ranges: Mapping[str, Range], problem: Statement, spline: Spline
) -> Iterator[np.ndarray]:
    """Indices of the cells, shape (n, d), on which the coefficients do not show the formula to be positive."""
    counts = spline.intervals
    thickness = max(1, _SLAB // int(np.prod(counts[1:], initial=1)))
    for first in range(0, counts[0], thickness):
        slab = spline.coefficients[first : first + thickness + spline.degree]
        here: dict[str, Range] = {**ranges, FIELD: _range_of_cells(slab, spline.degree)}
        for axis, name in enumerate(problem.operator.coefficient.axes):
            shape = [1] * slab.ndim
            shape[axis] = -1
            start = np.arange(slab.shape[axis] - spline.degree) + (first if axis == 0 else 0)
            step = (spline.upper[axis] - spline.lower[axis]) / counts[axis]
            edge = (spline.lower[axis] + step * start).reshape(shape)
            here[name] = edge, edge + step
        shape = tuple(count - spline.degree for count in slab.shape)
        doubtful = np.broadcast_to(~(bounds(formula, here)[0] > 0), shape)
        if doubtful.mean() > _MANY:  # as for nodes without correlation
            here[FIELD] = _close_range_of_cells(slab, spline.degree)
            doubtful = np.broadcast_to(~(bounds(formula, here)[0] > 0), shape)
        if doubtful.any():
            yield np.argwhere(doubtful) + np.array([first] + [0] * (slab.ndim - 1))


def _range_of_cells(slab: np.ndarray, degree: int) -> Range:
    """The least and the largest coefficient around each cell."""
    low, high = slab, slab
    for axis in range(slab.ndim):
        ends = [(_shifted(low, axis, n, degree), _shifted(high, axis, n, degree)) for n in range(degree + 1)]
        low = functools.reduce(np.minimum, (least for least, _ in ends))
        high = functools.reduce(np.maximum, (most for _, most in ends))
    return low, high


def _close_range_of_cells(slab: np.ndarray, degree: int) -> Range:
    """The same of the Bezier form: closer, and 4^d sums instead of 4 d comparisons."""
    first, *others = _bezier(slab, degree, 0)
    return functools.reduce(np.minimum, others, first), functools.reduce(np.maximum, others, first)


def _bezier(values: np.ndarray, degree: int, axis: int) -> list[np.ndarray]:
    """The coefficients of the Bezier form of each cell, along this axis and those after it."""
    if axis == values.ndim:
        return [values]
    found = []
    for weights in _BEZIER[degree]:
        parts = (weight * _shifted(values, axis, n, degree) for n, weight in enumerate(weights) if weight)
        found += _bezier(functools.reduce(np.add, parts), degree, axis + 1)
    return found


def _shifted(values: np.ndarray, axis: int, shift: int, degree: int) -> np.ndarray:
    count = values.shape[axis] - degree
    return values[(slice(None),) * axis + (slice(shift, shift + count),)]


@dataclass(frozen=True)
class _Pieces:
    """Parts of cells in Bezier form: lower corners and sides of shape (n, d), coefficients of shape (n, k, ..., k)."""

    corner: np.ndarray
    side: np.ndarray
    coefficients: np.ndarray

    @classmethod
    def of(cls, spline: Spline, cells: np.ndarray) -> "_Pieces":
        """Whole cells, by their indices of shape (n, d)."""
        dimension, order = cells.shape[1], spline.degree + 1
        near = np.stack(np.meshgrid(*[np.arange(order)] * dimension, indexing="ij"), axis=-1)
        index = cells.reshape(-1, *[1] * dimension, dimension) + near
        found = spline.coefficients[tuple(np.moveaxis(index, -1, 0))]
        for axis in range(1, dimension + 1):
            found = _combined(_BEZIER[spline.degree], found, axis)
        side = np.subtract(spline.upper, spline.lower) / spline.intervals
        return cls(np.asarray(spline.lower) + cells * side, np.broadcast_to(side, cells.shape), found)

    def chosen(self, which: np.ndarray) -> "_Pieces":
        """Some of them."""
        return _Pieces(self.corner[which], self.side[which], self.coefficients[which])

    def halves(self) -> "_Pieces":
        """All of them, halved along each axis."""
        dimension = self.corner.shape[1]
        lower = _LOWER_HALF[self.coefficients.shape[1] - 1]
        parts = []
        for sides in product((0, 1), repeat=dimension):
            coefficients = self.coefficients
            for axis, upper in enumerate(sides):
                coefficients = _combined(lower[::-1, ::-1] if upper else lower, coefficients, axis + 1)
            parts.append(_Pieces(self.corner + self.side / 2 * np.array(sides), self.side / 2, coefficients))
        return _Pieces(*(np.concatenate([getattr(p, name) for p in parts]) for name in vars(self)))


def _combined(matrix: np.ndarray, values: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)


def _searched(
    formula: Any, ranges: Mapping[str, Range], problem: Statement, pieces: _Pieces
) -> tuple[np.ndarray | None, int]:
    """A low place that is not positive, or None; and how many coefficients were looked at."""
    axes, dimension = problem.operator.coefficient.axes, problem.dimension
    lowest, least, searched = None, np.inf, 0
    for depth in range(_DEPTH):
        flat = pieces.coefficients.reshape(len(pieces.corner), -1)
        searched += flat.size
        here = {name: (pieces.corner[:, i], pieces.corner[:, i] + pieces.side[:, i]) for i, name in enumerate(axes)}
        doubtful = ~(bounds(formula, {**ranges, **here, FIELD: (flat.min(1), flat.max(1))})[0] > 0)
        pieces = pieces.chosen(np.broadcast_to(doubtful, len(flat)))
        if len(pieces.corner) == 0:
            break
        names = {name: pieces.corner[:, i] for i, name in enumerate(axes)}
        first = pieces.coefficients[(slice(None), *[0] * dimension)]  # the spline at the lower corner
        with np.errstate(all="ignore"):
            values = evaluate(formula, {**problem.parameters, **names, FIELD: first}, NUMPY)
        values = np.nan_to_num(np.broadcast_to(values, len(first)), nan=-np.inf)
        best = int(np.argmin(values))
        if values[best] <= 0 and values[best] < least:
            lowest, least = pieces.corner[best], values[best]
        too_many = pieces.coefficients.size << dimension > 8 * _PIECES
        if too_many or (lowest is not None and depth >= 3):  # near enough for a descent
            break
        pieces = pieces.halves()
    return lowest, searched


def _descended(problem: Statement, spline: Spline, start: np.ndarray) -> Lowest:
    """The lowest place around, within a cell."""
    side = np.subtract(spline.upper, spline.lower) / spline.intervals
    u = evaluate(
        problem.boundary.value.expression,
        {**problem.parameters, **dict(zip(problem.operator.coefficient.axes, start, strict=True))},
        NUMPY,
    )
    ends = np.clip(start - side, spline.lower, spline.upper), np.clip(start + side, spline.lower, spline.upper)
    with np.errstate(all="ignore"):
        found = minimize(
            lambda z: float(problem.operator.coefficient_at(start + side * z, u)),
            np.zeros(len(start)),
            jac=lambda z: side * problem.operator.slopes_at(start + side * z, u),
            bounds=list(zip((ends[0] - start) / side, (ends[1] - start) / side, strict=True)),
            method="L-BFGS-B",
        )
        place = start + side * found.x
        return Lowest(place, float(problem.operator.coefficient_at(place, u)), float(spline(place)))
