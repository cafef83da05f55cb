"""u(x; mu) for all values of its parameters, its mean, spread, quantiles and sensitivities."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from homog.equation import Problem
from homog.formula.evaluate import at_points
from homog.measures.assembled import features_at
from homog.networks.linear import LinearInFeatures
from homog.solvers.family import FamilyEquations

_DRAWS = 4096  # of mu, for quantiles
_LOOKS = 4096  # for the norm of u
_SLOPE = 1e-5  # of a range


@dataclass(frozen=True, eq=False)
class Family:
    """u(x; mu), mu drawn evenly from its ranges.

    Attributes:
        problem: With the ranges.
        equations: What the walkers have given.
        network: Gives the features.
    """

    problem: Problem
    equations: FamilyEquations
    network: LinearInFeatures

    def __call__(self, points: Float64[np.ndarray, "*batch d"], **values: float) -> Float64[np.ndarray, "*batch"]:
        """u at points of shape (..., d), for values of the parameters: `family(x, c=0.3)`.

        Raises:
            UserError: If a value is missing or out of its range.
        """
        return self.at(points)(**values)

    def at(self, points: Float64[np.ndarray, "*batch d"]) -> Callable[..., Float64[np.ndarray, "*batch"]]:
        """u at fixed points as a function of the parameters, which then takes microseconds: `at(points)(c=0.3)`."""
        found = self._features(points) @ self.equations.weights

        def values_there(**values: float) -> Float64[np.ndarray, "*batch"]:
            ranges = self.equations.ranges
            return found @ ranges.polynomials(ranges.place(values)) + self._lift(points, values)

        return values_there

    def error(self, **values: float) -> float:
        """Estimate of the L2 error against u_0 for values of the parameters, relative to u."""
        equations, place = self.equations, self.equations.ranges.place(values)
        return math.hypot(*equations.parts_at(place)) / self._size(place, values)

    def standard_error(self, **values: float) -> float:
        """The part of that by sampling."""
        place = self.equations.ranges.place(values)
        return self.equations.parts_at(place)[0] / self._size(place, values)

    def mean(self, points: Float64[np.ndarray, "*batch d"]) -> Float64[np.ndarray, "*batch"]:
        """The mean of u over mu."""
        return self._coefficients(points, self.equations.weights)[..., 0]

    def standard_deviation(self, points: Float64[np.ndarray, "*batch d"]) -> Float64[np.ndarray, "*batch"]:
        """The standard deviation of u over mu, by products of disjoint halves of the walkers."""
        one, other = (self._coefficients(points, half) for half in self.equations.halves)
        return np.sqrt(np.maximum(0.0, (one[..., 1:] * other[..., 1:]).sum(-1)))

    def quantiles(
        self, points: Float64[np.ndarray, "*batch d"], levels: Sequence[float], seed: int = 0
    ) -> Float64[np.ndarray, "levels *batch"]:
        """Quantiles of u over mu, at each of the points."""
        ranges = self.equations.ranges
        places = np.random.default_rng(seed).uniform(-1, 1, (_DRAWS, len(ranges.names)))
        found = self._coefficients(points, self.equations.weights).reshape(-1, len(ranges.degrees))
        table = ranges.polynomials(places)
        each = np.stack([np.quantile(table @ one, levels) for one in found], 1)
        return each.reshape(len(levels), *points.shape[:-1])

    def sensitivity(
        self, points: Float64[np.ndarray, "*batch d"], name: str, **values: float
    ) -> Float64[np.ndarray, "*batch"]:
        """The derivative of u with a parameter, for values of all."""
        ranges = self.equations.ranges
        place = ranges.place(values)
        slopes = self._features(points) @ (self.equations.weights @ ranges.slopes(place, name))
        low, high = ranges.ends[name]
        step = _SLOPE * (high - low)
        lifts = [self._lift(points, {**values, name: values[name] + move}) for move in (step, -step)]
        return slopes + (lifts[0] - lifts[1]) / (2 * step)

    def _coefficients(self, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Of u at points by polynomials of mu, shape (..., k)."""
        ranges = self.equations.ranges
        lifts = np.stack([self._lift(points, ranges.values(place)) for place in ranges.nodes], -1)
        projected = (lifts * ranges.shares) @ ranges.polynomials(ranges.nodes)
        return self._features(points) @ weights + projected

    def _features(self, points: np.ndarray) -> np.ndarray:
        flat = np.asarray(points, dtype=np.float64).reshape(-1, self.problem.dimension)
        found = features_at(self.network, flat)
        return found.reshape(*points.shape[:-1], found.shape[-1])

    def _lift(self, points: np.ndarray, values: Mapping[str, float]) -> np.ndarray:
        boundary = self.problem.boundary
        return at_points(boundary.value, points, {**boundary.parameters, **values})

    def _size(self, place: np.ndarray, values: Mapping[str, float]) -> float:
        points, features = self._looked_at
        return float(np.sqrt(np.mean((features @ self.equations.weights_at(place) + self._lift(points, values)) ** 2)))

    @cached_property
    def _looked_at(self) -> tuple[np.ndarray, np.ndarray]:
        """Places over which the norm of u is taken, and the features there."""
        points = self.problem.domain.spread(_LOOKS, np.random.default_rng(0))
        return points, self._features(points)
