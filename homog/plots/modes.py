"""The figure of the modes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from homog.plots.panels import LOOK, Pen, Values, draw_lines, draw_map
from homog.plots.sections import plane_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST, _COLUMNS = 12, 4


def draw_modes(axes: Sequence[Values], modes: Values, values: Values, widths: Values, title: str) -> "Figure":
    """Draw the first modes, each under its eigenvalue; of three dimensions the plane through the middle.

    Args:
        axes: Coordinates of the grid.
        modes: On it, shape (n, *grid).
        values: Their eigenvalues, shape (n,).
        widths: Half widths of the intervals of these.
        title: Above the figure.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    count = min(len(modes), _MOST)
    columns = min(count, 3 if count <= 6 else _COLUMNS)
    rows = -(-count // columns)
    with rc_context(LOOK):
        figure = Figure(figsize=(3.1 * columns, 2.7 * rows + 0.4), layout="constrained")
        figure.suptitle(title, parse_math=False)
        for number in range(count):
            panel = figure.add_subplot(rows, columns, number + 1)
            name = f"{values[number]:.5g} $\\pm$ {widths[number]:.2g}"
            if len(axes) == 1:
                draw_lines(panel, axes[0], [(Pen("mode", "", "#000000", 1.2, "-"), modes[number])], name, "$x$")
                continue
            index, _ = plane_of(axes)
            plane = modes[number][index]
            largest = float(np.abs(plane).max())
            draw_map(panel, axes[:2], plane, name, "RdBu_r", (-largest, largest))
    return figure
