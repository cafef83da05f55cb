"""The answer of one linear system in each of growing spaces of functions, and the one with the least estimated error.

The equations of fewer functions are rows and columns of those of more. So the answers u_1, u_2, ..., u_N in the first
functions of each space, and the spread between groups of walkers in each, come at no further walk. With d_k the L2
distance of u_k from u_N, its own noise taken out, and s_k the noise of u_k,

    d_k^2 + s_k^2

is what u_k is off but for what u_N lacks as well: few functions cannot follow, many are noisy. Its least value
chooses. What u_N lacks is read off the decay of the d_k in two ways, of which the larger counts: as that of a power of
the number of functions, fitted to all; and from those of half and of three quarters of the degrees alone, which the
first part of a decay that is no power does not mislead. Both take L2 errors of nested Galerkin solutions as
orthogonal, which they nearly are, and neither can see what no space shows.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from homog.domains import Box

_POWERS = np.linspace(0.5, 4.0, 29)  # of the number of functions, with which errors fall
_MODEL = 0.3  # relative error that is allowed to the power law
_SLOPES = np.linspace(0.25, 8.0, 63)  # powers of the degree, from two distances
_EXACT = 1e-8  # relative residual of an inverse
_ITERATIONS = 20  # of the power method
_FROM = 0.15  # share of the largest space, from which on the decay is looked at


@dataclass(frozen=True, eq=False)
class InSpace:
    """The answer in one space.

    Attributes:
        chosen: The functions' numbers.
        weights: Weights of all functions, zero for those that are not in the space.
        spread: How each group's equations would move the weights, their mean taken out.
    """

    chosen: Int64[np.ndarray, " k"]
    weights: Float64[np.ndarray, " m"]
    spread: Float64[np.ndarray, "m groups"]


@dataclass(frozen=True, eq=False)
class Choice:
    """The space whose answer has the least estimated error.

    Attributes:
        index: Its number.
        noise: Square of the L2 norm of the noise of the answer in each space.
        lacking: Square of the L2 norm of what each space cannot hold.
    """

    index: int
    noise: Float64[np.ndarray, " k"]
    lacking: Float64[np.ndarray, " k"]


def functions_for_modes(count: int, domain: Box) -> int:
    """Functions an axis that follow so many modes of the domain: sin(k pi x) wants pi k / 2 and some more.

    By Weyl's law they have wave numbers below that of as many points of a part of a ball.
    """
    dimension = domain.dimension
    ball = {1: 1.0, 2: math.pi / 4, 3: math.pi / 6}[dimension]
    stretch = float(domain.sides.max()) / float(np.prod(domain.sides)) ** (1 / dimension)
    highest = (count / ball) ** (1 / dimension) * stretch + 0.5
    return math.ceil(math.pi / 2 * highest) + 5


def functions_for_layers(width: float, domain: Box) -> int:
    """Functions an axis that follow layers of a width at the faces: polynomials lie closer there, by the square."""
    return math.ceil(3 * math.sqrt(float(domain.sides.max()) / 2 / width))


def solve(
    matrices: Float64[np.ndarray, "groups n n"],
    loads: Float64[np.ndarray, "groups n"],
    spaces: Sequence[Int64[np.ndarray, " k"]],
    cutoff: float,
) -> list[InSpace]:
    """Solve the sum of the groups' equations in each of growing spaces.

    With the unknowns in the order in which the spaces take them up, the matrix of each space is the corner of that of
    the next, whose inverse follows from it (bordering): all of them take about as long as the last alone. Functions are
    scaled to a diagonal of ones, since single precision leaves each entry an error in proportion to theirs.

    Args:
        matrices: Matrix of each group; the last function is the lift, whose coefficient is 1.
        loads: Right-hand side of each group.
        spaces: Numbers of the functions of each; each space has those of the one before.
        cutoff: Singular values below this share of the largest are left out.
    """
    new = [np.setdiff1d(space, before) for before, space in itertools.pairwise([spaces[0][:0], *spaces])]
    order, count = np.concatenate(new), loads.shape[1] - 1
    scale, with_lift = _scale(matrices[:, order, order].sum(0)), np.append(order, count)
    matrices = matrices[:, order[:, None], with_lift] / (scale[:, None] * np.append(scale, 1.0))
    loads = loads[:, order] / scale
    matrix, load = matrices.sum(0), loads.sum(0)
    answers, inverse = [], None
    for space in spaces:
        size = len(space)
        inverse = _inverse_beyond(inverse, matrix[:size, :size], cutoff)
        values = inverse @ (load[:size] - matrix[:size, -1])
        residual = loads[:, :size] - matrices[:, :size, :size] @ values - matrices[:, :size, -1]
        weights, spread = np.zeros(count), np.zeros((count, len(loads)))
        weights[order[:size]] = values / scale[:size]
        spread[order[:size]] = inverse @ residual.T / scale[:size, None]
        answers.append(InSpace(order[:size], weights, spread - spread.mean(1, keepdims=True)))
    return answers


def moved_by(
    matrices: Float64[np.ndarray, "groups n n"],
    residuals: Float64[np.ndarray, "groups n"],
    space: Int64[np.ndarray, " k"],
    cutoff: float,
) -> Float64[np.ndarray, "m groups"]:
    """How residuals of the groups would move the weights of an answer in a space, their mean taken out."""
    matrix, count = matrices.sum(0), residuals.shape[1] - 1
    scale = _scale(matrix[space, space])
    inverse = inverse_of(matrix[np.ix_(space, space)] / (scale[:, None] * scale), cutoff)
    moved = np.zeros((count, len(residuals)))
    moved[space] = inverse @ (residuals[:, space] / scale).T / scale[:, None]
    return moved - moved.mean(1, keepdims=True)


def _scale(diagonal: Float64[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
    """By what functions are divided to make the diagonal one."""
    sizes = np.sqrt(np.abs(diagonal))
    return np.where(sizes > 0, sizes, 1.0)


def inverse_of(matrix: Float64[np.ndarray, "k k"], cutoff: float) -> Float64[np.ndarray, "k k"]:
    """The inverse, without singular values below `cutoff` times the largest."""
    try:
        inverse = np.linalg.inv(matrix)
        if _is_whole(inverse, matrix, cutoff):
            return inverse
    except np.linalg.LinAlgError:
        pass
    left, sizes, right = np.linalg.svd(matrix)
    kept = sizes > cutoff * sizes[0]
    return right[kept].T @ (left[:, kept].T / sizes[kept, None])


def _inverse_beyond(
    corner: Float64[np.ndarray, "m m"] | None, matrix: Float64[np.ndarray, "k k"], cutoff: float
) -> Float64[np.ndarray, "k k"]:
    """As `inverse_of`, from what that is for the first rows and columns."""
    if corner is None or len(corner) == len(matrix):
        return inverse_of(matrix, cutoff)
    size = len(corner)
    above, below = corner @ matrix[:size, size:], matrix[size:, :size] @ corner
    try:
        complement = np.linalg.inv(matrix[size:, size:] - matrix[size:, :size] @ above)
    except np.linalg.LinAlgError:
        return inverse_of(matrix, cutoff)
    across = above @ complement
    inverse = np.block([[corner + across @ below, -across], [-complement @ below, complement]])
    probe = np.cos(np.arange(len(matrix)))
    exact = np.linalg.norm(matrix @ (inverse @ probe) - probe) < _EXACT * np.linalg.norm(probe)
    return inverse if exact and _is_whole(inverse, matrix, cutoff) else inverse_of(matrix, cutoff)


def _is_whole(inverse: Float64[np.ndarray, "k k"], matrix: Float64[np.ndarray, "k k"], cutoff: float) -> bool:
    """Whether no singular value of the matrix is below `cutoff` times the largest."""
    if np.linalg.norm(inverse) * np.linalg.norm(matrix) * cutoff < 1:
        return True
    return _largest_of(inverse) * _largest_of(matrix) * cutoff < 1


def _largest_of(matrix: Float64[np.ndarray, "k k"]) -> float:
    """The largest singular value, to some percent from below, by power iteration."""
    vector, size = np.cos(np.arange(len(matrix))), 0.0
    for _ in range(_ITERATIONS):
        vector = matrix.T @ (matrix @ vector)
        size = float(np.linalg.norm(vector))
        if size == 0 or not np.isfinite(size):
            break
        vector /= size
    return math.sqrt(size)


def choose(answers: Sequence[InSpace], mass: Float64[np.ndarray, "m m"], freedom: int) -> Choice:
    """Choose among the answers in growing spaces.

    Args:
        answers: The last one in all functions.
        mass: Products of the functions: |u|^2 = weights . (mass weights).
        freedom: Degrees of freedom of the spread.
    """

    def squared(of: Float64[np.ndarray, "m c"]) -> float:
        return float(np.sum(of * (mass @ of)))

    whole = answers[-1]
    share = whole.spread.shape[1] / freedom
    noise = np.array([share * squared(answer.spread) for answer in answers])
    apart = np.array([squared((whole.weights - answer.weights)[:, None]) for answer in answers])
    noise_apart = np.array([share * squared(whole.spread - answer.spread) for answer in answers])
    distance = apart - noise_apart
    index = int(np.argmin(np.maximum(distance, 0) + noise))
    sizes = np.array([len(answer.chosen) for answer in answers], dtype=float)
    tail = max(_by_power(sizes, distance, noise_apart), _by_two(distance))
    return Choice(index, noise, np.maximum(distance, 0) + tail)


def _by_two(distance: Float64[np.ndarray, " k"]) -> float:
    """The square of what the largest space lacks, from those of half and of three quarters of its degrees alone.

    e_n^2 = C^2 n^(-2 q): the ratio of the two distances gives q, the first one C.
    """
    count = len(distance)
    if count < 4:
        return 0.0
    half, more = count // 2, 3 * count // 4
    first, second = (max(float(distance[n - 1]), 0.0) for n in (half, more))
    ratios = ((half / count) ** (-2 * _SLOPES) - 1) / ((more / count) ** (-2 * _SLOPES) - 1)
    slope = float(np.interp(first / second, ratios, _SLOPES)) if second > 0 else _SLOPES[-1]
    return first / ((half / count) ** (-2 * slope) - 1)


def _by_power(
    sizes: Float64[np.ndarray, " k"], distance: Float64[np.ndarray, " k"], noise: Float64[np.ndarray, " k"]
) -> float:
    """The square of what the largest space lacks, from C^2 (m^(-2 q) - M^(-2 q)) fitted to the squared distances.

    Over powers q that are as likely as the fit says.
    """
    seen = (sizes >= _FROM * sizes[-1]) & (sizes < sizes[-1])
    if seen.sum() < 2:
        return 0.0
    relative, distance = sizes[seen] / sizes[-1], distance[seen]
    deviation = noise[seen] + _MODEL * np.abs(distance) + np.finfo(float).tiny
    shapes = relative[None, :] ** (-2 * _POWERS[:, None]) - 1
    tails = np.maximum((shapes * distance / deviation**2).sum(1) / (shapes**2 / deviation**2).sum(1), 0.0)
    misfit = (((distance - tails[:, None] * shapes) / deviation) ** 2).sum(1)
    likelihood = np.exp(-0.5 * (misfit - misfit.min()))
    return float((likelihood * tails).sum() / likelihood.sum())
