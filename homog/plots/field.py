"""The figure of a field and its spectrum, after Figure 6 (a) and (b) of the paper."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from homog.plots.panels import DOTS_PER_INCH, LOOK, Pen, Values, draw_absence, draw_lines, draw_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PEN = Pen("field", "field", "#000000", 0.8, "-")
_LEAST = 1e-4  # of the largest amplitude: what is smaller is not told from zero


def field_figure(axes: Sequence[Values], values: Values, title: str, path: Path) -> None:
    """Draw a field and the logarithm of its Fourier amplitudes into a file.

    Args:
        axes: The nodes, both ends of each side among them: one or two increasing, uniform arrays.
        values: On the nodes, shape (n1,) or (n1, n2).
        title: Above the figure.
        path: Path of the figure; its ending chooses the format, its folder is created where it is missing.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_field(axes, values, title).savefig(path, dpi=DOTS_PER_INCH)


def draw_field(axes: Sequence[Values], values: Values, title: str) -> "Figure":
    """The figure that `field_figure` writes, outside pyplot's global state.

    Returns:
        Its panels are labelled (`Axes.get_label`) `field` and `spectrum`.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(LOOK):
        figure = Figure(figsize=(10.0, 4.4), layout="constrained")
        panels = figure.subplot_mosaic([["field", "spectrum"]])
        figure.suptitle(title, parse_math=False)
        if len(axes) == 1:
            draw_lines(panels["field"], axes[0], [(_PEN, values)], "field", "$x$")
        else:
            draw_map(panels["field"], axes, values, "field", "cividis", (float(values.min()), float(values.max())))
        _draw_spectrum(panels["spectrum"], *amplitudes(axes, values))
    return figure


def amplitudes(axes: Sequence[Values], values: Values) -> tuple[list[Values], Values]:
    """Fourier amplitudes of a field without its mean.

    Along a side whose two ends agree the field is taken as periodic; elsewhere a Hann window takes it to zero,
    or its edges would be all there is to see.

    Args:
        axes: The nodes, both ends of each side among them.
        values: On the nodes.

    Returns:
        The wave numbers along each axis in periods a unit length, increasing, and the amplitudes of the waves
        exp(2 pi i k.x), shape (m1,) or (m1, m2) with m = n - 1.
    """
    tolerance = 1e-9 * float(np.ptp(values))
    deviation = values[(slice(-1),) * values.ndim]  # a period has its end once
    deviation, wave_numbers = deviation - deviation.mean(), []
    for axis, nodes in enumerate(axes):
        first, last = np.take(values, 0, axis), np.take(values, -1, axis)
        count, step = len(nodes) - 1, float(nodes[1] - nodes[0])
        if not np.allclose(first, last, rtol=0, atol=tolerance):
            window = 1 - np.cos(2 * np.pi * np.arange(count) / count)  # of mean 1
            deviation = deviation * np.expand_dims(window, [other for other in range(values.ndim) if other != axis])
        wave_numbers.append(np.fft.fftshift(np.fft.fftfreq(count, step)))
    return wave_numbers, np.abs(np.fft.fftshift(np.fft.fftn(deviation))) / deviation.size


def _draw_spectrum(panel: "Axes", wave_numbers: Sequence[Values], amplitude: Values) -> None:
    seen = amplitude > _LEAST * amplitude.max()
    if not seen.any():
        draw_absence(panel, "the field is constant")
        return
    floor = amplitude[seen].min() / 3  # apart from the least that is seen
    logarithm, kept = np.log10(np.maximum(amplitude, floor)), []
    for axis, numbers in enumerate(wave_numbers):  # no further than there is something to see
        others = tuple(other for other in range(amplitude.ndim) if other != axis)
        kept.append(np.abs(numbers) <= 1.15 * np.abs(numbers)[seen.any(axis=others)].max())
    title = r"$\log_{10}$ of the Fourier amplitudes"
    drawn = [numbers[part] for numbers, part in zip(wave_numbers, kept, strict=True)]
    logarithm = logarithm[np.ix_(*kept)]
    if len(drawn) == 1:
        draw_lines(panel, drawn[0], [(_PEN, logarithm)], title, "$k$")
    else:
        draw_map(panel, drawn, logarithm, title, "viridis", (float(logarithm.min()), float(logarithm.max())))
        panel.set(xlabel="$k_1$", ylabel="$k_2$")
