"""What holds on the boundary."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from homog.formula import Formula
from homog.formula.evaluate import at_points


@dataclass(frozen=True, eq=False)
class Dirichlet:
    """u = g on the boundary.

    Attributes:
        value: g(x), defined on the whole domain: the boundary ansatz extends it inwards.
        parameters: Value of each parameter of the formula.
    """

    value: Formula
    parameters: Mapping[str, float]

    def at(self, points: Float[np.ndarray, "*batch d"]) -> Float[np.ndarray, "*batch"]:
        """g at points of shape (..., d)."""
        return at_points(self.value, points, self.parameters)
