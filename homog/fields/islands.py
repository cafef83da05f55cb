"""Islands in holes: parts of a conducting phase that touch nothing, and through which no current passes."""

from collections import defaultdict, deque
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from homog.fields.phases import Phases


def without_islands(phases: Phases, conducting: Bool[np.ndarray, " labels"]) -> tuple[Phases, float, bool]:
    """The same phases with islands made holes.

    Voxels are neighbours across a face. Of phases that are repeated, what goes on from cell to cell without an end is
    no island; else what touches the boundary.

    Args:
        phases: Phases, of which some do not conduct.
        conducting: Whether each label's phase does.

    Returns:
        The phases, the share of the islands in the volume, and whether anything else conducts.
    """
    labelled: Any = ndimage.label(conducting[phases.labels])
    found, number = labelled
    kept = np.zeros(number + 1, dtype=bool)
    kept[_endless(found, number) if phases.tiled else _outer(found)] = True
    kept[0] = False
    sizes = np.bincount(found.ravel(), minlength=number + 1)
    share = float(sizes[1:][~kept[1:]].sum() / found.size)
    if share == 0:
        return phases, share, bool(kept.any())
    labels = np.where(kept[found], phases.labels, np.uint8(np.argmin(conducting)))
    return replace(phases, labels=labels), share, bool(kept.any())


def _outer(found: np.ndarray) -> np.ndarray:
    """The components at the faces of the box."""
    return np.unique(np.concatenate([np.take(found, (0, -1), axis).ravel() for axis in range(found.ndim)]))


def _endless(found: np.ndarray, number: int) -> list[int]:
    """The components of one cell that belong to one without an end: a way along it leads to another copy of itself."""
    beyond: dict[int, set[tuple[int, tuple[int, ...]]]] = defaultdict(set)
    for axis in range(found.ndim):
        last, first = (np.take(found, index, axis).ravel() for index in (-1, 0))
        both = (last > 0) & (first > 0)
        step = tuple(int(i == axis) for i in range(found.ndim))
        for here, there in np.unique(np.stack([last[both], first[both]], axis=1), axis=0).tolist():
            beyond[here].add((there, step))
            beyond[there].add((here, tuple(-part for part in step)))
    endless: list[int] = []
    cells: dict[int, tuple[int, ...]] = {}
    for start in range(1, number + 1):
        if start in cells:
            continue
        cells[start], waiting, members, returns = (0,) * found.ndim, deque([start]), [start], False
        while waiting:
            here = waiting.popleft()
            for there, step in beyond[here]:
                cell = tuple(a + b for a, b in zip(cells[here], step, strict=True))
                if there not in cells:
                    cells[there] = cell
                    waiting.append(there)
                    members.append(there)
                returns |= cells[there] != cell
        endless += members if returns else []
    return endless
