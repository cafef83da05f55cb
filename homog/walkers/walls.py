"""Walls: faces from which a step is pushed back, and what they pay and take.

A step is pushed back by as much as its Brownian bridge went beyond. With distances l0 and l1 before and after,

    M = (l0 + l1 - sqrt((l1 - l0)^2 - 2 dt ln U)) / 2

has the law of the least distance on the way, and L = -M, where that is positive, is the local time there: Skorokhod's
reflection, exact at any dt (Asmussen, Glynn and Pitman 1995). It comes before the exit test, which takes the pushed
end. For a wall with n.a grad u + k u = q, at the foot of the middle of the step,

    log w' = log w - k / a L,        R' = R + w q / a L,   w its mean over that.

Where the coefficient is a matrix, with the ratio A / a, dt stands for n.(A/a)n dt, the local time is L / n.(A/a)n, and
the push is along the conormal (A/a) n: it has a part along the face.

Ordinary Python like `homog.walkers.step`, whose names these functions use, and specialised like it.

    push                  local time at each face
    income, cost          q / a L and k / a L
"""

import math

from homog.walkers.arithmetic import exp, log2, uniform
from homog.walkers.step import (
    AT,
    AXES,
    FADES,
    FULL,
    HALF,
    LEAST,
    METROPOLIS,
    MINUS_TWO_LN2,
    ONE,
    OTHERS,
    PERIODIC,
    REFLECTING,
    SIDES,
    TABLES,
    TENSOR,
    WALL,
    WALLS,
    ZERO,
    F,
    Number,
    Numbers,
    Vector,
    Walker,
    around,
    look_up,
)


def mean_of_exp(rise: Number) -> Number:
    """The mean of exp(-s) for s from zero to `rise`."""
    return (ONE - exp(-rise)) / rise if rise > F(0.05) else ONE - HALF * rise * (ONE - rise / F(3))


# What follows is written where it is called.


def rebound(walker: Walker, m: Numbers):
    """A move, pushed back from the faces that reflect; the local time at each is noted."""
    pushed = Vector()
    for i in AXES:
        pushed[i] = m[i]
    for i in AXES:
        for side in SIDES:
            if WALLS[side][i] == REFLECTING:
                if side == 0:
                    off = walker.below[i] + walker.d[i]
                    beyond = off + pushed[i]
                else:
                    off = walker.above[i] - walker.d[i]
                    beyond = off - pushed[i]
                width = F(2) * MINUS_TWO_LN2 * walker.half_dt * log2(uniform(walker.chance[i]))
                if TENSOR:
                    width = width * walker.ratio[AT[i][i]]
                gap = beyond - off
                local = max(ZERO, HALF * (math.sqrt(gap * gap + width) - off - beyond))
                if TENSOR:
                    walker.push[2 * i + side] = local / walker.ratio[AT[i][i]]
                else:
                    walker.push[2 * i + side] = local
                if side == 0:
                    pushed[i] = pushed[i] + local
                else:
                    pushed[i] = pushed[i] - local
                if FULL:
                    for j in OTHERS[i]:
                        along = walker.ratio[AT[i][j]] * walker.push[2 * i + side]
                        pushed[j] = pushed[j] + along if side == 0 else pushed[j] - along
    if FULL:  # a push along a face may end beyond another
        for i in AXES:
            for side in SIDES:
                if WALLS[side][i] == REFLECTING:
                    if side == 0:
                        beyond = walker.below[i] + walker.d[i] + pushed[i]
                    else:
                        beyond = walker.above[i] - walker.d[i] - pushed[i]
                    local = max(ZERO, -beyond)
                    walker.push[2 * i + side] = walker.push[2 * i + side] + local / walker.ratio[AT[i][i]]
                    pushed[i] = pushed[i] + local if side == 0 else pushed[i] - local
                    for j in OTHERS[i]:
                        along = walker.ratio[AT[i][j]] * local / walker.ratio[AT[i][i]]
                        pushed[j] = pushed[j] + along if side == 0 else pushed[j] - along
    return pushed


def settle_with_walls(walker: Walker, m: Numbers, h: Number, growth: Number, k: Numbers, tables: Numbers):
    """What walls pay and take for the local time of a step along m: h and growth with it.

    Of a medium that is looked up it takes a step that touches: few do. Elsewhere there is no choice to make.
    """
    foot = Vector()
    for i in AXES:
        for side in SIDES:
            if WALL[2 * i + side]:
                for j in AXES:
                    if j == i and side == 0:
                        foot[j] = -walker.below[j]
                    elif j == i:
                        foot[j] = walker.above[j]
                    elif WALLS[0][j] == PERIODIC:
                        foot[j] = around(walker.d[j] + HALF * m[j], walker.below[j], walker.above[j])
                    else:
                        foot[j] = min(max(walker.d[j] + HALF * m[j], -walker.below[j]), walker.above[j])
                income, cost = ZERO, ZERO
                if TABLES and not METROPOLIS:
                    if walker.push[2 * i + side] > ZERO:
                        look_up(walker, foot, tables)
                        income, cost = WALL[2 * i + side](
                            foot, walker.push[2 * i + side], walker.p, walker.t, walker.seen, k
                        )  # fmt: skip
                else:
                    income, cost = WALL[2 * i + side](
                        foot, walker.push[2 * i + side], walker.p, walker.t, walker.seen, k
                    )
                if METROPOLIS:
                    income = income / max(walker.standing, LEAST)
                    cost = cost / max(walker.standing, LEAST)
                if FADES:
                    # f is met before the wall or after it
                    h = h * (HALF + HALF * exp(-cost)) + income * exp(walker.weight + growth) * mean_of_exp(cost)
                    growth = growth - cost
                else:
                    h = h + income
    return h, growth
