"""The effective tensor by walkers against known ones."""

import numpy as np
import pytest
from composites import square_array

from homog.errors import UserError
from homog.measures.spreading import EffectiveTensor, effective_tensor_by_walkers


@pytest.mark.parametrize(
    ("coefficient", "known"),
    [
        ("1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", [0.8835143, 0.8835143]),
        ("1/(1 + 0.8*sin(2*pi*x1/eps))", [1.0, 1 / 0.6]),  # a laminate: harmonic and arithmetic mean
        ("exp(1.2*sin(2*pi*x1/eps)*cos(2*pi*x2/eps))", [1.0, 1.0]),  # half a period away stands 1/a: Keller 1964
    ],
)
def test_the_spread_of_walkers_gives_the_effective_tensor(make_problem, kernels, coefficient, known):
    """Four standard errors, the bias of the micro step among them."""
    found = effective_tensor_by_walkers(make_problem(coefficient), cache=kernels)
    assert found.standard_error.max() < 1e-2
    assert (np.abs(found.value - np.diag(known)) < 4 * found.standard_error + found.bias + 1e-5).all()
    width = 2.0423 * found.standard_error + found.bias  # 30 degrees of freedom
    np.testing.assert_allclose(found.half_width(), width, rtol=1e-4)
    assert found.bias.max() < 5e-3


def test_steps_whose_error_is_that_of_longer_ones_by_chance(make_problem, kernels):
    """a = 1 + 0.9 cos: from m0 = 12 and 8.5 the extrapolation is 1.4 % off, and three of ten intervals held it."""
    problem, exact = make_problem("1 + 0.9*cos(2*pi*x1/eps)", dimension=1), np.sqrt(1 - 0.9**2)
    found = [effective_tensor_by_walkers(problem, seed=seed, cache=kernels) for seed in range(4)]
    errors = np.array([tensor.value[0, 0] - exact for tensor in found])
    assert abs(errors.mean()) < 0.007 * exact
    assert sum(abs(error) < tensor.half_width()[0, 0] for error, tensor in zip(errors, found, strict=True)) >= 3


def test_a_cube(make_problem, kernels):
    """a* = 0.96341 by the cell problem (dolfinx, degree 4)."""
    coefficient = "1 + 0.9*sin(2*pi*x1/eps)*sin(2*pi*x2/eps)*sin(2*pi*x3/eps)"
    found = effective_tensor_by_walkers(make_problem(coefficient, dimension=3), 16, cache=kernels)
    assert (np.abs(found.value - 0.96341 * np.eye(3)) < 4 * found.standard_error + 1e-5).all()
    assert found.standard_error.max() < 5e-3


def test_the_interval_covers_the_exact_value_at_its_nominal_rate(make_problem, kernels):
    """50 seeds at 80 %: 40 +- 2.8 by the binomial law; 3.5 of these, and no more than all."""
    problem = make_problem("1 + 0.5*cos(2*pi*x1/eps)", dimension=1)  # of which the harmonic mean is
    exact = np.sqrt(1 - 0.5**2)
    covered = 0
    for seed in range(50):
        found = effective_tensor_by_walkers(problem, 8, seed, cache=kernels)
        covered += abs(found.value[0, 0] - exact) < found.half_width(0.8)[0, 0]
    assert 30 <= covered <= 49


def test_a_short_macro_step_sees_too_much_by_what_the_delay_tells(make_problem, kernels):
    """<a> - a* over l Dt, l = 4 pi^2 / eps^2 for this coefficient up to its higher modes: 1.05 % at the least Dt."""
    problem = make_problem(eps=0.05)
    found = effective_tensor_by_walkers(problem, 64, cache=kernels)
    share = found.excess(0.05**2 / np.pi)
    assert share == pytest.approx(1.05e-2, rel=0.02)
    assert found.excess(2 * 0.05**2 / np.pi) == pytest.approx(share / 2)


@pytest.mark.slow
def test_oblique_layers_whose_step_was_too_long(make_problem, kernels):
    """Layers across the diagonal: a* = R diag(harmonic, arithmetic) R^T, at four seeds; intervals of 95 %."""
    problem = make_problem("1 + 0.9*sin(2*pi*(x1 + x2)/eps)")
    harmonic = np.sqrt(1 - 0.9**2)
    exact = np.array([[harmonic + 1, harmonic - 1], [harmonic - 1, harmonic + 1]]) / 2
    outside = 0
    for seed in range(4):
        found = effective_tensor_by_walkers(problem, 16, seed, cache=kernels)
        outside += int((np.abs(found.value - exact) > found.half_width())[np.triu_indices(2)].sum())
        assert (np.abs(found.value - exact) < 4.5 * found.standard_error).all()
        assert found.standard_error.max() < 1e-2
    assert outside <= 3  # of 12: P = 0.2 % if 5 % are


@pytest.mark.parametrize(
    ("coefficient", "known"),
    [
        ("1e-3 + sin(pi*x1/eps)**2", np.sqrt(1e-3 * 1.001)),
        # a period within the period: the mean of 1/a is the product of the means
        pytest.param("(1.1 + sin(2*pi*x1/eps))*(1.1 + sin(2*pi*x1/eps**2))", 0.21, marks=pytest.mark.slow),
    ],
)
def test_thin_and_fine_layers(make_problem, kernels, coefficient, known):
    """Both were far off, without a sign of it: 0.0482 +- 0.0008 and 9.36 +- 0.09."""
    found = effective_tensor_by_walkers(make_problem(coefficient, 0.05, 1), 8, cache=kernels)
    assert abs(found.value[0, 0] - known) < 4.5 * found.standard_error[0, 0] < 0.3 * known


def test_a_tensor_outside_of_the_interval_is_a_contradiction():
    found = EffectiveTensor(np.diag([1.0, 2.0]), np.full((2, 2), 0.01), *np.zeros((2, 2, 2)), 30)
    assert found.contradiction(np.diag([1.02, 1.98])) == []
    (line,) = found.contradiction(np.diag([1.0, 2.1]))
    assert "a*_22" in line


def test_what_has_no_effective_tensor_is_refused(make_problem, kernels):
    with pytest.raises(UserError, match="with a period"):
        effective_tensor_by_walkers(make_problem("1 + x1"), cache=kernels)


@pytest.mark.slow
@pytest.mark.parametrize("contrast", [10, 0.02])
def test_intervals_hold_where_the_medium_jumps(make_problem, kernels, contrast):
    """Discs in a square array, four seeds: 16 entries of 95 %, which are rather too wide than too narrow."""
    disc = f"where((mod(x1, eps) - eps/2)**2 + (mod(x2, eps) - eps/2)**2 < (0.35*eps)**2, {contrast}, 1)"
    exact, problem = square_array(0.35, contrast) * np.eye(2), make_problem(disc)
    found = [effective_tensor_by_walkers(problem, 16, seed, cache=kernels) for seed in range(4)]
    inside = sum(int((np.abs(tensor.value - exact) < tensor.half_width()).sum()) for tensor in found)
    assert inside >= 14
    assert max(tensor.half_width().max() for tensor in found) < 0.05 * exact[0, 0]
