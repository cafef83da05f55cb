"""Sums over products of functions of one coordinate each."""

import copy
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from homog.domains import ABSORBING, PERIODIC, Box
from homog.networks.linear import Factors, LinearInFeatures

type Functions = Callable[[Tensor, int], Tensor]
"""p_0, p_1, ...: of t in [-1, 1] and their number, one more axis for them."""


class ProductSum(nn.Module):
    """sum_k w_k prod_i p_k_i(t_i), t in [-1, 1]^d the place in the box. Weights start at zero.

    The numbers k_i are below `count`; or, with `total`, their sum is: in d dimensions these are binomial(count - 1 + d,
    d) products in place of count^d.

    Args:
        domain: The box.
        functions: The functions p_k of each axis.
        count: How many an axis.
        total: Whether it is the sum of the numbers that is bounded.
    """

    center: torch.Tensor
    factor: torch.Tensor

    def __init__(self, domain: Box, functions: Sequence[Functions], count: int, *, total: bool) -> None:
        super().__init__()
        self._functions = tuple(functions)
        self.count, self.total = count, total
        self.register_buffer("center", torch.tensor(domain.lower + domain.sides / 2, dtype=torch.float32))
        self.register_buffer("factor", torch.tensor(2 / domain.sides, dtype=torch.float32))
        self.last = nn.Parameter(torch.zeros(len(self._numbers())))

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        """u at x of shape (..., d); shape (...)."""
        return self.features(x) @ self.last

    def lift(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        """Zero: see `LinearInFeatures`."""
        return torch.zeros_like(x[..., 0])

    def features(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch m"]:
        """The products, the last axis' number running fastest."""
        values = self._along_axes(x)
        products = values[..., 0, :]
        for axis, lengths in enumerate(self._lengths()[1:], start=1):
            if not self.total:
                products = (products[..., None] * values[..., axis, None, :]).flatten(-2)
                continue
            before = np.repeat(np.arange(len(lengths)), lengths)
            number = np.arange(len(before)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            products = products[..., before] * values[..., axis, number]
        return products

    def factors(self, x: Float[Tensor, "*batch d"]) -> Factors:
        """See `LinearInFeatures`."""
        lengths = self._lengths()
        table = np.zeros((len(lengths), len(lengths[-1])), dtype=np.int64)
        for row, some in zip(table, lengths, strict=True):
            row[: len(some)] = some
        return Factors(self._along_axes(x), table)

    def on_host(self) -> None:
        """None: see `LinearInFeatures`."""

    def nested(self) -> list[np.ndarray]:
        """Products of the first functions of each axis: see `LinearInFeatures`."""
        numbers = self._numbers()
        degree = numbers.sum(1) if self.total else numbers.max(1)
        return [np.flatnonzero(degree < count) for count in range(1, self.count + 1)]

    def restricted(self, space: int) -> "LinearInFeatures":
        """With space + 1 functions an axis: see `LinearInFeatures`."""
        smaller = copy.deepcopy(self)
        smaller.count = space + 1
        smaller.last = nn.Parameter(self.last[: len(smaller._numbers())].detach().clone())
        return smaller

    def weights(self) -> Float[Tensor, " m"]:
        """See `LinearInFeatures`."""
        return self.last.detach().clone()

    def set_weights(self, weights: Float[Tensor, " m"]) -> None:
        """See `LinearInFeatures`."""
        with torch.no_grad():
            self.last.copy_(weights)

    def _along_axes(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d count"]:
        """p_0, p_1, ... at each coordinate."""
        places, first = (x - self.center) * self.factor, self._functions[0]
        if all(functions is first for functions in self._functions):
            return first(places, self.count)
        along = zip(self._functions, places.unbind(-1), strict=True)
        return torch.stack([functions(t, self.count) for functions, t in along], dim=-2)

    def _numbers(self) -> np.ndarray:
        """k of each product, shape (m, d)."""
        found = np.zeros((1, 0), dtype=np.int64)
        for lengths in self._lengths():
            number = np.concatenate([np.arange(length) for length in lengths])
            found = np.column_stack([np.repeat(found, lengths, axis=0), number])
        return found

    def _lengths(self) -> tuple[np.ndarray, ...]:
        return _lengths(self.count, len(self.center), self.total)


@functools.cache
def _lengths(count: int, dimension: int, total: bool) -> tuple[np.ndarray, ...]:
    """For each axis, how many functions along it each product over the axes before is taken times."""
    found = [np.array([count])]
    for _ in range(1, dimension):
        before = found[-1]
        if total:  # a product times p_0, p_1, ... leaves that much less to those that follow
            found.append(np.concatenate([length - np.arange(length) for length in before]))
        else:
            found.append(np.full(int(before.sum()), count))
    return tuple(found)


def of_walls(below: str, above: str) -> Functions:
    """Those of an axis whose solution is held at some of its ends, as polynomials or with a period.

    Times the distance of the boundary ansatz, from the ends at which it is held, their slopes are orthonormal on
    [-1, 1]: P_0 and the other Legendre polynomials, or sines and cosines.
    """
    match below, above:
        case (str(kind), _) if kind == PERIODIC:
            return fourier
        case (str(kind), str(other)) if kind == other == ABSORBING:
            return legendre_slopes
        case (str(kind), _) if kind == ABSORBING:
            return _held_below
        case (_, str(kind)) if kind == ABSORBING:
            return _held_above
    return _free


def fourier(t: Float[Tensor, "*batch"], count: int) -> Float[Tensor, "*batch count"]:
    """1, cos(pi t) / pi, sin(pi t) / pi, cos(2 pi t) / (2 pi), ..."""
    waves = torch.pi * torch.arange(1, count // 2 + 1, device=t.device)
    angle = t[..., None] * waves
    pairs = torch.stack([torch.cos(angle) / waves, torch.sin(angle) / waves], dim=-1).flatten(-2)
    return torch.cat([torch.ones_like(t)[..., None], pairs], dim=-1)[..., :count]


def _held_below(t: Float[Tensor, "*batch"], count: int) -> Float[Tensor, "*batch count"]:
    """Over the distance (1 + t) / 2: that of (1 + t) / sqrt(2), and of the integrals of P_1, P_2, ..."""
    first = torch.full_like(t, math.sqrt(2))[..., None]
    return torch.cat([first, 2 * (1 - t)[..., None] * legendre_slopes(t, count - 1)], dim=-1)


def _held_above(t: Float[Tensor, "*batch"], count: int) -> Float[Tensor, "*batch count"]:
    return _held_below(-t, count)


def _free(t: Float[Tensor, "*batch"], count: int) -> Float[Tensor, "*batch count"]:
    """1, t / sqrt(2), and the integrals of P_1, P_2, ..."""
    ends = torch.stack([torch.ones_like(t), t / math.sqrt(2)], dim=-1)
    return torch.cat([ends, (1 - t * t)[..., None] * legendre_slopes(t, count - 2)], dim=-1)[..., :count]


def cosines(t: Float[Tensor, "*batch"], count: int) -> Float[Tensor, "*batch count"]:
    """cos(pi k s), s = (t + 1) / 2. Without a sine: times the distance they have every slope at the boundary."""
    return torch.cos(0.5 * torch.pi * (t + 1)[..., None] * torch.arange(count, device=t.device))


def legendre_slopes(t: Float[Tensor, "*batch"], count: int) -> Float[Tensor, "*batch count"]:
    """P'_(k+1)(t) sqrt(k + 3/2) / ((k + 1)(k + 2)), P_k Legendre's polynomials.

    Times 1 - t^2, the distance of the boundary ansatz, their slopes are orthonormal on [-1, 1]: the usual basis of
    spectral elements (Szabo and Babuska 1991). P' by the recurrence of Gegenbauer's polynomials C^(3/2).
    """
    slopes = [torch.ones_like(t), 3 * t]
    if count <= 0:
        return t.new_zeros(*t.shape, 0)
    for k in range(2, count):
        slopes.append(((2 * k + 1) * t * slopes[-1] - (k + 1) * slopes[-2]) / k)
    return torch.stack([slopes[k] * (math.sqrt(k + 1.5) / ((k + 1) * (k + 2))) for k in range(count)], dim=-1)
