"""Walks to the boundary against exact answers and their own intervals."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import laminates
import numpy as np
import pytest

from homog.config import ExactReference, FEMReference, FeynmanKacReference, HomogenizedReference
from homog.domains import Box, Places
from homog.equation import Problem
from homog.measures.evaluation import ErrorMonitor, errors
from homog.references import Reference, reference
from homog.references.feynman_kac import AtPoints, fine_solution, limit_solutions

MakeProblem = Callable[..., Problem]


def scores(found: AtPoints, exact: np.ndarray) -> float:
    """Mean square of the errors over the mean square of what is told of them: one where the intervals are right."""
    return float(np.mean((found.values - exact) ** 2) / np.mean(found.standard_error**2))


@pytest.mark.parametrize("dimension", [1, 2, 3, 5, 10])
def test_the_limit_has_the_error_that_it_tells(make_problem: MakeProblem, kernels: Path, dimension: int):
    sines = "*".join(f"sin(pi*x{i + 1})" for i in range(dimension))
    problem = make_problem("1", dimension=dimension, forcing=f"{dimension}*pi**2*{sines}")
    points = problem.domain.spread(128, np.random.default_rng(0))
    found = limit_solutions(problem, 2 * np.eye(dimension), {"mean": 4.0}, points, 1024, kernels)
    exact = np.sin(np.pi * points).prod(1)
    assert 0.6 < scores(found["homogenized"], exact / 2) < 1.6
    assert 0.6 < scores(found["mean"], exact / 4) < 1.6


def test_a_diagonal_tensor_stretches_the_axes(make_problem: MakeProblem, kernels: Path):
    """u = sin(pi x1) sin(2 pi x2) + x1 x2: f = pi^2 (a_1 + 4 a_2) times the sines, g the rest."""
    problem = make_problem("1", forcing="pi**2*(1 + 4*9)*sin(pi*x1)*sin(2*pi*x2)", boundary="x1*x2")
    points = problem.domain.spread(128, np.random.default_rng(0))
    found = limit_solutions(problem, np.diag([1.0, 9.0]), {"mean": 5.0}, points, 2048, kernels)
    assert list(found) == ["homogenized"]
    exact = np.sin(np.pi * points[:, 0]) * np.sin(2 * np.pi * points[:, 1]) + points.prod(1)
    assert 0.6 < scores(found["homogenized"], exact) < 1.6


def test_an_oscillating_laminate(make_problem: MakeProblem, kernels: Path):
    problem = make_problem("1 + 0.9*sin(2*pi*x1/eps)", eps=0.2, forcing="10")
    points = problem.domain.spread(64, np.random.default_rng(0))
    found = fine_solution(problem, points, 2048, 16.0, 1e10, kernels)
    assert found is not None
    order = np.argsort(points[:, 0])
    grid = laminates.solution(lambda x: 1 + 0.9 * np.sin(2 * np.pi * x / 0.2), 10, points[order, 0], points[order, 1])
    exact = np.empty(64)
    exact[order] = np.diagonal(grid)
    assert found.standard_error.max() < 0.03
    assert 0.6 < scores(found, exact) < 1.7
    # the mean is of 64 errors: a bias of half a per cent would show
    bias = float((found.values - exact) @ exact / (exact @ exact))
    assert abs(bias) < 4 * float(np.sqrt(found.standard_error**2 @ exact**2) / (exact @ exact)) + 2e-3


def test_too_few_steps_give_none(make_problem: MakeProblem, kernels: Path):
    problem = make_problem(eps=0.05)
    points = problem.domain.spread(64, np.random.default_rng(0))
    assert fine_solution(problem, points, 2048, 12.0, 1e5, kernels) is None


def test_noise_is_taken_out_of_the_error_that_is_seen():
    random = np.random.default_rng(0)
    truth, noise = random.standard_normal(4000), 0.1
    places = Places(scattered=random.random((4000, 4)))
    seen = truth + noise * random.standard_normal(4000)
    found = Reference(
        places, seen, None, None, None, None, 0.0, 0, 0.0, (), by="walks", fine_standard_error=np.full(4000, noise)
    )
    off = 0.2 * random.standard_normal(4000)
    assert errors(truth + off, found).fine == pytest.approx(0.2, rel=0.05)
    assert errors(truth, found).fine == pytest.approx(0.0, abs=0.03)  # of 0.1: (2 / 4000)^(1/4)
    assert ErrorMonitor(found)._noise == pytest.approx(4000 * noise**2)


def by_walks(problem: Problem, folder: Path, **settings: float) -> Reference:
    chosen = replace(FeynmanKacReference(points=32, walkers=64), **settings)  # pyright: ignore[reportArgumentType]
    return reference(problem, chosen, 5, folder)


def test_a_reference_by_walks_comes_back_from_the_cache(make_problem: MakeProblem, tmp_path: Path):
    problem = make_problem("1 + 0.5*sin(2*pi*x1/eps)", eps=0.2)
    first, second = (by_walks(problem, tmp_path) for _ in range(2))
    assert first.by == second.by == "walks"
    assert first.places.points.shape == (32, 2)
    for name in ("fine", "fine_standard_error", "homogenized", "homogenized_standard_error"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    np.testing.assert_array_equal(first.places.points, second.places.points)
    assert first.effective_tensor is not None
    np.testing.assert_allclose(np.diag(first.effective_tensor), [math.sqrt(0.75), 1.0], rtol=1e-8)


@pytest.mark.parametrize(
    ("coefficient", "forcing", "note"),
    [
        ("1 + where(x1 > 0.5, 1, 0)", "10", "the coefficient jumps"),
        ("1 + 0.5*sin(2*pi*(x1 + x2)/eps)", "10", "a* is not diagonal"),
        ("1 + 0.5*sin(2*pi*x1/eps)", "sin(x1/eps)", "f, c or g vary with eps"),
    ],
)
def test_what_is_missing_is_said(make_problem: MakeProblem, tmp_path: Path, coefficient: str, forcing: str, note: str):
    found = by_walks(make_problem(coefficient, eps=0.2, forcing=forcing), tmp_path)
    assert found.homogenized is None
    assert any(note in line for line in found.notes)


def test_where_there_is_no_mesh_walks_are_taken(make_problem: MakeProblem, tmp_path: Path):
    assert FEMReference().suited(3) == FEMReference()
    assert FEMReference(degree=2).suited(4) == FeynmanKacReference()
    problem = make_problem("2", dimension=4, eps=0.2)
    found = reference(problem, HomogenizedReference(), 16, tmp_path)
    assert found.fine is None
    assert found.homogenized is not None
    assert found.homogenized.shape == (256,)


def test_a_known_solution_is_on_the_grid(make_problem: MakeProblem, tmp_path: Path):
    settings = ExactReference(fine="x1 + eps*x2", homogenized="x1")
    found = reference(make_problem(eps=0.25), settings, 5, tmp_path)
    grid = Box((0.0, 0.0), (1.0, 1.0)).grid(5)
    assert found.by == "formula"
    assert found.fine is not None
    assert found.homogenized is not None
    np.testing.assert_allclose(found.fine, grid[..., 0] + 0.25 * grid[..., 1])
    assert errors(found.homogenized, found).homogenized == 0
