"""How much of what makes an answer, and which part of its error asks for more of it: see `homog.run.target`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from homog.config import WITH_A_GRID

Metrics = Mapping[str, float | int | str | None]

_SHARE = 0.45  # of the target that functions, macro step and micro step may each have
_MOST_OF_THEM = 0.7  # of the functions an axis
_PILOT_NOISE = 0.8  # of the target
_ENOUGH = 0.9  # of the target: an estimate below it needs nothing
MARGIN = 0.85  # of the noise that is left to sampling
_LEAST_NOISE = 0.4  # of the target: with less of it no error that remains becomes small
_MOST_FUNCTIONS = {1: 128, 2: 40, 3: 12}  # an axis: beyond it single precision is felt
_MOST_DEGREES = 7  # likewise from four dimensions on, where their sum counts
MOST_MACRO = 4096.0  # least macro steps
_MOST_M0 = 200.0
_MOST_SLOWER = 1e4  # steps of the medium's pace for one without
MOST_AT_ONCE = 8.0  # times as many walkers as before


def how_many(functions: float, dimension: int) -> float:
    """Products of so many functions an axis, as networks that grow have them."""
    if dimension <= WITH_A_GRID:
        return functions**dimension
    return math.exp(math.lgamma(functions + dimension) - math.lgamma(functions) - math.lgamma(dimension + 1))


def most_functions(dimension: int) -> int:
    """An axis, at most."""
    return _MOST_FUNCTIONS.get(dimension, _MOST_DEGREES)


class Parts(NamedTuple):
    """The parts of an answer's error, as `homog.run.metrics` has them.

    Attributes:
        sampling: Noise.
        functions: What the functions cannot hold.
        macro: What the macro step moves.
        micro: What the micro step moves.
        steps_noise: The larger noise of the last two.
        used: How many functions the answer is made of.
    """

    sampling: float
    functions: float
    macro: float
    micro: float
    steps_noise: float
    used: float

    @staticmethod
    def of(metrics: Metrics) -> "Parts":
        """Those that are known; the others count as nothing."""

        def known(name: str) -> float:
            value = metrics.get(name)
            return float(value) if isinstance(value, float | int) else 0.0

        noise = max(known("rel_l2_macro_step_standard_error"), known("rel_l2_micro_step_standard_error"))
        parts = (known(f"rel_l2_{name}") for name in ("standard_error", "features", "macro_step", "micro_step"))
        return Parts(*parts, steps_noise=noise, used=known("features"))

    def too_few(self, functions: int, dimension: int) -> bool:
        """Whether the answer is made of most of the functions, so many an axis."""
        return self.used > how_many(_MOST_OF_THEM * functions, dimension)

    def split(self, *, too_few: bool) -> tuple[float, float]:
        """What more walkers make smaller, and what they do not."""
        steps = math.hypot(self.macro, self.micro)
        if too_few:
            return self.sampling, math.hypot(self.functions, steps)
        return math.hypot(self.sampling, self.functions), steps


@dataclass(frozen=True)
class Effort:
    """What makes an answer better and dearer.

    Attributes:
        functions: Functions an axis.
        macro_factor: The macro step, over its lower bound (23).
        m0: Mean steps across the scale (21).
        slower: How many times as many steps the walkers may take in the mean where the medium is steep.
        walkers: All walkers of the training.
    """

    functions: int
    macro_factor: float
    m0: float
    slower: float
    walkers: float


def improved(effort: Effort, parts: Parts, smooth: float, dimension: int, *, held_back: bool) -> Effort:
    """The effort with more of what the parts above their share of the target ask for; the same where there are none.

    Args:
        effort: What an answer was made with.
        parts: The parts of its error.
        smooth: The target of the smooth part.
        dimension: Dimension of the problem.
        held_back: Whether the steps are longer than the medium's pace asks for.
    """
    too_few = parts.too_few(effort.functions, dimension)
    noise = max(parts.split(too_few=too_few)[0], parts.steps_noise)
    if noise > smooth:  # nothing else is seen
        return replace(effort, walkers=effort.walkers * min(MOST_AT_ONCE, 1.5 * (noise / smooth) ** 2))
    if math.hypot(*parts[:4]) <= _ENOUGH * smooth:
        return effort
    limit, chosen = _SHARE * smooth, effort
    if too_few and parts.functions > limit:
        more = between(1.25, math.sqrt(parts.functions / limit), 2.0)
        most = max(effort.functions, most_functions(dimension))
        chosen = replace(chosen, functions=min(most, math.ceil(more * effort.functions)))
    if parts.macro > limit:
        longer = effort.macro_factor * between(2.0, parts.macro / limit, 8.0)
        chosen = replace(chosen, macro_factor=max(effort.macro_factor, min(MOST_MACRO, longer)))
    if parts.micro > limit:
        shorter = between(1.5, (parts.micro / limit) ** (2 / 3), 4.0)  # the order of the steps is 3/2
        if held_back:
            chosen = replace(chosen, slower=max(effort.slower, min(_MOST_SLOWER, shorter * effort.slower)))
        else:
            chosen = replace(chosen, m0=max(effort.m0, min(_MOST_M0, math.sqrt(shorter) * effort.m0)))
    if chosen == effort:
        return effort
    # the next pilot is dearer: it has no more walkers than it needs to see as well as this one has to
    enough = (noise / (_PILOT_NOISE * smooth)) ** 2
    return replace(chosen, walkers=effort.walkers * between(1 / MOST_AT_ONCE, enough, 1.0))


def with_enough_walkers(effort: Effort, parts: Parts, smooth: float, dimension: int) -> Effort:
    """As many walkers as leave the smooth part of the error below its target, or the noise small beside the rest.

    At least as many as this effort has, since with far fewer the noise does not fall like the root.
    """
    noise, rest = parts.split(too_few=parts.too_few(effort.functions, dimension))
    wanted = MARGIN * max(math.sqrt(max(0.0, smooth**2 - rest**2)), _LEAST_NOISE * smooth)
    return replace(effort, walkers=effort.walkers * max((noise / wanted) ** 2, 1.0))


def smooth_target(target: float, microscale: float) -> float:
    """What is left to the smooth part: all of the target where the microscale alone is more than that."""
    return target if microscale >= target else math.sqrt(target**2 - microscale**2)


def between(least: float, value: float, most: float) -> float:
    """The value, or the nearest one that is allowed."""
    return min(most, max(least, value))
