"""A training that runs away is stopped in one line; one that overshoots and comes back is not."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from manufactured import sine_series
from paper import paper_dflm
from torch import nn

from homog import losses, networks
from homog.config import DFLM, MLP, PINN, AdamCosine, DeepRitz, Energy, MethodSettings
from homog.errors import UserError
from homog.solvers.runaway import Watch, bound_of_solution
from homog.solvers.training import train
from homog.timesteps.timestep import TimeSteps

SHORT = TimeSteps(2e-3, 10, 1, 1)
METHODS = {
    "DFLM": (DFLM(points=50, walkers=4, boundary_points=1, sampling="coefficient"), "method=energy"),
    "the paper's DFLM": (
        paper_dflm(points=50, walkers=4, boundary_points=20),
        "write method.sampling=coefficient, take",
    ),
    "energy by Adam": (Energy(points=50, walkers=2), "optimizer=galerkin"),
    "deep Ritz": (DeepRitz(points=50, boundary_points=20, boundary="penalty"), "method=energy"),
    "PINN": (PINN(points=50, boundary="penalty", weights="ntk"), "method=energy"),
}


@pytest.mark.parametrize(
    ("dimension", "most"),
    # the largest value of the solution of -Lap u = 1: in one dimension the ball is the interval and the bound is met
    [(1, 1 / 8), (2, float(sine_series(np.linspace(0, 1, 51)).max()) / 10), (3, 0.0562)],
)
def test_the_solution_stays_below_the_bound(make_problem, dimension: int, most: float):
    bound = bound_of_solution(make_problem("1", dimension=dimension, forcing="1"))
    assert most * (1 - 1e-12) <= bound <= 1.2 * most
    assert bound_of_solution(make_problem("2", dimension=dimension, forcing="-6")) == pytest.approx(3 * bound)


def test_the_bound_has_the_boundary_values_in_it_and_takes_the_signs_of_the_forcing_apart(make_problem):
    assert bound_of_solution(make_problem("1", dimension=1, forcing="0", boundary="2 - 5*x1")) == pytest.approx(3)
    both = make_problem("1", dimension=1, forcing="8*sin(2*pi*x1)", boundary="1")
    assert bound_of_solution(both) == pytest.approx(2, rel=1e-3)  # 1 + 8/8 above, 1 - 8/8 below


def test_a_velocity_that_does_not_spread_leaves_the_bound(make_problem):
    """A divergence makes it infinite: b = 60 (x - 1/2) keeps walkers in the middle for longer."""
    usual = bound_of_solution(make_problem("1", forcing="1"))
    turning = "50*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)/eps", "-50*cos(2*pi*x1/eps)*sin(2*pi*x2/eps)/eps"
    for velocity in (turning, ("20", "-7*x1"), ("-x1", "0")):
        assert bound_of_solution(make_problem("1", forcing="1", velocity=velocity)) == usual
    for velocity in (("60*(x1 - 0.5)", "0"), ("u", "0")):
        assert bound_of_solution(make_problem("1", forcing="1", velocity=velocity)) == math.inf


def test_the_bound_of_a_nonlinear_problem_takes_the_least_coefficient_of_what_it_allows(make_problem):
    torsion = 1 / (4 * math.pi)
    # 1 + u^2 is least at u = 0, which the boundary has
    assert bound_of_solution(make_problem("1 + u**2", forcing="50")) == pytest.approx(50 * torsion, rel=1e-3)
    # B = torsion e^(B/2): the lesser root
    b = bound_of_solution(make_problem("exp(-0.5*u)", forcing="1"))
    assert b == pytest.approx(torsion * math.exp(b / 2), rel=3e-3)
    assert b < 0.1
    assert bound_of_solution(make_problem("exp(-0.5*u)", forcing="50")) == math.inf
    assert math.isfinite(bound_of_solution(make_problem("exp(0.5*u)*(1.1 + sin(2*pi*x1/eps))", forcing="100")))


class Height(nn.Module):
    """u = h."""

    def __init__(self) -> None:
        super().__init__()
        self.h = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.h + 0 * x.sum(-1)


def seen(make_problem, heights: Callable[[int], float], iterations: int) -> None:
    network = Height()
    watch = Watch(
        losses.DeepRitzLoss(DeepRitz(points=12000, boundary="penalty"), make_problem(), 0), network
    )  # u of the linear problem is below 8
    for iteration in range(0, iterations, 10):
        with torch.no_grad():
            network.h.fill_(heights(iteration))
        watch.look(iteration)
    watch.look_at_the_answer(network, iterations - 1)


def test_a_training_that_overshoots_and_comes_back_goes_on(make_problem):
    seen(make_problem, lambda n: 1e3 if n < 50 else 0.8, 100)
    seen(make_problem, lambda n: 0.8 + 1e4 * math.exp(-n / 20), 200)  # beyond 79.6 until n = 97, but on its way
    seen(make_problem, lambda n: 79.0, 200)


@pytest.mark.parametrize("heights", [lambda n: 80.0, lambda n: -(2 ** (n / 10)), lambda n: 8 * (n + 1)])
def test_a_training_that_stays_beyond_the_bound_is_stopped(make_problem, heights):
    with pytest.raises(UserError, match=r"run away: \|u\| is .* at iteration .* stays below 7.9"):
        seen(make_problem, heights, 200)


def test_an_answer_beyond_the_bound_is_refused_at_the_end(make_problem):
    with pytest.raises(UserError, match=r"\|u\| is 1e\+03 at iteration 30"):
        seen(make_problem, lambda n: 1e3 if n == 20 else 0.8, 30)


@pytest.mark.parametrize("method", METHODS)
def test_an_absurd_learning_rate_ends_in_one_line_with_the_remedy(make_problem, kernels, method: str):
    settings, remedy = METHODS[method]
    with pytest.raises(UserError, match="the training has run away") as told:
        run(make_problem, kernels, settings, learning_rate=10.0)
    assert remedy in str(told.value)
    assert "optimizer.learning_rate" in str(told.value)
    assert "\n" not in str(told.value)


def run(make_problem, kernels, method: MethodSettings, learning_rate: float) -> None:
    problem = make_problem("1", eps=0.3)
    loss = losses.build(method, problem, SHORT if method.walks else None, 0, kernels)
    network = loss.network(networks.build(MLP(depth=2, width=32), problem.domain, 0))
    for _ in train(loss, network, AdamCosine(iterations=120, learning_rate=learning_rate, final=1.0, average=0.0)):
        pass


@pytest.mark.parametrize("method", METHODS)
def test_a_usual_learning_rate_does_not(make_problem, kernels, method: str):
    run(make_problem, kernels, METHODS[method][0], learning_rate=3e-3)
