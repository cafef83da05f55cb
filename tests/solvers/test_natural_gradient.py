"""Natural gradient: the tangent space, its steps, and the solve at the end."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev, vmap

from homog import losses, networks
from homog.config import DFLM, MLP, PINN, Energy, FourierMLP, Galerkin, Legendre, NaturalGradient
from homog.domains import Box
from homog.errors import UserError
from homog.losses import functions
from homog.measures.evaluation import relative_l2
from homog.networks import BoundaryAnsatz, Tangent, tangent_in
from homog.networks.perceptron import Perceptron
from homog.networks.products import ProductSum
from homog.solvers import curvature, natural_gradient
from homog.solvers.curvature import ByMatrix, ByProducts
from homog.solvers.natural_gradient import NaturalGradientDescent
from homog.solvers.solve import Solve
from homog.solvers.training import train
from homog.timesteps.timestep import TimeSteps

SQUARE = Box((0.0, 0.0), (1.0, 2.0))
SHORT = TimeSteps(2e-3, 25, 1, 1)


def perceptron(settings: MLP) -> Perceptron:
    network = networks.build(settings, SQUARE, seed=3)
    assert isinstance(network, Perceptron)
    return network.double()


@pytest.mark.parametrize(
    "settings",
    [
        *(MLP(depth=2, width=5, activation=name) for name in ("relu", "tanh", "gelu", "silu")),
        MLP(depth=1, width=4, activation="tanh"),
        FourierMLP(depth=3, width=4, features=6, sigma=2.0),
    ],
)
def test_the_jacobian_is_that_of_automatic_differentiation(settings: MLP):
    network, x = perceptron(settings), torch.rand(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weights = {name: weight.detach() for name, weight in network.named_parameters()}
    parts = vmap(jacrev(lambda theta, at: functional_call(network, theta, (at[None],))[0]), (None, 0))(weights, x)
    wanted = torch.cat([parts[name].reshape(len(x), -1) for name in weights], dim=1)
    torch.testing.assert_close(network.jacobian(x), wanted, rtol=1e-10, atol=1e-12)
    change = torch.randn(wanted.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    value, slope = network.along(x, change)
    torch.testing.assert_close(value, network(x))
    torch.testing.assert_close(slope, wanted @ change, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("modes", [False, True])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "silu", "fourier"])
def test_numpy_evaluates_what_torch_does(make_problem, activation: str, modes: bool):
    small = {"depth": 2, "width": 6}
    settings = (
        FourierMLP(**small, features=4, sigma=2.0) if activation == "fourier" else MLP(**small, activation=activation)
    )
    problem = make_problem("1", eps=0.3, boundary="1 + x1*x2")
    network = BoundaryAnsatz(Tangent(networks.build(settings, problem.domain, 0)), problem)
    x = torch.as_tensor(problem.domain.spread(1500, np.random.default_rng(0)), dtype=torch.float32)
    if modes:
        tangent_in(network).use_modes(network.features(x))
    evaluate, found = network.on_host(), np.empty((len(x), len(network.weights()) + 1), dtype=np.float32)
    evaluate(x.numpy(), found)
    wanted = functions(network, x).detach().numpy()
    if modes:  # of late ones single precision has little left: a millionth of J's size is theirs
        np.testing.assert_allclose(found[:, :9], wanted[:, :9], atol=1e-3)
        np.testing.assert_allclose(found[:, -1], wanted[:, -1], atol=1e-5)
        assert np.sqrt(np.mean((found - wanted) ** 2, axis=0)).max() < 0.1
    else:
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_tangent_space_is_the_network_to_first_order_and_moves_there():
    tangent = Tangent(perceptron(MLP(depth=2, width=6, activation="tanh")))
    tangent.change = tangent.change.double()
    x = torch.rand(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    direction = torch.randn(len(tangent.change), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    bent = []
    for size in (1e-2, 1e-3):
        tangent.set_weights(size * direction)
        linear, moved = tangent(x).detach(), copy.deepcopy(tangent)
        torch.testing.assert_close(linear, tangent.lift(x) + tangent.features(x) @ tangent.weights())
        moved.move()
        assert not moved.change.any()
        bent.append(float((moved(x) - linear).detach().norm()))
    assert bent[0] / bent[1] == pytest.approx(100, rel=0.1)


def test_modes_are_orthonormal_on_their_points_and_make_up_growing_spaces():
    tangent = Tangent(networks.build(MLP(depth=2, width=12, activation="tanh"), SQUARE, seed=0))
    x = torch.as_tensor(SQUARE.spread(2000, np.random.default_rng(0)), dtype=torch.float32)
    tangent.use_modes(tangent.features(x))
    modes = tangent.features(x).double().numpy()
    spaces = tangent.nested()
    assert [len(space) for space in spaces[:4]] == [1, 4, 9, 16]
    assert modes.shape[1] == len(spaces[-1]) >= 64
    np.testing.assert_allclose(modes[:, :49].T @ modes[:, :49] / len(x), np.eye(49), atol=2e-2)
    smaller = tangent.restricted(2)
    np.testing.assert_allclose(smaller.features(x).numpy(), modes[:, :9], atol=1e-5)


class Products(Perceptron):
    """Linear in its weights, in the guise of a perceptron."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.products = networks.build(Legendre(count=4), Box((0.0, 0.0), (1.0, 1.0)), 0)
        self.center = self.products.center

    def forward(self, x):
        return self.products(x)

    def jacobian(self, x):
        with torch.no_grad():
            return self.products.features(x)

    def along(self, x, change):
        return self.products(x), self.products.features(x) @ change

    def jacobian_on_host(self, basis):
        return None


def test_of_a_network_that_is_linear_in_its_weights_the_solve_is_galerkins(
    make_problem, kernels, monkeypatch: pytest.MonkeyPatch
):
    """The same functions in another basis, over the same walkers, whatever the steps before have found."""
    for kind in (Tangent, ProductSum):  # in all functions, whatever the noise
        monkeypatch.setattr(kind, "nested", lambda self: [np.arange(len(self.weights()))])
        monkeypatch.setattr(kind, "restricted", lambda self, space: self)
    problem = make_problem("1 + 0.5*sin(2*pi*x1/eps)", eps=0.3)
    loss = losses.build(Energy(points=500, walkers=2), problem, SHORT, 0, kernels)
    network = loss.network(Tangent(Products()))
    descent = NaturalGradientDescent(NaturalGradient(steps=2, iterations=4, groups=3), loss, network)
    for iteration in range(6):
        descent.step(iteration)
    plain = Solve(
        Galerkin(iterations=4, groups=3), loss, loss.network(networks.build(Legendre(count=4), problem.domain, 0))
    )
    for iteration in range(2, 6):
        plain.step(iteration)
    x = torch.as_tensor(problem.domain.spread(200, np.random.default_rng(0)), dtype=torch.float32)
    fitted = descent.solution()(x).detach().numpy()
    found, wanted = (solve.solution()(x).detach().numpy() for solve in (descent._solve, plain))
    np.testing.assert_allclose(found, wanted, atol=2e-4 * np.abs(wanted).max())
    errors = [solve.metrics()["rel_l2_standard_error"] for solve in (descent, plain)]
    assert errors[0] == pytest.approx(errors[1], rel=1e-2)
    assert relative_l2(fitted, found) < 0.15 * errors[0]


@pytest.mark.parametrize("coefficient", ["1 + 0.5*sin(2*pi*x1/eps)", "1 + u**2"])
def test_products_make_the_steps_of_the_matrix(
    make_problem, kernels, monkeypatch: pytest.MonkeyPatch, coefficient: str
):
    """With as many of them as it takes: a step, what it foretells, and the size that damping is measured in."""
    loss = losses.build(Energy(points=500, walkers=2), make_problem(coefficient, eps=0.3), SHORT, 0, kernels)
    network = loss.network(networks.build(MLP(depth=1, width=8, activation="tanh"), loss.problem.domain, 0))
    tangent, lagged = tangent_in(network), loss.lagged(network)
    batches = [loss.of_points(500) for _ in range(2)]
    matrix = ByMatrix(batches[0].equations_and_value(network, 0, lagged)[0], 0.8)
    forms = batches[1].forms(0, lagged)
    monkeypatch.setattr(curvature, "_MOST_PRODUCTS", 400)
    monkeypatch.setattr(curvature, "_CLOSE", 1e-6)
    products = ByProducts(network, tangent, forms, 0.8)
    products._size = matrix._size * 1.0
    wanted, found = (model.step(1e-1) for model in (matrix, products))
    assert relative_l2(found, wanted) < 2e-3
    assert products.predicted(wanted) == pytest.approx(matrix.predicted(wanted), rel=1e-3)
    assert products.plain(wanted) == pytest.approx(matrix.plain(wanted), rel=1e-3)
    monkeypatch.setattr(curvature, "_PROBES", 400)
    assert ByProducts(network, tangent, forms, 0.8)._size == pytest.approx(matrix._size, rel=0.2)
    assert not tangent.change.any()


def test_a_network_too_large_for_a_matrix(make_problem, kernels, monkeypatch: pytest.MonkeyPatch):
    """Steps by products, modes from the points' rows, a fit by them: the sine series, as by the matrix."""
    problem = make_problem("1", eps=0.3)
    loss = losses.build(Energy(points=1000, walkers=4), problem, SHORT, 0, kernels)
    network = loss.network(networks.build(MLP(depth=2, width=40, activation="tanh"), problem.domain, 0))
    assert len(tangent_in(copy.deepcopy(network)).change) == 1801
    monkeypatch.setattr(natural_gradient, "_POINTS", 1500)  # fewer than weights
    (*_, last) = train(loss, network, NaturalGradient(steps=5, iterations=6, groups=3))
    grid = torch.as_tensor(problem.domain.grid(41).reshape(-1, 2), dtype=torch.float32)
    found = last.solution(grid).detach().numpy().reshape(41, 41)
    told = last.optimizer.metrics()["rel_l2_standard_error"]
    assert told < 3e-2
    assert relative_l2(found, sine_series(41)) < 2.5 * told


@pytest.mark.parametrize("coefficient", ["1 + 0.5*sin(2*pi*x1/eps)", "1 + u**2"])
def test_a_step_lowers_the_energy_of_its_own_walkers(make_problem, kernels, coefficient: str):
    loss = losses.build(Energy(points=4000, walkers=2), make_problem(coefficient, eps=0.3), SHORT, 0, kernels)
    network = loss.network(networks.build(MLP(depth=2, width=8, activation="tanh"), loss.problem.domain, 0))
    descent = NaturalGradientDescent(NaturalGradient(steps=6), loss, network)
    for iteration in range(4):
        lagged = loss.lagged(network)
        batch = descent._of_batch(iteration)
        fresh = batch.of_points(batch.settings.points)
        _, energy = fresh.equations_and_value(network, iteration, lagged)
        with torch.no_grad():
            before = float(energy(network))
            descent.step(iteration)
            after = float(energy(network))
        assert after < before or iteration > 1  # later the control variate knows better than these walkers
        assert after < before + 1e-2 * abs(before)


@pytest.mark.slow  # half a minute on two idle cores
def test_the_error_falls_like_the_root_of_the_walkers(make_problem, kernels):
    """Sixteen times the walkers of the last solve: a quarter of the error, over three seeds; 4.2 was measured."""
    problem, found = make_problem("1", eps=0.3), np.empty((2, 3))
    grid = torch.as_tensor(problem.domain.grid(41).reshape(-1, 2), dtype=torch.float32)
    for seed in range(3):
        for row, iterations in enumerate((3, 48)):
            loss = losses.build(Energy(points=2048, walkers=2), problem, TimeSteps(2.5e-3, 2, 1, 1), seed, kernels)
            network = networks.build(MLP(depth=1, width=16, activation="tanh", spread=3.0), problem.domain, seed)
            settings = NaturalGradient(steps=8, iterations=iterations, groups=3)
            (*_, last) = train(loss, loss.network(network), settings)
            answer = last.solution(grid).detach().numpy().reshape(41, 41)
            found[row, seed] = relative_l2(answer, sine_series(41))
    few, many = np.sqrt(np.mean(found**2, axis=1))
    assert many < 1.5e-2
    assert 2.5 < few / many < 6.5


def test_other_networks_and_methods_are_refused_in_one_line(make_problem, kernels):
    problem = make_problem("1", eps=0.3)
    loss = losses.build(Energy(points=20, walkers=2), problem, SHORT, 0, kernels)
    with pytest.raises(UserError, match="write network=mlp"):
        train(loss, loss.network(networks.build(Legendre(count=3), problem.domain, 0)), NaturalGradient())
    with pytest.raises(UserError, match=r"641,841 weights is too much.*experiment=natural_gradient"):
        train(loss, loss.network(networks.build(MLP(depth=3, width=565), problem.domain, 0)), NaturalGradient())
    slopes_of_nothing = losses.build(DFLM(points=20, walkers=2), problem, SHORT, 0, kernels)
    with pytest.raises(UserError, match=r"20,601 weights is too much: write a network of at most 3,000"):
        train(slopes_of_nothing, slopes_of_nothing.network(networks.build(MLP(), problem.domain, 0)), NaturalGradient())
    pinn = losses.build(PINN(), problem, None, 0, kernels)
    with pytest.raises(UserError, match="write method=energy or dflm"):
        train(pinn, pinn.network(networks.build(MLP(depth=1, width=4), problem.domain, 0)), NaturalGradient())


def test_dflms_equations_lead_there_too(make_problem, kernels):
    """Constant coefficient: the sine series; the paper's loss by a dozen solves."""
    problem = make_problem("1", eps=0.3)
    loss = losses.build(DFLM(points=2000, walkers=8, boundary="ansatz"), problem, SHORT, 0, kernels)
    network = loss.network(networks.build(MLP(depth=1, width=16, activation="tanh"), problem.domain, 0))
    (*_, last) = train(loss, network, NaturalGradient(steps=6, iterations=6, groups=3))
    grid = torch.as_tensor(problem.domain.grid(41).reshape(-1, 2), dtype=torch.float32)
    found = last.solution(grid).detach().numpy().reshape(41, 41)
    assert relative_l2(found, sine_series(41)) < 3e-2


def sine_series(count: int) -> np.ndarray:
    """u of -Lap u = 10 in the unit square."""
    waves = np.arange(1, 60, 2)
    along = np.sin(np.pi * np.outer(np.linspace(0, 1, count), waves))
    return along @ (160 / np.pi**4 / np.outer(waves, waves) / (waves[:, None] ** 2 + waves**2)) @ along.T
