"""Mean and standard deviation of u over samples of a random medium, against exact solutions in the same samples."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from small_solve import ensemble_solved, prepared

import homog
from homog.config import Galerkin, GSToolsField
from homog.equation import Problem
from homog.measures.assembled import combined_at, gauss
from homog.measures.ensemble import Ensemble
from homog.run.ensembles import Ensembles
from homog.solvers.ensemble import EnsembleSolve, Made, batches_of_a_sample
from homog.timesteps.timestep import TimeSteps

LINE = homog.Box((0.0,), (1.0,))
STEPS = TimeSteps(2e-5, 100, 1, 1)
SETTINGS = Galerkin(iterations=16)
FIELD = GSToolsField(correlation=0.3, seed=5, samples=12)


def over_samples(field: GSToolsField) -> Problem:
    return homog.Problem("exp(0.5*field)", forcing="1", domain=LINE, field=field)


def made_of(problem: Problem, kernels: Path) -> Made:
    return lambda number: prepared(problem.sample(number), STEPS, 0, kernels, count=14)


def by_walkers(problem: Problem, kernels: Path) -> Ensemble:
    assert problem.settings is not None
    solver = ensemble_solved(SETTINGS, problem.settings.samples, made_of(problem, kernels))
    return Ensemble(solver.network, *solver.answers)


def exact(problem: Problem, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """u of -(a u')' = 1, zero at both ends: a u' = C - x, by sums over many intervals. Nodes and values."""
    edges = np.linspace(0, 1, count + 1)
    nodes, weights = np.polynomial.legendre.leggauss(3)
    inner = edges[:-1, None] + (nodes + 1) / (2 * count)
    share = weights / (2 * count) / problem.operator.coefficient_at(inner.reshape(-1, 1)).reshape(inner.shape)
    flux = (share * inner).sum() / share.sum()
    return edges, np.append(0.0, np.cumsum((share * (flux - inner)).sum(1)))


@pytest.fixture(scope="module")
def found(kernels: Path) -> tuple[Ensemble, np.ndarray, np.ndarray, np.ndarray]:
    """By walkers, and at Gauss's points and with their shares the exact solutions in the same samples."""
    problem = over_samples(FIELD)
    points, shares = gauss(LINE)
    samples = [exact(problem.sample(number)) for number in range(FIELD.samples)]
    values = np.array([np.interp(points[:, 0], *one) for one in samples])
    return by_walkers(problem, kernels), values, points, shares


def test_samples_have_seeds_that_follow():
    problem = over_samples(FIELD)
    alone = [over_samples(replace(FIELD, seed=5 + number, samples=1)) for number in range(2)]
    x = LINE.grid(33)
    for number in range(2):
        known = alone[number].operator.coefficient_at(x)
        np.testing.assert_array_equal(problem.sample(number).operator.coefficient_at(x), known)
    assert not np.allclose(alone[0].operator.coefficient_at(x), alone[1].operator.coefficient_at(x))
    assert [batches_of_a_sample(Galerkin(iterations=n)) for n in (4, 16, 64)] == [4, 4, 16]


def test_each_sample_is_solved(found):
    """With 64000 walkers in each but the first: 2 % of noise, about."""
    ensemble, values, points, shares = found
    error = np.sqrt((ensemble.samples(points) - values) ** 2 @ shares) / np.sqrt(values**2 @ shares)
    assert error.max() < 0.06
    assert error[0] < 0.03


def test_mean_and_deviation_are_those_of_the_same_samples(found):
    """u differs by a half of itself between samples; the noise of the walkers is a twentieth of that, and less."""
    ensemble, values, points, shares = found
    mean, deviation = values.mean(0), values.std(0, ddof=1)
    size, wide = (np.sqrt(shares @ part**2) for part in (mean, deviation))
    assert wide > 0.2 * size
    assert np.sqrt(shares @ (ensemble.mean(points) - mean) ** 2) < 0.02 * size
    assert np.sqrt(shares @ (ensemble.standard_deviation(points) - deviation) ** 2) < 0.05 * wide
    told = ensemble.standard_error(points)
    assert_allclose(np.sqrt(shares @ told**2), wide / np.sqrt(FIELD.samples), rtol=0.05)
    spread = np.sqrt(shares @ ensemble.deviation_error(points) ** 2) / wide
    assert 0.1 < spread < 0.5  # 1/sqrt(2 n) for a normal law


def test_where_the_medium_is_the_same_in_all_samples_the_variance_has_no_bias(kernels: Path):
    """Of exp(5e-5 field), and 24 samples: their answers differ by the walkers' noise alone."""
    problem = over_samples(replace(FIELD, variance=1e-8, samples=24))
    ensemble = by_walkers(problem, kernels)
    points, shares = gauss(LINE)
    products = ensemble._products(points) @ shares
    noise = products.std(ddof=1) / np.sqrt(len(products))
    naive = ensemble.samples(points).var(0, ddof=1) @ shares
    assert abs(products.mean()) < 4 * noise
    assert products.mean() + noise < 0.7 * naive
    assert naive > 1e-5 * shares @ ensemble.mean(points) ** 2


def test_products_of_halves_have_the_variance_of_the_law_and_their_own_error(kernels: Path):
    """Weights that are drawn: of deviation 0.1, seen through noise of 0.3, by 4000 samples. Standard errors of 4 %."""
    _, network = prepared(over_samples(replace(FIELD, samples=1)), STEPS, 0, kernels, count=14)
    random, count = np.random.default_rng(0), len(network.weights())  # type: ignore[operator]
    law, seen = np.zeros((4000, count)), np.zeros((4000, 2, count))
    law[:, 0] = 1 + 0.1 * random.standard_normal(4000)
    seen[:, :, 0] = law[:, None, 0] + 0.3 * random.standard_normal((4000, 2))
    ensemble = Ensemble(network, seen.mean(1), seen)  # type: ignore[arg-type]
    x = np.array([[0.2], [0.5]])
    one = np.abs(combined_at(network, x, np.eye(count)[:, :1])[:, 0])  # type: ignore[arg-type]
    deviation, error = ensemble.standard_deviation(x), ensemble.deviation_error(x)
    assert_allclose(error, one * (0.1**2 + 0.3**2) / np.sqrt(4000) / 0.2, rtol=0.15)
    assert (np.abs(deviation - 0.1 * one) < 4 * error).all()
    assert (ensemble.samples(x).std(0) > 2 * deviation).all()


def test_what_an_ensemble_tells_of_itself(found):
    ensemble, values, _, shares = found
    numbers = Ensembles.of(ensemble, LINE).metrics()
    assert numbers["samples"] == FIELD.samples
    size = np.sqrt(shares @ values.mean(0) ** 2)
    assert numbers["ensemble_deviation"] == pytest.approx(np.sqrt(shares @ values.std(0, ddof=1) ** 2) / size, rel=0.06)
    assert numbers["ensemble_standard_error"] == pytest.approx(
        numbers["ensemble_deviation"] / np.sqrt(FIELD.samples), rel=0.06
    )


@pytest.mark.parametrize("until", [9, 16, 21])
def test_an_ensemble_that_is_taken_up_by_another_process_has_the_same_bits(found, kernels: Path, until: int):
    """In the first sample, at its end, and in the middle of the third."""
    problem = over_samples(FIELD)
    made = made_of(problem, kernels)
    before, after = (EnsembleSolve(SETTINGS, FIELD.samples, made(0), made) for _ in range(2))
    for iteration in range(until):
        before.step(iteration)
    after.load_state(before.state())
    for iteration in range(until, 24):
        after.step(iteration)
    weights, halves = after.answers
    assert len(weights) == 3
    np.testing.assert_array_equal(weights, found[0].weights[:3])
    np.testing.assert_array_equal(halves, found[0].halves[:3])
