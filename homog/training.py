"""The training loop."""

import copy
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from homog.config import AdamSettings, Galerkin, OptimizerSettings
from homog.galerkin import GalerkinSolver, linear_in_features
from homog.losses import Loss
from homog.optimizers import Adam


@runtime_checkable
class Optimizer(Protocol):
    """What leads a network to the minimum of a loss, an iteration at a time."""

    def step(self, iteration: int) -> int:
        """One iteration, counted from 0; the walker steps that it took."""
        ...

    def loss(self) -> torch.Tensor:
        """The loss, on the network's device."""
        ...

    def solution(self) -> nn.Module:
        """The answer so far."""
        ...

    def measured(self) -> Mapping[str, float | None]:
        """Numbers for the record of a run, such as an error bar."""
        ...


@dataclass(frozen=True)
class Progress:
    """Where training stands after an iteration; what the optimizer tells is that of now, and worked out when asked.

    Attributes:
        iteration: Iterations done.
        optimizer: Knows loss and solution.
        walker_steps: Micro steps walked so far.
        seconds: Spent in training so far, without what the caller does between iterations.
    """

    iteration: int
    optimizer: Optimizer
    walker_steps: int
    seconds: float

    @property
    def loss(self) -> torch.Tensor:
        """A tensor on the device, so that nobody waits for a number that nobody reads."""
        return self.optimizer.loss()

    @property
    def solution(self) -> nn.Module:
        """The network to evaluate: averaged weights once there are some."""
        return self.optimizer.solution()


def train(loss: Loss, network: nn.Module, settings: OptimizerSettings) -> Iterator[Progress]:
    """Train a network, one iteration for each item drawn; what cannot work is refused before the first.

    Args:
        loss: The method.
        network: From `loss.network`, on the device to train on; Adam trains it in place.
        settings: The optimizer.

    Raises:
        UserError: If the optimizer cannot minimise this loss over this network.
    """
    return _iterations(settings, _optimizer(settings, loss, network))


def _iterations(settings: OptimizerSettings, optimizer: Optimizer) -> Iterator[Progress]:
    walker_steps, seconds = 0, 0.0
    for iteration in range(settings.all_iterations):
        start = time.perf_counter()
        walker_steps += optimizer.step(iteration)
        if iteration + 1 == settings.all_iterations:
            optimizer.solution()  # the answer is part of training
        seconds += time.perf_counter() - start
        yield Progress(iteration + 1, optimizer, walker_steps, seconds)


@singledispatch
def _optimizer(settings: OptimizerSettings, loss: Loss, network: nn.Module) -> Optimizer:
    raise NotImplementedError(f"no optimizer for {type(settings).__name__}")


@_optimizer.register
def _(settings: AdamSettings, loss: Loss, network: nn.Module) -> Optimizer:
    return _Descent(settings, loss, network)


@_optimizer.register
def _(settings: Galerkin, loss: Loss, network: nn.Module) -> Optimizer:
    start = copy.deepcopy(network)
    linear = linear_in_features(start)
    linear.set_weights(torch.zeros_like(linear.weights()))  # a Picard iteration starts from the lift
    return _Solve(settings, loss, start)


class _Descent:
    """Adam down the gradient of the loss, and at the end a solve for the last layer."""

    def __init__(self, settings: AdamSettings, loss: Loss, network: nn.Module) -> None:
        self._settings = settings
        self._adam = Adam(settings, network)
        self._loss = loss
        self._network = network
        self._last = torch.tensor(torch.nan)
        self._solve: _Solve | None = None
        if settings.last_layer:
            self._solve_from(network)  # refuses at once what it would refuse at the end

    def step(self, iteration: int) -> int:
        if iteration == self._settings.iterations:
            self._solve = self._solve_from(self._adam.solution())
        if self._solve is not None:
            return self._solve.step(iteration)
        value = self._loss(self._network, iteration)
        self._adam.step(value.loss, iteration)
        self._last = value.loss.detach()
        return value.walker_steps

    def loss(self) -> torch.Tensor:
        return self._last if self._solve is None else self._solve.loss()

    def solution(self) -> nn.Module:
        return self._adam.solution() if self._solve is None else self._solve.solution()

    def measured(self) -> Mapping[str, float | None]:
        return {} if self._solve is None else self._solve.measured()

    def _solve_from(self, network: nn.Module) -> "_Solve":
        return _Solve(Galerkin(self._settings.last_layer), self._loss, network)


class _Solve:
    """Batches of walkers for one linear system, solved whenever somebody looks."""

    def __init__(self, settings: Galerkin, loss: Loss, network: nn.Module) -> None:
        self._solver = GalerkinSolver(settings, loss, network)

    def step(self, iteration: int) -> int:
        return self._solver.add(iteration)

    def loss(self) -> torch.Tensor:
        return torch.tensor(self._solver.loss())

    def solution(self) -> nn.Module:
        return self._solver.solution()

    def measured(self) -> Mapping[str, float | None]:
        return {
            "rel_l2_standard_error": self._solver.standard_error(),
            "control_coefficient": self._solver.control_coefficient(),
        }
