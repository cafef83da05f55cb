"""The cell problem's bounds: what is known in closed form lies between them, at any contrast, and within seconds."""

import time
from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import quad

from homog.equation import Problem
from homog.equation.factors import axes_of_factors
from homog.references import effective_tensor
from homog.references.element_cell import element_bounds
from homog.references.quadrature import adaptive_mean
from homog.references.spectral_cell import spectral_bounds

MakeProblem = Callable[..., Problem]
ROUNDING = 1e-12


def assert_within(found: tuple[np.ndarray, float], exact: np.ndarray, most: float) -> None:
    """The exact tensor lies within the estimate for every vector x, and the estimate is small."""
    tensor, estimate = found
    scale, axes = np.linalg.eigh(exact)
    root = axes / np.sqrt(scale)
    assert np.abs(np.linalg.eigvalsh(root.T @ (tensor - exact) @ root)).max() <= 1.01 * estimate + ROUNDING
    assert estimate <= most


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("dip", [1e-3, 1e-5, 1e-6, 1e-9])
def test_layers_with_deep_dips(make_problem: MakeProblem, dip: float, dimension: int) -> None:
    """1/mean(1/(d + sin^2)) = sqrt(d (1 + d)) across, d + 1/2 along."""
    start = time.perf_counter()
    found = effective_tensor(make_problem(f"{dip} + sin(pi*x1/eps)**2", dimension=dimension))
    assert time.perf_counter() - start < 5
    exact = np.diag([np.sqrt(dip * (1 + dip)), *[dip + 0.5] * (dimension - 1)])
    assert_within(found, exact, 1e-10)


def test_product_of_two_scales(make_problem: MakeProblem) -> None:
    """Across the layers 1.1^2 - 1 for one scale; two with a ratio of 20 are independent up to (1.1 - sqrt(.21))^20."""
    two = "(1.1 + sin(2*pi*x1/eps))*(1.1 + sin(2*pi*x1/eps**2))"
    tensor, estimate = effective_tensor(make_problem(two))
    assert estimate < 1e-12
    np.testing.assert_allclose(tensor, np.diag([0.21, 1.21]), rtol=1e-7)
    crossed = "(1.1 + sin(2*pi*x1/eps))*(1.1 + sin(2*pi*x2/eps**2))"
    assert_within(effective_tensor(make_problem(crossed)), 1.1 * np.sqrt(0.21) * np.eye(2), 1e-12)


@pytest.mark.parametrize("contrast", [2, 5, 10, 15])
def test_checkerboard_at_any_contrast(make_problem: MakeProblem, contrast: float) -> None:
    """a(x1 + 1/2 period, x2) = 1/a: a* = 1 (Keller 1964). At k = 15 the coefficient ranges over 13 decades."""
    start = time.perf_counter()
    found = effective_tensor(make_problem(f"exp({contrast}*sin(2*pi*x1/eps)*sin(2*pi*x2/eps))", eps=0.5))
    assert time.perf_counter() - start < 30  # 3 s on an idle core
    assert_within(found, np.eye(2), 1e-8)


def random_layers(seed: int) -> tuple[str, Callable[[float], float]]:
    """A periodic function of a phase as a formula, and as a function of the share of a period."""
    random = np.random.default_rng(seed)
    depth, floor, phase = random.uniform(0.5, 4), 10 ** random.uniform(-4, -1), random.uniform(0, 2 * np.pi)
    waves = int(random.integers(1, 4))
    text = f"({floor} + (1 + sin(2*pi*{{}} + {phase}))*exp({depth}*cos(2*pi*{waves}*{{}})))"
    return text, lambda t: floor + (1 + np.sin(2 * np.pi * t + phase)) * np.exp(depth * np.cos(2 * np.pi * waves * t))


def mean(function: Callable[[float], float]) -> float:
    places = list(np.linspace(0, 1, 33)[1:-1])
    return quad(function, 0, 1, limit=2000, points=places, epsrel=1e-11)[0]


@pytest.mark.parametrize("seed", range(6))
def test_random_products_of_layers(make_problem: MakeProblem, seed: int) -> None:
    (first, a), (second, b) = random_layers(seed), random_layers(100 + seed)
    text = first.format("x1/eps", "x1/eps") + "*" + second.format("x2/eps", "x2/eps")
    found = effective_tensor(make_problem(text, eps=0.37))
    inverse = [mean(lambda t, f=f: 1 / f(t)) for f in (a, b)]
    arithmetic = [mean(a), mean(b)]
    exact = np.diag([arithmetic[1] / inverse[0], arithmetic[0] / inverse[1]])
    tensor, estimate = found
    np.testing.assert_allclose(tensor, exact, rtol=1e-9)  # what the truth's own quadrature allows
    assert estimate < 1e-10


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))])
def test_random_oblique_layers(make_problem: MakeProblem, seed: int) -> None:
    """Layers along (1, 1): the harmonic mean across and the arithmetic mean along, at a contrast of 100 to 10,000."""
    text, a = random_layers(seed)
    tensor, estimate = effective_tensor(make_problem(text.format("(x1 + x2)/eps", "(x1 + x2)/eps"), eps=0.1))
    across = np.full((2, 2), 0.5)
    exact = across / mean(lambda t: 1 / a(t)) + mean(a) * (np.eye(2) - across)
    assert_within((tensor, estimate), exact, 0.05)


@pytest.mark.parametrize("seed", range(3))
def test_bounds_enclose_those_of_finer_grids(seed: int) -> None:
    """Whatever the grid, spectral and element bounds overlap: both hold a*. A coefficient without any symmetry."""
    random = np.random.default_rng(seed)
    amplitudes, phases = random.standard_normal((2, 2, 3)) * 1.5

    def coefficient(points: np.ndarray) -> np.ndarray:
        x, y = 2 * np.pi * points[..., 0], 2 * np.pi * points[..., 1]
        arguments = (x, 2 * y), (x + y, y), (x - 2 * y, 2 * x)
        return np.exp(
            sum(
                amplitudes[0, i] * np.sin(p + phases[0, i]) + amplitudes[1, i] * np.cos(q + phases[1, i])
                for i, (p, q) in enumerate(arguments)
            )
        )

    best = element_bounds(coefficient, [np.linspace(0, 1, 33)] * 2)
    found = [spectral_bounds(coefficient, np.zeros(2), np.ones(2), size, most) for size, most in ((81, 30), (81, 120))]
    found += [element_bounds(coefficient, [np.linspace(0, 1, n + 1) ** p for p in (1.0, 1.2)]) for n in (8, 14)]
    assert best.gap < 1e-4
    for bounds in found:
        slack = (1e-10 + bounds.quadrature + best.quadrature) * np.trace(best.middle)
        assert np.linalg.eigvalsh(bounds.upper - best.lower).min() > -slack
        assert np.linalg.eigvalsh(best.upper - bounds.lower).min() > -slack


def test_shifted_sums_see_oblique_layers() -> None:
    """15 points a side do not resolve these; the sum over the points and halfway between them would be the same."""
    bounds = spectral_bounds(
        lambda x: 1 + 0.99 * np.sin(2 * np.pi * (x[..., 0] + x[..., 1])), np.zeros(2), np.ones(2), 15, 200
    )
    across = (np.sqrt(1 - 0.99**2) + 1) / 2
    assert abs(bounds.middle[0, 0] / across - 1) <= bounds.gap


def test_three_dimensions_have_bounds_too(make_problem: MakeProblem) -> None:
    """A column of the two-dimensional checkerboard: 1, 1 and the mean I_0(k sin) along, whichever axis it is."""
    tensor, estimate = effective_tensor(
        make_problem("exp(2*sin(2*pi*x1/eps)*sin(2*pi*x3/eps))", dimension=3), most_points=60_000
    )
    x = 2 * np.pi * (np.arange(64) + 0.5) / 64
    along = np.exp(2 * np.sin(x)[:, None] * np.sin(x)).mean()
    assert_within((tensor, estimate), np.diag([1, along, 1]), 1e-6)


@pytest.mark.slow
def test_what_is_too_rough_has_a_wide_estimate(make_problem: MakeProblem) -> None:
    """Contrast 1e9 in three dimensions, a column again: nothing affordable resolves it, and the bounds say so."""
    tensor, estimate = effective_tensor(
        make_problem("exp(10*sin(2*pi*x1/eps)*sin(2*pi*x2/eps) + 0*x3)", dimension=3), most_points=25_000
    )
    assert estimate > 0.01
    assert abs(tensor[0, 0] - 1) <= estimate * tensor[0, 0]


def test_narrow_bump_is_not_passed_by(make_problem: MakeProblem) -> None:
    """Dilute discs: a* = 1 + 2 c (mean of the contrast's polarisability), to first order in the small share c."""
    bump = "1 + 1000*exp(-1e4*(sin(pi*(x1/eps - 0.3456))**2 + sin(pi*(x2/eps - 0.57))**2))"
    tensor, estimate = effective_tensor(make_problem(bump, eps=0.1))
    assert estimate < 1e-6
    # the disc on which a > 2, radius sqrt(log(1000)/1e4)/pi = 0.0084, conducts: 2 pi r^2 = 4.4e-4
    assert tensor[0, 0] - 1 == pytest.approx(4.4e-4, rel=0.2)


def test_factors_are_taken_apart(make_problem: MakeProblem) -> None:
    def axes(text: str) -> tuple[int, ...] | None:
        return axes_of_factors(make_problem(text))

    assert axes("2") == ()
    assert axes("2 + sin(x2)") == (1,)
    assert axes("(2 + sin(x1))*exp(x2)/(1 + x1**2)") == (0, 1)
    assert axes("exp(sin(x1) + x2)**2") == (0, 1)
    assert axes("((2 + x1)*(2 + x2))**0.5") == (0, 1)
    assert axes("2 + x1*x2") is None
    assert axes("exp(x1*x2)") is None
    assert axes("(2 + x1)*(3 + x1 + x2)") is None


@pytest.mark.parametrize("width", [1e-2, 1e-5, 1e-8])
def test_adaptive_means_of_spikes(width: float) -> None:
    """w/(w^2 + x^2): atan; the estimate bounds the error, up to rounding."""
    edges = np.linspace(-0.3, 0.7, 65)
    (found,), estimate = adaptive_mean(lambda x: (width / (width**2 + x**2))[None], edges)
    exact = np.arctan(0.7 / width) + np.arctan(0.3 / width)
    assert abs(found / exact - 1) <= estimate + 1e-12
    assert estimate < 1e-11
