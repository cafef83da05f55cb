"""Eigenvalues against exact ones, and the paper's operator beside its homogenised one."""

import importlib.util
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

from homog.config import FEMReference
from homog.domains import Box
from homog.equation import Problem
from homog.references import Reference, fem, reference
from homog.references.fem import Modes
from homog.references.lattice import Lattice
from homog.references.laws import FineLaw

pytestmark = pytest.mark.skipif(importlib.util.find_spec("dolfinx") is None, reason="dolfinx is not installed")

PAPERS = "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"  # equation (25)
CELLS = {1: (64,), 2: (12, 12), 3: (6, 6, 6)}
DEGREE = {1: 4, 2: 4, 3: 2}


def unit(dimension: int) -> Box:
    return Box((0.0,) * dimension, (1.0,) * dimension)


@pytest.fixture(scope="module")
def child() -> Iterator[ProcessPoolExecutor]:
    """One process for many solves: importing dolfinx takes a second, and takes over the process's signals."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def modes(child: ProcessPoolExecutor, references: Path) -> Callable[..., np.ndarray]:
    """The first eigenvalues on a fixed mesh, of a coefficient in a dimension."""
    folder = references / "jit"
    folder.mkdir(parents=True, exist_ok=True)

    def solve(coefficient: Any, dimension: int, count: int, **rest: Any) -> np.ndarray:
        box = unit(dimension)
        problem = Problem(coefficient, forcing="1", domain=box, eigenvalues=count, eps=0.5, **rest)
        system = Modes(Lattice(box.lower, box.upper, CELLS[dimension], DEGREE[dimension]), FineLaw(problem))
        (found,) = child.submit(fem.solve, problem, [system], folder).result()
        assert not isinstance(found, str), found
        return found

    return solve


def first(values: np.ndarray, count: int) -> np.ndarray:
    return np.sort(values.ravel())[:count]


def squares(*waves: np.ndarray) -> np.ndarray:
    """The sums of a square of each of these."""
    return np.sum([np.square(one) for one in np.meshgrid(*waves)], axis=0)


@pytest.mark.parametrize(("dimension", "count", "tolerance"), [(1, 20, 1e-7), (2, 8, 1e-8), (3, 4, 5e-3)])
def test_constant_coefficient(modes: Callable, dimension: int, count: int, tolerance: float) -> None:
    """a pi^2 (k^2 + l^2 + ...) + c, double and threefold ones as often; the values given on the faces do nothing."""
    found = modes("0.5", dimension, count, reaction="3", boundary="1 + x1")
    waves = np.pi * np.arange(1, 25 if dimension == 1 else 6)
    np.testing.assert_allclose(found, 0.5 * first(squares(*[waves] * dimension), count) + 3, rtol=tolerance)


def test_constant_matrix(modes: Callable) -> None:
    """diag(2, 1): pi^2 (2 k^2 + l^2), with (1, 5) and (3, 3) together at 27."""
    waves = np.pi * np.arange(1, 8)
    exact = first(squares(np.sqrt(2) * waves, waves), 12)
    np.testing.assert_allclose(modes(["2", "1"], 2, 12), exact, rtol=1e-6)


def test_robin_condition(modes: Callable) -> None:
    """u(0) = 0 and u' + 2 u = q at 1: l = w^2 with w cos w + 2 sin w = 0, whatever q."""
    faces = {"x1-": {"value": "1"}, "x1+": {"robin": {"factor": "2", "flux": "5"}}}
    roots: list[Any] = [
        brentq(lambda w: w * np.cos(w) + 2 * np.sin(w), (k + 0.5) * np.pi, (k + 1) * np.pi) for k in range(5)
    ]
    np.testing.assert_allclose(modes("1", 1, 5, boundary=faces), np.square(roots), rtol=1e-9)


def test_flux_condition(modes: Callable) -> None:
    """n.a grad u = 0 on all faces: a constant is the first mode, with l = c."""
    found = modes("1", 1, 4, boundary={"all": {"flux": "1"}}, reaction="1")
    np.testing.assert_allclose(found, 1 + np.square(np.pi * np.arange(4)), rtol=1e-9)


def test_periodic_faces(modes: Callable) -> None:
    """Waves cos and sin(2 pi k x1) times sin(pi l x2)."""
    faces = {"x1": "periodic", "x2": {"value": "0"}}
    exact = first(squares(2 * np.pi * np.arange(-3, 4), np.pi * np.arange(1, 8)), 9)
    np.testing.assert_allclose(modes("1", 2, 9, boundary=faces), exact, rtol=1e-6)


def test_eigenvalues_that_are_twelvefold(modes: Callable) -> None:
    """A periodic cube, where Lanczos's method from one start sees one mode of each eigenvalue."""
    found = modes("1", 3, 19, boundary={"all": "periodic"}, reaction="1")
    np.testing.assert_allclose(found, 1 + 4 * np.pi**2 * np.repeat([0, 1, 2], [1, 6, 12]), rtol=1e-2)


def test_estimates_cover_the_errors(references: Path) -> None:
    """A coefficient that oscillates, and with the homogenised eigenvalues sqrt(3) (pi k)^2."""
    problem = Problem("2 + sin(2*pi*x1/eps)", forcing="1", domain=unit(1), eigenvalues=6, eps=0.05)
    coarse = reference(problem, FEMReference(degree=2, cells_per_period=4, min_cells=1), 41, references)
    truth = reference(problem, FEMReference(degree=3, cells_per_period=24, min_cells=1), 41, references)
    assert coarse.eigenvalues is not None
    assert coarse.homogenized_eigenvalues is not None
    assert coarse.eigenvalues_error_estimate is not None
    assert truth.eigenvalues is not None
    off = coarse.eigenvalues - truth.eigenvalues
    assert (off > 0).all()  # Rayleigh's quotient in a smaller space
    assert (off < coarse.eigenvalues_error_estimate).all()
    assert (coarse.eigenvalues_error_estimate < 0.2 * coarse.eigenvalues).all()
    np.testing.assert_allclose(
        coarse.homogenized_eigenvalues, np.sqrt(3) * np.square(np.pi * np.arange(1, 7)), rtol=1e-6
    )
    assert coarse.fine_over_time is None


@pytest.fixture(scope="module")
def papers(references: Path) -> Reference:
    """The paper's linear problem at eps = 0.05, with all that can be asked for."""
    time = {"end": 0.1, "initial": "1", "times": [0.02, 0.1]}
    problem = Problem(PAPERS, forcing="10", eps=0.05, eigenvalues=4, time=time)
    return reference(problem, FEMReference(degree=3, min_cells=1), 101, references)


def test_homogenized_eigenvalues_are_near(papers: Reference) -> None:
    """Measured with degree 4 on 120 x 120 cells: 17.4706, 43.6204, 43.7214, 69.8442, 7e-4 to 5e-3 estimated."""
    assert papers.notes == ()
    assert papers.eigenvalues is not None
    assert papers.eigenvalues_error_estimate is not None
    assert papers.homogenized_eigenvalues is not None
    measured = np.array([17.4706, 43.6204, 43.7214, 69.8442])
    assert (np.abs(papers.eigenvalues - measured) < papers.eigenvalues_error_estimate + 5e-3).all()
    np.testing.assert_allclose(papers.homogenized_eigenvalues, papers.eigenvalues, rtol=5e-3)
    np.testing.assert_allclose(papers.homogenized_eigenvalues[[0, 1, 2, 3]] / papers.homogenized_eigenvalues[0],
                               [1, 2.5, 2.5, 4], rtol=1e-6)  # fmt: skip


def test_homogenized_solution_over_time_is_near(papers: Reference) -> None:
    """A hundredth apart, as the steady states are."""
    assert papers.fine_over_time is not None
    assert papers.homogenized_over_time is not None
    assert papers.fine_over_time_error_estimate is not None
    assert papers.fine_over_time_error_estimate.max() < 4e-3
    for fine, limit in zip(papers.fine_over_time, papers.homogenized_over_time, strict=True):
        assert 5e-3 < np.linalg.norm(fine - limit) / np.linalg.norm(fine) < 2e-2
