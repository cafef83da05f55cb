"""What is said of a problem that depends on time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

from homog.config.coefficient import as_typed
from homog.errors import UserError, hint

_TIMES = 5
_MOST_TIMES = 200
_KEYS = ("end", "initial", "times")
_SHAPE = (
    "write {end: 0.1, initial: 'sin(pi*x1)*sin(pi*x2)'}, and times: [0.05, 0.1] where others than fifths are wanted"
)


@dataclass(frozen=True)
class Span:
    """From t = 0 to the last of the times.

    Attributes:
        initial: The text of u at t = 0.
        times: At which u is wanted, ascending.
    """

    initial: str
    times: tuple[float, ...]


def span_of(time: Any) -> Span | None:
    """What `problem.time` says; None where there is no time.

    Raises:
        UserError: If it is no mapping of this kind, in one line that says what to write.
    """
    if time is None:
        return None
    if not isinstance(time, Mapping):
        raise UserError(f"problem.time={as_typed(time)}: {_SHAPE}")
    for key in time:
        if key not in _KEYS:
            raise UserError(f"problem.time.{key} is unknown: {hint(str(key), _KEYS)}")
    end, initial = _number(time.get("end")), time.get("initial")
    if not end > 0:
        raise UserError(f"problem.time.end={as_typed(time.get('end'))}: write a positive number")
    if isinstance(initial, bool) or not isinstance(initial, str | int | float):
        raise UserError(f"problem.time.initial={as_typed(initial)}: write u at t = 0, one formula in x1, x2, ...")
    return Span(str(initial), _times(time.get("times"), end))


def _times(given: Any, end: float) -> tuple[float, ...]:
    if given is None:
        return (*(float(f"{end * share / _TIMES:.12g}") for share in range(1, _TIMES)), end)
    times = [_number(time) for time in given] if isinstance(given, Sequence) and not isinstance(given, str) else []
    ascending = all(a < b for a, b in zip([0.0, *times], times, strict=False))
    if len(times) > _MOST_TIMES:
        raise UserError(f"problem.time.times has {len(times)} entries: write at most {_MOST_TIMES}")
    if not times or not ascending or times[-1] > end:
        raise UserError(
            f"problem.time.times={as_typed(given)}: write ascending numbers above 0 and up to problem.time.end={end:g}"
        )
    return tuple(times) if times[-1] == end else (*times, end)


def _number(given: Any) -> float:
    """Not a number for what is none."""
    known = isinstance(given, int | float) and not isinstance(given, bool) and isfinite(given)
    return float(given) if known else nan
