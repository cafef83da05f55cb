"""What the micro step does to the homogenised answer: orders by computation, the kernels against it by sampling."""

import math

import chain
import numpy as np
import pytest

from homog.timesteps.timestep import TimeSteps, micro_bound
from homog.walkers import Scheme, Walkers, stream_key


def micro_step(m0: float) -> float:
    """dt at its bound, in units of eps^2."""
    return micro_bound(1.0, m0, 2)


@pytest.mark.parametrize(
    ("step", "order"),
    [
        (chain.euler, 1),
        (chain.heun, 2),  # 1.9 at these steps: the next term is not small yet
    ],
)
def test_weak_order(step: chain.Step, order: int):
    # at steps as short as these 16 nodes give the same four digits as 24
    coarse, fine = (abs(chain.amplitude(step, micro_step(m0), nodes=16) - 1) for m0 in (24, 48))
    assert math.log2(coarse / fine) / 2 == pytest.approx(order, abs=0.15)  # dt falls by 4


@pytest.mark.parametrize(("m0", "percent"), [(6, 10.5), (12, 3.36)])
def test_the_bias_of_the_euler_sums(m0: float, percent: float):
    """The table of section 3 of the method: the paper's own scheme is 3.4 % off at its own m0 = 12."""
    assert 100 * (chain.amplitude(chain.euler, micro_step(m0)) - 1) == pytest.approx(percent, abs=0.05)


@pytest.mark.parametrize("m0", [6, pytest.param(12, marks=pytest.mark.slow)])  # four times the steps, the same fact
@pytest.mark.parametrize("name", ["euler", "heun"])
def test_walkers_have_the_computed_amplitude(make_problem, kernels, name: str, m0: float):
    """Mean reward over mean square displacement, both as slopes between two times after the chain has mixed.

    The squared Brownian increment, of known mean, serves as control variate.
    """
    eps, walkers = 0.01, 1_000_000
    problem = make_problem(eps=eps)  # f = 10: a kernel that other tests use too
    dt, early, late = micro_step(m0) * eps**2, int(1.5 * m0**2), int(9.5 * m0**2)
    points = 0.4 + 0.2 * np.random.default_rng(0).random((walkers // 250, 2))
    drift = Walkers(problem, Scheme("drift", name, "bridge"), kernels)
    first, second = (drift.walk(points, 250, TimeSteps(dt, k, 1, 1), stream_key(0, 0)) for k in (early, late))
    assert not second.left.any()

    def square(walk) -> np.ndarray:
        return (walk.displacement.astype(float) ** 2 - 0.9 * walk.brownian.astype(float) ** 2).sum(0).ravel()

    spread = square(second) - square(first)
    per_axis = spread.mean() / 2 + 0.9 * dt * (late - early)
    reward = (second.reward.astype(float) - first.reward).mean() / 10
    found = reward / (per_axis / 2) * 0.8835143
    sigma = spread.std() / math.sqrt(walkers) / 2 / per_axis  # of the reward it is a hundred times less
    assert found == pytest.approx(chain.amplitude(getattr(chain, name), micro_step(m0)), rel=4 * sigma)
    assert sigma < 1.5e-3


def test_girsanov_weights_give_the_mean_of_the_euler_walkers(make_problem, kernels):
    """In discrete time D is the likelihood ratio of the Euler chain: the same law, so the same bias."""
    problem = make_problem(eps=0.05)
    steps = TimeSteps(micro_step(6) * 0.05**2, 18, 1, 1)
    points = np.array([[0.31, 0.42]])
    means, errors = [], []
    for martingale in ("girsanov", "drift"):
        walk = Walkers(problem, Scheme(martingale, "euler", "bridge"), kernels).walk(
            points, 2_000_000, steps, stream_key(1, 1)
        )
        value = (walk.displacement[0] / 0.05 + walk.reward) * np.exp(walk.log_weight.astype(float))
        means.append(value.mean())
        errors.append(value.std() / math.sqrt(value.size))
    assert abs(means[0] - means[1]) < 4 * math.hypot(*errors)
    assert math.hypot(*errors) < abs(means[1]) / 40  # without the weight the mean displacement would be zero
