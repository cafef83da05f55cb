"""The domain: a box in any dimension."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64


def tensor_grid(axes: Sequence[np.ndarray]) -> Float[np.ndarray, "*grid d"]:
    """The points of a tensor grid: coordinates of shape (n1,), (n2,), ... give shape (n1, n2, ..., d), x1 first."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


_EVEN = 0.2  # of the points that are more in the middle, the share that is spread evenly along an axis


@dataclass(frozen=True)
class Box:
    """The box with corners `lower` and `upper`, one number an axis."""

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @property
    def dimension(self) -> int:
        """Number of axes."""
        return len(self.lower)

    @property
    def sides(self) -> Float64[np.ndarray, " d"]:
        """Lengths of the sides, shape (d,)."""
        return np.subtract(self.upper, self.lower)

    def axes(self, count: int) -> tuple[np.ndarray, ...]:
        """`count` equidistant coordinates on each axis, ends included."""
        return tuple(np.linspace(low, high, count) for low, high in zip(self.lower, self.upper, strict=True))

    def grid(self, count: int) -> Float[np.ndarray, "*grid d"]:
        """The tensor grid of `axes`, shape (count, ..., count, d), x1 along the first index."""
        return tensor_grid(self.axes(count))

    def corners(self) -> Float64[np.ndarray, "corners d"]:
        """The 2^d corners."""
        return self.grid(2).reshape(-1, self.dimension)

    def sample(self, count: int, random: np.random.Generator) -> Float64[np.ndarray, "count d"]:
        """Uniform points inside, shape (count, d), float64."""
        return np.asarray(self.lower) + random.random((count, self.dimension)) * self.sides

    def spread(self, count: int, random: np.random.Generator) -> Float64[np.ndarray, "count d"]:
        """Points inside, each uniform, together far more even than independent ones; shape (count, d), float64.

        A Kronecker sequence n alpha mod 1 with a random shift (Cranley and Patterson 1976), alpha the powers of the
        positive root of g^(d + 1) = g + 1 (the golden ratio in one dimension). Means over it are unbiased. Those of
        smooth functions are close, and so are those of sin(k.x) however large k, unless k.alpha is near a whole number.
        """
        root = 2.0
        for _ in range(64):
            root = (1 + root) ** (1 / (self.dimension + 1))
        alpha = root ** -np.arange(1.0, self.dimension + 1)
        shares = (random.random(self.dimension) + np.arange(count)[:, None] * alpha) % 1
        return np.asarray(self.lower) + shares * self.sides

    def spread_inside(
        self, count: int, random: np.random.Generator
    ) -> tuple[Float64[np.ndarray, "count d"], Float64[np.ndarray, " count"]]:
        """Points that are more in the middle than at the faces, and their density; shapes (count, d) and (count,).

        The density is the product over the axes of 0.2 + 0.8 * 6 t (1 - t), t in [0, 1] the place along one, over the
        volume. What is small at the faces, as u^2 is, has a mean over uniform points to which ever fewer of them
        contribute with ever more axes. *Worked out* for u = prod sin(pi t): points that are as good for the mean of
        u^2 as one independent uniform one is in one dimension are 1.5^d in d uniform ones, and 1.16^d of these.
        """
        uniform = (self.spread(count, random) - self.lower) / self.sides
        t = uniform.copy()
        for _ in range(8):  # Newton's method, for the place that has this share of the density before it
            before = _EVEN * t + (1 - _EVEN) * t**2 * (3 - 2 * t)
            t = np.clip(t - (before - uniform) / _inside(t), 0.0, 1.0)
        return np.asarray(self.lower) + t * self.sides, _inside(t).prod(1) / float(np.prod(self.sides))

    def face_area(self, face: int) -> float:
        """Of x1-, x1+, x2-, ..., by its number; 1 in one dimension, where it is a point."""
        return float(np.prod(np.delete(self.sides, face // 2)))

    def spread_on(self, face: int, count: int, random: np.random.Generator) -> Float64[np.ndarray, "count d"]:
        """Points on a face, spread like those of `spread`."""
        axis, ends = face // 2, (self.lower, self.upper)
        points = np.full((count, self.dimension), ends[face % 2][axis])
        others = [i for i in range(self.dimension) if i != axis]
        if others:
            across = Box(tuple(self.lower[i] for i in others), tuple(self.upper[i] for i in others))
            points[:, others] = across.spread(count, random)
        return points

    def sample_boundary(
        self, count: int, random: np.random.Generator, faces: Sequence[bool] | None = None
    ) -> Float64[np.ndarray, "count d"]:
        """Uniform points on the boundary, or on some of x1-, x1+, x2-, ..., shape (count, d), float64."""
        areas = np.repeat(np.prod(self.sides) / self.sides, 2)
        if faces is not None:
            areas = areas * faces
        face = random.choice(areas.size, size=count, p=areas / areas.sum())
        points = self.sample(count, random)
        ends = np.stack([self.lower, self.upper])
        points[np.arange(count), face // 2] = ends[face % 2, face // 2]
        return points


def _inside(t: np.ndarray) -> np.ndarray:
    """Density of points along an axis, in [0, 1]."""
    return _EVEN + (1 - _EVEN) * 6 * t * (1 - t)
