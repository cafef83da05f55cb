"""How fine cells have to be along an axis: functions constant on intervals, and the cells that they ask for."""

from dataclasses import dataclass, replace

import numpy as np

_MOST_REPEATED = 200_000


@dataclass(frozen=True, eq=False)
class Density:
    """One over the local length, constant on intervals of an axis.

    Attributes:
        edges: Edges of the intervals, ascending, shape (n + 1,).
        values: Shape (n,), in 1/length.
    """

    edges: np.ndarray
    values: np.ndarray

    @property
    def largest(self) -> float:
        """Over the axis."""
        return float(self.values.max())


def joined(first: Density, second: Density) -> Density:
    """The larger of both."""
    edges = np.union1d(first.edges, second.edges)
    middles = (edges[1:] + edges[:-1]) / 2
    return Density(edges, np.maximum(*(density_at(density, middles) for density in (first, second))))


def density_at(density: Density, points: np.ndarray) -> np.ndarray:
    """Its values at points of the axis."""
    place = np.searchsorted(density.edges, points, side="right") - 1
    return density.values[np.clip(place, 0, density.values.size - 1)]


def repeated(density: Density, period: float, upper: float) -> Density:
    """A density of one period from the lower end on, continued to another upper end."""
    count = int(np.ceil((upper - density.edges[0]) / period - 1e-9))
    density = _merged(density, max(1, _MOST_REPEATED // count))
    starts = density.edges[0] + period * np.arange(count)
    edges = np.append((starts[:, None] + (density.edges[:-1] - density.edges[0])).ravel(), starts[-1] + period)
    values = np.tile(density.values, count)
    keep = edges[:-1] < upper * (1 - 1e-12) if upper > 0 else edges[:-1] < upper
    edges = np.append(edges[:-1][keep], upper)
    return replace(density, edges=edges, values=values[keep])


def _merged(density: Density, most: int) -> Density:
    """At most so many intervals, with the largest value of those that each of them holds."""
    if density.values.size <= most:
        return density
    starts = np.unique(np.linspace(0, density.values.size, most + 1).astype(int))[:-1]
    return Density(density.edges[np.append(starts, -1)], np.maximum.reduceat(density.values, starts))


def graded(density: Density, growth: float) -> np.ndarray:
    """Edges of cells on an axis, `density` of them to a unit length, each about as wide as the next.

    Args:
        density: Cells a unit length.
        growth: Largest slope of the width along the axis.
    """
    edges, width = density.edges, 1 / density.values
    at_edges = np.minimum(np.append(width, np.inf), np.append(np.inf, width))
    steps = np.diff(edges)
    for _ in range(40):  # halve where the width has yet to come down to that of a neighbour
        rising, falling = at_edges - growth * edges, at_edges + growth * edges
        at_edges = np.minimum(
            np.minimum.accumulate(rising) + growth * edges,
            np.minimum.accumulate(falling[::-1])[::-1] - growth * edges,
        )
        middle = np.minimum(np.minimum(at_edges[1:], at_edges[:-1]) + growth * steps / 2, width)
        uneven = np.maximum(np.maximum(at_edges[1:], at_edges[:-1]), middle) > 1.5 * np.minimum(
            at_edges[1:], at_edges[:-1]
        )
        uneven &= steps > 0.25 * np.minimum(at_edges[1:], at_edges[:-1])
        if not uneven.any():
            break
        order = np.argsort(np.concatenate([edges, (edges[1:] + edges[:-1])[uneven] / 2]), kind="stable")
        edges = np.concatenate([edges, (edges[1:] + edges[:-1])[uneven] / 2])[order]
        at_edges = np.concatenate([at_edges, middle[uneven]])[order]
        width = np.repeat(width, 1 + uneven)
        steps = np.diff(edges)
    cells = np.concatenate([[0.0], np.cumsum(steps * (1 / at_edges[1:] + 1 / at_edges[:-1]) / 2)])
    number = max(1, int(np.ceil(cells[-1] - 1e-6)))
    found = np.interp(np.linspace(0, cells[-1], number + 1), cells, edges)
    found[0], found[-1] = edges[0], edges[-1]
    return found
