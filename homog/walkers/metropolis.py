"""One step of a walker in a medium that jumps: accepted, or not.

A coefficient that jumps has no drift. From x a place Y = x + dB is proposed, and taken with probability
min(1, a(Y) / a(x)); else the walker stays (Metropolis et al. 1953). The chain is reversible in a dx exactly, whatever
dt is, and its limit has the generator (1/2a) div(a grad): all that is true of walkers that drift is true of these,
without any derivative of a. Where a is zero none enters: such places are walls that reflect.

    X' = Y or x,        R' = R + h(x) dt,   h = f / (2a),    and with a reaction log w' = log w - c(x) dt / (2a)

A step leaves where the way to the place proposed does, whether that would be accepted or not: so the walk that ends at
the boundary is reversible too. Faces that reflect push the way back; its local time counts whether it is accepted or
not, by the a at the walker's own place: in the mean over a that is the surface integral, exactly. The price is weak
order 1/2, by the steps that are refused at an interface.

Ordinary Python like `homog.walkers.step`, whose names these functions use, and specialised like it.

    a, h, e               coefficient, h dt and, with a reaction, e = c dt / (2a) at the place proposed
    standing, paid, toll  the same at the walker's own
    lot                   32 random bits that decide
"""

from homog.walkers.arithmetic import exp, next_bits, uniform
from homog.walkers.step import (
    AXES,
    DRAWS,
    FADES,
    HALF,
    KILLS,
    PERIODIC,
    REFLECTS,
    WALLED,
    WALLS,
    ZERO,
    Number,
    Numbers,
    Vector,
    Walker,
    around,
    increments,
)
from homog.walkers.walls import rebound, settle_with_walls


def ground(d: Numbers, half_dt: Number, p: Numbers, t: Numbers, seen: Numbers, k: Numbers) -> tuple[Number, ...]:
    """a, h dt and, with a reaction, e: the lines that `homog.walkers.medium` writes for a problem's formulas."""
    raise NotImplementedError


# What follows is written where it is called.


def stand(walker: Walker, k: Numbers):
    """Look at the place from which a walker sets out."""
    if KILLS:
        a, h, e = ground(walker.d, walker.half_dt, walker.p, walker.t, walker.seen, k)
        walker.toll = e
    else:
        a, h = ground(walker.d, walker.half_dt, walker.p, walker.t, walker.seen, k)
    walker.standing = a
    walker.paid = h


def propose(walker: Walker):
    """The noise, and the place that it leads to; formulas may have no value outside: it stays in the box."""
    b, spare, s = increments(walker.spread, walker.s)
    lot, *s = next_bits(*s)
    for i in AXES:
        if REFLECTS[i]:
            drawn, *s = next_bits(*s)
            walker.chance[i] = drawn
    for _ in DRAWS[1:]:
        c, spare, s = increments(walker.spread, s)
        lot, *s = next_bits(*s)
        for i in AXES:
            b[i] = b[i] + c[i]
            if REFLECTS[i]:
                drawn, *s = next_bits(*s)
                walker.chance[i] = drawn
    walker.s = s
    if WALLED:
        way = rebound(walker, b)
        walker.way = way
    else:
        way = b
    for i in AXES:
        if WALLS[0][i] == PERIODIC:
            walker.y[i] = around(walker.d[i] + way[i], walker.below[i], walker.above[i])
        else:
            walker.y[i] = min(max(walker.d[i] + way[i], -walker.below[i]), walker.above[i])
    walker.b = b
    walker.spare = spare
    walker.lot = lot


def decide(walker: Walker, k: Numbers, tables: Numbers):
    """Brownian increment, move, way, h dt and growth of log w of the step, and what the medium is where it ends."""
    b = walker.b
    m = Vector()
    h = walker.paid
    growth = ZERO
    if KILLS:
        h = h * exp(walker.weight - HALF * walker.toll)
        growth = -walker.toll
    elif FADES:
        h = h * exp(walker.weight)
    if KILLS:
        a, g, q = ground(walker.y, walker.half_dt, walker.p, walker.t, walker.seen, k)
    else:
        a, g = ground(walker.y, walker.half_dt, walker.p, walker.t, walker.seen, k)
    if WALLED:
        way = walker.way
        h, growth = settle_with_walls(walker, way, h, growth, k, tables)
    else:
        way = b
    taken = uniform(walker.lot) * walker.standing <= a
    for i in AXES:
        m[i] = way[i] if taken else ZERO
    walker.standing = a if taken else walker.standing
    walker.paid = g if taken else walker.paid
    if KILLS:
        walker.toll = q if taken else walker.toll  # pyright: ignore[reportPossiblyUnboundVariable]
    return b, m, way, h, growth
