"""Adam, its learning-rate schedules, and the average of its last weights."""

import math
from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import torch
from torch import nn

from homog import ranks
from homog.config import AdamCosine, AdamExponential, AdamSettings
from homog.errors import NotFinite

_ADVICE = "lower optimizer.learning_rate or timestep's dt, or look where the formulas have no finite value or slope"


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

    def step(self, loss: torch.Tensor, iteration: int) -> torch.Tensor:
        """One step down the gradient of a loss.

        Args:
            loss: With its graph; of several ranks, this one's part.
            iteration: Its number, counted from 0.

        Returns:
            The loss of all ranks.

        Raises:
            NotFinite: If the loss is NaN or infinite, and then the weights stay; or if the weights are afterwards.
        """
        for group in self._adam.param_groups:
            group["lr"] = learning_rate(self.settings, iteration)
        self._adam.zero_grad(set_to_none=True)
        loss.backward()
        total = loss.detach()
        ranks.add([total, *(one.grad for one in self.network.parameters() if one.grad is not None)])
        if not math.isfinite(value := float(total)):
            raise NotFinite(f"the loss is {value}", _ADVICE)
        self._adam.step()
        if not _all_finite(self.network):
            raise NotFinite("a weight is NaN or infinite", _ADVICE)
        if iteration >= self._average_from:
            self._averaged.update_parameters(self.network)
        return total

    def solution(self) -> nn.Module:
        """The network with averaged weights once averaging has begun, else as it stands."""
        return self._averaged.module if int(self._averaged.n_averaged) else self.network

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, besides the loss and the number of the iteration."""
        parts = {"network": self.network, "adam": self._adam, "averaged": self._averaged}
        return {name: part.state_dict() for name, part in parts.items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.network.load_state_dict(state["network"])
        self._adam.load_state_dict(state["adam"])
        self._averaged.load_state_dict(state["averaged"])


def _all_finite(network: nn.Module) -> bool:
    # the norm is NaN or infinite where a weight is; it overflows only where one is far too large anyway
    return math.isfinite(float(torch.nn.utils.get_total_norm(parameter.detach() for parameter in network.parameters())))
