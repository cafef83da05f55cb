"""What the time steps move in an answer: from systems whose bias is known, and on a medium whose a* is known."""

import math
from pathlib import Path

import numpy as np
import pytest

from homog.config import BoundsTimeStep, Energy, Galerkin, Legendre
from homog.losses import EnergyLoss
from homog.measures.evaluation import relative_l2, values_on_grid
from homog.networks import build
from homog.solvers import steps
from homog.solvers.galerkin import GalerkinSolver
from homog.solvers.nested import choose, solve
from homog.solvers.steps import Seen, seen_in
from homog.solvers.steps import _moved as moved
from homog.timesteps.timestep import time_steps

COUNT, GROUPS, EARLIEST, EARLIER = 9, 8, 1 / 16, 0.25


def seen(
    macro: float, micro: float, noise: float = 0.0, seed: int = 0, rate: float = math.inf, own_noise: float = 0.1
) -> tuple[Seen, np.ndarray, np.ndarray]:
    """An answer by the equations of a macro step that adds `macro` to the matrix, and steps that add `micro`.

    With the weights that it had before, and the exact ones. Walkers forget their cell at a `rate` a macro step; at
    once, and what is added falls like one over the time. The walkers of the other equations are the same: their noise
    is common to all but for `own_noise`.
    """
    random = np.random.default_rng(seed)
    base = np.diag(np.linspace(1.0, 4.0, COUNT)) + 0.1
    exact = np.append(np.linalg.solve(base, np.ones(COUNT)), 1.0)

    def equations(times: float, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        matrix = np.zeros((GROUPS, COUNT, COUNT + 1))
        matrix[:, :, :COUNT] = times * base / GROUPS + noise * spread
        return matrix, np.ones((GROUPS, COUNT)) / GROUPS

    def added(time: float) -> float:
        of_time = 1 / time if rate == math.inf else math.expm1(-rate * time) / (time * math.expm1(-rate))
        return macro * of_time

    common, own = random.standard_normal((2, GROUPS, COUNT, COUNT))
    late, load = equations(1 + macro + micro, common)
    others = [
        equations(times, common + own_noise * part)
        for times, part in (
            (1 + added(EARLIEST) + micro, -own),
            (1 + added(EARLIER) + micro, own),
            (1 + macro + micro, 0 * own),
            (1 + macro + micro / 2**1.5, -own),
            (1 + macro + micro, -0.9 * own),
        )
    ]
    square = np.concatenate([late, np.zeros((GROUPS, 1, COUNT + 1))], axis=1)
    answers = solve(square, np.append(load, np.zeros((GROUPS, 1)), axis=1), [np.arange(COUNT)], 1e-9)
    mass = np.eye(COUNT)
    tested = tuple(np.stack(parts) for parts in zip(*others, strict=True))
    choice = choose(answers, mass, GROUPS - 1)
    assert len(tested) == 2
    found = seen_in(
        answers[0], choice, tested, np.arange(COUNT), (EARLIEST, EARLIER), 1 / (1 - 2**-1.5), mass, GROUPS - 1
    )
    return found, answers[0].weights, exact[:-1]


def test_the_bias_of_the_macro_step_is_seen_and_taken_out():
    found, _, exact = seen(0.1, 0.0)
    size = np.linalg.norm(exact)
    before = 1 - 1 / 1.1
    assert np.linalg.norm(found.answer.weights - exact) < 1e-6 * size
    assert found.macro is not None
    assert found.macro.error == pytest.approx(EARLIER * before * size, rel=1e-6)
    assert found.micro.error == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("rate", [2.0, 4.0, 8.0, 16.0])
def test_a_medium_that_is_not_forgotten_yet_is_seen(rate: float):
    """The slope form alone lacks B: for 2 the larger part. What the correction beyond it is, is not trusted."""
    found, before, exact = seen(0.2, 0.0, rate=rate)
    off = np.linalg.norm(found.answer.weights - exact)
    assert off < 0.01 * np.linalg.norm(before - exact)  # the rates are in a table
    lacks = (math.exp(-rate / 4) - math.exp(-rate)) / (0.75 * -math.expm1(-rate))  # of what the macro step adds
    assert found.macro is not None
    assert found.macro.error > 0.6 * 0.2 * lacks * np.linalg.norm(exact)


@pytest.mark.parametrize("own_noise", [0.1, 1.0])
def test_an_answer_is_not_moved_by_noise(own_noise: float):
    """Without a bias what is seen is below its standard error, on average, and the answer is mostly left as it is."""
    scores, worse = [], []
    for seed in range(40):
        found, before, exact = seen(0.0, 0.0, noise=0.01, seed=seed, own_noise=own_noise)
        assert found.macro is not None
        scores.append(found.micro.error / found.micro.standard_error)
        worse.append(np.linalg.norm(found.answer.weights - exact) / np.linalg.norm(before - exact))
    assert np.mean(scores) < 1
    assert max(scores) < 4
    assert np.mean(worse) < 1.05


@pytest.mark.parametrize("macro", [0.0, 0.01, 0.02, 0.04, 0.1])
def test_a_part_of_the_move_is_better_than_none_and_than_all(macro: float, monkeypatch: pytest.MonkeyPatch):
    """The mean square of the error over 60 draws, by the part that is taken and by none and all of the move."""
    moves: list[tuple[np.ndarray, np.ndarray]] = []
    monkeypatch.setattr(
        steps, "_moved", lambda answer, *given: moves.append((answer.weights, given[1].by)) or moved(answer, *given)
    )
    squares = np.zeros(3)
    for seed in range(60):
        moves.clear()
        found, before, exact = seen(macro, 0.0, noise=0.01, seed=seed, own_noise=1.0)
        off = [found.answer.weights - exact, before - exact, before + moves[0][1] + moves[1][1] - exact]
        squares += [float(part @ part) for part in off]
    assert squares[0] < 1.02 * squares[1:].min()


def test_a_coefficient_that_almost_vanishes_is_answered_without_the_bias_of_dt(make_problem, kernels: Path):
    """a = 1 + 0.9 cos(2 pi x / eps) in one dimension: a* = sqrt(1 - 0.81), and u_0 = x (1 - x) / (2 a*)."""
    problem = make_problem("1 + 0.9*cos(2*pi*x1/eps)", 0.02, 1, "1")
    steps = time_steps(BoundsTimeStep(m0=24.0), 1, problem.scale)
    loss = EnergyLoss(Energy(), problem, steps, 0, kernels)
    solver = GalerkinSolver(Galerkin(), loss, loss.network(build(Legendre(count=8), problem.domain, 0)))
    for iteration in range(16):
        solver.add(iteration)
    axes = problem.domain.axes(201)
    exact = axes[0] * (1 - axes[0]) / (2 * math.sqrt(1 - 0.81))
    off = relative_l2(values_on_grid(solver.solution(), axes), exact)
    estimate = math.hypot(
        solver.standard_error(),
        solver.macro_step_error().error,
        solver.micro_step_error().error,
        solver.features_error(),
    )
    solver._tested.matrix.fill(0.0)
    solver._solved = None
    plain = relative_l2(values_on_grid(solver.solution(), axes), exact)
    assert plain > 0.02
    assert off < 0.5 * plain
    assert off < 3 * estimate < 0.05
