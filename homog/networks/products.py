"""Sums over products of functions of one coordinate each."""

import copy
import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from homog.domains import Box
from homog.networks.linear import LinearInFeatures


class TensorProductSum(nn.Module):
    """sum_k w_k prod_i p_k_i(t_i), t in [-1, 1]^d the place in the box, 0 <= k_i < `count`. Weights start at zero.

    Args:
        domain: The box.
        functions: The functions p_k: of t and their number, one more axis for k.
        count: How many an axis.
    """

    center: torch.Tensor
    factor: torch.Tensor

    def __init__(self, domain: Box, functions: Callable[[Tensor, int], Tensor], count: int) -> None:
        super().__init__()
        self._functions = functions
        self.count = count
        self.register_buffer("center", torch.tensor(domain.lower + domain.sides / 2, dtype=torch.float32))
        self.register_buffer("factor", torch.tensor(2 / domain.sides, dtype=torch.float32))
        self.last = nn.Parameter(torch.zeros(self.count**domain.dimension))

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        """u at x of shape (..., d); shape (...)."""
        return self.features(x) @ self.last

    def lift(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        """Zero: see `LinearInFeatures`."""
        return torch.zeros_like(x[..., 0])

    def features(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch m"]:
        """The products, the last axis' number running fastest."""
        values = self.factors(x)
        products = values[..., 0, :]
        for axis in range(1, x.shape[-1]):
            products = (products[..., None] * values[..., axis, None, :]).flatten(-2)
        return products

    def factors(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d count"]:
        """p_0, p_1, ... at each coordinate."""
        return self._functions((x - self.center) * self.factor, self.count)

    def on_host(self) -> None:
        """None: see `LinearInFeatures`."""

    def nested(self) -> list[np.ndarray]:
        """Products of the first functions of each axis: see `LinearInFeatures`."""
        dimension = len(self.center)
        degree = np.indices((self.count,) * dimension).reshape(dimension, -1).max(0)
        return [np.flatnonzero(degree < count) for count in range(1, self.count + 1)]

    def restricted(self, space: int) -> "LinearInFeatures":
        """With space + 1 functions an axis: see `LinearInFeatures`."""
        smaller = copy.deepcopy(self)
        smaller.count = space + 1
        smaller.last = nn.Parameter(self.last[: smaller.count ** len(self.center)].detach().clone())
        return smaller

    def weights(self) -> Float[Tensor, " m"]:
        """See `LinearInFeatures`."""
        return self.last.detach().clone()

    def set_weights(self, weights: Float[Tensor, " m"]) -> None:
        """See `LinearInFeatures`."""
        with torch.no_grad():
            self.last.copy_(weights)


def cosines(t: Float[Tensor, "*batch"], count: int) -> Float[Tensor, "*batch count"]:
    """cos(pi k s), s = (t + 1) / 2. Without a sine: times the distance they have every slope at the boundary."""
    return torch.cos(0.5 * torch.pi * (t + 1)[..., None] * torch.arange(count, device=t.device))


def legendre_slopes(t: Float[Tensor, "*batch"], count: int) -> Float[Tensor, "*batch count"]:
    """P'_(k+1)(t) sqrt(k + 3/2) / ((k + 1)(k + 2)), P_k Legendre's polynomials.

    Times 1 - t^2, the distance of the boundary ansatz, their slopes are orthonormal on [-1, 1]: the usual basis of
    spectral elements (Szabo and Babuska 1991). P' by the recurrence of Gegenbauer's polynomials C^(3/2).
    """
    slopes = [torch.ones_like(t), 3 * t]
    for k in range(2, count):
        slopes.append(((2 * k + 1) * t * slopes[-1] - (k + 1) * slopes[-2]) / k)
    return torch.stack([slopes[k] * (math.sqrt(k + 1.5) / ((k + 1) * (k + 2))) for k in range(count)], dim=-1)
