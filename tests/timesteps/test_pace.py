"""The steps that a medium allows, and walkers that choose theirs by the place."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from homog.config import BoundsTimeStep
from homog.timesteps.pace import accurate, pace_of
from homog.timesteps.timestep import TimeSteps, time_steps
from homog.walkers import Scheme, Walkers, oracle, stream_key

LAYERS = "1e-3 + sin(pi*x1/eps)**2"  # in each period a layer of width sqrt(1e-3) eps that is hard to cross
INTERFACE = "1 + 49.5*(1 + tanh((x1 - 0.4321)/1e-3))"
HEUN = Scheme("drift", "heun", "bridge")


def paced(problem, m0: float = 12.0, factor: float = 4.0, most: float = math.inf) -> TimeSteps:
    steps = time_steps(BoundsTimeStep(m0=m0, macro_factor=factor), problem.dimension, problem.scale)
    return replace(steps, pace=pace_of(problem, steps.micro_step, m0, most))


def test_smooth_periodic_media_are_walked_as_the_paper_says(make_problem):
    for dimension, coefficient in (
        (2, "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"),
        (2, "2 + sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"),
        (3, "1 + 0.9*sin(2*pi*x1/eps)*sin(2*pi*x2/eps)*sin(2*pi*x3/eps)"),
        (1, "3"),
    ):
        assert paced(make_problem(coefficient, 0.01, dimension)).pace is None


@pytest.mark.parametrize(("dimension", "coefficient"), [(1, LAYERS), (2, LAYERS), (2, INTERFACE)])
def test_no_step_reaches_a_place_where_it_is_too_long(make_problem, dimension: int, coefficient: str):
    """At random pairs of places, most of them near the steep ones, which are found without the code under test."""
    problem, random = make_problem(coefficient, 0.1, dimension), np.random.default_rng(5)
    steps = paced(problem)
    pace = steps.pace
    assert pace is not None
    assert pace.worst <= 1.0001 * accurate(12)
    x = problem.domain.sample(100_000, random)
    near = x + 0.003 * random.standard_normal(x.shape)
    y = np.clip(near, problem.domain.lower, problem.domain.upper)
    speed = np.linalg.norm(problem.process.drift_at(y), axis=-1)
    cells = np.array(pace.longest.shape)
    place = (x - pace.lower) / np.subtract(pace.upper, pace.lower)
    place = place % 1 if pace.periodic else place
    step = np.sqrt(pace.longest[tuple(np.minimum(place * cells, cells - 1).astype(int).T)])
    far = np.linalg.norm(y - x, axis=-1)
    with np.errstate(divide="ignore"):
        allowed = np.maximum(accurate(12) / speed, far / 3)
    # |V| is looked at at random places: between them it may be a little larger
    assert (step <= 1.1 * allowed).mean() > 0.9999
    assert (speed * math.sqrt(steps.micro_step) > 2 * accurate(12)).mean() > 0.003  # where the uniform step is too long


@pytest.mark.parametrize(("dimension", "coefficient"), [(1, LAYERS), (2, INTERFACE)])
def test_walkers_with_clocks_of_their_own_agree_with_the_oracle(
    make_problem, kernels: Path, dimension: int, coefficient: str
):
    problem = make_problem(coefficient, 0.1, dimension, "sin(4*pi*x1)")
    steps = paced(problem, factor=0.05)
    points, key = problem.domain.sample(150, np.random.default_rng(1)), stream_key(5, 2)
    found = Walkers(problem, HEUN, kernels).walk(points, 4, steps, key)
    exact = oracle.walk(problem, HEUN, points, 4, steps, key)
    # a walker may look up the cell beside its own, and go another way: those are few
    same = (found.left == exact.left) & (np.abs(found.displacement - exact.displacement).max(0) < 1e-3 * 0.1)
    assert same.mean() > 0.97
    np.testing.assert_allclose(found.duration[same], exact.duration[same], rtol=1e-4)
    np.testing.assert_allclose(found.reward[same], exact.reward[same], atol=1e-3 * np.abs(exact.reward).max())
    assert found.steps == pytest.approx(exact.steps, rel=0.02)
    assert found.steps > 1.3 * 600 * steps.count


def test_martingales_hold_whatever_the_pace(make_problem, kernels: Path):
    """E[W] = 0 and E[W_i W_j] = duration delta_ij, stopped by the boundary or not: optional stopping."""
    problem = make_problem(INTERFACE, 0.1)
    steps = paced(problem, factor=0.05)
    count = 200_000
    for point in ([0.43, 0.5], [0.43, 0.02]):
        walk = Walkers(problem, HEUN, kernels).walk(np.array([point]), count, steps, stream_key(1, 0))
        w, t = walk.brownian.reshape(2, -1).astype(float), walk.duration.ravel().astype(float)
        assert walk.left.any() == (point[1] < 0.1)
        for product in (w[0], w[1], w[0] * w[1], w[0] ** 2 - t, w[1] ** 2 - t):
            assert abs(product.mean()) < 4.5 * product.std() / math.sqrt(count)


def test_the_budget_lengthens_the_shortest_steps_and_says_so(make_problem):
    problem = make_problem(INTERFACE, 0.1)
    free, bound = paced(problem).pace, paced(problem, most=1.5).pace
    assert free is not None
    assert bound is not None
    assert free.slowdown > 2
    assert bound.slowdown == pytest.approx(1.5, rel=1e-3)
    assert bound.worst > 1.5 * bound.wanted
    assert free.worst <= 1.0001 * free.wanted
