"""The equation in time against exact solutions, its estimates, and what is kept of it."""

import importlib.util
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from orders import relative_l2

from homog.config import ExactReference, FEMReference, HomogenizedReference
from homog.domains import Box, Places, tensor_grid
from homog.equation import Problem
from homog.formula import parse
from homog.formula.evaluate import at_points
from homog.formula.parse import symbol
from homog.references import Reference, cache, extras, fem, reference
from homog.references.fem import System, Transient
from homog.references.lattice import Lattice
from homog.references.laws import FineLaw

needs_dolfinx = pytest.mark.skipif(importlib.util.find_spec("dolfinx") is None, reason="dolfinx is not installed")

LAMINATE = "2 + sin(2*pi*x1/eps)"
COARSE = FEMReference(degree=2, cells_per_period=4, min_cells=4)
CELLS = {1: (64,), 2: (12, 12), 3: (6, 6, 6)}
DEGREE = {1: 4, 2: 4, 3: 2}


def unit(dimension: int) -> Box:
    return Box((0.0,) * dimension, (1.0,) * dimension)


def in_time(coefficient: Any, dimension: int, initial: str, times: list[float], **rest: Any) -> Problem:
    time = {"end": times[-1], "initial": initial, "times": times}
    rest = {"forcing": "0", "eps": 0.5} | rest
    return Problem(coefficient, domain=unit(dimension), time=time, **rest)


def usual(dimension: int) -> Lattice:
    box = unit(dimension)
    return Lattice(box.lower, box.upper, CELLS[dimension], DEGREE[dimension])


@pytest.fixture(scope="module")
def child() -> Iterator[ProcessPoolExecutor]:
    """One process for many solves: importing dolfinx takes a second, and takes over the process's signals."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def at_levels(child: ProcessPoolExecutor, references: Path) -> Callable[[Problem, int], list[np.ndarray]]:
    """Nodal values at each time, after which come less accurate ones."""
    folder = references / "jit"
    folder.mkdir(parents=True, exist_ok=True)

    def solve(problem: Problem, count: int) -> list[np.ndarray]:
        lattice, law = usual(problem.dimension), FineLaw(problem)
        systems = [Transient(lattice, law, level=level) for level in range(count)]
        found = child.submit(fem.solve, problem, systems, folder).result()
        return [one for one in found if not isinstance(one, str)]

    return solve


@pytest.fixture(scope="module")
def solved(at_levels: Callable) -> Callable[[Problem], np.ndarray]:
    """Nodal values at each time."""
    return lambda problem: at_levels(problem, 1)[0]


def errors(problem: Problem, found: np.ndarray, solution: str) -> np.ndarray:
    """Relative L2 error of nodal values at each time against a formula in x and t."""
    assert problem.evolution is not None
    points = tensor_grid(usual(problem.dimension).nodes)
    formula = parse(solution, problem.dimension, ("t",))
    exact = [np.broadcast_to(at_points(formula, points, {"t": t}), found[0].shape) for t in problem.evolution.times]
    return np.array([relative_l2(values, one) for values, one in zip(found, exact, strict=True)])


def forcing(solution: str, matrix: list[list[str]], reaction: str) -> str:
    """d_t u - div(A grad u) + c u as a formula in x and t."""
    dimension = len(matrix)
    axes = [symbol(f"x{i + 1}") for i in range(dimension)]
    time = parse("t", dimension, ("t",)).expression
    u, c = (parse(text, dimension, ("t",)).expression for text in (solution, reaction))
    entries = [[parse(text, dimension).expression for text in row] for row in matrix]
    flow = sum(
        sympy.diff(a * sympy.diff(u, y), x) for x, row in zip(axes, entries, strict=True)
        for y, a in zip(axes, row, strict=True)
    )  # fmt: skip
    return str(sympy.diff(u, time) - flow + c * u)


@needs_dolfinx
@pytest.mark.parametrize(
    ("dimension", "initial", "rate", "tolerance"),
    [(1, "sin(3*pi*x1)", 9, 1e-6), (2, "sin(pi*x1)*sin(2*pi*x2)", 5, 2e-6),
     (3, "sin(pi*x1)*sin(pi*x2)*sin(pi*x3)", 3, 5e-3)],
)  # fmt: skip
def test_sines_decay_as_they_should(
    solved: Callable, dimension: int, initial: str, rate: int, tolerance: float
) -> None:
    """With a = 1/2 exactly by exp(-a pi^2 (k^2 + ...) t); degree 2 on six cells an axis is 3e-3 off in three
    dimensions."""
    problem = in_time("0.5", dimension, initial, [0.02, 0.1])
    exact = f"exp(-0.5*pi**2*{rate}*t)*{initial}"
    assert errors(problem, solved(problem), exact).max() < tolerance


@needs_dolfinx
@pytest.mark.parametrize(("dimension", "tolerance"), [(1, 1e-6), (2, 1e-5)])
def test_initial_value_that_does_not_fit_the_conditions(solved: Callable, dimension: int, tolerance: float) -> None:
    """u = 1 at the start and 0 on the faces: the product of sine series 4/(k pi) sin(k pi x) exp(-k^2 pi^2 t)."""
    problem = in_time("1", dimension, "1", [0.02, 0.05, 0.1])
    found, nodes = solved(problem), usual(dimension).nodes[0]
    k = np.arange(1, 60, 2)
    for t, values in zip([0.02, 0.05, 0.1], found, strict=True):
        along = np.sin(np.pi * np.outer(nodes, k)) @ (4 / (np.pi * k) * np.exp(-((np.pi * k) ** 2) * t))
        assert relative_l2(values, along if dimension == 1 else np.outer(along, along)) < tolerance


@needs_dolfinx
def test_times_may_be_far_apart(solved: Callable) -> None:
    """Three decades, from where the layers at the ends are a hundredth thick."""
    times = [1e-4, 1e-3, 1e-2, 0.1]
    problem = in_time("1", 1, "1", times)
    found, nodes = solved(problem), usual(1).nodes[0]
    k = np.arange(1, 1200, 2)
    for t, values in zip(times, found, strict=True):
        along = np.sin(np.pi * np.outer(nodes, k)) @ (4 / (np.pi * k) * np.exp(-((np.pi * k) ** 2) * t))
        assert relative_l2(values, along) < 1e-5


ISOTROPIC, OBLIQUE = [["1", "0"], ["0", "1"]], [["2", "0.5"], ["0.5", "1"]]
VARIABLE = [["1 + x1*x2/2", "0"], ["0", "1 + x1*x2/2"]]
MADE = {
    "a and c that vary": ("exp(-t)*sin(pi*x1)*sin(pi*x2) + x1", VARIABLE, "1 + x1*x2/2", "2 + x1", "x1"),
    "a matrix": ("cos(5*t)*sin(pi*x1)*sin(pi*x2) + x1 - 2*x2", OBLIQUE, OBLIQUE, "0", "x1 - 2*x2"),
    "periodic": ("sin(3*t)*sin(2*pi*x1)*sin(pi*x2) + cos(2*pi*x1)*sin(pi*x2)", ISOTROPIC, "1", "1",
                 {"x1": "periodic", "x2": {"value": "0"}}),
    "a flux": ("cos(5*t)*cos(pi*x1/2) + x1", [["1"]], "1", "0", {"x1-": {"flux": "-1"}, "x1+": {"value": "1"}}),
    "Robin": ("cos(5*t)*(3*x1 - 2*x1**2) + x1", [["1"]], "1", "3",
              {"x1-": {"value": "0"}, "x1+": {"robin": {"factor": "1", "flux": "2"}}}),
    "no sum of few products": ("x1*(1 - x1)*exp(-40*(x1 - 0.3 - t)**2)", [["1"]], "1", "0", "0"),
}  # fmt: skip


@needs_dolfinx
@pytest.mark.parametrize("name", MADE)
def test_manufactured_solutions(solved: Callable, name: str) -> None:
    """f is made for u(x, t). It is linear between 1024 instants, which is 1e-7 off, and at degree 4 space is 1e-6."""
    solution, matrix, coefficient, reaction, boundary = MADE[name]
    problem = in_time(
        coefficient,
        len(matrix),
        str(parse(solution, len(matrix), ("t",)).expression.subs(parse("t", 1, ("t",)).expression, 0)),
        [0.05, 0.3],
        forcing=forcing(solution, matrix, reaction),
        reaction=reaction,
        boundary=boundary,
    )
    assert problem.evolution is not None
    assert problem.evolution.driven
    assert errors(problem, solved(problem), solution).max() < 5e-6


@needs_dolfinx
def test_a_velocity_carries_and_makes_decay_faster(solved: Callable) -> None:
    """u = exp(b.x/2 - (2 pi^2 + |b|^2/4) t) sin(pi x1) sin(pi x2) for a = 1 and a constant b."""
    problem = in_time("1", 2, "exp(3*x1 - 1.5*x2)*sin(pi*x1)*sin(pi*x2)", [0.02, 0.1], velocity=["6", "-3"])
    exact = "exp(3*x1 - 1.5*x2 - (2*pi**2 + 45/4)*t)*sin(pi*x1)*sin(pi*x2)"
    assert errors(problem, solved(problem), exact).max() < 2e-5


@needs_dolfinx
def test_steady_state_is_reached(solved: Callable) -> None:
    """-u'' = 2 with u(0) = 1 and u(1) = 0, from zero: what is left decays like exp(-pi^2 t)."""
    problem = in_time("1", 1, "0", [0.5, 3.0], forcing="2", boundary="1 - x1")
    found = solved(problem)
    early, late = errors(problem, found, "1 - x1 + x1*(1 - x1)")
    assert 1e-4 < early < 2 * np.exp(-(np.pi**2) / 2)
    assert late < 1e-8


@needs_dolfinx
def test_second_order_in_the_instants(at_levels: Callable) -> None:
    """f is linear between instants, half as many with each level: the error is four times as large."""
    solution = "cos(400*t)*sin(pi*x1)"
    problem = in_time("1", 1, "sin(pi*x1)", [0.3, 1.0], forcing=forcing(solution, [["1"]], "0"))
    first, second, third = (errors(problem, found, solution).max() for found in at_levels(problem, 3))
    assert second == pytest.approx(4 * first, rel=0.1)
    assert third == pytest.approx(4 * second, rel=0.2)


@needs_dolfinx
def test_forcing_that_is_switched_off(at_levels: Callable) -> None:
    """u = y(t) sin(pi x) with y' + pi^2 y = 10 up to t = 0.1234; the switch is smeared over a thousandth of the end,
    and the less accurate computation tells of it."""
    problem = in_time("1", 1, "0", [0.1, 0.3], forcing="where(t < 0.1234, 10, 0)*sin(pi*x1)")
    found, less = at_levels(problem, 2)
    rate, sine = np.pi**2, np.sin(np.pi * usual(1).nodes[0])
    at_switch = 10 / rate * -np.expm1(-rate * 0.1234)
    for at, y in enumerate((10 / rate * -np.expm1(-rate * 0.1), at_switch * np.exp(-rate * (0.3 - 0.1234)))):
        off = relative_l2(found[at], y * sine)
        assert off < 2e-3
        assert off <= max(2 * relative_l2(less[at], found[at]), 1e-6)


@pytest.fixture(scope="module")
def oscillating() -> Problem:
    return in_time(LAMINATE, 1, "1", [0.02, 0.1], forcing="10*(1 + sin(20*t))", eps=0.25)


@needs_dolfinx
def test_estimates_cover_the_errors(oscillating: Problem, references: Path) -> None:
    coarse = reference(oscillating, COARSE, 41, references)
    truth = reference(oscillating, FEMReference(degree=3, cells_per_period=24, min_cells=4), 41, references)
    assert coarse.fine_over_time is not None
    assert coarse.fine_over_time_error_estimate is not None
    assert truth.fine_over_time is not None
    assert truth.homogenized_over_time is not None
    assert coarse.fine_over_time.shape == (2, 41)
    for at in range(2):
        off = relative_l2(coarse.fine_over_time[at], truth.fine_over_time[at])
        assert off < coarse.fine_over_time_error_estimate[at] < 50 * off
        assert relative_l2(truth.homogenized_over_time[at], truth.fine_over_time[at]) < 0.1
    assert truth.homogenized_over_time_error_estimate is not None
    assert truth.homogenized_over_time_error_estimate.max() < 1e-4
    assert truth.notes == ()


@needs_dolfinx
def test_stationary_solution_stays_as_it_is(oscillating: Problem, references: Path) -> None:
    """Its forcing is f at the end."""
    found = reference(oscillating, COARSE, 41, references)
    alone = Problem(LAMINATE, forcing="10*(1 + sin(20*0.1))", eps=0.25, domain=unit(1))
    assert relative_l2(found.fine, reference(alone, COARSE, 41, references).fine) < 1e-12


@needs_dolfinx
def test_homogenized_alone(references: Path) -> None:
    """An eps that no mesh resolves, and the decay exp(-a* pi^2 t) on an interval with a* = sqrt(4 - 1)."""
    problem = in_time(LAMINATE, 1, "sin(pi*x1)", [0.05, 0.1], eps=1e-5)
    found = reference(problem, HomogenizedReference(), 41, references)
    assert found.fine_over_time is None
    assert found.homogenized_over_time is not None
    for t, values in zip((0.05, 0.1), found.homogenized_over_time, strict=True):
        exact = np.exp(-np.sqrt(3) * np.pi**2 * t) * np.sin(np.pi * found.axes[0])
        assert relative_l2(values, exact) < 1e-6


@needs_dolfinx
def test_initial_value_that_no_mesh_resolves(references: Path) -> None:
    problem = in_time(LAMINATE, 1, "sin(2*pi*x1/eps)", [0.1], eps=1e-5, forcing="1")
    found = reference(problem, HomogenizedReference(), 41, references)
    assert found.homogenized is not None
    assert found.homogenized_over_time is None
    assert any("u(x, 0)" in note for note in found.notes)


@needs_dolfinx
def test_nonlinear_problem_has_a_note() -> None:
    """Such problems are refused where they are stated; here nothing is computed for them, and it is said."""
    problem = in_time("1", 1, "1", [0.1])
    operator = Problem("1 + u**2", forcing="1", domain=unit(1)).operator
    nonlinear = problem.but(operator=operator)
    lattice, law = usual(1), FineLaw(nonlinear)
    assert list(extras.with_extras(nonlinear, {"main": System(lattice, law)}, None)) == ["main"]
    (note,) = extras.note(nonlinear, None)
    assert "over time" in note
    assert extras.note(problem, None) == ()


def test_exact_reference_over_time(tmp_path: Path) -> None:
    """A formula that names t is u(x, t), one that does not the steady state."""
    problem = in_time("1", 1, "sin(pi*x1)", [0.1, 0.2])
    settings = ExactReference(fine="exp(-pi**2*t)*sin(pi*x1)", homogenized="0*x1")
    found = reference(problem, settings, 11, tmp_path)
    assert found.fine is None
    assert found.fine_over_time is not None
    assert found.homogenized_over_time is None
    assert found.homogenized is not None
    exact = np.exp(-(np.pi**2) * np.array([[0.1], [0.2]])) * np.sin(np.pi * found.axes[0])
    np.testing.assert_allclose(found.fine_over_time, exact, atol=1e-15)


def test_cache_keeps_what_depends_on_time(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    axis = np.linspace(0, 1, 5)
    further: dict[str, Any] = {
        "fine_over_time": random.standard_normal((3, 5, 5)),
        "homogenized_over_time": random.standard_normal((3, 5, 5)),
        "fine_over_time_error_estimate": random.random(3),
        "eigenvalues": random.random(4),
        "eigenvalues_error_estimate": random.random(4),
    }
    made = Reference(Places(axes=(axis, axis)), None, None, None, None, None, None, 0, 0.0, (), **further)
    path = tmp_path / "references" / "entry.npz"
    cache.fetch(path, {"what": "a test"}, lambda: made)

    def never() -> Reference:
        raise AssertionError("it is in the file")

    found = cache.fetch(path, {"what": "a test"}, never)
    for name, values in further.items():
        np.testing.assert_array_equal(getattr(found, name), values)
    assert found.homogenized_over_time_error_estimate is None
    assert found.homogenized_eigenvalues is None
