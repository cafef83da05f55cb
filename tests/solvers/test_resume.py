"""A training that is taken up by another process ends bit for bit where it would have ended."""

import io
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from paper import paper_dflm

from homog import losses, networks
from homog.config import (
    DFLM,
    MLP,
    PINN,
    AdamCosine,
    AdamExponential,
    DeepRitz,
    Energy,
    Galerkin,
    Legendre,
    MethodSettings,
    NaturalGradient,
    NetworkSettings,
    OptimizerSettings,
)
from homog.equation import Problem
from homog.errors import UserError
from homog.measures.evaluation import weights_sha256
from homog.solvers.training import Training, train
from homog.timesteps.timestep import TimeSteps
from homog.walkers import Tally, Walk

SHORT = TimeSteps(2e-3, 25, 1, 1)
SMALL = MLP(depth=2, width=16)
NONLINEAR = "1 + u**2"


@pytest.fixture
def begin(make_problem, kernels) -> Callable[..., tuple[Problem, Training]]:
    """Begins a training, always in the same way."""

    def begin(coefficient: str, method: MethodSettings, network: NetworkSettings, optimizer: OptimizerSettings):
        problem = make_problem(coefficient, eps=0.3)
        loss = losses.build(method, problem, SHORT if method.walks else None, 3, kernels)
        return loss, train(loss, loss.network(networks.build(network, problem.domain, 3)), optimizer)

    return begin


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)


CASES = {
    "the paper's recipe": (
        "1",
        paper_dflm(points=20, walkers=4, boundary_points=20),
        SMALL,
        AdamExponential(iterations=6, learning_rate=1e-3, gamma=0.9),
    ),
    "points where walkers arrived": (
        "1",
        DFLM(points=20, walkers=4, boundary_points=20, sampling="walkers"),
        SMALL,
        AdamCosine(iterations=6, learning_rate=1e-3, average=0.5),
    ),
    "nonlinear, in the walkers' measure": (
        NONLINEAR,
        DFLM(points=20, walkers=4, boundary_points=20, sampling="coefficient", table=9),
        SMALL,
        AdamCosine(iterations=6, learning_rate=1e-3, average=0.5),
    ),
    "energy by Adam, then its last layer": (
        "1",
        Energy(points=20, walkers=2),
        SMALL,
        AdamCosine(iterations=4, learning_rate=1e-3, average=0.5, last_layer=6),
    ),
    "one solve": ("1", Energy(points=20, walkers=2), Legendre(count=3), Galerkin(iterations=6, groups=3)),
    "natural gradient": (
        "1",
        Energy(points=80, walkers=2),
        MLP(depth=1, width=5, activation="tanh"),
        NaturalGradient(steps=2, iterations=4, groups=3),
    ),
    "natural gradient, nonlinear": (
        NONLINEAR,
        Energy(points=80, walkers=2, table=9),
        MLP(depth=1, width=5, activation="tanh"),
        NaturalGradient(steps=2, iterations=4, groups=3, passes=2),
    ),
    "Picard": (NONLINEAR, Energy(points=20, walkers=2, table=9), Legendre(count=3), Galerkin(groups=3)),
    "PINN with weights by the tangent kernel": (
        "1",
        PINN(points=20, boundary_points=20, kernel_points=8, weights="ntk", update_every=4, boundary="penalty"),
        MLP(depth=1, width=16, activation="tanh", scale=None, spread=0.0),
        AdamCosine(iterations=6, learning_rate=1e-3, average=0.0),
    ),
    "deep Ritz": (
        "1",
        DeepRitz(points=20, boundary_points=20, boundary="penalty"),
        SMALL,
        AdamCosine(iterations=6, learning_rate=1e-3, average=0.0),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_training_taken_up_after_any_iteration_ends_where_it_would_have(begin, case: str):
    """Also when somebody looked at the answer before, which must not change what comes."""
    loss, undisturbed = begin(*CASES[case])
    states = [through_a_file(undisturbed.state())]
    states += [through_a_file(undisturbed.state()) for _ in undisturbed]
    progress = undisturbed.done
    wanted = weights_sha256(progress.solution), progress.walker_steps, dict(loss.metrics())
    for iteration, state in enumerate(states[:-1]):
        loss, resumed = begin(*CASES[case])
        resumed.load_state(state)
        assert resumed.done.iteration == iteration
        for progress in resumed:
            progress.solution  # noqa: B018
        assert (weights_sha256(progress.solution), progress.walker_steps, dict(loss.metrics())) == wanted
        assert progress.iteration == len(states) - 1


def test_the_state_of_another_training_is_refused(begin):
    _, solve = begin("1", Energy(points=20, walkers=2), Legendre(count=3), Galerkin(iterations=4, groups=3))
    _, descent = begin(
        "1", Energy(points=20, walkers=2), SMALL, AdamCosine(iterations=4, learning_rate=1e-3, average=0.0)
    )
    for other in (
        descent.state(),
        begin("1", Energy(points=20, walkers=2), Legendre(count=4), Galerkin(iterations=4, groups=3))[1].state(),
        {**solve.state(), "loss": {}},
        {},
    ):
        with pytest.raises(ValueError, match="another training"):
            solve.load_state(other)
    with pytest.raises(ValueError, match="another training"):
        descent.load_state(solve.state())


# --- Numbers that are wrong -------------------------------------------------------------------------------------------


def test_a_loss_that_overflows_ends_the_training_with_the_number_of_the_iteration(begin):
    _, training = begin(
        "1",
        paper_dflm(points=20, walkers=4, boundary_points=20),
        SMALL,
        AdamExponential(iterations=100, learning_rate=1e30, gamma=1.0),
    )
    with pytest.raises(
        UserError, match=r"(the loss is|a weight is) .* at iteration \d+: lower optimizer.learning_rate"
    ):
        list(training)


@pytest.mark.parametrize(
    "optimizer", [AdamCosine(iterations=5, learning_rate=1e-3, average=0.0), Galerkin(iterations=5, groups=3)]
)
@pytest.mark.parametrize("what", ["displacement", "reward", "log_weight"])
def test_a_single_walker_that_brings_back_no_number_is_named(make_problem, kernels, what: str, optimizer):
    loss = losses.build(Energy(points=20, walkers=2), make_problem("1", eps=0.3), SHORT, 0, kernels)
    training = train(loss, loss.network(networks.build(Legendre(count=3), loss.problem.domain, 0)), optimizer)
    walk, walks = loss.walkers.walk, itertools.count(1)

    def spoiled(*arguments: Any) -> Walk:
        found = walk(*arguments)
        if len(arguments[0]) == 20 and next(walks) == 2:  # some walk again in other steps
            getattr(found, what).flat[7] = float("nan")
        return found

    loss.walkers.walk = spoiled
    next(training)
    with pytest.raises(UserError, match="of a walker is NaN or infinite at iteration 2: "):
        next(training)


# --- Answers in doubt -------------------------------------------------------------------------------------------------


def test_walkers_that_mostly_leave_are_warned_of_and_others_are_not(make_problem, kernels):
    """Within t the paths spread by sqrt(t): 0.04 of the unit square's side, and 0.7."""
    for steps, lines in ((TimeSteps(2e-3, 1, 1, 1), 0), (TimeSteps(2e-3, 250, 1, 1), 1)):
        loss = losses.build(Energy(points=500, walkers=2), make_problem("1", eps=0.3), steps, 0, kernels)
        next(
            train(loss, loss.network(networks.build(Legendre(count=3), loss.problem.domain, 0)), Galerkin(iterations=3))
        )
        assert len(loss.warnings()) == lines
        assert (loss.metrics()["left_share"] > 0.5) == bool(lines)
        assert loss.metrics()["effective_sample_share"] == 1.0


def test_the_least_effective_share_of_the_weights_is_kept_and_warned_of():
    """k of n weights that are equal, the others nothing beside them: a share of k / n, however large they all are."""
    tally = Tally()
    zero = np.zeros((10, 100), np.float32)
    for carrying, lines in ((500, 0), (5, 1), (1000, 1)):
        log_weight = np.full(1000, -30.0, np.float32)
        log_weight[:carrying] = 60.0
        weights = log_weight.reshape(zero.shape)
        walk = Walk(np.zeros((2, 10, 100)), np.zeros((2, 10, 100)), zero, weights, zero, zero > 0, 1)
        assert walk.effective_share == pytest.approx(carrying / 1000)
        tally.add(Tally.of(walk))
        assert len(tally.warnings()) == lines
    assert tally.metrics() == {"left_share": 0.0, "effective_sample_share": pytest.approx(0.005)}
