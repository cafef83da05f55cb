"""The tangent space of a perceptron: what a small change of its weights adds to it, to first order."""

import copy
import itertools
import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from homog.errors import UserError
from homog.networks.linear import Evaluate, LinearInFeatures
from homog.networks.perceptron import Perceptron

_AT_ONCE = {"cpu": 2**18}  # numbers of J: they stay in the cache
_MOST_AT_ONCE = 2**26
_MOST_MODES = 256  # as many as 16 x 16 polynomials: what comes later is wanted by no answer, and a basis of it is dear
_FLOOR = 1e-12  # of the squares of singular values: below it single precision has nothing left of a mode


class Tangent(nn.Module):
    """u_theta(x) + J(x) . change, with J = du_theta/dtheta: linear in the change of the weights theta.

    Its features are J times a basis of some directions in theta. Without one they are J itself, number by number: for
    each layer from the first to the last its matrix, row by row, and its bias.

    Args:
        perceptron: u_theta; its weights are `theta` and stay as they are until `move`.
    """

    change: Tensor
    basis: Tensor | None

    def __init__(self, perceptron: Perceptron) -> None:
        super().__init__()
        self.perceptron = perceptron
        count = sum(weight.numel() for weight in perceptron.parameters())
        self.register_buffer("change", torch.zeros(count))
        self.register_buffer("basis", None, persistent=False)
        self._along: Tensor | None = None  # the change, in the basis
        self._spaces: list[np.ndarray] = []

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        """u at x of shape (..., d); shape (...)."""
        value, slope = self.perceptron.along(x, self.change)
        return value + slope

    def lift(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        """u_theta: see `LinearInFeatures`."""
        return self.perceptron(x)

    def features(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch m"]:
        """J, or J times the basis."""
        flat, basis = x.reshape(-1, x.shape[-1]), self.basis
        if basis is None:
            found = self.perceptron.jacobian(flat)
        else:
            chunk = max(1, _AT_ONCE.get(x.device.type, _MOST_AT_ONCE) // len(basis))
            found = torch.cat([self.perceptron.jacobian(part) @ basis for part in flat.split(chunk)])
        return found.reshape(*x.shape[:-1], -1)

    def factors(self, x: Float[Tensor, "*batch d"]) -> None:
        """None: see `LinearInFeatures`."""

    def on_host(self) -> Evaluate | None:
        """See `LinearInFeatures`."""
        basis = None if self.basis is None else self.basis.numpy()
        return self.perceptron.jacobian_on_host(basis) if self.change.device.type == "cpu" else None

    def nested(self) -> list[np.ndarray]:
        """Of a basis of modes the first, as many as there are polynomials of more and more degrees; of J the whole."""
        return self._spaces or [np.arange(len(self.change))]

    def restricted(self, space: int) -> LinearInFeatures:
        """With the modes of one of the spaces alone."""
        if self.basis is None:
            return self
        smaller = copy.deepcopy(self)
        smaller._span(self.basis[:, : len(self._spaces[space])], self._spaces[: space + 1])
        return smaller

    def weights(self) -> Float[Tensor, " m"]:
        """The change, in the basis where there is one."""
        return (self.change if self._along is None else self._along).detach().clone()

    def set_weights(self, weights: Float[Tensor, " m"]) -> None:
        """See `weights`."""
        with torch.no_grad():
            if self.basis is None:
                self.change.copy_(weights)
                return
            self._along = weights.to(self.change)
            self.change.copy_(self.basis @ self._along)

    def move(self) -> None:
        """Take the change into theta."""
        with torch.no_grad():
            parts = self.change.split([weight.numel() for weight in self.perceptron.parameters()])
            for weight, part in zip(self.perceptron.parameters(), parts, strict=True):
                weight += part.reshape(weight.shape)
            self.change.zero_()
        self._along = None if self._along is None else torch.zeros_like(self._along)

    def use_modes(self, jacobian: Float[Tensor, "n p"]) -> None:
        """Take as a basis the principal directions of J at some points: combinations that move u most come first.

        Each moves u by one, root mean square over the points. Functions that a network can add most easily are smooth;
        what comes late is rough, or lost in single precision and left out.
        """
        exact = jacobian.double()
        points, weights = exact.shape
        if weights <= points:
            sizes, directions = torch.linalg.eigh(exact.T @ exact / points)
        else:  # the same from the products of the points' rows
            sizes, rows = torch.linalg.eigh(exact @ exact.T / points)
            directions = exact.T @ rows / (points * sizes.clamp(min=sizes[-1] * _FLOOR)).sqrt()
        sizes, directions = sizes.flip(0), directions.flip(1)
        count = min(_MOST_MODES, int((sizes > _FLOOR * sizes[0]).sum()))
        spaces = [np.arange(size) for size in _sizes(count, len(self.perceptron.center))]
        kept = len(spaces[-1])
        self._span((directions[:, :kept] / sizes[:kept].sqrt()).to(self.change), spaces)

    def _span(self, basis: Tensor, spaces: list[np.ndarray]) -> None:
        self.basis, self._spaces = basis, spaces
        self._along = torch.zeros(basis.shape[1], device=basis.device)
        self.change.zero_()


def _sizes(count: int, dimension: int) -> list[int]:
    """Numbers of polynomials of growing degrees, up to `count`: of each axis up to three dimensions, else in all."""
    numbers = (n**dimension if dimension <= 3 else math.comb(n - 1 + dimension, dimension) for n in itertools.count(1))
    return list(itertools.takewhile(lambda number: number <= count, numbers))


def tangent_in(network: nn.Module) -> Tangent:
    """The tangent space in a network; where that has a perceptron in it, put in the place of that.

    Raises:
        UserError: If there is neither.
    """
    for part in network.modules():
        if isinstance(part, Tangent):
            return part
    for part in network.modules():
        for name, inner in part.named_children():
            if isinstance(inner, Perceptron):
                tangent = Tangent(inner)
                setattr(part, name, tangent)
                return tangent
    raise UserError(
        "optimizer=natural_gradient trains all weights of a perceptron: write network=mlp, or experiment="
        "natural_gradient, which has one"
    )
