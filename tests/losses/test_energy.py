"""The walkers' energy: its equation, its minimum by one solve and by Adam, known answers, noise and error bars."""

import copy
import math
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from paper import paper_dflm

from homog import equation, losses, networks
from homog.config import (
    DFLM,
    MLP,
    PINN,
    AdamCosine,
    BoundsTimeStep,
    Cosines,
    DomainSettings,
    Energy,
    FormulaProblem,
    Galerkin,
    Legendre,
    NetworkSettings,
)
from homog.equation import Problem
from homog.errors import UserError
from homog.machine import pieces
from homog.measures.evaluation import relative_l2, values_on_grid, weights_sha256
from homog.solvers.galerkin import GalerkinSolver
from homog.solvers.training import Progress, train
from homog.timesteps.timestep import TimeSteps, time_steps

TANH = MLP(depth=1, width=200, activation="tanh", scale=20.0, spread=3.0)  # as conf/network/tanh_features.yaml
SHORT = TimeSteps(2e-3, 25, 1, 1)


@pytest.fixture
def solve(kernels) -> Callable[..., Progress]:
    """Solves a problem by Galerkin's method to the end."""

    def solve(
        problem: Problem,
        walkers: int,
        steps: TimeSteps = SHORT,
        network: NetworkSettings = TANH,
        seed: int = 0,
        method: Energy | None = None,
    ) -> Progress:
        loss = losses.build(method or Energy(points=walkers // 20, walkers=1), problem, steps, seed, kernels)
        trained = loss.network(networks.build(network, problem.domain, 0))
        *_, progress = train(loss, trained, Galerkin(iterations=20))
        return progress

    return solve


def on_grid(progress: Progress, problem: Problem) -> np.ndarray:
    return values_on_grid(progress.solution, problem.domain.axes(51))


def sine_series(coefficient: float = 1.0) -> np.ndarray:
    """-a Lap u = 10 on the unit square with u = 0 on its boundary, on 51 x 51 points."""
    k = np.arange(1, 100, 2)
    sines = np.sin(np.pi * np.outer(np.linspace(0, 1, 51), k))
    heights = 160 / coefficient / np.pi**4 / (np.outer(k, k) * (k[:, None] ** 2 + k[None, :] ** 2))
    return sines @ heights @ sines.T


def test_walkers_weighted_by_the_coefficient_are_reversible(make_problem, kernels):
    """int a v P u = int a u P v: the antisymmetric part of the Bellman matrix is noise; without the weight a it is not.

    Five sigma for the largest of six entries; 25 micro steps of weak order 2 have a bias far below the noise.
    """
    problem = make_problem("exp(2*x1 - x2)", eps=0.3, forcing="0")
    loss = losses.EnergyLoss(Energy(points=20_000), problem, SHORT, 0, kernels)
    network = loss.network(networks.build(Cosines(count=2), problem.domain, 0))
    weighted, plain = [], []
    for batch in range(20):
        walk = loss.inputs(loss.sample(batch))
        with torch.no_grad():
            before, after = network.features(walk.starts), network.features(walk.ends[:, 0])
        a = torch.tensor(problem.operator.coefficient_at(walk.starts.double().numpy())).float()
        for weight, found in ((a, weighted), (torch.ones_like(a), plain)):
            bellman = (before * weight[:, None]).T @ after / len(a)  # features of walkers that left are zero
            found.append((bellman - bellman.T)[tuple(np.triu_indices(4, 1))].numpy())
    sigmas = [np.abs(np.mean(found, 0)) / (np.std(found, 0, ddof=1) / math.sqrt(20)) for found in (weighted, plain)]
    assert sigmas[0].max() < 5 < 20 < sigmas[1].max()


@pytest.mark.parametrize("network", [TANH, Cosines(count=8), Legendre(count=6)], ids=["tanh", "cosines", "legendre"])
@pytest.mark.parametrize("martingale", ["drift", "girsanov"])
def test_a_constant_coefficient_gives_the_sine_series(make_problem, solve, network, martingale):
    """Within four of its own error bars, about 1e-2 each; 3 % too much stiffness would be told."""
    problem = make_problem("1", eps=0.3)
    method = Energy(points=5_000, walkers=1, martingale=martingale, step="euler")
    progress = solve(problem, 100_000, network=network, method=method)
    bar = progress.optimizer.metrics()["rel_l2_standard_error"]
    assert bar < 2e-2
    assert relative_l2(on_grid(progress, problem), sine_series()) < 2 * bar  # a norm: its root mean square is one bar


@pytest.mark.parametrize(
    ("coefficient", "exact"),
    [("1", "x1**2 - x2**2 + 3*x1"), ("exp(2*x1 - x2)", "exp(x2 - 2*x1)")],
)
def test_boundary_values_that_are_not_zero(make_problem, solve, coefficient, exact):
    """-div(a grad u) = 0; g is the solution on the boundary alone, and inside its extension is off by a bubble."""
    problem = make_problem(coefficient, eps=0.3, forcing="0", boundary=f"{exact} + 16*x1*(1-x1)*x2*(1-x2)")
    progress = solve(problem, 200_000)
    grid = problem.domain.grid(51)
    truth = make_problem(boundary=exact).boundary.at(grid)
    bubble = problem.boundary.at(grid) - truth
    error = np.linalg.norm(on_grid(progress, problem) - truth) / np.linalg.norm(bubble)
    assert error < 2.5e-2  # of the bubble that had to go


def test_the_error_falls_like_the_root_of_the_walkers_and_the_bar_tells_it(make_problem, solve):
    """Root mean squares over 8 seeds: each is known to about 15 % (most of the error is in a few modes)."""
    problem = make_problem("1", eps=0.3)
    found = {}
    for walkers in (1_000, 16_000):
        runs = [
            solve(
                problem, walkers, seed=seed, network=MLP(depth=1, width=60, activation="tanh", scale=20.0, spread=3.0)
            )
            for seed in range(8)
        ]
        errors = [relative_l2(on_grid(run, problem), sine_series()) for run in runs]
        bars = [run.optimizer.metrics()["rel_l2_standard_error"] for run in runs]
        found[walkers] = np.sqrt(np.mean(np.square([errors, bars]), axis=1))
    for error, bar in found.values():
        assert bar == pytest.approx(error, rel=0.6)
    assert found[1_000][0] / found[16_000][0] == pytest.approx(4, rel=0.4)


def test_few_walkers_find_the_homogenised_solution(make_problem, solve):
    """eps = 0.01, 16 times the least macro step: a* = 0.8835143; the mean coefficient would be 11.7 % off."""
    problem = make_problem(eps=0.01)
    steps = time_steps(BoundsTimeStep(eps=0.01, macro_factor=16), 2)
    progress = solve(problem, 100_000, steps)
    bar = progress.optimizer.metrics()["rel_l2_standard_error"]
    assert bar < 2e-2
    assert relative_l2(on_grid(progress, problem), sine_series(0.8835143)) < 2 * bar + 3e-3


@pytest.mark.slow
def test_a_million_walkers_at_eps_0_01(make_problem, solve):
    """4e-3 of sampling noise and 2e-3 of bias; four seeds gave 3.6e-3 to 4.7e-3."""
    steps = time_steps(BoundsTimeStep(eps=0.01, macro_factor=16), 2)
    problem = make_problem(eps=0.01)
    assert relative_l2(on_grid(solve(problem, 1_000_000, steps), problem), sine_series(0.8835143)) < 8e-3


def test_equal_seeds_give_equal_bits_whatever_the_thread_count(make_problem, solve, monkeypatch: pytest.MonkeyPatch):
    problem = make_problem(eps=0.1)
    steps = time_steps(BoundsTimeStep(eps=0.1, macro_factor=1.0), 2)
    threads = torch.get_num_threads()
    hashes = []
    for count in (1, 2, 2):
        torch.set_num_threads(count)
        monkeypatch.setattr(pieces, "threads", lambda count=count: count)
        hashes.append(weights_sha256(solve(problem, 20_000, steps).solution))
    torch.set_num_threads(threads)
    other = weights_sha256(solve(problem, 20_000, steps, seed=1).solution)
    assert hashes[0] == hashes[1] == hashes[2] != other


def test_features_are_in_memory_for_a_block_of_walkers_at_a_time(make_problem, kernels, monkeypatch):
    problem = make_problem("1")
    loss = losses.build(Energy(points=5000, walkers=8), problem, SHORT, 0, kernels)
    network = loss.network(networks.build(TANH, problem.domain, 0))
    seen = []
    features = networks.BoundaryAnsatz.features
    monkeypatch.setattr(networks.BoundaryAnsatz, "features", lambda self, x: seen.append(x.shape) or features(self, x))
    GalerkinSolver(Galerkin(iterations=1), loss, network).add(0)
    assert sum(math.prod(shape[:-1]) for shape in seen) >= 45_000
    assert max(math.prod(shape[:-1]) for shape in seen) <= 8192


def test_a_wide_network_has_no_equations_for_other_steps(make_problem, kernels):
    """They would take three times the memory of its own."""
    loss = losses.build(Energy(points=200, walkers=2), make_problem("1"), SHORT, 0, kernels)
    for width, some in ((100, True), (600, False)):
        settings = MLP(depth=1, width=width, activation="tanh")
        network = loss.network(networks.build(settings, loss.problem.domain, 0))
        assert (loss.equations(network, 0, None).tested is not None) == some
        solver = GalerkinSolver(Galerkin(iterations=3, groups=3), loss, network)
        for iteration in range(3):
            solver.add(iteration)
        assert (solver.macro_step_error() is not None) == some
        assert solver.standard_error() is not None


@pytest.mark.slow
def test_a_hundred_million_walkers_take_no_more_memory_than_a_million(make_problem, kernels):
    """Largest resident set of the process, in kB on Linux; 64 MB of slack for the allocator."""
    problem = make_problem("1", eps=0.3)
    loss = losses.build(Energy(), problem, TimeSteps(1e-2, 5, 1, 1), 0, kernels)
    solver = GalerkinSolver(
        Galerkin(iterations=1526), loss, loss.network(networks.build(Legendre(count=4), problem.domain, 0))
    )
    most = []
    for batch in range(1526):
        solver.add(batch)
        most.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert 1526 * 65536 > 1e8
    assert most[-1] - most[15] < 64_000
    assert solver.standard_error() < 1e-3


def test_the_control_has_mean_zero_and_takes_noise_away(make_problem, kernels):
    """Each entry within five standard errors, walkers that left included; the noise of the answer falls by a third."""
    problem = make_problem(eps=0.01)
    steps = time_steps(BoundsTimeStep(macro_factor=4), 2, 0.01)
    loss = losses.build(Energy(points=4096), problem, steps, 0, kernels)
    network = loss.network(networks.build(Legendre(count=5), problem.domain, 0))
    batches = [loss.equations(network, batch, None).control for batch in range(40)]
    scores = np.abs(np.mean(batches, 0))[:-1, :-1] / (np.std(batches, 0, ddof=1)[:-1, :-1] / math.sqrt(40))
    assert scores.max() < 5
    solver = GalerkinSolver(Galerkin(iterations=40, groups=20), loss, network)
    for batch in range(40):
        solver.add(batch)
    assert solver.control_coefficient() > 0.5
    with_control = solver.standard_error()
    solver._system.control.fill(0.0)
    solver._solved = None
    assert with_control < 0.67 * solver.standard_error()


def test_points_with_the_density_of_the_coefficient_give_the_same_equations(make_problem, kernels):
    """The matrices of 40 batches each agree within five standard errors; the density's mean is that of a."""
    problem = make_problem("exp(2*x1 - x2)", eps=0.3, forcing="0")
    matrices = []
    for sampling in ("uniform", "coefficient"):
        loss = losses.EnergyLoss(Energy(points=1024, walkers=2, sampling=sampling), problem, SHORT, 0, kernels)
        network = loss.network(networks.build(Legendre(count=2), problem.domain, 0))
        matrices.append([loss.equations(network, batch, None).matrix[:-1, :-1] for batch in range(40)])
        starts, mass = loss._points(np.random.default_rng(0), None)
        assert abs(len(starts) - 1024) < 150
        assert mass.sum() == pytest.approx((math.e**2 - 1) / 2 * (1 - 1 / math.e), rel=0.02)
    assert np.ptp(mass) == pytest.approx(0, abs=1e-3 * mass.max())
    noise = np.sqrt((np.var(matrices, axis=1, ddof=1) / 40).sum(0))
    assert (np.abs(np.mean(matrices[0], 0) - np.mean(matrices[1], 0)) < 5 * noise).all()


@pytest.mark.parametrize("sampling", ["uniform", "coefficient"])
def test_the_points_stand_for_the_integral_of_the_coefficient_on_a_box_of_any_size(kernels, sampling):
    """A constant leaves nothing to chance: int a dx = 3 * (2 * 5)."""
    box = DomainSettings(lower=[-1.0, 0.0], upper=[1.0, 5.0])
    problem = equation.build(FormulaProblem(name="a test", coefficient="3", forcing="10", domain=box), 0.3)
    loss = losses.EnergyLoss(Energy(points=100, walkers=2, sampling=sampling), problem, SHORT, 0, kernels)
    _, mass = loss._points(np.random.default_rng(0), None)
    assert mass.sum() == pytest.approx(30, rel=1e-12)


def test_energy_and_bellman_equations_agree_for_a_constant_coefficient(make_problem, kernels):
    """The same walkers' two sets of equations, and the sine series, each within twice their error bars."""
    problem = make_problem("1", eps=0.3)
    for method in (Energy(), DFLM(points=16384, walkers=4, boundary_points=1)):
        loss = losses.build(method, problem, TimeSteps(2e-4, 100, 1, 1), 0, kernels)
        *_, progress = train(loss, loss.network(networks.build(Legendre(count=6), problem.domain, 0)), Galerkin())
        bar = progress.optimizer.metrics()["rel_l2_standard_error"]
        assert bar < 5e-3
        assert relative_l2(on_grid(progress, problem), sine_series()) < 2 * bar


def test_bellman_equations_want_the_boundary_values_in_the_network(make_problem, kernels):
    problem = make_problem("1")
    loss = losses.build(paper_dflm(points=20, walkers=2), problem, SHORT, 0, kernels)
    with pytest.raises(UserError, match=r"method\.boundary=ansatz"):
        next(train(loss, loss.network(networks.build(Legendre(count=3), problem.domain, 0)), Galerkin(iterations=4)))


@pytest.mark.parametrize("boundary", ["0", "1 + x1*x2**2"])
def test_the_solve_is_the_minimum_of_the_loss_that_adam_sees(make_problem, kernels, boundary):
    """Its value at the minimum and a vanishing slope in the last layer, up to single precision."""
    problem = make_problem("1", eps=0.3, boundary=boundary)
    loss = losses.build(Energy(points=2000, walkers=2), problem, SHORT, 0, kernels)
    network = loss.network(networks.build(MLP(depth=2, width=12, activation="tanh"), problem.domain, 0))
    solver = GalerkinSolver(Galerkin(iterations=1), loss, network)
    solver.add(0)
    slopes = []
    for answer in (network, solver.solution()):
        value = loss(answer, 0).loss
        slopes.append(torch.cat([g.flatten() for g in torch.autograd.grad(value, list(answer.parameters())[-2:])]))
    assert float(value.detach()) == pytest.approx(solver.loss(), rel=1e-4)
    assert float(slopes[1].norm()) < 1e-4 * float(slopes[0].norm())


def test_adam_finds_the_sine_series(make_problem, kernels):
    """In a few seconds; twice the error that was measured is a failure."""
    problem = make_problem("1", eps=0.3)
    loss = losses.build(Energy(points=1000), problem, SHORT, 0, kernels)
    network = loss.network(networks.build(MLP(width=64), problem.domain, 0))
    *_, progress = train(loss, network, AdamCosine(iterations=400, learning_rate=3e-3, average=0.3))
    assert relative_l2(on_grid(progress, problem), sine_series()) < 3e-2


def test_adam_can_end_with_a_solve_for_the_last_layer(make_problem, kernels):
    """Few iterations leave a large error; the solve over fresh walkers takes most of it and keeps the hidden layers."""
    problem = make_problem("1", eps=0.3)
    loss = losses.build(Energy(points=1024), problem, SHORT, 0, kernels)
    network = loss.network(networks.build(MLP(depth=2, width=40, activation="tanh"), problem.domain, 0))
    seen = [
        (progress.iteration, copy.deepcopy(progress.solution).state_dict(), on_grid(progress, problem))
        for progress in train(loss, network, AdamCosine(iterations=30, learning_rate=3e-3, last_layer=16, average=0.0))
    ]
    assert len(seen) == 46
    (_, adam, before), (_, solved, after) = seen[29], seen[-1]
    assert all(torch.equal(adam[name], solved[name]) == ("layers.4" not in name) for name in adam)
    assert relative_l2(after, sine_series()) < 0.3 * relative_l2(before, sine_series())


def test_more_features_than_a_solve_can_take_are_refused(make_problem, kernels):
    problem = make_problem("1")
    loss = losses.build(Energy(points=20, walkers=1), problem, SHORT, 0, kernels)
    with pytest.raises(UserError, match=r"4225 features is too much: .* network\.count"):
        train(loss, loss.network(networks.build(Legendre(count=65), problem.domain, 0)), Galerkin(iterations=2))


@pytest.mark.parametrize(
    "optimizer",
    [Galerkin(iterations=20), AdamCosine(iterations=20, learning_rate=1e-3, last_layer=2, average=0.0)],
    ids=["galerkin", "adam"],
)
def test_a_method_without_linear_equations_is_refused(make_problem, optimizer):
    problem = make_problem("1")
    loss = losses.build(PINN(points=20, boundary="penalty", weights="ntk"), problem, None, 0, Path())
    with pytest.raises(UserError, match="write method=energy or method=dflm"):
        next(train(loss, loss.network(networks.build(TANH, problem.domain, 0)), optimizer))


def test_a_nonlinear_problem_that_kirchhoffs_transform_makes_linear(make_problem, solve):
    """-div((1 + u^2) grad u) = 50: w = u + u^3/3 solves -Lap w = 50."""
    problem = make_problem("1 + u**2", eps=0.3, forcing="50")
    progress = solve(problem, 200_000, TimeSteps(1e-3, 20, 1, 1))
    exact = 2 * np.sinh(np.arcsinh(1.5 * 5 * sine_series()) / 3)  # the root of the cubic
    assert relative_l2(on_grid(progress, problem), exact) < 2e-2


@pytest.mark.parametrize("coefficient", ["1", "1 + u**2"])
def test_looking_at_the_answer_on_the_way_does_not_change_it(make_problem, kernels, coefficient):
    problem = make_problem(coefficient, eps=0.3, forcing="10" if coefficient == "1" else "50")
    loss = losses.build(Energy(points=500, table=33), problem, TimeSteps(1e-3, 20, 1, 1), 0, kernels)
    network = loss.network(networks.build(TANH, problem.domain, 0))
    looked = [weights_sha256(progress.solution) for progress in train(loss, network, Galerkin(iterations=20))]
    *_, progress = train(loss, network, Galerkin(iterations=20))
    assert weights_sha256(progress.solution) == looked[-1]
    assert len(set(looked)) == 20
