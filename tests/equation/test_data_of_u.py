"""f and c that depend on u: -div(a grad u) + G(x, u) = 0 by Newton's method, against made solutions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from manufactured import Exact

from homog import losses, networks
from homog.config import (
    DFLM,
    MLP,
    PINN,
    AdamCosine,
    DeepRitz,
    Energy,
    FEMReference,
    FeynmanKacReference,
    Galerkin,
    HomogenizedReference,
    Legendre,
    MethodSettings,
    NaturalGradient,
)
from homog.domains import Box
from homog.equation import Problem
from homog.errors import UserError
from homog.fields.splines import interpolate
from homog.measures.evaluation import relative_l2, values_on_grid
from homog.measures.fine_scale import fine_scale
from homog.measures.longer_walk import longer_walk
from homog.references import reference
from homog.solvers.training import train
from homog.timesteps.timestep import TimeSteps
from homog.walkers import Scheme, Walkers, oracle, stream_key

MakeProblem = Callable[..., Problem]

SOLUTION = "sin(pi*x1)*sin(pi*x2)"
AXES = Box((0.0, 0.0), (1.0, 1.0)).axes(41)
CUBIC = f"2*pi**2*{SOLUTION} + 5*({SOLUTION})**3 + {SOLUTION}"


def exact() -> np.ndarray:
    x, y = np.meshgrid(*AXES, indexing="ij")
    return np.sin(np.pi * x) * np.sin(np.pi * y)


CASES = {
    "cubic": {"forcing": CUBIC, "reaction": "5*u**2 + 1"},
    "exponential": {"forcing": f"2*pi**2*{SOLUTION} + exp(2*{SOLUTION}) - exp(2*u)"},
    "Allen and Cahn": {"forcing": f"2*pi**2*{SOLUTION} + 3*({SOLUTION})**3 - 3*{SOLUTION} + 3*u - 3*u**3"},
}


def test_newtons_equation_is_met_where_it_is_taken(make_problem: MakeProblem):
    """c(x, v) v - f(x, v) = G(x, v) for every v, and c is its slope where that is not negative."""
    points = np.random.default_rng(0).random((200, 2))
    v = np.random.default_rng(1).normal(size=200)
    s = np.sin(np.pi * points).prod(1)
    lost = {
        "cubic": 5 * v**3 + v - 2 * np.pi**2 * s - 5 * s**3 - s,
        "exponential": np.exp(2 * v) - 2 * np.pi**2 * s - np.exp(2 * s),
        "Allen and Cahn": 3 * v**3 - 3 * v - 2 * np.pi**2 * s - 3 * s**3 + 3 * s,
    }
    slopes = {"cubic": 15 * v**2 + 1, "exponential": 2 * np.exp(2 * v), "Allen and Cahn": np.maximum(9 * v**2 - 3, 0)}
    for name, data in CASES.items():
        operator = make_problem("1", **data).operator
        found = operator.reaction_at(points, v) * v - operator.forcing_at(points, v)
        np.testing.assert_allclose(found, lost[name], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(operator.reaction_at(points, v), slopes[name], rtol=1e-12, atol=1e-12)


def test_what_is_linear_in_u_is_a_reaction(make_problem: MakeProblem):
    by_forcing = make_problem("2 + x1", forcing="1 - 5*u + x2")
    plain = make_problem("2 + x1", forcing="1 + x2", reaction="5")
    assert by_forcing.key() == plain.key()
    assert not by_forcing.operator.reads_u


@pytest.mark.parametrize("scheme", [Scheme(), Scheme(step="euler"), Scheme(step="metropolis")], ids=str)
def test_kernel_and_oracle_agree(make_problem: MakeProblem, kernels: Path, scheme: Scheme):
    boundary = {"x1-": {"robin": {"factor": 3, "flux": "x2"}}, "all": {"value": 0}}
    problem = make_problem("2 + sin(2*pi*x1/eps)", forcing="5 - exp(u)", reaction="30*u**2", boundary=boundary)
    points = np.concatenate([problem.domain.sample(40, np.random.default_rng(0)), [[0.002, 0.5], [0.998, 0.999]]])
    steps, key = TimeSteps(1e-5, 40, 1, 1), stream_key(0, 0)
    nodes = problem.domain.grid(17)
    lagged = interpolate(2 * np.sin(np.pi * nodes).prod(-1), problem.domain.lower, problem.domain.upper)
    exactly = oracle.walk(problem, scheme, points, 4, steps, key, lagged)
    found = Walkers(problem, scheme, kernels).walk(points, 4, steps, key, lagged)
    same = found.left == exactly.left
    assert same.mean() > 0.97
    for name in ("log_weight", "reward"):
        one, other = (getattr(walk, name)[same] for walk in (found, exactly))
        assert np.abs(one - other).max() < 2e-5 * np.abs(other).max()
    with pytest.raises(ValueError, match="lagged u"):
        Walkers(problem, scheme, kernels).walk(points, 4, steps, key)


METHODS: list[tuple[MethodSettings, str]] = [
    (Energy(points=12288, walkers=4, table=65), "cubic"),
    (Energy(points=12288, walkers=4, table=65), "exponential"),
    (Energy(points=12288, walkers=4, table=65), "Allen and Cahn"),
    (DFLM(points=12288, walkers=4, table=65), "cubic"),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda case: f"{type(case[0]).__name__} {case[1]}")
def test_a_solve_finds_the_solution_with_the_error_that_it_tells(
    make_problem: MakeProblem, kernels: Path, method: tuple[MethodSettings, str]
):
    settings, name = method
    problem = make_problem("1", 0.5, **CASES[name])
    loss = losses.build(settings, problem, TimeSteps(2.5e-4, 16, 1, 1), 0, kernels)
    network = loss.network(networks.build(Legendre(count=7), problem.domain, 0))
    *_, progress = train(loss, network, Galerkin(iterations=8))
    told = progress.optimizer.metrics()["rel_l2_standard_error"]
    assert told is not None
    assert told < 6e-3
    assert relative_l2(values_on_grid(progress.solution, AXES), exact()) < 2.5 * told


@pytest.mark.parametrize(
    "case",
    [(PINN(points=250), AdamCosine(iterations=200)), (Energy(points=2048), NaturalGradient(iterations=4))],
    ids=lambda case: type(case[0]).__name__,
)
def test_other_methods_know_it(make_problem: MakeProblem, kernels: Path, case):
    settings, optimizer = case
    problem = make_problem("1", 0.5, **CASES["cubic"])
    loss = losses.build(settings, problem, TimeSteps(2.5e-4, 16, 1, 1), 0, kernels)
    perceptron = MLP(depth=2, width=16, activation="tanh")
    network = loss.network(networks.build(perceptron, problem.domain, 0))
    *_, progress = train(loss, network, optimizer)
    assert relative_l2(values_on_grid(progress.solution, AXES), exact()) < 3e-2


@pytest.mark.parametrize("name", CASES)
def test_finite_elements_find_it_and_the_limit(make_problem: MakeProblem, kernels: Path, name: str):
    problem = make_problem("1", 0.5, **CASES[name])
    found = reference(problem, FEMReference(), 41, kernels.parent)
    assert relative_l2(found.fine, exact()) < 1e-9
    assert relative_l2(found.homogenized, exact()) < 1e-8
    assert not found.notes


def test_an_oscillating_medium_is_homogenised(make_problem: MakeProblem, kernels: Path):
    medium = "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
    problem = make_problem(medium, 0.1, forcing="20*(1 + x1)", reaction="5*u**2 + 1")
    truth = reference(problem, HomogenizedReference(), 41, kernels.parent)
    loss = losses.build(Energy(table=65), problem, TimeSteps(5e-5, 64, 1, 1), 0, kernels)
    network = loss.network(networks.build(Legendre(count=10), problem.domain, 0))
    *_, progress = train(loss, network, Galerkin(iterations=8))
    found = values_on_grid(progress.solution, truth.places.axes)
    assert relative_l2(found, truth.homogenized) < 2e-2


@pytest.mark.parametrize("wrong", [0.0, 0.2])
def test_a_longer_walk_and_the_fine_scale_know_it(make_problem: MakeProblem, kernels: Path, wrong: float):
    problem = make_problem("1", 0.5, **CASES["cubic"])
    network = Exact(SOLUTION, problem)
    network.height.data += wrong
    found = longer_walk(network, problem, TimeSteps(2e-4, 10, 1, 1), 12.0, 0, kernels, 1e8)
    # of an error that is not small Newton's step is not all
    assert abs(found.error - wrong / (1 + wrong)) < 0.025 + 3 * found.standard_error
    if not wrong:
        points = np.array([[0.2, 0.5], [0.3, 0.7], [0.9, 0.1]])
        fine = fine_scale(network, problem, TimeSteps(5e-5, 8, 1, 1), points, 256, 0, kernels)
        assert relative_l2(fine.values, np.sin(np.pi * points).prod(1)) < 5 * fine.standard_error + 1e-3


def test_what_cannot_be_is_refused(make_problem: MakeProblem, kernels: Path):
    problem = make_problem("1", **CASES["cubic"])
    with pytest.raises(UserError, match=r"method\.energy|method=energy"):
        losses.build(DeepRitz(), problem, None, 0, kernels)
    with pytest.raises(UserError, match="reference=fem"):
        reference(problem, FeynmanKacReference(), 64, kernels.parent)
    with pytest.raises(UserError, match="at most three dimensions"):
        make_problem("1", dimension=4, forcing="1 - u**3")
    with pytest.raises(UserError, match="jumps with u"):
        make_problem("1", forcing="where(u > 0.5, 1, 0)")
