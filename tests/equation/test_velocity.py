"""A velocity: walkers of both directions, the equations that they make, and what they find of flows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manufactured import with_solution

from homog import losses, networks
from homog.config import DFLM, Energy, Galerkin, Legendre, MethodSettings
from homog.domains import Box
from homog.errors import UserError
from homog.measures.evaluation import relative_l2, values_on_grid
from homog.solvers.training import train
from homog.timesteps.timestep import TimeSteps
from homog.walkers import Scheme, Walkers, oracle, stream_key

SPREADING = ["6 + 8*x1**2 - 4*x2", "5*x1 - 12*x2"]  # div b = 16 x1 - 12
SOLUTION = "sin(2*x1 + 1)*exp(0.7*x2)"
AXES = Box((0.0, 0.0), (1.0, 1.0)).axes(41)
WALLS: dict[str, Any] = {
    "value": "0",
    "mixed": {"x1-": {"flux": "1 + x2"}, "x1+": {"robin": {"factor": 2, "flux": "x2"}}, "x2": {"value": 0}},
}


@pytest.mark.parametrize("boundary", WALLS)
@pytest.mark.parametrize("coefficient", ["1.1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", ["1.5 + x1", "0.3"]], ids=str)
def test_kernel_and_oracle_agree_in_both_directions(make_problem, kernels: Path, boundary: str, coefficient):
    problem = make_problem(coefficient, 0.2, 2, "1 + x1", WALLS[boundary], "3", SPREADING)
    points, key = problem.domain.spread(64, np.random.default_rng(0)), stream_key(1, 0)
    steps = TimeSteps(2e-4, 40, 1, 1)
    walkers = Walkers(problem, Scheme(), kernels)
    for one in (walkers, walkers.backwards):
        found = one.walk(points, 4, steps, key)
        exact = oracle.walk(one.problem, Scheme(), points, 4, steps, key)
        np.testing.assert_array_equal(found.left, exact.left)
        for name in ("displacement", "brownian", "reward", "log_weight", "duration"):
            np.testing.assert_allclose(getattr(found, name), getattr(exact, name), atol=1e-5)
        assert exact.left.any()


@pytest.mark.parametrize("boundary", WALLS)
def test_walks_of_both_directions_are_adjoint(make_problem, kernels: Path, boundary: str):
    """int a v E[w u(X)] dx = int a u E'[w v(X)] dx for u and v that vanish where u is given."""
    problem = make_problem("2 + x1 - x2", 0.2, 2, "0", WALLS[boundary], "3", SPREADING)
    points = problem.domain.spread(400_000, np.random.default_rng(0))
    walkers, steps, sides = Walkers(problem, Scheme(), kernels), TimeSteps(1.25e-4, 80, 1, 1), []

    def u(x: np.ndarray) -> np.ndarray:
        return (np.sin(np.pi * x[..., 0]) if boundary == "value" else 1 + x[..., 0]) * np.sin(np.pi * x[..., 1])

    def v(x: np.ndarray) -> np.ndarray:
        return u(x) * (1 - 2 * x[..., 0] + x[..., 1])

    for one, before, after in ((walkers, v, u), (walkers.backwards, u, v)):
        walk = one.walk(points, 1, steps, stream_key(0, 0))
        ends = points[:, None] + walk.displacement.transpose(1, 2, 0)
        kept = np.where(walk.left, 0.0, np.exp(walk.log_weight.astype(float)))
        sides.append(problem.operator.coefficient_at(points) * before(points) * (kept * after(ends)).mean(1))
    apart = sides[0] - sides[1]
    noise = 3 * apart.std() / np.sqrt(len(apart))  # evenly spread points have less
    assert abs(apart.mean()) < noise < 0.008 * abs(sides[0].mean())


METHODS: list[tuple[MethodSettings, Any, Sequence[str], dict[str, Any]]] = [
    (Energy(points=4096, walkers=4), "1", ("value",) * 4, {"reaction": "3"}),
    (Energy(points=4096, walkers=4), "1 + x1*x2", ("robin", "flux", "value", "value"), {}),
    (Energy(points=4096, walkers=4), [["1.3", "0.6*x1"], ["0.6*x1", "0.9"]], ("value", "flux", "value", "value"), {}),
    (DFLM(points=4096, walkers=4), "1", ("value",) * 4, {"reaction": "3"}),
]


@pytest.mark.parametrize("case", METHODS, ids=lambda case: f"{type(case[0]).__name__} {case[1]} {' '.join(case[2])}")
def test_a_solve_has_the_error_that_it_tells(make_problem, kernels: Path, case):
    """Two seeds. The energies of one direction alone would make errors a dozen times what is told."""
    settings, coefficient, walls, rest = case
    problem = with_solution(make_problem(eps=0.5), coefficient, SOLUTION, walls=walls, velocity=SPREADING, **rest)
    x, y = np.meshgrid(*AXES, indexing="ij")
    ratios = []
    for seed in range(2):
        loss = losses.build(settings, problem, TimeSteps(1.25e-4, 32, 1, 1), seed, kernels)
        network = loss.network(networks.build(Legendre(count=7), problem.domain, 0, problem.boundary.walls))
        *_, progress = train(loss, network, Galerkin(iterations=8))
        told = progress.optimizer.metrics()["rel_l2_standard_error"]
        assert told is not None
        error = relative_l2(values_on_grid(progress.solution, AXES), np.sin(2 * x + 1) * np.exp(0.7 * y))
        ratios.append(error / told)
        assert told < 8e-3
    assert 0.1 < np.sqrt(np.mean(np.square(ratios))) < 2.5


def test_a_channel_disperses_as_taylor_says(make_problem, kernels: Path):
    """1 + Pe^2/210 for a parabola between walls, in the frame of its mean (Taylor 1953; Aris 1956)."""
    peclet, boundary = 10, {"x1": {"value": 0}, "x2": {"flux": 0}}
    problem = make_problem("1", 1.0, boundary=boundary, velocity=[f"{peclet}*(6*x2*(1 - x2) - 1)", "0"])
    problem = problem.but(domain=Box((-1000.0, 0.0), (1000.0, 1.0)), cell=None)
    points = np.stack([np.zeros(40_000), (np.arange(40_000) + 0.5) / 40_000], axis=1)
    spread = []
    for count in (512, 2048):
        walk = Walkers(problem, Scheme(), kernels).walk(points, 1, TimeSteps(1 / 512, count, 1, 1), stream_key(0, 0))
        assert not walk.left.any()
        spread.append(walk.displacement[0, :, 0].astype(float) ** 2)
    found = (spread[1] - spread[0]) / 3
    error = found.std() / np.sqrt(len(found))
    assert error < 0.02
    assert abs(found.mean() - (1 + peclet**2 / 210)) < 4 * error


def cells(peclet: float) -> list[str]:
    """b = Pe/eps curl of sin sin / (2 pi): cells that turn, of a length and a diffusivity of one in units of eps."""
    wave = "2*pi*x1/eps", "2*pi*x2/eps"
    return [f"{peclet}/eps*sin({wave[0]})*cos({wave[1]})", f"-{peclet}/eps*cos({wave[0]})*sin({wave[1]})"]


def test_what_turns_in_each_cell_is_told_from_what_carries(make_problem):
    def stirs(velocity: list[str]) -> bool:
        return make_problem("1", 0.1, velocity=velocity).stirs

    assert stirs(cells(50))
    assert not stirs([f"{cells(50)[0]} + 0.1", cells(50)[1]])  # a mean
    assert not stirs(["sin(2*pi*x1/eps)", "0"])  # a divergence
    assert not stirs(["sin(pi*x2)", "0"])  # no cell
    assert not make_problem("1", 0.1).stirs


REFUSED: dict[str, tuple[Any, str]] = {
    "one of two": (["1"], "problem.velocity=[1]: write 2 formulas, b1 to b2, such as [1, 0]"),
    "a text": ("x1", "write 2 formulas"),
    "with another name": (["v", "0"], "unknown name v"),
    "a jump": (["x1 > 0.5", "0"], "problem.velocity=x1 > 0.5 jumps"),
    "no number": (["1/x1", "0"], "it must be finite"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(make_problem, case: str):
    velocity, line = REFUSED[case]
    with pytest.raises(UserError) as refused:
        make_problem("1", velocity=velocity)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_coefficient_that_jumps_has_no_velocity(make_problem):
    with pytest.raises(UserError, match=r"problem\.velocity goes with a coefficient that does not jump"):
        make_problem("1 + (x1 > 0.5)", velocity=["1", "0"])
