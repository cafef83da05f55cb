"""The figure of u(x, t)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from homog.plots.panels import FINE, HOMOGENIZED, LOOK, NETWORK, Values, draw_map
from homog.plots.sections import plane_of, sections_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 5  # times that are drawn
_FRAMES_A_SECOND = 10


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
                plane, whole = data.values[number][index], data.values[shown][(slice(None), *index)]
                name = f"$t = {data.times[number]:.3g}$" + (f", {held}" if held else "")
                draw_map(figure.add_subplot(above[0, place]), data.axes[:2], plane, name, "viridis",
                         (min(0.0, float(whole.min())), float(whole.max()) or 1.0))  # fmt: skip
        below = rows[-1].subgridspec(1, 2, width_ratios=(1.4, 1))
        _draw_sections(figure.add_subplot(below[0, 0]), data, shown)
        _draw_errors(figure.add_subplot(below[0, 1]), data)
    return figure


def animate_evolution(axes: Sequence[Values], times: Sequence[float], values: Values, title: str, path: Path) -> None:
    """Write u over time as an animated GIF, a map or in one dimension a curve; of three the plane through the middle.

    Args:
        axes: Coordinates of the grid.
        times: Of the frames, ascending.
        values: u there, shape (times, *grid).
        title: Above each frame, before its time.
        path: The file.
    """
    from matplotlib import rc_context
    from matplotlib.animation import PillowWriter
    from matplotlib.figure import Figure

    limits = min(0.0, float(values.min())), float(values.max()) or 1.0
    with rc_context(LOOK):
        figure = Figure(figsize=(4.2, 3.6), layout="constrained")
        writer = PillowWriter(fps=_FRAMES_A_SECOND)
        with writer.saving(figure, str(path), dpi=100):
            for time, now in zip(times, values, strict=True):
                figure.clear()
                panel, name = figure.add_subplot(), f"{title}, $t = {time:.3g}$"
                if len(axes) == 1:
                    panel.plot(axes[0], now, color=NETWORK.color)
                    panel.set(title=name, xlabel="$x$", ylabel="$u$", ylim=limits)
                else:
                    draw_map(panel, axes[:2], now[plane_of(axes)[0]], name, "viridis", limits)
                writer.grab_frame()


def _draw_sections(panel: "Axes", data: OverTime, shown: np.ndarray) -> None:
    from matplotlib import colormaps

    section, colours = sections_of(data.axes)[0], colormaps["plasma"]
    for place, number in enumerate(shown):
        for pen, values in ((FINE, data.fine), (HOMOGENIZED, data.homogenized)):
            if values is not None:
                label = None if place else pen.label
                panel.plot(
                    section.positions, values[number][section.index], **{**pen.line, "linewidth": 0.8}, label=label
                )
        colour = colours(0.85 * place / max(1, len(shown) - 1))
        panel.plot(section.positions, data.values[number][section.index], color=colour, linestyle="--", linewidth=1.6,
                   label=f"walkers, $t = {data.times[number]:.3g}$")  # fmt: skip
    panel.set(title=section.title, xlabel=section.label, ylabel="$u$")
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
