"""Coefficients of a high contrast: what the linear solver makes of them, and what is said where it is too high."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from orders import relative_l2
from scipy.sparse.linalg import spsolve

from homog import equation
from homog.config import DomainSettings, FEMReference, FieldProblem, FileField
from homog.domains import tensor_grid
from homog.equation import Problem
from homog.references import process, reference
from homog.references.fem import System
from homog.references.lattice import Lattice
from homog.references.laws import FineLaw

pytestmark = pytest.mark.skipif(importlib.util.find_spec("dolfinx") is None, reason="dolfinx is not installed")

MakeProblem = Callable[..., Problem]

LINE = Lattice((0.0,), (1.0,), (2000,), 4)


def exact_on_a_line(exponent: float, x: np.ndarray) -> np.ndarray:
    """-(a u')' = 10 with a = exp(c sin(20 pi x)): a u' = C - 10 x, by the midpoint rule, which converges like 1/n^2."""
    count = 2_000_000
    middle = (np.arange(count) + 0.5) / count
    resistance = np.exp(-exponent * np.sin(20 * np.pi * middle))
    flow = 10 * (middle @ resistance) / resistance.sum() - 10 * middle
    return np.interp(x, np.arange(count + 1) / count, np.append(0.0, np.cumsum(flow * resistance)) / count)


@pytest.mark.parametrize("exponent", [6, 10])
def test_a_line_is_solved_up_to_a_contrast_of_a_billion(
    make_problem: MakeProblem, references: Path, exponent: float
) -> None:
    """The matrix alone is 2 % off at exp(20), and conjugate gradients 0.1 % at exp(18): refinement mends both."""
    problem = make_problem(f"exp({exponent}*sin(2*pi*x1/eps))", eps=0.1, dimension=1)
    (nodal,) = process.solve(problem, [System(LINE, FineLaw(problem))], references)
    assert relative_l2(nodal, exact_on_a_line(exponent, LINE.nodes[0])) < 1e-6


def test_more_than_double_precision_holds_is_a_note(make_problem: MakeProblem, references: Path) -> None:
    """There is no u_eps, and the run goes on: walkers do not sum a matrix."""
    problem = make_problem("exp(23*sin(2*pi*x1/eps)*cos(x1))", eps=0.1, dimension=1)
    found = reference(problem, FEMReference(min_cells=10), 21, references)
    assert found.fine is None
    assert found.error_estimate is None
    assert any("there is no u_eps: a contrast of" in note for note in found.notes)
    with pytest.raises(process.Unsolved, match="too much for double precision"):
        process.solve(problem, [System(LINE, FineLaw(problem))], references)


@pytest.mark.parametrize("exponent", [pytest.param(4, marks=pytest.mark.slow), 7])
def test_normals_on_a_coarse_grid(references: Path, tmp_path: Path, exponent: float) -> None:
    """exp of 16 x 16 normals: 11 and 20 decades, on which multigrid is indefinite by rounding. The answer is that of
    finite volumes, which are 0.7 % off on 300 cells an axis."""
    path = tmp_path / "normals.npy"
    np.save(path, np.random.default_rng(0).standard_normal((16, 16)))
    settings = FieldProblem(
        name="a test", coefficient=f"exp({exponent}*field)", forcing="1", boundary="0",
        domain=DomainSettings(lower=[0.0, 0.0], upper=[1.0, 1.0]), field=FileField(path=str(path)),
    )  # fmt: skip
    problem = equation.build(settings, 0.01)
    lattice = Lattice((0.0, 0.0), (1.0, 1.0), (60, 60), 4)
    (nodal,) = process.solve(problem, [System(lattice, FineLaw(problem))], references)
    axis = np.linspace(0, 1, 301)
    assert relative_l2(lattice.interpolate(nodal, [axis, axis]), finite_volumes(problem, axis)) < 2e-2


def finite_volumes(problem: Problem, axis: np.ndarray) -> np.ndarray:
    """-div(a grad u) = 1 in the unit square on equidistant nodes, u = 0 on the boundary, by a direct solver."""
    size = axis.size
    number = np.arange(size**2).reshape(size, size)
    middle = (axis[1:] + axis[:-1]) / 2
    matrix: Any = sp.csr_matrix((size**2, size**2))
    pairs = (([middle, axis], number[:-1], number[1:]), ([axis, middle], number[:, :-1], number[:, 1:]))
    for faces, before, after in pairs:
        flow = problem.operator.coefficient_at(tensor_grid(faces)).ravel() * (size - 1) ** 2
        ends = np.stack([after.ravel(), before.ravel()], 1).ravel()
        parts = (np.tile([1.0, -1.0], flow.size), ends, 2 * np.arange(flow.size + 1))
        rise: Any = sp.csr_matrix(parts, shape=(flow.size, size**2))
        matrix = matrix + rise.T @ sp.diags(flow) @ rise
    inner = number[1:-1, 1:-1].ravel()
    values = np.zeros(size**2)
    solution: Any = spsolve(matrix[inner][:, inner].tocsc(), np.ones(inner.size), permc_spec="MMD_AT_PLUS_A")
    values[inner] = solution
    return values.reshape(size, size)
