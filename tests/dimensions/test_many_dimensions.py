"""More than three dimensions: products of bounded total degree, points in the middle, answers against exact ones."""

import itertools
import json
import math
import subprocess
import sys
from collections.abc import Callable
from os import environ
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import leggauss

from homog import losses, networks
from homog.config import BoundsTimeStep, Energy, Galerkin, Legendre
from homog.domains import Box, Places
from homog.equation import Problem
from homog.losses.assembly import _compiled
from homog.measures.evaluation import relative_l2, values_at
from homog.measures.longer_walk import longer_walk
from homog.measures.smooth_answer import smooth_answer
from homog.measures.spreading import effective_tensor_by_walkers
from homog.networks.products import ProductSum, legendre_slopes
from homog.references.cell import correctors_of
from homog.solvers.training import train
from homog.timesteps.timestep import TimeSteps, time_steps
from homog.walkers import Scheme, Walkers, stream_key

MakeProblem = Callable[..., Problem]

FOUR = Box((0.0,) * 4, (1.0,) * 4)


def product_of(*factors: str) -> str:
    return "*".join(f"({factor})" for factor in factors)


def sines(dimension: int) -> str:
    return product_of(*(f"sin(pi*x{i + 1})" for i in range(dimension)))


def sine_problem(make_problem: MakeProblem, dimension: int, coefficient: str = "1", a: float = 1.0) -> Problem:
    """One whose u_0 is the product of sines, a its a*."""
    forcing = f"{a * dimension}*pi**2*{sines(dimension)}"
    return make_problem(coefficient, dimension=dimension, forcing=forcing, eps=0.05)


def exact(points: np.ndarray) -> np.ndarray:
    return np.sin(np.pi * points).prod(-1)


@pytest.mark.parametrize("dimension", [2, 4, 6])
@pytest.mark.parametrize("total", [False, True])
def test_the_products_are_those_of_their_numbers(dimension: int, total: bool, kernels: Path):
    box, count = Box((0.0,) * dimension, (1.0, *(2.0,) * (dimension - 1))), 3
    network = ProductSum(box, [legendre_slopes] * box.dimension, count, total=total)
    x = torch.as_tensor(box.sample(5, np.random.default_rng(0)), dtype=torch.float32)
    along = network.factors(x)
    numbers = [k for k in itertools.product(range(count), repeat=dimension) if not total or sum(k) < count]
    assert (
        len(network.weights())
        == len(numbers)
        == (math.comb(count - 1 + dimension, dimension) if total else 3**dimension)
    )
    each = along.along.numpy()
    expected = np.stack([np.prod([each[:, i, k] for i, k in enumerate(one)], axis=0) for one in numbers], axis=1)
    np.testing.assert_allclose(network.features(x).numpy(), expected, rtol=2e-5, atol=1e-7)
    row = np.empty(len(numbers) + 1, dtype=np.float32)
    _compiled(kernels).multiplied(each[0], along.lengths, row)
    np.testing.assert_allclose(row[:-1], expected[0], rtol=2e-5, atol=1e-7)
    for space, nested in enumerate(network.nested()):
        smaller = network.restricted(space)
        np.testing.assert_allclose(smaller.features(x).numpy(), expected[:, nested], rtol=2e-5, atol=1e-7)


def test_their_number_is_bounded_whatever_the_dimension():
    for dimension in (4, 5, 6, 8, 10):
        count = Legendre().an_axis(dimension)
        assert 2 <= count <= 5
        assert math.comb(count - 1 + dimension, dimension) <= 512
    assert Legendre().title(4) == "Legendre, total degree 4"
    assert Legendre(count=3).title(6) == "Legendre, total degree 2"
    assert Legendre().title(3) == "Legendre 6 x 6 x 6"


def test_points_in_the_middle_have_the_density_that_they_tell():
    """The mean of F / density over them is the integral of F: exact for the polynomial, by Gauss's rule."""
    box = Box((0.0, -1.0, 2.0), (2.0, 1.0, 3.0))
    nodes, weights = leggauss(5)
    share = (nodes + 1) / 2
    integral = float((weights / 2) @ share**2) * float((weights / 2) @ (share - 0.3) ** 2) * 4.0
    found = []
    for seed in range(64):
        points, density = box.spread_inside(256, np.random.default_rng(seed))
        t = (points - box.lower) / box.sides
        found.append(float(np.mean(t[:, 0] ** 2 * (t[:, 1] - 0.3) ** 2 / density)))
        assert (t >= 0).all()
        assert (t <= 1).all()
    error = np.std(found, ddof=1) / 8
    assert error < 0.03 * integral
    assert abs(np.mean(found) - integral) < 4 * error


def test_places_are_a_grid_up_to_three_dimensions_and_points_from_four_on():
    assert Places.of(Box((0.0,) * 3, (1.0,) * 3), 5).shape == (5, 5, 5)
    places = Places.of(FOUR, 100)
    assert places.axes == ()
    assert places.points.shape == (100, 4)
    assert places.dimension == 4


@pytest.fixture
def solve(kernels: Path) -> Callable[..., tuple[float, float]]:
    """The error against the product of sines of a Galerkin solve, and its own standard error."""

    def solve(
        problem: Problem, steps: TimeSteps, method: Energy, network: Legendre | None = None, seed: int = 0
    ) -> tuple[float, float]:
        loss = losses.build(method, problem, steps, seed, kernels, torch.device("cpu"))
        trained = loss.network(networks.build(network or Legendre(), problem.domain, 0))
        *_, progress = train(loss, trained, Galerkin(iterations=8))
        points = problem.domain.spread(20_000, np.random.default_rng(1))
        told = progress.optimizer.metrics()["rel_l2_standard_error"]
        assert told is not None
        return relative_l2(values_at(progress.solution, points), exact(points)), told

    return solve


def test_a_solve_in_four_dimensions_is_as_good_as_it_says(make_problem: MakeProblem, solve):
    """Three seeds: the mean square of error over told error is one, up to the functions (1.5e-4) and chance."""
    problem, ratios = sine_problem(make_problem, 4), []
    for seed in range(3):
        error, told = solve(problem, TimeSteps(2.5e-4, 2, 1, 1), Energy(points=8192, walkers=1), seed=seed)
        assert told < 2e-2
        ratios.append(error / told)
    assert 0.4 < np.sqrt(np.mean(np.square(ratios))) < 2.0


@pytest.mark.parametrize("dimension", [6, 10])
def test_a_solve_in_more_dimensions(make_problem: MakeProblem, solve, dimension: int):
    """Products of total degree two lack 3e-3 in ten dimensions."""
    problem, network = sine_problem(make_problem, dimension), Legendre(count=5 if dimension == 6 else 3)
    error, told = solve(problem, TimeSteps(5e-5, 2, 1, 1), Energy(points=8192, walkers=1), network)
    assert told < 4e-2
    assert error < 2.5 * told


def test_points_in_the_middle_are_worth_more_than_uniform_ones():
    """Worked out for independent ones: 1.5^8 = 26 uniform points are worth 1.16^8 = 3.4 of these."""
    box = Box((0.0,) * 8, (1.0,) * 8)
    means = np.empty((2, 200))
    for seed in range(200):
        random = np.random.default_rng(seed)
        means[0, seed] = np.mean(exact(box.sample(1024, random)) ** 2)
        points, density = box.spread_inside(1024, random)
        means[1, seed] = np.mean(exact(points) ** 2 / density)
    assert np.abs(means.mean(1) * 2**8 - 1).max() < 0.05
    assert means[1].std() < 0.45 * means[0].std()


PRODUCT = product_of(*(f"1 + 0.5*sin(2*pi*x{i + 1}/eps)" for i in range(4)))


def test_the_effective_tensor_of_a_product_in_four_dimensions(make_problem: MakeProblem, kernels: Path):
    problem = make_problem(PRODUCT, dimension=4)
    correctors = correctors_of(problem)
    # 1 / (a_1 <1 / a_1>) - 1, by difference quotients
    shift, points = np.array([1e-4, 0, 0, 0]), problem.domain.sample(50, np.random.default_rng(0))
    slope = (correctors.at(points + shift)[0] - correctors.at(points - shift)[0]) / 2e-4
    factor = 1 + 0.5 * np.sin(2 * np.pi * points[:, 0] / 0.05)
    np.testing.assert_allclose(slope, math.sqrt(0.75) / factor - 1, atol=5e-3)
    found = effective_tensor_by_walkers(problem, batches=8, cache=kernels)
    assert (np.abs(found.value - math.sqrt(0.75) * np.eye(4)) < 1.5 * found.half_width() + 1e-3).all()
    # <a chi_1^2> = <a_1 chi_1^2>, all other means being one: c / (a* Dt) = 1 / (l Dt) times (1 - a*) / a*, about
    late = time_steps(BoundsTimeStep(), 4, 0.05)
    rate = 0.5 * (2 * math.pi / 0.05) ** 2
    excess = found.excess(late.macro_step)
    assert excess is not None
    assert 0.5 < excess / ((1 - math.sqrt(0.75)) / math.sqrt(0.75) / (rate * late.macro_step)) < 2


def test_of_a_medium_that_is_no_product_the_delay_is_not_known(make_problem: MakeProblem, kernels: Path):
    problem = make_problem("2 + sin(2*pi*(x1 + x2 + x3 + x4)/eps)", dimension=4, eps=0.2)
    found = effective_tensor_by_walkers(problem, batches=8, cache=kernels)
    assert found.excess(1.0) is None
    # a laminate across (1, 1, 1, 1): 2 along it, sqrt(3) across
    across = np.ones((4, 4)) / 4
    expected = 2 * (np.eye(4) - across) + math.sqrt(3) * across
    assert (np.abs(found.value - expected) < 2 * found.half_width() + 5e-3).all()


def test_a_finished_answer_foretells_its_noise_without_a_table(make_problem: MakeProblem, kernels: Path):
    problem = sine_problem(make_problem, 4)
    network = networks.BoundaryAnsatz(networks.build(Legendre(), problem.domain, 0), problem)
    network.set_weights(torch.randn(len(network.weights()), generator=torch.Generator().manual_seed(0)))
    answer = smooth_answer(network, problem.domain, kernels)
    points, shift = problem.domain.sample(30, np.random.default_rng(0)), np.array([0, 1e-3, 0, 0])
    slope = (answer(points + shift) - answer(points - shift)) / 2e-3
    np.testing.assert_allclose(answer.slopes(points)[:, 1], slope, atol=2e-2)
    walkers = Walkers(problem, Scheme("drift", "heun", "bridge"), kernels)
    walk = walkers.walk(points, 4096, TimeSteps(1e-4, 4, 1, 1), stream_key(0, 0))
    control = answer.control(points, walk).astype(float)
    assert np.abs(control.mean(1) / (control.std(1) / 64)).max() < 4.5
    moved = answer.after(points, walk.displacement) - answer(points)[:, None]
    assert (moved - control).std() < 0.3 * moved.std()


class Scaled(torch.nn.Module):
    """The product of sines, times a factor: wrong by as much."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * torch.sin(torch.pi * x).prod(-1)


def test_a_longer_walk_finds_what_is_wrong_in_four_dimensions(make_problem: MakeProblem, kernels: Path):
    problem = sine_problem(make_problem, 4)
    steps = TimeSteps(2.5e-4, 4, 1, 1)
    right, wrong = (longer_walk(Scaled(factor), problem, steps, 12.0, 0, kernels, 1e8) for factor in (1.0, 0.8))
    assert right.error < 3 * right.standard_error + 0.01
    assert wrong.error == pytest.approx(0.25, abs=0.05 + 3 * wrong.standard_error)


def homog_run(home: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "homog", "tracking=off", *overrides],
        env={**environ, "HOMOG_HOME": str(home)},
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip


def test_the_command_in_four_dimensions(home: Path):
    done = homog_run(home, "experiment=four_dimensions", "eps=0.05", "method.points=8192", "optimizer.iterations=8")
    assert done.returncode == 0, done.stderr
    assert "Legendre, total degree 4" in done.stdout
    (folder,) = (home / "runs").iterdir()
    metrics, values = json.loads((folder / "metrics.json").read_text()), np.load(folder / "solution.npz")
    # u_0 has a floor: told is the error against u_eps, what is seen that against u_0
    assert metrics["rel_l2_homogenized"] < 2.5 * metrics["rel_l2_error_estimate"] < 0.1
    assert values["points"].shape == (4096, 4)
    off = relative_l2(values["network"], exact(values["points"]))
    assert off == pytest.approx(metrics["rel_l2_homogenized"])
    assert (folder / "solution.png").stat().st_size > 10_000


FOUR_AXES = "problem.domain={lower: [0,0,0,0], upper: [1,1,1,1]}"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["problem=nonlinear", FOUR_AXES], "depends on u, which walkers read from a table on a grid"),
        (["problem=random_field", FOUR_AXES], "problem.field lies on a grid: at most three dimensions"),
        (["problem.domain={lower: [0,0,0,0,0,0,0,0,0,0,0], upper: [1,1,1,1,1,1,1,1,1,1,1]}"], "one to ten numbers"),
        (["reference=exact"], "write reference.fine=... or reference.homogenized=..."),
        (["reference=exact", "reference.fine=sn(x1)"], "did you mean sin"),
        (["reference=exact", "reference.fine=1/(x1 - 0.5)"], "has no finite value somewhere in the domain"),
        (["reference=feynman_kac", "reference.points=3"], "reference.points=3 is out of range"),
        (["reference=feynman_kac", "problem=nonlinear"], "walks in a known medium"),
        (["evaluation.points=0"], "evaluation.points=0 is out of range"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_is_one_line(home: Path, overrides: list[str], said: str):
    done = homog_run(home, *overrides)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
