"""Nonlinear problems on which Newton's method fails from afar: starts, continuation, and many random ones."""

import importlib.util
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manufactured import with_solution
from orders import relative_l2

from homog.domains import tensor_grid
from homog.equation import Boundary, Problem
from homog.formula import parse
from homog.formula.evaluate import at_points
from homog.references import fem
from homog.references.fem import System
from homog.references.kirchhoff import Kirchhoff
from homog.references.lattice import Lattice
from homog.references.laws import FineLaw

MakeProblem = Callable[..., Problem]

LATTICE = Lattice((0.0, 0.0), (1.0, 1.0), (12, 12), 4)

needs_dolfinx = pytest.mark.skipif(importlib.util.find_spec("dolfinx") is None, reason="dolfinx is not installed")


@pytest.fixture(scope="module")
def child() -> Iterator[ProcessPoolExecutor]:
    """One process for many solves: importing dolfinx takes a second, and takes over the process's signals."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def solve(child: ProcessPoolExecutor, references: Path) -> Callable[[Problem], np.ndarray]:
    cache = references / "jit"
    cache.mkdir(parents=True, exist_ok=True)

    def solution(problem: Problem, lattice: Lattice = LATTICE) -> np.ndarray:
        (found,) = child.submit(fem.solve, problem, [System(lattice, FineLaw(problem))], cache).result()
        assert not isinstance(found, str), found
        return found

    return solution


@needs_dolfinx
def test_the_nonlinear_problem_of_the_fenics_tutorial(make_problem: MakeProblem, solve: Callable) -> None:
    """With zero inside, the start jumps at the boundary, and GMRES does not solve for the first step."""
    x, y = LATTICE.nodes
    nodal = solve(make_problem("1+u**2", forcing="-10-10*x1-20*x2", boundary="1+x1+2*x2"))
    assert relative_l2(nodal, 1 + x[:, None] + 2 * y) < 1e-8


@needs_dolfinx
def test_boundary_values_from_zero_to_four(make_problem: MakeProblem, solve: Callable) -> None:
    """theta = u + u^3/3 is harmonic with 4 x + 64/3 x^3 on the boundary.

    x^3 + 3 x y (1 - y) is harmonic, and right but for x = 1: there 3 y (1 - y) is too much.
    """
    x, y = LATTICE.nodes
    k = np.pi * np.arange(1, 400, 2)[:, None]
    rise = np.exp(k * (x - 1)) * (1 - np.exp(-2 * k * x)) / (1 - np.exp(-2 * k))
    harmonic = x[:, None] ** 3 + 3 * x[:, None] * y * (1 - y) - 3 * (8 / k**3 * rise).T @ np.sin(k * y)
    theta = 4 * x[:, None] + 64 / 3 * harmonic
    nodal = solve(make_problem("1+u**2", forcing="0", boundary="4*x1"))
    assert relative_l2(nodal + nodal**3 / 3, theta) < 1e-6


@needs_dolfinx
@pytest.mark.parametrize(
    ("coefficient", "solution"),
    [
        # 10 problems on the way to all data: the range of theta is bounded, and u is large where it ends
        ("1/(1+u**4)+0.01*x2", "4.4278*tanh(2.919*(x1-0.858)-3.476*x2)-3.533"),
        # the range of u is crossed six times by a wave of the coefficient that moves with x
        ("1.1+sin(5*u+x1)", "2.3535*tanh(4.593*(x1-0.858)-0.983*x2)-0.877"),
        ("exp(x1*u)", "3.4417*tanh(4.587*(x1-0.699)+1.473*x2)-1.207"),
    ],
)
def test_data_are_brought_up_where_the_start_is_too_far(
    make_problem: MakeProblem, solve: Callable, coefficient: str, solution: str
) -> None:
    assert error(manufactured(make_problem, coefficient, solution), solution, solve) < 2e-2  # of so coarse a mesh


numbers = st.floats(-1, 1).map(lambda value: round(value, 3))
waves = st.builds(
    "{}*{}({}*x1+{}*x2+{})".format,
    st.floats(-5, 5).map(lambda value: round(value, 2)), st.sampled_from(["sin", "cos"]),
    st.floats(-3, 3).map(lambda value: round(value, 2)), st.floats(-3, 3).map(lambda value: round(value, 2)), numbers,
)  # fmt: skip
polynomials = st.builds("{}*x1+{}*x2+{}*x1*x2+{}".format, *[st.floats(-5, 5).map(lambda v: round(v, 2))] * 3, numbers)
solutions = st.one_of(polynomials, waves, st.builds("{}+{}".format, waves, polynomials))
coefficients = st.sampled_from([
    "1+u**2", "exp(u/2)", "exp(-u/2)", "1+0.1*u**4", "1+5*u**4", "2+sin(3*u)", "1+x1*u**2", "0.01+u**2",
    "0.1+1/(1+u**2)", "1+0.9*tanh(u)", "(1+0.9*sin(9*x1)*cos(9*x2))*(1+u**2)", "exp(x1*u/2)", "exp(sin(3*x2)*u/2)",
    "1+u**2*sin(6*x1)**2", "0.05+1/(1+exp(-3*u))", "0.1+(u-2*x1)**2", "exp(sin(2*u+3*x1)+cos(u-2*x2))",
])  # fmt: skip


@needs_dolfinx
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(coefficients, solutions)
def test_manufactured_solutions_are_found(
    make_problem: MakeProblem, solve: Callable, coefficient: str, solution: str
) -> None:
    """All have a positive lower bound on the values of u that occur, and so one solution, which is smooth."""
    assert error(manufactured(make_problem, coefficient, solution), solution, solve) < 1e-3


def manufactured(make_problem: MakeProblem, coefficient: str, solution: str) -> Problem:
    """With this solution; g continues into the domain by something else, which a start must not profit from."""
    problem = with_solution(make_problem(), coefficient, solution)
    value = parse(f"{solution} + 16*x1*(1-x1)*x2*(1-x2)", 2)
    return problem.but(boundary=Boundary.given(value, problem.parameters))


def error(problem: Problem, solution: str, solve: Callable) -> float:
    """In L2 on the nodes, relative to u or to one."""
    exact = at_points(parse(solution, 2), tensor_grid(LATTICE.nodes), {})
    difference = np.sqrt(np.mean((solve(problem) - exact) ** 2))
    return float(difference / max(1.0, np.sqrt(np.mean(exact**2))))


@needs_dolfinx
def test_a_coefficient_that_no_constant_makes_positive(make_problem: MakeProblem, solve: Callable) -> None:
    """a is positive near u = 3 x1, but at no constant: the start is the linear problem with u = g in a."""
    solution = "3*x1 + 0.5*x2"
    problem = with_solution(make_problem(), "1 - (u - 3*x1)**2", solution)
    assert error(problem, solution, solve) < 1e-6


@pytest.mark.parametrize(
    ("coefficient", "theta"),
    [
        ("1+u**2", lambda u: (u + u**3 / 3 - (1 + 1 / 3)) / 2),
        ("(2+sin(9*x1)*x2)*exp(u)", lambda u: np.exp(u - 1) - 1),
    ],
)
def test_kirchhoffs_transformation_is_the_integral(
    make_problem: MakeProblem, coefficient: str, theta: Callable
) -> None:
    """From 1 over c(1). Nodes are h = 0.0064 |u - 1| apart; interpolation is h^2/8 off, and trapezoids h^2/12."""
    found = Kirchhoff(make_problem(coefficient), 1.0, 2.0)
    u = np.linspace(-4, 5, 300)
    np.testing.assert_allclose(found(u), theta(u), rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(found.inverse(found(u)), u, rtol=2e-4, atol=2e-4)
    assert not found.ends_near(-4, 5)


def test_kirchhoffs_transformation_knows_where_the_coefficient_ends(make_problem: MakeProblem) -> None:
    found = Kirchhoff(make_problem("1 - u"), 0.0, 1.0)
    theta = found(np.array([0.5]))
    # from 3/8 with slope one to 1/2, the end of u - u^2/2
    assert found.reach(theta, np.ones(1)) == pytest.approx(0.9 * 0.125, rel=1e-2)
    assert found.ends_near(0, 0.9)
    assert not found.ends_near(0, 0.2)
