"""Networks that are linear in the weights of their last layer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int64
from torch import Tensor

type Evaluate = Callable[[Float32[np.ndarray, "n d"], Float32[np.ndarray, "n functions"]], None]
"""Puts the features at points, and the lift behind them, into an array."""


@dataclass(frozen=True)
class Factors:
    """Of features that are products of functions along the axes, the last axis' number running fastest.

    Attributes:
        along: The functions along each axis at some points.
        lengths: For each axis, how many functions along it each product over the axes before is taken times; a row has
            as many numbers as there are such products, and zeros behind.
    """

    along: Float[Tensor, "*batch d count"]
    lengths: Int64[np.ndarray, "d most"]


@runtime_checkable
class LinearInFeatures(Protocol):
    """A network that is linear in the weights of its last layer: u = lift + features . w."""

    def lift(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        """What u is without its last layer."""
        ...

    def features(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch m"]:
        """What the last layer combines."""
        ...

    def factors(self, x: Float[Tensor, "*batch d"]) -> Factors | None:
        """What the features are products of, where they are products of functions along the axes."""
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
