"""Adam, its learning-rate schedules, and the average of its last weights."""

import math
from functools import singledispatch

import torch
from torch import nn

from homog.config import AdamCosine, AdamExponential, AdamSettings


@singledispatch
def learning_rate(settings: AdamSettings, iteration: int) -> float:
    """The learning rate of an iteration, counted from 0."""
    raise NotImplementedError(f"no schedule for {type(settings).__name__}")


@learning_rate.register
def _(settings: AdamExponential, iteration: int) -> float:
    return settings.learning_rate * settings.gamma ** (iteration / 1000)


@learning_rate.register
def _(settings: AdamCosine, iteration: int) -> float:
    half_cosine = 0.5 * (1 + math.cos(math.pi * iteration / settings.iterations))
    return settings.learning_rate * (settings.final + (1 - settings.final) * half_cosine)


class Adam:
    """Adam (Kingma and Ba 2014) on a schedule, with the mean of the weights over the last iterations.

    The mean over the last `average` share of the iterations (Polyak and Ruppert) takes the sampling noise out of the
    weights that the walkers' targets put in.

    Args:
        settings: Iterations, learning rate and schedule, betas, share of averaged iterations.
        network: Trained in place.
    """

    def __init__(self, settings: AdamSettings, network: nn.Module) -> None:
        self.settings = settings
        self.network = network
        first, second = settings.betas
        self._adam = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=(first, second))
        self._average_from = math.ceil(settings.iterations * (1 - settings.average))
        self._averaged = torch.optim.swa_utils.AveragedModel(network)

    def step(self, loss: torch.Tensor, iteration: int) -> None:
        """One step down the gradient of a loss."""
        for group in self._adam.param_groups:
            group["lr"] = learning_rate(self.settings, iteration)
        self._adam.zero_grad(set_to_none=True)
        loss.backward()
        self._adam.step()
        if iteration >= self._average_from:
            self._averaged.update_parameters(self.network)

    def solution(self) -> nn.Module:
        """The network with averaged weights once averaging has begun, else as it stands."""
        return self._averaged.module if int(self._averaged.n_averaged) else self.network
