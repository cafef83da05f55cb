"""An iteration captured as a graph, on a processor that has none: what is captured is called again instead."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from paper import paper_dflm

from homog import losses, networks
from homog.config import DFLM, MLP, AdamCosine, Energy
from homog.errors import NotFinite
from homog.solvers import captured
from homog.solvers.training import Training, train
from homog.timesteps.timestep import TimeSteps
from homog.walkers import missing_for_cuda

TANH = MLP(depth=2, width=8, activation="tanh", scale=3.0, spread=3.0)
METHODS = {
    "energy": Energy(points=30, walkers=2),
    "DFLM": paper_dflm(points=30, walkers=3, boundary_points=10),
    "DFLM, gradient": DFLM(points=30, walkers=3, sampling="coefficient", martingale="girsanov", step="euler"),
}
COEFFICIENTS = {
    "linear": "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)",
    "nonlinear": "1 + (1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps))*u**2",
}


@pytest.fixture
def imitated(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """A capture that writes into one tensor each time, as a graph does, and notes the losses."""
    seen: list[torch.Tensor] = []

    def capture(step: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        result = torch.empty(())

        def replay() -> torch.Tensor:
            result.copy_(step())
            seen.append(result)
            return result

        return replay

    monkeypatch.setattr(captured, "_captured", capture)
    monkeypatch.setattr(captured, "_aside", lambda step: step())
    for loss in (losses.DFLMLoss, losses.EnergyLoss):
        monkeypatch.setattr(loss, "capturable", True)
    return seen


@pytest.fixture
def begin(make_problem, kernels) -> Callable[..., Training]:
    def make(method: str, kind: str = "linear", rate: float = 1e-2) -> Training:
        problem = make_problem(COEFFICIENTS[kind], 0.3)
        loss = losses.build(METHODS[method], problem, TimeSteps(1e-3, 5, 1, 1), 0, kernels)
        network = loss.network(networks.build(TANH, loss.problem.domain, 0))
        return train(loss, network, AdamCosine(iterations=12, learning_rate=rate, average=0.5))

    return make


def weights(training: Training) -> np.ndarray:
    return np.concatenate([p.detach().ravel() for p in training.done.solution.parameters()])


@pytest.mark.parametrize("kind", COEFFICIENTS)
@pytest.mark.parametrize("method", METHODS)
def test_replays_on_new_contents_train_as_iterations_one_by_one(
    begin, method: str, kind: str, request: pytest.FixtureRequest
):
    plain = begin(method, kind)
    one_by_one = [float(progress.loss) for progress in plain]
    seen = request.getfixturevalue("imitated")
    replayed = begin(method, kind)
    assert [float(progress.loss) for progress in replayed] == one_by_one
    assert len(seen) == 12 - 3
    np.testing.assert_array_equal(weights(replayed), weights(plain))


def test_a_graph_is_captured_anew_for_weights_that_were_loaded(begin, imitated):
    whole, half = begin("energy"), begin("energy")
    losses_of = [float(progress.loss) for progress in whole]
    for _ in range(6):
        next(half)
    rest = begin("energy")
    rest.load_state(half.state())
    assert [float(progress.loss) for progress in rest] == losses_of[6:]
    np.testing.assert_array_equal(weights(rest), weights(whole))


def test_a_number_that_is_found_late_is_told_with_its_own_iteration(begin, imitated):
    """On a GPU the host looks every 64 iterations, and before a checkpoint or an answer is made of the weights."""
    training = begin("energy")
    optimizer = training.done.optimizer
    descend = optimizer._adam.descend
    spoiled = iter([False] * 7 + [True] + [False] * 9)

    def step(loss: Callable[[], torch.Tensor]) -> torch.Tensor:
        bad = float("nan") if next(spoiled) else 1.0
        return descend(lambda: loss() * bad)

    optimizer._adam.descend = step
    adam = optimizer._adam
    for iteration in range(10):  # as on a GPU: nobody looks
        adam.prepare(iteration)
        last, _ = optimizer._descend(iteration)
    with pytest.raises(NotFinite, match="the loss is nan at iteration 8: lower"):
        adam.require_finite(9, last)


def test_walkers_that_cannot_go_to_the_gpu_stay_on_the_cpu_and_one_line_says_so(make_problem, kernels, caplog):
    if missing_for_cuda() is None:
        pytest.skip("here they can")
    settings = make_problem(eps=0.3), TimeSteps(1e-3, 5, 1, 1), 0, kernels
    loss = losses.build(METHODS["energy"], *settings, torch.device("cuda"))
    walk = losses.build(METHODS["energy"], *settings).sample(3).walk
    np.testing.assert_array_equal(loss.sample(3).walk.displacement, walk.displacement)
    (line,) = caplog.messages
    assert line.startswith("walkers on a GPU need ")
    assert line.endswith("; here the walkers stay on the CPU")
