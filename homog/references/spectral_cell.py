"""The cell problem by trigonometric polynomials: a bound from each side."""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from scipy.sparse.linalg import LinearOperator, cg

from homog.domains import tensor_grid

_SHIFT = (1 / 2, 1 / 4, 1 / 8, 1 / 16)
_ERROR_OF_SUMS = {1: 2.4, 2: 2.4, 3: 2.4, 4: 5.1}


class Bounds(NamedTuple):
    """What encloses a* in the order of symmetric matrices.

    Attributes:
        lower: By the dual problem, shape (d, d).
        upper: By the primal problem, shape (d, d).
        quadrature: What the integrals in both are off, relative, estimated.
        iterations: Iterations of conjugate gradients, in all.
    """

    lower: np.ndarray
    upper: np.ndarray
    quadrature: float
    iterations: int = 0

    @property
    def middle(self) -> np.ndarray:
        """(lower + upper)/2."""
        return (self.lower + self.upper) / 2

    @property
    def gap(self) -> float:
        """Bound of |x.(middle - a*) x| / x.(middle x) for every x; infinite where the bounds tell nothing."""
        if not (np.isfinite(self.lower).all() and np.isfinite(self.upper).all()):
            return np.inf
        if np.linalg.eigvalsh(self.middle).min() <= 0:
            return np.inf
        return relative_size(self.upper - self.lower, self.middle) / 2 + self.quadrature


def relative_size(difference: np.ndarray, tensor: np.ndarray) -> float:
    """The largest |x.(difference) x| / x.(tensor x) over all x; both symmetric, the second positive."""
    scale, axes = np.linalg.eigh(tensor)
    root = axes / np.sqrt(np.maximum(scale, np.finfo(float).tiny))
    return float(np.abs(np.linalg.eigvalsh(root.T @ difference @ root)).max())


Sampled = Callable[[np.ndarray], np.ndarray]
"""a at points of shape (..., d) of a cell; or A, shape (..., d, d), where it is a matrix."""


def spectral_bounds(sampled: Sampled, lower: np.ndarray, sides: np.ndarray, size: int, most_iterations: int) -> Bounds:
    """Bounds of a* from trigonometric polynomials on size^d points: see `spectral_correctors`."""
    return spectral_correctors(sampled, lower, sides, size, most_iterations)[0]


def spectral_correctors(
    sampled: Sampled, lower: np.ndarray, sides: np.ndarray, size: int, most_iterations: int
) -> tuple[Bounds, np.ndarray]:
    """Bounds of a* from trigonometric polynomials on size^d points, and the correctors there.

    The primal field e_i + grad chi_i is the collocation's, the dual one its flux without its divergence, by a
    projection. Whatever they are, x.a*x is at most the mean of a |primal|^2 and x.a*^-1 x at most that of |dual|^2/a
    (Milton, The Theory of Composites, chapter 13); of a matrix A those of primal.A primal and dual.A^-1 dual.

    The means are sums over the points and over the same points shifted by (1/2, 1/4, 1/8) of their distance. What a
    sum is off is what the integrand has at the wave vectors m size, m whole numbers; a shift by s turns it by m.s. With
    this s every m of -1, 0, 1 is turned by at least an eighth, and the error of the two sums' mean is at most
    cot(pi/8) = 2.4 times half their difference. (A shift by halves alone leaves m = (1, 1) as it is: oblique layers.)
    In four dimensions a sixteenth comes fourth, and 5.1 is the factor.

    Args:
        sampled: a.
        lower: Corner of the cell, shape (d,).
        sides: Its sides, shape (d,).
        size: Points an axis; an even number has a highest frequency without a derivative.
        most_iterations: Iterations of conjugate gradients for each axis, at most.

    Returns:
        The bounds, and chi_i at the points, from the corner on, shape (d, size, ..., size).
    """
    step = sides / size
    axes = [low + h * np.arange(size) for low, h in zip(lower, step, strict=True)]
    values = sampled(tensor_grid(axes))
    between = sampled(tensor_grid([axis + h * s for axis, h, s in zip(axes, step, _SHIFT, strict=False)]))
    space = Waves((size,) * len(sides), sides / sides.max())  # a* knows no scale
    potentials, primal, dual, iterations = [], [], [], 0
    for axis in range(len(sides)):
        potential, count = _corrector(space, values, axis, most_iterations)
        flow = space.gradient(potential)
        flow[axis] += 1
        potentials.append(potential)
        primal.append(flow)
        dual.append(space.without_divergence(flux(values, flow)))
        iterations += count
    bounds = Bounds(*_energies(space, primal, dual, values, between), iterations)
    return bounds, sides.max() * np.stack(potentials)


def flux(values: np.ndarray, field: np.ndarray) -> np.ndarray:
    """a, or A, times a vector field of shape (d, *points)."""
    return values * field if values.ndim == len(field) else np.einsum("...ij,j...->i...", values, field)


def _inverse(values: np.ndarray, dimension: int) -> np.ndarray:
    return 1 / values if values.ndim == dimension else np.linalg.inv(values)


def _energies(
    space: "Waves", primal: list[np.ndarray], dual: list[np.ndarray], values: np.ndarray, between: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """The bounds, and what the sums are off."""
    dimension = len(primal)
    at_points = _gram(primal, values), _gram(dual, _inverse(values, dimension))
    in_between = (
        _gram([space.shifted(field) for field in primal], between),
        _gram([space.shifted(field) for field in dual], _inverse(between, dimension)),
    )
    means = np.stack([flow.reshape(len(flow), -1).mean(1) for flow in dual])
    upper = (at_points[0] + in_between[0]) / 2
    with np.errstate(all="ignore"):
        # the dual fields' means are no unit vectors: x.a*^-1 x <= x.S x with x = the means
        inverse = np.linalg.pinv((at_points[1] + in_between[1]) / 2)
        lower = means.T @ inverse @ means
    off = [
        _ERROR_OF_SUMS[dimension] * relative_size(first - second, first + second)
        for first, second in zip(at_points, in_between, strict=True)
    ]
    return (lower + lower.T) / 2, upper, float(max(off))


def _gram(fields: list[np.ndarray], weight: np.ndarray) -> np.ndarray:
    flows = [flux(weight, field) for field in fields]
    found = np.array([[np.mean(np.sum(field * flow, axis=0)) for flow in flows] for field in fields])
    return (found + found.T) / 2


class Waves:
    """Derivatives of trigonometric polynomials on a grid."""

    def __init__(self, shape: tuple[int, ...], sides: np.ndarray) -> None:
        self.shape = shape
        lengths = list(zip(shape, sides, strict=True))
        waves = [2 * np.pi * np.fft.fftfreq(n, side / n) for n, side in lengths[:-1]]
        waves.append(2 * np.pi * np.fft.rfftfreq(shape[-1], lengths[-1][1] / shape[-1]))
        self._waves = np.meshgrid(*waves, indexing="ij", sparse=True)
        self.symbols = [1j * wave for wave in self._waves]
        self._turn = np.exp(
            sum(1j * w * side / n * s for w, (n, side), s in zip(self._waves, lengths, _SHIFT, strict=False))
        )
        self.inverse = self.inverse_of(np.eye(len(shape)))

    def inverse_of(self, tensor: np.ndarray) -> np.ndarray:
        """What inverts -div(tensor grad), on waves; zero for a constant."""
        symbol = np.zeros((1,) * len(self.shape))
        for (i, one), (j, other) in itertools.product(enumerate(self._waves), repeat=2):
            symbol = symbol + tensor[i, j] * one * other
        return np.divide(1, symbol, out=np.zeros_like(symbol), where=symbol > 0)

    def forth(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(scipy.fft.rfftn(values))

    def back(self, transformed: np.ndarray) -> np.ndarray:
        return np.asarray(scipy.fft.irfftn(transformed, s=self.shape))

    def gradient(self, values: np.ndarray) -> np.ndarray:
        transformed = self.forth(values)
        return np.stack([self.back(symbol * transformed) for symbol in self.symbols])

    def minus_divergence(self, field: np.ndarray) -> np.ndarray:
        return self.back(
            -np.sum([symbol * self.forth(part) for symbol, part in zip(self.symbols, field, strict=True)], axis=0)
        )

    def shifted(self, field: np.ndarray) -> np.ndarray:
        """A vector field at the shifted points."""
        return np.stack([self.back(self._turn * self.forth(part)) for part in field])

    def without_divergence(self, field: np.ndarray) -> np.ndarray:
        """The nearest field whose divergence is zero, with the same mean."""
        transformed = [self.forth(part) for part in field]
        potential = self.inverse * sum(wave * part for wave, part in zip(self._waves, transformed, strict=True))
        return np.stack(
            [self.back(part - wave * potential) for wave, part in zip(self._waves, transformed, strict=True)]
        )


def _corrector(space: Waves, coefficient: np.ndarray, axis: int, most_iterations: int) -> tuple[np.ndarray, int]:
    """chi_i at the points, and the number of iterations."""
    iterations, dimension = 0, len(space.shape)

    def linear(function: Callable[[np.ndarray], np.ndarray]) -> LinearOperator:
        kind: Any = LinearOperator  # its __new__ takes what pyright looks for in its __init__
        size, flat = math.prod(space.shape), lambda x: function(x.reshape(space.shape)).ravel()
        return kind((size, size), matvec=flat, dtype=np.float64)

    def stiffness(chi: np.ndarray) -> np.ndarray:
        nonlocal iterations
        iterations += 1
        return space.minus_divergence(flux(coefficient, space.gradient(chi)))

    near = space.inverse  # of a matrix, for the same number of iterations whatever its mean is
    if coefficient.ndim > dimension:
        near = space.inverse_of(coefficient.reshape(-1, dimension, dimension).mean(0))
    ahead = linear(lambda residual: space.back(near * space.forth(residual)))
    unit = np.zeros((dimension, *space.shape))
    unit[axis] = 1
    # a(e_i + grad chi) may have rounding noise for a divergence: atol keeps cg from chasing it
    load = -space.minus_divergence(flux(coefficient, unit)).ravel()
    noise = 1e-13 * float(np.abs(coefficient).max()) * np.sqrt(load.size)
    found, _ = cg(linear(stiffness), load, rtol=1e-6, atol=noise, maxiter=most_iterations, M=ahead)
    return found.reshape(space.shape), iterations
