"""A random field with a prescribed spectrum: amplitudes fixed, phases random (section 4.3, Fig. 6)."""

from bisect import bisect_left

import numpy as np
from jaxtyping import Float64

from homog.config import SpectralField
from homog.domains.box import Box
from homog.errors import UserError
from homog.fields.correlation import decay_length
from homog.fields.tabulated import TabulatedField, nodes_of, require_affordable, tabulate

_NODES_A_WAVE = 4


def spectral_field(settings: SpectralField, domain: Box) -> TabulatedField:
    """The sum of |k|^-decay cos(2 pi k.(x - lower) + phase_k) over a band of k, mapped affinely onto [lower, upper].

    The field is periodic on the domain: its wave vectors are k = (n1/side1, n2/side2, ...) with whole numbers n_i.
    The band shortest <= |k| <= longest counts periods a unit length, so the field is isotropic on boxes that are no
    cubes too; on the unit square |k| is periods a side, as in the paper. The same holds in one and in three
    dimensions. The phases depend on the seed and the band alone: a finer grid shows the same field.

    The map takes the extrema on the nodes to `lower` and `upper`. *Measured* with the defaults, seeds 0 to 3, where
    the field's standard deviation is 0.20 to 0.21: the spline through the 1024 x 1024 nodes differs from the
    trigonometric sum by 2.5e-5 (root mean square; 1.2e-4 at most), its slopes by 0.12 % of theirs; between the nodes
    it leaves [0.1, 1.9] by up to 0.006. At the coarsest grid that is accepted, four nodes to the shortest wave, the
    difference is 0.3 % of the standard deviation.

    Raises:
        UserError: If the grid is too coarse for the band, or no band gives the correlation length.
    """
    shape = nodes_of(settings.grid, domain)
    require_affordable(shape, f"problem.field.grid={settings.grid}", dense=False)
    longest = calibrated(settings, domain) if settings.longest is None else settings.longest
    finest = _finest(settings.grid, domain)
    if longest > finest:
        needed = int(np.ceil(_NODES_A_WAVE * longest * domain.sides.max()))
        raise UserError(
            f"problem.field.grid={settings.grid} is too coarse for problem.field.longest={longest:g}: write a grid of"
            f" at least {needed}, or longest={finest:g}"
        )
    counts = _counts(longest, domain)
    square = _square_wave_numbers(counts, domain)
    spectrum = _amplitudes(square, settings, longest) * _phase_factors(counts, settings.seed)
    half = np.zeros((*shape[:-1], shape[-1] // 2 + 1), dtype=complex)
    places = [np.arange(-count, count + 1) % nodes for count, nodes in zip(counts, shape, strict=True)]
    half[np.ix_(*places[:-1], np.arange(counts[-1] + 1))] = spectrum[..., counts[-1] :]
    raw = np.fft.irfftn(half, shape, axes=tuple(range(len(shape))))
    share = (raw - raw.min()) / np.ptp(raw)
    values = settings.lower + (settings.upper - settings.lower) * share
    metrics = {"longest_wave_number": float(longest)}
    return tabulate(values, domain, periodic=True, metrics=metrics, origin=f"{settings} {domain}")


def calibrated(settings: SpectralField, domain: Box) -> float:
    """The upper wave number with which the correlation length comes closest to `correlation`.

    With fixed amplitudes the autocorrelation over a period is the same for all phases,
    sum |k|^(-2 decay) cos(2 pi k.r) / sum |k|^(-2 decay), and a function of the band alone. The correlation length
    falls while the band grows, so the shells |k| = const that the periodic box has are searched by bisection. On the
    unit square the length is 0.0135 at 119.3; with Gaussian amplitudes, random like the phases, it would differ by
    some per cent from seed to seed.

    Raises:
        UserError: If none that the grid can hold gives the length.
    """
    finest = _finest(settings.grid, domain)
    counts = _counts(finest, domain)
    square = _square_wave_numbers(counts, domain)
    inside = square[(square >= _below(settings.shortest)) & (square <= _above(finest))]
    shells = np.sqrt(np.unique(np.round(inside, 9)))
    if shells.size == 0:
        raise UserError(
            f"problem.field.grid={settings.grid} resolves no wave number from problem.field.shortest="
            f"{settings.shortest:g} to {finest:g}: write a larger grid or a smaller shortest"
        )

    def length(shell: float) -> float:
        return _length_of_band(_amplitudes(square, settings, shell) ** 2, counts, domain)

    wanted = settings.correlation
    longest_length, shortest_length = length(shells[0]), length(shells[-1])
    if not shortest_length <= wanted <= longest_length:
        raise UserError(
            f"problem.field.correlation={wanted:g} cannot be had: with shortest={settings.shortest:g},"
            f" decay={settings.decay:g} and a grid of {settings.grid} it lies between {shortest_length:.4g} and"
            f" {longest_length:.4g}; write one of these or change the others"
        )
    after = bisect_left(range(len(shells)), -wanted, key=lambda index: -length(shells[index]))
    return float(min(shells[max(0, after - 1) : after + 1], key=lambda shell: abs(length(shell) - wanted)))


def _finest(grid: int, domain: Box) -> float:
    """The largest wave number of which the grid has enough nodes a wave."""
    spacing = max(side / nodes for side, nodes in zip(domain.sides, nodes_of(grid, domain), strict=True))
    return float(1 / (_NODES_A_WAVE * spacing))


def _counts(longest: float, domain: Box) -> tuple[int, ...]:
    """The largest whole number of periods a side on each axis."""
    return tuple(int(longest * side + 1e-9) for side in domain.sides)


def _square_wave_numbers(counts: tuple[int, ...], domain: Box) -> Float64[np.ndarray, "..."]:
    """|k|^2 for -count <= n_i <= count, shape (2 count1 + 1, ...)."""
    axes = [(np.arange(-count, count + 1) / side) ** 2 for count, side in zip(counts, domain.sides, strict=True)]
    return np.asarray(sum(np.meshgrid(*axes, indexing="ij", sparse=True)), dtype=np.float64)


def _amplitudes(square: np.ndarray, settings: SpectralField, longest: float) -> np.ndarray:
    """|k|^-decay within the band, zero outside; scaled to 1 at the shortest, so that no power overflows."""
    inside = (square >= _below(settings.shortest)) & (square <= _above(longest))
    return np.where(inside, (np.where(inside, square, 1.0) / settings.shortest**2) ** (-settings.decay / 2), 0.0)


def _below(wave_number: float) -> float:
    return wave_number**2 * (1 - 1e-9)  # n^2/side^2 is rounded


def _above(wave_number: float) -> float:
    return wave_number**2 * (1 + 1e-9)


def _phase_factors(counts: tuple[int, ...], seed: int) -> np.ndarray:
    """exp(i phase_k) with phase_-k = -phase_k, so that the field is real.

    The difference of two independent uniform angles is uniform again, modulo a turn.
    """
    turns = np.random.default_rng(seed).random([2 * count + 1 for count in counts])
    return np.exp(2j * np.pi * (turns - np.flip(turns)))


def _length_of_band(power: np.ndarray, counts: tuple[int, ...], domain: Box) -> float:
    """The mean correlation length of a spectrum, shape (2 count1 + 1, ...); infinite where there is none."""
    lengths = []
    for axis, (count, side) in enumerate(zip(counts, domain.sides, strict=True)):
        along = power.sum(tuple(other for other in range(power.ndim) if other != axis))[count:]
        lags = 32 * max(count, 1)  # a period: 32 to the shortest wave
        length = decay_length(np.fft.irfft(along, lags)[: lags // 2 + 1], side / lags)
        if length is not None:
            lengths.append(length)
    return float(np.mean(lengths)) if lengths else np.inf
