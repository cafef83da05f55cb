"""The problem: coefficient, forcing, boundary value, domain and parameters."""

import copy
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from homog.config import DomainSettings, FieldProblem, FieldSettings, FormulaProblem, ProblemSettings, RunSettings
from homog.domains.box import Box, tensor_grid
from homog.equation.boundary import Boundary
from homog.equation.formula import stated
from homog.equation.operator import Operator
from homog.equation.process import Process
from homog.equation.statement import Statement
from homog.errors import UserError
from homog.formula import Formula
from homog.formula.logistic import stable
from homog.formula.parse import symbol

_LOOKS = 2**14
_EVEN = {1: 4096, 2: 128, 3: 32}  # places an axis of a cell, by which trigonometric polynomials have exact means
_SAME = 1e-6


@dataclass(frozen=True, eq=False, init=False)
class Problem(Statement):
    """-div(a grad u) + b.grad u + c u = f in a box, with a condition on each face (equation 15, with b and c).

        problem = homog.Problem("2 + sin(2*pi*x1/eps)", forcing="1", eps=0.01)

    The formulas may use x1, x2, ... (as many as the domain has axes), eps, pi and the names in `parameters`; those of
    a, f and c also u, the solution, and the coefficient's `field`.

    Args:
        coefficient: a, positive on the domain. Or a matrix, symmetric and positive definite: d formulas for its
            diagonal, or its rows of d formulas each.
        forcing: f.
        boundary: g, for u = g on all faces, defined on the whole domain: the boundary ansatz extends it inwards. Or a
            mapping from faces, "x1-", "x1+", ..., axes or "all" to {"value": g} for u = g, {"flux": q} for
            n.a grad u = q, {"robin": {"factor": k, "flux": q}} for n.a grad u + k u = q, or "periodic".
        velocity: b, d formulas in x, or None.
        eigenvalues: How many of -div(a grad u) + c u = l u, for conditions without g and q, `homog.solve` finds too.
        time: {"end": 0.1, "initial": "x1*(1 - x1)"}, and "times", for d_t u - div(a grad u) + c u = f(x, t), which
            `homog.solve` finds besides the steady state; f may use t. None for the steady state alone.
        reaction: c, nowhere negative unless it depends on u.
        eps: The smallest scale.
        period: Side of the coefficient's periodic cell. Where the coefficient is not periodic there is no u_0.
        domain: The box; the unit square unless it is given.
        field: Settings of the random field, or of the field on file, that the coefficient names; None for none.
        parameters: Value of each further name; or a range, {"from": 0.1, "to": 0.9}, for all values of which
            `homog.solve` finds u besides that of the middle.
        name: Name of the problem in tables and figures.

    Raises:
        UserError: If a formula is refused, or the problem is not well posed.

    Attributes:
        name: Name of the problem in tables and figures.
        settings: The settings that it was made of; None for one made of parts. For the others see `Statement`.
    """

    name: str
    settings: ProblemSettings | None

    def __init__(
        self,
        coefficient: str | Sequence[str] | Sequence[Sequence[str]],
        *,
        forcing: str,
        boundary: str | Mapping[str, Any] = ProblemSettings.boundary,
        reaction: str = ProblemSettings.reaction,
        velocity: Sequence[str] | None = None,
        eigenvalues: int = ProblemSettings.eigenvalues,
        time: Mapping[str, Any] | None = None,
        eps: float = RunSettings.eps,
        period: str = FormulaProblem.period,
        domain: Box | None = None,
        field: FieldSettings | None = None,
        parameters: Mapping[str, float | Mapping[str, float]] | None = None,
        name: str = "problem",
    ) -> None:
        box = DomainSettings() if domain is None else DomainSettings(lower=[*domain.lower], upper=[*domain.upper])
        formulas: dict[str, Any] = {
            "coefficient": coefficient,
            "forcing": forcing,
            "boundary": boundary,
            "reaction": reaction,
            "velocity": velocity,
        }
        rest: dict[str, Any] = {
            "name": name,
            "eigenvalues": eigenvalues,
            "time": time,
            "domain": box,
            "parameters": dict(parameters or {}),
        }
        if field is None:
            settings = FormulaProblem(**formulas, **rest, period=period)
        else:
            settings = FieldProblem(**formulas, **rest, field=field)
        self._set(stated(settings, eps), name, settings)

    @classmethod
    def of(
        cls,
        name: str,
        operator: Operator,
        boundary: Formula,
        domain: Box,
        *,
        scale: float,
        cell: Box | None = None,
    ) -> "Problem":
        """A problem of parts that were looked at before: see the attributes; `boundary` is g, on all faces."""
        problem = object.__new__(cls)
        problem._set(
            Statement(operator, Boundary.given(boundary, operator.parameters), domain, scale, cell), name, None
        )
        return problem

    def _set(self, statement: Statement, name: str, settings: ProblemSettings | None) -> None:
        vars(self).update(vars(statement), name=name, settings=settings)

    def but(self, **parts: Any) -> "Problem":
        """The same problem with other parts: see the attributes. What it was made of is forgotten."""
        unknown = parts.keys() - {field.name for field in dataclasses.fields(self)}
        if unknown:
            raise TypeError(f"a problem has no {', '.join(sorted(unknown))}")
        changed = copy.copy(self)
        for known in ("_field_digest", "has_holes", "stirs"):
            vars(changed).pop(known, None)
        vars(changed).update({"settings": None, **parts})
        return changed

    def sample(self, number: int) -> "Problem":
        """The same problem in another sample of its random medium, of the seed so many further on."""
        assert isinstance(self.settings, FieldProblem)
        field: Any = self.settings.field
        further = dataclasses.replace(field, seed=field.seed + number, samples=1)
        return build(dataclasses.replace(self.settings, field=further), self.eps)

    def member(self, values: Mapping[str, float]) -> "Problem":
        """The problem with these values of the parameters that are ranges.

        Raises:
            UserError: If a value is missing or out of its range, or the problem is not well posed with them.
        """
        assert self.ranges is not None
        assert self.settings is not None
        self.ranges.place(values)
        given = {**self.settings.parameters, **values}
        given.pop("eps", None)
        try:
            return build(dataclasses.replace(self.settings, parameters=given), values.get("eps", self.eps))
        except UserError as error:
            there = ", ".join(f"{name}={value:.4g}" for name, value in values.items())
            raise UserError(f"with {there}: {error}") from None

    @property
    def eps(self) -> float:
        """The smallest scale, as the formulas name it."""
        return self.parameters["eps"]

    @cached_property
    def has_holes(self) -> bool:
        """Whether the coefficient jumps to zero: there no current flows, and no walker goes."""
        if not self.operator.jumps:
            return False
        points = self.domain.spread(_LOOKS, np.random.default_rng(0))
        return bool((self.operator.coefficient_at(points, self.boundary.at(points)) == 0).any())

    @property
    def process(self) -> Process:
        """The diffusion of the operator, which walkers follow."""
        return Process(self.operator)

    @cached_property
    def stirs(self) -> bool:
        """Whether the velocity has the coefficient's cell, in it no divergence and no mean: seen from far away it adds
        to the effective tensor, and carries nothing.
        """
        operator = self.operator
        if self.cell is None or operator.velocity is None or operator.velocity_of_u or self.dimension not in _EVEN:
            return False
        points = self.cell.spread(_LOOKS, np.random.default_rng(0))
        here = operator.velocity_at(points)
        size = float(np.abs(here).max())
        for shift in np.diag(self.cell.sides):
            if np.abs(operator.velocity_at(points + shift) - here).max() > _SAME * size:
                return False
        spread = float(np.abs(operator.spreads_at(points)).max()) * float(self.cell.sides.min())
        mean = float(np.abs(operator.velocity_at(even_points(self.cell)).mean(tuple(range(self.dimension)))).max())
        return spread < _SAME * size and mean < _SAME * size

    @property
    def backwards(self) -> "Problem":
        """The problem whose walk is the adjoint of this one's in a dx, without f and q: that of the velocity -b.

        Of w = exp(-int (c - div b) / (2a) ds - int (k + n.b) / a dl), for the velocity -b, it is int a v P u dx =
        int a u P' v dx, by Green's formula.
        """
        operator, axes = self.operator, self.operator.coefficient.axes
        assert operator.velocity is not None
        against = tuple(Formula(f"-({part.text})", -part.expression, axes) for part in operator.velocity)
        spread: Any = sum(
            sympy.diff(part.expression, symbol(axis)) for part, axis in zip(operator.velocity, axes, strict=True)
        )
        lost: Any = (0 if operator.reaction is None else operator.reaction.expression) - spread
        lost = stable(sympy.simplify(lost)) if spread != 0 else lost
        reaction = None if lost == 0 else Formula(f"c - div b = {lost}", lost, axes)
        nothing = Formula("0", sympy.Integer(0), axes)
        changed = replace(operator, velocity=against, reaction=reaction, forcing=nothing)
        return self.but(operator=changed, boundary=self.boundary.with_outflow(operator.velocity, self.domain))

    def key(self) -> str:
        """A canonical text of everything that the solution depends on: the name is not among it."""
        operator = self.operator
        used = operator.names.union(self.data_names, *(part.names for part in operator.velocity or ()))
        if self.evolution is not None:
            used = used | self.evolution.initial.names | self.evolution.forcing.names
        content = {
            "coefficient": str(operator.coefficient.expression),
            "forcing": str(operator.forcing.expression),
            "boundary": self.boundary.content(),
            "lower": self.domain.lower,
            "upper": self.domain.upper,
            "parameters": {name: self.parameters[name] for name in sorted(used & set(self.parameters))},
            "period": None if self.cell is None else _period(self.cell),
        }
        if operator.velocity is not None:
            content["velocity"] = [str(part.expression) for part in operator.velocity]
        if operator.tensor is not None:
            content["tensor"] = [str(formula.expression) for formula in operator.tensor.lower]
        if operator.reaction is not None:
            content["reaction"] = str(operator.reaction.expression)
        if self.evolution is not None:
            evolution = self.evolution
            content["evolution"] = [
                str(evolution.initial.expression),
                str(evolution.forcing.expression),
                *evolution.times,
            ]
        if self.eigenvalues:
            content["eigenvalues"] = self.eigenvalues
        if operator.field is not None:
            content["field"] = self.field_origin or self._field_digest
        return json.dumps(content, sort_keys=True)

    @cached_property
    def _field_digest(self) -> str:
        spline = self.operator.field
        assert spline is not None
        digest = hashlib.sha256()
        for part in spline.content():
            digest.update(part)
        return digest.hexdigest()


def even_points(cell: Box) -> np.ndarray:
    """Evenly spaced points of a cell in at most three dimensions, shape (n, ..., n, d)."""
    shares = np.arange(_EVEN[cell.dimension]) / _EVEN[cell.dimension]
    return tensor_grid([low + side * shares for low, side in zip(cell.lower, cell.sides, strict=True)])


def _period(cell: Box) -> float | list[float]:
    sides = cell.sides.tolist()
    return sides[0] if len(set(sides)) == 1 else sides


def build(settings: ProblemSettings, eps: float) -> Problem:
    """The problem that the settings describe at one eps, checked.

    Raises:
        UserError: If a formula is refused, the field cannot be had, or the problem is not well posed; in one line that
            names the setting.
    """
    problem = object.__new__(Problem)
    problem._set(stated(settings, eps), settings.name, settings)
    return problem
