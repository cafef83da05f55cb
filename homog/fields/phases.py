"""Fields that are constant on voxels: an image whose labels stand for phases, on the domain or repeated all over it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, UInt8

MOST_PHASES = 256


@dataclass(frozen=True, eq=False)
class Phases:
    """Labels on equal voxels of a box, and the value of each label; read like a `Spline`, of degree zero.

    Attributes:
        lower: Lower corner of the box, d numbers.
        upper: Upper corner.
        labels: A label for each voxel, x1 along the first index; it may lie in a file, mapped.
        values: The value that each label stands for.
        tiled: Whether the box is a cell that is repeated along each axis.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    labels: UInt8[np.ndarray, "..."]
    values: Float64[np.ndarray, " labels"]
    tiled: bool = False

    degree = 0

    @property
    def intervals(self) -> tuple[int, ...]:
        """Number of voxels on each axis."""
        return self.labels.shape

    @property
    def periodic(self) -> bool:
        """Whether it goes on over opposite faces of the box as on the other side: a cell does."""
        return self.tiled

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest value."""
        return float(self.values.min()), float(self.values.max())

    def varies_along(self, axis: int) -> bool:
        """Whether it is not constant along an axis."""
        planes = np.moveaxis(self.labels, axis, 0)
        return any(not np.array_equal(plane, planes[0]) for plane in planes)

    def content(self) -> list[bytes | memoryview]:
        """What makes it the field that it is, for a digest."""
        head = repr((self.lower, self.upper, self.labels.shape, self.degree, self.tiled))
        return [head.encode(), self.values.tobytes(), *(np.ascontiguousarray(slab).data for slab in self.labels)]

    def shares(self) -> Float64[np.ndarray, " labels"]:
        """Share of each label in the volume."""
        return _counts(self.labels)[: len(self.values)] / self.labels.size

    def __call__(self, points: Float[np.ndarray, "*batch d"]) -> Float64[np.ndarray, "*batch"]:
        """Values at points, shape (..., d)."""
        places = (points - self.lower) / np.subtract(self.upper, self.lower)
        if self.tiled:
            places = places - np.floor(places)
        counts = np.array(self.labels.shape)
        voxels = np.clip((places * counts).astype(np.int64), 0, counts - 1)
        return self.values[self.labels[tuple(np.moveaxis(voxels, -1, 0))]]

    def gradient(self, points: Float[np.ndarray, "*batch d"]) -> Float64[np.ndarray, "*batch d"]:
        """Zero, but at the faces of voxels."""
        return np.zeros(points.shape)


def of_numbers(image: np.ndarray) -> tuple[UInt8[np.ndarray, "..."], np.ndarray, np.ndarray] | None:
    """Labels, the number that each stands for, and which of these occur; None for more numbers than labels.

    An image of bytes is its own labels, and stays where it is.
    """
    if image.dtype in (np.uint8, np.bool_):
        labels = image.view(np.uint8)
        counts = _counts(labels)
        last = int(np.flatnonzero(counts)[-1])
        return labels, np.arange(last + 1), counts[: last + 1] > 0
    numbers = np.unique(image)
    if len(numbers) > MOST_PHASES:
        return None
    return np.searchsorted(numbers, image).astype(np.uint8), numbers, np.ones(len(numbers), dtype=bool)


def _counts(labels: UInt8[np.ndarray, "..."]) -> np.ndarray:
    """How many voxels have each label, slab by slab: an array in a file is not copied."""
    counts = np.zeros(MOST_PHASES, dtype=np.int64)
    for slab in labels:
        counts += np.bincount(slab.ravel(), minlength=MOST_PHASES)
    return counts
