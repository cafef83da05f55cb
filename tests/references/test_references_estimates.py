"""Estimates that hold: the true error of u_eps, u_0 and u_mean lies within what the reference says of itself."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import laminates
import media
import numpy as np
import pytest
from orders import relative_l2

from homog import equation
from homog.config import DomainSettings, FEMReference, FieldProblem, FileField, HomogenizedReference
from homog.equation import Problem
from homog.references import Reference, reference

pytestmark = pytest.mark.skipif(importlib.util.find_spec("dolfinx") is None, reason="dolfinx is not installed")

MakeProblem = Callable[..., Problem]
PI = np.pi
FEW = FEMReference(min_cells=24)


def assert_covered(found: Reference, truth: np.ndarray, most: float, own: float) -> None:
    """The error, up to what the truth itself is off, lies within an estimate that is small."""
    assert found.error_estimate is not None
    assert relative_l2(found.fine, truth) <= found.error_estimate + own
    assert found.error_estimate <= most


def interval(coefficient: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """-(a u')' = 10 on (0, 1), u = 0 at both ends: u' = (c - 10 x)/a, by Gauss's rule on 2 * 10^5 intervals."""
    edges = np.linspace(0, 1, 200_001)
    nodes, weights = np.polynomial.legendre.leggauss(6)
    points = edges[:-1, None] + np.diff(edges)[:, None] * (1 + nodes) / 2
    inverse = 1 / coefficient(points)
    parts = [(values * inverse) @ weights / 2 * np.diff(edges) for values in (np.ones_like(points), points)]
    flat, rising = (np.concatenate([[0.0], np.cumsum(part)]) for part in parts)
    return np.interp(x, edges, 10 * (rising[-1] / flat[-1] * flat - rising))


LAYERS = {
    "deep dips": ("1e-5 + sin(pi*x1/eps)**2", lambda x: 1e-5 + np.sin(PI * x / 0.05) ** 2),
    "deeper dips": ("1e-6 + sin(pi*x1/eps)**2", lambda x: 1e-6 + np.sin(PI * x / 0.05) ** 2),
    "a scale of its own": ("1.1 + sin(2*pi*x1/0.003)", lambda x: 1.1 + np.sin(2 * PI * x / 0.003)),
    "two scales": (
        "(1.1 + sin(2*pi*x1/eps))*(1.1 + sin(2*pi*x1/eps**2))",
        lambda x: (1.1 + np.sin(2 * PI * x / 0.05)) * (1.1 + np.sin(2 * PI * x / 0.0025)),
    ),
    "interface": ("1 + 49.5*(1 + tanh((x1 - 0.4321)/1e-4))", lambda x: 1 + 49.5 * (1 + np.tanh((x - 0.4321) / 1e-4))),
}


@pytest.mark.parametrize(("text", "coefficient"), LAYERS.values(), ids=LAYERS)
def test_layers_on_an_interval(
    make_problem: MakeProblem, references: Path, text: str, coefficient: Callable[[np.ndarray], np.ndarray]
) -> None:
    """144 cells would not do: `min_cells` squared."""
    found = reference(make_problem(text, dimension=1), FEMReference(min_cells=12), 997, references)
    assert_covered(found, interval(coefficient, found.axes[0]), most=5e-3, own=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("text", "coefficient"), LAYERS.values(), ids=LAYERS)
def test_layers_in_the_square(
    make_problem: MakeProblem, references: Path, text: str, coefficient: Callable[[np.ndarray], np.ndarray]
) -> None:
    """With the default settings; three to five times too much or too little in the first place."""
    found = reference(make_problem(text), FEMReference(), 101, references)
    assert found.unknowns < 2.5e6
    assert_covered(found, laminates.solution(coefficient, 10, *found.axes), most=5e-3, own=5e-6)


def test_interface_with_data_that_cross_it(make_problem: MakeProblem, references: Path) -> None:
    """u = x1 on the boundary: corner layers as thin as the interface where it meets the boundary."""
    problem = make_problem(LAYERS["interface"][0], eps=0.1, forcing="0", boundary="x1")
    found = reference(problem, FEW, 61, references)
    truth = laminates.lifted(LAYERS["interface"][1], *found.axes)
    assert_covered(found, truth, most=1e-3, own=1e-6)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_random_layers_in_the_square(make_problem: MakeProblem, references: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    floor, depth, waves, phase = 10 ** random.uniform(-4, -1), random.uniform(0.5, 3), random.integers(1, 4), seed
    text = f"{floor} + (1 + sin(2*pi*x1/eps + {phase}))*exp({depth}*cos(2*pi*{waves}*x1/eps))"
    found = reference(make_problem(text, eps=0.23), FEW, 61, references)

    def coefficient(x: np.ndarray) -> np.ndarray:
        x = 2 * PI * x / 0.23
        return floor + (1 + np.sin(x + phase)) * np.exp(depth * np.cos(waves * x))

    assert_covered(found, laminates.solution(coefficient, 10, *found.axes), most=1e-2, own=5e-6)


def test_what_is_not_resolved_is_estimated_from_above(make_problem: MakeProblem, references: Path) -> None:
    """Too few unknowns for waves of 0.003: u_0 with a* = 0.8835143 is the truth up to some such length."""
    problem = make_problem("1 + 0.9*sin(2*pi*x1/0.003)*cos(2*pi*x2/0.003)")
    found = reference(problem, FEMReference(max_unknowns=30_000), 41, references)
    (note,) = (note for note in found.notes if "u_eps" in note)
    assert "reference.max_unknowns" in note
    assert "reference.cells_per_period" in note
    exact = make_problem("0.8835143")
    truth = reference(exact, HomogenizedReference(), 41, references).homogenized
    assert found.error_estimate is not None
    assert relative_l2(found.fine, truth) <= found.error_estimate + 3e-3
    assert found.error_estimate > 0.05


def test_no_mesh_names_both_settings(make_problem: MakeProblem, references: Path) -> None:
    found = reference(make_problem(eps=1e-4), FEMReference(), 11, references)
    (note,) = found.notes
    assert "reference.max_unknowns=" in note
    assert "reference.cells_per_period=" in note
    assert found.homogenized_error_estimate is not None
    assert found.homogenized_error_estimate < 1e-5
    assert found.mean_coefficient_error_estimate is not None
    assert found.mean_coefficient_error_estimate < 1e-5
    assert found.cell_problem_error_estimate is not None
    assert found.cell_problem_error_estimate < 1e-9


def gaussian(axes: tuple[np.ndarray, ...], width: float, places: tuple[float, float]) -> np.ndarray:
    """-Lap u = a Gaussian of mass one in the unit square, by sines with the coefficients of the whole plane."""
    n = np.arange(1, int(8 / (np.pi * width)))
    waves, strength = np.pi * n, 2 * np.exp(-((np.pi * n * width) ** 2) / 2)
    first, second = (strength * np.sin(waves * place) for place in places)
    amplitudes = np.outer(first, second) / np.add.outer(waves**2, waves**2)
    return np.sin(np.outer(axes[0], waves)) @ amplitudes @ np.sin(np.outer(axes[1], waves)).T


@pytest.mark.parametrize(("width", "places"), [(1e-3, (0.5, 0.5)), (2e-3, (0.3456, 0.613))], ids=["centre", "aside"])
def test_narrow_forcing_is_resolved(
    make_problem: MakeProblem, references: Path, width: float, places: tuple[float, float]
) -> None:
    square = "+".join(f"(x{i + 1} - {place})**2" for i, place in enumerate(places))
    problem = make_problem("1", forcing=f"exp(-({square})/(2*{width}**2))/(2*pi*{width}**2)")
    found = reference(problem, FEMReference(min_cells=40), 101, references)
    truth = gaussian(found.axes, width, places)
    assert_covered(found, truth, most=1e-3, own=1e-6)
    for values, estimate in (
        (found.homogenized, found.homogenized_error_estimate),
        (found.mean_coefficient, found.mean_coefficient_error_estimate),
    ):
        assert estimate is not None
        assert relative_l2(values, truth) <= estimate + 1e-6
        assert estimate < 1e-3


def field_problem(folder: Path, values: np.ndarray, coefficient: str) -> Problem:
    path = folder / "field.npy"
    np.save(path, values)
    box = DomainSettings(lower=[0.0] * values.ndim, upper=[1.0] * values.ndim)
    settings = FieldProblem(
        name="a test", coefficient=coefficient, forcing="10", boundary="0", domain=box, field=FileField(path=str(path))
    )
    return equation.build(settings, 0.05)


def extrapolated(problem: Problem, cells: int) -> np.ndarray:
    """Finite volumes on two grids and their limit for an error of second order, on the coarser grid."""
    coarse, fine = (
        media.finite_volumes(problem.operator.coefficient_at, 10, [np.linspace(0, 1, n + 1)] * problem.dimension)
        for n in (cells, 2 * cells)
    )
    on_coarse = fine[(slice(None, None, 2),) * problem.dimension]
    return on_coarse + (on_coarse - coarse) / 3


@pytest.mark.parametrize("contrast", [10, pytest.param(1000, marks=pytest.mark.slow)])
def test_two_phases_in_the_square(tmp_path: Path, references: Path, contrast: float) -> None:
    problem = field_problem(tmp_path, media.blobs((33, 33), 2, 0.5), f"exp(log({contrast})*field)")
    found = reference(problem, FEW, 129, references)
    assert_covered(found, extrapolated(problem, 128), most=5e-3, own=2e-3)


@pytest.mark.slow
def test_two_phases_in_the_cube(tmp_path: Path, references: Path) -> None:
    problem = field_problem(tmp_path, media.blobs((12, 12, 12), 1.5, 0.4), "exp(log(10)*field)")
    found = reference(problem, FEMReference(degree=2, min_cells=40), 23, references)
    assert_covered(found, extrapolated(problem, 22), most=0.1, own=5e-3)


@pytest.mark.slow
def test_channel_has_a_fine_solution(tmp_path: Path, references: Path) -> None:
    problem = field_problem(tmp_path, media.channel(), "exp(field)")
    found = reference(problem, FEMReference(), 129, references)
    assert found.unknowns < 1e6
    ends = [np.concatenate([np.arange(c - 3, c + 3, 0.25), np.arange(c - 15, c + 16, 2)]) for c in (102.5, 921.5)]
    inside = [np.arange(508, 517, 0.125), np.arange(495, 530)]
    axes = [np.unique(np.concatenate([np.linspace(0, 1, 129), np.concatenate(x) / 1024])) for x in (inside, ends)]
    finer = [np.sort(np.concatenate([x, (x[1:] + x[:-1]) / 2])) for x in axes]
    truth = media.finite_volumes(problem.operator.coefficient_at, 10, finer)
    places = [np.searchsorted(x, np.linspace(0, 1, 129) - 1e-12) for x in finer]
    # from one grid to the next, the truth changes by 3.3e-4
    assert_covered(found, truth[np.ix_(*places)], most=1e-3, own=3e-4)


@pytest.mark.slow
def test_large_cube_has_a_fine_solution(tmp_path: Path, references: Path) -> None:
    """The degree comes down by itself, and the note says so."""
    problem = field_problem(tmp_path, media.blobs((64, 64, 64), 4, 0.4), "exp(log(10)*field)")
    found = reference(problem, FEMReference(), 41, references)
    assert found.error_estimate is not None
    assert found.error_estimate < 0.1
    assert any("reference.degree=4" in note for note in found.notes)


def test_nonlinear_solutions_have_estimates(make_problem: MakeProblem, references: Path) -> None:
    text = "1 + (1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps))*u**2"
    problem = make_problem(text, eps=0.25, forcing="50")
    found = reference(problem, FEMReference(min_cells=24), 41, references)
    truth = reference(problem, replace(FEMReference(), degree=6, min_cells=32), 41, references)
    assert found.error_estimate is not None
    assert relative_l2(found.fine, truth.fine) <= found.error_estimate + (truth.error_estimate or 0.0)
    assert found.homogenized_error_estimate is not None
    assert found.homogenized_error_estimate < 1e-4
    assert found.cell_problem_error_estimate is not None
    assert found.cell_problem_error_estimate < 1e-8
    assert found.mean_coefficient_error_estimate is not None
