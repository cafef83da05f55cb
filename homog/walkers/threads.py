"""The walk on a GPU: one thread a walker, its state in registers, until it has left or its steps are done.

A walker further from the boundary than `safe`, a distance that it cannot cross in SPAN steps but with probability
1e-13, takes SPAN steps without the exit test. Neighbouring threads are walkers of one point, mostly: they go the
same way. Inner loops count in 32 bits, and with `while`: Numba's `range` costs four instructions a step.

What is the same for all walkers comes as scalars: they are operands of the arithmetic from where they are, and need
no registers. Ordinary Python like `homog.walkers.step`, and specialised like it.
"""

import math

import numpy as np
from numba import cuda, int32, uint32

from homog.walkers.metropolis import decide, propose, stand
from homog.walkers.step import (
    AXES,
    DRAWS,
    FADES,
    HALF,
    HEUN,
    METROPOLIS,
    MINUS_TWO_LN2,
    SPAN,
    TABLES,
    TENSOR,
    WALLED,
    F,
    Number,
    Numbers,
    Walker,
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


class Thread(Walker):
    """A walker that is a thread; `gone` says whether it has left."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = False


def walk(
    places: np.ndarray, keys: np.ndarray, found: np.ndarray, left: np.ndarray, per_point: int, count: int, dt: Number,
    safe: Number, k: Numbers, tables: Numbers,
):  # fmt: skip
    """The kernel: each of its threads walks."""
    number = cuda.grid(1)  # pyright: ignore[reportCallIssue]
    if number >= left.shape[0]:
        return
    walker = Thread()
    point = uint32(uint32(number) // uint32(per_point))
    set_out(walker, number, point, places, keys, per_point)
    walker.gone = False
    walker.half_dt = HALF * dt
    walker.spread = MINUS_TWO_LN2 * F(1 / len(DRAWS)) * dt
    if METROPOLIS and TABLES:
        look_up(walker, walker.d, tables)
    if METROPOLIS:
        stand(walker, k)
    remaining, steps = count, int32(0)
    while remaining > 0 and not walker.gone:
        distance = F(math.inf)
        distance = nearer(walker, distance)
        steps = int32(min(remaining, int32(SPAN)))
        remaining = int32(remaining - steps)
        if distance > safe:
            while steps > 0:
                steps = int32(steps - int32(1))
                if METROPOLIS:
                    step_or_stay(walker, k, tables, near=False)
                else:
                    step(walker, k, tables, near=False)
        else:
            while steps > 0 and not walker.gone:
                steps = int32(steps - int32(1))
                if METROPOLIS:
                    step_or_stay(walker, k, tables, near=True)
                else:
                    step(walker, k, tables, near=True)
    bring_back(walker, number, F(int32(count - remaining - steps)) * dt, walker.gone, found, left)


def step(walker: Thread, k: Numbers, tables: Numbers, *, near: bool):
    """One step, with the exit test if the boundary is near."""
    if TABLES:
        look_up(walker, walker.d, tables)
    depart(walker, k)
    if TABLES and HEUN:
        look_up(walker, walker.y, tables)
    b, m, h, growth = arrive(walker, k)
    if near and WALLED:
        m = rebound(walker, m)
        h, growth = settle_with_walls(walker, m, h, growth, k, tables)
    if near:
        if TENSOR:
            crossed = exits_by_width(walker, m)
            walker.width = walker.per
        else:
            crossed = exits(walker, m)
        walker.gone = crossed > HALF
        walker.m = m
        walker.last = h
        if FADES:
            walker.lost = growth
    go_on(walker, b, m, h, growth)


def step_or_stay(walker: Thread, k: Numbers, tables: Numbers, *, near: bool):
    """The same of a step that may be refused."""
    propose(walker)
    if TABLES:
        look_up(walker, walker.y, tables)
    b, m, way, h, growth = decide(walker, k, tables)
    if near:
        crossed = exits(walker, way)
        walker.gone = crossed > HALF
        for i in AXES:
            m[i] = way[i] if walker.gone else m[i]
        walker.m = m
        walker.last = h
        if FADES:
            walker.lost = growth
    go_on(walker, b, m, h, growth)
