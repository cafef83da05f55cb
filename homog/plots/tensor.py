"""The figure of an effective tensor: one cell of the medium, and how well each direction conducts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from homog.plots.panels import DOTS_PER_INCH, HOMOGENIZED, LOOK, MEAN_COEFFICIENT, NETWORK, Values, draw_flow, draw_map


def tensor_figure(
    axes: Sequence[Values],
    medium: tuple[str, Values],
    walkers: Values,
    cell: Values,
    bounds: tuple[float, float],
    title: str,
    path: Path,
    flow: Values | None = None,
) -> None:
    """Draw one cell and e.a* e for all directions e of the plane (x1, x2).

    Args:
        axes: Coordinates of the cell, two arrays.
        medium: What is shown of the medium, and its values there; in three dimensions in the plane through the middle.
        walkers: a* by walkers, shape (d, d).
        cell: a* by the cell problem.
        bounds: Harmonic and arithmetic mean of the coefficient, as `Mixture.reuss` and `voigt`.
        title: Above the figure.
        path: Path of the figure.
        flow: Components of a velocity along the two axes, shape (2, n1, n2), or None.
    """
    from matplotlib import rc_context
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(LOOK):
        figure = Figure(figsize=(9.6, 4.4), layout="constrained")
        grid = figure.add_gridspec(1, 2)
        left, right = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1], projection="polar")
        figure.suptitle(title, parse_math=False)
        name, values = medium
        low, high = float(values.min()), float(values.max())
        draw_map(left, axes, values, f"{name} in one cell", "cividis", (low, high))
        if flow is not None:
            draw_flow(left, axes, flow)
        if low > 0 and high > 20 * low:
            left.images[0].set_norm(LogNorm(low, high))
        angle = np.linspace(0, 2 * np.pi, 361)
        direction = np.stack([np.cos(angle), np.sin(angle)])
        pens = ((HOMOGENIZED, cell, "cell problem", 2.0), (NETWORK, walkers, "walkers", 1.4))
        for pen, tensor, label, width in pens:
            along = np.einsum("ia,ij,ja->a", direction, tensor[:2, :2], direction)
            right.plot(angle, along, **{**pen.line, "linewidth": width}, label=label)
        most = 1.3 * float(np.abs(np.linalg.eigvalsh(walkers)).max())
        for bound, label in zip(bounds, ("harmonic mean", "arithmetic mean"), strict=True):
            if 0 < bound < most:
                right.plot(angle, np.full_like(angle, bound), **MEAN_COEFFICIENT.line, alpha=0.7, label=label)
        right.set_ylim(0, most)
        right.set_title("$e \\cdot a^* e$ in the direction $e$")
        right.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        figure.savefig(path, dpi=DOTS_PER_INCH)
