"""Functions that jump: comparisons, the whole part of a number and what is left of it.

A condition is a number that is positive where it holds: so comparisons join, and turn around, without questions about
signs. What stands between two values is `homog.formula.kinks.select`.
"""

import math

import sympy

from homog.formula.kinks import larger, select, smaller
from homog.formula.logistic import Expr

_ZERO, _ONE = sympy.Integer(0), sympy.Integer(1)


class floor(sympy.Function):  # a SymPy function is a class, and evaluation goes by its name
    """The largest whole number that is not above z."""

    nargs = 1
    is_real = True

    @classmethod
    def eval(cls, z: Expr) -> Expr | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The value for a number."""
        return sympy.Integer(math.floor(float(z))) if z.is_number else None

    def fdiff(self, argindex: int = 1) -> Expr:
        """The slope."""
        return _ZERO


class fraction(sympy.Function):
    """z - floor(z), from 0 to 1: of a walker far from the origin it has digits that z has not."""

    nargs = 1
    is_real = True

    @classmethod
    def eval(cls, z: Expr) -> Expr | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The value for a number."""
        return z - floor(z) if z.is_number else None

    def fdiff(self, argindex: int = 1) -> Expr:
        """The slope."""
        return _ONE


def modulo(z: Expr, m: Expr) -> Expr:
    """z - m floor(z / m), as in Python."""
    return m * fraction(z / m)


def quotient(z: Expr, m: Expr) -> Expr:
    """floor(z / m)."""
    return floor(z / m)


def above(a: Expr, b: Expr) -> Expr:
    """a > b, as a condition."""
    return a - b


def at_least(a: Expr, b: Expr) -> Expr:
    """a >= b."""
    return denied(above(b, a))


def denied(condition: Expr) -> Expr:
    """Not."""
    return chosen(condition, _ZERO, _ONE)


def both(first: Expr, second: Expr) -> Expr:
    """And."""
    return smaller(first, second)


def either(first: Expr, second: Expr) -> Expr:
    """Or."""
    return larger(first, second)


def chosen(condition: Expr, a: Expr, b: Expr) -> Expr:
    """a where a condition holds, else b."""
    return select(condition, a, b)


def holds(condition: Expr) -> Expr:
    """1 where a condition holds, else 0."""
    return chosen(condition, _ONE, _ZERO)


JUMPING = ("floor", "fraction")
"""The names of these classes."""


def places_of_jumps(expression: Expr) -> list[Expr]:
    """What an expression may jump by: the conditions in it, and what it takes the whole part of; empty for none.

    Of a formula, not of its slopes, which jump where the formula bends.
    """
    found = [*expression.atoms(select), *expression.atoms(floor), *expression.atoms(fraction)]
    return [node.args[0] for node in sorted(found, key=str)]
