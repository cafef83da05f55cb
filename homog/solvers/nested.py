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

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

_POWERS = np.linspace(0.5, 4.0, 29)  # of the number of functions, with which errors fall
_MODEL = 0.3  # relative error that is allowed to the power law
_SLOPES = np.linspace(0.25, 8.0, 63)  # powers of the degree, from two distances
_FROM = 0.15  # share of the largest space, from which on the decay is looked at


@dataclass(frozen=True, eq=False)
class InSpace:
    """The answer in one space.

    Attributes:
        chosen: The functions' numbers.
        weights: Weights of all functions, zero for those that are not in the space.
        spread: How each group's equations would move the weights, their mean taken out.
        inverse: Inverse of the matrix of this space.
    """

    chosen: Int64[np.ndarray, " k"]
    weights: Float64[np.ndarray, " m"]
    spread: Float64[np.ndarray, "m groups"]
    inverse: Float64[np.ndarray, "k k"]


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


def solve(
    matrices: Float64[np.ndarray, "groups n n"],
    loads: Float64[np.ndarray, "groups n"],
    chosen: Int64[np.ndarray, " k"],
    cutoff: float,
) -> InSpace:
    """Solve the sum of the groups' equations in some of the functions.

    Args:
        matrices: Matrix of each group; the last function is the lift, whose coefficient is 1.
        loads: Right-hand side of each group.
        chosen: Numbers of the functions.
        cutoff: Singular values below this share of the largest are left out.
    """
    matrix, load = matrices.sum(0), loads.sum(0)
    inverse = inverse_of(matrix[np.ix_(chosen, chosen)], cutoff)
    weights = np.zeros(len(load) - 1)
    weights[chosen] = inverse @ (load[chosen] - matrix[chosen, -1])
    residual = loads - matrices @ np.append(weights, 1.0)
    spread = np.zeros((len(weights), len(loads)))
    spread[chosen] = inverse @ residual[:, chosen].T
    return InSpace(chosen, weights, spread - spread.mean(1, keepdims=True), inverse)


def inverse_of(matrix: Float64[np.ndarray, "k k"], cutoff: float) -> Float64[np.ndarray, "k k"]:
    """The inverse, without singular values below `cutoff` times the largest."""
    try:
        inverse = np.linalg.inv(matrix)
        if np.linalg.norm(inverse) * np.linalg.norm(matrix) * cutoff < 1:  # then there are none
            return inverse
    except np.linalg.LinAlgError:
        pass
    left, sizes, right = np.linalg.svd(matrix)
    kept = sizes > cutoff * sizes[0]
    return right[kept].T @ (left[:, kept].T / sizes[kept, None])


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
