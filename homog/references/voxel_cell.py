"""The cell problem of a medium that jumps, on voxels: a bound from each side, as networks of conductors.

Let a be constant on each voxel. Two networks with the links of a grid enclose a*:

- Nodes in the middle of voxels, a link the two half voxels that it crosses, in series (harmonic means). This is the
  method of finite volumes. Its currents are a field without divergence, linear between opposite faces (Raviart and
  Thomas 1977), whose energy is at most that of the network: the network conducts no better than the medium.
- Nodes at the corners, a link the quarters of the voxels around it, side by side (arithmetic means). Its potential,
  continued linearly along each axis, has at most the energy of the network, which so conducts no worse.

Where an interface passes through a voxel, the first has the mean of 1/a there and the second that of a: each errs to
its own side. Holes, a = 0, are none to either: a link that a hole touches is cut in the first.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy.ndimage import map_coordinates

from homog.domains import tensor_grid
from homog.references.spectral_cell import Sampled, relative_size

_TOLERANCE = 1e-7  # of the residual, whose square is what an energy is off
_SUBDIVISIONS = {1: 64, 2: 4, 3: 3}  # looks at a voxel, an axis
_AT_ONCE = 2**22
_LEAST_ORDER = 0.2


def voxels(
    sampled: Sampled, lower: np.ndarray, sides: np.ndarray, counts: Sequence[int], looks: int | None = None
) -> "Means":
    """Harmonic and arithmetic means of a over voxels of a cell, from looks at the middles of parts of them.

    Args:
        sampled: a.
        lower: Corner of the cell, shape (d,).
        sides: Its sides, shape (d,).
        counts: Voxels along each axis.
        looks: Along each axis of a voxel; one is enough where a is constant on it.
    """
    dimension = len(sides)
    each = looks or _SUBDIVISIONS[dimension]
    axes = [
        low + side * (np.arange(count * each) + 0.5) / (count * each)
        for low, side, count in zip(lower, sides, counts, strict=True)
    ]
    shape = tuple(n for count in counts for n in (count, each))
    inside = tuple(range(1, 2 * dimension, 2))
    harmonic, arithmetic = np.empty((2, *counts))
    layers = max(1, _AT_ONCE // math.prod(count * each for count in counts[1:]) // each)
    for first in range(0, counts[0], layers):
        rows = slice(first, min(counts[0], first + layers))
        values = sampled(tensor_grid([axes[0][rows.start * each : rows.stop * each], *axes[1:]]))
        parts = values.reshape(rows.stop - rows.start, *shape[1:])
        arithmetic[rows] = parts.mean(inside)
        with np.errstate(divide="ignore"):
            harmonic[rows] = 1 / (1 / parts).mean(inside)
    return harmonic, arithmetic


Means = tuple[np.ndarray, np.ndarray]
"""Harmonic and arithmetic means of a over voxels, of an array's shape."""


def cut(means: Means) -> Means:
    """Those of voxels half as wide, on which a is constant like on the whole ones."""
    harmonic, arithmetic = means
    for axis in range(harmonic.ndim):
        harmonic, arithmetic = (np.repeat(part, 2, axis) for part in (harmonic, arithmetic))
    return harmonic, arithmetic


def halved(means: Means) -> Means:
    """Those of voxels twice as wide."""
    harmonic, arithmetic = means
    with np.errstate(divide="ignore"):
        return 1 / _in_pairs(1 / harmonic), _in_pairs(arithmetic)


def _in_pairs(values: np.ndarray) -> np.ndarray:
    shape = [n for count in values.shape for n in (count // 2, 2)]
    return values.reshape(shape).mean(tuple(range(1, len(shape), 2)))


@dataclass(frozen=True, eq=False)
class Enclosed:
    """a* between two bounds.

    Attributes:
        lower: Shape (d, d).
        upper: Shape (d, d).
        tensor: The geometric mean of both bounds, each continued to voxels of no width from those and wider ones.
        error: Estimate of |x.(tensor - a*) x| / x.a* x for every x: half of what these two limits are apart, and at
            least an eighth of what the bounds are; of one size of voxels half of that.
        iterations: Of conjugate gradients for the bounds.
    """

    lower: np.ndarray
    upper: np.ndarray
    tensor: np.ndarray
    error: float
    iterations: int


def enclosed(means: Means, wider: Means | None, sides: np.ndarray, most_iterations: int) -> Enclosed:
    """a* by the networks of two sizes of voxels, or of one.

    A bound comes nearer like the width of the voxels, where interfaces are smooth, and so does its logarithm, by which
    it is continued. The geometric mean is a*, whatever the two are, of a medium of two phases in the plane that looks
    like itself with the phases exchanged (Keller 1964).

    Args:
        means: Of a over each voxel.
        wider: The same of voxels twice as wide; None: the bounds are not continued.
        sides: Sides of the cell, shape (d,).
        most_iterations: Iterations of conjugate gradients for each axis, at most.
    """
    lower, upper, iterations = _bounds(means, sides, most_iterations)
    if wider is None:
        tensor = _geometric_mean(lower, upper)
        return Enclosed(lower, upper, tensor, relative_size(upper - lower, tensor) / 2 + _TOLERANCE, iterations)
    before_lower, before_upper, _ = _bounds(wider, sides, most_iterations)
    low, high = lower @ np.linalg.pinv(before_lower) @ lower, upper @ np.linalg.pinv(before_upper) @ upper
    tensor = _geometric_mean(low, high)
    apart, within = relative_size(high - low, tensor), relative_size(upper - lower, tensor)
    return Enclosed(lower, upper, tensor, max(apart / 2, within / 8) + _TOLERANCE, iterations)


def _bounds(means: Means, sides: np.ndarray, most_iterations: int) -> tuple[np.ndarray, np.ndarray, int]:
    harmonic, arithmetic = means
    widths = np.asarray(sides) / arithmetic.shape
    lower, _, first = _conductivity(_in_series(harmonic), widths, most_iterations)
    upper, _, second = _conductivity(_side_by_side(arithmetic), widths, most_iterations)
    return lower, upper, first + second


def _geometric_mean(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of positive matrices, A^1/2 (A^-1/2 B A^-1/2)^1/2 A^1/2; or the arithmetic one, where one is singular."""
    if np.linalg.eigvalsh(one).min() <= _TOLERANCE * np.linalg.eigvalsh(other).max():
        return (one + other) / 2
    root, inverse = _power(one, 0.5), _power(one, -0.5)
    return root @ _power(inverse @ other @ inverse, 0.5) @ root


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    values, axes = np.linalg.eigh((matrix + matrix.T) / 2)
    return (axes * values**exponent) @ axes.T


@dataclass(frozen=True, eq=False)
class Correctors:
    """chi_i, with period: what x_i lacks to be a potential whose current has no divergence, about.

    Attributes:
        lower: Corner of the cell, shape (d,).
        sides: Its sides, shape (d,).
        values: At the corners of voxels, shape (d, *voxels).
        delay: 2 <a (chi - <a chi>/<a>) (chi - <a chi>/<a>)^T>, shape (d, d); of a matrix A with a = tr A / d.
        lack: The distance of the bounds of a* by these voxels, relative.
        exact: Whether a is constant on each of them.
    """

    lower: np.ndarray
    sides: np.ndarray
    values: np.ndarray
    delay: np.ndarray
    lack: float
    exact: bool

    @property
    def order(self) -> float:
        """p in distance = N^-p for N voxels along an axis: one at smooth interfaces, less where phases meet in corners.

        At a corner the field is a power of the distance, and what h hides of it is of the order h^p, h the width of a
        voxel or the length of a step (of a checkerboard of contrast 100, p is a quarter).
        """
        count = max(self.values.shape[1:])
        return float(np.clip(-np.log(max(self.lack, 1 / count)) / np.log(count), _LEAST_ORDER, 1.0))

    def at(self, points: np.ndarray) -> np.ndarray:
        """Shape (d, n) at points of shape (n, d), linear along each axis between the corners."""
        places = ((points - self.lower) / self.sides % 1.0 * self.values.shape[1:]).T
        return np.stack([map_coordinates(chi, places, order=1, mode="grid-wrap") for chi in self.values])


def correctors(means: Means, lower: np.ndarray, sides: np.ndarray, most_iterations: int) -> Correctors:
    """By the network of the corners, from the means of a over voxels of a cell."""
    harmonic, arithmetic = means
    widths = np.asarray(sides) / arithmetic.shape
    low, _, _ = _conductivity(_in_series(harmonic), widths, most_iterations)
    high, found, _ = _conductivity(_side_by_side(arithmetic), widths, most_iterations)
    corners = arithmetic
    for axis in range(len(sides)):
        corners = (corners + np.roll(corners, 1, axis)) / 2
    lags = delay(found, corners.ravel() / corners.size)
    lack, exact = relative_size(high - low, (high + low) / 2), np.allclose(harmonic, arithmetic, rtol=1e-12)
    return Correctors(lower, np.asarray(sides), found, lags, lack, exact)


def delay(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """See `Correctors`: of chi at points, shape (d, *points), and of a there over their number, flat."""
    flat = values.reshape(len(values), -1)
    centred = flat - (flat @ weight / weight.sum())[:, None]
    return 2 * (centred * weight) @ centred.T


def _in_series(values: np.ndarray) -> list[np.ndarray]:
    """Of each axis, the conductivity of the link from each voxel's middle to the next."""
    links = []
    for axis in range(values.ndim):
        other = np.roll(values, -1, axis)
        total = values + other
        links.append(np.divide(2 * values * other, total, out=np.zeros_like(total), where=total > 0))
    return links


def _side_by_side(values: np.ndarray) -> list[np.ndarray]:
    """Of each axis, the conductivity of the link along it from each voxel's lower corner."""
    links = []
    for axis in range(values.ndim):
        mean = values
        for other in set(range(values.ndim)) - {axis}:
            mean = (mean + np.roll(mean, 1, other)) / 2
        links.append(mean)
    return links


def _conductivity(
    links: list[np.ndarray], widths: np.ndarray, most_iterations: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """The effective tensor of a periodic network, its correctors and the number of iterations."""
    solve = _laplacian_inverse(links[0].shape, widths)
    flows, potentials, iterations = [], [], 0
    for axis in range(len(links)):
        potential, count = _potential(links, widths, axis, solve, most_iterations)
        slopes = [(np.roll(potential, -1, i) - potential) / width for i, width in enumerate(widths)]
        slopes[axis] += 1
        flows.append(slopes)
        potentials.append(potential)
        iterations += count
    tensor = np.array([[sum(np.mean(c * p * q) for c, p, q in zip(links, one, other, strict=True)) for other in flows]
                       for one in flows])  # fmt: skip
    return tensor, np.stack(potentials), iterations


def _potential(
    links: list[np.ndarray],
    widths: np.ndarray,
    axis: int,
    precondition: Callable[[np.ndarray], np.ndarray],
    most_iterations: int,
) -> tuple[np.ndarray, int]:
    """The periodic chi with -div(c (e + grad chi)) = 0, by conjugate gradients; what no link reaches stays zero."""

    def apply(chi: np.ndarray) -> np.ndarray:
        result = np.zeros_like(chi)
        for i, (link, width) in enumerate(zip(links, widths, strict=True)):
            flow = link * (np.roll(chi, -1, i) - chi) / width**2
            result -= flow - np.roll(flow, 1, i)
        return result

    residual = (links[axis] - np.roll(links[axis], 1, axis)) / widths[axis]
    chi = np.zeros_like(residual)
    ahead = precondition(residual)
    direction, product = ahead, float(np.vdot(residual, ahead))
    least, iterations = _TOLERANCE**2 * product, 0
    while product > least and iterations < most_iterations:
        image = apply(direction)
        step = product / float(np.vdot(direction, image))
        chi += step * direction
        residual -= step * image
        ahead = precondition(residual)
        before, product = product, float(np.vdot(residual, ahead))
        direction = ahead + product / before * direction
        iterations += 1
    return chi, iterations


def _laplacian_inverse(shape: tuple[int, ...], widths: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The inverse of the same network with links of one, on what has the mean zero."""
    symbol = np.zeros((1,) * len(shape))
    for axis, (count, width) in enumerate(zip(shape, widths, strict=True)):
        last = axis == len(shape) - 1
        waves = np.fft.rfftfreq(count) if last else np.fft.fftfreq(count)
        along = (2 * np.sin(np.pi * waves) / width) ** 2
        symbol = symbol + along.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    inverse = np.divide(1, symbol, out=np.zeros_like(symbol), where=symbol > 0)

    def solve(values: np.ndarray) -> np.ndarray:
        transformed = scipy.fft.rfftn(values, workers=2)
        return np.asarray(scipy.fft.irfftn(inverse * transformed, s=shape, workers=2))

    return solve
