"""Evaluation on the nodes' tensor grid, and how fine the meshes are."""

from collections.abc import Callable
from math import log

import numpy as np
import pytest

from homog.config import FEMReference
from homog.equation import Problem
from homog.references.lattice import Lattice
from homog.references.preconditioner import finite_volumes
from homog.references.resolution import fine_lattices, smooth_lattice

MakeProblem = Callable[..., Problem]


def nodes_of(lattice: Lattice) -> tuple[np.ndarray, ...]:
    return np.meshgrid(*lattice.nodes, indexing="ij")


@pytest.mark.parametrize("degree", [1, 2, 4, 6])
def test_interpolation_reproduces_polynomials_of_its_degree(degree: int) -> None:
    lattice = Lattice((-1.0, 0.0, 2.0), (1.0, 0.5, 3.0), (3, 2, 1), degree)
    axes = [np.linspace(low, high, 8) for low, high in zip(lattice.lower, lattice.upper, strict=True)]

    def polynomial(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return x**degree - 2 * y**degree * z + 3

    found = lattice.interpolate(polynomial(*nodes_of(lattice)), axes)
    np.testing.assert_allclose(found, polynomial(*np.meshgrid(*axes, indexing="ij")), rtol=0, atol=1e-12)


def test_nodes_are_found_in_any_order() -> None:
    lattice = Lattice((0.0, -1.0), (1.0, 1.0), (5, 3), 4)
    points = np.stack([x.ravel() for x in nodes_of(lattice)], axis=-1)
    order = np.random.default_rng(0).permutation(len(points))
    np.testing.assert_array_equal(lattice.positions(points[order]), order)
    with pytest.raises(ValueError, match="node"):
        lattice.positions(points + 0.01)


def test_finite_volumes_are_symmetric_positive_and_second_order() -> None:
    """-(a u')' with u = sin(pi x), a = 1 + x on Gauss-Lobatto nodes: halving the cells divides the error by 4."""
    errors = []
    for cells in (16, 32):
        lattice = Lattice((0.0,), (1.0,), (cells,), 3)
        matrix = finite_volumes(lattice, lambda axis, x: 1 + x[..., 0]).toarray()
        np.testing.assert_array_equal(matrix, matrix.T)
        assert np.linalg.eigvalsh(matrix)[0] > 0
        (x,) = lattice.nodes
        right = np.pi**2 * (1 + x) * np.sin(np.pi * x) - np.pi * np.cos(np.pi * x)
        right *= np.gradient(x)  # the volume around a node
        right[[0, -1]] = 0
        errors.append(np.abs(np.linalg.solve(matrix, right) - np.sin(np.pi * x)).max())
    assert log(errors[0] / errors[1], 2) == pytest.approx(2, abs=0.1)


def test_cells_follow_the_period_and_the_data(make_problem: MakeProblem) -> None:
    def cells(problem: Problem, **settings: float) -> tuple[int, ...] | None:
        found = fine_lattices(problem, FEMReference(**settings))  # type: ignore[arg-type]
        return found[0].cells if found else None

    assert cells(make_problem(eps=0.01)) == (400, 400)
    assert cells(make_problem(eps=0.05)) == (120, 120)  # 6 a period: as many as min_cells asks for
    assert cells(make_problem(eps=0.04)) == (150, 150)  # even numbers a period
    assert cells(make_problem("3", eps=1e-5)) == (120, 120)  # nothing varies with eps
    assert cells(make_problem("3", eps=0.01, forcing="sin(x1/eps)")) == (400, 400)
    assert cells(make_problem("2 + sin(x1*x2/eps)", eps=0.01)) == (400, 400)  # without a period
    assert cells(make_problem(eps=0.001)) is None
    assert cells(make_problem(eps=0.05, dimension=3)) is None  # a row of the matrix is six times as long
    assert cells(make_problem(eps=0.05), max_unknowns=110_000) == (80, 80)  # 4 a period if not 6


def test_oscillating_data_need_the_fine_mesh_for_the_smooth_solutions_too(make_problem: MakeProblem) -> None:
    oscillating = {"forcing": "10 + sin(2*pi*x1/eps)"}
    assert smooth_lattice(make_problem(eps=1e-5), FEMReference()) is not None
    found = smooth_lattice(make_problem(eps=0.01, **oscillating), FEMReference())
    assert found is not None
    assert found.cells == (400, 400)
    assert smooth_lattice(make_problem(eps=1e-5, **oscillating), FEMReference()) is None
