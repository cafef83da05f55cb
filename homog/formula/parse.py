"""From text to a checked SymPy expression.

The text goes through Python's `ast` and a whitelist; it is never evaluated, and never reaches `sympify` (which
evaluates). Sizes are bounded, so that no text can keep the parser busy.
"""

import ast
import functools
import math
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy

from homog.errors import UserError, hint
from homog.formula.advice import for_call, for_node
from homog.formula.jumps import JUMPING, above, at_least, both, chosen, denied, either, floor, holds, modulo, quotient
from homog.formula.kinks import KINKED, absolute, larger, smaller
from homog.formula.logistic import stable

FUNCTIONS: Mapping[str, tuple[Callable[[sympy.Expr], Any], Callable[[float], float]]] = {
    "sin": (sympy.sin, math.sin),
    "cos": (sympy.cos, math.cos),
    "tan": (sympy.tan, math.tan),
    "exp": (sympy.exp, math.exp),
    "log": (sympy.log, math.log),
    "sqrt": (sympy.sqrt, math.sqrt),
    "sinh": (sympy.sinh, math.sinh),
    "cosh": (sympy.cosh, math.cosh),
    "tanh": (sympy.tanh, math.tanh),
    "atan": (sympy.atan, math.atan),
    "erf": (sympy.erf, math.erf),
    "abs": (absolute, abs),
    "floor": (floor, math.floor),
}
"""The functions of one argument that a formula may call, each with its value for a number."""

_OF_MORE: Mapping[str, Callable[[Any, Any], Any]] = {"min": smaller, "max": larger}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Gt: above,
    ast.Lt: lambda left, right: above(right, left),
    ast.GtE: at_least,
    ast.LtE: lambda left, right: at_least(right, left),
}
_WHERE, _MOD = "where", "mod"
NAMES = (*FUNCTIONS, *_OF_MORE, _WHERE, _MOD)
"""All functions that a formula may call."""

_MAX_LENGTH = 1_000
_MAX_DEPTH = 60
_MAX_FUNCTIONS = 6  # within one another: SymPy's questions whether one is real take twice as long with each
_MAX_EXPONENT = 16
_MAX_POWER = 256  # of powers of powers
_MAX_NUMBER = 1e30


@dataclass(frozen=True)
class Formula:
    """A checked formula.

    Attributes:
        text: What the user wrote.
        expression: The same as a SymPy expression in real symbols.
        axes: The names of the coordinates it may use, ("x1", ..., "xd").
    """

    text: str
    expression: sympy.Expr
    axes: tuple[str, ...]

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that occur in it."""
        return frozenset(str(symbol) for symbol in self.expression.free_symbols)

    def derivative(self, name: str) -> "Formula":
        """The symbolic derivative with respect to one name."""
        derived = stable(sympy.diff(self.expression, symbol(name)))
        return Formula(f"d/d{name} ({self.text})", derived, self.axes)

    def gradient(self) -> tuple["Formula", ...]:
        """The partial derivatives with respect to x1, ..., xd."""
        return tuple(self.derivative(axis) for axis in self.axes)


def symbol(name: str) -> sympy.Symbol:
    """The real symbol of a name: the same object wherever the name occurs."""
    return sympy.Symbol(name, real=True)


def parse(text: str, dimension: int, parameters: Collection[str] = (), where: str = "formula") -> Formula:
    """Check a formula and turn it into a SymPy expression.

    Args:
        text: Mathematics in Python's notation: + - * / ** ( ), numbers, pi, names and the functions of NAMES. A
            comparison is 1 where it holds and 0 elsewhere.
        dimension: Number of coordinates, x1 to xd, that may occur; x, y and z stand for x1, x2 and x3 unless a
            parameter has that name.
        parameters: Further names that may occur, such as eps.
        where: The setting that holds the text, for the error message.

    Raises:
        UserError: If the text holds anything else, or is too large.
    """
    axes = tuple(f"x{i + 1}" for i in range(dimension))
    shown = text if len(text) <= 60 else text[:57] + "..."

    def refuse(reason: str) -> UserError:
        return UserError(f"{where}={shown!a}: {reason}")

    if not text.isascii() or len(text) > _MAX_LENGTH:
        raise refuse(f"write at most {_MAX_LENGTH} ASCII characters")
    if "^" in text:
        raise refuse("write ** for a power, not ^")
    try:
        with warnings.catch_warnings(action="ignore"):  # '1if' and the like: refused below, in one line
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise refuse("not a formula; write for example 1 + 0.9*sin(2*pi*x1/eps)") from None
    expression: Any = _Reader(axes, parameters, refuse, where).read(tree, 0, 0)
    expression = expression.replace(sympy.cot, lambda a: sympy.cos(a) / sympy.sin(a))  # SymPy's tan(x + pi/2)
    expression = expression.replace(sympy.Abs, absolute)  # SymPy's sqrt(x**2)
    expression = stable(_with_whole_exponents(expression, refuse))
    if expression.has(sympy.I, sympy.zoo, sympy.oo, sympy.nan) or not _known(expression):
        raise refuse("has no real value, or one that its derivatives cannot be taken of")
    return Formula(text, expression, axes)


def _with_whole_exponents(expression: Any, refuse: Callable[[str], UserError]) -> Any:
    """The same with whole numbers for exponents such as 2.0: a negative base has such powers, and no others."""
    for power in expression.atoms(sympy.Pow):
        if power.exp.free_symbols or abs(float(power.exp)) > _MAX_POWER:  # as SymPy makes them from exp(999*log(x1))
            raise refuse(f"powers of powers add up to an exponent beyond {_MAX_POWER}")
    return expression.replace(
        lambda node: isinstance(node, sympy.Pow) and node.exp.is_Float and node.exp == int(node.exp),
        lambda node: node.base ** int(node.exp),
    )


def _known(expression: sympy.Basic) -> bool:
    """Whether simplification has left functions that formulas may hold, or `stable` has put there."""
    known = (*FUNCTIONS, *KINKED, *JUMPING, "logistic")
    return all(type(node).__name__ in known for node in expression.atoms(sympy.Function))


class _Reader:
    """Walks the syntax tree; every node that is not listed here is refused."""

    def __init__(
        self, axes: Sequence[str], parameters: Collection[str], refuse: Callable[[str], UserError], where: str
    ) -> None:
        self.axes = axes
        self.names = (*axes, *parameters)
        self.short = {letter: axis for letter, axis in zip("xyz", axes, strict=False) if letter not in parameters}
        self.refuse = refuse
        self.where = where

    def read(self, node: ast.AST, depth: int, functions: int) -> sympy.Expr:
        """The node's expression; `depth` nodes and so many functions and powers are around it."""
        if depth > _MAX_DEPTH:
            raise self.refuse("nested too deeply")
        if functions > _MAX_FUNCTIONS:
            raise self.refuse(f"at most {_MAX_FUNCTIONS} functions and powers can be nested")
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return self._number(value)
            case ast.Name(id=name):
                return self._name(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.read(operand, depth + 1, functions)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.read(operand, depth + 1, functions)
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                return holds(self._condition(node, depth, functions))
            case ast.IfExp(test=test, body=body, orelse=otherwise):
                return self._where(test, body, otherwise, depth, functions)
            case ast.Call(func=ast.Name(id="where"), args=[test, body, otherwise], keywords=[]):
                return self._where(test, body, otherwise, depth, functions)
            case ast.Call(func=ast.Name(id="mod"), args=[left, right], keywords=[]) | ast.BinOp(left, ast.Mod(), right):
                return modulo(*self._division(left, right, depth, functions))
            case ast.BinOp(left, ast.FloorDiv(), right):
                return quotient(*self._division(left, right, depth, functions))
            case ast.BinOp(left=left, op=operation, right=right):
                around = functions + _functions_of(operation, right)
                return self._binary(operation, self.read(left, depth + 1, around), self.read(right, depth + 1, around))
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
                return self._call(name, self.read(argument, depth + 1, functions + 1))
            case ast.Call(func=ast.Name(id=name), args=[_, _, *_] as arguments, keywords=[]) if name in _OF_MORE:
                around = functions + len(arguments) - 1
                return functools.reduce(_OF_MORE[name], [self.read(one, depth + 1, around) for one in arguments])
            case ast.Call(func=ast.Name(id=name)):
                raise self.refuse(_takes(name))
        advice = for_node(node, self.where)
        raise self.refuse(advice or f"{_shown(node)} is not allowed; use numbers, names, + - * / ** and functions")

    def _where(self, test: ast.AST, body: ast.AST, otherwise: ast.AST, depth: int, functions: int) -> sympy.Expr:
        if not isinstance(test, ast.Compare | ast.BoolOp) and not _denies(test):
            raise self.refuse(f"where takes a comparison first, such as x1 < 0.5, and not {_shown(test)}")
        condition = self._condition(test, depth, functions)
        return chosen(condition, *(self.read(one, depth + 1, functions) for one in (body, otherwise)))

    def _condition(self, node: ast.AST, depth: int, functions: int) -> sympy.Expr:
        """A number that is positive where the node holds."""
        if depth > _MAX_DEPTH:
            raise self.refuse("nested too deeply")
        match node:
            case ast.Compare(left=left, ops=operations, comparators=further):
                inner = depth + len(operations)
                values = [self.read(one, inner, functions) for one in (left, *further)]
                if not all(type(operation) in _COMPARISONS for operation in operations):
                    raise self.refuse("compare by <, <=, > or >=")
                pairs = zip(operations, values[:-1], values[1:], strict=True)
                return functools.reduce(both, [_COMPARISONS[type(by)](left, right) for by, left, right in pairs])
            case ast.BoolOp(op=operation, values=parts):
                join, inner = both if isinstance(operation, ast.And) else either, depth + len(parts) - 1
                return functools.reduce(join, [self._condition(part, inner, functions) for part in parts])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return denied(self._condition(operand, depth + 1, functions))
        raise self.refuse(f"and, or and not join comparisons, such as x1 < 0.5, and not {_shown(node)}")

    def _division(self, left: ast.AST, right: ast.AST, depth: int, functions: int) -> tuple[sympy.Expr, sympy.Expr]:
        number, period = (self.read(one, depth + 1, functions + 1) for one in (left, right))
        if period.is_zero:
            raise self.refuse("division by zero")
        return number, period

    def _number(self, value: float) -> sympy.Expr:
        if not abs(value) < _MAX_NUMBER:  # nan fails too
            raise self.refuse("a number is too large")
        return sympy.Integer(value) if isinstance(value, int) else sympy.Float(value)

    def _name(self, name: str) -> sympy.Expr:
        if name == "pi":
            return sympy.pi
        if name in self.names:
            return symbol(name)
        if name in self.short:
            return symbol(self.short[name])
        if name in NAMES:
            raise self.refuse(f"{name} is a function: write {name}(...)")
        if name in ("x", "y", "z", "x1", "x2", "x3"):
            raise self.refuse(f"{name} is no coordinate here: {_said(self.axes)}")
        raise self.refuse(f"unknown name {name}; {hint(name, [*self.names, 'pi'])}")

    def _call(self, name: str, argument: sympy.Expr) -> sympy.Expr:
        if name not in FUNCTIONS:
            raise self.refuse(_unknown_function(name))
        symbolic, numeric = FUNCTIONS[name]
        if argument.free_symbols:
            return symbolic(argument)
        return self._value(lambda: numeric(float(argument)))  # numbers stay numbers: no towers of exp(exp(...))

    def _binary(self, operation: ast.operator, left: sympy.Expr, right: sympy.Expr) -> sympy.Expr:
        numbers = not (left.free_symbols or right.free_symbols)
        match operation:
            case ast.Add():
                result = left + right
            case ast.Sub():
                result = left - right
            case ast.Mult():
                result = left * right
            case ast.Div():
                if right.is_zero:
                    raise self.refuse("division by zero")
                result = left / right
            case ast.Pow():
                return self._power(left, right)
            case _:
                raise self.refuse("only + - * / and ** are allowed")
        self._refuse_large(result if numbers else result.as_coeff_Mul()[0])
        return result

    def _power(self, base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
        if exponent.free_symbols:
            if base.free_symbols:
                return sympy.exp(exponent * sympy.log(base))
            if not float(base) > 0:
                raise self.refuse("the base of a power must be positive where the exponent is no number")
            return sympy.exp(exponent * self._value(lambda: math.log(float(base))))
        if abs(float(exponent)) > _MAX_EXPONENT:
            raise self.refuse(f"an exponent is at most {_MAX_EXPONENT} in size; write (x1**10)**2 for x1**20")
        if not base.free_symbols:
            return self._value(lambda: float(base) ** float(exponent))
        self._refuse_growth(base, float(exponent))
        result = base**exponent
        self._refuse_large(result.as_coeff_Mul()[0])
        return result

    def _refuse_large(self, number: sympy.Expr) -> None:
        if not (number.is_finite and abs(float(number)) < _MAX_NUMBER):
            raise self.refuse("a number is too large")

    def _refuse_growth(self, base: sympy.Expr, exponent: float) -> None:
        """Of (2*x**16)**16 SymPy makes 2**16*x**256, and so on: before it does, what would become too large."""
        number, rest = base.as_coeff_Mul()
        if abs(math.log(abs(number)) * exponent) > math.log(_MAX_NUMBER):
            raise self.refuse("a number is too large")
        powers = [factor.exp for factor in sympy.Mul.make_args(rest) if isinstance(factor, sympy.Pow)]
        if any(abs(float(power) * exponent) > _MAX_POWER for power in powers):
            raise self.refuse(f"powers of powers add up to an exponent beyond {_MAX_POWER}")

    def _value(self, compute: Callable[[], float]) -> sympy.Expr:
        try:
            value = compute()
        except (ValueError, OverflowError, ZeroDivisionError):
            raise self.refuse("a number in it is undefined or too large") from None
        if isinstance(value, complex):
            raise self.refuse("a number in it is not real")
        return self._number(value)


def _functions_of(operation: ast.operator, exponent: ast.AST) -> int:
    """How many functions a power is: a**b with a name in b becomes exp(b*log(a))."""
    if not isinstance(operation, ast.Pow):
        return 0
    names = {node.id for node in ast.walk(exponent) if isinstance(node, ast.Name)}
    return 2 if names - {"pi", *NAMES} else 1


def _denies(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _shown(node: ast.AST) -> str:
    return ascii(ast.unparse(node))[:40]


_TAKES = {
    _WHERE: "where takes a comparison and two values, such as where(x1 < 0.5, 1, 100)",
    _MOD: "mod takes two arguments, a number and a period, such as mod(x1, eps)",
}


def _takes(name: str) -> str:
    """Why a call with so many arguments is none."""
    if name in FUNCTIONS:
        return f"{name} takes one argument"
    if name in _TAKES:
        return _TAKES[name]
    return f"{name} takes two arguments or more" if name in _OF_MORE else _unknown_function(name)


def _unknown_function(name: str) -> str:
    return for_call(name) or f"unknown function {name!a}; {hint(name, NAMES)}"


def _said(axes: Sequence[str]) -> str:
    return f"the domain has the axes {', '.join(axes)}" if axes else "this one may name parameters only"
