"""Splines on regular grids: how a function that has no formula is known between its nodes.

A random field and the current network are read through these by walkers, finite elements and baselines alike, so all
of them see one function: of degree 3 one with continuous second derivatives, of degree 1 one that stays between the
values on the nodes.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import scipy.interpolate
import scipy.ndimage
from jaxtyping import Float, Float64


@dataclass(frozen=True, eq=False)
class Spline:
    """A tensor product of B-splines on a box whose sides are cut into equal intervals.

    Attributes:
        lower: Lower corner of the box, d numbers.
        upper: Upper corner.
        coefficients: Coefficients of the B-splines, m + degree along an axis of m intervals; float64. Its values are
            means of those around, which bound it.
        degree: 3, or 1 for multilinear interpolation, whose coefficients are the values on the nodes.
        tiled: Whether the box is a cell that is repeated along each axis; it is `periodic` then.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    coefficients: Float64[np.ndarray, "..."]
    degree: int = 3
    tiled: bool = False

    @property
    def intervals(self) -> tuple[int, ...]:
        """Number of intervals on each axis."""
        return tuple(count - self.degree for count in self.coefficients.shape)

    @property
    def nodes(self) -> Float64[np.ndarray, "..."]:
        """Values on the nodes, both ends of each axis among them, x1 along the first index."""
        values = self.coefficients
        for axis in range(values.ndim) if self.degree == 3 else ():
            moved = np.moveaxis(values, axis, 0)
            values = np.moveaxis((moved[:-2] + 4 * moved[1:-1] + moved[2:]) / 6, 0, axis)
        return values

    @property
    def periodic(self) -> bool:
        """Whether it continues itself smoothly over opposite faces of the box."""
        return all(
            np.array_equal(moved[: self.degree], moved[-self.degree :])
            for moved in (np.moveaxis(self.coefficients, axis, 0) for axis in range(self.coefficients.ndim))
        )

    @property
    def range(self) -> tuple[float, float]:
        """Bounds of its values."""
        return float(self.coefficients.min()), float(self.coefficients.max())

    def varies_along(self, axis: int) -> bool:
        """Whether it is not constant along an axis, but for rounding."""
        rounding = 1e-12 * float(np.abs(self.coefficients).max())
        return float(np.ptp(self.coefficients, axis=axis).max()) > rounding

    def content(self) -> list[bytes | memoryview]:
        """What makes it the function that it is, for a digest."""
        head = repr((self.lower, self.upper, self.coefficients.shape, self.degree, *["tiled"] * self.tiled))
        return [head.encode(), self.coefficients.tobytes()]

    def __call__(self, points: Float[np.ndarray, "*batch d"]) -> Float64[np.ndarray, "*batch"]:
        """Values at points of the box, shape (..., d)."""
        return self._basis(self._in_box(points))

    def gradient(self, points: Float[np.ndarray, "*batch d"]) -> Float64[np.ndarray, "*batch d"]:
        """Partial derivatives at points of the box, shape (..., d); of degree 1 they jump from interval to interval."""
        orders = np.eye(len(self.lower), dtype=int)
        points = self._in_box(points)
        return np.stack([self._basis(points, nu=tuple(order)) for order in orders], axis=-1)

    def hessian(self, points: Float[np.ndarray, "*batch d"]) -> Float64[np.ndarray, "*batch d d"]:
        """Second partial derivatives of degree 3 at points of the box, shape (..., d, d): of order h^2, continuous."""
        dimension, points = len(self.lower), self._in_box(points)
        found = np.empty((*points.shape, dimension))
        for i, j in itertools.combinations_with_replacement(range(dimension), 2):
            order = np.eye(dimension, dtype=int)[i] + np.eye(dimension, dtype=int)[j]
            found[..., i, j] = found[..., j, i] = self._basis(points, nu=tuple(order))
        return found

    def _in_box(self, points: Float[np.ndarray, "*batch d"]) -> Float[np.ndarray, "*batch d"]:
        """The same places of the one cell."""
        if not self.tiled:
            return points
        sides = np.subtract(self.upper, self.lower)
        share = (points - self.lower) / sides
        return np.minimum(self.lower + (share - np.floor(share)) * sides, self.upper)

    @cached_property
    def _basis(self) -> Any:
        knots = [
            low + (high - low) / count * np.arange(-self.degree, count + self.degree + 1)
            for low, high, count in zip(self.lower, self.upper, self.intervals, strict=True)
        ]
        return scipy.interpolate.NdBSpline(tuple(knots), self.coefficients, self.degree)


def interpolate(
    values: Float[np.ndarray, "..."],
    lower: Sequence[float],
    upper: Sequence[float],
    *,
    periodic: bool = False,
    degree: int = 3,
    tiled: bool = False,
) -> Spline:
    """The spline through values on a tensor grid; the error of a smooth function is O(h^(degree + 1)).

    Args:
        values: On equidistant nodes, x1 along the first index. Both ends are nodes; of a periodic function the upper
            end is left out. At least 4 along each axis.
        lower: Lower corner of the box.
        upper: Upper corner.
        periodic: Continue periodically, instead of by the not-a-knot condition.
        degree: 3, or 1.
        tiled: Whether the box is a cell that is repeated: of a periodic function.
    """
    values = np.asarray(values, dtype=np.float64)
    if degree == 1:
        coefficients = np.pad(values, [(0, 1)] * values.ndim, mode="wrap") if periodic else values
    elif periodic:
        coefficients = scipy.ndimage.spline_filter(values, order=3, mode="grid-wrap")
        coefficients = np.pad(coefficients, [(1, 2)] * values.ndim, mode="wrap")
    else:
        coefficients = values
        for axis, count in enumerate(values.shape):
            moved = np.tensordot(not_a_knot(count), coefficients, axes=(1, axis))
            coefficients = np.moveaxis(moved, 0, axis)
    return Spline(tuple(lower), tuple(upper), np.ascontiguousarray(coefficients), degree, tiled)


@cache
def not_a_knot(count: int) -> Float64[np.ndarray, "coefficients nodes"]:
    """The matrix that takes values on `count` nodes to the count + 2 coefficients of one axis.

    A B-spline is 1/6, 4/6, 1/6 at its inner knots. The two conditions that are left make the third derivative
    continuous at the first and the last inner node: a fourth difference of coefficients is zero.
    """
    system = np.zeros((count + 2, count + 2))
    node = np.arange(count)
    for shift, weight in enumerate((1 / 6, 4 / 6, 1 / 6)):
        system[node + 1, node + shift] = weight
    system[0, :5] = system[-1, -5:] = (1, -4, 6, -4, 1)
    return np.ascontiguousarray(np.linalg.inv(system)[:, 1:-1])
