"""An equation from the formulas of its settings, checked before anything is computed."""

import keyword
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import singledispatch
from math import isfinite
from typing import Any

import numpy as np
import sympy
from scipy.optimize import minimize

from homog import fields
from homog.config import FieldProblem, FormulaProblem, ProblemSettings
from homog.config.field import DEGREES
from homog.domains.box import Box
from homog.equation.boundary import Boundary
from homog.equation.faces import conditions, refuse_faces
from homog.equation.operator import FIELD, SOLUTION, Operator
from homog.equation.positivity import not_positive
from homog.equation.statement import Statement
from homog.errors import UserError
from homog.fields import TabulatedField
from homog.fields.islands import without_islands
from homog.fields.phases import Phases
from homog.formula import NAMES, Formula, parse
from homog.formula.evaluate import at_points
from homog.formula.jumps import places_of_jumps
from homog.formula.kinks import larger
from homog.formula.logistic import stable
from homog.formula.parse import symbol
from homog.formula.undefined import reason

_SAMPLE = 2**16
_log = logging.getLogger("homog")
_SPLINES = {degree: name for name, degree in DEGREES.items()}


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
    parameters = _parameters(settings.parameters, eps)

    def formula(name: str, *further: str) -> Formula:
        names = (*parameters, *further)
        return parse(getattr(settings, name), domain.dimension, names, where=f"problem.{name}")

    known = (SOLUTION,) if field is None else (SOLUTION, FIELD)
    coefficient = formula("coefficient", *known)
    forcing, reaction = _newtons(formula("forcing", SOLUTION), formula("reaction", SOLUTION))
    boundary = Boundary.of(conditions(settings.boundary, domain.dimension, parameters), domain, parameters)
    spline = None if field is None else field.spline
    operator = Operator(coefficient, forcing, parameters, spline, None if reaction.expression == 0 else reaction)
    problem = Statement(operator, boundary, domain, scale)
    if field is not None and isinstance(field.spline, Phases):
        _check_phases(problem, field.spline)
        problem = _without_islands(problem, field.spline)
    elif field is not None:
        _check_nodes(problem, field)
        _check_between_nodes(problem, field)
    _check_jumps(operator)
    sample = domain.sample(_SAMPLE, np.random.default_rng(0))
    closed = np.concatenate([sample, domain.sample_boundary(2**12, np.random.default_rng(1)), domain.corners()])
    for name, given, points in (
        ("boundary", boundary.value, closed),
        ("forcing", forcing, sample),
        ("reaction", reaction, closed),
    ):
        where = f"problem.{name}={given.text}"
        names = parameters if name == "boundary" else {**parameters, SOLUTION: boundary.at(points)}
        _check_finite(where, given, points, names, lambda given=given, x=points, n=names: at_points(given, x, n))
    # u is not known yet but for its boundary values: the losses check the coefficient where the solution leads it
    values = boundary.at(closed)
    where, known = f"problem.coefficient={coefficient.text}", operator.names_at(closed, values)
    _check_finite(where, coefficient, closed, known, lambda: operator.coefficient_at(closed, values))
    for axis, partial in enumerate(coefficient.gradient()):  # walkers drift along it: a must have continuous slopes
        along = f"the slope along x{axis + 1} of {where}"
        _check_finite(along, partial, closed, known, lambda axis=axis: operator.slopes_at(closed, values)[..., axis])
    _check_positive(problem, sample)
    _check_reaction(operator, closed)
    refuse_faces(problem)
    return problem


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


def _parameters(given: Mapping[str, float], eps: float) -> dict[str, float]:
    for name, value in given.items():
        taken = name in NAMES or name in ("pi", "eps", SOLUTION, FIELD) or re.fullmatch(r"x\d+", name)
        if taken or keyword.iskeyword(name) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", name):
            raise UserError(f"problem.parameters.{name!a}: choose another name for this parameter")
        if not isfinite(value):
            raise UserError(f"problem.parameters.{name}={value}: write a finite number")
    return {"eps": eps, **given}


def _check_jumps(operator: Operator) -> None:
    """Refuse jumps where the equation has none."""
    solution = symbol(SOLUTION)
    for place in places_of_jumps(operator.coefficient.expression):
        if solution in place.free_symbols:
            raise UserError(
                f"problem.coefficient={operator.coefficient.text} jumps where {place} does: it may jump with the place"
                " and the field, and must go on continuously with u; write min, max or tanh"
            )


def _check_finite(
    where: str, formula: Formula, points: np.ndarray, names: Mapping[str, Any], function: Callable[[], np.ndarray]
) -> None:
    """Refuse a function that is not finite at points, and say which part of its formula is to blame."""
    with np.errstate(all="ignore"):
        try:
            values = function()
        except (OverflowError, ZeroDivisionError, ValueError):
            raise UserError(f"{where} has no finite value with these parameters") from None
    bad = ~np.isfinite(values)
    if bad.any():
        first = int(np.argmax(bad))
        here = {name: value if np.ndim(value) == 0 else value[first] for name, value in names.items()}
        here |= dict(zip(formula.axes, points[first], strict=True))
        why = reason(formula.expression, here) or ": it must be finite"
        raise UserError(f"{where} is {values[first]:g} at {_place(points[first])}{why}")


def _check_nodes(problem: Statement, field: TabulatedField) -> None:
    """Refuse a coefficient that is not positive at a node of its field: a single one could slip through a sample."""
    coefficient, values, spline = problem.operator.coefficient, field.values, field.spline
    spacing = np.subtract(spline.upper, spline.lower) / spline.intervals
    for flat in np.array_split(np.arange(values.size), max(1, values.size // 2**20)):
        index = np.stack(np.unravel_index(flat, values.shape), axis=-1)
        points = np.asarray(spline.lower) + index * spacing
        u = problem.boundary.at(points)
        with np.errstate(all="ignore"):
            found = at_points(
                coefficient,
                points,
                {**problem.parameters, SOLUTION: u, FIELD: values.reshape(-1)[flat]},
            )
        bad = ~(found > 0)
        if bad.any():
            first = int(np.argmax(bad))
            raise UserError(
                f"problem.coefficient={coefficient.text} is {found[first]:.4g} at index"
                f" {tuple(index[first].tolist())} of the field, {_place(points[first])}: it must be positive on the"
                f" whole domain; problem.coefficient='exp({FIELD})' is, whatever the field"
            )


def _check_phases(problem: Statement, phases: Phases) -> None:
    """Refuse a coefficient that is negative in one of the phases; where it varies within them, a sample tells."""
    coefficient = problem.operator.coefficient
    if coefficient.names & {*coefficient.axes, SOLUTION}:
        return
    found, occur = problem.operator.coefficient_in(phases.values), phases.shares() > 0
    bad = ~(found >= 0) & occur
    if not (found[occur] > 0).any():
        raise UserError(
            f"problem.coefficient={coefficient.text} is zero in all phases: write the values of the image's labels as"
            " problem.field.values"
        )
    if bad.any():
        value = phases.values[np.argmax(bad)]
        raise UserError(
            f"problem.coefficient={coefficient.text} is {found[np.argmax(bad)]:.4g} in the phase of value {value:g}:"
            " it must be positive, or zero for holes; write problem.field.values for the labels of the image"
        )


def _without_islands(problem: Statement, phases: Phases) -> Statement:
    """The same with what holes surround left out, where holes are phases."""
    operator = problem.operator
    if operator.coefficient.names & {*operator.coefficient.axes, SOLUTION}:
        return problem
    conducting = operator.coefficient_in(phases.values) > 0
    if not ((phases.shares() > 0) & ~conducting).any():
        return problem
    kept, share, percolates = without_islands(phases, conducting)
    if not percolates:
        around = "from one cell to the next" if phases.tiled else "to the boundary"
        raise UserError(
            f"problem.coefficient={operator.coefficient.text} is zero around all that conducts: nothing leads {around};"
            " write a positive value of what is around it"
        )
    if share > 0:
        _log.info("%.3g %% of the volume conducts and has holes all around it: left out, as holes", 100 * share)
    return replace(problem, operator=replace(operator, field=kept))


def _check_between_nodes(problem: Statement, field: TabulatedField) -> None:
    """Refuse a coefficient that is positive on the nodes of its field and not on its spline."""
    found, coefficient = not_positive(problem), problem.operator.coefficient
    if found is not None:
        spline = f"the {_SPLINES[field.spline.degree]} spline of the field is {found.field:.4g}"
        exponential = [] if "exp(" in coefficient.text else [f"problem.coefficient='exp({FIELD})'"]
        remedies = " or ".join([*exponential, *field.remedies])
        raise UserError(
            f"problem.coefficient={coefficient.text} is {found.value:.4g} at {_place(found.place)}, between"
            f" nodes, where {spline}: it must be positive on the whole domain{remedies and '; write ' + remedies}"
        )


def _check_positive(problem: Statement, points: np.ndarray) -> None:
    """Sample, then descend from the lowest points: a dip narrower than the sample's spacing is found too."""
    operator, domain, scale = problem.operator, problem.domain, problem.scale  # steps in units of the fine scale
    boundary = problem.boundary.at(points)
    values = operator.coefficient_at(points, boundary)
    bounds = list(zip(domain.lower, domain.upper, strict=True))
    for lowest in np.argsort(values)[:8]:
        start, u = points[lowest], boundary[lowest]
        with np.errstate(all="ignore"):
            found = minimize(
                lambda z, o=start, u=u: float(operator.coefficient_at(np.clip(o + scale * z, *_corners(domain)), u)),
                np.zeros(domain.dimension),
                jac=lambda z, o=start, u=u: scale * operator.slopes_at(np.clip(o + scale * z, *_corners(domain)), u),
                bounds=[((low - x) / scale, (high - x) / scale) for (low, high), x in zip(bounds, start, strict=True)],
                method="L-BFGS-B",
            )
        place, value = start + scale * found.x, float(found.fun)
        if not (value > 0 or (value == 0 and operator.jumps)):
            raise UserError(
                f"problem.coefficient={operator.coefficient.text} is {value:.4g} at {_place(place)}: it must be"
                " positive on the whole domain"
            )


def _check_reaction(operator: Operator, points: np.ndarray) -> None:
    """Refuse a reaction that feeds u: walkers would weigh more than one, and the energy may have no least value."""
    if operator.data_of_u:  # the losses look where the solution leads it
        return
    values = operator.reaction_at(points)
    lowest = int(np.argmin(values))
    if operator.reaction is not None and values[lowest] < 0:
        raise UserError(
            f"problem.reaction={operator.reaction.text} is {values[lowest]:.4g} at {_place(points[lowest])}: it must"
            " not be negative anywhere, or the equation may have no solution or many"
        )


def _corners(domain: Box) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(domain.lower), np.asarray(domain.upper)


def _is_periodic(problem: Statement, cell: Box) -> bool:
    """Whether a shift by a side of the cell along its axis leaves the coefficient as it is, up to rounding."""
    base = problem.domain.sample(256, np.random.default_rng(0))
    u = problem.boundary.at(base) + (1.0 if problem.operator.nonlinear else 0.0)
    values = problem.operator.coefficient_at(base, u)
    for axis, period in enumerate(cell.sides.tolist()):
        shifted = base.copy()
        shifted[:, axis] += period
        # a phase x/eps loses about |x|/eps units in the last place
        tolerance = 1e-12 + 1e-14 * float(np.abs(shifted).max()) / period
        if not np.allclose(
            problem.operator.coefficient_at(shifted, u), values, rtol=0, atol=tolerance * np.abs(values).max() * 100
        ):
            return False
    return True


def _place(point: np.ndarray) -> str:
    return "(" + ", ".join(f"x{i + 1}={value:.6g}" for i, value in enumerate(point)) + ")"
