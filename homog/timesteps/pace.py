"""How long a walker's step may be, measured on the medium: a step must not jump over what it should feel.

Near x the medium acts on a step of length sqrt(dt) by the drift V dt, V = grad a / (2a). The step is accurate while
|V| sqrt(dt) is small: at the paper's bound (21) with m0 = 12 its largest value is 0.43 for the paper's linear problem,
and the Heun step's bias 0.3 %. A coefficient that varies faster than eps, a steep interface or a thin layer make it
large, and the walkers then step over what is there, without any sign of it in their noise.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy import ndimage

from homog.config import WITH_A_GRID, TimeStepSettings
from homog.domains import Box, tensor_grid
from homog.equation import FIELD, SOLUTION, Problem
from homog.fields.splines import Spline
from homog.formula.evaluate import at_points
from homog.timesteps.timestep import Pace, TimeSteps, time_steps

_ACCURATE = 0.5  # the largest |V| sqrt(dt) at m0 = 12
_M0 = 12.0
_REACH = 3.0  # standard deviations of a step: what is further away is not felt
_LOOKS = 2**17  # random points at which the drift is looked at first
_CELLS = {1: 2**14, 2: 512, 3: 64}  # of the table, an axis, at most: what stays in a core's cache
_OFFSETS = (0.25, 0.75)  # places on each axis of an interval
_LOOKS_A_CELL = {1: 32, 2: 4, 3: 4}


def steps_in(
    problem: Problem, policy: TimeStepSettings, scale: float | None = None, *, may_stay: bool | None = None
) -> TimeSteps:
    """The time steps that a policy chooses in a problem's medium, of one length.

    Args:
        problem: Gives the medium.
        policy: The settings.
        scale: The length that enters the bounds; that of the problem where it is not given.
        may_stay: Whether a step may be refused; by default where the coefficient jumps.

    Raises:
        UserError: As for `time_steps`.
    """
    operator = problem.operator
    return time_steps(
        policy,
        problem.dimension,
        problem.scale if scale is None else scale,
        may_stay=operator.jumps if may_stay is None else may_stay,
        of_matrix=operator.tensor is not None,
        flow=_fastest_flow(problem),
    )


def _fastest_flow(problem: Problem) -> float:
    """The largest |b| / (2a) on a sample of the domain."""
    if problem.operator.velocity is None:
        return 0.0
    points = problem.domain.sample(_LOOKS, np.random.default_rng(0))
    u = problem.boundary.at(points)  # not known yet but for its boundary values
    size = np.linalg.norm(problem.operator.velocity_at(points, u), axis=-1)
    return float((size / (2 * problem.operator.coefficient_at(points, u))).max())


def accurate(m0: float) -> float:
    """The largest |V| sqrt(dt) that m0 mean steps across the fine scale ask for."""
    return _ACCURATE * _M0 / m0


def with_pace(
    steps: TimeSteps, problem: Problem, m0: float, most: float = math.inf, *, follows: bool = True
) -> TimeSteps:
    """The same time steps, with shorter ones where the medium is steep.

    Args:
        steps: From `time_steps`.
        problem: Gives the medium.
        m0: The accuracy that is asked for.
        most: As for `pace_of`.
        follows: Whether the walkers choose their steps by the place. If not, the steps stay as they are, and
            `steepness` tells how much too long they are.
    """
    if problem.dimension > WITH_A_GRID:  # no table of so many axes
        return replace(steps, steepness=_steepness(problem, steps))
    pace = pace_of(problem, steps.micro_step, m0, most if follows else 1.0)
    if pace is None:
        return steps
    return replace(steps, pace=pace if follows else None, steepness=pace.worst)


def pace_of(problem: Problem, micro_step: float, m0: float, most: float = math.inf) -> Pace | None:
    """The micro steps that a linear problem's medium allows, or None where `micro_step` is short enough everywhere.

    The step from x may be as long as sqrt(dt) <= max(c / |V(y)|, |y - x| / 3) for every y: the step is accurate at y,
    or y is out of its reach. c is `accurate(m0)`. The largest |V| is taken in the cells of a regular grid, over one
    period where there is one, else over the domain.

    Args:
        problem: Gives the drift.
        micro_step: dt, the longest step anywhere.
        m0: The accuracy that is asked for.
        most: How many times as many steps as those of length `micro_step` there may be in the mean. Where more are
            wanted the shortest steps are longer than they should be, and `Pace.worst` is above `Pace.wanted`.

    Returns:
        None also for a coefficient that depends on u, whose drift is not known before u is, and for one that jumps.
    """
    if problem.operator.nonlinear or problem.operator.jumps:
        return None
    wanted, speeds = accurate(m0), _looked_at(problem, accurate(m0) / math.sqrt(micro_step))
    if speeds.largest * math.sqrt(micro_step) <= wanted:
        return None
    speeds = speeds.looked_at_closely(problem)
    longest = np.minimum(np.square(_in_reach(speeds, wanted, micro_step)), micro_step)
    density = problem.operator.coefficient_at(_centres(speeds, problem.domain))

    def slowdown(least: float) -> float:
        return float(np.average(micro_step / np.maximum(longest, least), weights=density))

    least = 0.0
    if slowdown(0.0) > most:
        low, high = math.log(float(longest.min())), math.log(micro_step)
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if slowdown(math.exp(middle)) > most else (low, middle)
        least = math.exp(high)
    longest = np.maximum(longest, least).astype(np.float32)
    worst = float((speeds.values * np.sqrt(longest)).max())
    return Pace(speeds.box.lower, speeds.box.upper, longest, speeds.periodic, worst, wanted, slowdown(least))


def _steepness(problem: Problem, steps: TimeSteps) -> float:
    """The largest |V| sqrt(dt) that is seen at random points."""
    if problem.operator.nonlinear or problem.operator.jumps:
        return 0.0
    box = problem.cell or problem.domain
    points = box.sample(_LOOKS, np.random.default_rng(0))
    return float(_speed(problem, points).max()) * math.sqrt(steps.micro_step)


@dataclass(frozen=True, eq=False)
class _Speeds:
    """|V| in a box: a period of the medium, or the domain.

    Attributes:
        box: The box.
        periodic: Whether it is a period.
        values: The largest |V| in each of equal cells, x1 along the first index.
    """

    box: Box
    periodic: bool
    values: Float64[np.ndarray, "..."]

    @property
    def largest(self) -> float:
        """The largest |V| anywhere."""
        return float(self.values.max())

    def looked_at_closely(self, problem: Problem) -> "_Speeds":
        """The same on the cells of a table: of formulas looked at a few times in each cell, of a field put together."""
        values, dimension = self.values, problem.dimension
        if problem.operator.field is None:
            random, cells = np.random.default_rng(1), tensor_grid([np.arange(float(count)) for count in values.shape])
            for _ in range(_LOOKS_A_CELL[dimension]):
                places = (cells + random.random(cells.shape)) / values.shape
                values = np.maximum(values, _speed(problem, self.box.lower + places * self.box.sides))
            return _Speeds(self.box, self.periodic, values)
        each = [ceil(count / _CELLS[dimension]) for count in values.shape]  # intervals in a cell
        padded = [(0, -count % some) for count, some in zip(values.shape, each, strict=True)]
        sides = self.box.sides * [1 + more / count for (_, more), count in zip(padded, values.shape, strict=True)]
        values = np.pad(values, padded)
        for axis, some in enumerate(each):
            values = np.maximum.reduceat(values, np.arange(0, values.shape[axis], some), axis=axis)
        return _Speeds(Box(self.box.lower, tuple(self.box.lower + sides)), self.periodic, values)


def _looked_at(problem: Problem, doubtful: float) -> _Speeds:
    """|V| at random points, and of a field in each of its intervals; more closely where it is above `doubtful`."""
    box, periodic, dimension = problem.cell or problem.domain, problem.cell is not None, problem.dimension
    points = box.sample(_LOOKS, np.random.default_rng(0))
    values = (
        np.zeros((_CELLS[dimension],) * dimension) if problem.operator.field is None else _by_nodes(problem, doubtful)
    )
    cells = ((points - box.lower) / box.sides * values.shape).astype(int)
    np.maximum.at(values, tuple(np.minimum(cells, np.array(values.shape) - 1).T), _speed(problem, points))
    return _Speeds(box, periodic, values)


def _speed(problem: Problem, points: np.ndarray) -> np.ndarray:
    """|div A / (2a)|: how fast a flow may carry walkers is a bound of its own."""
    slopes = problem.operator.divergence_at(points)
    return np.linalg.norm(slopes / (2 * problem.operator.coefficient_at(points))[..., None], axis=-1)


def _by_nodes(problem: Problem, doubtful: float) -> np.ndarray:
    """The largest |V| in each interval of the field's grid, shape `field.intervals`.

    Where three times the mean along an edge is above `doubtful` the drift is looked at within the interval too.
    """
    field = problem.operator.field
    assert field is not None
    widths = np.subtract(field.upper, field.lower) / field.intervals
    lower: np.ndarray = np.array(field.lower)
    speeds = _along_edges(problem).copy()
    steep = np.argwhere(3 * speeds > doubtful)
    for offset in tensor_grid([np.array(_OFFSETS)] * problem.dimension).reshape(-1, problem.dimension):
        for some in np.array_split(steep, ceil(len(steep) / 2**18) or 1):
            found = _speed(problem, lower + (some + offset) * widths)
            speeds[tuple(some.T)] = np.maximum(speeds[tuple(some.T)], found)
    return speeds


@lru_cache(maxsize=2)  # a run asks several times, for steps of several lengths
def _along_edges(problem: Problem) -> np.ndarray:
    """The mean of |V| along the edges of each interval: half the difference of log a between nodes, over the length."""
    field = problem.operator.field
    assert isinstance(field, Spline)
    dimension, widths = problem.dimension, np.subtract(field.upper, field.lower) / field.intervals
    nodes = field.nodes
    lower: np.ndarray = np.array(field.lower)
    places = [lower[i] + widths[i] * np.arange(count) for i, count in enumerate(nodes.shape)]
    points = tensor_grid(places)
    names = {**problem.parameters, SOLUTION: 0.0, FIELD: nodes}
    with np.errstate(all="ignore"):
        logarithm = np.log(at_points(problem.operator.coefficient, points, names))
    square = np.zeros(field.intervals)
    for axis, width in enumerate(widths):
        edges = np.abs(np.diff(logarithm, axis=axis)) / (2 * width)
        for other in set(range(dimension)) - {axis}:
            moved = np.moveaxis(edges, other, 0)
            edges = np.moveaxis(np.maximum(moved[:-1], moved[1:]), 0, other)
        square += edges**2
    return np.sqrt(square)


def _in_reach(speeds: _Speeds, wanted: float, micro_step: float) -> np.ndarray:
    """The least of max(c / |V(y)|, |y - x| / 3) over y for x in each cell, by levels of |V| a factor of two apart."""
    values, widths = speeds.values, speeds.box.sides / speeds.values.shape
    if speeds.periodic:  # what is beyond a face is felt too
        values = np.pad(values, [(count // 2, count // 2) for count in values.shape], mode="wrap")
    steps = np.full(values.shape, math.sqrt(micro_step))
    level = speeds.largest
    while wanted / level < math.sqrt(micro_step):
        fast = values > level / 2
        # between places in two cells, at least; a step that is felt within the cell is as short as the cell asks
        distance: Any = ndimage.distance_transform_edt(~fast, sampling=widths)
        away = np.maximum(distance - np.linalg.norm(widths), 0)
        steps = np.minimum(steps, np.maximum(wanted / level, away / _REACH))
        level /= 2
    if speeds.periodic:
        steps = steps[tuple(slice(count // 2, count // 2 + count) for count in speeds.values.shape)]
    return steps


def _centres(speeds: _Speeds, domain: Box) -> np.ndarray:
    """The middle of each cell, or the nearest place in the domain."""
    axes = [
        np.minimum(low + (high - low) * (np.arange(count) + 0.5) / count, end)
        for low, high, count, end in zip(
            speeds.box.lower, speeds.box.upper, speeds.values.shape, domain.upper, strict=True
        )
    ]
    return tensor_grid(axes)
