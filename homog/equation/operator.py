"""The equation, without its domain and its boundary."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from homog.equation.tensor import Tensor, least_eigenvalues
from homog.errors import UserError
from homog.fields.phases import Phases
from homog.fields.splines import Spline
from homog.formula import Formula
from homog.formula.evaluate import at_points
from homog.formula.jumps import places_of_jumps

SOLUTION, FIELD = "u", "field"  # what a coefficient's formula calls the solution and a tabulated field


@dataclass(frozen=True, eq=False)
class Operator:
    """-div(a grad u) + b.grad u + c u = f (equation 15, with a velocity and a reaction).

    Where f and c depend on u, they are Newton's: of -div(a grad u) + G(x, u) = 0 they are c(x, v) = dG/du(x, v), where
    that is positive, and f(x, v) = c(x, v) v - G(x, v), v near u; the equation holds for v = u.

    Attributes:
        coefficient: a, a positive formula in x, and where it names them in u and the field; of a matrix A its
            tr A / d, by which walkers weigh and keep time.
        forcing: f(x), or f(x, v).
        parameters: Value of each parameter, eps among them.
        field: What the coefficient calls `field`, a spline or phases on voxels; or None.
        reaction: c(x), or c(x, v), nowhere negative; None for zero.
        tensor: A, symmetric and positive definite, in place of a; None where a is a number.
        velocity: b(x), or b(x, u), its d components; None for none.
    """

    coefficient: Formula
    forcing: Formula
    parameters: Mapping[str, float]
    field: Spline | Phases | None = None
    reaction: Formula | None = None
    tensor: Tensor | None = None
    velocity: tuple[Formula, ...] | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names that occur in the coefficient."""
        return self.coefficient.names if self.tensor is None else self.tensor.names

    @property
    def entries(self) -> tuple[Formula, ...]:
        """a; of a matrix its entries up to the diagonal, by rows."""
        return (self.coefficient,) if self.tensor is None else self.tensor.lower

    @property
    def nonlinear(self) -> bool:
        """Whether the coefficient depends on u."""
        return SOLUTION in self.names

    @property
    def data_of_u(self) -> bool:
        """Whether f or c depend on u."""
        return any(SOLUTION in formula.names for formula in self.data)

    @property
    def velocity_of_u(self) -> bool:
        """Whether b depends on u."""
        return any(SOLUTION in part.names for part in self.velocity or ())

    @property
    def reads_u(self) -> bool:
        """Whether anything depends on u, and walkers have to read it on their way."""
        return self.nonlinear or self.data_of_u or self.velocity_of_u

    @property
    def jumps(self) -> bool:
        """Whether the coefficient may jump, and walkers have no drift."""
        by_field = self.field is not None and self.field.degree == 0 and FIELD in self.names
        return by_field or bool(places_of_jumps(self.coefficient.expression))

    def coefficient_at(
        self, points: Float[np.ndarray, "*batch d"], u: Float[np.ndarray, "*batch"] | float | None = None
    ) -> Float[np.ndarray, "*batch"]:
        """a at points of shape (..., d), where the solution has the values u: to be given where a depends on u."""
        return at_points(self.coefficient, points, self.names_at(points, u))

    def tensor_at(
        self, points: Float[np.ndarray, "*batch d"], u: Float[np.ndarray, "*batch"] | float | None = None
    ) -> Float[np.ndarray, "*batch d d"]:
        """A at points of shape (..., d), a times the unit matrix where it is a number."""
        names = self.names_at(points, u)
        if self.tensor is None:
            return at_points(self.coefficient, points, names)[..., None, None] * np.eye(points.shape[-1])
        return self.tensor.at(points, names)

    def values_at(
        self, points: Float[np.ndarray, "*batch d"], u: Float[np.ndarray, "*batch"] | float | None = None
    ) -> Float[np.ndarray, "..."]:
        """a at points of shape (..., d); or A, shape (..., d, d), where it is a matrix."""
        return self.coefficient_at(points, u) if self.tensor is None else self.tensor_at(points, u)

    def least_at(
        self, points: Float[np.ndarray, "*batch d"], u: Float[np.ndarray, "*batch"] | float | None = None
    ) -> Float[np.ndarray, "*batch"]:
        """a at points of shape (..., d); or the least eigenvalue of A, not a number where A is not finite."""
        return self.coefficient_at(points, u) if self.tensor is None else least_eigenvalues(self.tensor_at(points, u))

    def divergence_at(
        self, points: Float[np.ndarray, "*batch d"], u: Float[np.ndarray, "*batch"] | float | None = None
    ) -> Float[np.ndarray, "*batch d"]:
        """sum_j d_j A_ij(x, u) at fixed u, shape (..., d): the slopes of a where it is a number."""
        if self.tensor is None:
            return self.slopes_at(points, u)
        names, tensor = self.names_at(points, u), self.tensor
        found = np.zeros(points.shape, dtype=points.dtype)
        for i, row in enumerate(tensor.entries):
            for j, formula in enumerate(row):
                found[..., i] += at_points(formula.derivative(formula.axes[j]), points, names)
        if self.field is not None:
            slope = self.field.gradient(points).astype(found.dtype)
            found += np.einsum("...ij,...j->...i", tensor.derivative(FIELD).at(points, names), slope)
        return found

    def coefficient_in(self, values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        """a where the field has these values, of a coefficient that names nothing else; shape (n,)."""
        nowhere = np.zeros((len(values), len(self.coefficient.axes)))
        return at_points(self.coefficient, nowhere, {**self.parameters, FIELD: values})

    def forcing_at(
        self, points: Float[np.ndarray, "*batch d"], u: Float[np.ndarray, "*batch"] | float | None = None
    ) -> Float[np.ndarray, "*batch"]:
        """f at points of shape (..., d), where the solution has the values u: to be given where f depends on it."""
        return at_points(self.forcing, points, self._of_data(u))

    def reaction_at(
        self, points: Float[np.ndarray, "*batch d"], u: Float[np.ndarray, "*batch"] | float | None = None
    ) -> Float[np.ndarray, "*batch"]:
        """c at points of shape (..., d), likewise."""
        if self.reaction is None:
            return np.zeros(points.shape[:-1])
        return at_points(self.reaction, points, self._of_data(u))

    def _of_data(self, u: Any) -> Mapping[str, Any]:
        """What the names in f and c stand for."""
        if not self.data_of_u:
            return self.parameters
        if u is None:
            raise ValueError("f or c depend on u: their values need that of u")
        return {**self.parameters, SOLUTION: u}

    @property
    def data(self) -> tuple[Formula, ...]:
        """f, and c where there is one: what walkers meet on their way besides a."""
        return (self.forcing,) if self.reaction is None else (self.forcing, self.reaction)

    def slopes_at(
        self, points: Float[np.ndarray, "*batch d"], u: Float[np.ndarray, "*batch"] | float | None = None
    ) -> Float[np.ndarray, "*batch d"]:
        """The partial derivatives of a(x, u) along x at fixed u, shape (..., d): those of the field are in them."""
        names = self.names_at(points, u)
        slopes = np.stack([at_points(partial, points, names) for partial in self.coefficient.gradient()], axis=-1)
        if self.field is not None:
            by_field = at_points(self.coefficient.derivative(FIELD), points, names)
            slopes = slopes + by_field[..., None] * self.field.gradient(points).astype(slopes.dtype)
        return slopes

    def velocity_at(
        self, points: Float[np.ndarray, "*batch d"], u: Float[np.ndarray, "*batch"] | float | None = None
    ) -> Float[np.ndarray, "*batch d"]:
        """b at points of shape (..., d), where the solution has the values u: to be given where b depends on it."""
        if self.velocity is None:
            return np.zeros(points.shape)
        if u is None and self.velocity_of_u:
            raise ValueError("b depends on u: its value needs that of u")
        names = {**self.parameters, SOLUTION: 0.0 if u is None else u}
        return np.stack([at_points(part, points, names) for part in self.velocity], axis=-1)

    def spreads_at(self, points: Float[np.ndarray, "*batch d"]) -> Float[np.ndarray, "*batch"]:
        """div b of a velocity that does not depend on u, at points of shape (..., d)."""
        if self.velocity is None:
            return np.zeros(points.shape[:-1])
        parts = (part.derivative(axis) for part, axis in zip(self.velocity, self.coefficient.axes, strict=True))
        return np.sum([at_points(part, points, self.parameters) for part in parts], axis=0)

    def names_at(self, points: Float[np.ndarray, "*batch d"], u: Any = None) -> dict[str, Any]:
        """What each name of the coefficient's formula but the coordinates stands for at points.

        Raises:
            ValueError: If the coefficient depends on u, and u is not given.
        """
        if u is None and self.nonlinear:
            raise ValueError("the coefficient depends on u: its value needs that of u")
        names: dict[str, Any] = {**self.parameters, SOLUTION: 0.0 if u is None else u}
        return names if self.field is None else {**names, FIELD: self.field(points)}

    def require_positive(self, points: Float[np.ndarray, "*batch d"], lagged: Spline) -> None:
        """Refuse a u that leads the coefficient to zero or below at one of the points.

        Raises:
            UserError: With the place and the values.
        """
        u = lagged(points)
        values = self.least_at(points, u)
        if not (values > 0).all():
            worst = np.unravel_index(np.argmin(np.where(values > 0, np.inf, 0.0)), values.shape)
            place = ", ".join(f"x{i + 1}={x:.4g}" for i, x in enumerate(points[worst]))
            raise UserError(
                f"problem.coefficient={self.coefficient.text} is {values[worst]:.4g} at ({place}), where u is"
                f" {u[worst]:.4g}: it must be positive for every u that occurs"
            )
