"""The panels that figures are put together from; each draws into axes that it is handed."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # importing matplotlib takes most of a second
    from matplotlib.axes import Axes

Values = NDArray[np.floating]

DOTS_PER_INCH = 150
LOOK: Any = {  # of all figures, for matplotlib's rc_context
    "font.size": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.labelsize": 8.5,
    "axes.titlesize": 9.5,
    "figure.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.constrained_layout.w_pad": 0.08,
}


@dataclass(frozen=True)
class Pen:
    """How one solution is drawn, the same in every panel.

    Attributes:
        label: Its name in legends.
        symbol: A short name for formulae.
        color: One of Okabe and Ito's, told apart by colour-blind readers too.
        width: In points.
        style: Matplotlib's name of the dash pattern.
    """

    label: str
    symbol: str
    color: str
    width: float
    style: str

    @property
    def line(self) -> dict[str, Any]:
        """The pen as keywords of `Axes.plot`, without the label."""
        return {"color": self.color, "linewidth": self.width, "linestyle": self.style}


FINE = Pen(r"FEM $u_\varepsilon$", r"$u_\varepsilon$", "#000000", 1.5, "-")
NETWORK = Pen("network", "network", "#d55e00", 1.6, "--")
FINE_SCALE = Pen("network and walkers", "walkers", "#cc79a7", 1.0, "-")
HOMOGENIZED = Pen("homogenised $u_0$", "$u_0$", "#0072b2", 0.8, "-")
MEAN_COEFFICIENT = Pen(r"$u_{\mathrm{mean}}$", r"$u_{\mathrm{mean}}$", "#009e73", 1.4, ":")

_FEW_POINTS = 40  # up to here a curve shows where it was measured


def draw_training_curve(
    axes: "Axes", curve: Sequence[tuple[int, float]], levels: Sequence[tuple[Pen, float]] = ()
) -> None:
    """Draw the error against the iteration, the error on a logarithmic axis.

    Args:
        axes: To draw into.
        curve: (iteration, relative L2 error); an error that is not positive and finite leaves a gap.
        levels: (pen, relative L2 error) of what the network is compared with, as labelled horizontal lines.
    """
    from matplotlib.ticker import MaxNLocator

    axes.set(title="training", xlabel="iteration", ylabel="relative $L^2$ error")
    iterations = np.array([iteration for iteration, _ in curve], dtype=float)
    errors = np.array([error for _, error in curve], dtype=float)
    drawable = np.isfinite(errors) & (errors > 0)
    if not drawable.any():
        draw_absence(axes, "no error was measured")
        return
    marker = "." if len(errors) <= _FEW_POINTS else ""
    pen = {**NETWORK.line, "linestyle": "-", "linewidth": 1.2}
    axes.semilogy(iterations, np.where(drawable, errors, np.nan), **pen, marker=marker, label=NETWORK.label)
    for level_pen, level in levels:
        if isfinite(level) and level > 0:
            axes.axhline(level, **level_pen.line, label=level_pen.label)
            # Beside the panel, where no curve can run through it.
            place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            axes.annotate(level_pen.symbol, (1, level), (4, 0), **place, color=level_pen.color, va="center")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.grid(which="both", alpha=0.25, linewidth=0.5)


def draw_flow(axes: "Axes", grid: Sequence[Values], flow: Values) -> None:
    """Draw the streamlines of a velocity over a map.

    Args:
        axes: With the map.
        grid: The two coordinate arrays, increasing and uniform, shapes (n1,) and (n2,).
        flow: Its two components at the grid's nodes, shape (2, n1, n2).
    """
    if not np.abs(flow).max() > 0:
        return
    across, up = (part.T for part in flow)
    axes.streamplot(grid[0], grid[1], across, up, density=0.9, color="white", linewidth=0.7, arrowsize=0.8)
    axes.set(xlim=(grid[0][0], grid[0][-1]), ylim=(grid[1][0], grid[1][-1]))


def draw_map(
    axes: "Axes", grid: Sequence[Values], values: Values, title: str, cmap: str, limits: tuple[float, float]
) -> None:
    """Draw a function of two variables in colours, x1 to the right and x2 upward, with its colour bar.

    Args:
        axes: To draw into.
        grid: The two coordinate arrays, increasing and uniform, shapes (n1,) and (n2,).
        values: The function at the grid's nodes, shape (n1, n2).
        title: Above the panel.
        cmap: Matplotlib's name of a colour map.
        limits: The values at the ends of the colour scale.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    low, high = limits
    # A pixel is centred on its node, so the outer ones stick out by half; the axes' limits cut that off.
    extent = (*_outer_edges(grid[0]), *_outer_edges(grid[1]))
    image = axes.imshow(values.T, origin="lower", extent=extent, cmap=cmap, vmin=low, vmax=high)
    axes.set(title=title, xlabel="$x_1$", ylabel="$x_2$")
    axes.set(xlim=(grid[0][0], grid[0][-1]), ylim=(grid[1][0], grid[1][-1]))
    axes.locator_params(nbins=4)
    bar = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.047)
    bar.ax.locator_params(nbins=6)
    bar.formatter.set_powerlimits((-3, 4))  # pyright: ignore[reportAttributeAccessIssue]
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]


_FACES: dict[str, tuple[str, Any]] = {
    "flux": ("#e69f00", "--"),
    "robin": ("#e69f00", ":"),
    "periodic": ("#56b4e9", "-."),
}
"""Colour and dashes of faces on which u is not given."""


def draw_faces(axes: "Axes", grid: Sequence[Values], faces: Sequence[str]) -> None:
    """Mark the faces of a map on which u is not given.

    Args:
        axes: With the map.
        grid: Its two coordinate arrays.
        faces: What holds on x1-, x1+, x2- and x2+: value, flux, robin or periodic.
    """
    (left, right), (bottom, top) = ((along[0], along[-1]) for along in grid)
    ends = [((left, left), (bottom, top)), ((right, right), (bottom, top)),
            ((left, right), (bottom, bottom)), ((left, right), (top, top))]  # fmt: skip
    for kind, end in zip(faces, ends, strict=True):
        if kind in _FACES:
            color, style = _FACES[kind]
            axes.plot(*end, color=color, linestyle=style, linewidth=4, clip_on=False, zorder=3)


def marks_of_faces(faces: Sequence[str]) -> list[Any]:
    """What stands for them in a legend."""
    from matplotlib.lines import Line2D

    kinds = [kind for kind in _FACES if kind in faces]
    return [
        Line2D([], [], color=_FACES[kind][0], linestyle=_FACES[kind][1], linewidth=4, label=f"{kind} face")
        for kind in kinds
    ]


def draw_lines(axes: "Axes", positions: Values, lines: Sequence[tuple[Pen, Values]], title: str, label: str) -> None:
    """Draw functions of one variable.

    Args:
        axes: To draw into.
        positions: The variable, shape (m,).
        lines: (pen, values), the values of shape (m,), later ones on top.
        title: Above the panel.
        label: The variable's name.
    """
    for pen, values in lines:
        axes.plot(positions, values, **pen.line, label=pen.label)
    axes.set(title=title, xlabel=label, xlim=(positions[0], positions[-1]))
    axes.grid(alpha=0.25, linewidth=0.5)


def draw_absence(axes: "Axes", reason: str) -> None:
    """Say in an empty panel why it is empty."""
    axes.text(0.5, 0.5, reason, ha="center", va="center", transform=axes.transAxes)
    axes.set(xticks=[], yticks=[])


def _outer_edges(axis: Values) -> tuple[float, float]:
    half = (axis[-1] - axis[0]) / (len(axis) - 1) / 2
    return float(axis[0] - half), float(axis[-1] + half)
