"""Faces that reflect, let in and out, and join: against exact laws and solutions, by every method and reference."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from manufactured import Exact, with_solution
from orders import assert_orders
from scipy.special import erfcx

from homog import losses, networks
from homog.config import (
    DFLM,
    MLP,
    PINN,
    AdamCosine,
    BoundsTimeStep,
    Cosines,
    DeepRitz,
    Energy,
    FEMReference,
    FormulaProblem,
    Galerkin,
    Legendre,
    MethodSettings,
    NaturalGradient,
    RunSettings,
)
from homog.domains import Box
from homog.equation import Problem, build
from homog.errors import UserError
from homog.fields.splines import interpolate
from homog.formula import parse
from homog.measures.evaluation import relative_l2, values_on_grid
from homog.measures.fine_scale import fine_scale
from homog.measures.longer_walk import longer_walk
from homog.references import reference
from homog.references.feynman_kac import fine_solution
from homog.run.parameters import parameters
from homog.run.task import Plan, Task
from homog.solvers.training import train
from homog.timesteps.pace import pace_of
from homog.timesteps.timestep import TimeSteps, time_steps
from homog.walkers import Scheme, Walkers, oracle, stream_key

MakeProblem = Callable[..., Problem]

SOLUTION = "sin(2*x1 + 1)*exp(0.7*x2)"
AXES = Box((0.0, 0.0), (1.0, 1.0)).axes(41)
NEUMANN = ("value", "value", "flux", "flux")
ROBIN = ("robin", "robin", "value", "robin")
MIXED = ("flux", "value", "robin", "value")
NO_VALUE = ("robin", "flux", "flux", "robin")


def exact() -> np.ndarray:
    x, y = np.meshgrid(*AXES, indexing="ij")
    return np.sin(2 * x + 1) * np.exp(0.7 * y)


@pytest.fixture
def made(make_problem: MakeProblem) -> Callable[..., Problem]:
    def made(coefficient: str, walls: Sequence[str], factor: str = "2 + x1", **rest: Any) -> Problem:
        return with_solution(make_problem(eps=0.5), coefficient, SOLUTION, walls=walls, factor=factor, **rest)

    return made


BOUNDARIES: dict[str, Any] = {
    "flux": {"x1-": {"flux": "1 + x2"}, "x1+": {"flux": 0}, "x2": {"value": "x1"}},
    "robin": {"x1-": {"robin": {"factor": "5*(1 + x2)", "flux": "2"}}, "all": {"robin": {"factor": 40, "flux": "x2"}}},
    "periodic": {"x1": "periodic", "x2": {"value": 0}},
    "both": {"x1": "periodic", "x2-": {"robin": {"factor": 3, "flux": "sin(2*pi*x1)"}}, "x2+": {"flux": "x1"}},
}
SCHEMES = [Scheme(), Scheme(step="euler"), Scheme(step="metropolis"), Scheme(draws=2)]


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("reaction", ["0", "60*(1 + x2)"])
def test_kernel_and_oracle_agree(
    make_problem: MakeProblem, kernels: Path, boundary: str, scheme: Scheme, reaction: str
):
    medium = "2 + sin(2*pi*x1/eps)*cos(2*pi*x2)"
    problem = make_problem(medium, 0.2, forcing="1 + x1", reaction=reaction, boundary=BOUNDARIES[boundary])
    near = [[0.002, 0.5], [0.998, 0.999], [0.001, 0.998], [0.0, 0.3], [0.5, 0.0015], [0.9995, 0.4]]
    points = np.concatenate([problem.domain.sample(40, np.random.default_rng(0)), near])
    steps, key = TimeSteps(1e-4, 40, 1, 1), stream_key(0, 0)
    if scheme.draws == 1:
        exactly = oracle.walk(problem, scheme, points, 4, steps, key)
    else:  # along the path of one with shorter steps
        exactly = Walkers(problem, Scheme(), kernels).walk(points, 4, steps.shortened(2), key)
    found = Walkers(problem, scheme, kernels).walk(points, 4, steps, key)
    same = found.left == exactly.left
    assert same.mean() > (0.99 if scheme.draws == 1 else 0.9)
    names = ("reward", "log_weight", "displacement", "brownian")
    for name in names:
        one, other = (np.where(same, getattr(walk, name), 0.0) for walk in (found, exactly))
        apart = np.abs(one - other)
        if scheme.draws == 1:
            assert apart.max() <= 1e-5 * np.abs(other).max(), name
        elif name != "displacement":  # some come in again across, and others do not
            assert apart.mean() < 0.3 * np.abs(other).mean() or not other.any(), name
    places = points[:, :, None] + found.displacement.swapaxes(0, 1)
    assert (places > -1e-6).all()
    assert (places < 1 + 1e-6).all()
    if boundary in ("robin", "both"):
        assert not found.left.any() or boundary == "flux"
        assert found.log_weight.min() < -0.1


def test_walkers_in_a_field_and_with_clocks_of_their_own_know_walls(make_problem: MakeProblem, kernels: Path):
    problem = make_problem("2", 0.2, forcing="1", boundary=BOUNDARIES["both"])
    nodes = np.linspace(0, 1, 9)[:-1]
    values = np.sin(4 * np.pi * nodes)[:, None] * np.cos(2 * np.pi * nodes)
    field = interpolate(values, (0.0, 0.0), (1.0, 1.0), periodic=True)
    known = parse("2 + field", 2, ("eps", "u", "field"))
    problem = problem.but(operator=replace(problem.operator, coefficient=known, field=field), cell=None)
    points = np.concatenate([problem.domain.sample(40, np.random.default_rng(0)), [[0.5, 0.0], [0.999, 0.001]]])
    steps, key = TimeSteps(1e-4, 30, 1, 1), stream_key(1, 0)
    for scheme in (Scheme(), Scheme(step="metropolis")):
        exactly = oracle.walk(problem, scheme, points, 4, steps, key)
        found = Walkers(problem, scheme, kernels).walk(points, 4, steps, key)
        for name in ("reward", "log_weight"):
            one, other = getattr(found, name), getattr(exactly, name)
            assert np.abs(one - other).max() < 2e-5 * np.abs(other).max()
    steep = make_problem("1 + 49.5*(1 + tanh((x2 - 0.02)/1e-3))", 0.1, forcing="1", boundary=BOUNDARIES["both"])
    slower = time_steps(BoundsTimeStep(macro_factor=0.02), 2, steep.scale)
    slower = replace(slower, pace=pace_of(steep, slower.micro_step, 12.0, 40.0))
    points[:8, 1] = np.linspace(0.0, 0.04, 8)
    assert slower.pace is not None
    exactly = oracle.walk(steep, Scheme(), points, 3, slower, key)
    found = Walkers(steep, Scheme(), kernels).walk(points, 3, slower, key)
    same = np.isclose(found.duration, exactly.duration, rtol=1e-4)
    assert same.mean() > 0.8
    np.testing.assert_allclose(found.log_weight[same], exactly.log_weight[same], rtol=5e-3, atol=1e-4)


@pytest.mark.parametrize("count", [1, 4, 16])
@pytest.mark.parametrize("step", ["heun", "metropolis"])
def test_local_time_and_what_it_takes_have_their_exact_law(
    make_problem: MakeProblem, kernels: Path, step: str, count: int
):
    """From a face into a half space: E l = sqrt(2 t / pi), and E exp(-k l) = erfcx(k sqrt(t / 2)), at any step."""
    time, factor, walkers = 0.01, 8.0, 200_000
    boundary = {"x1-": {"robin": {"factor": factor, "flux": 0}}, "all": {"flux": 0}}
    loses = make_problem("1", forcing="0", boundary=boundary)
    pays = make_problem("1", forcing="0", boundary={"x1-": {"flux": 1}, "x1+": {"value": 0}, "x2": {"flux": 0}})
    steps, start = TimeSteps(time / count, count, 1, 1), np.array([[0.0, 0.5]])
    lost, paid = (
        Walkers(problem, Scheme(step=step), kernels).walk(start, walkers, steps, stream_key(3, 0))
        for problem in (loses, pays)
    )
    local = paid.reward.astype(float)
    assert abs(local.mean() / math.sqrt(2 * time / math.pi) - 1) < 5 * local.std() / local.mean() / math.sqrt(walkers)
    kept = np.exp(lost.log_weight.astype(float))
    expected = float(erfcx(factor * math.sqrt(time / 2)))
    assert abs(kept.mean() - expected) < 5 * kept.std() / math.sqrt(walkers)
    assert (lost.displacement[0] >= 0).all()


def test_a_reflected_walk_forgets_where_it_began_and_a_periodic_one_has_the_law_of_the_circle(
    make_problem: MakeProblem, kernels: Path
):
    """E cos(pi X) = cos(pi x) e^(-pi^2 t / 2) between two walls, E cos(2 pi X) = cos(2 pi x) e^(-2 pi^2 t) around."""
    walls = make_problem("1", forcing="0", boundary={"x1": {"flux": 0}, "x2": {"value": 0}})
    around = make_problem("1", forcing="0", boundary={"x1": "periodic", "x2": {"value": 0}})
    start, steps = np.array([[0.1, 0.5]]), TimeSteps(0.005, 8, 1, 1)
    for problem, wave in ((walls, math.pi), (around, 2 * math.pi)):
        walk = Walkers(problem, Scheme(), kernels).walk(start, 200_000, steps, stream_key(0, 0))
        values = np.cos(wave * (0.1 + walk.displacement[0].astype(float)))[~walk.left]  # x2 says nothing of x1
        expected = math.cos(wave * 0.1) * math.exp(-(wave**2) * 0.04 / 2)
        assert abs(values.mean() - expected) < 5 * values.std() / math.sqrt(len(values))


METHODS: list[tuple[MethodSettings, str, Sequence[str], dict[str, Any]]] = [
    (Energy(points=4096, walkers=4), "1", NEUMANN, {}),
    (Energy(points=4096, walkers=4), "1 + x1*x2", MIXED, {}),
    (Energy(points=4096, walkers=4), "1 + x1*x2", ROBIN, {"factor": "20*(1 + x2)"}),
    (Energy(points=4096, walkers=4), "1", ROBIN, {"factor": "30", "reaction": "20"}),
    (Energy(points=4096, walkers=4), "1 + x1", NO_VALUE, {}),
    (Energy(points=4096, walkers=4, step="metropolis"), "1 + 3*x1", MIXED, {}),
    (DFLM(points=4096, walkers=4), "1", ROBIN, {"factor": "30", "reaction": "20"}),
    (DFLM(points=4096, walkers=4), "1", MIXED, {}),
]


@pytest.mark.parametrize("case", METHODS, ids=lambda case: f"{type(case[0]).__name__} {case[1]} {' '.join(case[2])}")
def test_a_solve_has_the_error_that_it_tells(made, kernels: Path, case):
    """Two seeds. A term left out, or counted twice, would make errors dozens of times what is told."""
    settings, coefficient, walls, rest = case
    problem, ratios = made(coefficient, walls, **rest), []
    step = 6.25e-5 if isinstance(settings, DFLM) else 2.5e-4  # no budget tells of the steps of DFLM
    for seed in range(2):
        loss = losses.build(settings, problem, TimeSteps(step, 16, 1, 1), seed, kernels)
        network = loss.network(networks.build(Legendre(count=7), problem.domain, 0, problem.boundary.walls))
        *_, progress = train(loss, network, Galerkin(iterations=8))
        told = progress.optimizer.metrics()["rel_l2_standard_error"]
        assert told is not None
        ratios.append(relative_l2(values_on_grid(progress.solution, AXES), exact()) / told)
        assert told < 6e-3
    assert 0.1 < np.sqrt(np.mean(np.square(ratios))) < 2.5


def test_the_value_that_is_minimised_is_that_of_the_equations(made, kernels: Path):
    """At any weights it is v . (S v / 2 - load), in pieces too; with what walls let in and out."""
    problem = made("1 + x1*x2", MIXED)
    loss = losses.build(Energy(points=500, walkers=2), problem, TimeSteps(5e-4, 8, 1, 1), 0, kernels)
    network = loss.network(networks.build(Legendre(count=4), problem.domain, 0, problem.boundary.walls))
    network.set_weights(torch.randn(16, generator=torch.Generator().manual_seed(0)))
    system, value = loss.equations_and_value(network, 0, None)
    v = np.append(network.weights().double().numpy(), 1.0)
    with torch.no_grad():
        found = float(value(network))
        assert found == pytest.approx(v @ (0.5 * system.matrix @ v - system.load), rel=1e-5)
        assert sum(float(part(network)) for part in loss.forms(0, None).values) == pytest.approx(found, rel=1e-4)


def test_an_oscillating_medium_with_a_flux_on_one_face_is_homogenised(make_problem: MakeProblem, kernels: Path):
    boundary = {"x2-": {"flux": "1 + x1"}, "x2+": {"robin": {"factor": 2, "flux": 1}}, "x1": {"value": 0}}
    problem = make_problem("1.1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", 0.1, forcing="5", boundary=boundary)
    settings = FEMReference(cells_per_period=4, degree=3)
    truth = reference(problem, settings, 41, kernels.parent)
    loss = losses.build(Energy(), problem, TimeSteps(5e-5, 64, 1, 1), 0, kernels)
    network = loss.network(networks.build(Legendre(count=10), problem.domain, 0, problem.boundary.walls))
    *_, progress = train(loss, network, Galerkin(iterations=4))
    found = values_on_grid(progress.solution, truth.places.axes)
    assert relative_l2(found, truth.homogenized) < 1.5e-2
    assert relative_l2(found, truth.fine) < 2.5e-2


def test_periodic_walls_are_joined_by_every_network(make_problem: MakeProblem, kernels: Path):
    boundary = {"x1": "periodic", "x2": {"value": 0}}
    forcing = "exp(sin(2*pi*x1))*sin(pi*x2)*(pi**2 - 4*pi**2*(cos(2*pi*x1)**2 - sin(2*pi*x1)))"
    problem = make_problem("1", forcing=forcing, boundary=boundary)
    x, y = np.meshgrid(*AXES, indexing="ij")
    truth = np.exp(np.sin(2 * np.pi * x)) * np.sin(np.pi * y)
    perceptron = MLP(depth=2, width=16, activation="tanh")
    for network, optimizer in (
        (Legendre(count=11), Galerkin(iterations=8)),
        (Cosines(count=11), Galerkin(iterations=8)),
        (perceptron, NaturalGradient(iterations=10)),
    ):
        loss = losses.build(Energy(points=4096), problem, TimeSteps(2.5e-4, 10, 1, 1), 0, kernels)
        made = loss.network(networks.build(network, problem.domain, 0, problem.boundary.walls))
        *_, progress = train(loss, made, optimizer)
        found = values_on_grid(progress.solution, AXES)
        told = progress.optimizer.metrics()["rel_l2_standard_error"]
        assert told is not None
        assert relative_l2(found, truth) < 2 * told < 4e-2
        assert np.abs(found[0] - found[-1]).max() < 1e-5


def test_an_answer_does_not_see_where_a_periodic_axis_begins(make_problem: MakeProblem, kernels: Path):
    """The same problem seen from a place 0.3 further on: answers differ by their noise."""
    found = []
    for shift in (0.0, 0.3):
        x = f"(x1 + {shift})"
        problem = make_problem(
            f"2 + sin(2*pi*{x})", forcing=f"1 + 5*cos(2*pi*{x})*x2", boundary={"x1": "periodic", "x2": {"value": 0}}
        )
        loss = losses.build(Energy(points=16384), problem, TimeSteps(2.5e-4, 8, 1, 1), 0, kernels)
        network = loss.network(networks.build(Legendre(count=9), problem.domain, 0, problem.boundary.walls))
        *_, progress = train(loss, network, Galerkin(iterations=8))
        found.append(values_on_grid(progress.solution, Box((0.0, 0.0), (1.0, 1.0)).axes(21)))
    shifted = np.roll(found[0][:-1], -6, axis=0)  # 0.3 of 20 cells
    assert relative_l2(found[1][:-1], shifted) < 2e-2


@pytest.mark.parametrize(
    "method", [PINN(points=250), DeepRitz(points=500), DFLM(points=500, walkers=4)], ids=lambda m: type(m).__name__
)
def test_methods_of_adam_know_walls(made, kernels: Path, method: MethodSettings):
    problem = made("1 + x1*x2", ("robin", "value", "flux", "robin"))
    loss = losses.build(method, problem, TimeSteps(2.5e-3, 4, 1, 1), 0, kernels)
    perceptron = MLP(depth=2, width=16, activation="tanh")
    network = loss.network(networks.build(perceptron, problem.domain, 0, problem.boundary.walls))
    *_, progress = train(loss, network, AdamCosine(iterations=200))
    assert relative_l2(values_on_grid(progress.solution, AXES), exact()) < 4e-2


FEM_CASES = {
    "flux": (NEUMANN, "1 + x1*x2", None),
    "robin": (ROBIN, "1 + x1*x2", None),
    "no value": (NO_VALUE, "1 + x1*x2", "3 + x1"),
    "nonlinear": (MIXED, "1 + u**2", None),
}


@pytest.mark.parametrize("case", FEM_CASES)
def test_finite_elements_have_their_orders(made, kernels: Path, case: str):
    walls, coefficient, reaction = FEM_CASES[case]
    problem = made(coefficient, walls, reaction=reaction)
    assert_orders(problem, kernels.parent, SOLUTION)


def test_finite_elements_join_periodic_faces(make_problem: MakeProblem, kernels: Path):
    solution = "exp(sin(2*pi*x1))*sin(pi*x2)"
    walls = ("periodic", "periodic", "value", "value")
    problem = with_solution(make_problem(eps=0.5), "2 + sin(2*pi*x1)*x2", solution, walls=walls)
    assert_orders(problem, kernels.parent, solution, finer=3)


@pytest.mark.parametrize("wrong", [0.0, 0.25])
def test_a_longer_walk_and_the_fine_scale_know_walls(made, kernels: Path, wrong: float):
    problem = made("1", MIXED, factor="5")
    network = Exact(SOLUTION, problem)
    network.height.data += wrong
    found = longer_walk(network, problem, TimeSteps(2e-4, 10, 1, 1), 12.0, 0, kernels, 1e8)
    assert abs(found.error - wrong / (1 + wrong) * 1.25) < 0.02 + 3 * found.standard_error
    if not wrong:
        points = np.array([[0.0, 0.5], [0.3, 0.7], [0.999, 0.001], [0.5, 0.0], [0.2, 0.2]])
        fine = fine_scale(network, problem, TimeSteps(5e-5, 8, 1, 1), points, 256, 0, kernels)
        truth = np.sin(2 * points[:, 0] + 1) * np.exp(0.7 * points[:, 1])
        assert relative_l2(fine.values, truth) < 5 * fine.standard_error + 1e-3


def test_walks_to_the_boundary_know_walls(made, kernels: Path):
    problem = made("1", MIXED, factor="5")
    points = np.array([[0.3, 0.7], [0.8, 0.1], [0.02, 0.03]])
    found = fine_solution(problem, points, 4000, 12.0, 1e10, kernels)
    assert found is not None
    truth = np.sin(2 * points[:, 0] + 1) * np.exp(0.7 * points[:, 1])
    assert (np.abs(found.values - truth) < 4 * found.standard_error + 2e-3).all()


REFUSED = {
    "x3: {value: 1}": ({"x3": {"value": 1}}, "problem.boundary.x3 is no face"),
    "an axis left out": ({"x1": {"flux": 0}}, "says nothing of the face x2-"),
    "nothing fixes u": ({"all": {"flux": 0}}, "gives no value of u anywhere"),
    "k < 0": ({"x1": {"robin": {"factor": "-x2"}}, "x2": {"value": 0}}, "robin.factor=-x2 is -"),
    "values that do not meet": ({"x1-": {"value": 0}, "all": {"value": 1}}, "where they meet"),
    "half of a pair": ({"x1-": "periodic", "all": {"value": 1}}, "write x1: periodic"),
    "values that do not go around": ({"x1": "periodic", "x2": {"value": "x1"}}, "which problem.boundary joins"),
    "two kinds": ({"x1": {"value": 0, "flux": 1}, "x2": {"value": 0}}, "write {value: g}"),
    "no factor": ({"x1": {"robin": {"flux": 1}}, "x2": {"value": 0}}, "write {factor: k, flux: q}"),
    "a list": ([1, 2], "write one formula, or faces"),
    "a word": ({"x1": "open", "x2": {"value": 0}}, "write {value: g}"),
    "u in a flux": ({"x1": {"flux": "u"}, "x2": {"value": 0}}, "unknown name u"),
    "infinite": ({"x1": {"flux": "1/x1"}, "x2": {"value": 0}}, "has no finite value"),
    "a value that jumps": ({"x1": {"flux": 0}, "x2": {"value": "floor(2*x1)"}}, "jumps, and u with it"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str):
    boundary, line = REFUSED[case]
    with pytest.raises(UserError) as refused:
        build(FormulaProblem(name="p", coefficient="2", forcing="1", boundary=boundary), 0.1)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_coefficient_that_does_not_go_around_is_refused(make_problem: MakeProblem):
    with pytest.raises(UserError, match="across x1, whose faces"):
        make_problem("2 + x1", boundary={"x1": "periodic", "x2": {"value": 0}})
    with pytest.raises(UserError, match="across x1, whose faces"):
        make_problem("2 + sin(2*pi*x1/eps)", 0.3, boundary={"x1": "periodic", "x2": {"value": 0}})


def test_what_walls_leave_is_refused(make_problem: MakeProblem, kernels: Path):
    problem = make_problem("2", boundary={"x1": {"flux": 0}, "x2": {"value": 0}})
    with pytest.raises(UserError, match="network=legendre"):
        networks.build(Cosines(), problem.domain, 0, problem.boundary.walls)
    with pytest.raises(UserError, match=r"method\.martingale=drift"):
        losses.build(DFLM(martingale="girsanov", step="euler"), problem, TimeSteps(1e-4, 4, 1, 1), 0, kernels)


def test_values_of_faces_are_extended_and_meet_each_of_them(make_problem: MakeProblem):
    boundary = {
        "x1-": {"value": "x2"}, "x1+": {"value": "1 - x2 + sin(pi*x2)"}, "x2-": {"value": "x1**2"},
        "x2+": {"value": "1 - x1"},
    }  # fmt: skip
    problem, t = make_problem("2", boundary=boundary), np.linspace(0, 1, 11)
    zero, one = np.zeros_like(t), np.ones_like(t)
    at = problem.boundary.at
    np.testing.assert_allclose(at(np.column_stack([zero, t])), t, atol=1e-12)
    np.testing.assert_allclose(at(np.column_stack([one, t])), 1 - t + np.sin(np.pi * t), atol=1e-12)
    np.testing.assert_allclose(at(np.column_stack([t, zero])), t**2, atol=1e-12)
    np.testing.assert_allclose(at(np.column_stack([t, one])), 1 - t, atol=1e-12)


def test_one_formula_for_all_faces_is_the_same_problem_either_way(make_problem: MakeProblem):
    plain, by_faces = (make_problem("2", boundary=given) for given in ("x1", {"all": {"value": "x1"}}))
    assert plain.key() == by_faces.key()
    assert plain.key() != make_problem("2", boundary={"x1-": {"flux": 0}, "all": {"value": "x1"}}).key()


def test_faces_are_one_parameter_of_a_run_as_one_types_them(tmp_path: Path):
    """MLflow refuses the plus sign of x1+ in a name, and with it the whole run."""
    boundary = {"x1-": {"flux": "1 + x2"}, "x1+": {"robin": {"factor": 2}}, "x2": "periodic"}
    problem = FormulaProblem(name="p", coefficient="2", forcing="1", boundary=boundary)
    plan = Plan.of(RunSettings.of(problem, eps=0.1), tmp_path)
    task = Task(**vars(plan), folder=tmp_path, asked=plan.settings, started=0.0, begun=None, tags={})
    found = parameters(task)
    assert found["problem.boundary"] == "{x1-: {flux: 1 + x2}, x1+: {robin: {factor: 2}}, x2: periodic}"
    assert not [name for name in found if "+" in name]
