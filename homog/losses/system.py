"""The linear system for the weights of a network's last layer, as the walkers of one batch give it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from homog.domains import Box
from homog.networks import LinearInFeatures

_MOST_SMOOTH = 512
ROWS = 8192  # walkers whose features are in memory at once


@dataclass(frozen=True)
class LinearSystem:
    """sum_j (matrix + beta control)_ij v_j = load_i for v = (w, 1): the last of the m + 1 functions is the lift.

    Attributes:
        matrix: Shape (m + 1, m + 1).
        control: A matrix of expectation zero, correlated with the other: any beta is right, and one has least noise.
        load: Shape (m + 1,).
        walker_steps: Micro steps taken.
        tested: Equations that say what the time steps add to the answer; None for a loss that has none.
    """

    matrix: Float64[np.ndarray, "n n"]
    control: Float64[np.ndarray, "n n"]
    load: Float64[np.ndarray, " n"]
    walker_steps: int
    tested: "Tested | None" = None


@dataclass(frozen=True)
class Tested:
    """Equations of some of the walkers for other time steps, tested with the smooth functions alone.

    Five systems: after two parts of the macro step and after all of it, on the same paths; with shorter and with longer
    micro steps, on paths that are the same again.

    Attributes:
        matrix: Shape (5, k, m + 1).
        control: Shape (5, k, m + 1).
        load: Shape (5, k).
        earlier: The two parts of the macro step.
        lacks: The error of the micro steps, over what the last two systems differ by.
    """

    matrix: Float64[np.ndarray, "5 k n"]
    control: Float64[np.ndarray, "5 k n"]
    load: Float64[np.ndarray, "5 k"]
    earlier: tuple[float, float]
    lacks: float


def smooth_functions(network: LinearInFeatures) -> np.ndarray:
    """Numbers of the functions that tell what the time steps add: those of the first five spaces, or of fewer.

    None of a network that has no growing spaces and is wide: the equations would take more memory than the answer's.
    """
    few = [space for space in network.nested()[:5] if len(space) <= _MOST_SMOOTH]
    return few[-1] if few else np.arange(0)


def functions(network: LinearInFeatures, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch n"]:
    """The features at x, and the lift behind them."""
    return torch.cat([network.features(x), network.lift(x)[..., None]], dim=-1)


def quotients(
    values: Callable[[Tensor], Tensor], x: Float[Tensor, "n d"], step: float, domain: Box
) -> Float[Tensor, "d n functions"]:
    """Difference quotients of functions over `step` to each side, or as far as the domain goes.

    As wide as the walkers go, they foretell what the functions gain better than the slopes at the place do.
    """
    lower, upper = (torch.as_tensor(corner, dtype=x.dtype, device=x.device) for corner in (domain.lower, domain.upper))
    found = []
    for axis in range(x.shape[1]):
        shift = step * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)[axis]
        after, before = torch.minimum(x + shift, upper), torch.maximum(x - shift, lower)
        found.append((values(after) - values(before)) / (after - before)[:, axis, None])
    return torch.stack(found)
