"""What depends on time: where u begins, what feeds it, and when it is wanted."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from homog.formula import Formula
from homog.formula.evaluate import at_points

TIME = "t"  # what formulas call the time


@dataclass(frozen=True, eq=False)
class Evolution:
    """d_t u - div(a grad u) + c u = f(x, t) from u(x, 0), with the conditions of the stationary problem at all times.

    Attributes:
        initial: u(x, 0). It need not fit the conditions.
        forcing: f(x, t).
        times: At which u is wanted, ascending; the last is the end.
        parameters: Value of each parameter.
    """

    initial: Formula
    forcing: Formula
    times: tuple[float, ...]
    parameters: Mapping[str, float]

    @property
    def end(self) -> float:
        """The last of the times."""
        return self.times[-1]

    @property
    def driven(self) -> bool:
        """Whether f depends on time."""
        return TIME in self.forcing.names

    def initial_at(self, points: Float[np.ndarray, "*batch d"]) -> Float[np.ndarray, "*batch"]:
        """u(x, 0) at points of shape (..., d)."""
        return at_points(self.initial, points, self.parameters)

    def forcing_at(self, points: Float[np.ndarray, "*batch d"], time: float) -> Float[np.ndarray, "*batch"]:
        """f(x, t) at points of shape (..., d)."""
        return at_points(self.forcing, points, {**self.parameters, TIME: time})
