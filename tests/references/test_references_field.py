"""Coefficients made of a field on a grid: against the formula that the field was drawn from."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from homog.config import FEMReference, HomogenizedReference
from homog.domains import tensor_grid
from homog.equation import Problem
from homog.fields.splines import Spline, interpolate
from homog.formula import parse
from homog.references import effective_tensor, process, reference
from homog.references.cell import cell_sides
from homog.references.fem import System
from homog.references.lattice import Lattice
from homog.references.laws import FineLaw
from homog.references.mean import mean_coefficient
from homog.references.resolution import fine_lattices

MakeProblem = Callable[..., Problem]

FORMULA = "1 + sin(2*pi*x1)*cos(2*pi*x2)/2"
needs_dolfinx = pytest.mark.skipif(importlib.util.find_spec("dolfinx") is None, reason="dolfinx is not installed")


def with_field(problem: Problem, field: Spline, coefficient: str = "field") -> Problem:
    formula = parse(coefficient, problem.dimension, ("eps", "u", "field"))
    operator = replace(problem.operator, coefficient=formula, field=field)
    return problem.but(operator=operator, scale=0.25, cell=None)


@pytest.fixture
def field(make_problem: MakeProblem) -> Spline:
    """Through 64 x 64 values of the formula: 1e-6 off."""
    axes = [np.arange(64) / 64] * 2
    values = make_problem(FORMULA).operator.coefficient_at(tensor_grid(axes))
    return interpolate(values, (0.0, 0.0), (1.0, 1.0), periodic=True)


@pytest.fixture
def open_field(make_problem: MakeProblem) -> Spline:
    values = make_problem(FORMULA).operator.coefficient_at(tensor_grid([np.linspace(0, 1, 65)] * 2))
    return interpolate(values, (0.0, 0.0), (1.0, 1.0))


def relative_l2(values: np.ndarray | None, truth: np.ndarray | None) -> float:
    assert values is not None
    assert truth is not None
    return float(np.linalg.norm(values - truth) / np.linalg.norm(truth))


def test_field_that_continues_itself_is_a_cell(make_problem: MakeProblem, field: Spline, open_field: Spline) -> None:
    problem = with_field(make_problem(), field)
    np.testing.assert_array_equal(cell_sides(problem), [1, 1])
    assert cell_sides(with_field(make_problem(), open_field)) is None
    assert cell_sides(with_field(make_problem(), field, "field + x1")) is None
    formula = make_problem("1 + sin(2*pi*x1/eps)*cos(2*pi*x2/eps)/2", eps=1)
    np.testing.assert_allclose(effective_tensor(problem)[0], effective_tensor(formula)[0], rtol=0, atol=1e-6)
    assert mean_coefficient(problem)[0] == pytest.approx(1, abs=1e-12)  # splines keep the mean of a period


def test_cell_may_be_longer_than_wide(make_problem: MakeProblem) -> None:
    """A laminate on a 2 x 1 cell: sqrt(3) across, 2 along, on either axis."""
    problem = make_problem()
    problem = problem.but(domain=replace(problem.domain, upper=(2.0, 1.0)))
    for axis in (0, 1):
        along = 2 + np.sin(2 * np.pi * np.arange(128) / 128)
        values = np.broadcast_to(along[:, None] if axis == 0 else along, (128, 128))
        found, _ = effective_tensor(with_field(problem, interpolate(values, (0.0, 0.0), (2.0, 1.0), periodic=True)))
        expected = np.array([2.0, 2.0])
        expected[axis] = np.sqrt(3)
        np.testing.assert_allclose(found, np.diag(expected), rtol=0, atol=1e-6)


def test_cells_follow_the_fields_scale(make_problem: MakeProblem, field: Spline) -> None:
    def cells(scale: float) -> tuple[int, ...]:
        found = fine_lattices(with_field(make_problem(), field).but(scale=scale), FEMReference())
        assert found
        return found[0].cells

    assert cells(0.25) == (120, 120)
    assert cells(0.0135) == (297, 297)


LATTICE = Lattice((0.0, 0.0), (1.0, 1.0), (16, 16), 3)


@needs_dolfinx
def test_field_solves_like_its_formula(make_problem: MakeProblem, field: Spline, references: Path) -> None:
    formula = make_problem(FORMULA)
    (nodal,) = process.solve(formula, [System(LATTICE, FineLaw(formula))], references)
    settings = FEMReference(degree=3, cells_per_period=4, min_cells=16)
    found = reference(with_field(make_problem(), field), settings, 41, references)
    # the spline's own error, in relation to a
    assert relative_l2(found.fine, LATTICE.interpolate(nodal, found.axes)) < 3e-6
    assert found.homogenized is not None
    assert found.mean_coefficient is not None
    assert found.notes == ("u_0 has the a* of the whole field as one period",)


@needs_dolfinx
def test_field_may_meet_the_solution(make_problem: MakeProblem, open_field: Spline, references: Path) -> None:
    formula = make_problem(f"1 + ({FORMULA})*u**2", forcing="50")
    problem = with_field(formula, open_field, "1 + field*u**2")
    (expected,), (nodal,) = (
        process.solve(either, [System(LATTICE, FineLaw(either))], references) for either in (formula, problem)
    )
    assert relative_l2(nodal, expected) < 3e-6
    found = reference(problem, HomogenizedReference(), 11, references)
    assert found.homogenized is None
    assert any("no u_0" in note for note in found.notes)
