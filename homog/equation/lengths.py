"""How finely a problem varies, where, along each axis: measured on what its formulas and its field are.

Three things are looked at: wave numbers in the phases of sines and cosines, the logarithm of the coefficient along
lines, on which intervals are halved until it changes by little on each, and the curvature of the data f and g likewise.
Of a matrix all entries are looked at, since its trace may hide what they do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import sympy
from scipy.optimize import minimize

from homog.domains.box import Box
from homog.equation.density import Density, joined
from homog.equation.operator import FIELD, SOLUTION, Operator
from homog.equation.problem import Problem
from homog.fields.phases import Phases
from homog.fields.splines import Spline
from homog.formula import Formula
from homog.formula.evaluate import at_points

_LINES = 48
_SAMPLE = 4096
_START = 512  # intervals on a line
_MOST = 16_384
_CHANGE = 0.5  # of log a on an interval, or of f in relation to a tenth of its maximum
_LEAST = 1e-10  # of a side: the narrowest interval
_FIRST_GUESSES = 512
_MOST_ARGUMENTS = 8


@dataclass(frozen=True, eq=False)
class Lengths:
    """How finely a problem varies along each axis.

    Attributes:
        slopes: max |d log a/dx_i| over all lines along axis i, as a function of x_i; of a matrix see `slopes_of_log`.
        waves: Wave number of the fastest phase in the coefficient along each axis, in radians a unit length.
        curvature: Root of max |d^2 f/dx_i^2| / max |f|, and likewise of g and b, as a function of x_i: of a sine its
            wave number, of a Gaussian at most one over its width.
        data_waves: As `waves`, of f, g and b.
        layers: max |b_i| / A_ii along each axis, one over the width of the layers that a velocity makes at faces.
    """

    slopes: tuple[Density, ...]
    waves: tuple[float, ...]
    curvature: tuple[Density, ...]
    data_waves: tuple[float, ...]
    layers: tuple[float, ...]

    @property
    def of_coefficient(self) -> np.ndarray:
        """The shortest length of the coefficient along each axis, shape (d,), infinite where it does not vary.

        It is a wave, or 2 pi times the length on which log a changes by two.
        """
        slopes = np.array([density.largest / 2 for density in self.slopes])
        with np.errstate(divide="ignore"):
            return 2 * np.pi / np.maximum(slopes, self.waves)

    @property
    def of_data(self) -> np.ndarray:
        """The same of f, g and b."""
        curvature = [density.largest for density in self.curvature]
        with np.errstate(divide="ignore"):
            return 2 * np.pi / np.maximum(curvature, self.data_waves)

    @property
    def shortest(self) -> float:
        """The shortest of all."""
        return float(min(self.of_coefficient.min(), self.of_data.min()))


def shortest_length(problem: Problem) -> Lengths:
    """How finely the coefficient and the data vary along each axis.

    A coefficient with a period is measured on one cell. One that depends on u is measured with g for u, and with g + 1.
    What is narrower than a thousandth of a side, and rises and falls again on it, is found if it is an exponential, a
    tanh, a power or the like whose argument leads there (a Gaussian, a thin layer); a spline is measured at its nodes.

    Args:
        problem: A checked one.
    """
    data = (*problem.data, *(problem.operator.velocity or ()))
    curvature = tuple(reduce(joined, parts) for parts in zip(*(_curvature(problem, f) for f in data), strict=True))
    data_waves = np.max([_wave_numbers(problem, f) for f in data], axis=0)
    return Lengths(
        slopes=slopes_of_log(problem),
        waves=tuple(np.max([_wave_numbers(problem, entry) for entry in problem.operator.entries], axis=0)),
        curvature=curvature,
        data_waves=tuple(data_waves),
        layers=_layers(problem),
    )


def _layers(problem: Problem) -> tuple[float, ...]:
    """max |b_i| / A_ii over a sample of the domain, with g and g + 1 for u where that is asked for."""
    operator = problem.operator
    if operator.velocity is None:
        return (0.0,) * problem.dimension
    points = problem.domain.spread(_SAMPLE, np.random.default_rng(0))
    found, g = np.zeros(problem.dimension), problem.boundary.at(points)
    for u in (g, g + 1) if operator.reads_u else (g,):
        diagonal = np.diagonal(operator.tensor_at(points, u), axis1=-2, axis2=-1)
        found = np.maximum(found, np.abs(operator.velocity_at(points, u) / diagonal).max(0))
    return tuple(found.tolist())


def slopes_of_log(problem: Problem, u: float | None = None) -> tuple[Density, ...]:
    """max |d log a/dx_i| over lines along each axis, as a function of x_i, on the domain or on one cell of it.

    Zero of phases on voxels, whose jumps no mesh follows. Of a matrix A the largest slope of several functions: of
    log A_ii, and where it is not diagonal of A_ij / (A_ii A_jj)^1/2 and of log det A / d, without which a small
    eigenvalue would not be seen.

    Args:
        problem: A checked one.
        u: The solution's value everywhere, for a coefficient that depends on it; by default g, and g + 1.
    """
    if isinstance(problem.operator.field, Phases):
        ends = zip(problem.domain.lower, problem.domain.upper, strict=True)
        return tuple(Density(np.array(end), np.zeros(1)) for end in ends)
    if problem.operator.field is not None:
        return _at_nodes(problem, u)
    box = problem.cell or problem.domain
    offsets = (0.0, 1.0) if u is None and problem.operator.nonlinear else (0.0,)

    def log_coefficient(points: np.ndarray) -> np.ndarray:
        g = problem.boundary.at(points) if u is None and problem.operator.nonlinear else u or 0.0
        operator = problem.operator
        logs = [_logs(operator, points, operator.names_at(points, g + offset)) for offset in offsets]
        return np.moveaxis(np.concatenate(logs, axis=-1), -1, 0)

    places = np.unique(np.concatenate([_places(problem, entry, box) for entry in problem.operator.entries]), axis=0)
    return tuple(
        Density(edges, np.abs(change).max(0) / np.diff(edges))
        for edges, change in changes(log_coefficient, box, places)
    )


def _logs(operator: Operator, points: np.ndarray, names: Mapping[str, Any]) -> np.ndarray:
    """log a, shape (..., 1); of a matrix all that `slopes_of_log` looks at. Zero where it is not finite."""
    with np.errstate(all="ignore"):
        if operator.tensor is None:
            found = np.log(at_points(operator.coefficient, points, names))[..., None]
        else:
            tensor = operator.tensor.at(points, names)
            diagonal = np.diagonal(tensor, axis1=-2, axis2=-1)
            found = np.log(diagonal)
            if not operator.tensor.is_diagonal:
                row, column = np.tril_indices(tensor.shape[-1], -1)
                mixed = tensor[..., row, column] / np.sqrt(diagonal[..., row] * diagonal[..., column])
                volume = np.log(np.linalg.det(tensor))[..., None] / tensor.shape[-1]
                found = np.concatenate([found, mixed, volume], axis=-1)
    return np.where(np.isfinite(found), found, 0.0)


def changes(
    function: Callable[[np.ndarray], np.ndarray], box: Box, places: np.ndarray, most_change: float = _CHANGE
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Intervals of each axis on which a function changes by little, along lines through the box.

    Args:
        function: k functions of points of shape (..., d), with values of shape (k, ...).
        box: Where.
        places: Points that lines have to lead through, shape (n, d); around them intervals are short from the start.
        most_change: Intervals are halved until no change is larger, or their number is too large.

    Returns:
        For each axis the edges, shape (m + 1,), and the changes, shape (k * lines, m).
    """
    through = np.concatenate([box.spread(_LINES, np.random.default_rng(0)), places])
    found = []
    for axis in range(box.dimension):
        low, side = box.lower[axis], float(box.sides[axis])

        def along(coordinates: np.ndarray, axis: int = axis) -> np.ndarray:
            points = np.repeat(through[:, None], coordinates.size, axis=1)
            points[..., axis] = coordinates
            values = function(points)
            return values.reshape(-1, coordinates.size)

        around = side * np.geomspace(_LEAST * 100, 0.1, 36)
        near = (places[:, axis, None] + np.concatenate([-around, [0.0], around])).ravel()
        edges = np.concatenate([np.linspace(low, low + side, _START + 1), near])
        edges = np.unique(np.clip(edges, low, low + side))
        edges = edges[np.concatenate([[True], np.diff(edges) > _LEAST * side])]
        edges[-1] = low + side
        values = along(edges)
        while edges.size < _MOST:
            wide = (np.abs(np.diff(values)).max(0) > most_change) & (np.diff(edges) > 2 * _LEAST * side)
            if not wide.any():
                break
            halves = (edges[:-1] + edges[1:])[wide] / 2
            order = np.argsort(np.concatenate([edges, halves]), kind="stable")
            values = np.concatenate([values, along(halves)], axis=1)[:, order]
            edges = np.concatenate([edges, halves])[order]
        found.append((edges, np.diff(values)))
    return found


def _at_nodes(problem: Problem, u: float | None) -> tuple[Density, ...]:
    """Of a coefficient made of a field: from node to node."""
    spline, box = problem.operator.field, problem.cell or problem.domain
    assert isinstance(spline, Spline)
    values = spline.nodes
    axes = [
        np.linspace(low, high, count) for low, high, count in zip(spline.lower, spline.upper, values.shape, strict=True)
    ]
    largest = [np.zeros(count - 1) for count in values.shape]
    slabs = max(1, values.size * len(problem.operator.entries) // 2**21)
    before = None
    for rows in np.array_split(np.arange(values.shape[0]), min(slabs, values.shape[0])):
        points = np.stack(np.meshgrid(axes[0][rows], *axes[1:], indexing="ij"), axis=-1)
        g = problem.boundary.at(points) + float(problem.operator.nonlinear) if u is None else u
        names = {**problem.parameters, SOLUTION: g, FIELD: values[rows]}
        logs = _logs(problem.operator, points, names)
        first = logs if before is None else np.concatenate([before, logs])
        start = rows[0] - (0 if before is None else 1)
        if len(first) > 1:
            steps = np.abs(np.diff(first, axis=0)).reshape(len(first) - 1, -1).max(1)
            largest[0][start : start + steps.size] = np.maximum(largest[0][start : start + steps.size], steps)
        for axis in range(1, values.ndim):
            steps = np.moveaxis(np.abs(np.diff(logs, axis=axis)), axis, 0)
            largest[axis] = np.maximum(largest[axis], steps.reshape(len(steps), -1).max(1))
        before = logs[-1:]
    inside = [np.clip(edge, low, high) for edge, low, high in zip(axes, box.lower, box.upper, strict=True)]
    return tuple(Density(edge, change / np.diff(edge)) for edge, change in zip(inside, largest, strict=True))


def _curvature(problem: Problem, formula: Formula) -> tuple[Density, ...]:
    box, parameters = problem.domain, {**problem.parameters, SOLUTION: 0.0}  # what u says in f and c is smooth
    flat = tuple(Density(np.array([low, high]), np.zeros(1)) for low, high in zip(box.lower, box.upper, strict=True))
    if not formula.names & set(formula.axes):
        return flat
    places = _places(problem, formula, box)
    sample = np.concatenate([box.spread(_SAMPLE, np.random.default_rng(0)), places])
    values = at_points(formula, sample, parameters)
    size = float(np.abs(values).max())
    if not (size > 0 and np.isfinite(size)):
        return flat
    found = []
    parts = changes(lambda x: 10 * at_points(formula, x, parameters)[None] / size, box, places)
    through = np.concatenate([box.spread(_LINES, np.random.default_rng(0)), places])
    for axis, (edges, _) in enumerate(parts):
        second = formula.derivative(formula.axes[axis]).derivative(formula.axes[axis])
        points = np.repeat(through[:, None], edges.size, axis=1)
        points[..., axis] = edges
        bend = np.abs(at_points(second, points, parameters))
        at_edges = np.sqrt(np.where(np.isfinite(bend), bend, 0.0).max(0) / size)
        found.append(Density(edges, np.maximum(at_edges[1:], at_edges[:-1])))
    return tuple(found)


def _wave_numbers(problem: Problem, formula: Formula) -> np.ndarray:
    """max |d phase/dx_i| over the sines, cosines and tangents of a formula, shape (d,)."""
    sample = problem.domain.spread(256, np.random.default_rng(0))
    largest = np.zeros(problem.dimension)
    u = problem.boundary.at(sample)
    for wave in formula.expression.atoms(sympy.sin, sympy.cos, sympy.tan):
        argument: Any = wave.args[0]
        phase = Formula(str(argument), argument, formula.axes)
        for offset in (0.0, 1.0) if SOLUTION in phase.names else (0.0,):
            names = problem.operator.names_at(sample, u + offset)
            slopes = [np.abs(at_points(partial, sample, names)).max() for partial in phase.gradient()]
            largest = np.maximum(largest, np.where(np.isfinite(slopes), slopes, 0.0))
    return largest


def _places(problem: Problem, formula: Formula, box: Box) -> np.ndarray:
    """Where a thin feature may be, shape (n, d): zeros and maxima of what exponentials, tanh and powers are of."""
    expression, names = formula.expression, {**problem.parameters, SOLUTION: 0.0}
    arguments = []
    for node in sorted(expression.atoms(sympy.Function, sympy.Pow), key=str):
        if isinstance(node, sympy.sin | sympy.cos | sympy.tan):
            continue
        if isinstance(node, sympy.Pow) and node.args[1].is_number and node.args[1] > 1:
            continue
        inner: Any = node.args[0]
        used = {str(name) for name in inner.free_symbols}
        if used & set(formula.axes) and FIELD not in used:
            arguments.append((Formula(str(inner), inner, formula.axes), isinstance(node, sympy.exp)))
    places = [np.empty((0, box.dimension))]
    first = box.spread(_FIRST_GUESSES, np.random.default_rng(1))
    lower, sides = np.asarray(box.lower), box.sides
    for argument, rises in arguments[:_MOST_ARGUMENTS]:
        gradient = argument.gradient()

        def objective(z: np.ndarray, argument: Formula = argument, gradient=gradient, rises: bool = rises):
            point = lower + z * sides
            value = float(at_points(argument, point, names))
            slope = np.array([float(at_points(partial, point, names)) for partial in gradient]) * sides
            return (-value, -slope) if rises else (value**2, 2 * value * slope)

        values = at_points(argument, first, names)
        worth = values if rises else -np.abs(values)
        for start in first[np.argsort(-np.where(np.isfinite(worth), worth, -np.inf))[:2]]:
            with np.errstate(all="ignore"):
                end = minimize(
                    objective, (start - lower) / sides, jac=True, bounds=[(0, 1)] * box.dimension, method="L-BFGS-B",
                    options={"ftol": 1e-16, "gtol": 1e-14},
                ).x  # fmt: skip
            if np.isfinite(end).all():
                places.append((lower + np.clip(end, 0, 1) * sides)[None])
    return np.unique(np.concatenate(places).round(12), axis=0)
