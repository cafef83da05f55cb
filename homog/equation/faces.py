"""The conditions on the faces, from the settings, and what is refused of them."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from homog.config.boundary import FaceCondition, face_conditions, face_names
from homog.domains.walls import PERIODIC
from homog.equation.boundary import Condition, Dirichlet, Neumann, Periodic, Robin
from homog.equation.statement import Statement
from homog.errors import UserError
from homog.formula import Formula, parse
from homog.formula.evaluate import at_points
from homog.formula.jumps import places_of_jumps

_SAMPLE = 2**12
_SAME = 1e-6  # relative to the size of what is compared


def conditions(boundary: Any, dimension: int, parameters: Mapping[str, float]) -> tuple[Condition, ...]:
    """The condition on each face, from what a user wrote.

    Raises:
        UserError: If a formula is refused.
    """
    whole = not isinstance(boundary, Mapping)
    given = face_conditions(boundary, dimension)

    def condition(name: str, face: FaceCondition) -> Condition:
        def formula(text: str, kind: str) -> Formula:
            return parse(text, dimension, tuple(parameters), where=_where(None if whole else name, kind))

        if face.periodic:
            return Periodic()
        if face.value is not None:
            value = formula(face.value, "value")
            if places_of_jumps(value.expression):
                where = _where(None if whole else name, "value")
                raise UserError(
                    f"{where}={value.text} jumps, and u with it: write boundary values that go on continuously"
                )
            return Dirichlet(value)
        assert face.flux is not None
        if face.factor is None:
            return Neumann(formula(face.flux, "flux"))
        return Robin(formula(face.factor, "robin.factor"), formula(face.flux, "robin.flux"))

    if whole:  # one formula, and one object
        return (condition("", given[0]),) * len(given)
    return tuple(condition(name, face) for name, face in zip(face_names(dimension), given, strict=True))


def refuse_faces(problem: Statement) -> None:
    """Refuse conditions that leave no solution, many, or one without a finite energy.

    Raises:
        UserError: In one line, with the face and a place on it.
    """
    boundary, names = problem.boundary, face_names(problem.dimension)
    if boundary.walls.all_absorbing and isinstance(boundary.content(), str):
        return
    for number, name in enumerate(names):
        points = _on_face(problem, number)
        for kind, formula in _given(boundary.faces[number]):
            where = f"{_where(name, kind)}={formula.text}"
            values = at_points(formula, points, problem.parameters)
            if not np.isfinite(values).all():
                raise UserError(f"{where} has no finite value at {_place(points[np.argmin(np.isfinite(values))])}")
            if kind == "robin.factor" and values.min() < 0:
                raise UserError(
                    f"{where} is {values.min():.4g} at {_place(points[np.argmin(values)])}: it must not be negative"
                    " anywhere, or the equation may have no solution or many"
                )
    _refuse_apart(problem)
    _refuse_not_periodic(problem)
    held = any(isinstance(face, Dirichlet) for face in boundary.faces)
    if not held and problem.operator.reaction is None and not boundary.factors:
        raise UserError(
            "problem.boundary gives no value of u anywhere, and neither a reaction nor a robin factor fixes it: u could"
            " have any constant added; write {value: ...} on a face"
        )


def _refuse_apart(problem: Statement) -> None:
    """Refuse values that differ where faces meet: the energy of a jump in u along the boundary is infinite."""
    faces, names = problem.boundary.faces, face_names(problem.dimension)
    for first, second in combinations(range(len(faces)), 2):
        if first // 2 == second // 2:
            continue
        one, other = faces[first], faces[second]
        if not (isinstance(one, Dirichlet) and isinstance(other, Dirichlet)) or one is other:
            continue
        points = _on_face(problem, first, second)
        values, others = (at_points(face.value, points, problem.parameters) for face in (one, other))
        apart = np.abs(values - others)
        if apart.max() > _SAME * max(1.0, float(np.abs(values).max())):
            worst = int(np.argmax(apart))
            raise UserError(
                f"problem.boundary gives u = {values[worst]:.4g} on {names[first]} and {others[worst]:.4g} on"
                f" {names[second]} at {_place(points[worst])}, where they meet: u would jump there, with infinite"
                " energy; write values that meet"
            )


def _refuse_not_periodic(problem: Statement) -> None:
    """Refuse a coefficient and values that do not go on across a periodic face."""
    boundary, names = problem.boundary, face_names(problem.dimension)
    for axis, kind in enumerate(boundary.walls.below):
        if kind != PERIODIC:
            continue
        for number, face in enumerate(boundary.faces):
            if number // 2 != axis and isinstance(face, Dirichlet):
                ends = [
                    at_points(face.value, _on_face(problem, number, 2 * axis + side), problem.parameters)
                    for side in (0, 1)
                ]
                if np.abs(ends[0] - ends[1]).max() > _SAME * max(1.0, float(np.abs(ends[0]).max())):
                    raise UserError(
                        f"{_where(names[number], 'value')}={face.value.text} differs at the two ends of x{axis + 1},"
                        " which problem.boundary joins: write values that are periodic along it"
                    )
        if problem.operator.jumps:
            continue
        points = [_on_face(problem, 2 * axis + side) for side in (0, 1)]
        operator, u = problem.operator, np.full(_SAMPLE, 1.0 if problem.operator.nonlinear else 0.0)
        below, above = (operator.values_at(x, u) for x in points)
        size = operator.coefficient_at(points[1], u).reshape(-1, *(1,) * (above.ndim - 1))
        apart = np.abs(below - above) / size
        if apart.max() > _SAME / min(1.0, problem.scale):
            worst = np.unravel_index(np.argmax(apart), apart.shape)
            is_ = "is" if operator.tensor is None else f"has the entry a{worst[1] + 1}{worst[2] + 1} ="
            raise UserError(
                f"problem.coefficient={operator.coefficient.text} {is_} {below[worst]:.4g} at"
                f" {_place(points[0][worst[0]])} and {above[worst]:.4g} across x{axis + 1}, whose faces"
                " problem.boundary joins: write a coefficient that is periodic along it, or choose eps so that whole"
                " periods fit"
            )


def _given(face: Condition) -> list[tuple[str, Formula]]:
    match face:
        case Dirichlet(value):
            return [("value", value)]
        case Neumann(flux):
            return [("flux", flux)]
        case Robin(factor, flux):
            return [("robin.factor", factor), ("robin.flux", flux)]
    return []


def _on_face(problem: Statement, *numbers: int) -> np.ndarray:
    """Points on a face, or where some meet; of faces across from each other, the same along the others."""
    points = problem.domain.spread(_SAMPLE, np.random.default_rng(0))
    for number in numbers:
        ends = problem.domain.lower, problem.domain.upper
        points[:, number // 2] = ends[number % 2][number // 2]
    return points


def _where(face: str | None, kind: str) -> str:
    return "problem.boundary" if face is None else f"problem.boundary.{face}.{kind}"


def _place(point: np.ndarray) -> str:
    return f"({', '.join(f'x{i + 1}={x:.4g}' for i, x in enumerate(point))})"
