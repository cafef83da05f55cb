"""Natural gradient on the walkers' equations: every step a Galerkin solve over the network's tangent space."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from homog.config import NaturalGradient
from homog.errors import UserError
from homog.losses import EnergyLoss, Loss, WalkingLoss
from homog.losses.walking import Value
from homog.machine import ranks
from homog.networks import tangent_in
from homog.solvers.curvature import ByMatrix, ByProducts, Curvature
from homog.solvers.galerkin import add_up, linear_in_features
from homog.solvers.solve import Solve

_LEAST_POINTS = 64  # of a batch
_WITH_A_MATRIX = 2000  # weights, beyond which products with the matrix take less than it: between 1,441 and 2,701
_MOST_WITH_A_MATRIX = 3000  # of a method whose equations are the slopes of nothing: some seconds for a larger step
_MOST_WEIGHTS = 200_000
_SHARES = (*12 * (16,), *4 * (4,), 2, 2, 1, 1)  # of a batch of the last solve that the steps see, one in so many
_VARIATE = 0.8  # coefficient of the control variate: any has the same mean, the last solve finds the best
_DAMPING, _LESS, _MORE, _LEAST = 1e-2, 1 / 4, 8.0, 1e-7  # of Levenberg and Marquardt, in mean diagonals of the matrix
_BENT = 0.5  # of the predicted decrease, what a step's curvature may take away
_TRIES = 8
_ROUNDING = 1e-6  # of the energy, in single precision
_POINTS = 4096
_HOLDS = 0.5  # of the answer's noise: up to which a network stands for the linearised one
_CLOSE = 0.1  # likewise: with which its fit ends
_FITS = 40  # steps of its weights
_WORK_OF_FITS = 4e11  # multiplications of all of them: of a large network there are fewer


class NaturalGradientDescent:
    """Steps for all weights theta of a network, and one solve over its tangent space at the end.

    To first order the network is u_theta + J w, J = du/dtheta, and what the walkers say of u is linear in it: so
    the step w of Gauss and Newton solves the equations of a batch over the functions J. For the energy its matrix is
    that of the natural gradient (Mueller and Zeinhofer 2023, without walkers). It is damped by a multiple of the
    identity (Levenberg and Marquardt), more where the energy of the same walkers falls by less than the equations
    foretold, less where it does not. Of a method whose equations are no slopes, DFLM, the damping is steered by how far
    the network of the changed weights is from the linearised one. Batches grow, since the first steps go far and need
    to know little. Of the energy over many weights the step is found by conjugate gradients, without the matrix.

    The last solve is `GalerkinSolver`'s, over the principal directions of the tangent space, which make up growing
    spaces: with its control variate, error bar, choice of space and time steps. Its answer is the linearised network.
    At the end the network's weights are fitted to that, by steps of Levenberg and Marquardt that need no walkers;
    where the two are then the same to a share of the answer's noise, the network is the answer.

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
        most = _MOST_WEIGHTS if isinstance(loss, EnergyLoss) else _MOST_WITH_A_MATRIX
        if len(self._tangent.change) > most:
            raise UserError(
                f"a step for {len(self._tangent.change):,} weights is too much: write a network of at most"
                f" {most:,}, by a smaller network.width or network.depth; experiment=natural_gradient has one"
            )
        self._losses: dict[int, WalkingLoss] = {}
        self._damping = _DAMPING
        self._energy = torch.tensor(torch.nan)
        self._solve: Solve | None = None
        self._done = 0  # iterations
        self._fitted: _Fitted | None = None
        loss.lagged(network)  # refuses what it would refuse later

    def step(self, iteration: int) -> int:
        self._done, self._fitted = iteration + 1, None
        if iteration >= self._settings.steps:
            if self._solve is None:
                self._solve = self._begin()
            return self._solve.step(iteration)
        loss = self._of_batch(iteration)
        lagged = loss.lagged(self._network)
        forms = loss.forms(iteration, lagged) if len(self._tangent.change) > _WITH_A_MATRIX else None
        if forms is not None:
            self._move(ByProducts(self._network, self._tangent, forms, _VARIATE), forms.values)
            return forms.walker_steps
        system, value = loss.equations_and_value(self._linear, iteration, lagged)
        add_up([system], self._loss)
        self._move(ByMatrix(system, _VARIATE), None if value is None else [value])
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
        if self._done < self._settings.all_iterations:
            return answer
        if self._fitted is None:
            self._fitted = self._fit(answer, self._solve.metrics()["rel_l2_standard_error"] or 0.0)
        return self._fitted.network if self._fitted.holds else answer

    def metrics(self) -> Mapping[str, float | None]:
        if self._solve is None:
            return {"damping": self._damping}
        found, fitted = dict(self._solve.metrics()), self._fitted
        features = found["rel_l2_features"]
        if fitted is not None and fitted.holds and features is not None:
            found["rel_l2_features"] = math.hypot(features, fitted.apart)
        return {**found, "rel_l2_fitted": None if fitted is None else fitted.apart}

    def state(self) -> dict[str, Any]:
        return {
            "network": self._network.state_dict(),
            "damping": self._damping,
            "energy": self._energy,
            "done": self._done,
            "solve": None if self._solve is None else self._solve.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._network.load_state_dict(state["network"])
        self._damping, self._energy, self._solve = float(state["damping"]), state["energy"], None
        self._done, self._fitted = int(state["done"]), None
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

    def _move(self, curvature: Curvature, values: Sequence[Value] | None) -> None:
        """One step, damped as far as the network is bent; `values` add up to what is minimised, if anything is."""
        theta, before = copy.deepcopy(self._tangent.state_dict()), self._energy_by(values)
        start = self._values(self._network)
        for _ in range(_TRIES):
            step = curvature.step(self._damping)
            predicted = curvature.predicted(step)
            foretold = curvature.plain(step)
            self._linear.set_weights(torch.as_tensor(step, dtype=torch.float32))
            linearised = self._values(self._network)
            self._tangent.move()
            if values is None:
                assert isinstance(curvature, ByMatrix)
                self._energy = torch.tensor(curvature.start + predicted)
                bent = self._values(self._network) - linearised
                held = float(bent.norm()) <= _BENT * float((linearised - start).norm())
            else:
                self._energy = self._energy_by(values)
                bent = float(self._energy - before) - foretold
                held = bent <= _BENT * abs(predicted) + _ROUNDING * abs(float(before))
            if held:
                self._damping = max(_LEAST, self._damping * _LESS)
                return
            self._tangent.load_state_dict(theta)
            self._damping *= _MORE
        self._energy = before

    def _energy_by(self, values: Sequence[Value] | None) -> torch.Tensor:
        if values is None:
            return torch.tensor(torch.nan)
        with torch.no_grad():
            found = torch.stack([value(self._network) for value in values]).sum()
        ranks.add([found])
        return found

    def _begin(self) -> Solve:
        """The last solve, around the network as the steps left it."""
        network = copy.deepcopy(self._network)
        tangent_in(network).use_modes(self._values(linear_in_features(network).features))
        return Solve(self._settings, self._loss, network)

    def _fit(self, answer: nn.Module, noise: float) -> "_Fitted":
        """The network with weights for which it is close to the linearised one, from those of the steps on."""
        network = copy.deepcopy(self._network)
        linear, tangent, damping = linear_in_features(network), tangent_in(network), _DAMPING
        wanted = self._values(answer)
        lacking, size = wanted - self._values(network), float(wanted.norm()) or 1.0
        work = float(len(self._points)) * len(tangent.change) * min(len(self._points), len(tangent.change))
        for _ in range(int(min(_FITS, max(3, _WORK_OF_FITS / work)))):
            if float(lacking.norm()) < _CLOSE * noise * size:
                break
            jacobian, kept = self._values(linear.features), copy.deepcopy(tangent.state_dict())
            linear.set_weights(_damped_fit(jacobian, lacking, damping).float())
            tangent.move()
            closer = wanted - self._values(network)
            if closer.norm() < lacking.norm():
                lacking, damping = closer, damping * _LESS
            else:
                tangent.load_state_dict(kept)
                damping *= _MORE
        apart = float(lacking.norm()) / size
        return _Fitted(network, apart, apart < _HOLDS * noise)

    def _values(self, u: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """At points all over the domain."""
        with torch.no_grad():
            return u(self._points).double()

    @cached_property
    def _points(self) -> torch.Tensor:
        points = self._loss.problem.domain.spread(_POINTS, np.random.default_rng(0))
        return torch.as_tensor(points, dtype=torch.float32, device=self._tangent.change.device)


def _damped_fit(jacobian: torch.Tensor, lacking: torch.Tensor, damping: float) -> torch.Tensor:
    """(J^T J + damping mean diag 1)^-1 J^T lacking: by the smaller of J^T J and J J^T."""
    points, weights = jacobian.shape
    more = damping * float(jacobian.square().sum()) / weights
    if weights <= points:
        matrix = jacobian.T @ jacobian
        matrix.diagonal().add_(more)
        return torch.linalg.solve(matrix, jacobian.T @ lacking)
    matrix = jacobian @ jacobian.T
    matrix.diagonal().add_(more)
    return jacobian.T @ torch.linalg.solve(matrix, lacking)


@dataclass(frozen=True)
class _Fitted:
    """A network whose weights were fitted to the linearised one.

    Attributes:
        network: The network.
        apart: Its L2 distance from that, relative.
        holds: Whether it is close enough to be the answer.
    """

    network: nn.Module
    apart: float
    holds: bool
