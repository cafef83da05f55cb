"""One step of a walker.

For dX = V dt + dB (`drift`, equation 7) or X = B (`girsanov`, equation 13), with V = grad a / (2a), h = f / (2a):

    euler: X' = X + V(X) dt + dB,                       R' = R + h(X) dt                          (18, 19)
    heun:  X' = X + (V(X) + V(Y)) dt / 2 + dB,          R' = R + (h(X) + h(Y)) dt / 2,  Y = X + V(X) dt + dB
                                                                                        (held in the closed domain)

and log D' = log D + V.dB - |V|^2 dt / 2 for `girsanov`. With a reaction c, e = c dt / (2a) likewise, for `heun` the
mean of both ends: log w' = log w - e, and h dt counts for w exp(-e / 2), w in the middle of the step.

A step leaves the domain where it ends outside or, with the `bridge` rule, touched a face on the way: a Brownian bridge
between distances l0 and l1 to a face touches it with probability exp(-2 l0 l1 / dt). Of several faces the likeliest is
tested, so in a corner the probability is low by the product of two small ones.

Of a coefficient that is a matrix the noise is sigma dB, with sigma lower triangular, sigma sigma^T = A / a and a the
mean of A's diagonal; V = div A / (2a). Heun's step then has it from the step's start and is of order one. The exit test
counts distances to a face in the width of the noise across it, and what is noted besides is Q, the sum of A / a dt: the
products W_i W_j have the mean Q_ij.

What comes before the exit test where faces reflect is `homog.walkers.walls`. Through a periodic face a walker comes in
again across.

This is ordinary Python, which runs as it stands, one walker at a time. `homog.walkers.specialise` writes it out for a
dimension, a scheme and a processor; `homog.walkers.lanes` and `homog.walkers.threads` are the loops around it, and
`homog.walkers.metropolis` the step of a medium that jumps.

    b, c, s               Brownian increment of the step; a further one; state of the walker's stream
    d, y                  displacement from the start; where an Euler step would lead
    v, h, e; z, g, q      V dt, h dt and c dt / (2a) at d; the same at y
    m                     move of the step
    sigma, ratio          of a matrix sigma and A / a, a triangle by rows, or a diagonal
    chance                bits for each axis that reflects
    below, above          distances of the start from the lower faces and from the upper faces
    p, t, seen, k         what the medium reads: the start, its phases, values and slopes from tables, constants
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import float32, int32, uint32, uint64

from homog.config.method import suited_step
from homog.domains.walls import ABSORBING, PERIODIC, REFLECTING
from homog.walkers.arithmetic import (
    cos_turn,
    exp,
    fraction,
    log2,
    next_bits,
    sin_turn,
    spare_bits,
    stream_state,
    turn,
    uniform,
)

F = np.float32
ZERO, HALF, ONE = F(0), F(0.5), F(1)
MINUS_TWO_LN2, MINUS_LN2 = F(-2 * math.log(2)), F(-math.log(2))
LEAST = F(2.0**-100)
SPAN = 16  # steps between two looks at the distance to the boundary


@dataclass(frozen=True)
class Scheme:
    """How a walker moves: `martingale` girsanov or drift, `step` euler, heun or metropolis, `exit` bridge or clip.

    A step may add up the Brownian increments of several `draws`: those of so many steps of a walker whose stream it
    has, which goes along the same Brownian path by as many shorter steps.
    """

    martingale: str = "drift"
    step: str = "heun"
    exit: str = "bridge"
    draws: int = 1

    @property
    def may_stay(self) -> bool:
        """Whether steps are accepted or not: `homog.walkers.metropolis`."""
        return self.step == "metropolis"

    @property
    def drifts(self) -> bool:
        """Whether walkers drift along V."""
        return self.martingale == "drift" and not self.may_stay

    @property
    def parts(self) -> int:
        """How many shorter steps on the same path one is held against, to see what its length does."""
        return 4 if self.may_stay else 2

    @property
    def order(self) -> float:
        """The weak order by which that is extrapolated: 1/2 by what is refused at an interface.

        Heun's is 2 for short steps, and nearer to 1 for coarse ones, at kinks, and where a pace makes steps short.
        """
        return 0.5 if self.may_stay else 1.5

    def along(self, parts: int) -> "Scheme":
        """The same, going by one step along the path of a walker that takes so many."""
        return replace(self, draws=parts)

    @classmethod
    def suited(cls, *, jumps: bool) -> "Scheme":
        """The most accurate way of walking in a medium."""
        return cls(step=suited_step("drift", jumps=jumps))


# What a kernel is specialised for.
DIMENSION = 2
AXES: Sequence[int] = range(DIMENSION)
HEUN, METROPOLIS, GIRSANOV, BRIDGE = True, False, False, True
KILLS, FADES = False, False  # whether there is a reaction; whether walkers have weights w, by that or by walls
WEIGHED = False  # whether they have weights, w or as girsanov ones
WALLS: Sequence[Sequence[str]] = ((ABSORBING,) * DIMENSION,) * 2  # the kinds of the lower faces and of the upper ones
REFLECTS: Sequence[bool] = (False,) * DIMENSION  # whether an axis has a face that does
WALLED = False  # whether one has
SIDES: Sequence[int] = (0, 1)  # below, above
TENSOR, FULL = False, False  # whether the coefficient is a matrix; whether that has entries off its diagonal
ENTRIES: Sequence[int] = ()  # of a triangle, or of a diagonal
PAIRS: Sequence[Sequence[int]] = ()  # row and column of each
AT: Sequence[Sequence[int]] = ()  # number of the entry in a row and a column, and in these exchanged
BEFORE: Sequence[Sequence[int]] = ()  # the columns in which a row of sigma has entries
OTHERS: Sequence[Sequence[int]] = ()  # of each axis the others
WALL: Sequence[Callable[..., Any]] = ()  # for each face what gives q L / a and k L / a there; None where that is zero
DRAWS: Sequence[int] = (0,)  # increments that a step adds up
READS_START = True  # whether the medium reads p
PHASES: Sequence[int] = ()
TABLES: Sequence[int] = ()
SPLINE: Sequence[Callable[..., Any]] = ()  # for each table the function that looks up a value and its slopes
LABELED: Sequence[bool] = ()  # or whether it has labels on voxels, and the values of these
DEGREE: Sequence[int] = ()
TILED: Sequence[bool] = ()  # whether it is repeated
TILE = 0  # the number of the phase of what is repeated, along the first axis

Number = Any  # a float32 scalar, or an integer where so said
Numbers = Any  # a Vector, or a tuple or a list that stands for one


class Vector(dict[int, Any]):
    """Numbers by their index; unpacked, in the order in which they were set. Its components may be vectors."""

    def __missing__(self, index: int) -> "Vector":
        self[index] = Vector()
        return self[index]

    def __iter__(self) -> Iterator[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return iter(self.values())


class Walker:
    """State of a walker, float32.

    Attributes:
        below, above, p, t, chance, push: See above.
        d, brownian: Displacement; sum of the Brownian increments.
        reward, weight: R and log D, or log w of one that is killed.
        m, last, lost, width: Move, h dt and growth of log w of the last step that it took; the `per` of that step.
        age: Steps, or the time, that it walked.
        s: State of its stream, four of uint32.
        seen: What was looked up: the value of each table, then its slopes.
        ratio, per, variance: Of a matrix A / a at its place, one over the width of the noise along each axis, and Q.
        half_dt, spread: dt / 2 of the step that it takes, and -2 ln(2) dt of each draw.
        b, v, h, e, y, way, spare: What one part of a step hands to the next; `spare` is uint32.
        standing, paid, toll, lot: Of `homog.walkers.metropolis`: a, h dt and e at its place, and what is handed on,
            uint32.
    """

    def __init__(self) -> None:
        self.below, self.above, self.p, self.t, self.s, self.seen = _vectors(6)
        self.d, self.brownian, self.m, self.b, self.v, self.y = _vectors(6)
        self.chance, self.push, self.way = _vectors(3)
        self.ratio, self.per, self.width, self.variance = _vectors(4)
        self.reward = self.weight = self.last = self.age = self.half_dt = self.spread = self.h = self.spare = ZERO
        self.standing = self.paid = self.toll = self.lot = self.e = self.lost = ZERO


def _vectors(count: int) -> Iterator[Numbers]:
    return (Vector() for _ in range(count))


def medium(d: Numbers, half_dt: Number, p: Numbers, t: Numbers, seen: Numbers, k: Numbers) -> tuple[Numbers, ...]:
    """V dt, h dt and, with a reaction, e: the lines that `homog.walkers.medium` writes for a problem's formulas."""
    raise NotImplementedError


def noise(d: Numbers, p: Numbers, t: Numbers, seen: Numbers, k: Numbers) -> Numbers:
    """sigma: the lines that `homog.walkers.medium` writes for a matrix of formulas."""
    raise NotImplementedError


def increments(spread: Number, s: Numbers) -> tuple[Numbers, Number, Numbers]:
    """Brownian increments by Box and Muller, two for each pair of draws, 32 spare bits, and the stream's new state.

    `spread` is -2 ln(2) dt, so that the radius is sqrt(-2 dt ln U).
    """
    b = Vector()
    for i in AXES[::2]:
        first, *s = next_bits(*s)
        second, *s = next_bits(*s)
        radius = math.sqrt(spread * log2(uniform(first)))
        angle = turn(second)
        b[i] = radius * cos_turn(angle)
        if i + 1 < DIMENSION:
            b[i + 1] = radius * sin_turn(angle)
    return b, spare_bits(first, second), s  # pyright: ignore[reportPossiblyUnboundVariable]


def ahead(d: Numbers, v: Numbers, b: Numbers, below: Numbers, above: Numbers) -> Numbers:
    """Where an Euler step leads: the predictor of Heun's. Formulas may have no value outside: it stays in the box."""
    return tuple(
        around(d[i] + v[i] + b[i], below[i], above[i])
        if WALLS[0][i] == PERIODIC
        else min(max(d[i] + v[i] + b[i], -below[i]), above[i])
        for i in AXES
    )


def around(gone: Number, down: Number, up: Number) -> Number:
    """A displacement along a periodic axis whose faces are so far down and up, in the box."""
    return gone + (down + up) if gone < -down else (gone - (down + up) if gone > up else gone)


def stretched(b: Numbers, sigma: Numbers) -> Numbers:
    """sigma b."""
    return tuple(sum(sigma[AT[i][j]] * b[j] for j in BEFORE[i]) for i in AXES)


def squared(sigma: Numbers) -> Numbers:
    """sigma sigma^T."""
    return tuple(
        sum(sigma[AT[PAIRS[n][0]][j]] * sigma[AT[PAIRS[n][1]][j]] for j in BEFORE[PAIRS[n][1]]) for n in ENTRIES
    )


def move(b: Numbers, v: Numbers, half_dt: Number) -> tuple[Numbers, Number]:
    """The move of one step and what it adds to log D."""
    if GIRSANOV:
        return b, HALF / half_dt * sum(v[i] * (b[i] - HALF * v[i]) for i in AXES)
    return tuple(b[i] + v[i] for i in AXES), ZERO


def leaves(d: Numbers, m: Numbers, below: Numbers, above: Numbers, reach: Number) -> Number:
    """1 where a step leaves: the least product of distances to a face before and after is below `reach`.

    exp(-2 l0 l1 / dt) > U is l0 l1 < -ln(U) dt / 2 = reach; a product below zero is a step that ends outside.
    """
    nearest = reach
    for i in AXES:
        if WALLS[0][i] == ABSORBING:
            product = (below[i] + d[i]) * (below[i] + d[i] + m[i])
            nearest = product if product < nearest else nearest
        if WALLS[1][i] == ABSORBING:
            product = (above[i] - d[i]) * (above[i] - d[i] - m[i])
            nearest = product if product < nearest else nearest
    return ONE if nearest < reach else ZERO


def settle(d: Numbers, m: Numbers, below: Numbers, above: Numbers) -> tuple[Numbers, Number]:
    """Where the step that left met the face it left by, and the share of the step until then.

    The reflected path crosses the face at the share l0 / (l0 + |l1|) of the step; for a step that ends outside this
    is where the straight segment crosses it. Here d is the displacement after the step m.
    """
    place = Vector()
    nearest, share, face, wall = F(math.inf), ONE, 0, ZERO
    for i in AXES:
        if WALLS[0][i] == ABSORBING:
            after = below[i] + d[i]
            before = after - m[i]
            if before * after < nearest:
                nearest, face, wall = before * after, i + 1, -below[i]
                share = min(ONE, max(ZERO, before / max(before + abs(after), F(1e-30))))
        if WALLS[1][i] == ABSORBING:
            after = above[i] - d[i]
            before = after + m[i]
            if before * after < nearest:
                nearest, face, wall = before * after, i + 1, above[i]
                share = min(ONE, max(ZERO, before / max(before + abs(after), F(1e-30))))
    for i in AXES:
        if WALLS[0][i] == PERIODIC:
            inner = around(d[i] - (ONE - share) * m[i], below[i], above[i])
        else:
            inner = min(max(d[i] - (ONE - share) * m[i], -below[i]), above[i])
        place[i] = wall if face == i + 1 else inner
    return place, share


# What follows is written where it is called.


def set_out(walker: Walker, number: Number, point: Number, places: np.ndarray, keys: np.ndarray, per_point: int):
    """Put a walker at the start, with its own stream.

    Args:
        walker: State of the walker.
        number: Number of the walker.
        point: Number of its starting point.
        places: Distances to the lower faces and to the upper faces, points and phases, a row each.
        keys: Keys of each point's walkers.
        per_point: Walkers from each point.
    """
    for i in AXES:
        walker.below[i] = places[i, point]
        walker.above[i] = places[DIMENSION + i, point]
        if READS_START:
            walker.p[i] = places[2 * DIMENSION + i, point]
        walker.d[i] = walker.brownian[i] = walker.m[i] = ZERO
    for j in PHASES:
        walker.t[j] = places[3 * DIMENSION + j, point]
    walker.reward = walker.weight = walker.last = walker.age = ZERO
    if FADES:
        walker.lost = ZERO
    if TENSOR:
        for i in AXES:
            walker.width[i] = ONE
        for n in ENTRIES:
            walker.variance[n] = ZERO
    walker.s = stream_state(uint64(keys[point]), number - point * per_point)


def nearer(walker: Walker, distance: Number):
    """The lesser of a distance and this walker's to the boundary."""
    for i in AXES:
        face = walker.below[i] + walker.d[i]
        distance = face if face < distance else distance
        face = walker.above[i] - walker.d[i]
        distance = face if face < distance else distance
    return distance


def look_up(walker: Walker, place: Numbers, tables: Numbers):
    """Fetch what the medium reads from tables at a displacement."""
    for table in TABLES:
        if LABELED[table]:
            fetch_label(walker, table, place, *tables[table])
        else:
            fetch(walker, table, place, *tables[table])


def fetch(walker: Walker, table: int, place: Numbers, coefficients: np.ndarray, counts: Numbers, per_length: Numbers):
    """Fetch a value and its slopes, which are wanted per length, not per interval of the table."""
    if TILED[table]:
        value, *slope = SPLINE[table](
            coefficients, *counts,
            *(
                fraction(walker.t[TILE + i] + place[i] * per_length[i]) * float32(counts[i] - int32(DEGREE[table]))
                for i in AXES
            ),
        )  # fmt: skip
        walker.seen[table][0] = value
        for i in AXES:
            walker.seen[table][i + 1] = slope[i] * per_length[i] * float32(counts[i] - int32(DEGREE[table]))
    else:
        value, *slope = SPLINE[table](
            coefficients, *counts, *((walker.below[i] + place[i]) * per_length[i] for i in AXES)
        )  # fmt: skip
        walker.seen[table][0] = value
        for i in AXES:
            walker.seen[table][i + 1] = slope[i] * per_length[i]


def fetch_label(
    walker: Walker, table: int, place: Numbers, labels: np.ndarray, values: np.ndarray, counts: Numbers,
    per_length: Numbers,
):  # fmt: skip
    """Fetch the value of the voxel that a place is in; of one beyond the box, that of the nearest."""
    voxel = int32(0)
    for i in AXES:
        if TILED[table]:
            across = fraction(walker.t[TILE + i] + place[i] * per_length[i]) * float32(counts[i])
        else:
            across = (walker.below[i] + place[i]) * per_length[i]
        voxel = int32(voxel * counts[i] + min(max(int32(across), int32(0)), int32(counts[i] - int32(1))))
    walker.seen[table][0] = values[labels[uint32(voxel)]]


def depart(walker: Walker, k: Numbers):
    """The first part of a step: the noise, the medium at the walker's place and, for Heun's, the place ahead."""
    b, spare, s = increments(walker.spread, walker.s)
    for i in AXES:
        if REFLECTS[i]:
            drawn, *s = next_bits(*s)
            walker.chance[i] = drawn
    for _ in DRAWS[1:]:
        c, spare, s = increments(walker.spread, s)
        for i in AXES:
            b[i] = b[i] + c[i]
            if REFLECTS[i]:
                drawn, *s = next_bits(*s)
                walker.chance[i] = drawn
    walker.s = s
    if KILLS:
        v, h, e = medium(walker.d, walker.half_dt, walker.p, walker.t, walker.seen, k)
        walker.e = e
    else:
        v, h = medium(walker.d, walker.half_dt, walker.p, walker.t, walker.seen, k)
    if TENSOR:
        sigma = noise(walker.d, walker.p, walker.t, walker.seen, k)
        b = stretched(b, sigma)
        ratio = squared(sigma)
        walker.ratio = ratio
        for i in AXES:
            walker.per[i] = ONE / math.sqrt(ratio[AT[i][i]])
    if HEUN:
        y = ahead(walker.d, v, b, walker.below, walker.above)
        walker.y = y
    walker.b = b
    walker.v = v
    walker.h = h
    walker.spare = spare


def arrive(walker: Walker, k: Numbers):
    """The second part: Brownian increment, move, h dt and what is added to log D or log w, over the whole step."""
    b = walker.b
    v = walker.v
    h = walker.h
    if HEUN and KILLS:
        y = walker.y
        z, g, q = medium(y, walker.half_dt, walker.p, walker.t, walker.seen, k)
        for i in AXES:
            v[i] = HALF * (v[i] + z[i])
        h = HALF * (h + g)
        e = HALF * (walker.e + q)
    elif HEUN:
        y = walker.y
        z, g = medium(y, walker.half_dt, walker.p, walker.t, walker.seen, k)
        for i in AXES:
            v[i] = HALF * (v[i] + z[i])
        h = HALF * (h + g)
    m, growth = move(b, v, walker.half_dt)
    if KILLS and not HEUN:
        e = walker.e
    if KILLS:
        h = h * exp(walker.weight - HALF * e)  # pyright: ignore[reportPossiblyUnboundVariable, reportOperatorIssue]
        growth = -e  # pyright: ignore[reportPossiblyUnboundVariable, reportOperatorIssue]
    elif FADES:
        h = h * exp(walker.weight)
    return b, m, h, growth


def exits(walker: Walker, m: Numbers):
    """1 where the step that takes the move m leaves."""
    reach = MINUS_LN2 * walker.half_dt * log2(uniform(walker.spare)) if BRIDGE else ZERO
    return leaves(walker.d, m, walker.below, walker.above, reach)


def exits_by_width(walker: Walker, m: Numbers):
    """The same of a step whose noise is as wide along each axis as its matrix says."""
    reach = MINUS_LN2 * walker.half_dt * log2(uniform(walker.spare)) if BRIDGE else ZERO
    return leaves(
        tuple(walker.d[i] * walker.per[i] for i in AXES),
        tuple(m[i] * walker.per[i] for i in AXES),
        tuple(walker.below[i] * walker.per[i] for i in AXES),
        tuple(walker.above[i] * walker.per[i] for i in AXES),
        reach,
    )


def go_on(walker: Walker, b: Numbers, m: Numbers, h: Number, growth: Number):
    """Add a step to what the walker has."""
    for i in AXES:
        walker.d[i] += m[i]
        if WALLS[0][i] == PERIODIC:
            walker.d[i] = around(walker.d[i], walker.below[i], walker.above[i])
        if WALLS[0][i] == REFLECTING:  # formulas may have no value a rounding error outside
            walker.d[i] = max(walker.d[i], -walker.below[i])
        if WALLS[1][i] == REFLECTING:
            walker.d[i] = min(walker.d[i], walker.above[i])
        walker.brownian[i] += b[i]
    if TENSOR:
        for n in ENTRIES:
            walker.variance[n] += walker.ratio[n] * (walker.half_dt + walker.half_dt)
    walker.reward += h
    if WEIGHED:
        walker.weight += growth


def bring_back(walker: Walker, number: Number, duration: Number, gone: Number, found: np.ndarray, left: np.ndarray):
    """Write down what a walker found: in rows as in `homog.walkers.batch.Found`.

    One that left lies where it met the boundary, and R and log w keep that share of its last step.
    """
    if TENSOR:
        place, share = settle(
            tuple(walker.d[i] * walker.width[i] for i in AXES),
            tuple(walker.m[i] * walker.width[i] for i in AXES),
            tuple(walker.below[i] * walker.width[i] for i in AXES),
            tuple(walker.above[i] * walker.width[i] for i in AXES),
        )
        for i in AXES:
            place[i] = place[i] / walker.width[i]
        for n in ENTRIES:
            found[2 * DIMENSION + 3 + n, number] = walker.variance[n]
    else:
        place, share = settle(walker.d, walker.m, walker.below, walker.above)
    for i in AXES:
        found[i, number] = place[i] if gone else walker.d[i]
        found[DIMENSION + i, number] = walker.brownian[i]
    found[2 * DIMENSION, number] = walker.reward - (ONE - share) * walker.last if gone else walker.reward
    if FADES:
        found[2 * DIMENSION + 1, number] = walker.weight - (ONE - share) * walker.lost if gone else walker.weight
    else:
        found[2 * DIMENSION + 1, number] = walker.weight
    found[2 * DIMENSION + 2, number] = duration
    left[number] = gone
