"""From the problem's formulas to float32 source code for V dt = grad a / (2a) dt and h dt = f / (2a) dt on a path.

For steps that are accepted or not it is a and h dt.

What has no formula, the solution u in a nonlinear coefficient and a random field, is looked up on the path, with its
slopes: grad a = d_x a + (d_u a) grad u + (d_field a) grad field.

A path is kept as its displacement d from the starting point p. The argument of a sine that is a polynomial in x,
such as 2 pi x1 / eps, becomes a *phase*: its value at p is reduced modulo one turn in double precision, once, and
the step adds the increment arg(p + d) - arg(p), expanded symbolically so that nothing cancels. Single precision is
then as accurate at eps = 1e-5 as at 0.1 (method, section 6). All numbers and parameters become run-time constants,
so that the compiled code serves every eps.

Where a value on the way could leave the range of single precision, as exp(8*field) or 1/(1 + exp(500*x1)) do, the
lines carry numbers with an exponent of their own instead: `homog.walkers.scaled`.

Of the whole part and the fraction of a polynomial in x, such as x1/eps, the same holds: whole parts at p are counted in
double precision too.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from homog.equation import FIELD, SOLUTION, Problem
from homog.errors import UserError
from homog.formula.bounds import Range, bounds
from homog.formula.evaluate import MATH, NUMPY, evaluate
from homog.formula.jumps import floor, fraction
from homog.formula.logistic import Expr
from homog.formula.parse import symbol
from homog.walkers.scaled import Scaled, fits

_TURN = 2 * sympy.pi
_OF_DATA: tuple[str, ...] = ("h", "e")  # f dt / (2a) and c dt / (2a), for half a step, as the lines set them
_TERMS = 200  # of a phase's increment: x1**3*x2**3 has 16
_sin_turns, _cos_turns = sympy.Function("sin_turns"), sympy.Function("cos_turns")
_FUNCTIONS = {  # as homog.walkers.arithmetic names them
    "exp", "log", "sinh", "cosh", "tanh", "atan", "erf", "logistic", "sin_turns", "cos_turns", "select", "floor",
    "fraction",
}  # fmt: skip
_PYTHONS_OWN = {"absolute": "abs", "larger": "max"}
_LARGEST_SOLUTION, _LARGEST_SLOPE = 2.0**10, 2.0**14  # that plain single precision is made for: u, and slopes in tables
_LEAST_COEFFICIENT = 2.0**-40  # beside it what underflows is nothing


@dataclass(frozen=True)
class Medium:
    """Source lines for V dt and h dt, and how to fill their run-time inputs.

    Attributes:
        lines: Assignments in scalar float32 arithmetic that end by setting the results. They read dt / 2, the
            displacement d1, ..., the start p1, ..., the start phases t0, ... and the constants k0, ...
        has_drift: Whether the results are V dt and h dt; otherwise they are a and h dt.
        kills: Whether e = c / (2a) dt is the last of the results.
        fades: Whether walkers have weights, by that or by walls.
        faces: What each face does to walkers.
        walls: By the number of a face, lines like those above that set h = q L / a and e = k L / a there, in place of
            half of dt the local time L; of walkers without a drift q L and k L.
        noise: Of a matrix the lines that return sigma, a lower triangle by rows or a diagonal; none of a number.
        pairs: Row and column of each of its entries.
        tables: What is looked up: of "u" and "field" those that occur, and the degree of their splines, or 0. The lines
            read their values under these names and their slopes as u1, ..., ud and so on.
        reads_start: Whether p1, ..., pd occur.
        phases: Each phase in turns, as an expression in x1, ..., xd; or the whole part of one.
        constants: Each constant, as an expression in the parameters.
        dimension: d.
        tile: Number of the phase x1 / period of a field that is repeated, before those of x2, ...; None without one.
    """

    lines: tuple[str, ...]
    has_drift: bool
    kills: bool
    fades: bool
    faces: tuple[str, ...]
    walls: Mapping[int, tuple[str, ...]]
    noise: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    tables: Mapping[str, int]
    reads_start: bool
    phases: tuple[Expr, ...]
    constants: tuple[Expr, ...]
    dimension: int
    tile: int | None = None

    @property
    def results(self) -> tuple[str, ...]:
        """The names of the results."""
        first = [f"v{i + 1}" for i in range(self.dimension)] if self.has_drift else ["a"]
        return (*first, *_OF_DATA[: 1 + self.kills])

    def constant_values(self, parameters: Mapping[str, float]) -> np.ndarray:
        """The constants for given parameters, computed in double and rounded once; shape (constants,), float32."""
        return np.array([evaluate(c, parameters, MATH) for c in self.constants], dtype=np.float32)

    def start_phases(self, points: np.ndarray, parameters: Mapping[str, float]) -> np.ndarray:
        """Phases at float64 points of shape (n, d), in [-1/2, 1/2] turns; shape (max(phases, 1), n), float32.

        The whole part that goes with a phase is that of the nearest whole number.
        """
        values = {**parameters, **{f"x{i + 1}": points[:, i] for i in range(points.shape[1])}}
        result = np.zeros((max(len(self.phases), 1), len(points)), dtype=np.float32)
        for row, phase in zip(result, self.phases, strict=False):
            whole = isinstance(phase, floor)
            turns = evaluate(phase.args[0] if whole else phase, values, NUMPY)
            row[:] = np.rint(turns) if whole else turns - np.rint(turns)
        return result


_OWN = "_"  # no parameter's name begins with it: a parameter may be called p1


def _own(name: str) -> sympy.Symbol:
    return symbol(_OWN + name)


def medium(problem: Problem, *, drift: bool = True) -> Medium:
    """The medium of a problem, from its formulas; without its drift for steps that are accepted or not."""
    process, field = problem.process, problem.operator.field
    degrees = {SOLUTION: 3, FIELD: 3 if field is None else field.degree}
    tables = {name: degrees[name] for name in process.looked_up}
    coefficient, data, gradient = process.expressions(lambda name, axis: _own(f"{name}{axis}"))
    one, walls = sympy.Integer(1), dict[int, list[Expr]]()
    for face in sorted(problem.boundary.fluxes.keys() | problem.boundary.factors.keys()):
        given = problem.boundary.fluxes.get(face), problem.boundary.factors.get(face)
        walls[face] = [sympy.Integer(0) if formula is None else formula.expression for formula in given]
    expressions, ranges = (coefficient, *data, *(gradient if drift else ())), _ranges(problem)
    plain = _in_single_precision((*expressions, *(e for given in walls.values() for e in given)), ranges)
    builder = _Builder(problem.dimension, tables, None if plain else ranges, problem.parameters)
    build = builder.build if plain else builder.build_scaled
    coefficient, *rest = map(builder.with_phases, expressions)
    lines, reads_start = build(coefficient, rest[: len(data)], rest[len(data) :])
    of_walls = dict[int, tuple[str, ...]]()
    for face, given in walls.items():
        of_walls[face], read = build(coefficient if drift else one, [*map(builder.with_phases, given)], ())
        reads_start = reads_start or read
    noise, pairs = tuple[str, ...](), tuple[tuple[int, int], ...]()
    tensor = problem.operator.tensor
    if tensor is not None:
        if not plain:
            raise UserError(
                f"problem.coefficient={tensor.text} leaves the range of single precision on the way, which walkers know"
                " for one formula only: write it with numbers nearer to one"
            )
        pairs = tuple(
            (i, j) for i in range(problem.dimension) for j in range(i + 1) if i == j or not tensor.is_diagonal
        )
        noise, read = builder.returned([*map(builder.with_phases, process.noise())])
        reads_start = reads_start or read
    phases, constants, tile = list(builder.phases), tuple(builder.constants), None
    if field is not None and field.tiled and FIELD in tables:
        tile = len(phases)
        ends = zip(builder.x, field.lower, field.upper, strict=True)
        phases += [(x - sympy.Float(low)) / sympy.Float(high - low) for x, low, high in ends]
    kills = problem.operator.reaction is not None
    return Medium(
        lines, drift, kills, problem.kills, problem.boundary.walls.faces, of_walls, noise, pairs, tables, reads_start,
        tuple(phases), constants, problem.dimension, tile,
    )  # fmt: skip


def _ranges(problem: Problem) -> dict[str, Range]:
    """The values that each name can have, in the widest numbers there are."""
    wide = np.longdouble
    ranges = {name: (wide(value), wide(value)) for name, value in problem.parameters.items()}
    ends = zip(problem.operator.coefficient.axes, problem.domain.lower, problem.domain.upper, strict=True)
    for i, (axis, low, high) in enumerate(ends):
        ranges[axis] = ranges[f"{_OWN}p{i + 1}"] = wide(low), wide(high)
        ranges[f"{_OWN}d{i + 1}"] = wide(low - high), wide(high - low)
    ranges |= {SOLUTION: (wide(-_LARGEST_SOLUTION), wide(_LARGEST_SOLUTION))}
    slope = wide(-_LARGEST_SLOPE), wide(_LARGEST_SLOPE)
    ranges |= {f"{_OWN}{name}{i + 1}": slope for name in (SOLUTION, FIELD) for i in range(problem.dimension)}
    if problem.operator.field is not None:
        low, high = problem.operator.field.range
        ranges[FIELD] = wide(low), wide(high)
    return ranges


def _in_single_precision(expressions: tuple[Expr, ...], ranges: Mapping[str, Range]) -> bool:
    """Whether nothing on the way overflows, and nothing underflows beside the coefficient."""
    known: dict[Expr, Range] = {}
    least, *_ = (bounds(expression, ranges, known)[0] for expression in expressions)
    return all(fits(values, small=bool(least >= _LEAST_COEFFICIENT)) for values in known.values())


class _Builder:
    """Collects phases and constants while expressions are rewritten for single precision.

    Args:
        dimension: d.
        tables: What is looked up, and its degree.
        ranges: Range of each name, where numbers get exponents of their own; None where that is not needed.
        parameters: Parameters of the problem.
    """

    def __init__(
        self,
        dimension: int,
        tables: Mapping[str, int],
        ranges: dict[str, Range] | None,
        parameters: Mapping[str, float],
    ) -> None:
        self.tables, self.ranges, self.parameters = tables, ranges, parameters
        self.looked_up = {symbol(name) for name in tables}
        self.looked_up |= {_own(f"{name}{i + 1}") for name in tables for i in range(dimension)}
        self.x = [symbol(f"x{i + 1}") for i in range(dimension)]
        self.d = [_own(f"d{i + 1}") for i in range(dimension)]
        self.p = [_own(f"p{i + 1}") for i in range(dimension)]
        self.phases: list[Expr] = []
        self.constants: list[Expr] = []

    @cached_property
    def _moving(self) -> set[sympy.Symbol]:
        return {*self.x, *self.d, *self.p, *self.looked_up}

    def with_phases(self, expression: Expr) -> Expr:
        """The same on phases: what has a period, of an argument that is a polynomial in x; sines in turns."""
        if not expression.args or not expression.has(*self.x, *self.looked_up):
            return expression
        if not isinstance(expression, sympy.sin | sympy.cos | sympy.tan | floor | fraction):
            return expression.func(*(self.with_phases(argument) for argument in expression.args))
        argument: Expr = expression.args[0]
        of_place = argument.is_polynomial(*self.x) and not argument.has(*self.looked_up) and self._is_short(argument)
        if isinstance(expression, floor | fraction):
            if not of_place:
                return expression.func(self.with_phases(argument))
            whole = self._start_phase(floor(sympy.expand(argument))) if isinstance(expression, floor) else 0
            return whole + _of(expression, self._phase(argument))
        turns = self._phase(argument / _TURN) if of_place else self.with_phases(argument) / _TURN
        if isinstance(expression, sympy.tan):
            return _sin_turns(turns) / _cos_turns(turns)
        return (_sin_turns if isinstance(expression, sympy.sin) else _cos_turns)(turns)

    def _is_short(self, argument: Expr) -> bool:
        """Whether its increment, expanded, is worth its length: the 16th power of a sum would fill the memory."""
        return _terms(argument.xreplace({x: p + d for x, p, d in zip(self.x, self.p, self.d, strict=True)})) <= _TERMS

    def _phase(self, argument: Expr) -> Expr:
        """A polynomial argument in turns, as its value at the start and the increment along the displacement."""
        phase = sympy.expand(argument)
        there = {x: p + d for x, p, d in zip(self.x, self.p, self.d, strict=True)}
        here = dict(zip(self.x, self.p, strict=True))
        return self._start_phase(phase) + sympy.expand(phase.xreplace(there) - phase.xreplace(here))

    def _start_phase(self, phase: Expr) -> Expr:
        """The symbol of what is known of a phase at the start."""
        if phase not in self.phases:
            self.phases.append(phase)
        return _own(f"t{self.phases.index(phase)}")

    def build(self, coefficient: Expr, data: Sequence[Expr], gradient: Sequence[Expr]) -> tuple[tuple[str, ...], bool]:
        """The lines, and whether they read the start. Without a gradient they set a."""
        shared, reduced = self._common((coefficient, *data, *gradient))
        lines = [f"{name} = {self.emit(value)}" for name, value in shared]
        a, *rest = (self.emit(e) for e in reduced)
        met, slopes = zip(_OF_DATA, rest[: len(data)], strict=False), rest[len(data) :]
        if not slopes:  # it may be zero there: no walker is paid for that
            lines += [f"a = {a}", *(f"{name} = half_dt / max(a, LEAST) * ({value})" for name, value in met)]
        else:
            lines += [f"factor = half_dt / ({a})", *(f"{name} = factor * ({value})" for name, value in met)]
            lines += [f"v{i + 1} = factor * ({slope})" for i, slope in enumerate(slopes)]
        reads_start = any(e.has(*self.p) for e in (*(value for _, value in shared), *reduced))
        return tuple(lines), reads_start

    def returned(self, expressions: Sequence[Expr]) -> tuple[tuple[str, ...], bool]:
        """Lines that end by returning the expressions, and whether they read the start."""
        shared, reduced = self._common(expressions)
        lines = [f"{name} = {self.emit(value)}" for name, value in shared]
        reads_start = any(e.has(*self.p) for e in (*(value for _, value in shared), *reduced))
        return (*lines, f"return {', '.join(map(self.emit, reduced))}"), reads_start

    def _common(self, expressions: Sequence[Expr]) -> Any:
        """What several parts of expressions have in common, and the expressions with it; at a displacement."""
        place = {x: p + d for x, p, d in zip(self.x, self.p, self.d, strict=True)}
        hoisted = [self.hoist(e.xreplace(place)) for e in expressions]
        return sympy.cse(hoisted, sympy.numbered_symbols("c"), order="none")

    def build_scaled(
        self, coefficient: Expr, data: Sequence[Expr], gradient: Sequence[Expr]
    ) -> tuple[tuple[str, ...], bool]:
        """The same with exponents beside the numbers. The place x1, ..., xd is added up first."""
        assert self.ranges is not None
        whole, turn = np.longdouble(2**24), np.longdouble(0.5)
        for i, phase in enumerate(self.phases):
            most = whole if isinstance(phase, floor) else turn
            self.ranges[f"{_OWN}t{i}"] = -most, most
        hoisted = [self.hoist(e) for e in (coefficient, *data, *gradient)]
        met = dict(zip(_OF_DATA, hoisted[1 : 1 + len(data)], strict=False))
        lines = Scaled(self.ranges, self._constant).lines(hoisted[0], met, hoisted[1 + len(data) :])
        names = zip(self.x, self.p, self.d, strict=True)
        place = [f"{self.emit(x)} = {self.emit(p)} + {self.emit(d)}" for x, p, d in names]
        reads_start = any(e.has(*self.x, *self.p) for e in hoisted)
        return ((*place, *lines) if reads_start else lines), reads_start

    def hoist(self, expression: Expr) -> Expr:
        """Whatever does not move along the path becomes a constant k0, k1, ..."""
        if not self._moves(expression):
            return expression if expression in (0, 1, -1) else self._constant(expression)
        if isinstance(expression, sympy.Symbol):
            return expression
        if isinstance(expression, sympy.Pow):
            return sympy.Pow(self.hoist(expression.base), expression.exp)
        if isinstance(expression, sympy.Add | sympy.Mul):
            still = [a for a in expression.args if not self._moves(a)]
            moving = [self.hoist(a) for a in expression.args if self._moves(a)]
            return expression.func(self.hoist(expression.func(*still)), *moving) if still else expression.func(*moving)
        return expression.func(*(self.hoist(a) for a in expression.args))

    def _moves(self, expression: Expr) -> bool:
        phases = {_own(f"t{i}") for i in range(len(self.phases))}
        return bool(expression.free_symbols & (self._moving | phases))

    def _constant(self, expression: Expr) -> Expr:
        """The symbol of a constant; of one too large or small for single precision a number times an exponential."""
        if expression in self.constants:
            return _own(f"k{self.constants.index(expression)}")
        name = _own(f"k{len(self.constants)}")
        if self.ranges is not None:
            value = np.longdouble(evaluate(expression, self.parameters, MATH))
            if not fits((value, value)):
                exponent = sympy.Integer(round(float(np.log(abs(value)))))
                return self._constant(expression * sympy.exp(-exponent)) * sympy.exp(self._constant(exponent))
            self.ranges[name.name] = value, value
        self.constants.append(expression)
        return name

    def emit(self, expression: Expr) -> str:
        """Source text in float32 scalars; numbers occur as ZERO and ONE only."""
        if isinstance(expression, sympy.Symbol):
            return expression.name.removeprefix(_OWN)
        if expression == 0:
            return "ZERO"
        if expression in (1, -1):
            return "ONE" if expression == 1 else "-ONE"
        if expression.is_number:  # what SymPy made of exp(k0 + x1)**0.5 and the like, after `hoist`
            return self.emit(self._constant(expression))
        if isinstance(expression, sympy.Add):
            return "(" + " + ".join(self.emit(a) for a in expression.args) + ")"
        if isinstance(expression, sympy.Mul):
            above = [self.emit(a) for a in expression.args if not _divides(a)]
            below = [self.emit(1 / a) for a in expression.args if _divides(a)]
            over = " * ".join(above) or "ONE"
            return f"({over} / ({' * '.join(below)}))" if below else f"({over})"
        if isinstance(expression, sympy.Pow):
            return self._power(expression.base, expression.exp)
        name = expression.func.__name__
        assert name in _FUNCTIONS | _PYTHONS_OWN.keys()
        return f"{_PYTHONS_OWN.get(name, name)}({', '.join(map(self.emit, expression.args))})"

    def _power(self, base: Expr, exponent: Expr) -> str:
        if exponent.is_negative:
            return f"(ONE / {self._power(base, -exponent)})" if exponent != -1 else f"(ONE / {self.emit(base)})"
        if exponent == sympy.Rational(1, 2) or exponent == 0.5:
            return f"math.sqrt({self.emit(base)})"
        if exponent == 1:
            return self.emit(base)
        if exponent.is_integer:
            return "(" + " * ".join([self.emit(base)] * int(exponent)) + ")"
        return f"power({self.emit(base)}, F({float(exponent)!r}))"


def _of(function: Expr, argument: Expr) -> Expr:
    """The same function of something else."""
    return function.func(argument)


def _terms(expression: Expr) -> int:
    """A bound of the number of terms that an expression has when it is expanded."""
    if isinstance(expression, sympy.Add):
        return sum(map(_terms, expression.args))
    if isinstance(expression, sympy.Mul):
        return math.prod(map(_terms, expression.args))
    if isinstance(expression, sympy.Pow) and expression.exp.is_Integer and expression.exp > 0:
        base, exponent = _terms(expression.base), int(expression.exp)
        return math.comb(base + exponent - 1, exponent)
    return 1


def _divides(expression: Expr) -> bool:
    return isinstance(expression, sympy.Pow) and bool(expression.exp.is_negative)
