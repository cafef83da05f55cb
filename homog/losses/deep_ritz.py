"""The deep Ritz method: the energy of which the solution is the minimum (equation 5)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from homog.config import DeepRitz
from homog.equation import Problem
from homog.errors import UserError
from homog.losses.collocation import Coefficients, Points, as_input, drawn_points, value_and_gradient
from homog.losses.loss import Draw, Loss
from homog.networks import BoundaryAnsatz


class DeepRitzLoss(Loss):
    """|Omega| mean( a |grad u|^2 / 2 + c u^2 / 2 - f u ) over resampled points, plus beta mean |u - g|^2 on the edge.

    Of a matrix A grad u . A grad u is in the place of a |grad u|^2.

    Faces with n.a grad u + k u = q add their integrals of k u^2 / 2 - q u, of which they are the natural conditions.

    E and Yu 2018; equation (5) with a coefficient. The mean estimates the integral without bias, so the minimum is that
    of the energy, up to the penalty's own error O(1 / beta).

    A smooth network sees the mean of a over each period and no more: with a fine scale the method tends to u_mean, the
    solution for the mean coefficient, and not to u_0 (at eps = 0.01 the defaults end 11.8 % from u_0, u_mean 11.7 %).

    Args:
        settings: Sample sizes, beta and boundary condition.
        problem: What is solved.
        seed: Seed of the points, which are a function of (seed, iteration).

    Raises:
        UserError: If the coefficient depends on u: the minimum of the same integral then solves another equation, with
            d_u a |grad u|^2 / 2 besides. If there is a velocity, or u in f or c.
    """

    def __init__(self, settings: DeepRitz, problem: Problem, seed: int) -> None:
        if problem.operator.nonlinear:
            raise UserError(
                "method=deep_ritz minimises an energy, and a coefficient that depends on u has none: write method=dflm"
                " or method=pinn"
            )
        if problem.operator.data_of_u:
            raise UserError("method=deep_ritz takes f and c without u in them: write method=energy or method=pinn")
        if problem.operator.velocity is not None:
            raise UserError(
                "method=deep_ritz minimises an energy, and an equation with problem.velocity has none: write"
                " method=energy, method=dflm or method=pinn"
            )
        self.settings = settings
        self.problem = problem
        self.seed = seed
        self._volume = float(problem.domain.sides.prod())
        self._equation = Coefficients(problem)

    def network(self, network: nn.Module) -> nn.Module:
        """The network as this loss wants it: in the boundary ansatz, or as it is where a penalty holds it."""
        return BoundaryAnsatz(network, self.problem) if self.settings.boundary == "ansatz" else network

    def draw(self, network: nn.Module, iteration: int) -> Draw:
        settings = self.settings
        penalty = settings.boundary == "penalty"
        drawn = drawn_points(
            self.problem, settings.points, settings.boundary_points, self.seed, iteration, penalty=penalty
        )
        return Draw(drawn, 0)

    def value(self, network: nn.Module, inputs: Points) -> Float[Tensor, ""]:
        equation, points = self._equation, inputs.points
        x = as_input(points, next(network.parameters()).device)
        u, gradient = value_and_gradient(network, x)
        stored = 0.5 * (equation.energy(points, u, gradient) + equation.reaction(points, u) * u)
        loss = self._volume * (stored - equation.forcing(points, u) * u).mean()
        for face, there in inputs.walls.items():
            rates = self.problem.boundary.rates_at(face, there)
            flux, factor = torch.as_tensor(rates, dtype=torch.float32, device=x.device)
            u = network(torch.as_tensor(there, dtype=torch.float32, device=x.device))
            loss = loss + self.problem.domain.face_area(face) * (0.5 * factor * u.square() - flux * u).mean()
        if inputs.edge is not None:
            mismatch = equation.boundary_mismatch(network, inputs.edge)
            loss = loss + self.settings.boundary_weight * mismatch.square().mean()
        return loss
