"""Nonlinear problems: finite elements and homogenised solutions against exact ones, and the paper's own."""

import importlib.util
from collections.abc import Callable
from math import log2
from pathlib import Path

import numpy as np
import pytest
import sympy
from orders import assert_orders, error, relative_l2

from homog import equation
from homog.config import DomainSettings, FEMReference, FormulaProblem, HomogenizedReference
from homog.equation import Problem
from homog.errors import UserError
from homog.formula import parse
from homog.formula.parse import symbol
from homog.references import Reference, compute, process, reference
from homog.references.fem import System
from homog.references.lattice import Lattice
from homog.references.laws import FineLaw
from homog.references.tensor_of_u import EffectiveLaw

pytestmark = pytest.mark.skipif(importlib.util.find_spec("dolfinx") is None, reason="dolfinx is not installed")

MakeProblem = Callable[..., Problem]

NONLINEAR = "1 + (1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps))*u**2"  # equation (26)
SMOOTH = Lattice((0.0, 0.0), (1.0, 1.0), (24, 24), 4)

COARSE = Lattice((0.0, 0.0), (1.0, 1.0), (16, 16), 2)


def test_orders_for_a_manufactured_solution(references: Path) -> None:
    solution, coefficient = "x1 + sin(2*x1 + x2)", "1 + x1*x2/2 + exp(u)/4"
    x, u = [symbol("x1"), symbol("x2")], parse(solution, 2).expression
    a = parse(coefficient, 2, ("u",)).expression.subs(symbol("u"), u)
    forcing = -sum(sympy.diff(a * sympy.diff(u, axis), axis) for axis in x)
    box = DomainSettings(lower=[0.0, -1.0], upper=[1.0, 0.0])
    problem = equation.build(
        FormulaProblem(name="a test", coefficient=coefficient, forcing=str(forcing), boundary=solution, domain=box), 0.1
    )
    assert_orders(problem, references)


def sine_series(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """-Lap u = 1 on the unit square, u = 0 on its boundary: sines in x, solved exactly in y, to 1e-9."""
    k = np.pi * np.arange(1, 800, 2)[:, None]
    along = 1 - (np.exp(k * (y - 1)) + np.exp(-k * y)) / (1 + np.exp(-k))
    return (4 / k**3 * np.sin(k * x)).T @ along


@pytest.mark.parametrize(
    ("coefficient", "forcing", "inverse"),
    [
        ("exp(2*u)", 50, lambda w: np.log(1 + 2 * w) / 2),
        ("exp(-u)", 13, lambda w: -np.log(1 - w)),  # a falls to 0.04: there is no solution from 13.57 on
    ],
    ids=["rising", "falling"],
)
def test_kirchhoffs_transformation_gives_the_solution(
    make_problem: MakeProblem, references: Path, coefficient: str, forcing: float, inverse: Callable
) -> None:
    """Where a depends on u alone, w = integral of a over (0, u) solves -Lap w = f."""
    problem = make_problem(coefficient, forcing=str(forcing))
    systems = [System(SMOOTH, FineLaw(problem)), System(SMOOTH, EffectiveLaw(problem))]
    exact = inverse(forcing * sine_series(*SMOOTH.nodes))
    for nodal in process.solve(problem, systems, references):
        assert relative_l2(nodal, exact) < 1e-5  # w is not smooth at the corners: the error is of the order h^3


def test_problem_without_a_solution_is_told_in_one_line(make_problem: MakeProblem, references: Path) -> None:
    """w = atan(u) is below pi/2, but the solution of -Lap w = 50 reaches 3.7."""
    problem = make_problem("1/(1 + u**2)", forcing="50")
    with pytest.raises(UserError, match=r"reference cannot .*Newton's method.*no solution") as told:
        process.solve(problem, [System(COARSE, FineLaw(problem))], references)
    assert "\n" not in str(told.value)


def test_coefficient_that_the_solution_makes_negative_is_told(make_problem: MakeProblem, references: Path) -> None:
    problem = make_problem("1 - u", forcing="20")  # u - u^2/2 is at most 1/2, but the solution of -Lap w = 20 is not
    with pytest.raises(UserError, match="not positive at u beyond"):
        process.solve(problem, [System(COARSE, FineLaw(problem))], references)


def test_laminate_flows_by_its_own_means(references: Path) -> None:
    """u_0 of a = 2 + u^2 + sin(2 pi x1/eps): a* is sqrt((2 + u^2)^2 - 1) across and 2 + u^2 along, at each u."""
    x, y = symbol("x1"), symbol("x2")
    u = x * y + sympy.sin(x)
    across, along = sympy.sqrt((2 + u**2) ** 2 - 1), 2 + u**2
    forcing = -sympy.diff(across * sympy.diff(u, x), x) - sympy.diff(along * sympy.diff(u, y), y)
    settings = FormulaProblem(
        name="a test", coefficient="2 + u**2 + sin(2*pi*x1/eps)", forcing=str(forcing), boundary=str(u)
    )
    problem = equation.build(settings, 1e-4)
    (nodal,) = process.solve(problem, [System(SMOOTH, EffectiveLaw(problem))], references)
    assert error(problem, SMOOTH, nodal) < 1e-7


def test_limit_alone_has_a_mean_coefficient_too(make_problem: MakeProblem, references: Path) -> None:
    """-(a u')' = 10 with a = (2 + sin(2 pi x/eps)) exp(u): a* = sqrt(3) exp(u), and the mean is 2 exp(u_0)."""
    problem = make_problem("(2 + sin(2*pi*x1/eps))*exp(u)", eps=1e-5, dimension=1)
    found = reference(problem, HomogenizedReference(), 101, references)
    assert found.fine is None
    (x,) = found.axes
    flow = 5 * x * (1 - x)
    assert relative_l2(found.homogenized, np.log(1 + flow / np.sqrt(3))) < 1e-8
    mean = 2 * (1 + 5 / 6 / np.sqrt(3))
    assert found.mean == pytest.approx(mean, rel=1e-8)
    assert relative_l2(found.mean_coefficient, flow / mean) < 1e-8
    assert found.effective_tensor is None
    assert found.effective_values is not None
    assert found.effective_tensors is not None
    top = np.log(1 + 5 / 4 / np.sqrt(3))
    assert found.effective_values[[0, -1]] == pytest.approx([0, top], abs=1e-8)
    across = np.sqrt(3) * np.exp(found.effective_values)
    np.testing.assert_allclose(found.effective_tensors[:, 0, 0], across, rtol=1e-8)


@pytest.fixture(scope="module")
def nonlinear(make_problem: MakeProblem, references: Path) -> Reference:
    """The paper's nonlinear problem at eps = 0.05, with four cells a period."""
    return reference(make_problem(NONLINEAR, forcing="50"), FEMReference(min_cells=80), 501, references)


def test_facts_of_the_nonlinear_problem(nonlinear: Reference) -> None:
    assert nonlinear.error_estimate is not None
    assert nonlinear.error_estimate < 2e-5
    assert relative_l2(nonlinear.homogenized, nonlinear.fine) == pytest.approx(2.93e-3, abs=0.01e-3)
    assert relative_l2(nonlinear.mean_coefficient, nonlinear.fine) == pytest.approx(0.329, abs=0.001)
    assert nonlinear.mean == pytest.approx(2.4603, abs=1e-4)
    assert nonlinear.notes == ()


def test_homogenized_solution_is_the_limit(make_problem: MakeProblem, nonlinear: Reference, references: Path) -> None:
    """The distance of u_0, which knows no eps, from u_eps falls like eps."""
    problem, lattice = make_problem(NONLINEAR, forcing="50", eps=0.2), Lattice((0.0, 0.0), (1.0, 1.0), (20, 20), 4)
    (nodal,) = process.solve(problem, [System(lattice, FineLaw(problem))], references)
    coarse = relative_l2(nonlinear.homogenized, lattice.interpolate(nodal, nonlinear.axes))
    fine = relative_l2(nonlinear.homogenized, nonlinear.fine)
    assert log2(coarse / fine) / 2 == pytest.approx(1, abs=0.2)


@pytest.mark.slow
def test_facts_of_the_nonlinear_problem_at_a_hundredth(make_problem: MakeProblem, references: Path) -> None:
    found = reference(make_problem(NONLINEAR, forcing="50", eps=0.01), FEMReference(), 501, references)
    assert found.error_estimate is not None
    assert found.error_estimate < 2e-5
    assert relative_l2(found.homogenized, found.fine) == pytest.approx(5.87e-4, abs=0.02e-4)
    assert relative_l2(found.mean_coefficient, found.fine) == pytest.approx(0.329, abs=0.001)


def test_coefficient_without_a_period_starts_from_a_coarse_solution(
    make_problem: MakeProblem, references: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute, "smooth_lattice", lambda problem, settings: COARSE)
    problem = make_problem("1 + (x1 + sin(x1*x2/eps)/2 + 1)*u**2", eps=0.1, forcing="50")
    found = reference(problem, FEMReference(degree=3, min_cells=1), 11, references)
    assert found.homogenized is None
    assert found.effective_tensors is None
    assert found.error_estimate is not None
    assert found.error_estimate < 1e-3
    assert found.mean_coefficient is not None
    alone = reference(problem, HomogenizedReference(), 11, references)
    assert alone.mean is None
    assert alone.mean_coefficient is None
