"""The figures of one run, from its problem and its answers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from homog.config import WITH_A_GRID
from homog.domains import Box, tensor_grid
from homog.equation import Problem
from homog.plots.field import field_figure
from homog.plots.panels import FINE, HOMOGENIZED
from homog.plots.solution import Compared, SolutionData, solution_figure
from homog.references import Reference

Curve = list[tuple[int, float]]
"""The error after so many iterations."""


def draw_run(
    title: Callable[[], str],
    problem: Problem,
    reference: Reference,
    values: np.ndarray,
    drawn: tuple[tuple[np.ndarray, ...], np.ndarray],
    curve: Curve,
    folder: Path,
    fine_scale: np.ndarray | None = None,
    answer: str = "network",
) -> list[Path]:
    """Draw `solution.png` and, where the coefficient is made of a field, `field.png`.

    Args:
        title: What was run; asked for when all else is drawn.
        problem: Gives coefficient and domain.
        reference: What the network is held against.
        values: The network's, at the reference's places.
        drawn: Axes of a grid, and the network's values on it.
        curve: (iteration, error) over the training.
        folder: Where to.
        fine_scale: The network's values with the microscale put back, where there are such.
        answer: What the network is called.

    Returns:
        The files.
    """
    on_grid = fine_scale if reference.axes else None
    data = solution_data("", problem, *drawn, reference, curve, on_grid, answer, values)
    solution_figure(data, folder / "solution.png", title)
    if problem.operator.field is None:
        return [folder / "solution.png"]
    _draw_field(title().partition("\n")[0], problem, folder / "field.png")
    return [folder / "solution.png", folder / "field.png"]


def solution_data(
    title: str,
    problem: Problem,
    axes: tuple[np.ndarray, ...],
    values: np.ndarray,
    reference: Reference | None,
    curve: Curve,
    fine_scale: np.ndarray | None = None,
    answer: str = "network",
    at_points: np.ndarray | None = None,
) -> SolutionData:
    """What the figure of a run shows.

    Args:
        title: What was run.
        problem: Gives coefficient and domain.
        axes: The grid of the values, that of the reference where it has one.
        values: The network's, on that grid.
        reference: What the network is held against, or None.
        curve: The error over the training.
        fine_scale: The network's values with the microscale put back, where there are such.
        answer: What the network is called.
        at_points: The network's values at the reference's places, where these are no grid.
    """
    patch = _patch(problem)
    points = tensor_grid(patch)
    operator = problem.operator
    reads_u = operator.nonlinear or operator.velocity_of_u
    u = RegularGridInterpolator(axes, values)(points) if reads_u else np.zeros(points.shape[:-1])
    on_grid = reference if reference and reference.axes else None
    return SolutionData(
        title=title,
        axes=axes,
        network=values,
        coefficient_axes=patch,
        coefficient=operator.coefficient_at(points, u),
        fine=on_grid.fine if on_grid else None,
        homogenized=on_grid.homogenized if on_grid else None,
        mean_coefficient=on_grid.mean_coefficient if on_grid else None,
        curve=curve,
        fine_scale=fine_scale,
        answer=answer,
        compared=None if reference is None or on_grid or at_points is None else _compared(reference, at_points),
        faces=() if problem.boundary.walls.all_absorbing else problem.boundary.names,
        symbol=symbol(problem),
        by="FEM" if reference is None else reference.by,
        flow=None if operator.velocity is None else np.moveaxis(operator.velocity_at(points, u), -1, 0),
    )


def symbol(problem: Problem) -> str:
    """What is drawn of a coefficient: of a matrix a number, the mean of its diagonal."""
    return "$a$" if problem.operator.tensor is None else r"$\mathrm{tr}\,A / d$"


def drawn_axes(domain: Box, count: int) -> tuple[np.ndarray, ...]:
    """A grid for figures: `count` points an axis; from four dimensions on 61 along three axes, in the middle of all."""
    if domain.dimension <= WITH_A_GRID:
        return domain.axes(count)
    middle = [np.array([center]) for center in (domain.lower + domain.sides / 2).tolist()]
    return (*domain.axes(61)[:WITH_A_GRID], *middle[WITH_A_GRID:])


def _compared(reference: Reference, values: np.ndarray) -> Compared | None:
    if reference.fine is not None:
        return Compared(FINE, reference.fine, reference.fine_standard_error, values)
    if reference.homogenized is not None:
        return Compared(HOMOGENIZED, reference.homogenized, reference.homogenized_standard_error, values)
    return None


def _patch(problem: Problem) -> tuple[np.ndarray, ...]:
    """Where the coefficient is drawn: four periods in the middle where it has periods, since the whole would alias.

    Two where a velocity turns in each. A velocity beside a coefficient that does not vary is drawn on the whole domain,
    unless it has these periods too.
    """
    operator = problem.operator
    varies = operator.velocity is None or problem.stirs or bool(operator.names & set(operator.coefficient.axes))
    lower, upper = np.array(problem.domain.lower), np.array(problem.domain.upper)
    if problem.cell is not None and varies:
        periods = 1 if problem.stirs else 2
        half = np.minimum(problem.domain.sides / 2, periods * problem.cell.sides)
        lower, upper = (lower + upper) / 2 - half, (lower + upper) / 2 + half
    drawn = list(zip(lower, upper, _drawn_nodes(problem), strict=True))
    axes = [np.linspace(low, high, count) for low, high, count in drawn]
    if problem.dimension > WITH_A_GRID:  # the plane that is shown
        axes[2:] = [np.array([(low + high) / 2]) for low, high, _ in drawn[2:]]
    return tuple(axes)


def _drawn_nodes(problem: Problem) -> tuple[int, ...]:
    """How many nodes an axis of the coefficient is drawn with: those of its field, unless there are too many."""
    fewest, most = (241, 2049) if problem.dimension < 3 else (61, 129)
    if problem.operator.field is None:
        return (fewest,) * problem.dimension
    return tuple(min(max(fewest, count + 1), most) for count in problem.operator.field.intervals)


def _draw_field(title: str, problem: Problem, path: Path) -> None:
    """The field on its own nodes, of a repeated one a cell; in three dimensions those of the plane in the middle."""
    field = problem.operator.field
    assert field is not None
    axes = [
        np.linspace(low, high, min(count + 1, 2049))
        for low, high, count in zip(field.lower, field.upper, field.intervals, strict=True)
    ]
    axes[2:] = [axis[[len(axis) // 2]] for axis in axes[2:]]
    values = field(tensor_grid(axes))
    field_figure(axes[:2], values[..., 0] if len(axes) == 3 else values, f"{title}: field", path)
