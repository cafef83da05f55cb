"""The figure of a sweep: the error against a ratio of time steps, as Fig. 2 and Fig. 3 of the paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from homog.plots.panels import DOTS_PER_INCH, FINE, HOMOGENIZED, LOOK, MEAN_COEFFICIENT, NETWORK, Values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = [pen.color for pen in (HOMOGENIZED, NETWORK, MEAN_COEFFICIENT, FINE)]
_MARKERS = "osD^"


@dataclass(frozen=True)
class SweepLine:
    """The runs that differ in one ratio and in their seed.

    Attributes:
        label: In the legend.
        ratios: Increasing, positive, shape (n,).
        errors: At each ratio those of all trials, n arrays of shape (trials,).
        band: The range of ratios to be shaded, if any.
        floor: The error of u_0 itself, where it is known.
    """

    label: str
    ratios: Values
    errors: Sequence[Values]
    band: tuple[float, float] | None = None
    floor: float | None = None


@dataclass(frozen=True)
class SweepLabels:
    """What is written around the lines of a sweep.

    Attributes:
        title: Above the figure.
        ratio: Name of the horizontal axis.
        error: Name of the vertical axis.
        band: What the shaded ranges are, in the legend.
        mark: A ratio to be marked by a vertical line, with its name, if any.
    """

    title: str
    ratio: str
    error: str
    band: str = ""
    mark: tuple[float, str] | None = None


def sweep_figure(lines: Sequence[SweepLine], labels: SweepLabels, path: Path) -> None:
    """Draw the figure of a sweep into a file.

    Args:
        lines: What was measured.
        labels: What it is.
        path: Path of the figure; its ending chooses the format, its folder is created where it is missing.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_sweep(lines, labels).savefig(path, dpi=DOTS_PER_INCH)


def draw_sweep(lines: Sequence[SweepLine], labels: SweepLabels) -> "Figure":
    """Draw the means over the trials with their standard deviations, both axes logarithmic.

    Args:
        lines: What was measured.
        labels: What it is.

    Returns:
        The figure, outside pyplot's global state.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(LOOK):
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", nonpositive="clip")  # a standard deviation may reach below zero
        for number, line in enumerate(lines):
            _draw_line(axes, line, number)
        if labels.mark is not None:
            position, name = labels.mark
            axes.axvline(position, color="#444444", linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
            place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
            axes.annotate(name, (position, 1), (4, -2), **place, va="top", color="#444444")
        axes.set(title=labels.title, xlabel=labels.ratio, ylabel=labels.error)
        axes.grid(which="both", alpha=0.25, linewidth=0.5)
        _label_errors_plainly(axes)
        _draw_legend(axes, lines, labels)
    return figure


def _draw_line(axes: "Axes", line: SweepLine, number: int) -> None:
    color = _COLORS[number % len(_COLORS)]
    means = np.array([np.mean(errors) for errors in line.errors])
    spreads = np.array([np.std(errors, ddof=1) if len(errors) > 1 else 0.0 for errors in line.errors])
    marker = _MARKERS[number % len(_MARKERS)]
    style = {"color": color, "marker": marker, "markersize": 4.5, "linewidth": 1.4, "capsize": 3, "elinewidth": 1.0}
    axes.errorbar(line.ratios, means, spreads, label=f"{line.label}, {_trials(line)}", **style)
    if line.band is not None:
        axes.axvspan(*line.band, color=color, alpha=0.14, linewidth=0, zorder=0)
    if line.floor is not None:
        axes.axhline(line.floor, color=color, linewidth=0.9, linestyle=":", zorder=1)


def _draw_legend(axes: "Axes", lines: Sequence[SweepLine], labels: SweepLabels) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles, names = axes.get_legend_handles_labels()
    if any(line.band for line in lines):
        handles.append(Patch(color="#888888", alpha=0.3, linewidth=0))
        names.append(labels.band)
    if any(line.floor is not None for line in lines):
        handles.append(Line2D([], [], color="#888888", linewidth=0.9, linestyle=":"))
        names.append("$u_0$ itself")
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.legend(handles, names, loc="outside lower center", ncols=2)


def _label_errors_plainly(axes: "Axes") -> None:
    """Within one decade matplotlib would label a single tick, and otherwise write 6 x 10^-2."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_ylim()
    fine = high / low < 200
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5) if fine else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _trials(line: SweepLine) -> str:
    counts = sorted({len(errors) for errors in line.errors})
    few, most = counts[0], counts[-1]
    return f"{few} trial{'s' if most > 1 else ''}" if few == most else f"{few} to {most} trials"
