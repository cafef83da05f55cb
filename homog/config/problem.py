"""What is solved."""

from dataclasses import dataclass, field
from math import isfinite

from homog.config.checks import MISSING, require


@dataclass
class DomainSettings:
    """A box: its lower and upper corner, one number an axis."""

    lower: list[float] = field(default_factory=lambda: [0.0, 0.0])
    upper: list[float] = field(default_factory=lambda: [1.0, 1.0])

    def __post_init__(self) -> None:
        require(1 <= len(self.lower) <= 3, "problem.domain.lower", self.lower, "one to three numbers")
        require(
            len(self.lower) == len(self.upper),
            "problem.domain.upper",
            self.upper,
            "as many numbers as in lower",
        )
        for low, high in zip(self.lower, self.upper, strict=True):
            require(isfinite(high - low) and low < high, "problem.domain.upper", self.upper, "numbers above lower")


@dataclass
class ProblemSettings:
    """Base of the problems."""

    name: str = MISSING


@dataclass
class FormulaProblem(ProblemSettings):
    """-div(a grad u) = f in a box, u = g on its boundary (equation 15), all three written as formulas.

    The formulas may use x1, x2, x3 (as many as the domain has axes), eps, pi and the names in `parameters`.
    """

    coefficient: str = MISSING
    forcing: str = MISSING
    boundary: str = "0"
    period: str = "eps"
    parameters: dict[str, float] = field(default_factory=dict)
    domain: DomainSettings = field(default_factory=DomainSettings)
