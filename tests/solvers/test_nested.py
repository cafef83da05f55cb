"""Answers in growing spaces from one system: the choice among them, and what the largest is said to lack."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from homog.config import BoundsTimeStep, Energy, Galerkin, Legendre
from homog.losses import EnergyLoss
from homog.measures.evaluation import relative_l2, values_on_grid
from homog.networks import build
from homog.solvers.galerkin import GalerkinSolver
from homog.solvers.nested import choose, inverse_of, solve
from homog.timesteps.timestep import time_steps

SIZES = [k**2 for k in range(1, 17)]


def answers(exact: np.ndarray, noise: float, seed: int, groups: int = 8):
    """In growing spaces of a system whose matrix is one, whose load is known up to noise, alike in all directions."""
    random = np.random.default_rng(seed)
    count = SIZES[-1]
    loads = np.zeros((groups, count + 1))
    loads[:, :-1] = exact[:count] / groups + noise / math.sqrt(groups) * random.standard_normal((groups, count))
    matrices = np.repeat(np.eye(count + 1)[None] / groups, groups, axis=0)
    matrices[:, -1, -1] = 0.0
    return solve(matrices, loads, [np.arange(size) for size in SIZES], 1e-7)


def decaying(power: float, count: int = 4 * SIZES[-1]) -> np.ndarray:
    """Coefficients whose sum of squares beyond the m-th is about m^(-2 power)."""
    m = np.arange(1, count + 1)
    return np.sqrt(2 * power) * m ** (-power - 0.5)


@pytest.mark.parametrize("kind", ["whole", "not symmetric", "twice the same function", "indefinite"])
def test_each_space_has_the_answer_of_its_own_equations(kind: str):
    """Also where the functions that a space adds are not the next ones, and where a corner has no inverse."""
    random, groups, count = np.random.default_rng(1), 8, 49
    degree = np.indices((7, 7)).reshape(2, -1).max(0)
    spaces = [np.flatnonzero(degree < size) for size in range(1, 8)]
    root = random.standard_normal((count + 1, count + 1)) * 10.0 ** random.uniform(-2, 0, count + 1)
    matrix = root.T @ root
    if kind == "not symmetric":
        matrix += 0.3 * (root - root.T)
    if kind == "twice the same function":  # numbers 0 and 8, of the first and of the second space
        matrix[8], matrix[:, 8] = matrix[0], matrix[:, 0]
    if kind == "indefinite":
        matrix[8:, 8:] -= 0.5 * np.diag(np.diag(matrix)[8:])
    matrices = matrix / groups + 1e-3 * random.standard_normal((groups, count + 1, count + 1))
    if kind == "twice the same function":
        matrices[:, 8], matrices[:, :, 8] = matrices[:, 0], matrices[:, :, 0]
    loads = random.standard_normal((groups, count + 1))
    for space, found in zip(spaces, solve(matrices, loads, spaces, 1e-9), strict=True):
        matrix = matrices.sum(0)[np.ix_(space, space)]
        scale = np.sqrt(np.abs(np.diag(matrix)))
        inverse = np.linalg.pinv(matrix / np.outer(scale, scale), 1e-9) / np.outer(scale, scale)
        values = np.zeros(count)
        values[space] = inverse @ (loads.sum(0)[space] - matrices.sum(0)[space, -1])
        residual = (loads - matrices @ np.append(values, 1.0))[:, space]
        spread = inverse @ (residual - residual.mean(0)).T
        np.testing.assert_allclose(found.weights, values, atol=1e-6 * np.abs(values).max())
        np.testing.assert_allclose(found.spread[space], spread, atol=1e-6 * np.abs(spread).max())
        assert sorted(found.chosen) == list(space)
        assert np.count_nonzero(found.spread.any(1)) <= len(space)


@pytest.mark.parametrize("power", [0.6, 1.0, 2.0])
def test_what_the_largest_space_lacks_is_read_off_the_decay(power: float):
    exact = decaying(power, 100_000)
    lacked = math.sqrt(np.square(exact[SIZES[-1] :]).sum())
    found = choose(answers(exact, 1e-3 * lacked, 0), np.eye(SIZES[-1]), 7)
    assert found.index == len(SIZES) - 1
    assert math.sqrt(found.lacking[-1]) == pytest.approx(lacked, rel=0.35)


@pytest.mark.parametrize("power", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("noise", [1e-4, 1e-3])
def test_the_chosen_space_is_nearly_the_best_and_its_error_known(power: float, noise: float):
    """Over 20 seeds: as good a choice as with the noise known (Mallows 1973), and the error right to a fifth."""
    exact, mass = decaying(power), np.eye(SIZES[-1])
    regret, known, ratio = [], [], []
    for seed in range(20):
        tried = answers(exact, noise, seed)
        found = choose(tried, mass, 7)
        errors = np.array([np.square(a.weights - exact[: len(mass)]).sum() for a in tried])
        errors += np.square(exact[len(mass) :]).sum()
        mallows = [-np.square(a.weights).sum() + 2 * noise**2 * size for a, size in zip(tried, SIZES, strict=True)]
        regret.append(errors[found.index] / errors.min())
        known.append(errors[np.argmin(mallows)] / errors.min())
        ratio.append(errors[found.index] / (found.noise[found.index] + found.lacking[found.index]))
    assert np.mean(regret) < 1.15 * np.mean(known)
    assert 0.8**2 < np.mean(ratio) < 1.2**2


def test_noise_alone_is_no_lack():
    """A solution that four functions hold: what is said to be lacking is far below the noise of all, in 20 seeds."""
    exact = np.zeros(SIZES[-1])
    exact[:4] = 1.0
    lacking = []
    for seed in range(20):
        found = choose(answers(exact, 1e-3, seed), np.eye(len(exact)), 7)
        lacking.append(found.lacking[found.index] / found.noise[-1])
        assert SIZES[found.index] <= 36
    assert np.mean(lacking) < 0.1  # of the square, whose own noise is sqrt(2 / 256)


def test_the_inverse_leaves_out_small_singular_values():
    random = np.random.default_rng(0)
    left, _ = np.linalg.qr(random.standard_normal((5, 5)))
    sizes = np.array([1.0, 0.5, 0.1, 1e-3, 1e-9])
    matrix = left @ np.diag(sizes) @ left.T
    np.testing.assert_allclose(inverse_of(matrix, 1e-12) @ matrix, np.eye(5), atol=1e-5)
    kept = left[:, :4] @ left[:, :4].T
    np.testing.assert_allclose(inverse_of(matrix, 1e-5) @ matrix, kept, atol=1e-10)
    np.testing.assert_allclose(inverse_of(np.zeros((3, 3)), 1e-5), np.zeros((3, 3)))


@pytest.fixture
def solver(make_problem, kernels: Path):
    def made(coefficient: str, eps: float, *, count: int = 10, iterations: int = 8, points: int = 2048):
        problem = make_problem(coefficient, eps, forcing="10")
        steps = time_steps(BoundsTimeStep(), 2, problem.scale)
        loss = EnergyLoss(Energy(points=points), problem, steps, 0, kernels)
        network = loss.network(build(Legendre(count=count), problem.domain, 0))
        return GalerkinSolver(Galerkin(iterations=iterations), loss, network), loss, network

    return made


def test_fewer_functions_have_rows_and_columns_of_the_equations(solver):
    _, loss, network = solver("1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", 0.1, count=6)
    whole = loss.equations(network, 0, None)
    for space, functions in enumerate(network.nested()):
        smaller = network.restricted(space)
        part, chosen = loss.equations(smaller, 0, None), np.append(functions, -1)
        np.testing.assert_allclose(part.matrix, whole.matrix[np.ix_(chosen, chosen)], atol=1e-5 * whole.matrix.max())
        np.testing.assert_allclose(part.load, whole.load[chosen], atol=1e-6 * np.abs(whole.load).max())
        x = torch.rand(7, 2)
        np.testing.assert_allclose(smaller.features(x), network.features(x)[:, functions], rtol=1e-6)


def test_functions_that_are_not_wanted_are_left_out_and_a_resumed_solve_goes_on_the_same(solver):
    coefficient = "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
    whole, *_ = solver(coefficient, 0.1)
    for iteration in range(8):
        whole.add(iteration)
    assert whole.features() < whole._used**2 < 100
    assert 0 < whole.features_error() < whole.standard_error()
    half, *_ = solver(coefficient, 0.1)
    for iteration in range(5):
        half.add(iteration)
    again, *_ = solver(coefficient, 0.1)
    again.load_state(half.state())
    for iteration in range(5, 8):
        again.add(iteration)
    for name, value in whole.solution().state_dict().items():
        assert torch.equal(value, again.solution().state_dict()[name])
    assert whole.features_error() == again.features_error()


def test_an_interface_wants_all_functions_and_says_what_they_lack(solver, make_problem):
    """To a factor of three, against the solution in 20 functions an axis by twice as many walkers of the same steps."""
    coefficient = "1 + 20*(1 + tanh((x1 - 0.4321)/0.02))"
    few, *_ = solver(coefficient, 0.1, count=8, points=8192)
    many, *_ = solver(coefficient, 0.1, count=20, points=8192, iterations=16)
    for iteration in range(8):
        few.add(iteration)
    for iteration in range(16):
        many.add(100 + iteration)
    axes = make_problem().domain.axes(41)
    off = relative_l2(values_on_grid(few.solution(), axes), values_on_grid(many.solution(), axes))
    estimate = math.hypot(few.features_error(), few.standard_error())
    assert few.features() == 64
    assert off / 3 < estimate < 3 * off
    assert few.features_error() > 2 * few.standard_error()
