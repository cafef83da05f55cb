"""Composites of two phases in a cell, drawn on voxels: inclusions one by one or at random, layers, checkerboards."""

import math

import numpy as np
from scipy.spatial.transform import Rotation

from homog.config import CompositeField
from homog.domains.box import Box
from homog.errors import UserError
from homog.fields.phases import Phases
from homog.fields.tabulated import TabulatedField

_VOXELS = {1: 4096, 2: 512, 3: 96}  # along an axis
_TRIES = 20_000  # of a place for one more
_UNIT_BALL = {1: 2.0, 2: math.pi, 3: 4 / 3 * math.pi}


def composite_field(settings: CompositeField, domain: Box, period: float | None) -> TabulatedField:
    """The field of a composite.

    Args:
        settings: Its settings, lengths in units of the period.
        domain: The domain.
        period: Side of the cell that is repeated; None for the whole domain, which is a cube then.

    Raises:
        UserError: If the inclusions do not fit.
    """
    box = domain if period is None else Box(domain.lower, tuple(low + period for low in domain.lower))
    dimension = domain.dimension
    if np.ptp(box.sides) > 1e-12 * box.sides.max():
        raise UserError("a composite fills a square or cube: write problem.field.period, or a domain of equal sides")
    count = _VOXELS[dimension]
    if settings.shape in ("ball", "cube"):
        size = _size(settings, dimension)
        inside = _drawn(_centres(settings, size, dimension), size, settings.shape, count, dimension)
        feature = 2 * size
    elif settings.shape == "ellipsoid":
        axes = _semi_axes(settings, dimension)
        inside, feature = _ellipsoids(settings, axes, count), 2 * float(axes.min())
    else:
        inside, feature = _pattern(settings, count, dimension), 0.5
    phases = Phases(
        box.lower, box.upper, inside.astype(np.uint8), np.array([settings.matrix, settings.inclusion]),
        tiled=period is not None,
    )  # fmt: skip
    share = float(inside.mean())
    side = float(box.sides[0])
    number = 1 if settings.shape in ("laminate", "checkerboard") else settings.count
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
    _require_fitting(reach)
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
            raise _crowded(number, settings.count)
    return centres


def _require_fitting(width: float) -> None:
    if width > 1:
        raise UserError(f"an inclusion {width:.3g} periods wide does not fit: write a smaller radius or fraction")


def _crowded(number: int, wanted: int) -> UserError:
    return UserError(
        f"only {number} of {wanted} inclusions find a place at random: write a smaller problem.field.fraction or radius"
    )


def _semi_axes(settings: CompositeField, dimension: int) -> np.ndarray:
    """Of an ellipsoid, shape (d,)."""
    proportions = np.array(settings.aspect[:dimension], dtype=np.float64)
    if len(proportions) < dimension:
        raise UserError(f"problem.field.aspect={settings.aspect}: write {dimension} numbers, one for each semi-axis")
    if settings.radius is not None:
        return settings.radius * proportions / proportions.max()
    volume = settings.fraction / settings.count
    return proportions * (volume / _UNIT_BALL[dimension] / np.prod(proportions)) ** (1 / dimension)


def _ellipsoids(settings: CompositeField, axes: np.ndarray, count: int) -> np.ndarray:
    """Ellipsoids one after the other, each where none of its voxels is in another; shape (count, ..., count)."""
    dimension = len(axes)
    _require_fitting(2 * float(axes.max()))
    random, inside = np.random.default_rng(settings.seed), np.zeros((count,) * dimension, dtype=bool)
    for number in range(settings.count):
        for _ in range(_TRIES):
            centre = np.full(dimension, 0.5) if settings.count == 1 else random.random(dimension)
            turned = _turn(random, dimension) if settings.turned else np.eye(dimension)
            index, away = _around(centre, float(axes.max()), count)
            own = np.einsum("ij,j...->i...", turned, np.stack(np.broadcast_arrays(*away)))
            new = ((own / axes.reshape(-1, *[1] * dimension)) ** 2).sum(0) < 1
            if not (inside[index] & new).any():
                inside[index] |= new
                break
        else:
            raise _crowded(number, settings.count)
    return inside


def _turn(random: np.random.Generator, dimension: int) -> np.ndarray:
    """A rotation, all alike likely."""
    if dimension == 3:
        return Rotation.from_quat(random.standard_normal(4)).as_matrix()
    angle = np.pi * random.random() if dimension == 2 else 0.0
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])[:dimension, :dimension]


def _around(centre: np.ndarray, reach: float, count: int) -> tuple[tuple[np.ndarray, ...], list[np.ndarray]]:
    """Indices of the voxels around a place, and how far the middles of these are along each axis, to be broadcast."""
    far = min(math.ceil(reach * count) + 1, (count - 1) // 2)
    index = [np.arange(n - far, n + far + 1) for n in np.floor(centre * count).astype(int)]
    away = [(i + 0.5) / count - c for i, c in zip(index, centre, strict=True)]
    return np.ix_(*(i % count for i in index)), list(np.meshgrid(*away, indexing="ij", sparse=True))


def _drawn(centres: np.ndarray, size: float, shape: str, count: int, dimension: int) -> np.ndarray:
    """Whether the middle of each voxel is in an inclusion, shape (count, ..., count)."""
    inside = np.zeros((count,) * dimension, dtype=bool)
    for centre in centres:
        index, grid = _around(centre, size, count)
        near = sum(part**2 for part in grid) < size**2 if shape == "ball" else True
        if shape == "cube":
            for part in grid:
                near = near & (np.abs(part) < size)
        inside[index] |= near
    return inside


def _pattern(settings: CompositeField, count: int, dimension: int) -> np.ndarray:
    """Layers across a direction, or the fields of a checkerboard."""
    if settings.shape == "laminate" and not any(settings.normal[:dimension]):
        raise UserError(
            f"problem.field.normal={settings.normal} is zero in {dimension} dimensions: write whole numbers"
        )
    places = (np.arange(count) + 0.5) / count
    grid = np.meshgrid(*[places] * dimension, indexing="ij", sparse=True)
    if settings.shape == "checkerboard":
        fields = sum(np.floor(2 * part) for part in grid)
        return np.broadcast_to(fields % 2 == 0, (count,) * dimension).copy()
    along = sum(n * part for n, part in zip(settings.normal, grid, strict=False))
    return np.broadcast_to(np.mod(along, 1.0) < settings.fraction, (count,) * dimension).copy()
