"""u(x, t) from the walkers' matrix of a stationary solve, against exact solutions."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from numpy.polynomial import legendre
from numpy.testing import assert_allclose
from small_solve import assembled, prepared, solved

import homog
from homog.equation import Problem
from homog.measures.assembled import Assembled, features_at, gauss, gram, lift_at
from homog.measures.evolution import Evolved, Moment
from homog.solvers.nested import InSpace
from homog.timesteps.timestep import TimeSteps

LINE = homog.Box((0.0,), (1.0,))
STEPS = TimeSteps(1e-4, 40, 1, 1)
EIGEN = 2 * np.pi**2  # of sin(pi x) for a = 2

# ----------------------------------------------------------------- equations that are exact

SINES = "sin(pi*x1) + 0.5*sin(3*pi*x1)"
FLUX = {"x1-": {"value": "1"}, "x1+": {"flux": "3"}}


def with_cosine(t: float, rate: float, frequency: float) -> float:
    """T(t) for T' + rate T = cos(frequency t), T(0) = 1."""
    wave = rate * np.cos(frequency * t) + frequency * np.sin(frequency * t)
    return np.exp(-rate * t) + (wave - rate * np.exp(-rate * t)) / (rate**2 + frequency**2)


def with_square(t: float, rate: float) -> float:
    """T(t) for T' + rate T = 1 + t^2, T(0) = 0."""
    last = 1 / rate + 2 / rate**3
    return t**2 / rate - 2 * t / rate**2 + last * (1 - np.exp(-rate * t))


ON_A_LINE: dict[str, tuple[dict[str, Any], Callable[[np.ndarray, float], np.ndarray]]] = {
    "heat": (
        {"forcing": "0", "initial": SINES},
        lambda x, t: np.exp(-EIGEN * t) * np.sin(np.pi * x) + 0.5 * np.exp(-9 * EIGEN * t) * np.sin(3 * np.pi * x),
    ),
    "a reaction": (
        {"forcing": "0", "initial": SINES, "reaction": "7"},
        lambda x, t: (
            np.exp(-(EIGEN + 7) * t) * np.sin(np.pi * x) + 0.5 * np.exp(-(9 * EIGEN + 7) * t) * np.sin(3 * np.pi * x)
        ),
    ),
    "a steady state": (
        {"forcing": "6", "initial": "1.5*x1*(1 - x1) + sin(2*pi*x1)"},
        lambda x, t: 1.5 * x * (1 - x) + np.exp(-4 * EIGEN * t) * np.sin(2 * np.pi * x),
    ),
    "a value and a flux": (
        {"forcing": "0", "initial": "1 + 1.5*x1 + sin(pi*x1/2)", "boundary": FLUX},
        lambda x, t: 1 + 1.5 * x + np.exp(-EIGEN * t / 4) * np.sin(np.pi * x / 2),
    ),
    "a wave in time": (
        {"forcing": "cos(20*t)*sin(pi*x1)", "initial": "sin(pi*x1)"},
        lambda x, t: with_cosine(t, EIGEN, 20) * np.sin(np.pi * x),
    ),
    "a polynomial in time": (
        {"forcing": "(1 + t**2)*sin(2*pi*x1)", "initial": "0"},
        lambda x, t: with_square(t, 4 * EIGEN) * np.sin(2 * np.pi * x),
    ),
}


def on_a_line(forcing: str, initial: str, boundary: Any = "0", reaction: str = "0") -> Problem:
    return homog.Problem(
        "2", forcing=forcing, boundary=boundary, reaction=reaction, eps=0.5, domain=LINE,
        time={"end": 0.1, "initial": initial},
    )  # fmt: skip


def slopes_of(values: np.ndarray, nodes: np.ndarray, weights: np.ndarray, degree: int) -> np.ndarray:
    """Derivatives of polynomials from their values at Gauss's nodes on [0, 1], exactly."""
    table = legendre.legvander(2 * nodes - 1, degree)
    coefficients = (2 * np.arange(degree + 1) + 1)[:, None] * (table.T @ (weights[:, None] * values))
    return 2 * legendre.legval(2 * nodes - 1, legendre.legder(coefficients)).T


def exact_equations(problem: Problem, kernels: Path, macro_step: float, count: int = 24) -> Assembled:
    """What walkers without noise would assemble for a = 2: sigma = (1 - exp(-l Dt)) / Dt for each rate l."""
    _, network = prepared(problem, STEPS, 0, kernels, count)
    points, shares = gauss(LINE)
    found, lift = features_at(network, points), lift_at(network, points)
    both = np.column_stack([found, lift])
    slopes = slopes_of(both, points[:, 0], shares, count + 2)
    whole = 2 * gram(slopes, slopes, shares)
    whole += gram(both, both, shares * problem.operator.reaction_at(points))
    load = found.T @ (shares * problem.operator.forcing_at(points, problem.boundary.at(points)))
    if problem.boundary.fluxes:
        load += 3 * features_at(network, np.ones((1, 1)))[0]
    stiffness, mass = whole[:-1, :-1], gram(found, found, shares)
    rates, modes = scipy.linalg.eigh(stiffness, mass)
    sigma = (1 - np.exp(-rates / 4 * macro_step)) / macro_step
    back = mass @ modes
    space = InSpace(np.arange(len(mass)), np.linalg.solve(stiffness, load - whole[:-1, -1]), np.zeros((len(mass), 1)))
    return Assembled(network, (2 * back * sigma @ back.T)[None], [space], 1, macro_step)


@pytest.mark.parametrize("macro_step", [4e-3, 4e-2])
@pytest.mark.parametrize("case", ON_A_LINE)
def test_without_noise_u_is_exact_however_long_the_macro_step_is(kernels: Path, case: str, macro_step: float):
    """Polynomials of degree 25 hold these sines to 1e-9; the longer step hides a half of the third mode's rate."""
    given, exact = ON_A_LINE[case]
    problem = on_a_line(**given)
    evolved = Evolved(exact_equations(problem, kernels, macro_step), problem, 0.0, 0.0)
    x = np.linspace(0, 1, 101)
    times = [0.0, 0.003, 0.05, 0.1, 0.2]
    times = times[:4] if evolved._evolution.driven else times  # beyond the end f is not asked for
    found = evolved.values([evolved.at(time) for time in times], x[:, None])
    for u, time in zip(found, times, strict=True):
        assert_allclose(u, exact(x, time), rtol=0, atol=1e-6)


def test_the_integral_over_the_past_is_exact_for_one_mode(kernels: Path):
    problem = on_a_line(**ON_A_LINE["a polynomial in time"][0])
    evolved = Evolved(exact_equations(problem, kernels, 4e-3), problem, 0.0, 0.0)
    for time in (1e-4, 0.01, 0.1):
        weights = evolved.at(time).weights
        amplitude = 2 * (evolved._shares * np.sin(2 * np.pi * evolved._points[:, 0])) @ (evolved._features @ weights)
        assert amplitude == pytest.approx(with_square(time, 4 * EIGEN), rel=1e-8)


@pytest.mark.parametrize("case", ["heat", "a steady state", "a value and a flux"])
def test_what_the_macro_step_adds_slows_all_rates_down(kernels: Path, case: str):
    """A tensor that is seen 1 % too large has rates 1 % too high; the steady state was corrected before."""
    problem = on_a_line(**ON_A_LINE[case][0])
    equations = exact_equations(problem, kernels, 4e-3)
    with_excess, without = (Evolved(equations, problem, excess, 0.0) for excess in (0.01, 0.0))
    for time in (0.01, 0.1):
        assert_allclose(with_excess.at(1.01 * time).weights, without.at(time).weights, rtol=0, atol=1e-9)


def test_at_the_beginning_u_is_the_projection_of_the_initial_value(kernels: Path):
    problem = on_a_line("6", "1 + x1**2")
    evolved = Evolved(exact_equations(problem, kernels, 4e-3), problem, 0.0, 0.0)
    moment = evolved.at(0.0)
    left = evolved._features.T @ (
        evolved._shares * (evolved._features @ moment.weights - 1 - evolved._points[:, 0] ** 2)
    )
    assert_allclose(left, 0, atol=1e-9)
    assert moment.noise < 1e-9


def noisy(equations: Assembled, groups: int, size: float) -> Assembled:
    """With groups whose matrices differ, and the spread of a steady state."""
    random, count = np.random.default_rng(0), equations.matrices.shape[1]
    root = scipy.linalg.sqrtm(equations.matrices[0] + 1e-6 * np.eye(count)).real
    moves = random.standard_normal((groups, count, count))
    moves = size * root @ (moves + moves.transpose(0, 2, 1)) @ root
    spread = random.standard_normal((count, groups)) * np.abs(equations.answers[0].weights)[:, None] * size
    answer = replace(equations.answers[0], spread=spread - spread.mean(1, keepdims=True))
    return replace(equations, matrices=equations.matrices + moves - moves.mean(0), answers=[answer], freedom=groups - 1)


def moved_along(equations: Assembled, group: int, step: float) -> Assembled:
    """Without groups, moved towards one of them."""
    mean, answer = equations.matrices.mean(0), equations.answers[0]
    matrix = mean + step * (equations.matrices[group] - mean) / len(equations.matrices)
    weights = answer.weights + step * answer.spread[:, group]
    return replace(
        equations, matrices=matrix[None], answers=[replace(answer, weights=weights, spread=0 * answer.spread[:, :1])]
    )


@pytest.mark.parametrize("case", ["heat", "a steady state", "a wave in time"])
def test_the_noise_is_that_of_the_whole_function_of_the_matrix_to_first_order(kernels: Path, case: str):
    """Brute force: difference quotients of u(t) along each group's matrix and steady state, by the public function."""
    problem, groups, step = on_a_line(**ON_A_LINE[case][0]), 3, 1e-3
    equations = noisy(exact_equations(problem, kernels, 4e-3, count=12), groups, 1e-3)
    evolved = Evolved(equations, problem, 0.0, 0.0)
    moved = [
        [Evolved(moved_along(equations, group, move), problem, 0.0, 0.0) for move in (step, -step)]
        for group in range(groups)
    ]
    for time in (0.01, 0.1):
        slopes = [(there.at(time).weights - back.at(time).weights) / (2 * step) for there, back in moved]
        columns = evolved._features @ np.transpose(slopes)
        exact = np.sqrt(groups / (groups - 1) * (evolved._shares @ np.square(columns).sum(1)))
        assert evolved.at(time).noise == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("case", ["heat", "a steady state", "a wave in time"])
def test_the_bias_is_what_slower_rates_move(kernels: Path, case: str):
    """By brute force: rates that are smaller by a share, and a steady state that is larger by it."""
    problem, share = on_a_line(**ON_A_LINE[case][0]), 1e-5
    equations = exact_equations(problem, kernels, 4e-3, count=12)
    evolved, answer = Evolved(equations, problem, 0.0, 1.0), equations.answers[0]
    slower = replace(equations, answers=[replace(answer, weights=answer.weights * (1 + share))])
    for time in (0.01, 0.1):
        apart = Evolved(slower, problem, share, 0.0).at(time).weights - evolved.at(time).weights
        size = np.sqrt(evolved._shares @ np.square(evolved._features @ apart)) / share
        assert evolved.at(time).bias == pytest.approx(size, rel=1e-3)


# ------------------------------------------------------------------------------- by walkers

IN_A_PLANE = "sin(pi*x1)*sin(pi*x2)"


def sines(x: np.ndarray) -> np.ndarray:
    return np.sin(np.pi * x).prod(-1)


def of_ones(x: np.ndarray, t: float) -> np.ndarray:
    """u of d_t u = 2 Lap u from 1, zero on the faces: a product of sine series."""
    odd = np.arange(1, 200, 2)
    along = (4 / (np.pi * odd) * np.exp(-EIGEN * odd**2 * t) * np.sin(np.pi * x[..., None] * odd)).sum(-1)
    return along.prod(-1)


def with_flux(x: np.ndarray, t: float) -> np.ndarray:
    moving = np.exp(-EIGEN * 1.25 * t) * np.sin(np.pi * x[..., 0] / 2) * np.cos(np.pi * x[..., 1])
    return 1 + 1.5 * x[..., 0] + moving


BY_WALKERS: dict[str, tuple[Mapping[str, Any], Callable[[np.ndarray, float], np.ndarray]]] = {
    "heat": (
        {"forcing": "0", "initial": f"{IN_A_PLANE} + 0.3*sin(2*pi*x1)*sin(pi*x2)"},
        lambda x, t: np.exp(-2 * EIGEN * t) * sines(x) * (1 + 0.6 * np.exp(-3 * EIGEN * t) * np.cos(np.pi * x[..., 0])),
    ),
    "a value and fluxes": (
        {
            "forcing": "0",
            "initial": "1 + 1.5*x1 + sin(pi*x1/2)*cos(pi*x2)",
            "boundary": {**FLUX, "x2": {"flux": "0"}},
        },
        with_flux,
    ),
    "boundary values": (
        {"forcing": "0", "initial": f"1 + x1*x2 + {IN_A_PLANE}", "boundary": "1 + x1*x2"},
        lambda x, t: 1 + x.prod(-1) + np.exp(-2 * EIGEN * t) * sines(x),
    ),
    "a wave in time": (
        {"forcing": f"10*cos(20*t)*{IN_A_PLANE}", "initial": "0"},
        lambda x, t: 10 * (with_cosine(t, 2 * EIGEN, 20) - np.exp(-2 * EIGEN * t)) * sines(x),
    ),
    "a reaction": (
        {"forcing": "0", "initial": IN_A_PLANE, "reaction": "40"},
        lambda x, t: np.exp(-(2 * EIGEN + 40) * t) * sines(x),
    ),
    "a full matrix": (
        {
            "coefficient": [["2", "0.5"], ["0.5", "1"]],
            "initial": IN_A_PLANE,
            "forcing": f"10*cos(10*t)*{IN_A_PLANE} + (1 + sin(10*t))*pi**2*(3*{IN_A_PLANE} - cos(pi*x1)*cos(pi*x2))",
        },
        lambda x, t: (1 + np.sin(10 * t)) * sines(x),
    ),
    "a velocity": (
        {"forcing": "0", "initial": f"exp(1.5*x1 - 0.75*x2)*{IN_A_PLANE}", "velocity": ["6", "-3"]},
        lambda x, t: np.exp(1.5 * x[..., 0] - 0.75 * x[..., 1] - (2 * EIGEN + 45 / 8) * t) * sines(x),
    ),
    "an initial value that does not fit": ({"forcing": "0", "initial": "1"}, of_ones),
}
TIMES = (0.01, 0.05)


def in_a_plane(forcing: str, initial: str, coefficient: Any = "2", **more: Any) -> Problem:
    time = {"end": TIMES[-1], "initial": initial, "times": TIMES}
    return homog.Problem(coefficient, forcing=forcing, eps=0.5, time=time, **more)


def by_walkers(
    problem: Problem, seed: int, kernels: Path, count: int = 10, points: int = 4096
) -> tuple[Evolved, list[Moment]]:
    solver = solved(problem, STEPS, seed, kernels, count, points)
    evolved = Evolved(assembled(solver, STEPS), problem, 0.0, 2e-3)
    return evolved, [evolved.at(time) for time in TIMES]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", BY_WALKERS)
def test_u_by_walkers_is_off_by_about_what_it_tells(kernels: Path, case: str, seed: int):
    """Few functions follow the noise, so that the error is spread as the root of chi^2 of some: 2.5 is rare."""
    given, exact = BY_WALKERS[case]
    problem = in_a_plane(**given)
    evolved, moments = by_walkers(problem, seed, kernels)
    points, shares = gauss(problem.domain)
    for u, moment in zip(evolved.values(moments, points), moments, strict=True):
        truth = exact(points, moment.time)
        size = np.sqrt(shares @ truth**2)
        error = np.sqrt(shares @ (u - truth) ** 2) / size
        told = moment.error / moment.size
        assert moment.size == pytest.approx(size, rel=0.05)
        assert told < 2e-2
        assert error < 2.5 * told


def test_the_told_noise_is_the_spread_between_seeds(kernels: Path):
    """Of eight answers the spread has a relative standard deviation of about 0.2, as there are some functions."""
    problem = in_a_plane(f"10*cos(20*t)*{IN_A_PLANE}", f"1 + {IN_A_PLANE}")
    points, shares = gauss(problem.domain)
    found = [by_walkers(problem, seed, kernels, count=6, points=1024) for seed in range(8)]
    values = np.array([evolved.values(moments, points) for evolved, moments in found])
    spread = np.sqrt((values.var(0, ddof=1) * shares).sum(-1))
    told = np.sqrt(np.mean([[moment.noise**2 for moment in moments] for _, moments in found], 0))
    assert (np.abs(np.log2(spread / told)) < 1).all()
