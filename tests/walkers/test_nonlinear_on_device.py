"""Iterations of a nonlinear problem as on a GPU: the table of u made by PyTorch, what walkers bring back in tensors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from paper import paper_dflm
from simulated_gpu import CASES
from torch.utils._python_dispatch import TorchDispatchMode

from homog import losses, networks
from homog.config import DFLM, MLP, AdamCosine, Cosines, Energy, MethodSettings
from homog.errors import UserError
from homog.losses.lagged import LaggedOnDevice
from homog.solvers import captured
from homog.solvers.training import Training, train
from homog.timesteps.timestep import TimeSteps
from homog.walkers import DeviceSpline, Scheme, Walkers, walk
from homog.walkers.batch import Batch, Found
from homog.walkers.lookup import Table
from homog.walkers.on_cpu import Cpu

NONLINEAR = "1 + (1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps))*u**2"
METHODS = {
    "energy": Energy(points=30, walkers=2, table=17),
    "DFLM": paper_dflm(points=30, walkers=3, boundary_points=10, table=17),
    "DFLM, drift walkers": DFLM(
        points=30, walkers=3, boundary_points=10, table=17, estimator="plain", boundary="penalty"
    ),
    "DFLM in the walkers' measure": DFLM(
        points=30,
        walkers=3,
        boundary_points=10,
        sampling="coefficient",
        table=17,
        estimator="plain",
        boundary="penalty",
    ),
}
EACH = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
GPU, META = torch.device("cuda"), torch.device("meta")


class Imitated(Cpu):
    """A processor whose tables and findings are tensors, as on a GPU; its kernel is that of the CPU."""

    def hold(self, table: Table) -> tuple[Any, ...]:
        assert isinstance(table.coefficients, torch.Tensor)
        return table.coefficients.numpy(), *table.counts, *table.per_length

    def run(self, kernel: Any, batch: Batch, constants: np.ndarray, tables: list[tuple[Any, ...]]) -> Found:
        found = super().run(kernel, batch, constants, tables)
        return Found(*(part if part is None else torch.from_numpy(part) for part in found))


class WithoutNumbers(Imitated):
    """A processor on PyTorch's device of shapes alone: who reads a number there gets an error."""

    def hold(self, table: Table) -> tuple[Any, ...]:
        assert isinstance(table.coefficients, torch.Tensor)
        return (table.coefficients,)

    def run(self, kernel: Any, batch: Batch, constants: np.ndarray, tables: list[tuple[Any, ...]]) -> Found:
        assert all(table.is_meta for (table,) in tables)
        rows = torch.empty((Found.rows(batch), batch.walkers), device=META)
        return Found.of(batch, rows, torch.empty(batch.walkers, dtype=torch.bool, device=META))


class Watched(TorchDispatchMode):
    """Refuses a copy from the host that the host would wait for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func is torch.ops.aten._to_copy.default and given.get("device") == META and not args[0].is_meta:
            assert given.get("non_blocking"), "the host waits for a copy"
        return func(*args, **given)


def training(loss: Any) -> Training:
    network = loss.network(networks.build(MLP(depth=2, width=8, activation="tanh", spread=3.0), loss.problem.domain, 0))
    return train(loss, network.to(loss._device), AdamCosine(iterations=12, learning_rate=1e-2, average=0.5))


@pytest.fixture
def loss_of(make_problem, kernels: Path) -> Callable[..., Any]:
    def make(method: MethodSettings, device: str = "cpu", coefficient: str = NONLINEAR) -> Any:
        steps = TimeSteps(1e-3, 5, 1, 1)
        return losses.build(method, make_problem(coefficient, 0.3), steps, 0, kernels, torch.device(device))

    return make


@pytest.fixture
def on_device(loss_of, monkeypatch: pytest.MonkeyPatch, kernels: Path) -> Callable[..., Any]:
    """Makes a loss whose walkers believe that they are on a GPU, and whose tensors are on the CPU."""

    def make(method: MethodSettings, coefficient: str = NONLINEAR) -> Any:
        loss = loss_of(method, coefficient=coefficient)
        monkeypatch.setattr(walk, "Cuda", lambda device: Imitated())
        monkeypatch.setattr(type(loss), "capturable", True)
        monkeypatch.setattr(captured, "_captured", lambda step: step)
        monkeypatch.setattr(captured, "_aside", lambda step: step())
        loss._walks_on = GPU
        loss.walkers = Walkers(loss.problem, loss.walkers.scheme, kernels, GPU)
        return loss

    return make


@EACH
def test_it_trains_as_on_the_host_up_to_rounding(loss_of, on_device, method: MethodSettings):
    """Coefficients differ by 1e-16 and are rounded to 6e-8; a(x, u) is looked up in a spline of the same values.

    Adam's first step has the sign of a slope, whatever its size: what rounding moves is far less than a step of 1e-2.
    """
    expected = [float(progress.loss) for progress in training(loss_of(method))]
    found = [float(progress.loss) for progress in training(on_device(method))]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@EACH
def test_the_host_reads_nothing_of_an_iteration_that_it_does_not_look_at(
    loss_of, monkeypatch: pytest.MonkeyPatch, method: MethodSettings
):
    """On the device of shapes alone: a number that is read there is an error, and the 64th iteration is one."""
    monkeypatch.setattr(walk, "Cuda", lambda device: WithoutNumbers())
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr(captured, "_aside", lambda step: step())
    loss = loss_of(method, "meta")
    monkeypatch.setattr(type(loss), "capturable", True)
    optimizer = training(loss).done.optimizer
    with Watched():
        optimizer.step(1)
        optimizer.step(2)
        with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
            optimizer.step(64)


@EACH
def test_a_coefficient_that_is_not_positive_is_told_where_the_host_looks(on_device, method: MethodSettings):
    loss = on_device(method, "0.5 + u")
    network = networks.build(Cosines(count=1), loss.problem.domain, 0)
    network.set_weights(torch.tensor([-1.0]))  # u = -1, with the boundary ansatz in the middle
    u = loss.lagged_for_walkers(loss.network(network))
    assert isinstance(u, DeviceSpline)
    loss.sample(63, u)
    with pytest.raises(UserError, match="it must be positive for every u that occurs"):
        loss.sample(64, u)


def test_no_distance_is_safe_for_drift_walkers_of_unknown_speed(on_device):
    """What driftless walkers cover in 16 steps does not depend on u."""
    loss = on_device(METHODS["energy"])
    table = loss.lagged_for_walkers(training(loss).done.solution)
    for martingale, safe in ("drift", np.finfo(np.float32).max), ("girsanov", 7.5 * np.sqrt(16e-3)):
        walkers = Walkers(loss.problem, Scheme(martingale, "euler"), loss._cache)
        assert walkers._safe(loss.steps, table) == np.float32(safe)


def test_the_energy_weighs_points_by_the_same_coefficient_where_it_reads_a_field(kernels: Path):
    problem = CASES["nonlinear field"].problem
    loss = losses.EnergyLoss(METHODS["energy"], problem, TimeSteps(1e-3, 5, 1, 1), 0, kernels)
    network = loss.network(networks.build(MLP(depth=2, width=8, activation="tanh", spread=3.0), problem.domain, 0))
    tables = loss.lagged(network), LaggedOnDevice(problem.domain, 17, torch.device("cpu"))(network)
    (points, exact), (same, found) = (loss._points(np.random.default_rng(0), table) for table in tables)
    np.testing.assert_array_equal(points, same)
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found.numpy(), exact, rtol=1e-12)
