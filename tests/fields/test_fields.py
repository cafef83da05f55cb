"""Random fields: their spectrum, their correlation length, their figure."""

from dataclasses import replace

import numpy as np
import pytest

from homog import equation, fields
from homog.config import DomainSettings, FieldProblem, FieldSettings, GSToolsField, SpectralField
from homog.domains import Box, tensor_grid
from homog.errors import UserError
from homog.fields.correlation import decay_length
from homog.fields.spectral import calibrated
from homog.plots import draw_field
from homog.plots.field import amplitudes

SQUARE = Box((0.0, 0.0), (1.0, 1.0))
SMALL = SpectralField(longest=30.0, grid=256)


@pytest.fixture(scope="module")
def paper() -> fields.TabulatedField:
    """The field of section 4.3."""
    return fields.build(SpectralField(), SQUARE)


def problem_with(field: FieldSettings, coefficient: str = "field", domain: Box = SQUARE) -> equation.Problem:
    box = DomainSettings(lower=list(domain.lower), upper=list(domain.upper))
    return equation.build(FieldProblem(name="p", coefficient=coefficient, forcing="1", domain=box, field=field), 0.1)


# The spectrum


@pytest.mark.parametrize("decay", [0.0, 1.0, 2.5])
def test_the_amplitudes_are_powers_of_k_inside_the_band_and_nothing_is_outside(decay: float):
    values = fields.build(replace(SMALL, decay=decay), SQUARE).values
    found = np.abs(np.fft.fft2(values - values.mean())) / values.size
    wave_number = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(256, 1 / 256)], indexing="ij"))
    inside = (wave_number >= 4) & (wave_number <= 30)
    scaled = found[inside] * wave_number[inside] ** decay
    np.testing.assert_allclose(scaled, scaled.mean(), rtol=1e-9)
    assert found[~inside].max() < 1e-15


@pytest.mark.parametrize("box", [Box((0.0,), (1.0,)), Box((-1.0, 0.5), (1.0, 1.5)), Box((0.0,) * 3, (1.0, 1.0, 0.5))])
def test_in_any_box_wave_numbers_count_periods_a_unit_length(box: Box):
    field = fields.build(SpectralField(shortest=3.0, longest=8.0, grid=64), box)
    spacing = box.sides / field.values.shape
    np.testing.assert_allclose(spacing, spacing[0])
    axes = [np.fft.fftfreq(n, h) for n, h in zip(field.values.shape, spacing, strict=True)]
    wave_number = np.sqrt(sum(k**2 for k in np.meshgrid(*axes, indexing="ij")))
    found = np.abs(np.fft.fftn(field.values - field.values.mean())) / field.values.size
    inside = (wave_number > 3 - 1e-9) & (wave_number < 8 + 1e-9)
    scaled = found[inside] * wave_number[inside]
    np.testing.assert_allclose(scaled, scaled.mean(), rtol=1e-9)
    assert found[~inside].max() < 1e-15


def test_the_values_reach_both_ends_of_their_range(paper: fields.TabulatedField):
    assert paper.values.shape == (1024, 1024)
    assert (paper.values.min(), paper.values.max()) == (0.1, 1.9)
    other = fields.build(replace(SMALL, lower=-3.0, upper=5.0), SQUARE).values
    assert (other.min(), other.max()) == (-3.0, 5.0)


def test_the_spline_is_the_trigonometric_sum_between_the_nodes_too(paper: fields.TabulatedField):
    # the sum, shifted by half a node in both directions; the tolerances are twice what is measured
    k = np.fft.fftfreq(1024, 1 / 1024)
    spectrum = np.fft.fft2(paper.values) * np.exp(1j * np.pi * (k[:, None] + k) / 1024)
    exact = np.fft.ifft2(spectrum).real[::7, ::5]
    slope = np.fft.ifft2(spectrum * 2j * np.pi * k[:, None]).real[::7, ::5]
    nodes = (np.arange(1024) + 0.5) / 1024
    points = tensor_grid((nodes[::7], nodes[::5]))
    assert np.sqrt(np.mean((paper.spline(points) - exact) ** 2)) < 5e-5
    error = paper.spline.gradient(points)[..., 0] - slope
    assert np.sqrt(np.mean(error**2) / np.mean(slope**2)) < 2.5e-3
    np.testing.assert_allclose(paper.spline(np.array([0.0, 0.3])), paper.spline(np.array([1.0, 0.3])), rtol=1e-13)


def test_equal_seeds_give_equal_bytes_and_a_finer_grid_the_same_field():
    one = fields.build(SMALL, SQUARE).values
    assert fields.build(SMALL, SQUARE).values.tobytes() == one.tobytes()
    other = fields.build(replace(SMALL, seed=1), SQUARE).values
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.1
    finer = fields.build(replace(SMALL, grid=512), SQUARE).values[::2, ::2]
    assert np.corrcoef(one.ravel(), finer.ravel())[0, 1] == pytest.approx(1, abs=1e-12)  # extrema move the affine map


# The correlation length


def test_the_correlation_length_is_calibrated_to_the_papers(paper: fields.TabulatedField):
    # one shell |k| more or less changes it by about 1e-6
    assert paper.correlation_length == pytest.approx(0.0135, abs=1e-6)
    assert paper.metrics["longest_wave_number"] == pytest.approx(119.34, abs=0.005)
    assert problem_with(SpectralField()).scale == paper.correlation_length


@pytest.mark.parametrize("longest", [8.0, 30.0, 64.0])
def test_formula_and_measurement_agree_on_the_correlation_length(longest: float):
    """sum |k|^-2 cos(2 pi k.r) / sum |k|^-2 falls to 1/e there, for every seed, along both axes."""
    n = np.arange(-64, 65)
    square = n[:, None] ** 2 + n**2
    inside = (square >= 16) & (square <= longest**2)
    power = np.where(inside, 1 / np.maximum(square, 1), 0).sum(1)
    for seed in (0, 1):
        field = fields.build(SpectralField(longest=longest, grid=256, seed=seed), SQUARE)
        at = np.sum(power * np.cos(2 * np.pi * n * field.correlation_length)) / power.sum()
        assert at == pytest.approx(np.exp(-1), abs=1e-3)  # cubic interpolation between lags, four to the shortest wave
        lengths = [
            fields.correlation_length(turned, (1, 1), periodic=True) for turned in (field.values, field.values.T)
        ]
        assert lengths[0] == pytest.approx(lengths[1], rel=1e-12)  # isotropic: a quarter turn changes nothing


def test_a_shorter_correlation_takes_a_wider_band():
    found = [
        calibrated(SpectralField(correlation=length), SQUARE) for length in (0.06, 0.03, 0.02, 0.0135, 0.0131, 0.011)
    ]
    assert np.all(np.diff(found) > 0)


@pytest.mark.parametrize("periodic", [True, False])
def test_the_correlation_length_of_a_wave(periodic: bool):
    """cos(2 pi k x) falls to 1/e at arccos(1/e) / (2 pi k); without periodicity the end effects are of order 1/k."""
    nodes = np.arange(400) / 400 if periodic else np.linspace(0, 1, 401)
    values = np.cos(2 * np.pi * 20 * nodes)[:, None] * np.ones(7)  # layers: the other axis says nothing
    expected = np.arccos(np.exp(-1)) / (2 * np.pi * 20)
    found = fields.correlation_length(values, (1.0, 5.0), periodic=periodic)
    assert found == pytest.approx(expected, rel=1e-4 if periodic else 0.02)
    assert fields.correlation_length(values, (3.0, 5.0), periodic=periodic) == pytest.approx(3 * found)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e300])
def test_a_constant_varies_on_the_scale_of_the_domain(value: float):
    assert fields.correlation_length(np.full((8, 9), value), (3.0, 2.0), periodic=False) == 2.0


def test_white_noise_has_the_correlation_length_of_its_grid():
    length = decay_length(np.array([1.0, 0.0, 0.0, 0.0]), 0.5)
    assert length is not None
    assert 0.25 < length < 0.5
    assert decay_length(np.array([1.0, 0.9, 0.8]), 0.5) is None


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (SpectralField(longest=118.0, grid=256), "write a grid of at least 472, or longest=64"),
        (SpectralField(correlation=0.005), "it lies between 0.01012 and 0.07314"),
        (SpectralField(correlation=0.5), "it lies between"),
        (SpectralField(shortest=300.0), "write a larger grid or a smaller shortest"),
        (SpectralField(grid=100_000), "write at most 7071 along each"),
    ],
)
def test_a_spectrum_that_cannot_be_had_is_refused(settings: SpectralField, told: str):
    with pytest.raises(UserError, match=told):
        fields.build(settings, SQUARE)


@pytest.mark.parametrize(
    "wrong",
    [{"seed": -1}, {"decay": -1.0}, {"decay": float("nan")}, {"shortest": 0.0}, {"longest": 3.0}, {"lower": 2.0},
     {"upper": float("inf")}, {"correlation": 0.0}, {"grid": 3}],
)  # fmt: skip
def test_what_the_schema_refuses(wrong: dict):
    with pytest.raises(UserError, match=rf"problem\.field\.({next(iter(wrong))}|upper)="):
        SpectralField(**wrong)


# gstools


@pytest.mark.parametrize("covariance", ["Gaussian", "Matern", "Exponential", "Spherical"])
def test_a_drawn_field_has_the_correlation_length_that_was_asked_for(covariance: str):
    pytest.importorskip("gstools")
    box = Box((0.0,), (20.0,))
    settings = GSToolsField(covariance=covariance, correlation=0.1, variance=4.0, mean=1.0, grid=2001, smoothness=2.5)
    field = fields.build(settings, box)
    # about 200 lengths: standard errors of 10 % for the length and the variance, 0.2 for the mean; 4 of them
    assert field.correlation_length == pytest.approx(0.1, rel=0.4)
    assert field.values.var() == pytest.approx(4.0, rel=0.4)
    assert field.values.mean() == pytest.approx(1.0, abs=0.8)
    assert fields.build(settings, box).values.tobytes() == field.values.tobytes()
    assert not np.allclose(fields.build(replace(settings, seed=1), box).values, field.values)


def test_the_exponential_of_a_drawn_field_is_a_coefficient():
    pytest.importorskip("gstools")
    problem = problem_with(GSToolsField(correlation=0.2, grid=33), "exp(field)", Box((0.0, 0.0), (1.0, 0.5)))
    assert problem.operator.field is not None
    assert problem.operator.field.intervals == (32, 16)
    assert problem.operator.coefficient_at(problem.domain.grid(50)).min() > 0


def test_a_grid_too_coarse_for_the_correlation_is_refused():
    with pytest.raises(UserError, match="write a grid of at least 301"):
        fields.build(GSToolsField(correlation=0.01, grid=100), SQUARE)


def test_without_gstools_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "gstools", None)
    with pytest.raises(UserError, match=r"install it with pip install 'homog\[fields\]'"):
        fields.build(GSToolsField(), SQUARE)


# The figure


@pytest.mark.parametrize("dimension", [1, 2])
def test_the_figure_shows_the_amplitudes_of_the_waves(dimension: int):
    nodes = [np.linspace(0, 2, 81)] * dimension
    points = tensor_grid(nodes)
    wave_numbers, found = amplitudes(nodes, 7 + 3 * np.cos(2 * np.pi * (points @ np.full(dimension, 2.5))))
    places = [np.flatnonzero(np.isclose(np.abs(k), 2.5)) for k in wave_numbers]
    expected = np.zeros((80,) * dimension)
    for end in (0, 1):  # of k and -k, half of it each
        expected[tuple(place[end] for place in places)] = 1.5
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_figure_of_a_constant_says_so():
    axis = np.linspace(0, 1, 9)
    figure = draw_field([axis, axis], np.ones((9, 9)), "a title")
    panels = {str(panel.get_label()): panel for panel in figure.axes}
    assert panels["spectrum"].texts[0].get_text() == "the field is constant"
    assert "field" in panels
