"""A reaction: -div(a grad u) + c u = f, against exact solutions by every method, by finite elements and by walks."""

import importlib.util
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from manufactured import Exact, with_solution
from orders import assert_orders

from homog import losses, networks
from homog.config import (
    DFLM,
    PINN,
    BoundsTimeStep,
    DeepRitz,
    Energy,
    FEMReference,
    FormulaProblem,
    Galerkin,
    Legendre,
    MethodSettings,
)
from homog.domains import Box
from homog.equation import Problem
from homog.errors import UserError
from homog.losses.pinn import PINNLoss
from homog.measures.evaluation import relative_l2, values_on_grid
from homog.measures.fine_scale import fine_scale
from homog.measures.longer_walk import longer_walk
from homog.references import reference
from homog.references.feynman_kac import fine_solution, limit_solutions
from homog.solvers.training import train
from homog.timesteps.pace import pace_of
from homog.timesteps.timestep import TimeSteps, time_steps
from homog.walkers import Scheme, Walkers, oracle, stream_key

MakeProblem = Callable[..., Problem]

SOLUTION = "sin(pi*x1)*sin(pi*x2) + x1*x2"
AXES = Box((0.0, 0.0), (1.0, 1.0)).axes(41)


def exact() -> np.ndarray:
    x, y = np.meshgrid(*AXES, indexing="ij")
    return np.sin(np.pi * x) * np.sin(np.pi * y) + x * y


@pytest.fixture
def made(make_problem: MakeProblem) -> Callable[[str, str], Problem]:
    return lambda coefficient, reaction: with_solution(make_problem(eps=0.5), coefficient, SOLUTION, reaction=reaction)


@pytest.mark.parametrize(
    "scheme", [Scheme(), Scheme(step="euler"), Scheme(step="metropolis"), Scheme(draws=2)], ids=str
)
def test_kernel_and_oracle_agree(make_problem: MakeProblem, kernels: Path, scheme: Scheme):
    problem = make_problem("2 + sin(2*pi*x1/eps)*cos(x2)", forcing="1 + x1", reaction="100*(1 + sin(2*pi*x2/eps))")
    points = np.concatenate([problem.domain.sample(40, np.random.default_rng(0)), [[0.002, 0.5], [0.998, 0.999]]])
    steps, key = TimeSteps(1e-5, 40, 1, 1), stream_key(0, 0)
    if scheme.draws == 1:
        exactly = oracle.walk(problem, scheme, points, 4, steps, key)
    else:  # along the path of one with shorter steps
        exactly = Walkers(problem, Scheme(), kernels).walk(points, 4, steps.shortened(2), key)
    found = Walkers(problem, scheme, kernels).walk(points, 4, steps, key)
    same = found.left == exactly.left
    assert same.mean() > 0.97
    tolerance = 1e-6 if scheme.draws == 1 else 0.05  # other places in between
    for name in ("log_weight", "reward"):
        one, other = (getattr(walk, name)[same] for walk in (found, exactly))
        assert np.abs(one - other).max() < tolerance * np.abs(other).max()
    assert -0.3 < found.log_weight.min() < -0.01


def test_walkers_with_clocks_of_their_own_are_killed_by_them(make_problem: MakeProblem, kernels: Path):
    problem = make_problem("1 + 49.5*(1 + tanh((x1 - 0.4321)/1e-3))", 0.1, forcing="1", reaction="3000*(1 + x2)")
    steps = time_steps(BoundsTimeStep(macro_factor=0.02), 2, problem.scale)
    steps = replace(steps, pace=pace_of(problem, steps.micro_step, 12.0, 40.0))
    assert steps.pace is not None
    points, key = problem.domain.sample(12, np.random.default_rng(1)), stream_key(5, 2)
    points[:8, 0] = np.linspace(0.42, 0.445, 8)
    found = Walkers(problem, Scheme(), kernels).walk(points, 3, steps, key)
    exactly = oracle.walk(problem, Scheme(), points, 3, steps, key)
    # one that looks up the cell beside its own by rounding takes other steps
    same = np.isclose(found.duration, exactly.duration, rtol=1e-4)
    assert same.mean() > 0.8
    np.testing.assert_allclose(found.log_weight[same], exactly.log_weight[same], rtol=2e-3)
    np.testing.assert_allclose(found.reward[same], exactly.reward[same], rtol=2e-3)
    assert found.log_weight.min() < -0.05


def test_walkers_in_a_constant_medium_weigh_what_the_time_says(make_problem: MakeProblem, kernels: Path):
    problem = make_problem("2", reaction="12", forcing="4")
    points, time = np.array([[0.5, 0.5], [0.001, 0.5]]), 0.01
    walk = Walkers(problem, Scheme(), kernels).walk(points, 512, TimeSteps(time / 8, 8, 1, 1), stream_key(0, 0))
    inside = ~walk.left
    rate = 12 / 4
    np.testing.assert_allclose(walk.log_weight[inside], -rate * time, rtol=1e-5)
    # int_0^t exp(-rate s) f / (2a) ds, by the rule of the midpoint
    np.testing.assert_allclose(walk.reward[inside], (1 - math.exp(-rate * time)) / rate, rtol=1e-5)
    assert (walk.log_weight[walk.left] > -rate * time * (1 + 1e-6)).all()


METHODS = [
    (Energy(points=4096, walkers=4), "1", "50"),
    (Energy(points=4096, walkers=4), "1 + x1*x2", "200*x1"),
    (Energy(points=4096, walkers=4, step="metropolis"), "1 + 3*x1", "20"),
    (DFLM(points=4096, walkers=4), "1 + x1*x2", "10 + 50*x2**2"),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda case: f"{type(case[0]).__name__} {case[1]} {case[2]}")
def test_a_solve_has_the_error_that_it_tells(made, kernels: Path, method: tuple[MethodSettings, str, str]):
    """Three seeds. The sum of squares of error over told error is about 3; a term left out would make it hundreds."""
    settings, coefficient, reaction = method
    problem, ratios = made(coefficient, reaction), []
    for seed in range(3):
        loss = losses.build(settings, problem, TimeSteps(2.5e-4, 16, 1, 1), seed, kernels)
        network = loss.network(networks.build(Legendre(count=8), problem.domain, 0))
        *_, progress = train(loss, network, Galerkin(iterations=8))
        told = progress.optimizer.metrics()["rel_l2_standard_error"]
        assert told is not None
        ratios.append(relative_l2(values_on_grid(progress.solution, AXES), exact()) / told)
        assert told < 5e-3
    assert 0.3 < np.sqrt(np.mean(np.square(ratios))) < 2.0


def test_the_loss_of_adam_is_that_of_the_solve(made, kernels: Path):
    """The value at some weights is v . (S v / 2 - load) by the equations of the same walkers."""
    problem = made("1 + x1*x2", "50")
    loss = losses.build(Energy(points=500, walkers=2), problem, TimeSteps(5e-4, 8, 1, 1), 0, kernels)
    network = loss.network(networks.build(Legendre(count=4), problem.domain, 0))
    weights = torch.randn(16, generator=torch.Generator().manual_seed(0))
    network.set_weights(weights)
    system, value = loss.equations_and_value(network, 0, None)
    v = np.append(weights.double().numpy(), 1.0)
    with torch.no_grad():
        assert float(value(network)) == pytest.approx(v @ (0.5 * system.matrix @ v - system.load), rel=1e-5)


@pytest.mark.parametrize("wrong", [0.0, 0.25])
def test_a_longer_walk_and_the_fine_scale_know_it(made, kernels: Path, wrong: float):
    problem = made("1", "100")
    network = Exact(SOLUTION, problem)
    network.height.data += wrong
    found = longer_walk(network, problem, TimeSteps(2e-4, 10, 1, 1), 12.0, 0, kernels, 1e8)
    # relative to the corrected answer; g is known at the boundary, so that a part of what is wrong cannot be there
    assert found.error < 0.02 if wrong == 0 else found.error > 0.1
    points = problem.domain.sample(200, np.random.default_rng(0))
    fine = fine_scale(Exact(SOLUTION, problem), problem, TimeSteps(2e-4, 8, 1, 1), points, 256, 0, kernels)
    truth = np.sin(np.pi * points).prod(1) + points.prod(1)
    assert relative_l2(fine.values, truth) < 3 * fine.standard_error + 1e-3


@pytest.mark.parametrize("method", [PINN(boundary="penalty", weights="fixed"), DeepRitz()])
def test_the_baselines_have_it_in_their_losses(made, method: MethodSettings):
    problem = made("1 + x1*x2", "30*(1 + x2)")
    loss = losses.build(method, problem, None, 0, Path())
    network = Exact(SOLUTION, problem)
    if isinstance(loss, PINNLoss):
        points = problem.domain.sample(200, np.random.default_rng(0))
        assert float(loss.residual(network, points).detach().abs().max()) < 2e-3  # of 50
        return

    drawn = loss.draw(network, 0)
    without = losses.build(method, problem.but(operator=replace(problem.operator, reaction=None)), None, 0, Path())
    points = drawn.inputs.points
    u = np.sin(np.pi * points).prod(1) + points.prod(1)
    added = 0.5 * np.mean(30 * (1 + points[:, 1]) * u**2)
    more = loss.value(network, drawn.inputs) - without.value(network, drawn.inputs)
    assert float(more.detach()) == pytest.approx(added, rel=1e-4)


@pytest.mark.skipif(importlib.util.find_spec("dolfinx") is None, reason="dolfinx is not installed")
def test_finite_elements_have_their_orders(made, references: Path):
    assert_orders(made("1 + x1*x2/2", "40*(1 + x1)"), references)


@pytest.mark.skipif(importlib.util.find_spec("dolfinx") is None, reason="dolfinx is not installed")
def test_a_medium_with_a_fine_scale(make_problem: MakeProblem, references: Path, kernels: Path):
    """u_0 has a* and c; walks to the boundary, u_eps by elements and u_0 agree as far as they should."""
    problem = make_problem("1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", eps=0.1, forcing="10", reaction="40")
    truth = reference(problem, FEMReference(), 41, references)
    assert truth.fine is not None
    assert truth.homogenized is not None
    assert relative_l2(truth.homogenized, truth.fine) < 0.03
    inside = [(10, 20), (20, 20), (33, 7), (5, 36)]
    points = np.array([[truth.axes[0][i], truth.axes[1][j]] for i, j in inside])
    fine = fine_solution(problem, points, 4096, 16.0, 1e10, kernels)
    assert fine is not None
    known = np.array([truth.fine[i] for i in inside])
    assert (np.abs(fine.values - known) < 4.5 * fine.standard_error + 2e-3 * known).all()
    assert truth.effective_tensor is not None
    limit = limit_solutions(problem, truth.effective_tensor, {"mean": 1.0}, points, 4096, kernels)
    assert list(limit) == ["homogenized"]
    known = np.array([truth.homogenized[i] for i in inside])
    assert (np.abs(limit["homogenized"].values - known) < 4.5 * limit["homogenized"].standard_error).all()


def test_it_is_part_of_what_a_solution_depends_on(make_problem: MakeProblem):
    without, zero, some = (make_problem("2", reaction=c).key() for c in ("0", "0*x1", "x1"))
    assert without == zero != some


@pytest.mark.parametrize(
    ("reaction", "said"),
    [
        ("x1 - 0.5", r"is -0.5 at \(x1=0"),
        ("1/x1", "must be finite"),
        ("sn(x1)", "did you mean sin"),
    ],
)
def test_what_is_refused(make_problem: MakeProblem, reaction: str, said: str):
    with pytest.raises(UserError, match=said):
        make_problem("2", reaction=reaction)


def test_walkers_with_weights_of_their_own_are_refused(make_problem: MakeProblem, kernels: Path):
    settings = Energy(points=16, walkers=1, martingale="girsanov", step="euler")
    with pytest.raises(
        UserError, match=r"problem\.reaction, or another problem\.boundary, write method\.martingale=drift"
    ):
        losses.build(settings, make_problem("2", reaction="1"), TimeSteps(1e-3, 2, 1, 1), 0, kernels)


def test_settings_have_it():
    assert FormulaProblem(name="p", coefficient="1", forcing="1").reaction == "0"
    assert Problem("2", forcing="1", reaction="3").operator.reaction_at(np.zeros((2, 2))).tolist() == [3.0, 3.0]
