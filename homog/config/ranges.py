"""What is said of parameters: a number each, or a range for all of which the problem is solved at once."""

from collections.abc import Mapping
from math import isfinite, nan
from typing import Any

from homog.config.coefficient import as_typed
from homog.errors import UserError

_MOST = 3


def ranges_of(parameters: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """The ends of each parameter that is a range.

    Raises:
        UserError: If a parameter is neither a finite number nor a range, in one line that says what to write.
    """
    found = {}
    for name, given in parameters.items():
        where = f"problem.parameters.{name}={as_typed(given)}"
        if isinstance(given, Mapping):
            low, high = _number(given.get("from")), _number(given.get("to"))
            if set(given) != {"from", "to"} or not low < high:
                raise UserError(f"{where}: write a number, or {{from: 0.1, to: 0.9}} with the smaller one first")
            found[name] = (low, high)
        elif _number(given) != given:
            raise UserError(f"{where}: write a finite number, or {{from: 0.1, to: 0.9}} for all between the two")
    if len(found) > _MOST:
        raise UserError(f"problem.parameters has {len(found)} ranges: write at most {_MOST}")
    if "eps" in found and not found["eps"][0] > 0:
        raise UserError("problem.parameters.eps: write a range of positive numbers")
    return found


def middle_of(parameters: Mapping[str, Any]) -> dict[str, float]:
    """Each parameter's number, of a range its middle; without eps, which is a setting of its own."""
    ranges = ranges_of(parameters)
    numbers = {
        name: sum(ranges[name]) / 2 if name in ranges else float(given)
        for name, given in parameters.items()
        if not (name == "eps" and name in ranges)
    }
    return {name: float(f"{number:.12g}") for name, number in numbers.items()}


def _number(given: Any) -> float:
    """Not a number for what is none."""
    known = isinstance(given, int | float) and not isinstance(given, bool) and isfinite(given)
    return float(given) if known else nan
