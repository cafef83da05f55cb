"""What the time steps move in an answer, and the answer without what the macro step does.

The equations of a macro step t hold up to what walkers remember of the cell that they started in: S(t) sees the
diffusivity a* + c / t once that is forgotten. Between t1 and t2, on the same paths, c cancels:

    S = (t2 S(t2) - t1 S(t1)) / (t2 - t1).

An answer u is put into the equations of t1, tested with the smooth functions: e1 = S1^-1 (load1 - S1 u) is what they
would move it by; e2 likewise. The two together move it by e = t1 / (t2 - t1) (e2 - e1), to first order in these. Since
u fulfils the equations of t2 with all walkers, e2 by some of them is their noise, and takes that of e1 away. u + e has
more noise than u, and is taken where its estimated error is less.

Likewise for steps twice as long, on the same Brownian paths: the difference of their e and e2 is 2^p - 1 times what the
steps do, with the order p taken as 3/2. It is 2 for short steps, 1 for coarse ones and at kinks.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from homog.solvers.nested import Choice, InSpace

_DOUBLED = 2**1.5 - 1  # what steps twice as long add to the error, over the error
_LATEST = 0.5  # of the macro step: a later report tells too little


@dataclass(frozen=True)
class Part:
    """A part of an answer's error, in the L2 norm.

    Attributes:
        error: Its size, that of its noise taken out.
        standard_error: Size of its noise.
    """

    error: float
    standard_error: float


@dataclass(frozen=True, eq=False)
class Seen:
    """An answer in the light of the time steps.

    Attributes:
        answer: As it was, or moved.
        choice: With the noise of this answer.
        macro: What the macro step moves; of an answer that was moved, what that may lack.
        micro: What the micro step moves.
    """

    answer: InSpace
    choice: Choice
    macro: Part | None
    micro: Part


def seen_in(
    answer: InSpace,
    choice: Choice,
    tested: tuple[np.ndarray, np.ndarray],
    smooth: np.ndarray,
    earlier: float,
    mass: Float64[np.ndarray, "m m"],
    freedom: int,
) -> Seen:
    """Look at an answer with the equations of other time steps.

    Args:
        answer: The answer.
        choice: How it was chosen.
        tested: Matrix and load of the three systems of `homog.losses.Tested`, in groups.
        smooth: Numbers of the smooth functions.
        earlier: t1 / t2.
        mass: Products of the functions.
        freedom: Degrees of freedom of the spread between groups.
    """
    rows = np.flatnonzero(np.isin(smooth, answer.chosen))
    where = smooth[rows]
    inner = mass[np.ix_(where, where)]
    share = answer.spread.shape[1] / freedom

    def squared(of: np.ndarray, within: np.ndarray) -> float:
        return float(np.sum(of * (within @ of)))

    def moved(matrix: np.ndarray, load: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """By what some equations move the answer, and how each group's do."""
        matrix, load = matrix[:, rows], load[:, rows]
        whole = matrix.sum(0)
        inverse = np.linalg.pinv(whole[:, where])
        values = np.append(answer.weights, 1.0)
        by = inverse @ (load.sum(0) - whole @ values)
        spread = inverse @ (load - matrix @ values - matrix[:, :, where] @ by).T
        return by, spread - spread.mean(1, keepdims=True)

    early, fine, coarse = (moved(tested[0][number], tested[1][number]) for number in range(3))
    micro = _part((coarse[0] - fine[0]) / _DOUBLED, (coarse[1] - fine[1]) / _DOUBLED, inner, share)
    if not 0 < earlier <= _LATEST:
        return Seen(answer, choice, None, micro)
    by, spread = (earlier / (1 - earlier) * (b - a) for a, b in zip(early, fine, strict=True))
    macro = _part(by, spread, inner, share)
    weights, together = answer.weights.copy(), answer.spread.copy()
    weights[where] += by
    together[where] += spread
    noise = share * squared(together, mass)
    if noise >= choice.noise[choice.index] + macro.error**2:
        return Seen(answer, choice, macro, micro)
    noises = choice.noise.copy()
    noises[choice.index] = noise
    better = replace(answer, weights=weights, spread=together)
    return Seen(better, replace(choice, noise=noises), Part(earlier * macro.error, macro.standard_error), micro)


def _part(by: np.ndarray, spread: np.ndarray, mass: np.ndarray, share: float) -> Part:
    """The size of a move, and of its noise."""
    noise = share * float(np.sum(spread * (mass @ spread)))
    return Part(math.sqrt(max(0.0, float(by @ mass @ by) - noise)), math.sqrt(noise))
