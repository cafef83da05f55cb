"""b.grad u in finite elements, by dolfinx."""

from dataclasses import replace
from typing import Any

import numpy as np

from homog.equation import Operator
from homog.equation.operator import SOLUTION
from homog.references.laws import Velocity


class Advection:
    """The integral of b.grad u v for each v, with b as numbers at Gauss points.

    Nothing is added for stability: the mesh resolves the layers a / |b|.

    Args:
        operator: Gives the values of the parameters.
        velocity: b.
        u: The finite element function that b is taken at where it depends on u.
        degree: Degree of the quadrature.
        options: For what is compiled.
    """

    def __init__(self, operator: Operator, velocity: Velocity, u: Any, degree: int, options: Any) -> None:
        import basix.ufl
        import dolfinx.fem

        self._operator = replace(operator, velocity=velocity)
        by_u = tuple(part.derivative(SOLUTION) for part in velocity)
        self._by_u_of = replace(operator, velocity=by_u)
        mesh, dimension = u.function_space.mesh, len(velocity)
        kind = basix.ufl.quadrature_element(mesh.basix_cell(), value_shape=(dimension,), degree=degree)
        space = dolfinx.fem.functionspace(mesh, kind)
        self._u, self._degree = u, degree
        self._points = space.tabulate_dof_coordinates()[:, :dimension]
        fem: Any = dolfinx.fem
        self._velocity = fem.Function(space)
        self._by_u: Any = fem.Function(space) if self.of_u else None
        if self.of_u:
            scalars = fem.functionspace(mesh, basix.ufl.quadrature_element(mesh.basix_cell(), degree=degree))
            self._u_there: Any = fem.Function(scalars)
            self._interpolated = fem.Expression(u, scalars.element.interpolation_points, jit_options=options)

    @property
    def of_u(self) -> bool:
        """Whether b depends on u."""
        return self._operator.velocity_of_u

    def take(self, *, frozen: bool = False) -> None:
        """Put the values of b, and of its derivative with respect to u, into the forms: for u as it is now.

        Args:
            frozen: Leave out that b depends on u.
        """
        u_there = None
        if self.of_u:
            self._u_there.interpolate(self._interpolated)
            u_there = self._u_there.x.array.copy()
            by_u = self._by_u_of.velocity_at(self._points, u_there)
            self._by_u.x.array[:] = 0 if frozen else by_u.ravel()
        self._velocity.x.array[:] = self._operator.velocity_at(self._points, u_there).ravel()

    def along(self, axis: int, points: np.ndarray, u: np.ndarray) -> np.ndarray:
        """The component of b along an axis at points, where the solution has the values u."""
        return self._operator.velocity_at(points, u)[..., axis]

    def forms(self, trial: Any, test: Any) -> tuple[Any, Any]:
        """The form, and its derivative with respect to u."""
        import ufl

        there = ufl.dx(metadata={"quadrature_degree": self._degree})
        change = ufl.dot(self._velocity, ufl.grad(trial))
        if self._by_u is not None:
            change += trial * ufl.dot(self._by_u, ufl.grad(self._u))
        return ufl.dot(self._velocity, ufl.grad(self._u)) * test * there, change * test * there
