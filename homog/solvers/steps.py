"""What the time steps move in an answer, and the answer without what the macro step does.

The equations of a macro step t see the diffusivity M(t) = a* + c m(l t), m(y) = (1 - e^(-y)) / y, with l the rate at
which walkers forget the cell that they started in; c / (l t) once that is forgotten. Between t1 and t2, on the same
paths, it cancels in the slope form

    S = (t2 S(t2) - t1 S(t1)) / (t2 - t1) = S(t2) - w (S(t1) - S(t2)),    w = t1 / (t2 - t1).

Where it is not forgotten yet, an earlier look still, t0, tells: (M(t0) - M(t1)) / (M(t1) - M(t2)) gives l, and with it
the share B of M(t1) - M(t2) that the slope form is too large by; w + B then stands in place of w. B is nothing for
l t2 = 32, a fourteenth for 8, nine tenths for 2.

An answer u is put into these equations, tested with the smooth functions: e = S^-1 (load - S u) is what they would move
it by; e2 likewise for S(t2) by the same walkers, which is their noise, since u fulfils the equations of t2 with all
walkers. So e - e2 is what is known to be wrong with u, most of the noise taken away. u + e - e2 has more noise than u,
and is taken where its estimated error is less.

Likewise for the micro step of walkers that drift: some go along one Brownian path twice, in steps half as long and in
steps as long as they are. The difference of what the two would move the answer by is 1 - 2^-p of the error of the
steps, with the order p taken as 3/2: it is 2 for short steps, 1 for coarse ones and at kinks. So u moves 1.55 times the
difference, which is right to a third. (Steps twice as long would cost less and tell less: for
a = 1 + 0.9 cos(2 pi x / eps) the errors of dt and 2 dt are of one size by chance, at the default dt.)

Where the medium jumps the order is 1/2, and dt is short: there the walkers go along their paths a second time in steps
four times as long, and u moves by as much again as that moves it.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from homog.solvers.nested import Choice, InSpace

_UNKNOWN = 1 / 3  # of that, by the order
_LATEST = 0.5  # of the macro step: a later report tells too little
_SURE = 2.0  # standard errors
_RATES = np.geomspace(1, 64, 49)  # l t2


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
        micro: What the micro step moves, likewise.
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
    earlier: tuple[float, float],
    lacks: float,
    mass: Float64[np.ndarray, "m m"],
    freedom: int,
) -> Seen:
    """Look at an answer with the equations of other time steps.

    Args:
        answer: The answer.
        choice: How it was chosen.
        tested: Matrix and load of the five systems of `homog.losses.Tested`, in groups.
        smooth: Numbers of the smooth functions.
        earlier: t0 and t1, over t2.
        lacks: Error of the micro steps, over what the last two systems differ by.
        mass: Products of the functions.
        freedom: Degrees of freedom of the spread between groups.
    """
    rows = np.flatnonzero(np.isin(smooth, answer.chosen))
    where = smooth[rows]
    inner, share = mass[np.ix_(where, where)], answer.spread.shape[1] / freedom
    matrix, load = (part[:, :, rows] for part in tested)
    equations = _Tested(matrix, load, where, np.append(answer.weights, 1.0))
    again = (equations.move(0, 0, 0, 1, 0) - equations.move(0, 0, 0, 0, 1)).times(lacks)
    macro, (first, second), noise = None, earlier, float(choice.noise[choice.index])
    if 0 < second <= _LATEST:
        fine, weight = equations.move(0, 0, 1, 0, 0), second / (1 - second)
        left = _remembered(earlier, *equations.between(), inner, share) if 0 < first < second else 0.0
        slope = equations.move(0, -weight, 1 + weight, 0, 0) - fine
        move = equations.move(0, -weight - left, 1 + weight + left, 0, 0) - fine if left else slope
        lacking = math.hypot(second * slope.size(inner, share).error, (move - slope).size(inner, share).error)
        answer, noise, macro = _moved(answer, noise, move.within(where, len(mass)), lacking, mass, share)
    lacking = _UNKNOWN * again.size(inner, share).error
    answer, noise, micro = _moved(answer, noise, again.within(where, len(mass)), lacking, mass, share)
    noises = choice.noise.copy()
    noises[choice.index] = noise
    return Seen(answer, replace(choice, noise=noises), macro, micro)


def _moved(
    answer: InSpace, noise: float, move: "_Move", lacking: float, mass: Float64[np.ndarray, "m m"], share: float
) -> tuple[InSpace, float, Part]:
    """The answer, moved by the part of a move that leaves the least error; its squared noise; what is left of the move.

    Args:
        answer: The answer.
        noise: The square of its noise.
        move: The move, for all functions.
        lacking: What is not known of the move.
        mass: Products of the functions.
        share: Squared noise of a mean over that of the spread between groups.
    """
    whole = move.size(mass, share)
    common = share * float(np.sum(answer.spread * (mass @ move.spread)))
    square = whole.error**2 + whole.standard_error**2
    # (1 - s)^2 error^2 + noise + 2 s common + s^2 standard_error^2 is least at
    part = min(1.0, max(0.0, (whole.error**2 - common) / square)) if square else 0.0
    weights, spread = answer.weights + part * move.by, answer.spread + part * move.spread
    left = Part(math.hypot((1 - part) * whole.error, part * lacking), whole.standard_error)
    noise += part * (2 * common + part * whole.standard_error**2)
    return replace(answer, weights=weights, spread=spread), noise, left


@dataclass(frozen=True, eq=False)
class _Move:
    """What some equations move an answer by, and how those of each group do, without their mean."""

    by: Float64[np.ndarray, " k"]
    spread: Float64[np.ndarray, "k groups"]

    def __sub__(self, other: "_Move") -> "_Move":
        return _Move(self.by - other.by, self.spread - other.spread)

    def times(self, factor: float) -> "_Move":
        return _Move(factor * self.by, factor * self.spread)

    def within(self, where: np.ndarray, functions: int) -> "_Move":
        """The move of all functions, of which these are the ones that it moves."""
        by, spread = np.zeros(functions), np.zeros((functions, self.spread.shape[1]))
        by[where], spread[where] = self.by, self.spread
        return _Move(by, spread)

    def size(self, mass: Float64[np.ndarray, "k k"], share: float) -> Part:
        """The size of the move, and of its noise."""
        noise = share * float(np.sum(self.spread * (mass @ self.spread)))
        return Part(math.sqrt(max(0.0, float(self.by @ mass @ self.by) - noise)), math.sqrt(noise))


@dataclass(frozen=True, eq=False)
class _Tested:
    """Five systems, and the answer that is put into them.

    Attributes:
        matrix: Their matrices, in groups.
        load: Their right-hand sides.
        where: The unknowns among all functions.
        values: Weights of the answer, and the lift's.
    """

    matrix: Float64[np.ndarray, "5 groups k n"]
    load: Float64[np.ndarray, "5 groups k"]
    where: np.ndarray
    values: Float64[np.ndarray, " n"]

    def move(self, *shares: float) -> _Move:
        """By what the sum of these shares of the systems moves the answer."""
        matrix, load = (np.tensordot(shares, part, 1) for part in (self.matrix, self.load))
        inverse = np.linalg.pinv(matrix.sum(0)[:, self.where])
        residual = load - matrix @ self.values
        by = inverse @ residual.sum(0)
        spread = inverse @ (residual - matrix[:, :, self.where] @ by).T
        return _Move(by, spread - spread.mean(1, keepdims=True))

    def between(self) -> tuple[_Move, _Move]:
        """What S(t0) - S(t1) and S(t1) - S(t2) do to the answer, by the inverse of S(t2)."""
        inverse = np.linalg.pinv(self.matrix[2].sum(0)[:, self.where])
        early, middle, late = (self.load - self.matrix @ self.values)[:3] @ inverse.T

        def between(before: np.ndarray, after: np.ndarray) -> _Move:
            groups = (after - before).T
            return _Move(groups.sum(1), groups - groups.mean(1, keepdims=True))

        return between(early, middle), between(middle, late)


def _remembered(
    earlier: tuple[float, float], before: _Move, after: _Move, mass: Float64[np.ndarray, "k k"], share: float
) -> float:
    """B: what the slope form is too large by, over M(t1) - M(t2), as far as that is beyond doubt.

    Args:
        earlier: t0 and t1, over t2.
        before: What M(t0) - M(t1) does to the answer.
        after: What M(t1) - M(t2) does to it.
        mass: Products of the functions.
        share: Squared noise of a mean over that of the spread between groups.
    """
    first, second = (each.size(mass, share) for each in (before, after))
    if second.error <= _SURE * second.standard_error:
        return 0.0
    ratio = float(before.by @ mass @ after.by) / second.error**2
    ratio += _SURE * math.hypot(first.standard_error, ratio * second.standard_error) / second.error

    def m(y: np.ndarray) -> np.ndarray:
        return -np.expm1(-y) / y

    at_first, at_second = (part * _RATES for part in earlier)
    between = m(at_second) - m(_RATES)
    ratios = (m(at_first) - m(at_second)) / between
    lacks = (np.exp(-at_second) - np.exp(-_RATES)) / (_RATES - at_second) / between
    return float(np.interp(ratio, ratios, lacks))
