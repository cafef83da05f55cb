"""The figure of u(x; mu)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from homog.plots.panels import FINE, HOMOGENIZED, LOOK, NETWORK, Values, draw_map
from homog.plots.sections import plane_of, sections_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class OverParameters:
    """What is drawn.

    Attributes:
        title: Above the figure.
        axes: Coordinates of the grid.
        mean, deviation: Mean and standard deviation of u over mu there.
        quantiles: Three quantiles along x1 through the middle of the grid, shape (3, n).
        name: The first parameter.
        along: Values of it, the others at the middle of their ranges.
        told: Estimated relative L2 error against u_0 there.
        members: Its value, and the error against u_eps and u_0, of members that references are known of.
    """

    title: str
    axes: Sequence[Values]
    mean: Values
    deviation: Values
    quantiles: Values
    name: str
    along: Values
    told: Sequence[float]
    members: Sequence[tuple[float, float | None, float | None]]


def draw_family(data: OverParameters) -> "Figure":
    """Draw mean and deviation over mu, quantiles along a section, and errors along the first parameter."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(LOOK):
        figure = Figure(figsize=(11.5, 5.8 if len(data.axes) > 1 else 3.2), layout="constrained")
        figure.suptitle(data.title, parse_math=False)
        maps = len(data.axes) > 1
        rows = 1 + maps
        if maps:
            index, _ = plane_of(data.axes)
            for place, (values, name, colours) in enumerate(
                ((data.mean, "mean over the parameters", "viridis"), (data.deviation, "standard deviation", "magma")), 1
            ):
                plane = values[index]
                limits = min(0.0, float(plane.min())), float(plane.max()) or 1.0
                draw_map(figure.add_subplot(rows, 2, place), data.axes[:2], plane, name, colours, limits)
        _draw_quantiles(figure.add_subplot(rows, 2, 2 * rows - 1), data)
        _draw_errors(figure.add_subplot(rows, 2, 2 * rows), data)
    return figure


def _draw_quantiles(panel: "Axes", data: OverParameters) -> None:
    section = sections_of(data.axes)[0]
    low, middle, high = data.quantiles
    panel.fill_between(section.positions, low, high, color=NETWORK.color, alpha=0.25, linewidth=0, label="5 to 95 %")
    panel.plot(section.positions, middle, color=NETWORK.color, linewidth=1.2, label="median")
    panel.plot(section.positions, data.mean[section.index], "k:", linewidth=1.0, label="mean")
    panel.set(title=f"over the parameters, {section.title}", xlabel=section.label, ylabel="$u$")
    panel.legend(loc="best")


def _draw_errors(panel: "Axes", data: OverParameters) -> None:
    panel.plot(data.along, data.told, color=NETWORK.color, linewidth=1.2, label="told, against $u_0$")
    for pen, which, name in ((FINE, 1, r"against $u_\varepsilon$"), (HOMOGENIZED, 2, "against $u_0$")):
        known = [(member[0], member[which]) for member in data.members if member[which] is not None]
        if known:
            panel.plot(*np.array(known).T, "o", color=pen.color, markersize=4, label=name)
    panel.set(title="errors", ylabel="relative $L^2$ error", yscale="log")
    panel.set_xlabel(data.name, parse_math=False)
    panel.grid(which="both", alpha=0.25, linewidth=0.5)
    panel.legend(loc="best")
