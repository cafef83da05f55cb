"""Eigenvalues from the walkers' matrix: against exact ones, with their intervals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import homog
from homog.config import Energy, FormulaProblem, Galerkin, Legendre, RunSettings
from homog.equation import Problem
from homog.errors import UserError
from homog.losses import build as build_loss
from homog.measures.assembled import Assembled, features_at
from homog.measures.spectrum import homogenized_spectrum, spectrum
from homog.networks import build as build_network
from homog.run.task import Plan
from homog.solvers.galerkin import GalerkinSolver
from homog.timesteps.timestep import TimeSteps


def solved(problem: Problem, steps: TimeSteps, seed: int, kernels: Path) -> GalerkinSolver:
    loss = build_loss(Energy(points=4096, walkers=4), problem, steps, seed, kernels)
    network = loss.network(build_network(Legendre(count=10), problem.domain, 0, problem.boundary.walls))
    solver = GalerkinSolver(Galerkin(iterations=8), loss, network)
    for iteration in range(8):
        solver.add(iteration)
    return solver


def assembled(solver: GalerkinSolver, steps: TimeSteps) -> Assembled:
    answers, freedom = solver.answers()
    return Assembled(solver.network, solver.matrices(), answers, freedom, steps.macro_step)


def found_in(
    solver: GalerkinSolver, problem: Problem, steps: TimeSteps, excess: float = 0.0, micro: float = 0.0
) -> Any:
    return spectrum(assembled(solver, steps), problem, excess, micro)


@pytest.mark.parametrize("reaction", ["0", "40"])
def test_eigenvalues_of_a_constant_coefficient_are_within_their_intervals(make_problem, kernels: Path, reaction: str):
    """2 pi^2 (k^2 + l^2) + c, ten of them, by a macro step that hides a third of the last."""
    problem = make_problem("2", 0.5, forcing="1", reaction=reaction).but(eigenvalues=10)
    steps = TimeSteps(1e-4, 40, 1, 1)
    exact = np.sort([2 * np.pi**2 * (k**2 + m**2) for k in range(1, 6) for m in range(1, 6)])[:10] + float(reaction)
    solvers, ratios = [solved(problem, steps, seed, kernels) for seed in range(2)], []
    for solver in solvers:
        found = found_in(solver, problem, steps)
        ratios.append((found.values - exact) / found.half_width())
        assert (found.half_width() < 0.04 * exact).all()
        assert (np.abs(found.values / exact - 1) < 0.02).all()
    assert np.mean(np.abs(ratios) <= 1) >= 0.8  # neighbours share their noise
    np.testing.assert_allclose(homogenized_spectrum(solvers[0].network, problem, 2 * np.eye(2), 10), exact, rtol=1e-4)


def test_modes_are_orthonormal_and_equal_ones_are_kept_together(make_problem, kernels: Path):
    problem = make_problem("1", 0.5, forcing="1").but(eigenvalues=4)
    steps = TimeSteps(1e-4, 40, 1, 1)
    solver = solved(problem, steps, 0, kernels)
    found = found_in(solver, problem, steps)
    assert list(found.clusters) == [(0,), (1, 2), (3,)]
    x = problem.domain.grid(161).reshape(-1, 2)
    modes = features_at(solver.network, x) @ found.weights
    np.testing.assert_allclose(modes.T @ modes / len(x), np.eye(4), atol=0.03)
    first = 2 * np.sin(np.pi * x).prod(-1)
    assert abs(modes[:, 0] @ first) / len(x) == pytest.approx(1, abs=0.02)


def test_walls_and_a_matrix_have_their_eigenvalues(make_problem, kernels: Path):
    """Free at x1 = 0, given elsewhere: cos((k + 1/2) pi x1) sin(l pi x2) for diag(1, 3)."""
    boundary = {"x1-": {"flux": "1"}, "all": {"value": 0}}
    problem = make_problem(["1", "3"], 0.5, forcing="1", boundary=boundary).but(eigenvalues=3)
    steps = TimeSteps(5e-5, 80, 1, 1)
    exact = np.sort([np.pi**2 * ((k + 0.5) ** 2 + 3 * m**2) for k in range(4) for m in range(1, 4)])[:3]
    found = found_in(solved(problem, steps, 0, kernels), problem, steps)
    assert (np.abs(found.values - exact) < 1.5 * found.half_width()).all()
    assert (found.half_width() < 0.02 * exact).all()


@pytest.mark.slow
@pytest.mark.parametrize("eps", [0.05, 0.01])
def test_ten_eigenvalues_of_the_papers_medium(eps: float):
    """Against those of a*: 0.7 % each, by the defaults."""
    coefficient = "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
    found = homog.solve(homog.Problem(coefficient, forcing="10", eps=eps, eigenvalues=10), quiet=True).modes
    assert found is not None
    assert found.homogenized is not None
    assert (np.abs(found.found.values / found.homogenized - 1) < 7e-3).all()
    apart = np.abs(found.found.values - found.homogenized)
    assert (apart < found.found.half_width()).sum() >= 9


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"method": homog.DFLM()}, "write method=energy optimizer=galerkin"),
    ({}, {"method": Energy(), "optimizer": homog.AdamCosine()}, "write method=energy optimizer=galerkin"),
    ({"coefficient": "1 + u**2"}, {"method": Energy()}, "with a linear problem"),
    ({"velocity": ["1", "0"]}, {"method": Energy()}, "without a velocity"),
]


@pytest.mark.parametrize(("of_problem", "of_run", "line"), REFUSED)
def test_what_is_refused(tmp_path: Path, of_problem: dict[str, Any], of_run: dict[str, Any], line: str):
    settings = FormulaProblem(**{"name": "p", "coefficient": "1", "forcing": "1", "eigenvalues": 3, **of_problem})
    with pytest.raises(UserError, match=line):
        Plan.of(RunSettings.of(settings, eps=0.1, **of_run), tmp_path)
    with pytest.raises(UserError, match=r"problem\.eigenvalues=-1 is out of range"):
        FormulaProblem(name="p", coefficient="1", forcing="1", eigenvalues=-1)
