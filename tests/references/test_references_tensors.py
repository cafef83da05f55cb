"""Coefficients that are matrices: the cell problem, the means and the finite elements against what is known."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from manufactured import with_solution
from orders import assert_orders, relative_l2

from homog.config import CompositeField, FEMReference, FeynmanKacReference, HomogenizedReference
from homog.domains import Box, tensor_grid
from homog.equation import Problem
from homog.equation.lengths import shortest_length
from homog.errors import UserError
from homog.references import effective_tensor, process, reference
from homog.references.cell import correctors_of
from homog.references.element_cell import element_bounds
from homog.references.estimates import _excess
from homog.references.fem import System
from homog.references.lattice import Lattice
from homog.references.laws import FineLaw
from homog.references.mean import mean_coefficient, mean_on_limit, mean_on_solution
from homog.references.tensor_of_u import tensors_between

with_dolfinx = pytest.mark.skipif(importlib.util.find_spec("dolfinx") is None, reason="dolfinx is not installed")

MakeProblem = Callable[..., Problem]

FULL = [
    ["1.2 + 0.7*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", "0.35*cos(2*pi*(x1 + x2)/eps)"],
    ["0.35*cos(2*pi*(x1 + x2)/eps)", "0.9 + 0.4*sin(2*pi*(x1 - x2)/eps)"],
]
PHASES = np.arange(4096) / 4096


def turned(first: str, second: str, angle: float) -> list[list[str]]:
    """diag(first, second) in axes that are turned by an angle."""
    c, s = np.cos(angle), np.sin(angle)
    mixed = f"{c * s}*({first}) - {c * s}*({second})"
    return [[f"{c**2}*({first}) + {s**2}*({second})", mixed], [mixed, f"{s**2}*({first}) + {c**2}*({second})"]]


def rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def laminate(values: np.ndarray) -> np.ndarray:
    """a* of layers across x1, from A at equidistant phases of a period, shape (n, d, d)."""
    across = 1 / np.mean(1 / values[:, 0, 0])
    ratio = values[:, 0] / values[:, :1, 0]
    mixed = across * ratio.mean(0)  # a*_1j, with a*_11 among them
    rest = values - ratio[:, :, None] * values[:, :1]
    return rest.mean(0) + np.outer(mixed, mixed) / across


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.8, 2.0])
def test_layers_of_a_full_matrix(make_problem: MakeProblem, angle: float) -> None:
    problem = make_problem(turned("2 + sin(2*pi*x1/eps)", "1 + 0.5*cos(2*pi*x1/eps)", angle))
    along, across = 2 + np.sin(2 * np.pi * PHASES), 1 + 0.5 * np.cos(2 * np.pi * PHASES)
    turn, diagonal = rotation(angle), np.stack([along, across], axis=-1)
    exact = laminate(np.einsum("ij,nj,kj->nik", turn, diagonal, turn))
    tensor, error = effective_tensor(problem)
    assert error < 1e-9
    np.testing.assert_allclose(tensor, exact, rtol=0, atol=1e-9)
    assert tensor[0, 1] == tensor[1, 0]


def test_layers_in_three_dimensions(make_problem: MakeProblem) -> None:
    rows = [
        ["2 + sin(2*pi*x1/eps)", "0.5*cos(2*pi*x1/eps)", "0.3"],
        ["0.5*cos(2*pi*x1/eps)", "1.5", "0.2*sin(2*pi*x1/eps)"],
        ["0.3", "0.2*sin(2*pi*x1/eps)", "1 + 0.4*sin(2*pi*x1/eps)"],
    ]
    s, c = np.sin(2 * np.pi * PHASES), np.cos(2 * np.pi * PHASES)
    one = np.ones_like(s)
    values = np.array([[2 + s, 0.5 * c, 0.3 * one], [0.5 * c, 1.5 * one, 0.2 * s], [0.3 * one, 0.2 * s, 1 + 0.4 * s]])
    tensor, error = effective_tensor(make_problem(rows, dimension=3))
    assert error < 1e-9
    np.testing.assert_allclose(tensor, laminate(np.moveaxis(values, -1, 0)), rtol=0, atol=1e-9)


@pytest.mark.parametrize("dimension", [2, 3, 4])
def test_a_constant_matrix_is_its_own_limit(make_problem: MakeProblem, dimension: int) -> None:
    matrix = np.eye(dimension) + 0.3 * np.ones((dimension, dimension)) + np.diag(np.arange(dimension))
    problem = make_problem([[str(entry) for entry in row] for row in matrix], dimension=dimension)
    tensor, error = effective_tensor(problem)
    np.testing.assert_allclose(tensor, matrix, rtol=0, atol=1e-13)
    assert error < 1e-13
    mean, error = mean_coefficient(problem)
    np.testing.assert_allclose(mean, matrix, rtol=0, atol=1e-11)  # by half a million points in four dimensions
    assert error < 1e-11


def test_a_matrix_that_varies_along_both_axes(make_problem: MakeProblem) -> None:
    """By FEM with periodic elements, to the digits shown."""
    tensor, error = effective_tensor(make_problem(FULL))
    assert error < 1e-9
    np.testing.assert_allclose(tensor, [[1.1037, 0.0053], [0.0053, 0.8275]], rtol=0, atol=5e-5)


def test_equal_entries_are_a_number(make_problem: MakeProblem) -> None:
    number = "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
    one, other = (effective_tensor(make_problem(given)) for given in (number, [number, number]))
    np.testing.assert_allclose(other[0], one[0], rtol=0, atol=1e-9)
    one, other = (shortest_length(make_problem(given)) for given in (number, [number, number]))
    np.testing.assert_array_equal(other.of_coefficient, one.of_coefficient)


def test_a_high_contrast_is_left_to_elements(make_problem: MakeProblem) -> None:
    """exp(k sin sin) M with a constant M of determinant one has det a* = 1, as A / det A is A half a period on.

    Then a* = a* / det a* (Keller 1964). Beside that the same by layers, of contrast 1e5.
    """
    wave = "exp(9*sin(2*pi*x1/eps)*sin(2*pi*x2/eps))"
    tensor, error = effective_tensor(make_problem([[f"2*{wave}", wave], [wave, wave]]))
    assert error < 1e-7
    assert np.linalg.det(tensor) == pytest.approx(1, abs=3 * error)
    layers = "exp(6*sin(2*pi*x1/eps))"
    tensor, error = effective_tensor(make_problem(turned(layers, "1", 0.5)))
    turn, diagonal = rotation(0.5), np.stack([np.exp(6 * np.sin(2 * np.pi * PHASES)), np.ones(4096)], axis=-1)
    exact = laminate(np.einsum("ij,nj,kj->nik", turn, diagonal, turn))
    assert error < 1e-6
    np.testing.assert_allclose(tensor, exact, rtol=2 * error, atol=0)


def test_elements_find_what_trigonometric_polynomials_do(make_problem: MakeProblem) -> None:
    problem = make_problem(FULL, eps=1.0)
    edges = [np.linspace(0, 1, 17)] * 2
    bounds = element_bounds(problem.operator.tensor_at, edges)
    assert bounds.gap < 1e-8
    np.testing.assert_allclose(bounds.middle, effective_tensor(problem)[0], rtol=0, atol=1e-8)


def test_the_trace_hides_nothing_of_the_lengths(make_problem: MakeProblem) -> None:
    """2 + s and 2 - s have a constant sum, and the same lengths."""
    matrix = make_problem(["2 + sin(2*pi*x1/eps)", "2 - sin(2*pi*x1/eps)"])
    assert not matrix.operator.coefficient.names
    one, other = shortest_length(matrix), shortest_length(make_problem("2 + sin(2*pi*x1/eps)"))
    np.testing.assert_allclose(one.of_coefficient, other.of_coefficient, rtol=1e-3)
    assert one.waves == other.waves
    for found, expected in zip(one.slopes, other.slopes, strict=True):
        assert found.largest == pytest.approx(expected.largest, rel=1e-3)


def test_a_small_eigenvalue_is_seen(make_problem: MakeProblem) -> None:
    """In axes turned by 45 degrees the entries of diag(1, q) hardly vary for small q, and log q does."""
    problem = make_problem(turned("1", "1e-4*exp(3*sin(2*pi*x1/eps))", np.pi / 4))
    slopes = shortest_length(problem).slopes[0].largest
    assert slopes == pytest.approx(3 * 2 * np.pi / 0.05 / 2, rel=0.02)  # of log det A / 2


def test_correctors_are_those_of_layers(make_problem: MakeProblem) -> None:
    """chi_1' = harmonic / p - 1 and chi_2 = 0 of diag(p, q); walkers lag behind by 2 <(p + q)/2 chi^2>."""
    correctors = correctors_of(make_problem(["2 + sin(2*pi*x1/eps)", "3 + cos(2*pi*x1/eps)"], eps=1.0))
    first, second = 2 + np.sin(2 * np.pi * PHASES), 3 + np.cos(2 * np.pi * PHASES)
    slope = np.sqrt(3) / first - 1
    waves = 2j * np.pi * np.fft.rfftfreq(PHASES.size, 1 / PHASES.size)
    waves[0] = 1
    chi = np.fft.irfft(np.fft.rfft(slope) / waves)
    found = correctors.at(np.stack([PHASES, np.full_like(PHASES, 0.3)], axis=-1))
    np.testing.assert_allclose(found[0] - found[0].mean(), chi, rtol=0, atol=2e-4 * np.abs(chi).max())
    np.testing.assert_allclose(found[1] - found[1].mean(), 0, atol=1e-9)
    weight = (first + second) / 2
    chi -= np.average(chi, weights=weight)
    np.testing.assert_allclose(correctors.delay, 2 * np.diag([np.mean(weight * chi**2), 0]), rtol=0, atol=1e-9)
    assert correctors.lack < 1e-9


def test_correctors_of_a_multiple_of_the_unit_matrix_are_those_of_the_number(make_problem: MakeProblem) -> None:
    number = "2 + sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
    points = np.random.default_rng(0).random((1000, 2))
    found = [correctors_of(make_problem(given)) for given in (number, [number, number])]
    one, other = (some.at(points) - some.at(points).mean(1)[:, None] for some in found)
    np.testing.assert_allclose(other, one, rtol=0, atol=1e-3 * np.abs(one).max())  # the number's are of 256 voxels
    np.testing.assert_allclose(found[1].delay, found[0].delay, rtol=0, atol=1e-3 * found[0].delay[0, 0])


def test_a_tensor_at_each_u(make_problem: MakeProblem) -> None:
    problem = make_problem(turned("2 + u**2 + sin(2*pi*x1/eps)", "1 + u*cos(2*pi*x1/eps)/4", 0.4))
    values, tensors, change = tensors_between(problem, -1, 1)
    assert change < 1e-9
    turn, s, c = rotation(0.4), np.sin(2 * np.pi * PHASES), np.cos(2 * np.pi * PHASES)
    for u, tensor in zip(values, tensors, strict=True):
        diagonal = np.stack([2 + u**2 + s, 1 + u * c / 4], axis=-1)
        np.testing.assert_allclose(
            tensor, laminate(np.einsum("ij,nj,kj->nik", turn, diagonal, turn)), rtol=0, atol=1e-8
        )


def test_the_mean_is_that_of_each_entry(make_problem: MakeProblem) -> None:
    mean, error = mean_coefficient(make_problem(FULL))
    np.testing.assert_allclose(mean, np.diag([1.2, 0.9]), rtol=0, atol=1e-12)
    assert error < 1e-12
    mean, _ = mean_coefficient(make_problem([["2 + x1**2", "x1*x2"], ["x1*x2", "3"]]))
    np.testing.assert_allclose(mean, [[7 / 3, 1 / 4], [1 / 4, 3]], rtol=0, atol=1e-13)
    mean, error = mean_coefficient(make_problem(["1 + x1", "2", "3", "4 + x4*x1"], dimension=4))
    np.testing.assert_allclose(mean, np.diag([1.5, 2, 3, 4.25]), rtol=0, atol=1e-3)
    assert error < 1e-3


def test_the_mean_on_a_solution_is_that_of_each_entry(make_problem: MakeProblem) -> None:
    """u = x1 x2: the means of u, u^2 and 2 + s u^2 are 1/4, 1/9 and 2 for layers in the limit."""

    def u(axes: Sequence[np.ndarray]) -> np.ndarray:
        return np.prod(tensor_grid(axes), axis=-1)

    exact = np.array([[2, 1 / 4], [1 / 4, 3 + 1 / 9]])
    matrix = [["2 + sin(2*pi*x1/eps)*u**2", "u"], ["u", "3 + u**2"]]
    np.testing.assert_allclose(mean_on_limit(make_problem(matrix, eps=1e-5), u), exact, rtol=0, atol=1e-10)
    exact[0, 0] -= 0.05 / (2 * np.pi) / 3  # see the same of a number
    np.testing.assert_allclose(mean_on_solution(make_problem(matrix), u), exact, rtol=0, atol=1e-10)


def test_what_cells_hide_is_seen_in_the_worst_direction() -> None:
    """Half diag(1, 3), half diag(3, 1): the means are 2 and 3/2, though the trace is constant."""
    values = np.zeros((4, 4, 2, 2))
    values[:2], values[2:] = np.diag([1.0, 3.0]), np.diag([3.0, 1.0])
    assert _excess(values, 2) == pytest.approx(1 / 3)


@with_dolfinx
@pytest.mark.parametrize(
    "matrix",
    [
        [["2", "0.7"], ["0.7", "1"]],
        [["2 + x1*x2", "0.5*sin(3*x1)"], ["0.5*sin(3*x1)", "1 + x2**2"]],
    ],
    ids=["constant", "varying"],
)
def test_orders_of_the_elements(make_problem: MakeProblem, references: Path, matrix: list[list[str]]) -> None:
    assert_orders(with_solution(make_problem(), matrix, "sin(pi*x1)*sin(pi*x2)"), references)


@with_dolfinx
def test_orders_where_the_matrix_depends_on_u(make_problem: MakeProblem, references: Path) -> None:
    matrix = [["2 + u**2", "0.5*sin(u)"], ["0.5*sin(u)", "1 + x1*u"]]
    assert_orders(with_solution(make_problem(), matrix, "sin(2*x1)*exp(x2) + x1"), references)


@with_dolfinx
def test_a_diagonal_matrix_is_a_number_on_a_stretched_axis(references: Path) -> None:
    """-div(diag(2, 1) grad u) = f is -Lap v = f for v(y) = u(root(2) y1, y2)."""
    matrix = Problem(["2", "1"], forcing="1 + x1*x2")
    number = Problem("1", forcing="1 + sqrt(2)*x1*x2", domain=Box((0.0, 0.0), (2**-0.5, 1.0)))
    found = []
    for problem in (matrix, number):
        lattice = Lattice(problem.domain.lower, problem.domain.upper, (8, 8), 4)
        found += process.solve(problem, [System(lattice, FineLaw(problem))], references)
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-8 * np.abs(found[1]).max())


@with_dolfinx
@pytest.mark.parametrize("number", ["1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", "2 + u**2 + sin(2*pi*x1/eps)"])
def test_equal_entries_have_the_references_of_the_number(
    make_problem: MakeProblem, references: Path, number: str
) -> None:
    one, other = (
        reference(make_problem(given, eps=0.2), FEMReference(min_cells=24), 41, references)
        for given in (number, [number, number])
    )
    for name in ("fine", "homogenized", "mean_coefficient"):
        assert relative_l2(getattr(other, name), getattr(one, name)) < 1e-7, name  # Newton's and Krylov's tolerance
    assert other.mean == pytest.approx(one.mean, rel=1e-9)
    assert other.unknowns == one.unknowns
    assert other.error_estimate == pytest.approx(one.error_estimate, rel=1e-3)
    assert other.notes == one.notes


@with_dolfinx
def test_u_mean_has_the_mean_matrix(make_problem: MakeProblem, references: Path) -> None:
    found = reference(make_problem(FULL), HomogenizedReference(), 41, references)
    mean = reference(make_problem(["1.2", "0.9"]), HomogenizedReference(), 41, references)
    assert found.effective_tensor is not None
    tensor = [[repr(entry) for entry in row] for row in found.effective_tensor.tolist()]
    limit = reference(make_problem(tensor), HomogenizedReference(), 41, references)
    assert relative_l2(found.mean_coefficient, mean.homogenized) < 1e-7
    assert relative_l2(found.homogenized, limit.mean_coefficient) < 1e-7
    assert found.mean == pytest.approx((1.2 + 0.9) / 2)


def test_u_0_by_walks_where_a_matrix_is_diagonal(make_problem: MakeProblem, references: Path) -> None:
    """u is the product of the sines, on the four axes of a box."""
    sines = "*".join(f"sin(pi*x{i + 1})" for i in range(4))
    problem = make_problem(["1", "2", "1", "3"], dimension=4, forcing=f"7*pi**2*{sines}")
    found = reference(problem, FeynmanKacReference(points=128, walkers=512, most_steps=0), 64, references)
    exact = np.sin(np.pi * found.places.points).prod(1)
    assert found.homogenized is not None
    assert found.homogenized_standard_error is not None
    score = np.mean((found.homogenized - exact) ** 2) / np.mean(found.homogenized_standard_error**2)
    assert 0.5 < score < 1.7
    assert found.mean_coefficient is None
    assert any("u_mean" in note for note in found.notes)


def test_a_period_of_the_trace_is_not_one_of_the_matrix(make_problem: MakeProblem) -> None:
    assert make_problem(["2 + sin(x1)", "2 - sin(x1)"]).cell is None
    assert make_problem(["2 + sin(2*pi*x1/eps)", "2 - sin(2*pi*x1/eps)"]).cell is not None


def test_a_matrix_of_a_field_that_jumps_is_refused() -> None:
    with pytest.raises(UserError, match="jumps with the field"):
        Problem(["2 + field", "1"], forcing="1", field=CompositeField(), eps=0.1)


def test_an_entry_that_does_not_go_on_across_a_periodic_face_is_refused(make_problem: MakeProblem) -> None:
    faces = {"x1": "periodic", "x2": {"value": "0"}}
    with pytest.raises(UserError, match=r"has the entry a12 = 0 .* 0\.5 across x1"):
        make_problem([["1", "x1/2"], ["x1/2", "1"]], boundary=faces)
