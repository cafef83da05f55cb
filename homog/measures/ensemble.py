"""Mean and standard deviation of u over the law of a random medium."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from homog.measures.assembled import combined_at, lift_at
from homog.networks.linear import LinearInFeatures


@dataclass(frozen=True, eq=False)
class Ensemble:
    """u of several samples of a medium.

    Attributes:
        network: Gives the features and the lift.
        weights: Of the features, of each sample, shape (n, m).
        halves: The same by disjoint halves of the walkers, shape (n, 2, m).
    """

    network: LinearInFeatures
    weights: Float64[np.ndarray, "n m"]
    halves: Float64[np.ndarray, "n 2 m"]

    def samples(self, points: Float64[np.ndarray, "*batch d"]) -> Float64[np.ndarray, "n *batch"]:
        """u of each sample at points of shape (..., d): the walkers' noise is in it."""
        return self._values(self.weights, points)

    def mean(self, points: Float64[np.ndarray, "*batch d"]) -> Float64[np.ndarray, "*batch"]:
        """The mean over samples."""
        return self.samples(points).mean(0)

    def standard_error(self, points: Float64[np.ndarray, "*batch d"]) -> Float64[np.ndarray, "*batch"]:
        """Of the mean, by the spread between samples, in which the walkers' noise is contained."""
        return self.samples(points).std(0, ddof=1) / math.sqrt(len(self.weights))

    def standard_deviation(self, points: Float64[np.ndarray, "*batch d"]) -> Float64[np.ndarray, "*batch"]:
        """Of u over the law: by products of disjoint halves, without the walkers' noise; zero where that hides it."""
        return np.sqrt(np.maximum(0.0, self._products(points).mean(0)))

    def deviation_error(self, points: Float64[np.ndarray, "*batch d"]) -> Float64[np.ndarray, "*batch"]:
        """Standard error of the standard deviation, from the spread of the products."""
        products = self._products(points)
        error = products.std(0, ddof=1) / math.sqrt(len(products))
        deviation = np.sqrt(np.maximum(0.0, products.mean(0)))
        # of sqrt(v): half of v's error over sqrt(v), and where that is small no more than the root of v's error
        return np.where(deviation**2 > error, error / (2 * np.where(deviation > 0, deviation, 1.0)), np.sqrt(error))

    def _products(self, points: np.ndarray) -> np.ndarray:
        """Of each sample's deviations from the mean by the two halves, whose mean is the variance."""
        one, other = (self._values(self.halves[:, half], points) for half in (0, 1))
        count = len(self.weights)
        return (one - one.mean(0)) * (other - other.mean(0)) * count / (count - 1)

    def _values(self, weights: np.ndarray, points: np.ndarray) -> np.ndarray:
        flat = np.asarray(points, dtype=np.float64).reshape(-1, points.shape[-1])
        found = combined_at(self.network, flat, weights.T) + lift_at(self.network, flat)[:, None]
        return found.T.reshape(len(weights), *points.shape[:-1])
