"""A field of the user's own: an array in a .npy file."""

import logging
from pathlib import Path

import numpy as np

from homog.config import FileField
from homog.config.field import DEGREES
from homog.domains.box import Box
from homog.errors import UserError
from homog.fields.tabulated import LEAST_NODES, TabulatedField, in_proportion, require_affordable, tabulate

_UNEVEN = 3.0  # spacings this many times as wide along one axis as along another are mentioned
_log = logging.getLogger("homog")
_REMEDY = "write one array of real numbers with numpy.save"


def file_field(settings: FileField, domain: Box, period: float | None = None) -> TabulatedField:
    """The field whose values on the nodes a .npy file holds, x1 along the first index.

    Args:
        settings: Settings of the field.
        domain: The domain.
        period: Side along x1 of the cell that it fills, and is repeated from; None for the whole domain.

    Raises:
        UserError: If the file holds no array of finite real numbers with an axis for each of the domain's.
    """
    where = f"problem.field.path={settings.path}"
    stored = opened(Path(settings.path).expanduser(), where)
    require_numbers(stored, where)
    if stored.ndim != domain.dimension:
        raise UserError(
            f"{where} has the shape {stored.shape}, the domain {domain.dimension} dimensions: write an array with"
            " an axis for each, or as many numbers in problem.domain.lower and upper"
        )
    if min(stored.shape) < LEAST_NODES:
        raise UserError(f"{where} has the shape {stored.shape}: write at least {LEAST_NODES} nodes along each axis")
    degree = DEGREES[settings.interpolation]
    require_affordable(stored.shape, where, dense=degree > 1 and not settings.periodic)
    try:
        with np.errstate(over="ignore"):  # a number beyond double precision: infinite, and refused below
            values = np.array(stored, dtype=np.float64, order="C")
    except MemoryError:
        raise UserError(f"{where} does not fit into the memory: write an array with fewer nodes") from None
    bad = ~np.isfinite(values)
    if bad.any():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), values.shape))
        raise UserError(f"{where} is {values[index]:g} at index {index}: write finite numbers")
    with np.errstate(over="ignore", invalid="ignore"):
        representable = np.isfinite(np.square(values).sum())
    if not representable:
        raise UserError(f"{where} has values up to {np.abs(values).max():.3g}: write smaller numbers, in other units")
    box = domain if period is None else in_proportion(values.shape, (), domain, period)
    _mention_spacings(values.shape, box, periodic=settings.periodic)
    remedies = ["problem.field.interpolation=linear"] if degree > 1 else []
    tiled = period is not None
    return tabulate(values, box, periodic=settings.periodic, degree=degree, remedies=remedies, tiled=tiled)


def _mention_spacings(shape: tuple[int, ...], domain: Box, *, periodic: bool) -> None:
    spacings = domain.sides / (np.array(shape) - (not periodic))
    if spacings.max() > _UNEVEN * spacings.min():
        said = ", ".join(f"{spacing:.3g} along x{i + 1}" for i, spacing in enumerate(spacings))
        _log.info("the nodes of the field are %s apart: if that is not so, set problem.domain.lower and upper", said)


def require_numbers(stored: np.ndarray, where: str) -> None:
    """Refuse what is no array of real numbers; booleans are 0 and 1."""
    if stored.dtype.kind not in "fiub":
        raise UserError(f"{where} holds values of type {_name(stored.dtype)}: {_REMEDY}")


def opened(path: Path, where: str, what: str = "a .npy file") -> np.ndarray:
    """The array, mapped: a header that promises more than there is costs no memory. Pickles are never read.

    Args:
        path: Where it is.
        where: The setting that names it.
        what: What should be there.
    """
    try:
        if not path.exists():
            raise UserError(f"{where} does not exist (seen from {Path.cwd()}): write the path of {what}")
        if not path.is_file():
            raise UserError(f"{where} is no file: write the path of {what}")
        with path.open("rb") as file:
            start = file.read(6)
        if start.startswith(b"PK"):
            raise UserError(f"{where} is an archive (.npz): {_REMEDY}")
        if start != b"\x93NUMPY":  # numpy would speak of pickles
            raise UserError(f"{where} is no .npy file: {_REMEDY}")
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except PermissionError:
        raise UserError(f"{where} may not be read: give yourself the permission or write another path") from None
    except UserError:
        raise
    except Exception as error:  # numpy raises half a dozen kinds for files that are none of its own
        reason = " ".join(str(error).split()).partition(". ")[0].rstrip(".")[:120] or type(error).__name__
        raise UserError(f"{where} is no readable .npy file ({reason}): {_REMEDY}") from None


def _name(dtype: np.dtype) -> str:
    return "records" if dtype.names else str(dtype)
