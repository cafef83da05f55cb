"""Natural gradient on the walkers' equations: every step a Galerkin solve over the network's tangent space."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from homog.config import NaturalGradient
from homog.errors import NotFinite, UserError
from homog.losses import LinearSystem, Loss, WalkingLoss
from homog.losses.walking import Value
from homog.machine import ranks
from homog.networks import tangent_in
from homog.solvers.galerkin import linear_in_features
from homog.solvers.solve import Solve

_LEAST_POINTS = 64  # of a batch
_MOST_WEIGHTS = 3000  # some seconds for each of the larger steps
_SHARES = (*12 * (16,), *4 * (4,), 2, 2, 1, 1)  # of a batch of the last solve that the steps see, one in so many
_VARIATE = 0.8  # coefficient of the control variate: any has the same mean, the last solve finds the best
_DAMPING, _LESS, _MORE, _LEAST = 1e-2, 1 / 4, 8.0, 1e-7  # of Levenberg and Marquardt, in mean diagonals of the matrix
_BENT = 0.5  # of the predicted decrease, what a step's curvature may take away
_TRIES = 8
_ROUNDING = 1e-6  # of the energy, in single precision
_POINTS = 4096
_HOLDS = 0.3  # of the answer's noise: up to which the network of the changed weights stands for the linearised one


class NaturalGradientDescent:
    """Steps for all weights theta of a network, and one solve over its tangent space at the end.

    To first order the network is u_theta + J w, J = du/dtheta, and what the walkers say of u is linear in it: so
    the step w of Gauss and Newton solves the equations of a batch over the functions J. For the energy its matrix is
    that of the natural gradient (Mueller and Zeinhofer 2023, without walkers). It is damped by a multiple of the
    identity (Levenberg and Marquardt), more where the energy of the same walkers falls by less than the equations
    foretold, less where it does not. Of a method whose equations are no slopes, DFLM, the damping is steered by how far
    the network of the changed weights is from the linearised one. Batches grow, since the first steps go far and need
    to know little.

    The last solve is `GalerkinSolver`'s, over the principal directions of the tangent space, which make up growing
    spaces: with its control variate, error bar, choice of space and time steps. Its answer is the linearised network;
    where the network of the changed weights is as good as the same, by the answer's noise, it is that one.

    Args:
        settings: Number of steps, and those of the last solve.
        loss: The method.
        network: As the method wants it, of a perceptron as a `Tangent`. It is changed in place.

    Raises:
        UserError: If the method has no linear equations, or the network is no perceptron.
    """

    def __init__(self, settings: NaturalGradient, loss: Loss, network: nn.Module) -> None:
        if not isinstance(loss, WalkingLoss):
            raise UserError("optimizer=natural_gradient solves the equations of walkers: write method=energy or dflm")
        self._settings, self._loss, self._network = settings, loss, network
        self._tangent = tangent_in(network)
        self._linear = linear_in_features(network)
        if len(self._tangent.change) > _MOST_WEIGHTS:
            raise UserError(
                f"a step for {len(self._tangent.change):,} weights is too much: write a network of at most"
                f" {_MOST_WEIGHTS:,}, by a smaller network.width or network.depth; experiment=natural_gradient has one"
            )
        self._losses: dict[int, WalkingLoss] = {}
        self._damping = _DAMPING
        self._energy = torch.tensor(torch.nan)
        self._solve: Solve | None = None
        loss.lagged(network)  # refuses what it would refuse later

    def step(self, iteration: int) -> int:
        if iteration >= self._settings.steps:
            if self._solve is None:
                self._solve = self._begin()
            return self._solve.step(iteration)
        loss = self._of_batch(iteration)
        lagged = loss.lagged(self._network)
        system, value = loss.equations_and_value(self._linear, iteration, lagged)
        ranks.add([torch.from_numpy(part) for part in (system.matrix, system.control, system.load)])
        if not all(np.isfinite(part).all() for part in (system.matrix, system.control, system.load)):
            raise NotFinite("the walkers' equations are not finite", self._loss.remedy_for_overflow())
        self._move(system, value)
        return system.walker_steps

    def draw_ahead(self, iteration: int, until: int) -> None:
        """The walkers of the last solve, beside the steps."""
        self._loss.draw_ahead(max(iteration, self._settings.steps), until)

    def loss(self) -> torch.Tensor:
        return self._energy if self._solve is None else self._solve.loss()

    def solution(self) -> nn.Module:
        if self._solve is None:
            return self._network
        answer = self._solve.solution()
        noise = self._solve.metrics()["rel_l2_standard_error"]
        moved = copy.deepcopy(answer)
        tangent_in(moved).move()
        return moved if noise is not None and self._apart(moved, answer) < _HOLDS * noise else answer

    def metrics(self) -> Mapping[str, float | None]:
        if self._solve is None:
            return {"damping": self._damping}
        answer = self._solve.solution()
        moved = copy.deepcopy(answer)
        tangent_in(moved).move()
        return {**self._solve.metrics(), "rel_l2_linearised": self._apart(moved, answer)}

    def state(self) -> dict[str, Any]:
        return {
            "network": self._network.state_dict(),
            "damping": self._damping,
            "energy": self._energy,
            "solve": None if self._solve is None else self._solve.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._network.load_state_dict(state["network"])
        self._damping, self._energy, self._solve = float(state["damping"]), state["energy"], None
        if state["solve"] is not None:
            self._solve = self._begin()
            self._solve.load_state(state["solve"])

    def _of_batch(self, iteration: int) -> WalkingLoss:
        """The loss of the batch of a step."""
        assert isinstance(self._loss, WalkingLoss)
        share = _SHARES[min(iteration * len(_SHARES) // self._settings.steps, len(_SHARES) - 1)]
        points = max(_LEAST_POINTS, self._loss.settings.points // share)
        if points not in self._losses:
            self._losses[points] = self._loss.of_points(points)
        return self._losses[points]

    def _move(self, system: LinearSystem, value: Value | None) -> None:
        """One step, damped as far as the network is bent."""
        with_control = system.matrix + _VARIATE * system.control
        (matrix, right), (plain, plain_right) = (
            (part[:-1, :-1], system.load[:-1] - part[:-1, -1]) for part in (with_control, system.matrix)
        )
        size, identity = float(np.mean(np.diag(matrix))), np.eye(len(matrix))
        theta, before = copy.deepcopy(self._tangent.state_dict()), self._energy_by(value)
        start = self._values(self._network)
        for _ in range(_TRIES):
            step = np.linalg.solve(matrix + self._damping * size * identity, right)
            predicted = step @ (0.5 * matrix @ step - right)
            self._linear.set_weights(torch.as_tensor(step, dtype=torch.float32))
            linearised = self._values(self._network)
            self._tangent.move()
            if value is None:
                self._energy = torch.tensor(0.5 * with_control[-1, -1] - system.load[-1] + predicted)
                bent = self._values(self._network) - linearised
                held = float(bent.norm()) <= _BENT * float((linearised - start).norm())
            else:
                self._energy = self._energy_by(value)
                bent = float(self._energy - before) - step @ (0.5 * plain @ step - plain_right)
                held = bent <= _BENT * abs(predicted) + _ROUNDING * abs(float(before))
            if held:
                self._damping = max(_LEAST, self._damping * _LESS)
                return
            self._tangent.load_state_dict(theta)
            self._damping *= _MORE
        self._energy = before

    def _energy_by(self, value: Value | None) -> torch.Tensor:
        if value is None:
            return torch.tensor(torch.nan)
        with torch.no_grad():
            found = value(self._network)
        ranks.add([found])
        return found

    def _begin(self) -> Solve:
        """The last solve, around the network as the steps left it."""
        network = copy.deepcopy(self._network)
        points = self._loss.problem.domain.spread(_POINTS, np.random.default_rng(0))
        linear = linear_in_features(network)
        with torch.no_grad():
            at = torch.as_tensor(points, dtype=torch.float32, device=linear.weights().device)
            tangent_in(network).use_modes(linear.features(at))
        return Solve(self._settings, self._loss, network)

    def _apart(self, one: nn.Module, other: nn.Module) -> float:
        """L2 distance of two networks, relative."""
        first, second = self._values(one), self._values(other)
        size = float(second.norm())
        return float((first - second).norm()) / size if size else 0.0

    def _values(self, u: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """At points all over the domain."""
        points = self._loss.problem.domain.spread(_POINTS, np.random.default_rng(0))
        with torch.no_grad():
            at = torch.as_tensor(points, dtype=torch.float32, device=self._tangent.change.device)
            return u(at).double()
