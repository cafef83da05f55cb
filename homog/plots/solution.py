"""The figure of one run, after Figure 4 of the paper."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from homog.plots.panels import (
    DOTS_PER_INCH,
    FINE,
    FINE_SCALE,
    HOMOGENIZED,
    LOOK,
    MEAN_COEFFICIENT,
    NETWORK,
    Pen,
    Values,
    draw_absence,
    draw_faces,
    draw_flow,
    draw_lines,
    draw_map,
    draw_training_curve,
    marks_of_faces,
)
from homog.plots.sections import plane_of, sections_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FIELD_COLORS, _COEFFICIENT_COLORS, _ERROR_COLORS = "viridis", "cividis", "magma"


@dataclass(frozen=True)
class Compared:
    """An answer beside a reference that is known at points alone.

    Attributes:
        pen: The reference's.
        reference: Its values, shape (n,).
        standard_error: Of these, shape (n,); None where they have no noise.
        answer: The answer's values there, shape (n,).
    """

    pen: Pen
    reference: Values
    standard_error: Values | None
    answer: Values


@dataclass(frozen=True)
class SolutionData:
    """What the figure of a run shows: functions on a grid, indexed [i1, i2, ...], x1 along the first axis.

    Attributes:
        title: Above the figure.
        axes: The grid of the solutions: d increasing, uniform arrays of shapes (n1,), (n2,), ...
        network: The trained solution, shape (n1, n2, ...).
        coefficient_axes: A grid of the coefficient's own, d arrays: a patch, where the whole would alias.
        coefficient: a on that grid; of a matrix tr A / d.
        fine: The fine-scale reference u_eps, shape of `network`, or None.
        homogenized: The homogenised solution u_0, likewise; the reference where there is no `fine`.
        mean_coefficient: The solution u_mean for the mean coefficient, likewise.
        curve: (iteration, relative L2 error) over the training.
        fine_scale: The trained solution with the microscale that walkers put back, shape of `network`, or None.
        answer: What the trained solution is called.
        compared: It beside a reference that is known at points alone, which then has no map.
        faces: What holds on x1-, x1+, ...: value, flux, robin or periodic; nothing where all have a value.
        symbol: Of the coefficient.
        by: What `fine` is by: FEM or a formula.
        flow: The velocity on the coefficient's grid, shape (d, *grid), or None.
    """

    title: str
    axes: Sequence[Values]
    network: Values
    coefficient_axes: Sequence[Values]
    coefficient: Values
    fine: Values | None = None
    homogenized: Values | None = None
    mean_coefficient: Values | None = None
    curve: Sequence[tuple[int, float]] = ()
    fine_scale: Values | None = None
    answer: str = NETWORK.label
    compared: Compared | None = None
    faces: Sequence[str] = ()
    symbol: str = "$a$"
    flow: Values | None = None
    by: str = "FEM"

    def __post_init__(self) -> None:
        """Check that everything is on its grid.

        Raises:
            ValueError: If an array has another shape than its grid.
        """
        _require_shape("coefficient", self.coefficient, self.coefficient_axes)
        for name in ("network", "fine", "homogenized", "mean_coefficient", "fine_scale"):
            _require_shape(name, getattr(self, name), self.axes)

    @property
    def pen(self) -> Pen:
        """The answer's, by its name."""
        return replace(NETWORK, label=self.answer)

    @property
    def reference(self) -> tuple[Pen, Values] | None:
        """What the network is held against, and its pen: `fine`, else `homogenized`, else None."""
        if self.fine is not None:
            return (FINE if self.by == "FEM" else replace(FINE, label=FINE.symbol)), self.fine
        if self.homogenized is not None:
            return replace(HOMOGENIZED, width=FINE.width), self.homogenized
        return None

    @property
    def lines(self) -> list[tuple[Pen, Values]]:
        """Every solution there is, in drawing order."""
        thin = self.homogenized if self.fine is not None else None
        found = [
            (MEAN_COEFFICIENT, self.mean_coefficient),
            (HOMOGENIZED, thin),
            self.reference,
            (FINE_SCALE, self.fine_scale),
        ]
        present = [(pen, values) for pen, values in filter(None, found) if values is not None]
        return [*present, (self.pen, self.network)]


def solution_figure(data: SolutionData, path: Path, title: Callable[[], str] | None = None) -> None:
    """Draw the figure of a run into a file.

    Args:
        data: What to show.
        path: Path of the figure; its ending chooses the format, its folder is created where it is missing.
        title: Gives the title when all else is drawn, in place of that of the data.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = draw_solution(data)
    if title is not None:
        figure.suptitle(title(), parse_math=False)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def draw_solution(data: SolutionData) -> "Figure":
    """Draw the figure of a run: coefficient, training, reference, network, pointwise error, cross-sections.

    In one dimension the cross-sections are the solutions themselves; from three dimensions on the maps show
    the middle plane.

    Args:
        data: What to show.

    Returns:
        The figure, outside pyplot's global state; its panels are labelled (`Axes.get_label`) `coefficient`,
        `training`, `reference`, `network`, `error`, `section 1` to `section 3`, as far as they exist.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    layout, size = _layout(data)
    with rc_context(LOOK):
        # 'compressed' keeps maps of a fixed shape, their colour bars and the lines below them in columns.
        figure = Figure(figsize=size, layout="constrained" if len(data.axes) == 1 else "compressed")
        panels = figure.subplot_mosaic(layout, empty_sentinel=".")
        figure.suptitle(data.title, parse_math=False)
        _draw_coefficient(panels["coefficient"], data)
        draw_training_curve(panels["training"], data.curve, _levels(data))
        if len(data.axes) == 1:
            _draw_error_line(panels["error"], data)
        else:
            _draw_maps(panels, data)
        if data.compared is not None and len(data.axes) > 1:
            _draw_compared(panels["compared"], panels["residual"], data.compared, data.answer)
        sections = sections_of(data.axes)
        for number, section in enumerate(sections, start=1):
            lines = [(pen, values[section.index]) for pen, values in data.lines]
            draw_lines(panels[f"section {number}"], section.positions, lines, section.title, section.label)
        handles, _ = panels["section 1"].get_legend_handles_labels()
        marks = [*handles[::-1], *(marks_of_faces(data.faces) if len(data.axes) > 1 else [])]
        figure.legend(handles=marks, loc="outside lower center", ncols=len(marks))
    return figure


def _layout(data: SolutionData) -> tuple[list[Any], tuple[float, float]]:
    if len(data.axes) == 1:
        return [["coefficient", "training"], ["section 1", "error"]], (9.0, 6.4)
    maps = ["reference", "network", "error"] if data.reference else [".", "network", "."]
    if data.compared is not None:
        maps = ["compared", "network", "residual"]
    top = ["coefficient", "training", "training"]
    return [top, maps, ["section 1", "section 2", "section 3"]], (10.5, 8.9)


def _draw_coefficient(panel: "Axes", data: SolutionData) -> None:
    axes, values = data.coefficient_axes, data.coefficient
    title = f"coefficient {data.symbol}{'' if data.flow is None else ', flow'}" + (
        " (detail)" if _is_patch(axes, data.axes) else ""
    )
    if len(axes) == 1:
        draw_lines(panel, axes[0], [(Pen("coefficient", data.symbol, "#000000", 1.0, "-"), values)], title, "$x$")
        return
    index, fixed = plane_of(axes)
    plane = values[index]
    draw_map(panel, axes[:2], plane, _join(title, fixed), _COEFFICIENT_COLORS, _limits(plane))
    if data.flow is not None:
        draw_flow(panel, axes[:2], np.stack([part[index] for part in data.flow[:2]]))


def _draw_maps(panels: "dict[str, Axes]", data: SolutionData) -> None:
    index, fixed = plane_of(data.axes)
    network = data.network[index]
    if data.reference is None:
        shown = [("network", data.answer, network)]
    else:
        pen, values = data.reference
        shown = [("reference", pen.label, values[index]), ("network", data.answer, network)]
        error = np.abs(network - values[index])
        title = _join(f"|{data.answer} $-$ {pen.symbol}|", fixed)
        draw_map(panels["error"], data.axes[:2], error, title, _ERROR_COLORS, (0.0, _limits(error)[1]))
    limits = _limits(*(values for _, _, values in shown))  # one scale, so that colours can be compared
    for name, title, values in shown:
        draw_map(panels[name], data.axes[:2], values, _join(title, fixed), _FIELD_COLORS, limits)
        if data.faces:
            draw_faces(panels[name], data.axes[:2], data.faces[:4])


def _draw_compared(panel: "Axes", residual: "Axes", data: Compared, answer: str) -> None:
    """The answer against the reference at its points, and what they differ by, with 95 % intervals."""
    look = {"fmt": ".", "markersize": 3, "elinewidth": 0.6, "color": NETWORK.color, "ecolor": "#999999"}
    order = np.argsort(data.reference)
    truth, values = data.reference[order], data.answer[order]
    half = None if data.standard_error is None else 1.96 * data.standard_error[order]
    panel.plot(truth, truth, color=data.pen.color, linewidth=0.8)
    panel.errorbar(truth, values, xerr=half, **look)
    panel.set(title=f"{answer} at {len(truth)} points", xlabel=data.pen.symbol, ylabel="answer")
    residual.axhline(0.0, color=data.pen.color, linewidth=0.8)
    residual.errorbar(truth, values - truth, yerr=half, **look)
    residual.set(title=f"{answer} $-$ {data.pen.symbol}", xlabel=data.pen.symbol)
    for axes in (panel, residual):
        axes.grid(alpha=0.25, linewidth=0.5)


def _draw_error_line(panel: "Axes", data: SolutionData) -> None:
    if data.reference is None:
        draw_absence(panel, "no reference to compare with")
        return
    pen, values = data.reference
    error = Pen("error", "error", "#000000", 1.0, "-")
    title = f"|{data.answer} $-$ {pen.symbol}|"
    draw_lines(panel, data.axes[0], [(error, np.abs(data.network - values))], title, "$x$")


def _levels(data: SolutionData) -> list[tuple[Pen, float]]:
    """Errors of u_0 and u_mean against the reference, what a run should reach and beat, and with the fine scale."""
    if data.reference is None:
        return []
    pen, reference = data.reference
    others = [(other, values) for other, values in data.lines if other not in (pen, data.pen)]
    size = np.linalg.norm(reference)
    return [(other, float(np.linalg.norm(values - reference) / size)) for other, values in others]


def _is_patch(patch: Sequence[Values], domain: Sequence[Values]) -> bool:
    return any(np.ptp(a) < 0.999 * np.ptp(b) for a, b in zip(patch, domain, strict=True))


def _limits(*fields: Values) -> tuple[float, float]:
    finite = np.concatenate([values[np.isfinite(values)] for values in fields])  # a diverged run has others
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _join(title: str, fixed: str) -> str:
    return f"{title}, {fixed}" if fixed else title


def _require_shape(name: str, values: Values | None, axes: Sequence[Values]) -> None:
    shape = tuple(len(axis) for axis in axes)
    if values is not None and values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}, its grid {shape}")
