"""The coefficient of a statement: read from its texts, and looked at before anything is computed."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import minimize

from homog.config.coefficient import as_typed, coefficient_texts
from homog.config.field import DEGREES
from homog.domains.box import Box
from homog.equation.operator import FIELD, SOLUTION, Operator
from homog.equation.positivity import not_positive
from homog.equation.statement import Statement
from homog.equation.tensor import Tensor
from homog.errors import UserError
from homog.fields import TabulatedField
from homog.fields.islands import without_islands
from homog.fields.phases import Phases
from homog.formula import Formula, parse
from homog.formula.evaluate import at_points
from homog.formula.jumps import places_of_jumps
from homog.formula.parse import symbol
from homog.formula.undefined import reason

_SAME = 1e-9
_log = logging.getLogger("homog")
_SPLINES = {degree: name for name, degree in DEGREES.items()}


def read(
    given: Any, parameters: Mapping[str, float], names: Collection[str], points: np.ndarray
) -> tuple[Formula, Tensor | None]:
    """a; or of a matrix A tr A / d, and A itself.

    Args:
        given: What a user wrote.
        parameters: Value of each parameter.
        names: What else may occur, of "u" and "field".
        points: Points of the domain.

    Raises:
        UserError: If a formula is refused, a matrix is not symmetric, or jumps.
    """
    dimension, where = points.shape[1], "problem.coefficient"
    texts, known = coefficient_texts(given, dimension), (*parameters, *names)
    if isinstance(texts, str) or dimension == 1:
        return parse(texts if isinstance(texts, str) else texts[0][0], dimension, known, where=where), None
    rows = [[parse(text, dimension, known, where=where) for text in row] for row in texts]
    for formula in (formula for row in rows for formula in row):
        if places_of_jumps(formula.expression):
            raise UserError(
                f"{where}={as_typed(given)} jumps: one that is a matrix has to be continuous; write tanh in place of a"
                " jump, or one formula, which may jump"
            )
    anything = dict(zip((SOLUTION, FIELD), np.random.default_rng(0).normal(size=(2, len(points))), strict=True))
    for i, row in enumerate(rows):
        for j in range(i):
            below, above = (at_points(formula, points, {**parameters, **anything}) for formula in (row[j], rows[j][i]))
            with np.errstate(invalid="ignore"):  # what is not finite is refused later, with its place
                apart = np.nan_to_num(np.abs(below - above))
            worst = int(np.argmax(apart))
            if apart[worst] > _SAME * max(1.0, abs(below[worst])):
                raise UserError(
                    f"{where}={as_typed(given)} is not symmetric: a{j + 1}{i + 1} is {above[worst]:.6g} and"
                    f" a{i + 1}{j + 1} is {below[worst]:.6g} at {shown(points[worst])}"
                )
    axes = range(dimension)
    tensor = Tensor(as_typed(given), tuple(tuple(rows[max(i, j)][min(i, j)] for j in axes) for i in axes))
    return tensor.mean_of_diagonal(), tensor


def check(problem: Statement, field: TabulatedField | None, closed: np.ndarray, sample: np.ndarray) -> Statement:
    """The same statement, once its coefficient was looked at; with what holes surround left out.

    Args:
        problem: The statement.
        field: What its coefficient calls `field`, with the settings that it comes from.
        closed: Points of the closed domain.
        sample: Points of the domain.

    Raises:
        UserError: If the coefficient is not finite or not positive somewhere, or jumps where it may not.
    """
    _check_jumps(problem.operator)
    if problem.operator.tensor is not None and problem.operator.jumps:
        raise UserError(
            f"problem.coefficient={problem.operator.coefficient.text} jumps with the field: one that is a matrix has to"
            " be continuous; write one formula, which may jump"
        )
    if field is not None and isinstance(field.spline, Phases):
        _check_phases(problem, field.spline)
        problem = _without_islands(problem, field.spline)
    for scalar in _scalars(problem):
        if field is not None and not isinstance(field.spline, Phases):
            _check_nodes(scalar, field)
            _check_between_nodes(scalar, field)
        _check_values(scalar, closed)
        _check_positive(scalar, sample, problem.operator)
    if problem.operator.tensor is not None:  # minors may be smooth where entries are not
        for entry in problem.operator.tensor.lower:
            _check_values(_with_number(problem, entry), closed)
    return problem


def _scalars(problem: Statement) -> list[Statement]:
    """The statement with each of the functions as its coefficient that are positive exactly where that is."""
    operator = problem.operator
    if operator.tensor is None:
        return [problem]
    return [_with_number(problem, minor) for minor in operator.tensor.minors()]


def _with_number(problem: Statement, coefficient: Formula) -> Statement:
    """The statement with a number in place of its coefficient."""
    return replace(problem, operator=replace(problem.operator, coefficient=coefficient, tensor=None))


def _check_values(problem: Statement, closed: np.ndarray) -> None:
    """Refuse a coefficient that is not finite, or has no finite slope."""
    # u is not known yet but for its boundary values: the losses check the coefficient where the solution leads it
    operator, values = problem.operator, problem.boundary.at(closed)
    coefficient = operator.coefficient
    where, known = f"problem.coefficient={coefficient.text}", operator.names_at(closed, values)
    check_finite(where, coefficient, closed, known, lambda: operator.coefficient_at(closed, values))
    for axis, partial in enumerate(coefficient.gradient()):  # walkers drift along it: a must have continuous slopes
        along = f"the slope along x{axis + 1} of {where}"
        check_finite(along, partial, closed, known, lambda axis=axis: operator.slopes_at(closed, values)[..., axis])


def _check_jumps(operator: Operator) -> None:
    """Refuse jumps where the equation has none."""
    solution = symbol(SOLUTION)
    for place in places_of_jumps(operator.coefficient.expression):
        if solution in place.free_symbols:
            raise UserError(
                f"problem.coefficient={operator.coefficient.text} jumps where {place} does: it may jump with the place"
                " and the field, and must go on continuously with u; write min, max or tanh"
            )


def check_finite(
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
        raise UserError(f"{where} is {values[first]:g} at {shown(points[first])}{why}")


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
                f" {tuple(index[first].tolist())} of the field, {shown(points[first])}: it must be positive on the"
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
            f"problem.coefficient={coefficient.text} is {found.value:.4g} at {shown(found.place)}, between"
            f" nodes, where {spline}: it must be positive on the whole domain{remedies and '; write ' + remedies}"
        )


def _check_positive(problem: Statement, points: np.ndarray, whole: Operator) -> None:
    """Sample, then descend from the lowest points: a dip narrower than the sample's spacing is found too.

    Args:
        problem: With a number for a coefficient.
        points: The sample.
        whole: The operator, whose coefficient that number may be a minor of.
    """
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
            if whole.tensor is not None:
                value = float(np.linalg.eigvalsh(whole.tensor_at(place, u)).min())
            has = "is" if whole.tensor is None else "has the eigenvalue"
            text = (whole.tensor or whole.coefficient).text
            raise UserError(
                f"problem.coefficient={text} {has} {value:.4g} at {shown(place)}: it must be positive on the whole"
                " domain"
            )


def _corners(domain: Box) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(domain.lower), np.asarray(domain.upper)


def shown(point: np.ndarray) -> str:
    """A point, for a message."""
    return "(" + ", ".join(f"x{i + 1}={value:.6g}" for i, value in enumerate(point)) + ")"
