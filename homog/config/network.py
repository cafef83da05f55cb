"""Networks."""

from dataclasses import dataclass
from math import comb
from typing import ClassVar

from homog.config.checks import at_least, count, one_of, positive, require

_MOST_PRODUCTS = 512  # from four dimensions on, unless their number is chosen


@dataclass(kw_only=True)
class NetworkSettings:
    """Base of the networks; one that `grows` has a number of functions an axis, which make up growing spaces."""

    grows: ClassVar[bool] = False

    def title(self, dimension: int) -> str:
        """What tables and figures call an answer of this kind."""
        return type(self).__name__


@dataclass(kw_only=True)
class MLP(NetworkSettings):
    """A multilayer perceptron with `depth` hidden layers of `width` units.

    The domain is mapped to [-scale, scale]^d before the first layer; None leaves the coordinates as they are. The first
    biases start uniform in [-spread, spread], the others at zero.
    """

    depth: int = 3
    width: int = 100
    activation: str = "gelu"
    scale: float | None = 3.0
    spread: float = 1.0

    def title(self, dimension: int) -> str:
        return f"MLP {self.depth} x {self.width}"

    def __post_init__(self) -> None:
        count("network.depth", self.depth, 1000)
        count("network.width", self.width, 100_000)
        one_of("network.activation", self.activation, ("relu", "tanh", "gelu", "silu"))
        if self.scale is not None:
            positive("network.scale", self.scale)
        at_least("network.spread", self.spread, 0)


@dataclass(kw_only=True)
class FourierMLP(MLP):
    """The perceptron behind random Fourier features: `features` sines and cosines, wave numbers from N(0, sigma^2)."""

    depth: int = 4
    width: int = 200
    activation: str = "tanh"
    scale: float | None = None
    spread: float = 0.0
    features: int = 200
    sigma: float = 30.0

    def title(self, dimension: int) -> str:
        return f"Fourier {super().title(dimension)}"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.features >= 2 and self.features % 2 == 0,
            "network.features",
            self.features,
            "an even number: half of them sines, half cosines",
        )
        positive("network.sigma", self.sigma)


@dataclass(kw_only=True)
class Products(NetworkSettings):
    """A sum over products of `count` functions an axis, with all its weights in one layer.

    None is 16, 6 in three dimensions: about as many in all. From four dimensions on it is the numbers of a product's
    functions, counted from zero, that add up to less than `count`; None is 5, or 4 or 3 as long as there are at most
    512 products.
    """

    grows: ClassVar[bool] = True
    count: int | None = None

    def __post_init__(self) -> None:
        if self.count is not None:
            count("network.count", self.count, 100_000)

    def title(self, dimension: int) -> str:
        name, count = type(self).__name__, self.an_axis(dimension)
        if self.total(dimension):
            return f"{name}, total degree {count - 1}"
        return f"{name} {' x '.join([str(count)] * dimension)}"

    def an_axis(self, dimension: int) -> int:
        """How many functions there are an axis."""
        if self.count or dimension <= 3:
            return self.count or (16 if dimension < 3 else 6)
        return next(count for count in (5, 4, 3, 2) if comb(count - 1 + dimension, dimension) <= _MOST_PRODUCTS)

    def total(self, dimension: int) -> bool:
        """Whether it is the total degree of the products that is bounded."""
        return dimension > 3


@dataclass(kw_only=True)
class Cosines(Products):
    """Products of cosines."""


@dataclass(kw_only=True)
class Legendre(Products):
    """Products of polynomials: with the boundary ansatz, the integrals of Legendre's."""
