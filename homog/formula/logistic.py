"""Quotients of exponentials in a form whose values and slopes are finite wherever the quotient is.

1/(1 + exp(z)) is well behaved, but exp(z) may be beyond any floating-point number, and the slope -exp(z)/(1 + exp(z))^2
is then infinity by infinity. With the logistic function L(z) = 1/(1 + exp(-z)) it is -L(z) L(-z).
"""

from typing import Any

import sympy

Expr = Any  # a SymPy expression; SymPy's own annotations do not survive its operators
_LONGEST = 60  # operations of a numerator that is expanded


class logistic(sympy.Function):  # a SymPy function is a class, and evaluation goes by its name
    """L(z) = 1/(1 + exp(-z)), with the slope L(z) L(-z)."""

    nargs = 1
    is_real = True

    @classmethod
    def eval(cls, z: Expr) -> Expr | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The value for a number."""
        if z.is_number:
            return sympy.Float(1 / (1 + sympy.exp(-z)))
        return None

    def fdiff(self, argindex: int = 1) -> Expr:
        """The slope."""
        z: Expr = self.args[0]
        return logistic_of(z) * logistic_of(-z)


def logistic_of(z: Expr) -> Expr:
    """L(z)."""
    return logistic(z)


def stable(expression: Expr) -> Expr:
    """The same function, with logistic and hyperbolic functions in place of quotients of exponentials.

    With e = exp(z) and exp(y) = k e/c:  e^m / (c + k e)^n = c^(m - n) k^-m L(y)^m L(-y)^(n - m),  0 <= m <= n;
    and sinh^m / cosh^n = tanh^m cosh^(m - n), 0 < m <= n.
    """
    if not expression.has(sympy.exp, sympy.cosh):
        return expression
    if not isinstance(expression, sympy.Mul | sympy.Pow):
        return expression.func(*map(stable, expression.args))
    factors = []
    for factor in sympy.Mul.make_args(expression):
        power = isinstance(factor, sympy.Pow)
        factors.append(stable(factor.base) ** factor.exp if power else stable(factor))
    return _without_quotients(sympy.Mul(*factors))


def _without_quotients(expression: Expr) -> Expr:
    """A product of which the factors are stable already."""
    factors = list(sympy.Mul.make_args(expression))
    for factor in factors:
        base, exponent = factor.as_base_exp()
        if exponent.is_negative:
            rest = sympy.Mul(*(other for other in factors if other is not factor))
            if isinstance(base, sympy.cosh):
                found = _by_tanh(base.args[0], -exponent, factors)
            else:
                found = _by_logistic(base, -exponent, rest)
            if found is not None:
                return _without_quotients(found)
    return expression


def _by_tanh(z: Expr, below: Expr, factors: list[Expr]) -> Expr | None:
    for factor in factors:
        base, above = factor.as_base_exp()
        if base == sympy.sinh(z) and above.is_positive and (below - above).is_nonnegative:
            rest = [f for f in factors if f is not factor and f.as_base_exp()[0] != sympy.cosh(z)]
            return sympy.Mul(*rest) * sympy.tanh(z) ** above * sympy.cosh(z) ** (above - below)
    return None


def _by_logistic(base: Expr, power: Expr, rest: Expr) -> Expr | None:
    """`rest` / base^power, for a base c + k exp(z) of positive numbers c and k."""
    if not (isinstance(base, sympy.Add) and len(base.args) == 2 and power.is_number):
        return None
    first, other = base.args
    if not first.is_number:
        first, other = other, first
    k, e = other.as_coeff_Mul()
    if not (first.is_positive and k.is_positive and isinstance(e, sympy.exp)):
        return None
    y = e.args[0] + sympy.log(k / first).evalf()
    place = sympy.Dummy(real=True)
    shifts = ((other, sympy.expand(other.args[0] - e.args[0])) for other in rest.atoms(sympy.exp))
    above = rest.xreplace({other: place * sympy.exp(shift) for other, shift in shifts if shift.is_number})
    if not above.has(place):
        return rest * first**-power * logistic_of(-y) ** power
    if not above.is_polynomial(place) or above.count_ops() > _LONGEST:
        return None
    terms = sympy.Poly(above, place).terms()
    if not power.is_Integer or max(m for (m,), _ in terms) > power:
        return None
    inner = (c * (first / k) ** m * logistic_of(y) ** m * logistic_of(-y) ** (power - m) for (m,), c in terms)
    return first**-power * sympy.Add(*inner)


def with_logistic(expression: Expr) -> Expr:
    """The same with logistic functions for the tanh of sums, so that no digits cancel where a sum is small.

    c (1 + tanh z) is 2c L(2z), and c (1 - tanh z) is 2c L(-2z).
    """
    if not expression.has(sympy.tanh):
        return expression
    expression = expression.func(*map(with_logistic, expression.args))
    if not isinstance(expression, sympy.Add):
        return expression
    terms = []
    for term in expression.args:
        factor, function = term.as_coeff_Mul()
        if isinstance(function, sympy.tanh):
            z: Expr = function.args[0]
            sign = 1 if factor.is_positive else -1
            terms += [2 * sign * factor * logistic_of(2 * sign * z), -sign * factor]
        else:
            terms.append(term)
    return sympy.Add(*terms)
