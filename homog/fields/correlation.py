"""The length on which a field varies: where its autocorrelation has fallen to 1/e."""

from collections.abc import Sequence
from math import exp

import numpy as np
from jaxtyping import Float, Float64
from scipy.optimize import root_scalar

_SLAB = 2**22  # nodes transformed at once: a zero-padded copy of a large field would not fit everywhere


def correlation_length(
    values: Float[np.ndarray, "..."], sides: Sequence[float] | Float[np.ndarray, " d"], *, periodic: bool
) -> float:
    """Mean over the axes of the distance at which the autocorrelation of a field falls to 1/e.

    The autocorrelation along an axis is the mean over the node pairs at a lag, of a periodic field over the period.
    An axis along which it does not fall so far within half the side says nothing of the fine scale (a laminate's
    layers) and is left out; where no axis is left, as for a constant, the shortest side stands for the length.

    Args:
        values: On equidistant nodes, x1 along the first index.
        sides: Lengths of the box's sides, d numbers.
        periodic: Whether the upper end is left out, as the lower end again; otherwise both ends are nodes.
    """
    deviation = values - values.mean()
    if np.abs(deviation).max() <= 1e-12 * np.abs(values).max():  # what rounding leaves of a constant
        return float(min(sides))
    lengths = [
        decay_length(_autocorrelation(deviation, axis, periodic), side / (count if periodic else count - 1))
        for axis, (side, count) in enumerate(zip(sides, values.shape, strict=True))
    ]
    found = [length for length in lengths if length is not None]
    return float(np.mean(found)) if found else float(min(sides))


def decay_length(autocorrelation: Float64[np.ndarray, " lags"], spacing: float) -> float | None:
    """The distance at which an even function on lags 0, 1, ... first falls to 1/e of its first value, or None.

    Args:
        autocorrelation: Its values, the first of them above zero.
        spacing: Distance between two lags. Between them the cubic through the nearest four is taken.
    """
    level = exp(-1) * autocorrelation[0]
    below = np.flatnonzero(autocorrelation <= level)
    if below.size == 0:
        return None
    last = int(below[0])
    near = np.arange(last - 2, min(last + 2, len(autocorrelation)))
    cubic = np.polynomial.Polynomial.fit(near - last, autocorrelation[np.abs(near)] - level, len(near) - 1)
    if not cubic(0.0) < 0 < cubic(-1.0):  # it falls to the level at the lag itself, up to rounding
        return last * spacing
    return (last + root_scalar(cubic, bracket=(-1.0, 0.0)).root) * spacing


def _autocorrelation(deviation: np.ndarray, axis: int, periodic: bool) -> Float64[np.ndarray, " lags"]:
    """At lags up to half the side, by Fourier transforms; padded with zeros where the field does not go on."""
    count = deviation.shape[axis]
    length = count if periodic else 2 * count
    lines = np.moveaxis(deviation, axis, -1).reshape(-1, count)
    power = np.zeros(length // 2 + 1)
    for slab in np.array_split(lines, max(1, deviation.size // _SLAB)):
        power += (np.abs(np.fft.rfft(slab, length, axis=1)) ** 2).sum(0)
    lags = np.arange(count // 2 + 1)
    pairs = count if periodic else count - lags
    return np.fft.irfft(power, length)[: len(lags)] / pairs
