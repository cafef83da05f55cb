"""An image of the user's own: .npy, PNG or TIFF; labels of phases, each with its value, or grey levels."""

import logging
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from homog.config import ImageField
from homog.config.field import DEGREES
from homog.domains.box import Box
from homog.errors import UserError
from homog.fields.correlation import correlation_length
from homog.fields.file import opened, require_numbers
from homog.fields.phases import MOST_PHASES, Phases, of_numbers
from homog.fields.tabulated import FEATURES, TabulatedField, in_proportion, require_affordable, tabulate

_MOST_VOXELS = 2**31 - 1  # walkers count them with 32 bits
_MOST_SEEN = {1: 2**20, 2: 2048, 3: 160}  # along an axis, for the correlation length
_GREY = {"1", "L", "P", "I", "F", "I;16", "I;16B", "I;16L"}  # modes of one channel
_log = logging.getLogger("homog")


def image_field(settings: ImageField, domain: Box, period: float | None) -> TabulatedField:
    """The field that an image shows.

    Args:
        settings: Settings of the image.
        domain: Where it is looked at.
        period: Side along x1 of the cell that it fills, and is repeated from; None for the whole domain, once.

    Raises:
        UserError: If the file holds no image, or one that is not for this domain.
    """
    where = f"problem.field.path={settings.path}"
    image = _read(Path(settings.path).expanduser(), where, domain.dimension)
    if image.ndim != domain.dimension:
        raise UserError(
            f"{where} has the shape {image.shape}, the domain {domain.dimension} dimensions: write an image with an"
            " axis for each, or as many numbers in problem.domain.lower and upper"
        )
    if image.size > _MOST_VOXELS:
        raise UserError(f"{where} has {image.size:,} voxels: write at most {_MOST_VOXELS:,}")
    if settings.spacing and len(settings.spacing) != image.ndim:
        raise UserError(f"problem.field.spacing={settings.spacing}: write a width for each of the {image.ndim} axes")
    box = domain if period is None else in_proportion(image.shape, settings.spacing, domain, period)
    if settings.interpolation != "constant":
        return _grey(settings, image, box, where, tiled=period is not None)
    found = of_numbers(image)
    if found is None:
        raise UserError(
            f"{where} holds more than {MOST_PHASES} different numbers: write problem.field.interpolation=linear for"
            " grey levels, or an image whose phases have labels"
        )
    labels, numbers, occur = found
    values = _values(settings.values, numbers, occur, where)
    phases = Phases(box.lower, box.upper, labels, values, tiled=period is not None)
    length = _length(phases, box)
    metrics = {"correlation_length": length, **{
        f"share_of_phase_{number:g}": float(share)
        for number, share in zip(numbers, phases.shares(), strict=True) if share > 0
    }}  # fmt: skip
    scale = min(FEATURES * length, float(box.sides.min()))
    return TabulatedField(values, phases, scale, metrics, remedies=["problem.field.values={label: value, ...}"])


def _values(given: Mapping[int, float], numbers: np.ndarray, occur: np.ndarray, where: str) -> np.ndarray:
    """The value of each number; of one that does not occur that of another."""
    if not given:
        given = {number: number for number in numbers[occur].tolist()}
    missing = [number for number in numbers[occur].tolist() if number not in given]
    if missing:
        shown, pairs = (", ".join(f"{number:g}{value}" for number in missing[:4]) for value in ("", ": 1"))
        raise UserError(
            f"{where} holds {shown}, of which problem.field.values says nothing: write the value of each label, as in"
            f" 'problem.field.values={{{pairs}}}'"
        )
    some = given[numbers[occur].tolist()[0]]
    return np.array([given.get(number, some) for number in numbers.tolist()], dtype=np.float64)


def _grey(settings: ImageField, image: np.ndarray, box: Box, where: str, *, tiled: bool) -> TabulatedField:
    """Grey levels, as nodes of a spline."""
    if settings.values:
        raise UserError("problem.field.values are those of phases: write problem.field.interpolation=constant too")
    degree = DEGREES[settings.interpolation]
    require_affordable(image.shape, where, dense=degree > 1 and not tiled)
    values = np.array(image, dtype=np.float64, order="C")
    remedies = ["problem.field.interpolation=linear"]
    return tabulate(values, box, periodic=tiled, degree=degree, remedies=remedies, tiled=tiled)


def _length(phases: Phases, box: Box) -> float:
    """The length on which the values vary, of a part in the middle of a large image."""
    most = _MOST_SEEN[phases.labels.ndim]
    starts = [max(0, (count - most) // 2) for count in phases.labels.shape]
    part = phases.values[phases.labels[tuple(slice(start, start + most) for start in starts)]]
    sides = box.sides * np.array(part.shape) / phases.labels.shape
    return correlation_length(part, sides, periodic=phases.tiled and part.shape == phases.labels.shape)


def _read(path: Path, where: str, dimension: int) -> np.ndarray:
    """The image, x1 along the first index. Of a picture x1 is to the right and x2 upwards, of a stack x3 the page."""
    if path.suffix.lower() == ".npy" or not path.is_file():
        stored = opened(path, where, "a .npy file, PNG or TIFF image")
        require_numbers(stored, where)
        return stored
    try:
        with Image.open(path) as picture:
            pages = getattr(picture, "n_frames", 1)
            if picture.mode not in _GREY:
                raise UserError(
                    f"{where} is an image of {len(picture.getbands())} channels ({picture.mode}): write a grey one, or"
                    " one of labels"
                )
            if prod((*picture.size, pages)) > _MOST_VOXELS:
                raise UserError(f"{where} has more than {_MOST_VOXELS:,} voxels")
            if dimension == 2 and pages > 1:
                raise UserError(
                    f"{where} is a stack of {pages} images, the domain has 2 dimensions: write three numbers in"
                    " problem.domain.lower and upper"
                )
            found: np.ndarray | None = None
            for page in range(pages):
                picture.seek(page)
                plane = np.asarray(picture)[::-1].T
                if found is None:
                    found = np.empty((*plane.shape, pages), dtype=plane.dtype)
                if plane.shape != found.shape[:2] or plane.dtype != found.dtype:
                    raise UserError(f"{where} is a stack of images of different sizes")
                found[..., page] = plane
    except UnidentifiedImageError:
        raise UserError(f"{where} is no .npy file, and no PNG or TIFF image") from None
    except UserError:
        raise
    except Exception as error:  # whatever a broken image makes of its decoder
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(f"{where} cannot be read as an image ({reason}): write PNG, TIFF or .npy") from None
    assert found is not None
    if found.dtype == np.bool_:
        found = found.astype(np.uint8)
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise UserError(f"{where} holds numbers that are not finite")
    return found[..., 0] if dimension == 2 else found
