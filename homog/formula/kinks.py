"""Functions that bend: abs, min and max, and the choice between two values that is their slope.

SymPy has Abs, Min and Max, which ask about signs and orders whenever they are made. These ask nothing.
"""

import sympy

from homog.formula.logistic import Expr


class select(sympy.Function):  # a SymPy function is a class, and evaluation goes by its name
    """Of (z, a, b): a where z is positive, else b. Its slope is that of what is chosen."""

    nargs = 3
    is_real = True

    @classmethod
    def eval(cls, z: Expr, a: Expr, b: Expr) -> Expr | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What is chosen, where that is known."""
        if a == b:
            return a
        if z.is_number:
            return a if z > 0 else b
        return None

    def fdiff(self, argindex: int = 1) -> Expr:
        """The slope along one argument."""
        if argindex == 1:
            return sympy.Integer(0)
        return chosen(self.args[0], int(argindex == 2), int(argindex == 3))


class absolute(sympy.Function):
    """|z|."""

    nargs = 1
    is_real = True
    is_nonnegative = True

    @classmethod
    def eval(cls, z: Expr) -> Expr | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The value of a number."""
        return abs(z) if z.is_number else None

    def fdiff(self, argindex: int = 1) -> Expr:
        """The slope, -1 at zero."""
        return chosen(self.args[0], 1, -1)


class larger(sympy.Function):
    """The larger of two."""

    nargs = 2
    is_real = True

    @classmethod
    def eval(cls, a: Expr, b: Expr) -> Expr | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The larger of two numbers."""
        if a == b:
            return a
        return (a if a > b else b) if a.is_number and b.is_number else None

    def fdiff(self, argindex: int = 1) -> Expr:
        """The slope along one argument."""
        arguments: Expr = self.args
        a, b = arguments
        return chosen(a - b, int(argindex == 1), int(argindex == 2))


def smaller(a: Expr, b: Expr) -> Expr:
    """The smaller of two."""
    of_negatives: Expr = larger(-a, -b)
    return -of_negatives


def chosen(z: Expr, a: int, b: int) -> Expr:
    """a where z is positive, else b."""
    return select(z, sympy.Integer(a), sympy.Integer(b))


KINKED = ("absolute", "larger", "select")
"""The names of these classes."""
