"""Multilayer perceptrons."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy import special
from torch import Tensor, nn

from homog.config import MLP, FourierMLP
from homog.domains import Box
from homog.networks.linear import Evaluate, LinearInFeatures

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}

_SLOPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "relu": lambda z, value: (z > 0).to(z.dtype),
    "tanh": lambda z, value: 1 - value.square(),
    "gelu": lambda z, value: (
        0.5 * (1 + torch.erf(z / math.sqrt(2))) + z * torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    ),
    "silu": lambda z, value: torch.sigmoid(z) * (1 + z * (1 - torch.sigmoid(z))),
}


def _tanh(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    value = np.tanh(z)
    return value, 1 - value * value


def _gelu(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    share = special.ndtr(z)
    return z * share, share + z * np.exp(-0.5 * z * z) * np.float32(1 / math.sqrt(2 * math.pi))


def _silu(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    share = special.expit(z)
    return z * share, share * (1 + z * (1 - share))


_ON_HOST: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "relu": lambda z: (np.maximum(z, 0), (z > 0).astype(np.float32)),
    "tanh": _tanh,
    "gelu": _gelu,
    "silu": _silu,
}
_ROWS = 1024  # points whose slopes stay in the cache


class Perceptron(nn.Module):
    """A multilayer perceptron R^d -> R; Glorot normal weights, zero biases but for the first (`spread`).

    Args:
        domain: The box that x lies in.
        settings: Depth, width, activation, and the cube that the box is mapped to before the first layer.
        generator: Draws the initial weights.
        inputs: Numbers that reach the first layer; None: as many as `embed` gives.
        periodic: Whether each axis is; the first layer sees the cosine and the sine of those. None for no axis.
    """

    center: torch.Tensor
    factor: torch.Tensor
    lower: torch.Tensor
    turn: torch.Tensor

    def __init__(
        self,
        domain: Box,
        settings: MLP,
        generator: torch.Generator,
        inputs: int | None = None,
        periodic: Sequence[bool] | None = None,
    ) -> None:
        super().__init__()
        self._periodic = tuple(periodic or ()) if any(periodic or ()) else ()
        if self._periodic:
            self.register_buffer("lower", torch.tensor(domain.lower, dtype=torch.float32))
            self.register_buffer("turn", torch.tensor(2 * math.pi / domain.sides, dtype=torch.float32))
        center, factor = np.zeros(domain.dimension), np.ones(domain.dimension)
        if settings.scale is not None:
            center, factor = (domain.lower + domain.sides / 2), 2 * settings.scale / domain.sides
        self.register_buffer("center", torch.tensor(center, dtype=torch.float32))
        self.register_buffer("factor", torch.tensor(factor, dtype=torch.float32))
        sizes = [inputs or domain.dimension + sum(self._periodic), *[settings.width] * settings.depth, 1]
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(sizes):
            layer = nn.Linear(fan_in, fan_out)
            nn.init.xavier_normal_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)
            layers += [layer, _ACTIVATIONS[settings.activation]()]
        self.layers = nn.Sequential(*layers[:-1])
        self._activation = settings.activation
        nn.init.uniform_(layers[0].bias, -settings.spread, settings.spread, generator=generator)  # type: ignore[arg-type]

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        """u at x of shape (..., d); shape (...)."""
        return self.layers(self.embed(x))[..., 0]

    def embed(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch inputs"]:
        """What the first layer sees of x: its coordinates in the cube; of periodic ones cosine and sine."""
        places = (x - self.center) * self.factor
        if not self._periodic:
            return places
        angles = (x - self.lower) * self.turn
        seen = []
        for axis, periodic in enumerate(self._periodic):
            angle = angles[..., axis]
            seen += [torch.cos(angle), torch.sin(angle)] if periodic else [places[..., axis]]
        return torch.stack(seen, dim=-1)

    def lift(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        """Zero: see `LinearInFeatures`."""
        return torch.zeros_like(x[..., 0])

    def features(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch m"]:
        """The last hidden layer, and the constant that its bias multiplies."""
        hidden = self.layers[:-1](self.embed(x))
        return torch.cat([hidden, torch.ones_like(hidden[..., :1])], dim=-1)

    def factors(self, x: Float[Tensor, "*batch d"]) -> None:
        """None: see `LinearInFeatures`."""

    def on_host(self) -> None:
        """None: see `LinearInFeatures`."""

    def nested(self) -> list[np.ndarray]:
        """The one space of all: see `LinearInFeatures`."""
        return [np.arange(len(self.weights()))]

    def restricted(self, space: int) -> "LinearInFeatures":
        """Itself: see `LinearInFeatures`."""
        return self

    def weights(self) -> Float[Tensor, " m"]:
        """Weights and bias of the last layer, in the order of `features`."""
        return torch.cat([self._last().weight[0], self._last().bias]).detach()

    def set_weights(self, weights: Float[Tensor, " m"]) -> None:
        """See `weights`."""
        with torch.no_grad():
            self._last().weight.copy_(weights[None, :-1])
            self._last().bias.copy_(weights[-1:])

    def jacobian(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n p"]:
        """du/dtheta at points, outside any graph: one pass forward and one back, and outer products.

        The weights theta in the order of `parameters`: of each layer its matrix, row by row, and its bias.
        """
        with torch.no_grad():
            inputs, slopes = self._forward(x)
            end = sum(weight.numel() for weight in self.parameters())
            found, back = x.new_empty(len(x), end), torch.ones_like(x[:, :1])
            for layer, at in zip(reversed(self._linear()), reversed(inputs), strict=True):
                rows, columns = layer.weight.shape
                found[:, end - rows : end] = back
                end -= rows * (columns + 1)
                matrix = found[:, end : end + rows * columns].view(len(x), rows, columns)
                torch.mul(back[:, :, None], at[:, None, :], out=matrix)
                if slopes:
                    back = (back @ layer.weight) * slopes.pop()
            return found

    def jacobian_on_host(self, basis: np.ndarray | None) -> Evaluate:
        """Evaluates du/dtheta, or that times a basis, and u behind it, by NumPy; with the weights as they are now."""
        layers = [
            (layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()) for layer in self._linear()
        ]
        count, activated = sum(weight.size + bias.size for weight, bias in layers), _ON_HOST[self._activation]

        def of_rows(x: np.ndarray, whole: np.ndarray, value: np.ndarray) -> None:
            inputs, slopes = [self.embed_on_host(x)], []
            for weight, bias in layers[:-1]:
                unit, slope = activated(inputs[-1] @ weight.T + bias)
                inputs.append(unit)
                slopes.append(slope)
            weight, bias = layers[-1]
            value[:] = inputs[-1] @ weight[0] + bias
            end, back = count, np.ones((len(x), 1), dtype=np.float32)
            for (weight, _), at in zip(reversed(layers), reversed(inputs), strict=True):
                rows, columns = weight.shape
                whole[:, end - rows : end] = back
                end -= rows * (columns + 1)
                matrix = whole[:, end : end + rows * columns].reshape(len(x), rows, columns)  # a view
                np.multiply(back[:, :, None], at[:, None, :], out=matrix)
                if slopes:
                    back = (back @ weight) * slopes.pop()

        def evaluate(x: np.ndarray, found: np.ndarray) -> None:
            if basis is None:
                of_rows(x, found[:, :-1], found[:, -1])
                return
            whole = np.empty((min(_ROWS, len(x)), count), dtype=np.float32)
            for first in range(0, len(x), _ROWS):
                rows = found[first : first + _ROWS]
                of_rows(x[first : first + _ROWS], whole[: len(rows)], rows[:, -1])
                rows[:, :-1] = whole[: len(rows)] @ basis

        return evaluate

    def embed_on_host(self, x: np.ndarray) -> np.ndarray:
        """`embed`, by NumPy."""
        if self._periodic:
            return Perceptron.embed(self, torch.from_numpy(x)).numpy()
        return (x - self.center.numpy()) * self.factor.numpy()

    def along(
        self, x: Float[Tensor, "*batch d"], change: Float[Tensor, " p"]
    ) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """u at x, and its derivative along a change of the weights theta: one pass forward."""
        at, moved, begin = self.embed(x), None, 0
        layers = self._linear()
        for number, layer in enumerate(layers):
            rows, columns = layer.weight.shape
            matrix, bias = change[begin : begin + rows * columns].reshape(rows, columns), begin + rows * columns
            begin = bias + rows
            slope = nn.functional.linear(at, matrix, change[bias:begin])
            if moved is not None:
                slope = slope + nn.functional.linear(moved, layer.weight)
            value = layer(at)
            if number + 1 == len(layers):
                return value[..., 0], slope[..., 0]
            at, steep = self._activated(value)
            moved = steep * slope
        raise AssertionError("a perceptron has a last layer")

    def _forward(self, x: Float[Tensor, "n d"]) -> tuple[list[Tensor], list[Tensor]]:
        """What each layer sees, and the slope of each activation."""
        inputs, slopes = [self.embed(x)], []
        for layer in self._linear()[:-1]:
            value, slope = self._activated(layer(inputs[-1]))
            inputs.append(value)
            slopes.append(slope)
        return inputs, slopes

    def _activated(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The activation and its slope."""
        value = self.layers[1](z)
        return value, _SLOPES[self._activation](z, value)

    def _linear(self) -> list[nn.Linear]:
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def _last(self) -> nn.Linear:
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        return last


class FourierPerceptron(Perceptron):
    """The perceptron of gamma(x) = [cos(B x), sin(B x)], B drawn once with entries from N(0, sigma^2).

    Wang, Wang and Perdikaris 2021, equation (3.10), reference [20] of the paper. As there, B holds wave numbers: no
    2 pi stands before it. The paper's '200-dimensional embedding' is taken as 200 features, so 100 rows of B: that is
    how the authors of [20] count the size of the layer in their code.

    Args:
        domain: The box that x lies in.
        settings: Those of the perceptron, number of features and sigma, in units of 1 / (length in the cube).
        generator: Draws the wave numbers and then the initial weights.
    """

    wave_numbers: torch.Tensor

    def __init__(
        self,
        domain: Box,
        settings: FourierMLP,
        generator: torch.Generator,
        *,
        periodic: Sequence[bool] | None = None,
    ) -> None:
        seen = domain.dimension + sum(periodic or ())
        wave_numbers = settings.sigma * torch.randn(settings.features // 2, seen, generator=generator)
        super().__init__(domain, settings, generator, settings.features, periodic)
        self.register_buffer("wave_numbers", wave_numbers)

    def embed(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch inputs"]:
        """The Fourier features of x."""
        phase = super().embed(x) @ self.wave_numbers.T
        return torch.cat([torch.cos(phase), torch.sin(phase)], dim=-1)

    def embed_on_host(self, x: np.ndarray) -> np.ndarray:
        """`embed`, by NumPy."""
        phase = super().embed_on_host(x) @ self.wave_numbers.numpy().T
        return np.concatenate([np.cos(phase), np.sin(phase)], axis=-1)
