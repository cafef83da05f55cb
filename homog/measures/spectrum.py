"""Eigenvalues and modes of the homogenised operator, from the matrix that the walkers' energy assembles for a solve.

For features phi of the answer's space the energy's matrix S and M, M_ij = int <a> phi_i phi_j dx, have

    S v = sigma M v,        sigma = (1 - exp(-l Dt)) / Dt,

with l the eigenvalues of (1/2<a>) (-div(a* grad) + c), which walkers see through their macro step: the higher ones look
too low. So l = -log(1 - sigma Dt) / Dt, and 2<a> l is the eigenvalue. Without that the tenth would be 10 % off.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from jaxtyping import Float64

from homog.domains import tensor_grid
from homog.equation import Problem
from homog.formula.evaluate import at_points
from homog.measures.assembled import Assembled, combined_at, features_at, gauss, gram, independent, mean_coefficient
from homog.measures.intervals import half_width
from homog.networks.linear import LinearInFeatures

_SLOPE = 1e-5  # of a side: step of the difference quotients, in double precision
_MOST = 1 - 1e-6  # of sigma Dt, which noise may raise above one
_FEWER = 2  # degrees, by which a smaller space is smaller, to see what functions lack
_TOGETHER = 3.0  # standard errors within which eigenvalues count as one


@dataclass(frozen=True)
class Spectrum:
    """The first eigenvalues of -div(a* grad) + c and their modes.

    Attributes:
        values: Ascending, shape (n,).
        standard_error: By sampling, from the spread between groups of walkers, shape (n,).
        bias: What the functions and the micro steps leave, at most, about, shape (n,).
        clusters: Numbers of eigenvalues that are one within their noise: their modes are known together alone.
        weights: Of the features in each mode, shape (features, n): the L2 norm of a mode is one.
        freedom: Degrees of freedom of the standard errors.
    """

    values: Float64[np.ndarray, " n"]
    standard_error: Float64[np.ndarray, " n"]
    bias: Float64[np.ndarray, " n"]
    clusters: Sequence[tuple[int, ...]]
    weights: Float64[np.ndarray, "m n"]
    freedom: int

    def half_width(self, level: float = 0.95) -> Float64[np.ndarray, " n"]:
        """Of the confidence interval of each: of the noise by Student's law, and the bias."""
        return half_width(self.standard_error, self.bias, self.freedom, level)


def spectrum(assembled: Assembled, problem: Problem, excess: float, micro: float) -> Spectrum:
    """The first eigenvalues and modes, as many as the problem asks for.

    Args:
        assembled: The equations.
        problem: Linear and without a velocity, in at most three dimensions.
        excess: What the macro step adds to the tensor that the energy sees, relative.
        micro: What the micro steps leave of an eigenvalue, relative.
    """
    count, (points, shares) = problem.eigenvalues, gauss(problem.domain)
    found = features_at(assembled.network, points)
    mass = gram(found, found, shares)
    mean, step, spaces = mean_coefficient(problem), assembled.macro_step, assembled.spaces
    values, weights, slopes = _solved(assembled.matrices.mean(0), mass, mean, step, spaces[-1], count)
    fewer, _, _ = _solved(assembled.matrices.mean(0), mass, mean, step, spaces[max(0, len(spaces) - 1 - _FEWER)], count)
    values, fewer, slopes = (part / (1 + excess) for part in (values, fewer, slopes))
    groups = len(assembled.matrices)
    # to first order in the noise: v.S_g v for the modes of all groups together
    seen = np.einsum("mi,gmn,ni->gi", weights, assembled.matrices, weights) * slopes
    error = seen.std(0, ddof=1) / math.sqrt(groups)
    bias = np.abs(fewer - values) + micro * values
    return Spectrum(values, error, bias, _together(values, error), weights, groups - 1)


def homogenized_spectrum(
    network: LinearInFeatures, problem: Problem, tensor: Float64[np.ndarray, "d d"], count: int
) -> Float64[np.ndarray, " n"]:
    """The same for a known a*, in the same functions: what walkers would find without noise and with all features."""
    points, shares = gauss(problem.domain)
    found, domain = features_at(network, points), problem.domain
    mass = gram(found, found, shares)
    slopes = []
    for axis, side in enumerate(domain.sides):
        shift = _SLOPE * side * np.eye(problem.dimension)[axis]
        slopes.append(
            (features_at(network, points + shift) - features_at(network, points - shift)) / (2 * _SLOPE * side)
        )
    stiffness = sum(
        tensor[i, j] * gram(slopes[i], slopes[j], shares)
        for i in range(problem.dimension)
        for j in range(problem.dimension)
    )
    stiffness = stiffness + gram(found, found, shares * problem.operator.reaction_at(points))
    for face, factor in problem.boundary.factors.items():
        there, of_face = gauss(domain, face)
        values = features_at(network, there)
        stiffness = stiffness + gram(values, values, of_face * at_points(factor, there, problem.parameters))
    kept = independent(mass)
    values = scipy.linalg.eigh(kept.T @ stiffness @ kept, eigvals_only=True)
    return values[:count]


def mode_values(
    network: LinearInFeatures, weights: Float64[np.ndarray, "m n"], axes: Sequence[np.ndarray]
) -> Float64[np.ndarray, "..."]:
    """The modes on a grid, shape (n, *grid)."""
    points = tensor_grid(axes)
    found = combined_at(network, points.reshape(-1, points.shape[-1]), weights)
    return np.moveaxis(found.reshape(*points.shape[:-1], -1), -1, 0)


def _solved(
    matrix: np.ndarray, mass: np.ndarray, mean: float, macro_step: float, space: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eigenvalues, weights of all functions, and by what an eigenvalue moves with v.S v."""
    some = np.ix_(space, space)
    kept = independent(mass[some])
    symmetric = (matrix[some] + matrix[some].T) / 2
    sizes, vectors = scipy.linalg.eigh(kept.T @ symmetric @ kept / mean)
    sizes, vectors = sizes[:count], (kept @ vectors)[:, :count]
    left = 1 - np.clip(sizes * macro_step, None, _MOST)
    weights = np.zeros((len(matrix), len(sizes)))
    weights[space] = vectors
    return -2 * mean * np.log(left) / macro_step, weights, 2 / left


def _together(values: np.ndarray, error: np.ndarray) -> list[tuple[int, ...]]:
    """Numbers of neighbours that differ by no more than their noise."""
    found: list[list[int]] = [[0]]
    for number in range(1, len(values)):
        noise = math.hypot(error[number], error[number - 1])
        if values[number] - values[number - 1] <= _TOGETHER * noise:
            found[-1].append(number)
        else:
            found.append([number])
    return [tuple(cluster) for cluster in found]
