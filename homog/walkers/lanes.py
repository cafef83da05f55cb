"""The walk on a CPU: blocks of lanes in a structure of arrays, without branches.

A block runs SPAN steps at a time. Where every walker of it is further from the boundary than `safe`, a distance that
it cannot cross in SPAN steps but with probability 1e-13, the steps are taken without the exit test and its mask (a
walker that has left lies at the boundary, so its block is never far). Where a walker left is worked out after the
loop, from its last step.

Lookups in a table do not vectorise over lanes: they have a loop of their own before the arithmetic, which does.

With a pace each lane has a clock of its own: before a step it looks up how long the step may be. Once its macro step
is over or it has left, it stands still by steps of length zero until its results are brought home.

Ordinary Python like `homog.walkers.step`, and specialised like it.
"""

import math

import numpy as np
from numba import int32, uint32

from homog.walkers.metropolis import decide, propose, stand
from homog.walkers.step import (
    AXES,
    DIMENSION,
    DRAWS,
    ENTRIES,
    FADES,
    HALF,
    HEUN,
    METROPOLIS,
    MINUS_TWO_LN2,
    ONE,
    PERIODIC,
    REFLECTING,
    SPAN,
    TABLES,
    TENSOR,
    WALLED,
    WALLS,
    WEIGHED,
    ZERO,
    F,
    Number,
    Numbers,
    Walker,
    around,
    arrive,
    bring_back,
    depart,
    exits,
    exits_by_width,
    go_on,
    look_up,
    nearer,
    set_out,
)
from homog.walkers.walls import rebound, settle_with_walls

LANES = 64
CHUNK = 16 * LANES  # walkers with clocks of their own that share the lanes of a block
PACED = False  # whether they have
NOBODY = np.uint32(0xFFFFFFFF)


class Lane(Walker):
    """One of a block's walkers.

    Attributes:
        lane: Number of the lane.
        inside: 1 until the walker leaves, then 0.
        number: With a pace, number of the walker that the lane carries, uint32, or NOBODY.
        rest, taken: With a pace, the time that is left to walk, and the steps that were taken.
    """

    def __init__(self, lane: int) -> None:
        super().__init__()
        self.lane, self.number = lane, NOBODY
        self.inside = self.tau = self.rest = self.taken = ZERO


class Block(list[Lane]):
    """The lanes of a block."""

    def __init__(self) -> None:
        super().__init__(Lane(i) for i in range(LANES))


def walk(
    first: int, last: int, places: np.ndarray, keys: np.ndarray, found: np.ndarray, left: np.ndarray, per_point: int,
    count: int, dt: Number, safe: Number, k: Numbers, tables: Numbers,
):  # fmt: skip
    """The kernel whose walkers, from number `first` to before `last`, all take `count` steps of length dt."""
    half_dt = HALF * dt
    spread = MINUS_TWO_LN2 * F(1 / len(DRAWS)) * dt
    block = Block()
    for group in range(first, last, LANES):
        for walker in block:
            number = group + walker.lane
            point = min(number // per_point, places.shape[1] - 1)
            set_out(walker, number, point, places, keys, per_point)
            walker.inside = ONE
            walker.half_dt = half_dt
            walker.spread = spread
        if METROPOLIS:
            look_around(block, k, tables)
        for span in range(0, count, SPAN):
            distance = F(math.inf)
            for walker in block:
                distance = nearer(walker, distance)
            steps = min(SPAN, count - span)
            if distance > safe:
                for _ in range(steps):
                    step(block, k, tables, near=False)
                for walker in block:
                    walker.age += F(steps)
            else:
                for _ in range(steps):
                    step(block, k, tables, near=True)
        for walker in block:
            number = group + walker.lane
            if number < left.shape[0]:
                bring_back(walker, number, walker.age * dt, walker.inside < HALF, found, left)


def walk_by_pace(
    first: int, last: int, places: np.ndarray, keys: np.ndarray, found: np.ndarray, left: np.ndarray, per_point: int,
    count: int, dt: Number, safe: Number, k: Numbers, longest: np.ndarray, cells: Numbers, rate: Numbers,
    origin: Numbers, period: Numbers, per_period: Numbers, tables: Numbers,
):  # fmt: skip
    """The kernel whose walkers take steps of the lengths that a pace allows, until each has walked count * dt.

    Some take many times as many steps as others. A lane whose walker has come to its end goes on with the next one of
    the chunk, so that no lane waits for the slowest of its block.
    """
    block = Block()
    for chunk in range(first, last, CHUNK):
        following = np.int64(chunk)
        end = min(following + CHUNK, left.shape[0])
        for walker in block:
            walker.number = NOBODY
            walker.rest = ZERO
        while True:
            distance, busy = F(math.inf), ZERO
            for walker in block:
                if not walker.rest > ZERO:
                    if walker.number != NOBODY:
                        number = np.int64(walker.number)
                        bring_back(walker, number, walker.age, walker.inside < HALF, found, left)
                        found[2 * DIMENSION + 3 + len(ENTRIES), number] = walker.taken
                        walker.number = NOBODY
                    if following < end:
                        number = following
                        following += 1
                        walker.number = uint32(number)
                        point = number // per_point
                        set_out(walker, number, point, places, keys, per_point)
                        walker.inside = ONE
                        walker.taken = ZERO
                        walker.rest = F(count) * dt
                if walker.rest > ZERO:
                    busy = ONE
                    distance = nearer(walker, distance)
            if not busy > ZERO:
                break
            if distance > safe:
                for _ in range(SPAN):
                    tick(block, dt, longest, cells, rate, origin, period, per_period)
                    step(block, k, tables, near=False)
            else:
                for _ in range(SPAN):
                    tick(block, dt, longest, cells, rate, origin, period, per_period)
                    step(block, k, tables, near=True)


def tick(
    block: Block, dt: Number, longest: np.ndarray, cells: Numbers, rate: Numbers, origin: Numbers, period: Numbers,
    per_period: Numbers,
):  # fmt: skip
    """Set the length of each lane's next step by its place, and its clock; a lane whose time is over takes none."""
    for walker in block:
        cell = int32(0)
        for i in AXES:
            along = (walker.below[i] + walker.d[i]) * rate[i] + origin[i]
            along = along - period[i] * np.floor(along * per_period[i])
            cell = cell * cells[i] + min(max(int32(along), int32(0)), cells[i] - int32(1))
        rest = walker.rest
        tau = min(min(longest[cell], dt), rest)
        walker.tau = tau
        walker.rest = rest - tau
        walker.taken += ONE if tau > ZERO else ZERO


def step(block: Block, k: Numbers, tables: Numbers, *, near: bool):
    """One step of all lanes, with the exit test and the mask of those inside if the boundary is near."""
    if TABLES and not METROPOLIS:
        for walker in block:
            look_up(walker, walker.d, tables)
    if TABLES and METROPOLIS:
        for walker in block:
            propose(walker)
        for walker in block:
            look_up(walker, walker.y, tables)
        for walker in block:
            settle_on(walker, k, tables, near=near)
    elif METROPOLIS:
        for walker in block:
            propose(walker)
            settle_on(walker, k, tables, near=near)
    elif TABLES and HEUN:
        for walker in block:
            depart_by_clock(walker, k)
        for walker in block:
            look_up(walker, walker.y, tables)
        for walker in block:
            finish(walker, k, tables, near=near)
    else:
        for walker in block:
            depart_by_clock(walker, k)
            finish(walker, k, tables, near=near)


def look_around(block: Block, k: Numbers, tables: Numbers):
    """What the medium is where the lanes' walkers set out."""
    if TABLES:
        for walker in block:
            look_up(walker, walker.d, tables)
    for walker in block:
        stand(walker, k)


def settle_on(walker: Lane, k: Numbers, tables: Numbers, *, near: bool):
    """The second part of a lane's step that may be refused."""
    b, m, way, h, growth = decide(walker, k, tables)
    if near:
        gone = exits(walker, way)
        for i in AXES:
            m[i] = way[i] if gone > HALF else m[i]
        go_on_inside(walker, b, m, h, growth, gone)
    else:
        go_on(walker, b, m, h, growth)


def depart_by_clock(walker: Lane, k: Numbers):
    """The first part of a lane's step."""
    if PACED:
        walker.spread = MINUS_TWO_LN2 * F(1 / len(DRAWS)) * walker.tau
        walker.half_dt = HALF * walker.tau
    depart(walker, k)


def finish(walker: Lane, k: Numbers, tables: Numbers, *, near: bool):
    """The second part of a lane's step."""
    if PACED:
        walker.half_dt = HALF * walker.tau
    b, m, h, growth = arrive(walker, k)
    if near and WALLED:
        m = rebound(walker, m)
        h, growth = settle_with_walls(walker, m, h, growth, k, tables)
    if near:
        if TENSOR:  # noqa: SIM108  (both are written in place)
            gone = exits_by_width(walker, m)
        else:
            gone = exits(walker, m)
        go_on_inside(walker, b, m, h, growth, gone)
    else:
        if PACED:
            walker.age += walker.tau
        go_on(walker, b, m, h, growth)


def go_on_inside(walker: Lane, b: Numbers, m: Numbers, h: Number, growth: Number, gone: Number):
    """Add a step to what the lane's walker has, if it had not left before; and note if it left now."""
    inside = walker.inside
    # a choice, not a product: outside the formulas may have no value
    for i in AXES:
        walker.m[i] = m[i] if inside > HALF else walker.m[i]
    walker.last = h if inside > HALF else walker.last
    if FADES:
        walker.lost = growth if inside > HALF else walker.lost
    if TENSOR:
        for i in AXES:
            walker.width[i] = walker.per[i] if inside > HALF else walker.width[i]
        for n in ENTRIES:
            walker.variance[n] += walker.ratio[n] * (walker.half_dt + walker.half_dt) if inside > HALF else ZERO
    walker.age += inside * walker.tau if PACED else inside
    walker.inside = inside * (ONE - gone)
    if PACED:
        walker.rest = walker.rest * walker.inside
    for i in AXES:
        walker.d[i] += m[i] if inside > HALF else ZERO
        if WALLS[0][i] == PERIODIC:
            walker.d[i] = around(walker.d[i], walker.below[i], walker.above[i])
        if WALLS[0][i] == REFLECTING:
            walker.d[i] = max(walker.d[i], -walker.below[i])
        if WALLS[1][i] == REFLECTING:
            walker.d[i] = min(walker.d[i], walker.above[i])
        walker.brownian[i] += b[i] if inside > HALF else ZERO
    walker.reward += h if inside > HALF else ZERO
    if WEIGHED:
        walker.weight += growth if inside > HALF else ZERO
