"""Float32 source for values beyond single precision: a number m is kept with an exponent e, as m 2^e.

V = grad a / (2a) and h = f / (2a) are quotients: of exp(600*x1) neither they nor their slopes are large. A product adds
the exponents, a sum aligns them to the largest, and exp(z) is 1 with the exponent z / ln 2. The exponent is itself a
float32: at 1000 it is rounded by 3e-5, which is what rounding z does to exp(z).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import sympy

from homog.formula.bounds import Range, bounds
from homog.formula.kinks import KINKED, absolute, select
from homog.formula.logistic import Expr

_MOST, _LEAST = 2.0**90, 2.0**-60  # of single precision's 2^127 and 2^-126: steps of time are multiplied with them
_BITS = 60  # that a product may gain or lose
_FINAL_BITS = 30  # of the coefficient, by which is divided


def fits(values: Range, *, small: bool = False) -> bool:
    """Whether numbers in a range keep their digits in single precision; with `small`, those near zero need not."""
    low, high = _sizes(values)
    return bool(high <= _MOST and (small or high == 0 or (high >= _LEAST and (low == 0 or low >= _LEAST))))


def _sizes(values: Range) -> tuple[Any, Any]:
    """The least and the largest absolute value; zero for the least where it is not known."""
    low, high = values
    least = low if low > 0 else -high if high < 0 else 0.0
    return least, max(abs(low), abs(high))


class Number(NamedTuple):
    """A value in the source: the name or text of its mantissa, that of its exponent or "", and bounds of |mantissa|."""

    mantissa: str
    exponent: str
    low: Any
    high: Any


class Scaled:
    """Writes lines for expressions whose values have exponents where they need them.

    Args:
        ranges: Range of each symbol; further constants are added by `constant`.
        constant: Makes a number a constant of the kernel.
    """

    def __init__(self, ranges: Mapping[str, Range], constant: Callable[[Expr], Expr]) -> None:
        self._ranges, self._constant = ranges, constant
        self._bounds: dict[Expr, Range] = {}
        self._numbers: dict[Expr, Number] = {}
        self._lines: list[str] = []

    def lines(self, coefficient: Expr, data: Mapping[str, Expr], slopes: Sequence[Expr]) -> tuple[str, ...]:
        """Assignments that end by setting data dt / (2a), by name, and v1, ... = slopes dt / (2a); without slopes a."""
        a, *rest = (self._number(e) for e in (coefficient, *data.values(), *slopes))
        if not slopes:
            whole = self._name("m", f"{a.mantissa} * exp2({a.exponent})") if a.exponent else a.mantissa
            self._lines.append(f"a = {whole}")
        a = self._near_one(a, _FINAL_BITS)
        self._lines.append(f"factor = half_dt / {a.mantissa}")
        for name, value in zip((*data, *(f"v{i + 1}" for i in range(len(slopes)))), rest, strict=True):
            scale = "" if value.exponent == a.exponent else f" * exp2({_difference(value.exponent, a.exponent)})"
            self._lines.append(f"{name} = factor * {value.mantissa}{scale}")
        return tuple(self._lines)

    def _number(self, expression: Expr) -> Number:
        if expression not in self._numbers:
            self._numbers[expression] = self._made(expression)
        return self._numbers[expression]

    def _made(self, expression: Expr) -> Number:
        if expression == 0 or expression == 1:
            return Number("ONE" if expression == 1 else "ZERO", "", float(expression), float(expression))
        if expression.is_number:
            return self._number(self._constant(expression))
        if isinstance(expression, sympy.Symbol):
            return Number(expression.name.removeprefix("_"), "", *_sizes(self._range(expression)))
        if isinstance(expression, sympy.Add):
            return self._sum(expression.args)
        if isinstance(expression, sympy.Mul):
            return self._product([self._number(argument) for argument in expression.args])
        if isinstance(expression, sympy.Pow):
            return self._power(expression)
        if expression.func.__name__ in KINKED:
            return self._kink(expression)
        return self._function(expression)

    def _range(self, expression: Expr) -> Range:
        return bounds(expression, self._ranges, self._bounds)

    def _name(self, letter: str, text: str) -> str:
        self._lines.append(f"{letter}_{len(self._lines)} = {text}")
        return self._lines[-1].partition(" ")[0]

    def _plain(self, number: Number) -> str:
        """The value itself; beyond single precision, the end of it."""
        return self._name("m", f"{number.mantissa} * exp2({number.exponent})") if number.exponent else number.mantissa

    def _near_one(self, number: Number, bits: float) -> Number:
        """The same with a mantissa within 2^-bits and 2^bits, if that is not known."""
        if number.high <= 2.0**bits and (number.low == 0 or number.low >= 2.0**-bits):
            return number
        return self._split(number)

    def _split(self, number: Number) -> Number:
        self._lines.append(f"m_{len(self._lines)}, e_{len(self._lines)} = split({number.mantissa})")
        mantissa, exponent = self._lines[-1].partition(" =")[0].split(", ")
        return Number(mantissa, self._exponent([exponent, number.exponent]), 1.0, 2.0)

    def _exponent(self, terms: Sequence[str]) -> str:
        given = [term for term in terms if term]
        return self._name("e", " + ".join(given)) if len(given) > 1 else "".join(given)

    def _sum(self, terms: Sequence[Expr]) -> Number:
        numbers = [self._number(term) for term in terms]
        by_exponent: dict[str, list[str]] = {}
        for number in numbers:
            by_exponent.setdefault(number.exponent, []).append(number.mantissa)
        sums = {exponent: f"({' + '.join(mantissas)})" for exponent, mantissas in by_exponent.items()}
        top, *others = sums
        if others:
            top = top or "ZERO"
            for exponent in others:
                top = self._name("e", f"max({top}, {exponent or 'ZERO'})")
            text = " + ".join(f"{value} * exp2({_difference(exponent, top)})" for exponent, value in sums.items())
        else:
            text = sums[top]
        if sums.keys() == {""}:
            return Number(self._name("m", text), "", *_sizes(self._range(sympy.Add(*terms))))
        ranges = [self._range(term) for term in terms]
        if all(low >= 0 for low, _ in ranges) or all(high <= 0 for _, high in ranges):
            low = min(number.low for number in numbers)  # the one of the largest exponent is not made smaller
        else:
            low = 0.0
        return Number(self._name("m", text), top, low, sum(number.high for number in numbers))

    def _product(self, numbers: Sequence[Number]) -> Number:
        near = [self._near_one(number, _BITS / len(numbers)) for number in numbers]
        exponent = self._exponent([number.exponent for number in near])
        low, high = math.prod(number.low for number in near), math.prod(number.high for number in near)
        return Number(self._name("m", " * ".join(number.mantissa for number in near)), exponent, low, high)

    def _power(self, expression: Expr) -> Number:
        base, exponent = expression.base, expression.exp
        if exponent.is_negative:
            below = self._near_one(self._number(base**-exponent), _BITS)
            negative = self._name("e", f"-{below.exponent}") if below.exponent else ""
            high = 1 / below.low if below.low > 0 else 2.0**_FINAL_BITS  # where it is not known: not far from one
            return Number(self._name("m", f"ONE / {below.mantissa}"), negative, 1 / below.high, high)
        number = self._number(base)
        if exponent.is_Integer:
            if exponent > 2 and number.low == 0:  # it may underflow where the base is not zero
                number = self._split(number)
            return self._product([self._near_one(number, _BITS / int(exponent))] * int(exponent))
        real = float(exponent)
        number = self._near_one(number, _BITS / max(1.0, real))
        root = f"math.sqrt({number.mantissa})" if real == 0.5 else f"power({number.mantissa}, F({real!r}))"
        times = self._name("e", f"{number.exponent} * F({real!r})") if number.exponent else ""
        return Number(self._name("m", root), times, number.low**real, number.high**real)

    def _kink(self, expression: Expr) -> Number:
        """A choice between numbers, each with its exponent."""
        numbers = [self._number(argument) for argument in expression.args]
        if isinstance(expression, absolute):
            (number,) = numbers
            return number._replace(mantissa=self._name("m", f"abs({number.mantissa})"))
        if isinstance(expression, select):
            by, *numbers = numbers
        else:
            a, b = expression.args
            by = self._sum([a, -b])
        first, second = numbers

        def chosen(letter: str, of_first: str, of_second: str) -> str:
            return self._name(letter, f"select({by.mantissa}, {of_first}, {of_second})")

        exponent = first.exponent
        if exponent != second.exponent:
            exponent = chosen("e", first.exponent or "ZERO", second.exponent or "ZERO")
        mantissa = chosen("m", first.mantissa, second.mantissa)
        return Number(mantissa, exponent, min(first.low, second.low), max(first.high, second.high))

    def _function(self, expression: Expr) -> Number:
        name, inner = expression.func.__name__, self._number(expression.args[0])
        beyond = not fits(self._range(expression))
        if name == "log" and inner.exponent:
            text = f"(log2({inner.mantissa}) + {inner.exponent}) * LN2"
            return Number(self._name("m", text), "", *_sizes(self._range(expression)))
        z = self._plain(inner)
        if beyond and name == "exp":
            return Number("ONE", self._name("e", f"{z} * LOG2E"), 1.0, 1.0)
        if beyond and name == "logistic":
            return Number(self._name("m", f"logistic(abs({z}))"), self._name("e", f"min({z}, ZERO) * LOG2E"), 0.5, 1.0)
        if beyond and name in ("sinh", "cosh"):
            half = f"HALF {'+' if name == 'cosh' else '-'} HALF * exp(-(abs({z}) + abs({z})))"
            text = half if name == "cosh" else f"math.copysign({half}, {z})"
            return Number(self._name("m", text), self._name("e", f"abs({z}) * LOG2E"), 0.5 * (name == "cosh"), 1.0)
        return Number(self._name("m", f"{name}({z})"), "", *_sizes(self._range(expression)))


def _difference(exponent: str, other: str) -> str:
    return f"{exponent or 'ZERO'} - {other or 'ZERO'}"
