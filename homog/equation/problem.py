"""The problem: coefficient, forcing, boundary value, domain and parameters."""

import copy
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from homog.config import DomainSettings, FieldProblem, FieldSettings, FormulaProblem, ProblemSettings, RunSettings
from homog.domains.box import Box
from homog.errors import UserError
from homog.fields.splines import Spline
from homog.formula import Formula
from homog.formula.evaluate import at_points

SOLUTION, FIELD = "u", "field"  # what a coefficient's formula calls the solution and a tabulated field


@dataclass(frozen=True, eq=False, init=False)
class Problem:
    """-div(a grad u) = f in a box, u = g on its boundary (equation 15).

        problem = homog.Problem("2 + sin(2*pi*x1/eps)", forcing="1", eps=0.01)

    The formulas may use x1, x2, x3 (as many as the domain has axes), eps, pi and the names in `parameters`; the
    coefficient's also u, the solution, and `field`.

    Args:
        coefficient: a, positive on the domain.
        forcing: f.
        boundary: g, defined on the whole domain: the boundary ansatz extends it inwards.
        eps: The smallest scale.
        period: Side of the coefficient's periodic cell. Where the coefficient is not periodic there is no u_0.
        domain: The box; the unit square unless it is given.
        field: Settings of the random field, or of the field on file, that the coefficient names; None for none.
        parameters: Value of each further name.
        name: Name of the problem in tables and figures.

    Raises:
        UserError: If a formula is refused, or the problem is not well posed.

    Attributes:
        name: Name of the problem in tables and figures.
        coefficient: a, a formula in x, and where it names them in u and the field.
        forcing: f(x).
        boundary: g(x).
        domain: The box.
        parameters: Value of each parameter, eps among them.
        period: Side of the coefficient's periodic cell; None where it is not periodic.
        scale: The length that the time steps have to resolve: eps, or the correlation length of a field.
        field: The spline that the formula calls `field`, or None.
        field_origin: A text that fixes the field up to rounding; without one its coefficients do.
        measured: Numbers for the record of a run: the correlation length and the largest wave number of a field.
        settings: The settings that it was made of; None for one made of parts.
    """

    name: str
    coefficient: Formula
    forcing: Formula
    boundary: Formula
    domain: Box
    parameters: Mapping[str, float]
    period: float | None
    scale: float
    field: Spline | None
    field_origin: str | None
    measured: Mapping[str, float]
    settings: ProblemSettings | None

    def __init__(
        self,
        coefficient: str,
        *,
        forcing: str,
        boundary: str = ProblemSettings.boundary,
        eps: float = RunSettings.eps,
        period: str = FormulaProblem.period,
        domain: Box | None = None,
        field: FieldSettings | None = None,
        parameters: Mapping[str, float] | None = None,
        name: str = "problem",
    ) -> None:
        from homog.equation.formula import build  # which makes problems of parts

        box = DomainSettings() if domain is None else DomainSettings(lower=[*domain.lower], upper=[*domain.upper])
        formulas: dict[str, Any] = {"coefficient": coefficient, "forcing": forcing, "boundary": boundary}
        rest: dict[str, Any] = {"name": name, "domain": box, "parameters": dict(parameters or {})}
        if field is None:
            settings = FormulaProblem(**formulas, **rest, period=period)
        else:
            settings = FieldProblem(**formulas, **rest, field=field)
        vars(self).update(vars(build(settings, eps)))

    @classmethod
    def of(
        cls,
        name: str,
        coefficient: Formula,
        forcing: Formula,
        boundary: Formula,
        domain: Box,
        parameters: Mapping[str, float],
        period: float | None,
        scale: float,
        field: Spline | None = None,
    ) -> "Problem":
        """A problem of parts that were looked at before: see the attributes."""
        problem = object.__new__(cls)
        vars(problem).update(
            name=name,
            coefficient=coefficient,
            forcing=forcing,
            boundary=boundary,
            domain=domain,
            parameters=parameters,
            period=period,
            scale=scale,
            field=field,
            field_origin=None,
            measured={},
            settings=None,
        )
        return problem

    def but(self, **parts: Any) -> "Problem":
        """The same problem with other parts: see the attributes. What it was made of is forgotten."""
        unknown = parts.keys() - {field.name for field in dataclasses.fields(self)}
        if unknown:
            raise TypeError(f"a problem has no {', '.join(sorted(unknown))}")
        changed = copy.copy(self)
        vars(changed).pop("_field_digest", None)
        vars(changed).update({"settings": None, **parts})
        return changed

    @property
    def eps(self) -> float:
        """The smallest scale, as the formulas name it."""
        return self.parameters["eps"]

    @property
    def dimension(self) -> int:
        """Number of space dimensions."""
        return self.domain.dimension

    @property
    def nonlinear(self) -> bool:
        """Whether the coefficient depends on u."""
        return SOLUTION in self.coefficient.names

    def coefficient_at(
        self, points: Float[np.ndarray, "*batch d"], u: Float[np.ndarray, "*batch"] | float = 0.0
    ) -> Float[np.ndarray, "*batch"]:
        """a at points of shape (..., d), where the solution has the values u."""
        return at_points(self.coefficient, points, self.names_at(points, u))

    def slopes_at(
        self, points: Float[np.ndarray, "*batch d"], u: Float[np.ndarray, "*batch"] | float = 0.0
    ) -> Float[np.ndarray, "*batch d"]:
        """The partial derivatives of a(x, u) along x at fixed u, shape (..., d): those of the field are in them."""
        names = self.names_at(points, u)
        slopes = np.stack([at_points(partial, points, names) for partial in self.coefficient.gradient()], axis=-1)
        if self.field is not None:
            by_field = at_points(self.coefficient.derivative(FIELD), points, names)
            slopes = slopes + by_field[..., None] * self.field.gradient(points).astype(slopes.dtype)
        return slopes

    def drift_at(
        self, points: Float[np.ndarray, "*batch d"], solution: Spline | None = None
    ) -> Float[np.ndarray, "*batch d"]:
        """V = grad a / (2a) at points of shape (..., d); `solution` is the u of a nonlinear coefficient (6, 15)."""
        u = 0.0 if solution is None else solution(points)
        slopes = self.slopes_at(points, u)
        if solution is not None:
            by_u = at_points(self.coefficient.derivative(SOLUTION), points, self.names_at(points, u))
            slopes = slopes + by_u[..., None] * solution.gradient(points)
        return slopes / (2 * self.coefficient_at(points, u))[..., None]

    def require_positive(self, points: Float[np.ndarray, "*batch d"], solution: Spline) -> None:
        """Refuse a solution that leads the coefficient to zero or below at one of the points.

        Raises:
            UserError: With the place and the values.
        """
        u = solution(points)
        values = self.coefficient_at(points, u)
        if not (values > 0).all():
            worst = np.unravel_index(np.argmin(np.where(values > 0, np.inf, 0.0)), values.shape)
            place = ", ".join(f"x{i + 1}={x:.4g}" for i, x in enumerate(points[worst]))
            raise UserError(
                f"problem.coefficient={self.coefficient.text} is {values[worst]:.4g} at ({place}), where u is"
                f" {u[worst]:.4g}: it must be positive for every u that occurs"
            )

    def names_at(self, points: Float[np.ndarray, "*batch d"], u: Any = 0.0) -> dict[str, Any]:
        """What each name of the coefficient's formula but the coordinates stands for at points."""
        names: dict[str, Any] = {**self.parameters, SOLUTION: u}
        return names if self.field is None else {**names, FIELD: self.field(points)}

    def key(self) -> str:
        """A canonical text of everything that the solution depends on: the name is not among it."""
        used = self.coefficient.names | self.forcing.names | self.boundary.names
        content = {
            "coefficient": str(self.coefficient.expression),
            "forcing": str(self.forcing.expression),
            "boundary": str(self.boundary.expression),
            "lower": self.domain.lower,
            "upper": self.domain.upper,
            "parameters": {name: self.parameters[name] for name in sorted(used & set(self.parameters))},
            "period": self.period,
        }
        if self.field is not None:
            content["field"] = self.field_origin or self._field_digest
        return json.dumps(content, sort_keys=True)

    @cached_property
    def _field_digest(self) -> str:
        assert self.field is not None
        spline = self.field
        digest = hashlib.sha256(repr((spline.lower, spline.upper, spline.coefficients.shape, spline.degree)).encode())
        digest.update(spline.coefficients.tobytes())
        return digest.hexdigest()
