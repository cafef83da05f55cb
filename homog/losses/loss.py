"""What a method offers to a training: the network it wants, the data of an iteration, and the loss of these."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from homog.equation import Problem
from homog.errors import UserError
from homog.fields.splines import Spline
from homog.losses.system import LinearSystem
from homog.networks import LinearInFeatures


@dataclass(frozen=True)
class LossValue:
    """A loss with its graph, of several ranks this one's part of it, and the walker steps that all of them took."""

    loss: torch.Tensor
    walker_steps: int


@dataclass(frozen=True)
class Draw:
    """The data of one iteration.

    Attributes:
        inputs: A dataclass of what `Loss.value` reads.
        walker_steps: Micro steps that all ranks took for it.
    """

    inputs: Any
    walker_steps: int


class Loss(ABC):
    """A method: what is minimised, in two halves, the data of an iteration and the loss of these data.

    The methods after `value` have defaults, for a loss without state, counters, prefetching or linear equations.

    Attributes:
        problem: The problem.
    """

    problem: Problem

    @abstractmethod
    def network(self, network: nn.Module) -> nn.Module:
        """The network as this loss wants it, for example with its boundary values built in."""

    @abstractmethod
    def draw(self, network: nn.Module, iteration: int) -> Draw:
        """The data of an iteration: a function of seed, iteration and `state`, and of the network where u is read.

        Raises:
            UserError: If the coefficient is not positive where u leads it.
        """

    @abstractmethod
    def value(self, network: nn.Module, inputs: Any) -> Float[Tensor, ""]:
        """The loss of the inputs of a `Draw`, with its graph."""

    def __call__(self, network: nn.Module, iteration: int) -> LossValue:
        """The loss of one iteration, on the network's device."""
        drawn = self.draw(network, iteration)
        return LossValue(self.value(network, drawn.inputs), drawn.walker_steps)

    @property
    def capturable(self) -> bool:
        """Whether `value` is the same operations on tensors of the same shapes each time, all on a GPU."""
        return False

    def draw_ahead(self, iteration: int, until: int) -> None:  # noqa: B027 - a default
        """Prepare for iterations while others train: from this one on up to the one before `until`."""

    def lagged(self, network: nn.Module) -> Spline | None:
        """The lagged u that `equations` reads a nonlinear coefficient from: the network's; None for a linear problem.

        Raises:
            UserError: If the loss has no linear equations.
        """
        raise self._without_equations()

    def equations(self, network: LinearInFeatures, iteration: int, lagged: Spline | None) -> LinearSystem:
        """The linear equations of one batch for the weights of the last layer, drawn anew for each iteration.

        Args:
            network: As this loss wants it, and linear in its last layer.
            iteration: Number of the batch.
            lagged: From `lagged`.

        Raises:
            UserError: If the loss has no linear equations.
        """
        raise self._without_equations()

    def metrics(self) -> Mapping[str, float]:
        """Numbers for the record of a run, by their names."""
        return {}

    def warnings(self) -> Sequence[str]:
        """What puts the answer in doubt, a line each."""
        return []

    def remedy(self) -> str:
        """What to write instead where a training by Adam runs away."""
        return "take a smaller optimizer.learning_rate, or method=energy"

    def remedy_for_overflow(self) -> str:
        """What to do about equations that are not finite, though the walkers themselves are."""
        return (
            "they are summed in single precision, up to 3e38: write the coefficient, f and g in units in which they are"
            " closer to 1, and look for a place in the domain where a formula has no value"
        )

    def state(self) -> dict[str, Any]:
        """What is kept from one iteration to the next: tensors, plain values, dictionaries and lists."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - a default
        """Go on from what `state` gave."""

    def _without_equations(self) -> UserError:
        return UserError(
            "optimizer=galerkin, and optimizer.last_layer, solve the linear equations that walkers give:"
            " write method=energy or method=dflm"
        )
