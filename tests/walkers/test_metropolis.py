"""Steps that are accepted or not: reversible whatever dt is, and right in the limit, by laws that are known."""

from pathlib import Path

import numpy as np
import pytest

from homog.domains import Box
from homog.references.cell import correctors_of
from homog.timesteps.timestep import TimeSteps
from homog.walkers import Scheme, Walkers, stream_key

STAY = Scheme("drift", "metropolis", "bridge")
DISCS = "where((mod(x1, eps) - eps/2)**2 + (mod(x2, eps) - eps/2)**2 < (0.35*eps)**2, 10, 1)"


@pytest.mark.parametrize("step", [0.02, 0.3])
def test_the_walk_is_reversible_at_any_step_exits_among_them(make_problem, kernels: Path, step: float):
    """<a psi(x) phi(X); inside> is symmetric: steps of a third of a period over discs of contrast 10, in four periods.

    psi and phi are those of most asymmetry that are at hand: the inside of discs, and the neighbourhood of a corner.
    """
    problem, count = make_problem(DISCS, eps=0.25), 400_000
    points = problem.domain.spread(count, np.random.default_rng(0))
    walk = Walkers(problem, STAY, kernels).walk(points, 1, TimeSteps((step * 0.25) ** 2, 8, 1, 1), stream_key(0, 0))
    inside = ~walk.left[:, 0]
    assert 0.02 < walk.left.mean() < 0.6
    weight, ends = problem.operator.coefficient_at(points), points + walk.displacement[:, :, 0].T

    def functions(x):
        return np.stack([problem.operator.coefficient_at(x) > 5, x.sum(-1) ** 4, np.exp(-20 * (x[:, 0] - 0.2) ** 2)])

    here, there = functions(points), functions(ends)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        asymmetry = weight * inside * (here[i] * there[j] - here[j] * there[i])
        size = weight * inside * (here[i] * there[j] + here[j] * there[i])
        sigma = asymmetry.std() / np.sqrt(count)
        assert abs(asymmetry.mean()) < 4 * sigma < 0.02 * size.mean()


def test_what_a_step_of_some_length_adds_to_the_resistance_of_layers_is_proportional_to_it(make_problem, kernels: Path):
    """Across layers 1/a* has a term for each interface: (sqrt(dt) terms of) 1/a* - 1/harmonic halve with dt / 4."""
    eps, harmonic = 1.0, 20 / 11
    cell = make_problem("where(mod(x1, eps) < eps/2, 10, 1)", eps, 1)
    problem, chi = cell.but(domain=Box((-50.0,), (50.0,))), correctors_of(cell)
    walkers, count = Walkers(problem, STAY, kernels), 2_000_000
    points = Box((0.0,), (1.0,)).spread(count, np.random.default_rng(0))
    weight = cell.operator.coefficient_at(points)
    excess, sigmas = [], []
    for dt in (1.6e-3, 4e-4):
        moments = []
        for steps in (4, 16):
            walk = walkers.walk(points, 1, TimeSteps(dt, steps, 1, 1), stream_key(0, 0))
            ends = points + walk.displacement[:, :, 0].T
            pair = 2 * weight * (there := cell.operator.coefficient_at(ends)) / (weight + there)
            moments.append(pair * (walk.displacement[0, :, 0] + chi.at(ends)[0] - chi.at(points)[0]) ** 2)
        slope = (moments[1] - moments[0]) / (12 * dt)
        excess.append(1 / slope.mean() - 1 / harmonic)
        sigmas.append(slope.std() / np.sqrt(count) / slope.mean() ** 2)
    assert excess[0] > 20 * sigmas[0]
    assert abs(excess[0] - 2 * excess[1]) < 4 * np.hypot(sigmas[0], 2 * sigmas[1]) < 0.3 * excess[0]


def test_four_draws_a_step_go_along_the_same_brownian_path(make_problem, kernels: Path):
    problem = make_problem(DISCS)
    points = problem.domain.sample(200, np.random.default_rng(0))
    fine, coarse = (
        Walkers(problem, STAY.along(draws), kernels).walk(
            points, 3, TimeSteps(draws * 2e-6, 200 // draws, 1, 1), stream_key(1, 1)
        )
        for draws in (1, 4)
    )
    inside = ~(fine.left | coarse.left)
    assert inside.mean() > 0.8
    np.testing.assert_allclose(coarse.brownian[:, inside], fine.brownian[:, inside], atol=1e-6)


def test_the_reward_is_the_time_in_each_phase(make_problem, kernels: Path):
    """f = 2 a where a = 10, else zero: R is the time in the discs, refused steps among it, and half of it is less."""
    problem = make_problem(DISCS, 0.1, forcing=DISCS.replace("10, 1)", "20, 0)"))
    points = np.full((1000, 2), 0.55)  # the middle of a disc
    walk = Walkers(problem, STAY, kernels).walk(points, 1, TimeSteps(1e-6, 40, 1, 1), stream_key(0, 0))
    np.testing.assert_allclose(walk.reward, 4e-5, rtol=1e-5)
    points = np.full((1000, 2), 0.501)  # between discs
    walk = Walkers(problem, STAY, kernels).walk(points, 1, TimeSteps(1e-6, 40, 1, 1), stream_key(0, 0))
    assert not walk.reward.any()


def test_at_a_small_eps_the_medium_is_the_same(make_problem, kernels: Path):
    """Whole parts and fractions are counted in double precision at the start: walks in units of eps are the same."""
    walks = []
    for eps in (0.25, 2.0**-17):
        problem = make_problem("where(mod(floor(2*x1/eps) + floor(2*x2/eps), 2) < 0.5, 10, 1)", eps)
        points = 0.5 + eps * (np.random.default_rng(0).random((2000, 2)) - 0.5)
        walk = Walkers(problem, STAY, kernels).walk(points, 1, TimeSteps(1e-3 * eps**2, 40, 1, 1), stream_key(0, 0))
        walks.append(walk.displacement / eps)
    assert (np.abs(walks[0] - walks[1]).max(0) < 1e-4).mean() > 0.999  # the others part at an interface, by rounding
