"""Walkers: kernel against oracle, streams, martingales, exits. Every Monte Carlo test fails at 4 sigma or more."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from homog import equation
from homog.config import BoundsTimeStep, DomainSettings, FormulaProblem
from homog.machine import pieces
from homog.timesteps.timestep import TimeSteps, time_steps
from homog.walkers import Scheme, Walkers, oracle, stream_key

GIRSANOV, DRIFT, HEUN = (
    Scheme("girsanov", "euler", "bridge"),
    Scheme("drift", "euler", "clip"),
    Scheme("drift", "heun", "bridge"),
)
STAY = Scheme("drift", "metropolis", "bridge")
FORCING = "sin(4*pi*x1 + 6*pi*x1**2)"
COEFFICIENTS = {
    "laminate": (1, "1 + 0.5*sin(2*pi*x1/eps)"),
    "linear": (2, "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"),
    "warped": (2, "2 + sin(2*pi*(x1 + 0.1*sin(2*pi*x2))) * cos(2*pi*x1/eps)"),
    "bump": (1, "1 + exp(-((x1 - 0.5)/0.05)**2) + 0*cos(2*pi*x1/eps)"),
    "no value outside": (2, "1 + x1**1.5*sqrt(eps) + 0.2*cos(2*pi*x2/eps)"),
    "two scales": (2, "exp(0.5*sin(2*pi*x1/eps)*x2) + x1**2"),
    "kinked": (2, "1 + abs(sin(2*pi*x1/eps))*max(cos(2*pi*x2/eps), -0.5, x1 - 1)"),
    "jumps": (2, "where(mod(x1, eps) < 0.4*eps and not mod(x2/eps, 1) > 0.7, 10, 1) + 0.5*sin(2*pi*x1/eps)"),
    "squares": (2, "where(mod(floor(2*x1/eps) + floor(2*x2/eps), 2) < 0.5, 5, 1 + x2)"),
    "balls": (3, "where((x1 - 0.5)**2 + (x2 - 0.5)**2 + (mod(x3, eps) - eps/2)**2 < 0.09, 20, 1)"),
    "cube": (3, "1 + 0.9*sin(2*pi*x1/eps)*sin(2*pi*x2/eps)*sin(2*pi*x3/eps)"),
}


def starts_near_the_boundary(domain, eps: float, count: int) -> np.ndarray:
    """Half of the points uniform, half within a fraction of a period of the boundary."""
    random = np.random.default_rng(1)
    edge = domain.sample_boundary(count // 2, random)
    inner = np.clip(edge, np.add(domain.lower, 0.05 * eps), np.subtract(domain.upper, 0.05 * eps))
    return np.concatenate([inner, domain.sample(count - count // 2, random)])


PAIRS = [  # each is a kernel to compile: all schemes on the linear problem, each other coefficient where it is hardest
    ("linear", GIRSANOV), ("linear", DRIFT), ("linear", HEUN), ("laminate", DRIFT), ("warped", HEUN),
    ("no value outside", HEUN), ("cube", HEUN), ("kinked", HEUN), ("jumps", STAY), ("squares", STAY), ("balls", STAY),
    # more formulas, which tests/walkers/test_walkers_medium.py has without a compiler
    *(pytest.param(name, GIRSANOV, marks=pytest.mark.slow) for name in ("bump", "two scales")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "scheme"), PAIRS, ids=str)
def test_kernel_and_oracle_agree_over_whole_paths_at_every_eps(make_problem, kernels: Path, name: str, scheme: Scheme):
    dimension, coefficient = COEFFICIENTS[name]
    # with a constant forcing the linear problem and the cube have kernels that other tests use too
    forcing = "10" if name in ("linear", "cube") else FORCING
    for eps in (0.1, 1e-5):
        problem = make_problem(coefficient, eps, dimension, forcing)
        steps = time_steps(BoundsTimeStep(eps=eps, macro_factor=1.0), dimension)
        points, key = starts_near_the_boundary(problem.domain, eps, 60), stream_key(5, 2)
        found = Walkers(problem, scheme, kernels).walk(points, 8, steps, key)
        exact = oracle.walk(problem, scheme, points, 8, steps, key)
        # a decision within rounding may fall the other way: about 1e-6 of them, here none
        np.testing.assert_array_equal(found.left, exact.left)
        assert found.left.mean() > 0.2
        # single precision, 6e-8, over 36 to 108 steps; neighbouring paths may part by a factor of up to e^5
        np.testing.assert_allclose(found.displacement / eps, exact.displacement / eps, atol=1e-4)
        np.testing.assert_allclose(found.brownian / eps, exact.brownian / eps, atol=3e-6)
        np.testing.assert_allclose(found.duration, exact.duration, rtol=1e-6)
        np.testing.assert_allclose(found.reward, exact.reward, atol=2e-5 * np.abs(exact.reward).max())
        np.testing.assert_allclose(found.log_weight, exact.log_weight, atol=1e-4)


def test_paths_depend_on_seed_iteration_and_walker_alone(make_problem, kernels: Path, monkeypatch: pytest.MonkeyPatch):
    problem = make_problem()
    walkers, steps = Walkers(problem, GIRSANOV, kernels), TimeSteps(1e-5, 20, 1, 1)
    points = problem.domain.sample(50, np.random.default_rng(0))
    one = walkers.walk(points, 7, steps, stream_key(3, 4))
    with monkeypatch.context() as patch:
        patch.setattr(pieces, "threads", lambda: 1)
        again = walkers.walk(points, 7, steps, stream_key(3, 4))
    np.testing.assert_array_equal(one.displacement, again.displacement)
    np.testing.assert_array_equal(one.log_weight, again.log_weight)
    fewer = walkers.walk(points[:20], 7, steps, stream_key(3, 4))  # the first walkers do not know of the last
    np.testing.assert_array_equal(one.displacement[:, :20], fewer.displacement)
    for key in (stream_key(4, 4), stream_key(3, 5)):
        assert not np.array_equal(one.displacement, walkers.walk(points, 7, steps, key).displacement)


@pytest.mark.parametrize("name", ["linear", "cube"])
def test_a_step_of_two_draws_goes_along_the_same_brownian_path(make_problem, kernels: Path, name: str):
    """Half as many steps, twice as long: the same increments added up, and places that differ by the step's error."""
    dimension, coefficient = COEFFICIENTS[name]
    problem = make_problem(coefficient, 0.05, dimension, "10")
    points = problem.domain.sample(200, np.random.default_rng(0))
    fine, coarse = (
        Walkers(problem, Scheme(draws=draws), kernels).walk(
            points, 3, TimeSteps(draws * 2e-6, 200 // draws, 1, 1), stream_key(1, 1)
        )
        for draws in (1, 2)
    )
    inside = ~(fine.left | coarse.left)
    assert inside.mean() > 0.8
    np.testing.assert_allclose(coarse.brownian[:, inside], fine.brownian[:, inside], atol=1e-6)
    apart = np.abs(coarse.displacement - fine.displacement)[:, inside]
    assert 0 < apart.std() < 0.05 * fine.displacement[:, inside].std()


def test_one_source_serves_every_eps(make_problem, kernels: Path):
    walk = [Walkers(make_problem(eps=eps), DRIFT, kernels)._walk for eps in (0.1, 1e-4)]
    assert walk[0] is walk[1]


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_moments_of_the_brownian_part(make_problem, kernels: Path, dimension: int):
    """Whatever the medium is; without drift it is the displacement. The kernels are those of other tests."""
    driftless = dimension < 3
    problem = make_problem("1" if driftless else COEFFICIENTS["cube"][1], dimension=dimension)
    steps, count = TimeSteps(1e-5, 50, 1, 1), 400_000
    scheme = Scheme("drift", "euler", "bridge") if driftless else HEUN
    walk = Walkers(problem, scheme, kernels).walk(np.full((1, dimension), 0.5), count, steps, stream_key(0, 0))
    scaled = walk.brownian.reshape(dimension, -1).astype(float) / np.sqrt(steps.macro_step)
    assert not walk.left.any()
    assert np.allclose(walk.displacement, walk.brownian, atol=1e-6) == driftless
    assert np.abs(scaled.mean(1)).max() < 4.5 / np.sqrt(count)
    covariance = scaled @ scaled.T / count
    assert np.abs(covariance - np.eye(dimension)).max() < 4.5 * np.sqrt(2 / count)
    assert abs((scaled[0] ** 4).mean() - 3) < 4.5 * np.sqrt(96 / count)  # a sum of 50 normal steps is normal


@pytest.mark.parametrize("exit_rule", ["bridge", "clip"])
def test_the_weight_has_mean_one_and_the_increment_mean_zero_stopped_or_not(
    make_problem, kernels: Path, exit_rule: str
):
    problem = make_problem()
    steps = time_steps(BoundsTimeStep(eps=0.05, macro_factor=1.0), 2)
    for point in ([0.513, 0.477], [0.01, 0.015]):  # within, and where a third and more leave
        walkers = Walkers(problem, Scheme("girsanov", "euler", exit_rule), kernels)
        walk = walkers.walk(np.array([point]), 400_000, steps, stream_key(1, 0))
        weight = np.exp(walk.log_weight.astype(float))
        assert abs(weight.mean() - 1) < 4 * weight.std() / np.sqrt(weight.size)
        for increment in walk.brownian.reshape(2, -1).astype(float):
            assert abs(increment.mean()) < 4 * increment.std() / np.sqrt(increment.size)
            square = increment**2 - walk.duration.ravel()
            assert abs(square.mean()) < 4 * square.std() / np.sqrt(square.size)


def share_seen_outside(time: float, count: int) -> float:
    """P(a walk of `count` normal steps from the middle of (0, 1) is outside after any of them), by quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    x, weights = (nodes + 1) / 2, weights / 2
    step = np.sqrt(time / count)

    def density(move: np.ndarray) -> np.ndarray:
        return np.exp(-0.5 * (move / step) ** 2) / (step * np.sqrt(2 * np.pi))

    inside = density(x - 0.5)
    for _ in range(count - 1):
        inside = density(x[:, None] - x[None, :]) @ (weights * inside)
    return float(1 - weights @ inside)


def test_the_share_that_leaves_an_interval_is_exact_with_the_bridge_and_biased_with_clip(make_problem, kernels: Path):
    """P(tau <= t) from the middle of (0, 1) by reflection: 4 sum (-1)^k Q((k + 1/2) / sqrt t)."""
    time, count, steps = 0.1, 400_000, 10
    exact = 4 * sum((-1) ** k * norm.sf((k + 0.5) / np.sqrt(time)) for k in range(20))
    for rule, expected in (("bridge", exact), ("clip", share_seen_outside(time, steps))):
        walkers = Walkers(make_problem("1", dimension=1), Scheme("drift", "euler", rule), kernels)
        walk = walkers.walk(np.array([[0.5]]), count, TimeSteps(time / steps, steps, 1, 1), stream_key(2, 0))
        # of two faces the likelier is tested: low by at most their product, e^-50 in the middle
        assert abs(walk.left.mean() - expected) < 4 * np.sqrt(exact * (1 - exact) / count)
    assert share_seen_outside(time, steps) < 0.8 * exact  # what the bridge test is for


def test_exit_law_of_the_square(make_problem, kernels: Path):
    """From the middle of the square: u(x) = E[g(X_tau)] for a harmonic g, and E[tau] = u for 1/2 Lap u = -1."""
    problem = make_problem("1")  # R = 5 tau
    walkers = Walkers(problem, Scheme("drift", "euler", "bridge"), kernels)
    points = np.array([[0.3, 0.6]])
    walk = walkers.walk(points, 100_000, TimeSteps(2e-3, 1500, 1, 1), stream_key(0, 0))
    assert walk.left.all()  # the longest of them needs less than 1500 steps but for e^{-pi^2 3} of them
    ends = points.T + walk.displacement.reshape(2, -1)
    on_a_face = np.isclose(ends, 0, atol=1e-6) | np.isclose(ends, 1, atol=1e-6)
    assert on_a_face.any(0).all()
    assert ((ends > -1e-6) & (ends < 1 + 1e-6)).all()
    harmonic = np.exp(np.pi * ends[0]) * np.sin(np.pi * ends[1])
    exact = np.exp(np.pi * 0.3) * np.sin(np.pi * 0.6)
    # the place in the last step is known to O(dt) in the mean: g'' dt / 2 < 0.5 % here
    assert abs(harmonic.mean() - exact) < 4 * harmonic.std() / np.sqrt(harmonic.size) + 0.005 * exact
    k = np.arange(1, 200, 2)
    series = np.outer(np.sin(np.pi * 0.3 * k), np.sin(np.pi * 0.6 * k)) / np.outer(k, k)
    mean_time = (16 * 2 / np.pi**4 * series / (k[:, None] ** 2 + k[None, :] ** 2)).sum()
    reward = walk.reward.astype(float) / 5
    assert abs(reward.mean() - mean_time) < 4 * reward.std() / np.sqrt(reward.size) + 0.01 * mean_time


@pytest.mark.parametrize("towards", [0, 1])
def test_a_strong_drift_carries_all_through_the_face_it_points_to(make_problem, kernels: Path, towards: int):
    """From far within: V = -30 or 30 along x1, and E[tau] = distance / |V| by Wald, of variance distance / |V|^3.

    All walkers of a block go the same way, so that it is this face alone that calls for the exit test.
    """
    problem = make_problem("exp(60*x1 - x2)" if towards else "exp(-60*x1 - x2)", forcing="0")
    walkers, count = Walkers(problem, Scheme("drift", "heun", "bridge"), kernels), 512
    start = 0.8 if towards else 0.2
    walk = walkers.walk(np.array([[start, 0.5]]), count, TimeSteps(2e-6, 20_000, 1, 1), stream_key(0, 0))
    assert walk.left.all()  # the mean is 3333 steps, the deviation 1361
    np.testing.assert_allclose(start + walk.displacement[0], float(towards), atol=1e-6)
    assert abs(walk.duration.mean() - 0.2 / 30) < 4 * np.sqrt(0.2 / 30**3 / count)


@pytest.mark.parametrize("name", ["d1", "p1", "t0", "k0", "v1", "h", "half_dt", "c0", "ZERO"])
def test_a_parameter_may_have_the_name_of_a_variable_of_the_kernel(kernels: Path, name: str):
    """Renaming a parameter changes nothing, not even a bit; the kernel is that of the laminate above."""
    point, steps = np.full((3, 1), 0.4), TimeSteps(1e-5, 5, 1, 1)
    walks = []
    for called in ("contrast", name):
        settings = FormulaProblem(
            name="p", coefficient=f"1 + {called}*sin(2*pi*x1/eps)", forcing=FORCING, parameters={called: 0.5}
        )
        settings.domain = DomainSettings(lower=[0.0], upper=[1.0])
        walks.append(Walkers(equation.build(settings, 0.1), DRIFT, kernels).walk(point, 4, steps, stream_key(0, 0)))
    np.testing.assert_array_equal(walks[0].displacement, walks[1].displacement)
    np.testing.assert_array_equal(walks[0].reward, walks[1].reward)
