"""Finite elements against exact solutions, and the facts of the paper's linear problem."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sympy
from orders import assert_orders, error, relative_l2

from homog import equation
from homog.config import DomainSettings, FEMReference, FormulaProblem, HomogenizedReference
from homog.equation import Problem
from homog.formula import parse
from homog.formula.parse import symbol
from homog.references import Reference, process, reference
from homog.references.fem import System
from homog.references.lattice import Lattice
from homog.references.laws import FineLaw

pytestmark = pytest.mark.skipif(importlib.util.find_spec("dolfinx") is None, reason="dolfinx is not installed")

MakeProblem = Callable[..., Problem]


def manufactured(solution: str, coefficient: str, lower: list[float], upper: list[float]) -> Problem:
    """The problem on a box that a formula solves: f = -div(a grad u), and g = u, which is not zero."""
    axes = [symbol(f"x{i + 1}") for i in range(len(lower))]
    u, a = (parse(text, len(lower)).expression for text in (solution, coefficient))
    forcing = -sum(sympy.diff(a * sympy.diff(u, x), x) for x in axes)
    settings = FormulaProblem(
        name="a test",
        coefficient=coefficient,
        forcing=str(forcing),
        boundary=solution,
        domain=DomainSettings(lower=lower, upper=upper),
    )
    return equation.build(settings, 0.1)


def test_orders_for_a_manufactured_solution(references: Path) -> None:
    problem = manufactured("sin(2*x1)*exp(x2) + x1", "1 + x1*x2/2", [0.0, -1.0], [1.5, 0.5])
    assert_orders(problem, references)


@pytest.mark.parametrize(
    ("solution", "coefficient", "lower", "upper"),
    [
        ("x1**4 - x1 + 2", "1 + x1**2", [-1.0], [2.0]),
        ("x1**3*x2 - x2**4 + 1", "2 + x1*x2", [0.0, 0.0], [3.0, 0.25]),
        ("x1*x2**2 - x3**3 + 1", "2 + x1*x3", [0.0, 1.0, -1.0], [1.0, 1.5, 1.0]),
    ],
    ids=["interval", "rectangle", "box"],
)
def test_polynomials_are_solved_exactly(
    references: Path, solution: str, coefficient: str, lower: list[float], upper: list[float]
) -> None:
    problem = manufactured(solution, coefficient, lower, upper)
    lattice = Lattice(tuple(lower), tuple(upper), (5, 4, 3)[: len(lower)], 4)
    (nodal,) = process.solve(problem, [System(lattice, FineLaw(problem))], references)
    assert error(problem, lattice, nodal) < 1e-7  # the iteration ends at 1e-8, in another norm


def sine_series(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """-Lap u = 1 on the unit square, u = 0 on its boundary: sines in x, solved exactly in y, to 1e-9."""
    k = np.pi * np.arange(1, 800, 2)[:, None]
    along = 1 - (np.exp(k * (y - 1)) + np.exp(-k * y)) / (1 + np.exp(-k))
    return (4 / k**3 * np.sin(k * x)).T @ along


def test_homogenized_solution_agrees_with_the_sine_series(make_problem: MakeProblem, references: Path) -> None:
    """An eps that no mesh resolves: u_0 and u_mean alone."""
    found = reference(make_problem(eps=1e-5), HomogenizedReference(), 101, references)
    assert found.fine is None
    assert found.error_estimate is None
    assert any("u_eps" in note for note in found.notes)
    series = 10 * sine_series(*found.axes)
    assert relative_l2(found.homogenized, series / 0.8835142958) < 1e-6
    assert relative_l2(found.mean_coefficient, series) < 1e-6


def test_oblique_effective_tensor_reaches_the_equation(make_problem: MakeProblem, references: Path) -> None:
    """u = x1^2 - x2^2 solves div(a* grad u) = 0 for an oblique laminate, x1*x2 does not: a* has an off-diagonal."""
    problem = make_problem("2 + sin(2*pi*(x1 + x2)/eps)", eps=0.1, forcing="0", boundary="x1**2 - x2**2")
    found = reference(problem, HomogenizedReference(), 21, references)
    x, y = np.meshgrid(*found.axes, indexing="ij")
    assert relative_l2(found.homogenized, x**2 - y**2) < 1e-8
    crossed = reference(
        problem.but(boundary=make_problem(boundary="x1*x2").boundary), HomogenizedReference(), 21, references
    )
    assert relative_l2(crossed.homogenized, x * y) > 1e-3


@pytest.fixture(scope="module")
def linear(make_problem: MakeProblem, references: Path) -> Reference:
    """The paper's linear problem at eps = 0.05 with the default settings."""
    return reference(make_problem(eps=0.05), FEMReference(), 501, references)


def test_facts_of_the_linear_problem(linear: Reference) -> None:
    assert linear.error_estimate is not None
    assert linear.error_estimate < 1e-4
    assert relative_l2(linear.homogenized, linear.fine) == pytest.approx(1.02e-2, abs=0.01e-2)
    assert relative_l2(linear.mean_coefficient, linear.fine) == pytest.approx(0.115, abs=0.001)
    assert linear.mean == pytest.approx(1, abs=1e-12)
    assert linear.notes == ()


def test_estimate_bounds_the_error(make_problem: MakeProblem, linear: Reference, references: Path) -> None:
    """Against a discretisation that is ten times as accurate (see `fine_lattices`), and for a coarser one."""
    problem = make_problem(eps=0.05)
    truth = reference(problem, FEMReference(degree=6, cells_per_period=4, min_cells=1), 501, references)
    coarse = reference(problem, FEMReference(degree=3, cells_per_period=4, min_cells=1), 501, references)
    for tested in (linear, coarse):
        assert tested.error_estimate is not None
        # the truth's own error, 8e-6, takes part in what is measured
        assert relative_l2(tested.fine, truth.fine) < tested.error_estimate


@pytest.mark.slow
def test_facts_of_the_linear_problem_at_a_hundredth(make_problem: MakeProblem, references: Path) -> None:
    found = reference(make_problem(eps=0.01), FEMReference(), 501, references)
    assert found.error_estimate is not None
    assert found.error_estimate < 2e-4
    assert relative_l2(found.homogenized, found.fine) == pytest.approx(2.08e-3, abs=0.01e-3)
    assert relative_l2(found.mean_coefficient, found.fine) == pytest.approx(0.116, abs=0.001)


def test_coefficient_without_a_period_has_no_homogenized_solution(make_problem: MakeProblem, references: Path) -> None:
    settings = FEMReference(degree=2, cells_per_period=4, min_cells=8)
    found = reference(make_problem("1 + x1*x2", eps=0.5), settings, 11, references)
    assert found.homogenized is None
    assert found.effective_tensor is None
    assert found.fine is not None
    assert found.mean == pytest.approx(1.25, rel=1e-12)
    assert any("u_0" in note for note in found.notes)


def test_oscillating_forcing_is_integrated(make_problem: MakeProblem, references: Path) -> None:
    """-u'' = 1000 sin(2 pi x / eps) on an interval: u = 1000 (eps / 2 pi)^2 sin(2 pi x / eps), its mean is zero."""
    problem = make_problem("1", eps=0.1, dimension=1, forcing="1000*sin(2*pi*x1/eps)")
    found = reference(problem, FEMReference(min_cells=40), 101, references)
    exact = 1000 * (0.1 / (2 * np.pi)) ** 2 * np.sin(2 * np.pi * found.axes[0] / 0.1)
    for values in (found.fine, found.homogenized):
        assert relative_l2(values, exact) < 2e-4  # degree 4 with 4 cells a period
