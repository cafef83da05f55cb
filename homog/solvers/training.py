"""The training loop."""

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from homog.config import AdamSettings, Galerkin, NaturalGradient, OptimizerSettings
from homog.errors import NotFinite
from homog.losses import Loss
from homog.solvers.captured import CapturedStep
from homog.solvers.galerkin import linear_in_features
from homog.solvers.natural_gradient import NaturalGradientDescent
from homog.solvers.optimizers import Adam
from homog.solvers.runaway import Watch
from homog.solvers.solve import Solve

_BETWEEN_LOOKS = {"cpu": 10}  # iterations between two looks at the size of u
_ON_A_GPU = 64  # there the host waits for what it looks at: also for whether all is finite


@runtime_checkable
class Optimizer(Protocol):
    """What leads a network to the minimum of a loss, an iteration at a time."""

    def step(self, iteration: int) -> int:
        """One iteration, counted from 0; the walker steps that it took."""
        ...

    def draw_ahead(self, iteration: int, until: int) -> None:
        """Send the walkers of iterations to come: see `Loss.draw_ahead`."""
        ...

    def loss(self) -> torch.Tensor:
        """The loss, on the network's device."""
        ...

    def solution(self) -> nn.Module:
        """The answer so far."""
        ...

    def metrics(self) -> Mapping[str, float | None]:
        """Numbers for the record of a run, such as an error bar."""
        ...

    def state(self) -> dict[str, Any]:
        """All that the next iteration depends on besides its number: tensors, plain values, dictionaries, lists."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
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


def train(loss: Loss, network: nn.Module, settings: OptimizerSettings) -> "Training":
    """Train a network, one iteration for each item drawn; what cannot work is refused before the first.

    Args:
        loss: The method.
        network: From `loss.network`, on the device to train on; Adam trains it in place.
        settings: The optimizer.

    Raises:
        UserError: If the optimizer cannot minimise this loss over this network.
    """
    return Training(loss, _optimizer(settings, loss, network), settings.all_iterations)


class Training:
    """The iterations of a training, as an iterator over them, from the first or from where another process stopped.

    Args:
        loss: The method.
        optimizer: What makes an iteration.
        iterations: In all.
    """

    def __init__(self, loss: Loss, optimizer: Optimizer, iterations: int) -> None:
        self._loss = loss
        self._optimizer = optimizer
        self._iterations = iterations
        self._done = Progress(0, optimizer, 0, 0.0)
        self._begun_at = 0

    def __iter__(self) -> "Training":
        return self

    def __next__(self) -> Progress:
        """One iteration.

        Raises:
            NotFinite: If the loss, a weight, a walker or an equation is NaN or infinite; its number is in the message.
        """
        done = self._done
        if done.iteration == self._iterations:
            raise StopIteration
        start = time.perf_counter()
        if done.iteration == self._begun_at:
            self.draw_ahead()
        try:
            walker_steps = self._optimizer.step(done.iteration)
            if done.iteration + 1 == self._iterations:
                self._optimizer.solution()  # the answer is part of training
        except NotFinite as error:
            raise error.at(done.iteration + 1) from None
        seconds = done.seconds + time.perf_counter() - start
        self._done = Progress(done.iteration + 1, self._optimizer, done.walker_steps + walker_steps, seconds)
        return self._done

    def extend(self, iterations: int) -> None:
        """Go on for so many iterations more than were planned."""
        self._iterations += iterations

    @property
    def iterations(self) -> int:
        """In all."""
        return self._iterations

    def draw_ahead(self) -> None:
        """Send the walkers of the iterations to come already, those that the loss can send ahead; a second call does
        nothing.
        """
        self._optimizer.draw_ahead(self._done.iteration, self._iterations)

    @property
    def done(self) -> Progress:
        """Where it stands; before the first iteration, at 0."""
        return self._done

    def state(self) -> dict[str, Any]:
        """All that the iterations to come depend on: tensors, plain values, dictionaries and lists of them.

        On one machine, with the same number of threads and the same libraries, they come out bit for bit.
        """
        return {
            "iteration": self._done.iteration,
            "iterations": self._iterations,
            "walker_steps": self._done.walker_steps,
            "seconds": self._done.seconds,
            "optimizer": self._optimizer.state(),
            "loss": self._loss.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave of a training with the same settings.

        Raises:
            ValueError: If it is the state of another training.
        """
        try:
            numbers = int(state["iteration"]), self._optimizer, int(state["walker_steps"]), float(state["seconds"])
            self._optimizer.load_state(state["optimizer"])
            self._loss.load_state(state["loss"])
            self._done = Progress(*numbers)
            self._begun_at = self._done.iteration
            self._iterations = int(state["iterations"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError) as error:
            raise ValueError("this is the state of another training") from error


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
    return Solve(settings, loss, start)


@_optimizer.register
def _(settings: NaturalGradient, loss: Loss, network: nn.Module) -> Optimizer:
    return NaturalGradientDescent(settings, loss, network)


class _Descent:
    """Adam down the gradient of the loss, and at the end a solve for the last layer."""

    def __init__(self, settings: AdamSettings, loss: Loss, network: nn.Module) -> None:
        self._settings = settings
        self._adam = Adam(settings, network)
        self._loss = loss
        self._network = network
        self._last = torch.tensor(torch.nan)
        self._done = -1
        self._captured = CapturedStep(self._step_on)
        self._watch = Watch(loss, network)
        self._solve: Solve | None = None
        if settings.last_layer:
            self._solve_from(network)  # refuses at once what it would refuse at the end

    def step(self, iteration: int) -> int:
        if iteration == self._settings.iterations:
            self._adam.require_finite(self._done, self._last)
            self._solve = self._solve_from(self._adam.solution())
        if self._solve is not None:
            return self._solve.step(iteration)
        self._adam.prepare(iteration)
        self._last, walker_steps = self._descend(iteration)
        self._adam.conclude(iteration)
        between = _BETWEEN_LOOKS.get(self._last.device.type, _ON_A_GPU)
        if self._last.device.type == "cpu" or iteration % between == 0:
            self._adam.require_finite(iteration, self._last)
        if iteration % between == 0:
            self._watch.look(iteration)
        if iteration + 1 == self._settings.all_iterations:
            self._adam.require_finite(iteration, self._last)
            self._watch.look_at_the_answer(self._adam.solution(), iteration)
        self._done = iteration
        return walker_steps

    def _descend(self, iteration: int) -> tuple[torch.Tensor, int]:
        """One step down; the loss, and the walker steps that it took."""
        drawn = self._loss.draw(self._network, iteration)
        step = self._captured if self._loss.capturable else self._step_on
        return step(drawn.inputs), drawn.walker_steps

    def _step_on(self, inputs: Any) -> torch.Tensor:
        return self._adam.descend(lambda: self._loss.value(self._network, inputs))

    def draw_ahead(self, iteration: int, until: int) -> None:
        self._loss.draw_ahead(iteration, until)

    def loss(self) -> torch.Tensor:
        return self._last if self._solve is None else self._solve.loss()

    def solution(self) -> nn.Module:
        if self._solve is not None:
            return self._solve.solution()
        self._adam.require_finite(self._done, self._last)
        return self._adam.solution()

    def metrics(self) -> Mapping[str, float | None]:
        return {} if self._solve is None else self._solve.metrics()

    def state(self) -> dict[str, Any]:
        self._adam.require_finite(self._done, self._last)
        solve = None if self._solve is None else self._solve.state()
        return {"adam": self._adam.state(), "loss": self._last, "solve": solve}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._adam.load_state(state["adam"])
        self._last = state["loss"].to(self._last.device)
        self._captured = CapturedStep(self._step_on)  # a graph would go on with the tensors of before
        self._solve = None
        if state["solve"] is not None:
            self._solve = self._solve_from(self._adam.solution())
            self._solve.load_state(state["solve"])

    def _solve_from(self, network: nn.Module) -> Solve:
        return Solve(Galerkin(iterations=self._settings.last_layer), self._loss, network)
