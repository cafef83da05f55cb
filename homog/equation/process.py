"""The diffusion of an operator: the process whose law the walkers follow, derived in one place."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy
from jaxtyping import Float

from homog.equation.operator import FIELD, SOLUTION, Operator
from homog.fields.splines import Spline
from homog.formula.evaluate import at_points
from homog.formula.logistic import Expr, with_logistic
from homog.formula.parse import symbol


@dataclass(frozen=True, eq=False)
class Process:
    """dX = V dt + dW with V = grad a / (2a) (6), the reward f / (2a) dt along the path, and the killing c / (2a) dt.

    Its generator is 1/2 Lap + V.grad = (1/2a) div(a grad), since div(a grad u) = a Lap u + grad a . grad u. So
    -div(a grad u) = f is (generator) u = -f / (2a), which is Dynkin's formula (8); and the process is reversible with
    the weight a: int a v (generator u) dx = -1/2 int a grad u . grad v dx is symmetric in u and v. With a reaction c
    the equation is (generator) u - c / (2a) u = -f / (2a): Feynman and Kac's formula, in which a walker's rewards and
    values count for w = exp(-int c / (2a) dt), the probability that it is still there.

    What has no formula, the lagged u of a nonlinear coefficient and a random field, comes in with its slopes:
    grad a = d_x a + (d_u a) grad u + (d_field a) grad field (15).
    """

    operator: Operator

    def drift_at(
        self, points: Float[np.ndarray, "*batch d"], lagged: Spline | None = None
    ) -> Float[np.ndarray, "*batch d"]:
        """V at points of shape (..., d); `lagged` is the u that a nonlinear coefficient reads."""
        operator, u = self.operator, None if lagged is None else lagged(points)
        slopes = operator.slopes_at(points, u)
        if lagged is not None:
            by_u = at_points(operator.coefficient.derivative(SOLUTION), points, operator.names_at(points, u))
            slopes = slopes + by_u[..., None] * lagged.gradient(points)
        return slopes / (2 * operator.coefficient_at(points, u))[..., None]

    def reward_at(
        self, points: Float[np.ndarray, "*batch d"], lagged: Spline | None = None
    ) -> Float[np.ndarray, "*batch"]:
        """f / (2a) at points of shape (..., d)."""
        u = None if lagged is None else lagged(points)
        return self.operator.forcing_at(points, u) / (2 * self.operator.coefficient_at(points, u))

    def killing_at(
        self, points: Float[np.ndarray, "*batch d"], lagged: Spline | None = None
    ) -> Float[np.ndarray, "*batch"]:
        """c / (2a) at points of shape (..., d)."""
        u = None if lagged is None else lagged(points)
        return self.operator.reaction_at(points, u) / (2 * self.operator.coefficient_at(points, u))

    @property
    def looked_up(self) -> tuple[str, ...]:
        """What the formulas name and has no formula: of "u" and "field" those that occur."""
        names = self.operator.coefficient.names.union(*(formula.names for formula in self.operator.data))
        return tuple(name for name in (SOLUTION, FIELD) if name in names)

    def expressions(self, slope: Callable[[str, int], sympy.Symbol]) -> tuple[Expr, list[Expr], list[Expr]]:
        """a, the data (f, and c where there is one) and grad a as expressions, of which kernels are made.

        Args:
            slope: The symbol for the slope of what is looked up, by its name, along an axis, counted from 1.
        """
        coefficient = with_logistic(self.operator.coefficient.expression)
        gradient = []
        for i, axis in enumerate(self.operator.coefficient.axes, 1):
            inner = (sympy.diff(coefficient, symbol(name)) * slope(name, i) for name in self.looked_up)
            gradient.append(sum(inner, sympy.diff(coefficient, symbol(axis))))
        return coefficient, [formula.expression for formula in self.operator.data], gradient
