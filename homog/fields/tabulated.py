"""A field on a grid: its values, the spline through them, and the nodes it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, prod

import numpy as np
from jaxtyping import Float64

from homog.domains.box import Box
from homog.errors import UserError
from homog.fields.correlation import correlation_length
from homog.fields.phases import Phases
from homog.fields.splines import Spline, interpolate

FEATURES = 4.0  # correlation lengths that stand for a period: of discs in a square array about one
LEAST_NODES = 4  # along an axis: a cubic
_MOST_NODES = 50_000_000  # in all: 400 MB in double precision
_MOST_DENSE = 4096  # along an axis without periodicity: a cubic spline's coefficients come from a dense matrix


@dataclass(frozen=True, eq=False)
class TabulatedField:
    """A field and the length on which it varies.

    Attributes:
        values: On the nodes, x1 along the first index; of a periodic field the upper end is left out.
        spline: Through the values; or what is constant on voxels, and then `values` are those of its labels.
        correlation_length: Mean over the axes of the distance at which the autocorrelation falls to 1/e; or what the
            time steps have to resolve in its stead.
        metrics: Numbers for the record of a run, the correlation length among them.
        origin: A text that fixes the field up to rounding, where it was computed: a reference is found by it on other
            machines, whose last digits differ. None for values that came from a file.
        remedies: Settings under which the spline stays between its nodes, as one writes them.
    """

    values: Float64[np.ndarray, "..."]
    spline: Spline | Phases
    correlation_length: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    origin: str | None = None
    remedies: Sequence[str] = ()


def tabulate(
    values: Float64[np.ndarray, "..."],
    domain: Box,
    *,
    periodic: bool,
    metrics: Mapping[str, float] | None = None,
    origin: str | None = None,
    degree: int = 3,
    remedies: Sequence[str] = (),
    tiled: bool = False,
) -> TabulatedField:
    """The field through values on equidistant nodes of the domain.

    Args:
        values: x1 along the first index.
        domain: The box.
        periodic: Whether the upper end is left out, as the lower end again; otherwise both ends are nodes.
        metrics: Numbers for the record of a run besides the correlation length.
        origin: What it was computed from.
        degree: Degree of the spline.
        remedies: Settings under which the spline stays between its nodes.
        tiled: Whether the box is a cell that is repeated: what the time steps resolve is then that, or its features.
    """
    length = correlation_length(values, domain.sides, periodic=periodic)
    spline = interpolate(values, domain.lower, domain.upper, periodic=periodic, degree=degree, tiled=tiled)
    metrics = {"correlation_length": length, **(metrics or {})}
    scale = min(FEATURES * length, float(domain.sides.min())) if tiled else length
    return TabulatedField(values, spline, scale, metrics, origin, remedies)


def in_proportion(shape: Sequence[int], spacing: Sequence[float], domain: Box, period: float) -> Box:
    """The cell in the lower corner of the domain with a side `period` along x1.

    Args:
        shape: Voxels or intervals along each axis.
        spacing: Their widths, in proportion; none for equal ones.
    """
    sides = np.multiply(shape, spacing or 1.0)
    return Box(domain.lower, tuple((np.array(domain.lower) + period * sides / sides[0]).tolist()))


def nodes_of(grid: int, domain: Box) -> tuple[int, ...]:
    """Numbers of intervals on each axis: `grid` on the longest side, the others in proportion, rounded up."""
    longest = float(domain.sides.max())
    return tuple(max(LEAST_NODES, ceil(grid * side / longest - 1e-9)) for side in domain.sides)


def require_affordable(shape: Sequence[int], setting: str, *, dense: bool, most: int = _MOST_NODES) -> None:
    """Refuse a grid that would fill the memory or take hours.

    Raises:
        UserError: Naming the setting and what to write instead.
    """
    if prod(shape) > most:
        raise UserError(
            f"{setting} has {' x '.join(map(str, shape))} nodes, more than {most:,}:"
            f" write at most {int(most ** (1 / len(shape)))} along each of the {len(shape)} axes"
        )
    if dense and max(shape) > _MOST_DENSE:
        raise UserError(
            f"{setting} has {max(shape)} nodes along an axis: write at most {_MOST_DENSE}, or a periodic field"
        )
