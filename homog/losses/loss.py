"""What every loss offers to the training loop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from homog.equation import Problem


@dataclass(frozen=True)
class LossValue:
    """A loss with its graph, of several ranks this one's part of it, and the walker steps that all of them took."""

    loss: torch.Tensor
    walker_steps: int


@runtime_checkable
class Loss(Protocol):
    """A method: what is minimised, given a network and the number of the iteration.

    One that keeps nothing between iterations, counts nothing and has nothing to do ahead inherits the last six.

    Attributes:
        problem: What is solved.
    """

    problem: Problem

    def network(self, network: nn.Module) -> nn.Module:
        """The network as this loss wants it, for example with its boundary values built in."""
        ...

    def __call__(self, network: nn.Module, iteration: int) -> LossValue:
        """The loss of one iteration; a function of the network, the seed, the iteration and the `state`."""
        ...

    def draw_ahead(self, iteration: int, until: int) -> None:
        """Prepare for iterations while others train: from this one on up to the one before `until`."""

    def measured(self) -> Mapping[str, float]:
        """Numbers for the record of a run."""
        return {}

    def warnings(self) -> Sequence[str]:
        """What puts the answer in doubt, a line each."""
        return []

    def remedy(self) -> str:
        """What to write instead where a training by Adam runs away."""
        return "take a smaller optimizer.learning_rate, or method=energy"

    def state(self) -> dict[str, Any]:
        """What is kept from one iteration to the next: tensors, plain values, dictionaries and lists."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
