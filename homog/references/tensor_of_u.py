"""The effective tensor as a function of u: cell problems at Chebyshev nodes."""

from dataclasses import dataclass, field

import numpy as np
from numpy.polynomial import chebyshev

from homog.equation import Problem
from homog.references.cell import TOLERANCE, effective_tensor
from homog.references.laws import At, Velocity

_MOST_INTERVALS = 128
_MOST_POINTS = 60_000  # of a cell problem, of which there are many
_MARGIN = 0.1  # of a range, beyond where the solution has been: its next iterates need no new table


@dataclass(frozen=True, eq=False)
class TensorOfU:
    """a*(u) for u in [low, high] by its Chebyshev series.

    Attributes:
        low: Least u.
        high: Greatest u.
        series: Coefficients, shape (n, d, d).
        change: How well it is known: the larger of the cell problems' relative estimates, and of the relative change
            of a* between the last two sets of nodes.
    """

    low: float
    high: float
    series: np.ndarray
    change: float

    def __call__(self, u: np.ndarray, order: int = 0) -> np.ndarray:
        """a* at values in [low, high], or its derivative of that order: u.shape + (d, d)."""
        half = (self.high - self.low) / 2
        series = chebyshev.chebder(self.series, order, scl=1 / half) if order else self.series
        values = chebyshev.chebval((u - (self.low + self.high) / 2) / half, series)
        return np.moveaxis(values, (0, 1), (-2, -1))


def tabulate(problem: Problem, low: float, high: float) -> TensorOfU:
    """a* over a range of u, on so many Chebyshev nodes that twice as many change it by less than the cell problems do.

    Interpolation in Chebyshev nodes converges geometrically where a*(u) is analytic, and a* is where a is (Trefethen,
    Approximation Theory and Approximation Practice, chapter 8). Nodes are kept where their number doubles.

    Args:
        problem: With a cell.
        low: Least u.
        high: Greatest u, above `low`.

    Raises:
        ValueError: If a is not positive somewhere.
    """
    known: dict[float, tuple[np.ndarray, float]] = {}

    def tensor(node: float) -> np.ndarray:
        if node not in known:
            u = (low + high) / 2 + node * (high - low) / 2
            known[node] = effective_tensor(problem, u, _MOST_POINTS)
        return known[node][0]

    for end in (-1.0, 1.0):  # where a is not positive it is so at an end, most often: no time is lost
        tensor(end)
    series, change, intervals = tensor(0.0)[None], np.inf, 8
    while True:
        nodes = np.cos(np.pi * np.arange(intervals + 1) / intervals).round(15)  # equal, where they are nodes again
        values = np.stack([tensor(float(node)) for node in nodes])
        before = np.moveaxis(chebyshev.chebval(nodes, series), -1, 0)
        change = float((np.abs(before - values).max((1, 2)) / np.abs(values).max((1, 2))).max())
        series = np.linalg.solve(chebyshev.chebvander(nodes, intervals), values.reshape(nodes.size, -1))
        series = series.reshape(values.shape)
        if change <= TOLERANCE or intervals == _MOST_INTERVALS:
            return TensorOfU(low, high, series, max(change, *(accuracy for _, accuracy in known.values())))
        intervals *= 2


def tensors_between(problem: Problem, low: float, high: float) -> tuple[np.ndarray, np.ndarray, float]:
    """a* at equidistant values of u, for a reader.

    Returns:
        The values, shape (33,), the tensors, shape (33, d, d), and how well they are known, as `TensorOfU.change`.
    """
    values = np.linspace(low, high, 33)
    if low == high:
        tensor, change = effective_tensor(problem, low)
        return values, np.repeat(tensor[None], values.size, axis=0), change
    table = tabulate(problem, low, high)
    return values, table(values), table.change


@dataclass(eq=False)
class EffectiveLaw:
    """a*(u) of a nonlinear problem; tabulated further whenever u leaves the range where it is known.

    Attributes:
        problem: Gives the cell problems.
        velocity: What carries u besides; None for nothing.
    """

    problem: Problem
    velocity: Velocity | None = None
    nonlinear = True
    _table: TensorOfU | None = field(default=None, init=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a tensor."""
        return (self.problem.dimension, self.problem.dimension)

    def at(self, points: np.ndarray) -> At:
        """See `Law`; the same everywhere. Not a number where the coefficient is not positive."""

        def evaluate(u: np.ndarray, order: int) -> np.ndarray:
            try:
                return self._table_for(float(u.min()), float(u.max()))(u, order)
            except ValueError:
                return np.full((*u.shape, *self.shape), np.nan)

        return evaluate

    def _table_for(self, low: float, high: float) -> TensorOfU:
        known = self._table
        margin = _MARGIN * ((high - low) or max(1.0, abs(low)))
        if known is not None and known.low <= low and high <= known.high:
            if known.high - known.low <= 4 * (high - low + 2 * margin):
                return known
            known = None  # a step too long had led far off: over such a range, nodes are too few where it matters
        below = above = margin
        if known is not None:  # keep what is known, and add a margin where it ended
            low, below = (known.low, 0.0) if known.low <= low else (low, margin)
            high, above = (known.high, 0.0) if high <= known.high else (high, margin)
        try:
            self._table = tabulate(self.problem, low - below, high + above)
        except ValueError:  # in the margin alone, perhaps
            if low == high:
                raise
            self._table = tabulate(self.problem, low, high)
        return self._table
