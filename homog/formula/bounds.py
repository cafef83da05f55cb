"""Interval arithmetic: bounds of a formula over ranges of its names, for whole arrays of ranges at once.

The bounds hold but for rounding. They are not sharp where a name occurs more than once; on small ranges they are.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy

from homog.formula.evaluate import NUMPY

Range = tuple[Any, Any]
"""A lower and an upper bound: numbers, or arrays of one shape."""

_WAVES_IN_TURNS = ("sin_turns", "cos_turns")  # of walkers; their arguments need not be known


def _erf(x: Any) -> Any:
    return NUMPY["erf"](np.asarray(x, dtype=np.float64))[()]  # SciPy has it in no wider numbers


_RISING: Mapping[str, Callable[[Any], Any]] = {
    **{name: NUMPY[name] for name in ("exp", "sinh", "tanh", "atan", "logistic")},
    "erf": _erf,
}


def bounds(expression: Any, ranges: Mapping[str, Range], known: dict[Any, Range] | None = None) -> Range:
    """A lower and an upper bound of an expression.

    Args:
        expression: A SymPy expression, from a Formula.
        ranges: Range of each name; arrays have a range for each entry. The bounds are computed in their precision.
        known: Bounds of expressions over the same ranges, found before; those of all parts are added.

    Returns:
        The bounds; -inf and inf where there are none, as for 1/x on a range that holds 0.
    """
    with np.errstate(all="ignore"):
        return _bounds(expression, ranges, {} if known is None else known)


def _bounds(expression: Any, ranges: Mapping[str, Range], known: dict[Any, Range]) -> Range:
    if expression not in known:
        known[expression] = _found(expression, ranges, known)
    return known[expression]


def _found(expression: Any, ranges: Mapping[str, Range], known: dict[Any, Range]) -> Range:
    if isinstance(expression, sympy.Symbol):
        return ranges[expression.name]
    if expression.is_number:
        value = np.float64(float(expression))
        return value, value
    name = type(expression).__name__
    if name in _WAVES_IN_TURNS:
        return np.float64(-1), np.float64(1)
    if isinstance(expression, sympy.Pow):
        return _power(_bounds(expression.base, ranges, known), float(expression.exp))
    inner = [_bounds(argument, ranges, known) for argument in expression.args]
    if isinstance(expression, sympy.Add):
        return _ordered(sum(low for low, _ in inner), sum(high for _, high in inner))
    if isinstance(expression, sympy.Mul):
        return functools.reduce(_product, inner)
    if name in _OF_MORE:
        return _OF_MORE[name](*inner)
    low, high = inner[0]
    if name in _RISING:
        return _RISING[name](low), _RISING[name](high)
    return _OTHERS[name](low, high)


def _ordered(low: Any, high: Any) -> Range:
    """Nothing is known where inf - inf has left no number."""
    return np.where(np.isnan(low), -np.inf, low)[()], np.where(np.isnan(high), np.inf, high)[()]


def _product(one: Range, other: Range) -> Range:
    products = [a * b for a in one for b in other]
    products = [np.where(np.isnan(p), 0.0, p) for p in products]  # 0 * inf: a bound that is never reached
    return functools.reduce(np.minimum, products)[()], functools.reduce(np.maximum, products)[()]


def _power(base: Range, exponent: float) -> Range:
    if exponent < 0:
        low, high = _power(base, -exponent)
        both = (low < 0) & (high > 0)
        below, above = np.where(high == 0, -np.inf, 1 / high), np.where(low == 0, np.inf, 1 / low)
        return np.where(both, -np.inf, below)[()], np.where(both, np.inf, above)[()]
    low, high = base
    if exponent != int(exponent):  # of numbers that are not negative
        return np.maximum(low, 0) ** exponent, np.maximum(high, 0) ** exponent
    whole = int(exponent)
    if whole % 2:
        return low**whole, high**whole
    least = np.where((low <= 0) & (high >= 0), 0.0, np.minimum(low**whole, high**whole))
    return least[()], np.maximum(low**whole, high**whole)


def _log(low: Any, high: Any) -> Range:
    return np.log(np.maximum(low, 0)), np.log(np.maximum(high, 0))


def _absolute(low: Any, high: Any) -> Range:
    least = np.where((low <= 0) & (high >= 0), 0.0, np.minimum(np.abs(low), np.abs(high)))
    return least[()], np.maximum(np.abs(low), np.abs(high))


def _cosh(low: Any, high: Any) -> Range:
    least, most = _absolute(low, high)
    return np.cosh(least), np.cosh(most)


def _cos(low: Any, high: Any) -> Range:
    ends = np.cos(low), np.cos(high)
    wide = ~((high - low) < 2 * np.pi)  # infinite ends too
    highest = wide | _holds_multiple(low, high, 0.0)
    lowest = wide | _holds_multiple(low, high, np.pi)
    return np.where(lowest, -1.0, np.minimum(*ends))[()], np.where(highest, 1.0, np.maximum(*ends))[()]


def _sin(low: Any, high: Any) -> Range:
    return _cos(low - np.pi / 2, high - np.pi / 2)


def _tan(low: Any, high: Any) -> Range:
    pole = ~((high - low) < np.pi) | _holds_multiple(2 * low, 2 * high, np.pi)
    return np.where(pole, -np.inf, np.tan(low))[()], np.where(pole, np.inf, np.tan(high))[()]


def _holds_multiple(low: Any, high: Any, shift: float) -> Any:
    """Whether a range holds shift + 2 pi n for a whole n."""
    return np.ceil((low - shift) / (2 * np.pi)) <= np.floor((high - shift) / (2 * np.pi))


def _select(z: Range, a: Range, b: Range) -> Range:
    """Of what may be chosen."""
    always, never = z[0] > 0, z[1] <= 0
    low = np.where(always, a[0], np.where(never, b[0], np.minimum(a[0], b[0])))
    high = np.where(always, a[1], np.where(never, b[1], np.maximum(a[1], b[1])))
    return low[()], high[()]


def _fraction(low: Any, high: Any) -> Range:
    one = np.floor(low) == np.floor(high)
    return np.where(one, low - np.floor(low), 0.0)[()], np.where(one, high - np.floor(high), 1.0)[()]


_OF_MORE: Mapping[str, Callable[..., Range]] = {
    "larger": lambda a, b: (np.maximum(a[0], b[0]), np.maximum(a[1], b[1])),
    "select": _select,
}
_OTHERS: Mapping[str, Callable[[Any, Any], Range]] = {
    "absolute": _absolute,
    "floor": lambda low, high: (np.floor(low), np.floor(high)),
    "fraction": _fraction,
    "log": _log,
    "cosh": _cosh,
    "sin": _sin,
    "cos": _cos,
    "tan": _tan,
}
