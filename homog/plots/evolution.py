"""The figure of u(x, t)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from homog.plots.panels import FINE, HOMOGENIZED, LOOK, NETWORK, Values, draw_map
from homog.plots.sections import plane_of, sections_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 5  # times that are drawn


@dataclass(frozen=True, eq=False)
class OverTime:
    """What is drawn.

    Attributes:
        title: Above the figure.
        axes: Coordinates of the grid.
        times: The times, ascending.
        values: u there, shape (times, *grid).
        fine, homogenized: u_eps and u_0, likewise; None where they are not known.
        told: The relative L2 error of u at each time, by its own estimate, against u_0.
        errors, errors_homogenized: Those against u_eps and u_0; None where these are not known.
    """

    title: str
    axes: Sequence[Values]
    times: Sequence[float]
    values: Values
    fine: Values | None
    homogenized: Values | None
    told: Sequence[float]
    errors: Sequence[float] | None
    errors_homogenized: Sequence[float] | None


def draw_evolution(data: OverTime) -> "Figure":
    """Draw u at up to five times, a section through it at these beside the references, and the errors over time."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    shown = np.unique(np.linspace(0, len(data.times) - 1, min(_MOST, len(data.times))).round().astype(int))
    maps = len(data.axes) > 1
    with rc_context(LOOK):
        figure = Figure(figsize=(2.6 * max(len(shown), 4), 5.6 if maps else 3.2), layout="constrained")
        figure.suptitle(data.title, parse_math=False)
        rows = figure.add_gridspec(1 + maps, 1)
        if maps:
            above = rows[0].subgridspec(1, len(shown))
            index, held = plane_of(data.axes)
            for place, number in enumerate(shown):
                plane = data.values[number][index]
                name = f"$t = {data.times[number]:.3g}$" + (f", {held}" if held else "")
                draw_map(figure.add_subplot(above[0, place]), data.axes[:2], plane, name, "viridis",
                         (min(0.0, float(plane.min())), float(plane.max()) or 1.0))  # fmt: skip
        below = rows[-1].subgridspec(1, 2, width_ratios=(1.4, 1))
        _draw_sections(figure.add_subplot(below[0, 0]), data, shown)
        _draw_errors(figure.add_subplot(below[0, 1]), data)
    return figure


def _draw_sections(panel: "Axes", data: OverTime, shown: np.ndarray) -> None:
    section = sections_of(data.axes)[0]
    for number in shown:
        first = number == shown[0]
        along = data.values[number][section.index]
        for pen, values in ((FINE, data.fine), (HOMOGENIZED, data.homogenized), (NETWORK, data.values)):
            if values is not None:
                label = "walkers" if pen is NETWORK else pen.label
                panel.plot(section.positions, values[number][section.index], **pen.line, label=label if first else None)
        middle = len(section.positions) // 2
        panel.annotate(f"{data.times[number]:.3g}", (section.positions[middle], along[middle]), (0, 2),
                       textcoords="offset points", ha="center", va="bottom", fontsize=7)  # fmt: skip
    panel.set(title=f"{section.title}, at the times named", xlabel=section.label, ylabel="$u$")
    panel.legend(loc="best")


def _draw_errors(panel: "Axes", data: OverTime) -> None:
    style = {"marker": ".", "linewidth": 1.2}
    for errors, pen, name in (
        (data.errors, FINE, r"against $u_\varepsilon$"),
        (data.errors_homogenized, HOMOGENIZED, "against $u_0$"),
        (data.told, NETWORK, "told, against $u_0$"),
    ):
        if errors is not None:
            panel.plot(data.times, errors, color=pen.color, label=name, **style)
    panel.set(title="errors over time", xlabel="$t$", ylabel="relative $L^2$ error", yscale="log")
    panel.grid(which="both", alpha=0.25, linewidth=0.5)
    panel.legend(loc="best")
