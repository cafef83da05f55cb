"""Walkers sent ahead of their iteration: the same training, and the first of them under way before it begins."""

import threading
import time
from collections.abc import Callable

import pytest
import torch
from paper import paper_dflm

from homog import losses, networks
from homog.config import MLP, AdamCosine, Energy
from homog.solvers.training import Training, train
from homog.timesteps.timestep import TimeSteps
from homog.walkers import Walkers

TANH = MLP(depth=2, width=8, activation="tanh", scale=3.0, spread=3.0)
METHODS = {
    "energy": Energy(points=30, walkers=2),
    "DFLM": paper_dflm(points=30, walkers=3, boundary_points=10),
    "DFLM, walkers as points": paper_dflm(points=30, walkers=3, boundary_points=10, sampling="walkers"),
}


@pytest.fixture
def begin(make_problem, kernels) -> Callable[[str], Training]:
    def make(method: str) -> Training:
        problem = make_problem("1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", 0.3)
        loss = losses.build(METHODS[method], problem, TimeSteps(1e-3, 5, 1, 1), 0, kernels)
        network = loss.network(networks.build(TANH, loss.problem.domain, 0))
        return train(loss, network, AdamCosine(iterations=6, learning_rate=1e-2, average=0.0))

    return make


def weights(training: Training) -> list[torch.Tensor]:
    for _ in training:
        pass
    return [p.detach().clone() for p in training.done.solution.parameters()]


@pytest.mark.parametrize("method", METHODS)
def test_it_changes_nothing_when_walkers_are_sent(begin, method: str, monkeypatch: pytest.MonkeyPatch):
    early = begin(method)
    early.draw_ahead()
    found = weights(early)
    as_usual = weights(begin(method))
    monkeypatch.setattr(losses.WalkingLoss, "draw_ahead", lambda self, iteration, until: None)
    in_turn = weights(begin(method))
    assert all(torch.equal(a, b) for a, b in zip(found, in_turn, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(as_usual, in_turn, strict=True))


def test_the_first_walkers_are_sent_before_the_first_iteration(begin, monkeypatch: pytest.MonkeyPatch):
    walk, sent = Walkers.walk, threading.Event()

    def telling(*arguments, **keywords):
        sent.set()
        return walk(*arguments, **keywords)

    monkeypatch.setattr(Walkers, "walk", telling)
    training = begin("DFLM")
    assert not sent.is_set()
    training.draw_ahead()
    assert sent.wait(60)
    assert training.done.iteration == 0


def test_what_walkers_of_a_nonlinear_problem_need_is_compiled_while_they_wait(make_problem, kernels):
    problem = make_problem("1.5 + u**6 + sin(2*pi*x1/eps)", 0.3)  # walked by no other test
    loss = losses.build(METHODS["energy"], problem, TimeSteps(1e-3, 5, 1, 1), 0, kernels)
    training = train(
        loss,
        loss.network(networks.build(TANH, problem.domain, 0)),
        AdamCosine(iterations=2, learning_rate=1e-2, average=0.0),
    )
    kernel = loss.walkers._walk
    assert not kernel.signatures
    training.draw_ahead()
    deadline = time.monotonic() + 120
    while not kernel.signatures:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    weights(training)
    assert len(kernel.signatures) == 1  # that of the walks
