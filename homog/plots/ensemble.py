"""The figure of u over the samples of a random medium."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from homog.plots.panels import LOOK, NETWORK, Values, draw_map
from homog.plots.sections import plane_of, sections_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class OverSamples:
    """What is drawn.

    Attributes:
        title: Above the figure.
        axes: Coordinates of the grid.
        mean, standard_error, deviation: Mean of u over the law, its standard error, and the standard deviation there.
        samples: u of each sample along x1 through the middle of the grid, shape (n, k).
    """

    title: str
    axes: Sequence[Values]
    mean: Values
    standard_error: Values
    deviation: Values
    samples: Values


def draw_ensemble(data: OverSamples) -> "Figure":
    """Draw mean and standard deviation over the law, and a section through all samples."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    maps = len(data.axes) > 1
    with rc_context(LOOK):
        figure = Figure(figsize=(12.5 if maps else 6.0, 3.5), layout="constrained")
        figure.suptitle(data.title, parse_math=False)
        if maps:
            index, _ = plane_of(data.axes)
            shown = ((data.mean, "mean over samples", "viridis"), (data.deviation, "standard deviation", "magma"))
            for place, (values, name, colours) in enumerate(shown, 1):
                plane = values[index]
                largest = float(np.abs(plane).max()) or 1.0
                signed = float(plane.min()) < 0
                limits = (-largest, largest) if signed else (0.0, largest)
                draw_map(figure.add_subplot(1, 3, place), data.axes[:2], plane, name, "RdBu_r" if signed else colours,
                         limits)  # fmt: skip
        section, panel = sections_of(data.axes)[0], figure.add_subplot(1, 3 if maps else 1, 3 if maps else 1)
        mean, error = data.mean[section.index], data.standard_error[section.index]
        for number, one in enumerate(data.samples):
            panel.plot(section.positions, one, color="#999999", linewidth=0.5, alpha=0.6,
                       label=None if number else f"{len(data.samples)} samples")  # fmt: skip
        panel.fill_between(section.positions, mean - 2 * error, mean + 2 * error, color=NETWORK.color, alpha=0.3,
                           linewidth=0)  # fmt: skip
        panel.plot(section.positions, mean, color=NETWORK.color, linewidth=1.4, label="mean, two standard errors")
        panel.set(title=section.title, xlabel=section.label, ylabel="$u$")
        panel.legend(loc="best")
    return figure
