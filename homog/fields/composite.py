"""Composites of two phases in a cell, drawn on voxels: balls, cubes, layers, checkerboards; one by one or at random."""

import math

import numpy as np

from homog.config import CompositeField
from homog.domains.box import Box
from homog.errors import UserError
from homog.fields.phases import Phases
from homog.fields.tabulated import TabulatedField

_VOXELS = {1: 4096, 2: 512, 3: 96}  # along an axis
_TRIES = 20_000  # of a place for one more
_SLAB = 2**22
_UNIT_BALL = {1: 2.0, 2: math.pi, 3: 4 / 3 * math.pi}


def composite_field(settings: CompositeField, domain: Box, cell: Box | None) -> TabulatedField:
    """The field of a composite.

    Args:
        settings: Its settings, lengths in units of the period.
        domain: The domain.
        cell: The cell that is repeated; None for the whole domain, which is a cube then.

    Raises:
        UserError: If the inclusions do not fit.
    """
    box = domain if cell is None else cell
    dimension = domain.dimension
    if np.ptp(box.sides) > 1e-12 * box.sides.max():
        raise UserError("a composite fills a square or cube: write problem.field.period, or a domain of equal sides")
    count = _VOXELS[dimension]
    if settings.shape in ("ball", "cube"):
        size = _size(settings, dimension)
        inside = _drawn(_centres(settings, size, dimension), size, settings.shape, count, dimension)
        feature = 2 * size
    else:
        inside, feature = _pattern(settings, count, dimension), 0.5
    phases = Phases(
        box.lower, box.upper, inside.astype(np.uint8), np.array([settings.matrix, settings.inclusion]),
        tiled=cell is not None,
    )  # fmt: skip
    share = float(inside.mean())
    side = float(box.sides[0])
    number = settings.count if settings.shape in ("ball", "cube") else 1
    scale = min(1.0, 1.5 * feature) * side if number > 1 else side
    return TabulatedField(phases.values, phases, scale, {"share_of_inclusions": share})


def _size(settings: CompositeField, dimension: int) -> float:
    """Radius of a ball, half the side of a cube."""
    if settings.radius is not None:
        return settings.radius
    one = _UNIT_BALL[dimension] if settings.shape == "ball" else 2.0**dimension
    return float((settings.fraction / settings.count / one) ** (1 / dimension))


def _centres(settings: CompositeField, size: float, dimension: int) -> np.ndarray:
    """Of the inclusions, shape (count, d): one in the middle, or several at random without overlap (seeded)."""
    reach = 2 * size
    if reach > 1:
        raise UserError(f"an inclusion {reach:.3g} periods wide does not fit: write a smaller radius or fraction")
    if settings.count == 1:
        return np.full((1, dimension), 0.5)
    random, centres = np.random.default_rng(settings.seed), np.empty((0, dimension))
    for number in range(settings.count):
        for _ in range(_TRIES):
            place = random.random(dimension)
            apart = np.abs(centres - place)
            apart = np.minimum(apart, 1 - apart)
            near = (apart**2).sum(-1) < reach**2 if settings.shape == "ball" else (apart < reach).all(-1)
            if not near.any():
                centres = np.vstack([centres, place])
                break
        else:
            raise UserError(
                f"only {number} of {settings.count} inclusions find a place at random: write a smaller"
                " problem.field.fraction or radius"
            )
    return centres


def _drawn(centres: np.ndarray, size: float, shape: str, count: int, dimension: int) -> np.ndarray:
    """Whether the middle of each voxel is in an inclusion, shape (count, ..., count)."""
    inside = np.zeros((count,) * dimension, dtype=bool)
    reach = math.ceil(size * count) + 1
    for centre in centres:
        nearest = np.floor(centre * count).astype(int)
        index = [np.arange(n - reach, n + reach + 1) for n in nearest]
        away = [(i + 0.5) / count - c for i, c in zip(index, centre, strict=True)]
        grid = np.meshgrid(*away, indexing="ij", sparse=True)
        near = sum(part**2 for part in grid) < size**2 if shape == "ball" else True
        if shape == "cube":
            for part in grid:
                near = near & (np.abs(part) < size)
        inside[np.ix_(*(i % count for i in index))] |= near
    return inside


def _pattern(settings: CompositeField, count: int, dimension: int) -> np.ndarray:
    """Layers across x1 or across a diagonal, or the fields of a checkerboard."""
    places = (np.arange(count) + 0.5) / count
    grid = np.meshgrid(*[places] * dimension, indexing="ij", sparse=True)
    if settings.shape == "checkerboard":
        fields = sum(np.floor(2 * part) for part in grid)
        return np.broadcast_to(fields % 2 == 0, (count,) * dimension).copy()
    along = sum(n * part for n, part in zip(settings.normal, grid, strict=False))
    return np.broadcast_to(np.mod(along, 1.0) < settings.fraction, (count,) * dimension).copy()
