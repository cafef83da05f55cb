"""Adam, its learning-rate schedules, and the average of its last weights."""

import copy
import math
from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

import torch
from torch import nn

from homog.config import AdamCosine, AdamExponential, AdamSettings
from homog.errors import NotFinite
from homog.machine import ranks

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

    On a GPU nothing here makes the host wait but `require_finite`, and `descend` can be captured in a graph.

    Args:
        settings: Iterations, learning rate and schedule, betas, share of averaged iterations.
        network: Trained in place.
    """

    def __init__(self, settings: AdamSettings, network: nn.Module) -> None:
        self.settings = settings
        self.network = network
        self._weights = list(network.parameters())
        device = self._weights[0].device
        on_gpu = device.type == "cuda"
        rate = torch.tensor(settings.learning_rate, device=device) if on_gpu else settings.learning_rate
        first, second = settings.betas
        self._adam = torch.optim.Adam(self._weights, lr=rate, betas=(first, second), capturable=on_gpu)
        self._average_from = math.ceil(settings.iterations * (1 - settings.average))
        self._averaged = copy.deepcopy(network)
        self._in_average = 0
        self._steps = torch.zeros((), dtype=torch.int64, device=device)
        self._sound = torch.zeros((), dtype=torch.int64, device=device)

    def prepare(self, iteration: int) -> None:
        """Set the learning rate of an iteration, counted from 0."""
        for group in self._adam.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(learning_rate(self.settings, iteration))
            else:
                group["lr"] = learning_rate(self.settings, iteration)

    def descend(self, loss: Callable[[], torch.Tensor]) -> torch.Tensor:
        """One step down the gradient of a loss: operations on the network's device alone, the same in each iteration.

        Args:
            loss: Gives it with its graph; of several ranks, this one's part.

        Returns:
            The loss of all ranks.
        """
        for weight in self._weights:
            weight.grad = None
        value = loss()
        value.backward()
        total = value.detach()
        ranks.add([total, *(weight.grad for weight in self._weights if weight.grad is not None)])
        self._adam.step()
        # the norm is NaN or infinite where a weight is; it overflows only where one is far too large anyway
        size = torch.nn.utils.get_total_norm(weight.detach() for weight in self._weights)
        self._steps += 1
        # sound steps are counted up to the first that is not
        self._sound += torch.isfinite(total) & torch.isfinite(size) & (self._sound == self._steps - 1)
        return total

    def conclude(self, iteration: int) -> None:
        """Take the weights after an iteration into the average, where it has begun."""
        if iteration >= self._average_from:
            self._in_average += 1
            with torch.no_grad():
                for mean, weight in zip(self._averaged.parameters(), self._weights, strict=True):
                    mean.lerp_(weight, 1 / self._in_average)

    def require_finite(self, iteration: int, loss: torch.Tensor) -> None:
        """Refuse to go on with weights of which nothing right can come.

        Args:
            iteration: The last that was done, counted from 0.
            loss: Its value.

        Raises:
            NotFinite: If the loss or a weight was NaN or infinite since the training began.
        """
        sound, taken = int(self._sound), int(self._steps)
        if sound == taken:
            return
        value = float(loss)
        what = "a weight is NaN or infinite" if math.isfinite(value) else f"the loss is {value}"
        raise NotFinite(what, _ADVICE, iteration + 1 - (taken - sound - 1))

    def solution(self) -> nn.Module:
        """The network with averaged weights once averaging has begun, else as it stands."""
        return self._averaged if self._in_average else self.network

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, besides the loss and the number of the iteration."""
        parts = {"network": self.network, "adam": self._adam, "averaged": self._averaged}
        return {**{name: part.state_dict() for name, part in parts.items()}, "in_average": self._in_average}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.network.load_state_dict(state["network"])
        self._adam.load_state_dict(state["adam"])
        self._averaged.load_state_dict(state["averaged"])
        self._in_average = int(state["in_average"])
