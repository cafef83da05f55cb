"""The equations of a solve after its end: its functions at points, their products, and the answers in each space."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import nn

from homog.config import WITH_A_GRID
from homog.domains import Box, tensor_grid
from homog.equation import Problem
from homog.networks.linear import LinearInFeatures
from homog.solvers.nested import InSpace

_NODES = {1: 256, 2: 64, 3: 24}  # of Gauss quadrature, an axis
_LOOKS = 2**18  # for <a>
_AT_ONCE = 2**15


@dataclass(frozen=True, eq=False)
class Assembled:
    """The equations of a solve of a linear problem.

    Attributes:
        network: Gives the features and the lift.
        matrices: Of each group of walkers, in all features, its mean over batches, shape (groups, m, m).
        answers: The answers in growing spaces, of the features that all batches have.
        freedom: Degrees of freedom of the spread between groups.
        macro_step: Dt.
    """

    network: LinearInFeatures
    matrices: Float64[np.ndarray, "groups m m"]
    answers: Sequence[InSpace]
    freedom: int
    macro_step: float

    @property
    def spaces(self) -> list[Int64[np.ndarray, " k"]]:
        """Numbers of the features of each of the growing spaces."""
        return [answer.chosen for answer in self.answers]

    def arrays(self) -> dict[str, np.ndarray]:
        """All but the network, by name."""
        return {
            "matrices": self.matrices,
            "order": self.answers[-1].chosen,
            "sizes": np.array([len(answer.chosen) for answer in self.answers]),
            "weights": np.stack([answer.weights for answer in self.answers]),
            "spreads": np.stack([answer.spread for answer in self.answers]),
            "freedom": np.array(self.freedom),
            "macro_step": np.array(self.macro_step),
        }

    @staticmethod
    def of(network: LinearInFeatures, arrays: Mapping[str, np.ndarray]) -> "Assembled":
        """From what `arrays` gave."""
        parts = zip(arrays["sizes"], arrays["weights"], arrays["spreads"], strict=True)
        answers = [InSpace(arrays["order"][:size], weights, spread) for size, weights, spread in parts]
        return Assembled(network, arrays["matrices"], answers, int(arrays["freedom"]), float(arrays["macro_step"]))


def mean_coefficient(problem: Problem) -> float:
    """<a> over the domain."""
    return float(problem.operator.coefficient_at(problem.domain.spread(_LOOKS, np.random.default_rng(0))).mean())


@cache
def _rule(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(count)


def gauss(domain: Box, face: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Points of the domain or of a face, shape (n, d), and their weights, which add up to its volume or its area."""
    assert domain.dimension <= WITH_A_GRID
    nodes, weights = _rule(_NODES[domain.dimension])
    axes = [low + side * (nodes + 1) / 2 for low, side in zip(domain.lower, domain.sides, strict=True)]
    shares = [side * weights / 2 for side in domain.sides]
    if face is not None:
        axes[face // 2] = np.array([(domain.lower, domain.upper)[face % 2][face // 2]])
        shares[face // 2] = np.ones(1)
    product = shares[0]
    for along in shares[1:]:
        product = np.multiply.outer(product, along)
    return tensor_grid(axes).reshape(-1, domain.dimension), product.ravel()


def features_at(network: LinearInFeatures, points: np.ndarray) -> np.ndarray:
    """The features at points in double precision, shape (n, m)."""
    return np.concatenate(list(_in_parts(network, points, "features")))


def gram(one: np.ndarray, other: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Integrals of the products, shape (m, n)."""
    return one.T @ (shares[:, None] * other)


def combined_at(
    network: LinearInFeatures, points: np.ndarray, weights: Float64[np.ndarray, "m k"]
) -> Float64[np.ndarray, "n k"]:
    """Sums of the features at points in double precision, without holding the features of all points at once."""
    return np.concatenate([part @ weights for part in _in_parts(network, points, "features")])


def lift_at(network: LinearInFeatures, points: np.ndarray) -> np.ndarray:
    """What the answer has without features, at points in double precision, shape (n,)."""
    return np.concatenate(list(_in_parts(network, points, "lift")))


def _in_parts(network: LinearInFeatures, points: np.ndarray, what: Literal["features", "lift"]) -> Iterator[np.ndarray]:
    """The features or the lift in double precision, some of the points at a time."""
    assert isinstance(network, nn.Module)
    exact = getattr(copy.deepcopy(network).cpu().double(), what)
    with torch.no_grad():
        for part in torch.from_numpy(points).split(_AT_ONCE):
            yield exact(part).numpy()


def independent(mass: np.ndarray) -> np.ndarray:
    """A basis in which the mass matrix is the unit one, without functions that are others' sums but for rounding."""
    sizes, axes = np.linalg.eigh(mass)
    kept = sizes > 1e-9 * sizes[-1]
    return axes[:, kept] / np.sqrt(sizes[kept])
