"""What stands between grad u and the flow: the coefficient as finite elements take it, at points and values of u."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from homog.equation import Problem
from homog.equation.operator import SOLUTION
from homog.formula import Formula
from homog.formula.evaluate import at_points

At = Callable[[np.ndarray, int], np.ndarray]
"""Of values of u at n points and an order 0 or 1: A, or its derivative with respect to u, shape (n, *law.shape).

Not finite, or not positive, where u leaves the values that the coefficient allows.
"""

Velocity = tuple[Formula, ...]
"""The components of b."""


class Law(Protocol):
    """A(x, u) of -div(A grad u) + b.grad u, and b.

    Attributes:
        shape: Shape of one value of A: () for a scalar, (d, d) for a symmetric tensor.
        nonlinear: Whether A depends on u.
        velocity: b, None for none.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def nonlinear(self) -> bool: ...

    @property
    def velocity(self) -> Velocity | None: ...

    def at(self, points: np.ndarray) -> At:
        """A at points of shape (..., d), as a function of u there: what does not depend on u is computed once."""
        ...


@dataclass(frozen=True, eq=False)
class FineLaw:
    """The problem's own coefficient, its formula or its matrix of formulas, which may name u and a field; and its b."""

    problem: Problem

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a number, or of a matrix."""
        return () if self.problem.operator.tensor is None else (self.problem.dimension, self.problem.dimension)

    @property
    def nonlinear(self) -> bool:
        """As the problem is."""
        return self.problem.operator.nonlinear

    @property
    def velocity(self) -> Velocity | None:
        """As the problem's."""
        return self.problem.operator.velocity

    def at(self, points: np.ndarray) -> At:
        """See `Law`; of the field, the spline itself is taken."""
        operator = self.problem.operator
        names = operator.names_at(points, 0.0)  # u comes below
        tensor, formulas = operator.tensor, (operator.coefficient, operator.coefficient.derivative(SOLUTION))
        tensors = None if tensor is None else (tensor, tensor.derivative(SOLUTION))

        def evaluate(u: np.ndarray, order: int) -> np.ndarray:
            values: dict[str, Any] = {**names, SOLUTION: u}
            return at_points(formulas[order], points, values) if tensors is None else tensors[order].at(points, values)

        return evaluate


@dataclass(frozen=True, eq=False)
class ConstantLaw:
    """One tensor everywhere, shape (d, d), with a velocity or none."""

    tensor: np.ndarray
    velocity: Velocity | None = None
    nonlinear = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a tensor."""
        return self.tensor.shape

    def at(self, points: np.ndarray) -> At:
        """See `Law`."""
        return lambda u, order: np.broadcast_to(self.tensor * (order == 0), (*points.shape[:-1], *self.shape))
