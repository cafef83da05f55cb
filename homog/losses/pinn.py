"""The physics-informed loss (PINN): the equation's strong residual at points (equation 3)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Float64
from torch import Tensor, nn

from homog.config import PINN
from homog.equation import Problem
from homog.errors import UserError
from homog.losses.collocation import (
    Coefficients,
    Points,
    as_input,
    drawn_points,
    value_and_gradient,
)
from homog.losses.loss import Draw, Loss
from homog.losses.tangent_kernel import mean_trace
from homog.networks import BoundaryAnsatz


class PINNLoss(Loss):
    """lambda_r mean |r(x)|^2 over resampled points, plus lambda_b mean |u - g|^2 on the boundary (equation 3).

    r = -div(a grad u) - f = -(a Lap u + (d_x a + d_u a grad u) . grad u) - f, and of a matrix A likewise with A : D^2 u
    in place of a Lap u, D^2 u the second derivatives, and div A in place of the slopes; with a velocity and a reaction
    b.grad u + c u is added. Faces with n.a grad u + k u = q
    add lambda_b mean |n.a grad u + k u - q|^2, each.

    `weights=ntk` sets lambda_b = tr(K) / tr(K_uu) and lambda_r = tr(K) / tr(K_rr), K the tangent kernel of u on the
    boundary and of r inside (Wang, Yu and Perdikaris 2022, algorithm 1): both terms then fall at the same mean rate.
    The traces are of equally many points each, as in the authors' code.

    With a fine scale the residual contains grad a . grad u ~ 1/eps. A smooth network has no Lap u to balance it with:
    its residual is least near grad u = 0, and what the method finds is neither u_eps nor u_0 (section 4.1).

    Args:
        settings: Sample sizes, weights and boundary condition.
        problem: What is solved.
        seed: Seed of the points, which are a function of (seed, iteration).
    """

    def __init__(self, settings: PINN, problem: Problem, seed: int) -> None:
        self.settings = settings
        self.problem = problem
        self.seed = seed
        fixed = (settings.interior_weight, settings.boundary_weight)
        self.weights = fixed if settings.weights == "fixed" else None  # (lambda_r, lambda_b), kept between updates
        self._equation = Coefficients(problem)

    def network(self, network: nn.Module) -> nn.Module:
        """The network as this loss wants it: in the boundary ansatz, or as it is where a penalty holds it.

        Raises:
            UserError: If the network has no second derivatives.
        """
        if any(isinstance(module, nn.ReLU) for module in network.modules()):
            raise UserError(
                "method=pinn takes second derivatives, and those of network.activation=relu are zero:"
                " write network.activation=tanh, gelu or silu"
            )
        return BoundaryAnsatz(network, self.problem) if self.settings.boundary == "ansatz" else network

    def draw(self, network: nn.Module, iteration: int) -> Draw:
        settings = self.settings
        penalty = settings.boundary == "penalty"
        drawn = drawn_points(
            self.problem, settings.points, settings.boundary_points, self.seed, iteration, penalty=penalty
        )
        renewed = settings.weights == "ntk" and iteration % settings.update_every == 0
        if drawn.edge is not None and (self.weights is None or renewed):
            self.weights = self._balance(network, drawn.points, drawn.edge)
        return Draw(drawn, 0)

    def value(self, network: nn.Module, inputs: Points) -> Float[Tensor, ""]:
        squares = self.residual(network, inputs.points).square().mean()
        interior, boundary = self.weights or (self.settings.interior_weight, self.settings.boundary_weight)
        loss = interior * squares
        for face, there in inputs.walls.items():
            loss = loss + boundary * self._equation.flux_mismatch(network, face, there).square().mean()
        if inputs.edge is not None:
            loss = loss + boundary * self._equation.boundary_mismatch(network, inputs.edge).square().mean()
        return loss

    def state(self) -> dict[str, Any]:
        return {"weights": self.weights}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.weights = state["weights"]

    def residual(self, network: nn.Module, points: Float64[np.ndarray, "n d"]) -> Float[Tensor, " n"]:
        """r at points, with its graph.

        Derivatives by repeated backward passes. For 12,000 points and 4 x 200 tanh units on two cores an iteration
        takes 1.0 s so, 1.7 s by nested forward mode, 1.2 s by forward over reverse, and 0.8 s by carrying (u, grad u,
        Lap u) through the layers by hand, which would need a rule for each kind of layer.
        """
        x = as_input(points, next(network.parameters()).device)
        u, gradient = value_and_gradient(network, x)
        divergence = self._equation.divergence(points, x, u, gradient)
        gained = self._equation.forcing(points, u) - self._equation.advection(points, u, gradient)
        return self._equation.reaction(points, u) - divergence - gained

    def _balance(self, network: nn.Module, points: np.ndarray, edge: np.ndarray) -> tuple[float, float]:
        count = self.settings.kernel_points
        inside = mean_trace(lambda block: self.residual(network, block), points[:count], network)
        boundary = mean_trace(lambda block: self._equation.boundary_mismatch(network, block), edge[:count], network)
        return (inside + boundary) / inside, (inside + boundary) / boundary
