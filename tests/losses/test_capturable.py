"""What may stand in a captured graph: PyTorch's operations that never make the host wait."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from homog import losses, networks
from homog.config import DFLM, MLP, Energy, MethodSettings
from homog.timesteps.timestep import TimeSteps

LINEAR = "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
NONLINEAR = "1 + (1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps))*u**2"
SMALL = {"points": 30, "walkers": 3, "table": 17}
METHODS = {
    "energy": Energy(**{**SMALL, "walkers": 2}),
    **{
        f"DFLM, {estimator}, {boundary}": DFLM(**SMALL, boundary_points=10, estimator=estimator, boundary=boundary)
        for estimator, boundary in itertools.product(["plain", "control_variate", "gradient"], ["penalty", "ansatz"])
    },
}


READ = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select"}


def read_by_the_host(operations: Callable[[], object]) -> set[str]:
    """Operations that on a GPU make the host wait for a number, and that end a capture with an error.

    By the profiler: to a dispatch mode, and on the device of shapes alone, PyTorch shows other operations.
    """
    with torch.autograd.profiler.profile() as profile:
        operations()
    return READ & {event.name for event in profile.function_events}


@pytest.fixture
def loss_of(make_problem, kernels: Path) -> Callable[..., Any]:
    def make(method: MethodSettings, coefficient: str) -> Any:
        return losses.build(
            method, make_problem(coefficient, 0.3), TimeSteps(1e-3, 5, 1, 1), 0, kernels, torch.device("cpu")
        )

    return make


def test_the_slope_of_a_product_is_seen():
    """What once ended a capture: where a factor may be zero, PyTorch asks the host."""
    x = torch.full((3, 2), 0.5, requires_grad=True)
    assert read_by_the_host(lambda: torch.autograd.grad(x.prod(-1).sum(), x)) == {"aten::_local_scalar_dense"}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("coefficient", [LINEAR, NONLINEAR], ids=["linear", "nonlinear"])
def test_the_host_reads_nothing_of_a_loss_and_its_slope(loss_of, method: MethodSettings, coefficient: str):
    loss = loss_of(method, coefficient)
    network = loss.network(networks.build(MLP(depth=2, width=8, activation="tanh"), loss.problem.domain, 0))
    inputs = loss.draw(network, 1).inputs
    assert not read_by_the_host(lambda: loss.value(network, inputs).backward())
    assert all(weights.grad is not None for weights in network.parameters())
