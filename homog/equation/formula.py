"""An equation from the formulas of its settings, checked before anything is computed."""

import keyword
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import singledispatch
from math import isfinite
from typing import Any

import numpy as np
import sympy

from homog import fields
from homog.config import DriftProblem, FieldProblem, FormulaProblem, ProblemSettings
from homog.config.coefficient import velocity_texts
from homog.config.evolution import Span, span_of
from homog.config.ranges import middle_of, ranges_of
from homog.domains.box import Box
from homog.equation.boundary import Boundary
from homog.equation.coefficient import check, check_finite, read, shown
from homog.equation.evolution import TIME, Evolution
from homog.equation.faces import conditions, refuse_faces
from homog.equation.operator import FIELD, SOLUTION, Operator
from homog.equation.ranges import Ranges
from homog.equation.statement import Statement
from homog.errors import UserError
from homog.fields import TabulatedField
from homog.fields.phases import Phases
from homog.formula import NAMES, Formula, parse
from homog.formula.evaluate import at_points
from homog.formula.jumps import places_of_jumps
from homog.formula.kinks import larger
from homog.formula.logistic import stable
from homog.formula.parse import symbol

_SAMPLE = 2**16


@singledispatch
def stated(settings: ProblemSettings, eps: float) -> Statement:
    """The equation on its domain that the settings describe at one eps, checked.

    Raises:
        UserError: If a formula is refused, the field cannot be had, or the coefficient is not positive and finite on
            a sample of the domain; in one line that names the setting.
    """
    raise NotImplementedError(f"no equation for {type(settings).__name__}")


@stated.register
def _(settings: FormulaProblem, eps: float) -> Statement:
    problem = _assembled(settings, eps, eps, None)
    period, lower = _length(settings.period, problem.parameters, "problem.period"), problem.domain.lower
    cell = Box(lower, tuple(low + period for low in lower))
    return replace(problem, cell=cell) if _is_periodic(problem, cell) else problem


@stated.register
def _(settings: DriftProblem, eps: float) -> Statement:
    names, dimension = (*_parameters(settings.parameters, eps), SOLUTION), len(settings.domain.lower)
    for text in velocity_texts(settings.drift, dimension, "drift", "V"):
        parse(text, dimension, names, where="problem.drift")
    parse(settings.source, dimension, names, where="problem.source")
    return stated(settings.in_divergence_form(), eps)


@stated.register
def _(settings: FieldProblem, eps: float) -> Statement:
    # its scale is the field's correlation length
    domain = Box(tuple(settings.domain.lower), tuple(settings.domain.upper))
    text = getattr(settings.field, "period", None)
    period = None if text is None else _length(text, _parameters(settings.parameters, eps), "problem.field.period")
    field = fields.build(settings.field, domain, period)
    problem = _assembled(settings, eps, field.correlation_length, field)
    cell = None if period is None else Box(field.spline.lower, field.spline.upper)
    if cell is not None and not _is_periodic(problem, cell):
        if not isinstance(field.spline, Phases):
            raise UserError(
                f"problem.coefficient={settings.coefficient} is not repeated with problem.field.period: write one in"
                " which the field stands without the place, or an image with problem.field.interpolation=constant"
            )
        cell = None  # the formula has the place in it too
    return replace(problem, cell=cell, metrics=field.metrics, field_origin=field.origin)


def _length(text: str, parameters: Mapping[str, float], where: str) -> float:
    """The value of a formula in the parameters, which is a length."""
    formula = parse(text, 0, tuple(parameters), where=where)
    length = float(at_points(formula, np.empty((1, 0)), parameters)[0])
    if not (isfinite(length) and length > 0):
        raise UserError(f"{where}={text} is {length:g}: write a positive length, such as eps")
    return length


def _assembled(settings: ProblemSettings, eps: float, scale: float, field: TabulatedField | None) -> Statement:
    """The statement without its period, checked."""
    domain = Box(tuple(settings.domain.lower), tuple(settings.domain.upper))
    parameters, span = _parameters(settings.parameters, eps), span_of(settings.time)
    if span is not None:
        if TIME in parameters:
            raise UserError("problem.parameters.t: t is the time: choose another name for this parameter")
        parameters[TIME] = span.times[-1]

    def formula(name: str, *further: str) -> Formula:
        names = (*parameters, *further)
        return parse(getattr(settings, name), domain.dimension, names, where=f"problem.{name}")

    sample = domain.sample(_SAMPLE, np.random.default_rng(0))
    closed = np.concatenate([sample, domain.sample_boundary(2**12, np.random.default_rng(1)), domain.corners()])
    known = (SOLUTION,) if field is None else (SOLUTION, FIELD)
    coefficient, tensor = read(settings.coefficient, parameters, known, closed)
    forcing, reaction = _newtons(formula("forcing", SOLUTION), formula("reaction", SOLUTION))
    boundary = Boundary.of(conditions(settings.boundary, domain.dimension, parameters), domain, parameters)
    spline = None if field is None else field.spline
    reacts = None if reaction.expression == 0 else reaction
    velocity = _velocity(settings.velocity, domain.dimension, (*parameters, SOLUTION))
    operator = Operator(coefficient, forcing, parameters, spline, reacts, tensor, velocity)
    ranges = _ranges(settings.parameters, eps)
    problem = Statement(operator, boundary, domain, scale, eigenvalues=settings.eigenvalues, ranges=ranges)
    if span is not None:
        problem = _in_time(problem, span, closed)
        operator = problem.operator
    for name, given, points in (
        ("boundary", boundary.value, closed),
        ("forcing", forcing, sample),
        ("reaction", reaction, closed),
    ):
        where = f"problem.{name}={given.text}"
        names = parameters if name == "boundary" else {**parameters, SOLUTION: boundary.at(points)}
        check_finite(where, given, points, names, lambda given=given, x=points, n=names: at_points(given, x, n))
    for number, part in enumerate(velocity or (), 1):
        where = f"problem.velocity: b{number} = {part.text}"
        for given in (part, part.derivative(part.axes[number - 1])):  # walkers ask for div b too
            names = {**parameters, SOLUTION: boundary.at(closed)}
            check_finite(where, given, closed, names, lambda given=given, n=names: at_points(given, closed, n))
    if velocity is not None and operator.jumps:
        raise UserError(
            "problem.velocity goes with a coefficient that does not jump: walkers across a jump have no drift; write"
            " tanh in place of the jump"
        )
    problem = check(problem, field, closed, sample)
    _check_reaction(operator, closed)
    refuse_faces(problem)
    return problem


def _in_time(problem: Statement, span: Span, points: np.ndarray) -> Statement:
    """The statement with what depends on time, checked."""
    operator, boundary = problem.operator, problem.boundary
    timeless = {
        "coefficient": operator.names,
        "reaction": frozenset() if operator.reaction is None else operator.reaction.names,
        "velocity": frozenset[str]().union(*(part.names for part in operator.velocity or ())),
        "boundary": frozenset[str]().union(*(given.names for given in boundary.formulas())),
    }
    for name, names in timeless.items():
        if TIME in names:
            raise UserError(f"problem.{name} names t: of the formulas problem.forcing alone may depend on time")
    known = {name: value for name, value in problem.parameters.items() if name != TIME}
    initial = parse(span.initial, problem.dimension, tuple(known), where="problem.time.initial")
    where = f"problem.time.initial={initial.text}"
    check_finite(where, initial, points, known, lambda: at_points(initial, points, known))
    evolution = Evolution(initial, operator.forcing, span.times, known)
    for time in (0.0, *span.times[:-1]):
        where = f"problem.forcing={operator.forcing.text} at t = {time:g}"
        given = {**problem.parameters, SOLUTION: boundary.at(points), TIME: time}
        check_finite(
            where, operator.forcing, points, given, lambda given=given: at_points(operator.forcing, points, given)
        )
    if operator.forcing.expression == 0 and boundary.value.expression == 0 and not boundary.fluxes:
        if initial.expression == 0:
            raise UserError(
                "problem.time: u is zero at all times, with problem.time.initial, f and the conditions zero"
            )
        operator = replace(operator, forcing=initial)
    return replace(problem, operator=operator, evolution=evolution)


def _velocity(given: Any, dimension: int, names: tuple[str, ...]) -> tuple[Formula, ...] | None:
    """b, or None where it is zero."""
    if given is None:
        return None
    texts = velocity_texts(given, dimension)
    parts = tuple(parse(text, dimension, names, where="problem.velocity") for text in texts)
    for part in parts:
        for place in places_of_jumps(part.expression):
            raise UserError(f"problem.velocity={part.text} jumps where {place} does: write tanh in place of a jump")
    return None if all(part.expression == 0 for part in parts) else parts


def _newtons(forcing: Formula, reaction: Formula) -> tuple[Formula, Formula]:
    """f and c as the operator has them, where u occurs in what was written: those of Newton's method.

    With c larger than dG/du, zero where that is negative, the step is shorter, and leads to the same solution.
    """
    u = symbol(SOLUTION)
    for name, given in (("forcing", forcing), ("reaction", reaction)):
        for place in places_of_jumps(given.expression):
            if u in place.free_symbols:
                raise UserError(f"problem.{name}={given.text} jumps with u, where {place} does: write min, max or tanh")
    if not (forcing.names | reaction.names) & {SOLUTION}:
        return forcing, reaction
    lost: Any = reaction.expression * u - forcing.expression
    lost = sympy.expand(lost) if lost.is_polynomial(u) else lost
    rate: Any = stable(sympy.diff(lost, u))
    rate = rate if rate.is_nonnegative else larger(rate, sympy.Integer(0))
    rest: Any = rate * u - lost
    rest = sympy.expand(rest) if rest.is_polynomial(u) else rest
    text = f"{reaction.text}) u - ({forcing.text}"
    return Formula(f"u d/du ({text}) - ({text})", rest, forcing.axes), Formula(f"d/du ({text})", rate, forcing.axes)


def _parameters(given: Mapping[str, Any], eps: float) -> dict[str, float]:
    """Value of each parameter, of a range its middle, and eps."""
    for name in given:
        taken = name in NAMES or name in ("pi", SOLUTION, FIELD) or re.fullmatch(r"x\d+", name)
        taken = taken or (name == "eps" and "eps" not in ranges_of(given))
        if taken or keyword.iskeyword(name) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", name):
            raise UserError(f"problem.parameters.{name!a}: choose another name for this parameter")
    return {"eps": eps, **middle_of(given)}


def _ranges(given: Mapping[str, Any], eps: float) -> Ranges | None:
    ends = ranges_of(given)
    if "eps" in ends and not ends["eps"][0] <= eps <= ends["eps"][1]:
        low, high = ends["eps"]
        raise UserError(f"problem.parameters.eps is from {low:g} to {high:g}, and eps={eps:g} is not between the two")
    return Ranges(ends) if ends else None


def _check_reaction(operator: Operator, points: np.ndarray) -> None:
    """Refuse a reaction that feeds u: walkers would weigh more than one, and the energy may have no least value."""
    if operator.data_of_u:  # the losses look where the solution leads it
        return
    values = operator.reaction_at(points)
    lowest = int(np.argmin(values))
    if operator.reaction is not None and values[lowest] < 0:
        raise UserError(
            f"problem.reaction={operator.reaction.text} is {values[lowest]:.4g} at {shown(points[lowest])}: it must"
            " not be negative anywhere, or the equation may have no solution or many"
        )


def _is_periodic(problem: Statement, cell: Box) -> bool:
    """Whether a shift by a side of the cell along its axis leaves the coefficient as it is, up to rounding."""
    base = problem.domain.sample(256, np.random.default_rng(0))
    u = problem.boundary.at(base) + (1.0 if problem.operator.nonlinear else 0.0)
    values = problem.operator.values_at(base, u)
    for axis, period in enumerate(cell.sides.tolist()):
        shifted = base.copy()
        shifted[:, axis] += period
        # a phase x/eps loses about |x|/eps units in the last place
        tolerance = 1e-12 + 1e-14 * float(np.abs(shifted).max()) / period
        if not np.allclose(
            problem.operator.values_at(shifted, u), values, rtol=0, atol=tolerance * np.abs(values).max() * 100
        ):
            return False
    return True
