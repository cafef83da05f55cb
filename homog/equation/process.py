"""The diffusion of an operator: the process whose law the walkers follow, derived in one place."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy
from jaxtyping import Float

from homog.equation.operator import FIELD, SOLUTION, Operator
from homog.fields.splines import Spline
from homog.formula.evaluate import at_points
from homog.formula.kinks import larger
from homog.formula.logistic import Expr, with_logistic
from homog.formula.parse import symbol

_LEAST = 1e-6  # of sigma^2: the arithmetic of walkers is in single precision


@dataclass(frozen=True, eq=False)
class Process:
    """dX = V dt + dW with V = grad a / (2a) (6), the reward f / (2a) dt along the path, and the killing c / (2a) dt.

    Its generator is 1/2 Lap + V.grad = (1/2a) div(a grad), since div(a grad u) = a Lap u + grad a . grad u. So
    -div(a grad u) = f is (generator) u = -f / (2a), which is Dynkin's formula (8); and the process is reversible with
    the weight a: int a v (generator u) dx = -1/2 int a grad u . grad v dx is symmetric in u and v. With a reaction c
    the equation is (generator) u - c / (2a) u = -f / (2a): Feynman and Kac's formula, in which a walker's rewards and
    values count for w = exp(-int c / (2a) dt), the probability that it is still there.

    Of a matrix A with a = tr A / d the generator is (1/2a) div(A grad): dX = V dt + sigma dW with
    V_i = sum_j d_j A_ij / (2a) and sigma sigma^T = A / a, whose trace is d, so that time is as of a number a; and a dx
    is the weight for which it is reversible.

    With a velocity b the generator is (1/2a) (div(a grad) - b.grad), and V has -b / (2a) besides. That is not
    reversible: in a dx the adjoint of its walk is that of the velocity -b with the reaction c - div b, and n.b u added
    to what faces that reflect take (`Problem.backwards`).

    What has no formula, the lagged u of a nonlinear coefficient and a random field, comes in with its slopes:
    grad a = d_x a + (d_u a) grad u + (d_field a) grad field (15).
    """

    operator: Operator

    def drift_at(
        self, points: Float[np.ndarray, "*batch d"], lagged: Spline | None = None
    ) -> Float[np.ndarray, "*batch d"]:
        """V at points of shape (..., d), (div A - b) / (2a); `lagged` is the u that a nonlinear coefficient reads."""
        operator, u = self.operator, None if lagged is None else lagged(points)
        slopes = operator.divergence_at(points, u)
        if operator.velocity is not None:
            slopes = slopes - operator.velocity_at(points, u)
        if lagged is not None and operator.tensor is not None:
            by_u = operator.tensor.derivative(SOLUTION).at(points, operator.names_at(points, u))
            slopes = slopes + np.einsum("...ij,...j->...i", by_u, lagged.gradient(points))
        elif lagged is not None:
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
        named = *self.operator.data, *(self.operator.velocity or ())
        names = self.operator.names.union(*(formula.names for formula in named))
        return tuple(name for name in (SOLUTION, FIELD) if name in names)

    def expressions(self, slope: Callable[[str, int], sympy.Symbol]) -> tuple[Expr, list[Expr], list[Expr]]:
        """a, the data (f, and c where there is one) and 2a V as expressions, of which kernels are made.

        Args:
            slope: The symbol for the slope of what is looked up, by its name, along an axis, counted from 1.
        """
        axes = self.operator.coefficient.axes

        def along(expression: Expr, i: int) -> Expr:
            inner = (sympy.diff(expression, symbol(name)) * slope(name, i + 1) for name in self.looked_up)
            return sum(inner, sympy.diff(expression, symbol(axes[i])))

        coefficient, tensor = with_logistic(self.operator.coefficient.expression), self.operator.tensor
        if tensor is None:
            gradient = [along(coefficient, i) for i in range(len(axes))]
        else:
            rows = [[with_logistic(formula.expression) for formula in row] for row in tensor.entries]
            gradient = [sum(along(entry, j) for j, entry in enumerate(row)) for row in rows]
        if self.operator.velocity is not None:
            gradient = [
                slope - with_logistic(part.expression)
                for slope, part in zip(gradient, self.operator.velocity, strict=True)
            ]
        return coefficient, [formula.expression for formula in self.operator.data], gradient

    def noise(self) -> list[Expr]:
        """sigma with sigma sigma^T = A / a, for a matrix A with the mean a of its diagonal: a lower triangle by rows.

        By Cholesky's recursion, in which no difference is negative but by rounding. Of a diagonal matrix the diagonal.
        """
        tensor = self.operator.tensor
        assert tensor is not None
        mean = with_logistic(self.operator.coefficient.expression)
        rows = [[with_logistic(formula.expression) / mean for formula in row] for row in tensor.entries]
        if tensor.is_diagonal:
            return [sympy.sqrt(row[i]) for i, row in enumerate(rows)]
        sigma: list[list[Expr]] = []
        for i, row in enumerate(rows):
            made: list[Expr] = []
            for j in range(i):
                rest = row[j] - sum(made[k] * sigma[j][k] for k in range(j))
                made.append(rest / sigma[j][j])
            rest = row[i] - sum(entry**2 for entry in made)
            made.append(sympy.sqrt(larger(rest, sympy.Float(_LEAST)) if made else rest))
            sigma.append(made)
        return [entry for row in sigma for entry in row]
