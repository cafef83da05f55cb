"""What the losses that take the network's derivatives share: derivatives, the equation's data, boundary values.

Points are drawn in double precision and the data are computed in it: a phase x / eps in single precision would be off
by 4e-3 already at eps = 1e-4. The network itself works in single precision.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from homog.domains import REFLECTING
from homog.equation import FIELD, SOLUTION, Operator, Problem
from homog.equation.tensor import Tensor as Matrix
from homog.formula.evaluate import torch_at_points
from homog.networks import boundary_values
from homog.walkers import point_generator


def value_and_gradient(network: nn.Module, x: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " n"], Float[Tensor, "n d"]]:
    """u and grad u, with their graphs; x must require a gradient."""
    u = network(x)  # a point's value depends on no other point: one backward pass from the sum gives all gradients
    (gradient,) = torch.autograd.grad(u.sum(), x, create_graph=True, materialize_grads=True)
    return u, gradient


def laplacian(gradient: Float[Tensor, "n d"], x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Lap u from grad u: one further backward pass an axis, of which the diagonal of the Hessian is kept."""
    result = torch.zeros_like(gradient[:, 0])
    for axis, row in enumerate(_rows_of_hessian(gradient, x)):
        result = result + row[:, axis]
    return result


def _rows_of_hessian(gradient: Float[Tensor, "n d"], x: Float[Tensor, "n d"]) -> Iterator[Float[Tensor, "n d"]]:
    for axis in range(x.shape[1]):
        (row,) = torch.autograd.grad(gradient[:, axis].sum(), x, create_graph=True, materialize_grads=True)
        yield row


@dataclass(frozen=True)
class Points:
    """The points of one iteration, in double precision.

    Attributes:
        points: Uniform in the domain.
        edge: Uniform where u is given, for a penalty; None where the network has the boundary values built in.
        walls: Uniform on each face where the flux is given, by its number.
    """

    points: Float64[np.ndarray, "n d"]
    edge: Float64[np.ndarray, "m d"] | None
    walls: Mapping[int, Float64[np.ndarray, "m d"]]


def drawn_points(problem: Problem, count: int, on_boundary: int, seed: int, iteration: int, *, penalty: bool) -> Points:
    """The points of one iteration: a function of the seed and the iteration.

    Args:
        problem: Gives the domain.
        count: Points in the domain.
        on_boundary: Points where u is given, and of the others each a share of it.
        seed: Seed of the points.
        iteration: Number of the iteration.
        penalty: Whether points where u is given are wanted.
    """
    random, domain, kinds = point_generator(seed, iteration), problem.domain, problem.boundary.walls
    points = domain.sample(count, random)
    edge = domain.sample_boundary(on_boundary, random, kinds.absorbs) if penalty and any(kinds.absorbs) else None
    reflecting = [number for number, kind in enumerate(kinds.faces) if kind == REFLECTING]
    each = max(1, on_boundary // len(kinds.faces))
    return Points(points, edge, {number: domain.spread_on(number, each, random) for number in reflecting})


def as_input(points: Float64[np.ndarray, "n d"], device: torch.device) -> Float[Tensor, "n d"]:
    """The points as the network takes them."""
    return torch.as_tensor(points, dtype=torch.float32, device=device).requires_grad_()


class Coefficients:
    """a or A, its derivatives, b, c and f of a problem at points, for a solution with a graph.

    Args:
        problem: What is solved; its coefficient may name u and a field.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.operator = problem.operator
        self._partials = problem.operator.coefficient.gradient()
        self._by_field = problem.operator.coefficient.derivative(FIELD)
        self._by_solution = problem.operator.coefficient.derivative(SOLUTION)
        self._matrix = None if problem.operator.tensor is None else _Matrix(problem.operator, problem.operator.tensor)

    def coefficient(self, points: Float64[np.ndarray, "n d"], u: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """a(x, u)."""
        x = torch.as_tensor(points, device=u.device)
        return torch_at_points(self.operator.coefficient, x, self.operator.names_at(points, u)).to(u.dtype)

    def slopes(
        self, points: Float64[np.ndarray, "n d"], u: Float[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
        """The partial derivatives of a(x, u) along x, those of the field among them, and along u."""
        problem = self.problem
        x, names = torch.as_tensor(points, device=u.device), problem.operator.names_at(points, u)
        along_x = torch.stack([torch_at_points(partial, x, names) for partial in self._partials], dim=-1)
        if problem.operator.field is not None:
            slope = torch.as_tensor(problem.operator.field.gradient(points), device=u.device)
            along_x = along_x + torch_at_points(self._by_field, x, names)[:, None] * slope
        return along_x.to(u.dtype), torch_at_points(self._by_solution, x, names).to(u.dtype)

    def energy(
        self, points: Float64[np.ndarray, "n d"], u: Float[Tensor, " n"], gradient: Float[Tensor, "n d"]
    ) -> Float[Tensor, " n"]:
        """grad u . a grad u."""
        if self._matrix is None:
            return self.coefficient(points, u) * gradient.square().sum(1)
        return (self._matrix.flux(points, u, gradient) * gradient).sum(1)

    def flow_along(
        self, axis: int, points: Float64[np.ndarray, "n d"], u: Float[Tensor, " n"], gradient: Float[Tensor, "n d"]
    ) -> Float[Tensor, " n"]:
        """The component of a grad u along an axis."""
        if self._matrix is None:
            return self.coefficient(points, u) * gradient[:, axis]
        return self._matrix.flux(points, u, gradient)[:, axis]

    def divergence(
        self,
        points: Float64[np.ndarray, "n d"],
        x: Float[Tensor, "n d"],
        u: Float[Tensor, " n"],
        gradient: Float[Tensor, "n d"],
    ) -> Float[Tensor, " n"]:
        """div(a grad u) = a Lap u + (d_x a + d_u a grad u) . grad u; x are the points as the network takes them."""
        if self._matrix is not None:
            return self._matrix.divergence(points, x, u, gradient)
        along_x, along_u = self.slopes(points, u)
        slope = along_x + along_u[:, None] * gradient  # grad of a(x, u(x))
        return self.coefficient(points, u) * laplacian(gradient, x) + (slope * gradient).sum(1)

    def forcing(self, points: Float64[np.ndarray, "n d"], u: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """f(x), or f(x, u)."""
        x = torch.as_tensor(points, device=u.device)
        return torch_at_points(self.operator.forcing, x, {**self.problem.parameters, SOLUTION: u}).float()

    def reaction(self, points: Float64[np.ndarray, "n d"], u: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """c(x) u, or c(x, u) u."""
        if self.operator.reaction is None:
            return torch.zeros_like(u)
        x = torch.as_tensor(points, device=u.device)
        return torch_at_points(self.operator.reaction, x, {**self.problem.parameters, SOLUTION: u}).to(u.dtype) * u

    def advection(
        self, points: Float64[np.ndarray, "n d"], u: Float[Tensor, " n"], gradient: Float[Tensor, "n d"]
    ) -> Float[Tensor, " n"]:
        """b(x).grad u, or b(x, u).grad u."""
        if self.operator.velocity is None:
            return torch.zeros_like(u)
        x, names = torch.as_tensor(points, device=u.device), {**self.problem.parameters, SOLUTION: u}
        velocity = torch.stack([torch_at_points(part, x, names) for part in self.operator.velocity], dim=-1)
        return (velocity.to(u.dtype) * gradient).sum(1)

    def flux_mismatch(self, network: nn.Module, face: int, points: Float64[np.ndarray, "n d"]) -> Float[Tensor, " n"]:
        """n.a grad u + k u - q at points of a face."""
        x = as_input(points, next(network.parameters()).device)
        u, gradient = value_and_gradient(network, x)
        flux, factor = torch.as_tensor(self.problem.boundary.rates_at(face, points), dtype=u.dtype, device=u.device)
        sign = 1 if face % 2 else -1
        outward = self.flow_along(face // 2, points, u, gradient) * sign
        return outward + factor * u - flux

    def boundary_mismatch(self, network: nn.Module, edge: Float64[np.ndarray, "n d"]) -> Float[Tensor, " n"]:
        """u - g at points of the boundary."""
        x = torch.as_tensor(edge, device=next(network.parameters()).device)
        return network(x.float()) - boundary_values(self.problem, x).float()


class _Matrix:
    """A and its derivatives at points, of a problem whose coefficient is a matrix."""

    def __init__(self, operator: Operator, matrix: Matrix) -> None:
        self._operator, self._matrix = operator, matrix
        self._partials = [
            [formula.derivative(formula.axes[j]) for j, formula in enumerate(row)] for row in matrix.entries
        ]
        self._by_field, self._by_solution = matrix.derivative(FIELD), matrix.derivative(SOLUTION)

    def flux(
        self, points: Float64[np.ndarray, "n d"], u: Float[Tensor, " n"], gradient: Float[Tensor, "n d"]
    ) -> Float[Tensor, "n d"]:
        """A grad u."""
        x, names = torch.as_tensor(points, device=u.device), self._operator.names_at(points, u)
        return _times(_values(self._matrix, x, names), gradient)

    def divergence(
        self,
        points: Float64[np.ndarray, "n d"],
        x: Float[Tensor, "n d"],
        u: Float[Tensor, " n"],
        gradient: Float[Tensor, "n d"],
    ) -> Float[Tensor, " n"]:
        """div(A grad u) = A : D^2 u + (div_x A + d_u A grad u) . grad u."""
        exact, names = torch.as_tensor(points, device=u.device), self._operator.names_at(points, u)
        rows = [[torch_at_points(partial, exact, names) for partial in row] for row in self._partials]
        slope = torch.stack([torch.stack(row).sum(0) for row in rows], dim=-1)
        if self._operator.field is not None:
            of_field = torch.as_tensor(self._operator.field.gradient(points), device=u.device)
            slope = slope + _times(_values(self._by_field, exact, names), of_field)
        slope = slope.to(u.dtype) + _times(_values(self._by_solution, exact, names), gradient)
        result, matrix = (slope * gradient).sum(1), _values(self._matrix, exact, names).to(u.dtype)
        for axis, row in enumerate(_rows_of_hessian(gradient, x)):
            result = result + (matrix[:, axis] * row).sum(1)
        return result


def _values(matrix: Matrix, x: Float64[Tensor, "n d"], names: Mapping[str, Any]) -> Float64[Tensor, "n d d"]:
    lower = [[torch_at_points(formula, x, names) for formula in row[: i + 1]] for i, row in enumerate(matrix.entries)]
    axes = range(matrix.dimension)
    return torch.stack([torch.stack([lower[max(i, j)][min(i, j)] for j in axes], dim=-1) for i in axes], dim=-2)


def _times(matrices: Float64[Tensor, "n d d"], vectors: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """The products, in the precision of the vectors."""
    return torch.einsum("nij,nj->ni", matrices.to(vectors.dtype), vectors)
