"""The problem: coefficient, forcing, boundary value, domain and parameters."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from homog.formula import Formula
from homog.formula.evaluate import at_points
from homog.problems.domain import Box


@dataclass(frozen=True)
class Problem:
    """-div(a grad u) = f in a box, u = g on its boundary (equation 15).

    Attributes:
        name: What it is called in tables.
        coefficient: a(x), positive on the domain.
        forcing: f(x).
        boundary: g(x), defined on the whole domain (the boundary ansatz extends it inwards).
        domain: The box.
        parameters: Value of each parameter, eps among them.
        period: Side of the coefficient's periodic cell; None where it is not periodic.
    """

    name: str
    coefficient: Formula
    forcing: Formula
    boundary: Formula
    domain: Box
    parameters: Mapping[str, float]
    period: float | None

    @property
    def dimension(self) -> int:
        """Number of space dimensions."""
        return self.domain.dimension

    def coefficient_at(self, points: Float[np.ndarray, "*batch d"]) -> Float[np.ndarray, "*batch"]:
        """a at points of shape (..., d)."""
        return at_points(self.coefficient, points, self.parameters)

    def key(self) -> str:
        """A canonical text of everything that the solution depends on: the name is not among it."""
        used = self.coefficient.names | self.forcing.names | self.boundary.names
        return json.dumps(
            {
                "coefficient": str(self.coefficient.expression),
                "forcing": str(self.forcing.expression),
                "boundary": str(self.boundary.expression),
                "lower": self.domain.lower,
                "upper": self.domain.upper,
                "parameters": {name: self.parameters[name] for name in sorted(used & set(self.parameters))},
                "period": self.period,
            },
            sort_keys=True,
        )
