"""The cell problem of media that jump, against closed forms and series of the literature."""

import numpy as np
import pytest
from composites import cubic_array, square_array

from homog.references.cell import correctors_of, effective_tensor
from homog.references.voxel_cell import enclosed, halved, voxels

SQUARE, CUBE = np.ones(2), np.ones(3)


def discs(radius: float, contrast: float):
    return lambda x: np.where(((x % 1 - 0.5) ** 2).sum(-1) < radius**2, contrast, 1.0)


def bounds_of(sampled, sides, size):
    means = voxels(sampled, np.zeros(len(sides)), sides, (size,) * len(sides))
    return enclosed(means, halved(means), sides, 1000)


@pytest.mark.parametrize("contrast", [10.0, 100.0, 0.01])
@pytest.mark.parametrize("radius", [0.2, 0.35])
def test_a_square_array_of_discs(radius: float, contrast: float):
    """Between the bounds, and within the estimate of what is returned."""
    exact, found = square_array(radius, contrast), bounds_of(discs(radius, contrast), SQUARE, 256)
    assert found.lower[0, 0] < exact < found.upper[1, 1]
    assert abs(found.tensor[0, 0] / exact - 1) < found.error < 5e-3
    assert abs(found.tensor[0, 1]) < 1e-6


def test_holes_of_no_conductivity():
    exact, found = square_array(0.35, 0.0), bounds_of(discs(0.35, 0.0), SQUARE, 256)
    assert found.lower[0, 0] < exact < found.upper[0, 0]
    assert abs(found.tensor[0, 0] / exact - 1) < found.error < 1e-2


@pytest.mark.parametrize("contrast", [50.0, 0.02])
def test_a_cubic_array_of_spheres(contrast: float):
    exact, found = cubic_array(0.35, contrast), bounds_of(discs(0.35, contrast), CUBE, 48)
    assert found.lower[0, 0] < exact < found.upper[2, 2]
    assert abs(found.tensor[1, 1] / exact - 1) < found.error < 2e-2


def test_a_checkerboard_is_the_root_of_the_product_whatever_its_bounds_are():
    """Keller (1964). The corners make the bounds close in like the fourth root of the width."""
    found = bounds_of(lambda x: np.where(np.floor(2 * x).sum(-1) % 2 < 0.5, 100.0, 1.0), SQUARE, 64)
    np.testing.assert_allclose(found.tensor, 10 * np.eye(2), atol=1e-5)
    assert found.error > 0.1


def test_layers_are_a_harmonic_and_an_arithmetic_mean():
    found = bounds_of(lambda x: np.where(x[..., 0] < 0.5, 10.0, 1.0), SQUARE, 64)
    np.testing.assert_allclose(found.tensor, np.diag([20 / 11, 5.5]), rtol=1e-6)
    assert found.error < 1e-6


def test_oblique_layers(make_problem):
    tensor, error = effective_tensor(make_problem("where(mod(x1 + x2, eps) < 0.5*eps, 10, 1)"))
    harmonic, arithmetic = 20 / 11, 5.5
    mean, half = (arithmetic + harmonic) / 2, (arithmetic - harmonic) / 2
    exact = np.array([[mean, -half], [-half, mean]])
    assert np.abs(np.linalg.eigvalsh(tensor) / np.linalg.eigvalsh(exact) - 1).max() < error < 2e-3
    assert tensor[0, 1] < 0


def test_layers_in_a_formula_are_exact(make_problem):
    """A product of functions of one coordinate: by adaptive quadrature, which halves its panels at the jump."""
    coefficient = "where(mod(x1, eps) < 0.3*eps, 10, 1)*where(mod(x2, eps) < 0.6*eps, 2, 1)"
    tensor, error = effective_tensor(make_problem(coefficient))
    along, across = 0.3 * 10 + 0.7, 1 / (0.3 / 10 + 0.7)
    second, third = 0.6 * 2 + 0.4, 1 / (0.6 / 2 + 0.4)
    np.testing.assert_allclose(tensor, np.diag([across * second, along * third]), rtol=1e-9)
    assert error < 1e-9


def test_correctors_are_those_of_layers(make_problem):
    """chi' = harmonic / a - 1, and the mean square displacement lags behind by 2 <a chi^2>."""
    correctors = correctors_of(make_problem("where(mod(x1, eps) < eps/2, 10, 1)", 1.0, 1))
    places = np.array([[0.125], [0.5], [0.75]])
    slopes = np.diff(correctors.at(np.concatenate([places, places + 1e-3])).reshape(2, 3), axis=0)[0] / 1e-3
    np.testing.assert_allclose(slopes, [2 / 11 - 1, 20 / 11 - 1, 20 / 11 - 1], rtol=1e-6)
    x = (np.arange(100_000) + 0.5) / 100_000
    a = np.where(x < 0.5, 10.0, 1.0)
    chi = np.cumsum(20 / 11 / a - 1) / x.size
    chi -= np.average(chi, weights=a)
    np.testing.assert_allclose(correctors.delay, 2 * np.mean(a * chi**2), rtol=1e-3)


def test_a_neutral_inclusion_is_not_seen(make_problem):
    """A coated disc in a matrix of Hashin and Shtrikman's a* (1962): currents pass by as if there were none.

    a* = coat (1 + 2 c / ((core + coat) / (core - coat) - c)) with the share c of the core in the coated disc.
    """
    outside = 1 + 0.5 / (11 / 9 - 0.25)
    square = "(mod(x1, eps)/eps - 0.5)**2 + (mod(x2, eps)/eps - 0.5)**2"
    problem = make_problem(f"where({square} < 0.2**2, 10, where({square} < 0.4**2, 1, {outside}))", eps=0.1)
    tensor, error = effective_tensor(problem)
    np.testing.assert_allclose(tensor, outside * np.eye(2), atol=2 * error * outside)
    assert error < 2e-3
