"""The source of one walker step, as scalar functions that a CPU or a GPU driver calls.

For dX = V dt + dB (`drift`, equation 7) or X = B (`girsanov`, equation 13), with V = grad a / (2a), h = f / (2a):

    euler: X' = X + V(X) dt + dB,                       R' = R + h(X) dt                          (18, 19)
    heun:  X' = X + (V(X) + V(Y)) dt / 2 + dB,          R' = R + (h(X) + h(Y)) dt / 2,  Y = X + V(X) dt + dB
                                                                                        (held in the closed domain)

and log D' = log D + V.dB - |V|^2 dt / 2 for `girsanov`. A step leaves the domain where it ends outside or, with the
`bridge` rule, touched a face on the way: a Brownian bridge between distances l0 and l1 to a face touches it with
probability exp(-2 l0 l1 / dt). Of several faces the likeliest is tested, so in a corner the probability is low by
the product of two small ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from homog.walkers.medium import Medium

PREAMBLE = """
import math

import numpy as np
from numba import float32, int32, njit, uint32, uint64

from homog.walkers.arithmetic import (
    atan, cos_turn, cos_turns, cosh, cubic_weights, erf, exp, exp2, linear_weights, log, log2, logistic, next_bits,
    power, sin_turn, sin_turns, sinh, spare_bits, split, stream_state, tanh, turn, uniform,
)

F = np.float32
ZERO, HALF, ONE = F(0), F(0.5), F(1)
MINUS_TWO_LN2, MINUS_LN2, LN2, LOG2E = F(-2 * math.log(2)), F(-math.log(2)), F(math.log(2)), F(1 / math.log(2))
"""
DECORATOR = "@njit(fastmath=True, error_model='numpy', forceinline=True)"  # numba-cuda compiles such functions anew
SPAN = 16  # steps between two looks at the distance to the boundary


@dataclass(frozen=True)
class Scheme:
    """How a walker moves: `martingale` girsanov or drift, `step` euler or heun, `exit` bridge or clip."""

    martingale: str = "drift"
    step: str = "heun"
    exit: str = "bridge"


def axis_names(letters: str, dimension: int) -> list[str]:
    """`axis_names("d p", 2)` is ["d1", "d2", "p1", "p2"]."""
    return [f"{letter}{i + 1}" for letter in letters.split() for i in range(dimension)]


def joined(names: Iterable[str]) -> str:
    """The names as an argument list."""
    return ", ".join(names)


def indented(depth: int, lines: Iterable[str]) -> list[str]:
    """The lines, `depth` blocks deeper."""
    return ["    " * depth + line for line in lines]


def table_names(medium: Medium, dimension: int) -> list[str]:
    """What is looked up in the medium's tables: for each its value and its slopes."""
    return [name for table in medium.tables for name in (table, *axis_names(table, dimension))]


def environment(medium: Medium, dimension: int) -> list[str]:
    """What the medium reads besides the displacement: start p1, ..., phases t0, ..., what it looks up, constants."""
    start = axis_names("p", dimension) if medium.reads_start else []
    phases = [f"t{i}" for i in range(len(medium.phases))]
    return [*start, *phases, *table_names(medium, dimension), *(f"k{i}" for i in range(len(medium.constants)))]


def step_source(medium: Medium, dimension: int, scheme: Scheme) -> list[str]:
    """Lines that define `medium`, `increments`, `ahead`, `move`, `leaves` and `settle`, for a module with PREAMBLE.

    A driver calls them in this order; with a Heun step `medium` a second time, at the place that `ahead` gives. What
    the medium looks up in tables, the driver fetches before, by the function that `lookup_source` defines.
    """
    parts = (_medium(medium, dimension), _increments(dimension), _ahead(dimension), _move(dimension, scheme),
             _leaves(dimension), _settle(dimension))  # fmt: skip
    return [line for part in parts for line in (DECORATOR, *part, "", "")]


def _medium(medium: Medium, dimension: int) -> list[str]:
    """V dt and h dt at a displacement."""
    return [
        f"def medium({joined([*axis_names('d', dimension), 'half_dt', *environment(medium, dimension)])}):",
        *(f"    {line}" for line in medium.lines),
        f"    return {joined([*axis_names('v', dimension), 'h'])}",
    ]


def _increments(dimension: int) -> list[str]:
    """Brownian increments b1, ..., bd by Box and Muller, two for each pair of draws, and 32 spare bits.

    `spread` is -2 ln(2) dt, so that the radius is sqrt(-2 dt ln U).
    """
    lines = ["def increments(spread, s0, s1, s2, s3):"]
    for i in range(1, dimension + 1, 2):
        lines += [f"    {draw}, s0, s1, s2, s3 = next_bits(s0, s1, s2, s3)" for draw in ("first", "second")]
        lines += ["    radius = math.sqrt(spread * log2(uniform(first)))", "    angle = turn(second)"]
        lines += [f"    b{i} = radius * cos_turn(angle)"]
        lines += [f"    b{i + 1} = radius * sin_turn(angle)"] if i < dimension else []
    return [*lines, f"    return {joined(axis_names('b', dimension))}, spare_bits(first, second), s0, s1, s2, s3"]


def _ahead(dimension: int) -> list[str]:
    """Where an Euler step leads: the predictor of Heun's. Formulas may have no value outside: it stays in the box."""
    arguments = axis_names("d v b below above", dimension)
    places = (f"min(max(d{i} + v{i} + b{i}, -below{i}), above{i})" for i in range(1, dimension + 1))
    return [f"def ahead({joined(arguments)}):", f"    return ({joined(places)},)"]


def _move(dimension: int, scheme: Scheme) -> list[str]:
    """The move m1, ..., md of one step and what it adds to log D; v comes multiplied with dt."""
    axes = range(1, dimension + 1)
    if scheme.martingale == "drift":
        moves, growth = [f"b{i} + v{i}" for i in axes], "ZERO"
    else:
        moves = axis_names("b", dimension)
        growth = f"HALF / half_dt * ({' + '.join(f'v{i} * (b{i} - HALF * v{i})' for i in axes)})"
    return [
        f"def move({joined([*axis_names('b v', dimension), 'half_dt'])}):",
        f"    return {joined([*moves, growth])}",
    ]


def _leaves(dimension: int) -> list[str]:
    """1 where a step leaves: the least product of distances to a face before and after is below `reach`.

    exp(-2 l0 l1 / dt) > U is l0 l1 < -ln(U) dt / 2 = reach; a product below zero is a step that ends outside.
    """
    axes = range(1, dimension + 1)
    lines = ["nearest = reach"]
    for i in axes:
        for face, move in ((f"(below{i} + d{i})", f"+ m{i}"), (f"(above{i} - d{i})", f"- m{i}")):
            lines += [f"product = {face} * ({face} {move})", "nearest = product if product < nearest else nearest"]
    return [f"def leaves({joined(axis_names('d m below above', dimension))}, reach):",
            *(f"    {line}" for line in lines), "    return ONE if nearest < reach else ZERO"]  # fmt: skip


def _settle(dimension: int) -> list[str]:
    """Where the step that left met the face it left by, and the share of the step until then.

    The reflected path crosses the face at the share l0 / (l0 + |l1|) of the step; for a step that ends outside this
    is where the straight segment crosses it. Here d1, ..., dd is the displacement after the step m1, ..., md.
    """
    axes = range(1, dimension + 1)
    lines = ["nearest, share, face, wall = F(math.inf), ONE, 0, ZERO"]
    for i in axes:
        for after, back, wall in ((f"below{i} + d{i}", "-", f"-below{i}"), (f"above{i} - d{i}", "+", f"above{i}")):
            lines += [
                f"after = {after}",
                f"before = after {back} m{i}",
                "if before * after < nearest:",
                f"    nearest, face, wall = before * after, {i}, {wall}",
                "    share = min(ONE, max(ZERO, before / max(before + abs(after), F(1e-30))))",
            ]
    for i in axes:
        lines += [
            f"place = min(max(d{i} - (ONE - share) * m{i}, -below{i}), above{i})",
            f"place{i} = wall if face == {i} else place",
        ]
    return [f"def settle({joined(axis_names('d m below above', dimension))}):", *(f"    {line}" for line in lines),
            f"    return {joined(axis_names('place', dimension))}, share"]  # fmt: skip
