"""Networks that are linear in the weights of their last layer."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32
from torch import Tensor

type Evaluate = Callable[[Float32[np.ndarray, "n d"], Float32[np.ndarray, "n functions"]], None]
"""Puts the features at points, and the lift behind them, into an array."""


@runtime_checkable
class LinearInFeatures(Protocol):
    """A network that is linear in the weights of its last layer: u = lift + features . w."""

    def lift(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        """What u is without its last layer."""
        ...

    def features(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch m"]:
        """What the last layer combines."""
        ...

    def factors(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d count"] | None:
        """Where the features are products of functions along the axes, the last axis' number running fastest: these."""
        ...

    def on_host(self) -> "Evaluate | None":
        """Evaluates the features and the lift by NumPy alone, in any number of threads; None where torch does."""
        ...

    def nested(self) -> list[np.ndarray]:
        """Numbers of the features of growing spaces; those of the last are all."""
        ...

    def restricted(self, space: int) -> "LinearInFeatures":
        """A network that has the features of one of the `nested` spaces alone, in their order; its weights differ."""
        ...

    def weights(self) -> Float[Tensor, " m"]:
        """w as it is now."""
        ...

    def set_weights(self, weights: Float[Tensor, " m"]) -> None:
        """Put w into the last layer, in place."""
        ...
