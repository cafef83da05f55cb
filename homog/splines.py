"""Cubic splines on regular grids: how a function that has no formula is known between its nodes.

A random field and the current network are read through these by walkers, finite elements and baselines alike, so all
of them see one function with continuous second derivatives.
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
class CubicSpline:
    """A tensor product of cubic B-splines on a box whose sides are cut into equal intervals.

    Attributes:
        lower: Lower corner of the box, d numbers.
        upper: Upper corner.
        coefficients: Of the B-splines, m + 3 along an axis of m intervals; float64.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    coefficients: Float64[np.ndarray, "..."]

    @property
    def intervals(self) -> tuple[int, ...]:
        """Number of intervals on each axis."""
        return tuple(count - 3 for count in self.coefficients.shape)

    @property
    def periodic(self) -> bool:
        """Whether it continues itself smoothly over opposite faces of the box."""
        return all(
            np.array_equal(moved[:3], moved[-3:])
            for moved in (np.moveaxis(self.coefficients, axis, 0) for axis in range(self.coefficients.ndim))
        )

    def __call__(self, points: Float[np.ndarray, "*batch d"]) -> Float64[np.ndarray, "*batch"]:
        """Values at points of the box, shape (..., d)."""
        return self._basis(points)

    def gradient(self, points: Float[np.ndarray, "*batch d"]) -> Float64[np.ndarray, "*batch d"]:
        """Partial derivatives at points of the box, shape (..., d)."""
        orders = np.eye(len(self.lower), dtype=int)
        return np.stack([self._basis(points, nu=tuple(order)) for order in orders], axis=-1)

    def hessian(self, points: Float[np.ndarray, "*batch d"]) -> Float64[np.ndarray, "*batch d d"]:
        """Second partial derivatives at points of the box, shape (..., d, d): of order h^2, continuous."""
        dimension = len(self.lower)
        found = np.empty((*points.shape, dimension))
        for i, j in itertools.combinations_with_replacement(range(dimension), 2):
            order = np.eye(dimension, dtype=int)[i] + np.eye(dimension, dtype=int)[j]
            found[..., i, j] = found[..., j, i] = self._basis(points, nu=tuple(order))
        return found

    @cached_property
    def _basis(self) -> Any:
        knots = [
            low + (high - low) / count * np.arange(-3, count + 4)
            for low, high, count in zip(self.lower, self.upper, self.intervals, strict=True)
        ]
        return scipy.interpolate.NdBSpline(tuple(knots), self.coefficients, 3)


def interpolate(
    values: Float[np.ndarray, "..."], lower: Sequence[float], upper: Sequence[float], *, periodic: bool = False
) -> CubicSpline:
    """The spline through values on a tensor grid; the error of a smooth function is O(h^4), of its slope O(h^3).

    Args:
        values: On equidistant nodes, x1 along the first index. Both ends are nodes; of a periodic function the upper
            end is left out. At least 4 along each axis.
        lower: Lower corner of the box.
        upper: Upper corner.
        periodic: Continue periodically, instead of by the not-a-knot condition.
    """
    values = np.asarray(values, dtype=np.float64)
    if periodic:
        coefficients = scipy.ndimage.spline_filter(values, order=3, mode="grid-wrap")
        coefficients = np.pad(coefficients, [(1, 2)] * values.ndim, mode="wrap")
    else:
        coefficients = values
        for axis, count in enumerate(values.shape):
            moved = np.tensordot(not_a_knot(count), coefficients, axes=(1, axis))
            coefficients = np.moveaxis(moved, 0, axis)
    return CubicSpline(tuple(lower), tuple(upper), np.ascontiguousarray(coefficients))


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
