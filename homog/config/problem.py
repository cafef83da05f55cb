"""What is solved."""

import re
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from homog.config.boundary import face_conditions
from homog.config.checks import MISSING, label, require
from homog.config.coefficient import as_typed, coefficient_texts, velocity_texts
from homog.config.evolution import span_of
from homog.config.field import FieldSettings
from homog.config.ranges import ranges_of
from homog.errors import UserError

_MOST_EIGENVALUES = 60

WITH_A_GRID = 3
"""Dimensions in which functions are kept on grids: meshes, tables, fields, places of evaluation."""


def depends_on_u(text: str) -> bool:
    """Whether a formula's text names the solution u."""
    return re.search(r"\bu\b", text) is not None


@dataclass(kw_only=True)
class DomainSettings:
    """A box: its lower and upper corner, one number an axis."""

    lower: list[float] = field(default_factory=lambda: [0.0, 0.0])
    upper: list[float] = field(default_factory=lambda: [1.0, 1.0])

    def __post_init__(self) -> None:
        require(1 <= len(self.lower) <= 10, "problem.domain.lower", self.lower, "one to ten numbers")
        require(
            len(self.lower) == len(self.upper),
            "problem.domain.upper",
            self.upper,
            "as many numbers as in lower",
        )
        for low, high in zip(self.lower, self.upper, strict=True):
            require(isfinite(high - low) and low < high, "problem.domain.upper", self.upper, "numbers above lower")


@dataclass(kw_only=True)
class ProblemSettings:
    """Base of the problems: -div(a grad u) + b.grad u + c u = f in a box, with conditions on its faces (15).

    All are formulas: a is one, or those of a symmetric matrix, [a11, a22] for a diagonal one or [[a11, a12],
    [a21, a22]]; b, the `velocity`, is d of them, or nothing.

    `eigenvalues` says how many of -div(a grad u) + c u = l u are wanted besides u, for homogeneous conditions. `time`,
    {end: 0.1, initial: u(x, 0), times: [0.05, 0.1]}, asks for d_t u - div(a grad u) + c u = f(x, t) besides its steady
    state: f may then use t.

    The formulas may use x1, x2, ... (as many as the domain has axes), eps, pi and the names in `parameters`; those of
    a, b, f and c also u, the solution. c is `reaction`, at least zero everywhere unless u occurs in it. `boundary` is
    g, for u = g on all faces, or says of each face, x1- and x1+ of the first axis and so on, of an axis or of all which
    condition holds: {value: g}, {flux: q} for n.a grad u = q, {robin: {factor: k, flux: q}} for n.a grad u + k u = q,
    or periodic.
    """

    name: str = MISSING
    coefficient: Any = MISSING
    forcing: str = MISSING
    boundary: Any = "0"
    reaction: str = "0"
    velocity: Any = None
    eigenvalues: int = 0
    time: Any = None
    parameters: dict[str, Any] = field(default_factory=dict)
    domain: DomainSettings = field(default_factory=DomainSettings)

    @property
    def jumps(self) -> bool:
        """Whether the coefficient may jump, by its text: a comparison, the whole part of something or what is left."""
        return re.search(r"\b(where|floor|mod)\b|[<>%]|//", as_typed(self.coefficient)) is not None

    @property
    def samples(self) -> int:
        """Of the medium, where it is random."""
        return 1

    @property
    def nonlinear(self) -> bool:
        """Whether the coefficient's text names the solution u."""
        return depends_on_u(as_typed(self.coefficient))

    def __post_init__(self) -> None:
        label("problem.name", self.name)
        require(0 <= self.eigenvalues <= _MOST_EIGENVALUES, "problem.eigenvalues", self.eigenvalues,
                f"a whole number from 0 to {_MOST_EIGENVALUES}")  # fmt: skip
        span_of(self.time)
        ranges_of(self.parameters)
        if self.coefficient != MISSING:
            coefficient_texts(self.coefficient, len(self.domain.lower))
        face_conditions(self.boundary, len(self.domain.lower))
        if self.velocity is not None:
            velocity_texts(self.velocity, len(self.domain.lower))
        if len(self.domain.lower) > WITH_A_GRID:
            for name in ("coefficient", "forcing", "reaction", "velocity"):
                if depends_on_u(as_typed(getattr(self, name))):
                    raise UserError(
                        f"problem.{name} depends on u, which walkers read from a table on a grid: at most three"
                        " dimensions"
                    )


@dataclass(kw_only=True)
class FormulaProblem(ProblemSettings):
    """A problem of which all is said by formulas; `period` is the side of the coefficient's periodic cell."""

    period: str = "eps"


@dataclass(kw_only=True)
class FieldProblem(ProblemSettings):
    """A problem whose coefficient's formula may also use `field`, a function on a grid."""

    field: FieldSettings = MISSING  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.domain.lower) > WITH_A_GRID:
            raise UserError(
                "problem.field lies on a grid: at most three dimensions; write the coefficient as a formula"
            )

    @property
    def jumps(self) -> bool:
        return super().jumps or self.field.jumps

    @property
    def samples(self) -> int:
        return getattr(self.field, "samples", 1)


@dataclass(kw_only=True)
class DriftProblem(ProblemSettings):
    """1/2 Lap u + V.grad u - G(x, u) = 0 in a box (6): `drift` is V, d formulas, and `source` is G.

    That is the equation of the other problems with a = 1, the velocity -2 V and 2 G on the left.
    """

    drift: Any = MISSING
    source: str = MISSING
    period: str = "eps"
    coefficient: Any = "1"
    forcing: str = "0"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.drift != MISSING:
            velocity_texts(self.drift, len(self.domain.lower), "drift", "V")
        stated = {"coefficient": "1", "forcing": "0", "reaction": "0", "velocity": None}
        for name, usual in stated.items():
            if getattr(self, name) != usual:
                raise UserError(
                    f"problem.{name} has no place in 1/2 Lap u + V.grad u - G = 0: leave it out, or write"
                    " problem=linear"
                )

    def in_divergence_form(self) -> FormulaProblem:
        """The same equation as -div(grad u) - 2 V.grad u = -2 G."""
        texts = velocity_texts(self.drift, len(self.domain.lower), "drift", "V")
        return FormulaProblem(
            name=self.name,
            coefficient="1",
            forcing=f"-2*({self.source})",
            velocity=[f"-2*({text})" for text in texts],
            boundary=self.boundary,
            parameters=self.parameters,
            domain=self.domain,
            eigenvalues=self.eigenvalues,
            time=self.time,
            period=self.period,
        )
