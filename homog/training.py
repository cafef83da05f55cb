"""The training loop."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from homog.config import OptimizerSettings
from homog.losses import Loss
from homog.optimizers import Adam


@dataclass(frozen=True)
class Progress:
    """Where training stands after an iteration.

    Attributes:
        iteration: Iterations done.
        loss: Of this iteration; a tensor on the device, so that nobody waits for a number that nobody reads.
        solution: The network to evaluate: averaged weights once there are some.
        walker_steps: Micro steps walked so far.
        seconds: Spent in training so far, without what the caller does between iterations.
    """

    iteration: int
    loss: torch.Tensor
    solution: nn.Module
    walker_steps: int
    seconds: float


def train(loss: Loss, network: nn.Module, settings: OptimizerSettings) -> Iterator[Progress]:
    """Train a network in place, one iteration for each item drawn.

    Args:
        loss: The method.
        network: From `loss.network`, on the device to train on.
        settings: The optimizer.
    """
    optimizer = Adam(settings, network)
    walker_steps, seconds = 0, 0.0
    for iteration in range(settings.iterations):
        start = time.perf_counter()
        value = loss(network, iteration)
        optimizer.step(value.loss, iteration)
        walker_steps += value.walker_steps
        seconds += time.perf_counter() - start
        yield Progress(iteration + 1, value.loss.detach(), optimizer.solution(), walker_steps, seconds)
