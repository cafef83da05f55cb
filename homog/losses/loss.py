"""What every loss offers to the training loop."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import nn


@dataclass(frozen=True)
class LossValue:
    """A loss with its graph, and the walker steps that it took."""

    loss: torch.Tensor
    walker_steps: int


@runtime_checkable
class Loss(Protocol):
    """A method: what is minimised, given a network and the number of the iteration."""

    def network(self, network: nn.Module) -> nn.Module:
        """The network as this loss wants it, for example with its boundary values built in."""
        ...

    def __call__(self, network: nn.Module, iteration: int) -> LossValue:
        """The loss of one iteration; a function of the network, the seed and the iteration alone."""
        ...
