"""Lines and planes through a grid, along which a solution is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homog.domains import Box

_NODES = {1: 101, 2: 101, 3: 31}  # an axis

Index = tuple[slice | int | NDArray[np.intp], ...]


@dataclass(frozen=True)
class Section:
    """A line through a grid.

    Attributes:
        title: What is held fixed, for instance `$x_2 = 0.5$`.
        label: The coordinate that runs along it, for instance `$x_1$`.
        positions: Its values, shape (m,).
        index: Takes values on the grid to values on the line, shape (m,).
    """

    title: str
    label: str
    positions: NDArray[np.floating]
    index: Index


def coarse_axes(domain: Box) -> tuple[NDArray[np.floating], ...]:
    """Axes of a grid that is fine enough to look at what is smooth."""
    return domain.axes(_NODES[domain.dimension])


def sections_of(axes: Sequence[NDArray[np.floating]]) -> list[Section]:
    """Choose the lines along which a solution is drawn.

    Args:
        axes: The grid's coordinates, one increasing array an axis.

    Returns:
        In one dimension the interval itself; in two the horizontal and vertical middle lines and the diagonal
        from the lower to the upper corner; from three on the middle lines along the first three axes.
    """
    if len(axes) == 1:
        return [Section("solution", "$x$", axes[0], (slice(None),))]
    if len(axes) == 2:
        return [_middle_line(axes, 0), _middle_line(axes, 1), _diagonal(axes)]
    return [_middle_line(axes, along) for along in range(3)]


def plane_of(axes: Sequence[NDArray[np.floating]]) -> tuple[Index, str]:
    """Choose the plane that is drawn as a map: through the middle of all but the first two axes.

    Args:
        axes: The grid's coordinates, one increasing array an axis, two axes at least.

    Returns:
        An index that takes values on the grid to values on the plane, shape (n1, n2), and what is held fixed,
        for instance `$x_3 = 0.5$` (empty in two dimensions).
    """
    index = (slice(None), slice(None), *(_middle(axis) for axis in axes[2:]))
    return index, _fixed(axes, range(2, len(axes)))


def _middle_line(axes: Sequence[NDArray[np.floating]], along: int) -> Section:
    index = tuple(slice(None) if k == along else _middle(axis) for k, axis in enumerate(axes))
    others = [k for k in range(len(axes)) if k != along]
    return Section(_fixed(axes, others), f"$x_{along + 1}$", axes[along], index)


def _diagonal(axes: Sequence[NDArray[np.floating]]) -> Section:
    points = min(len(axis) for axis in axes)
    index = tuple(np.rint(np.linspace(0, len(axis) - 1, points)).astype(np.intp) for axis in axes)
    square = np.array_equal(axes[0], axes[1])
    return Section("$x_1 = x_2$" if square else "diagonal", "$x_1$", axes[0][index[0]], index)


def _middle(axis: NDArray[np.floating]) -> int:
    return int(np.argmin(np.abs(axis - (axis[0] + axis[-1]) / 2)))


def _fixed(axes: Sequence[NDArray[np.floating]], which: Sequence[int]) -> str:
    return ", ".join(f"$x_{k + 1} = {axes[k][_middle(axes[k])]:.3g}$" for k in which)
