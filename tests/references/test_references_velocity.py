"""Velocities: the cell problem, the correctors, u_0 and the finite elements against what is known."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manufactured import with_solution
from orders import assert_orders, relative_l2

from homog.config import FEMReference, FeynmanKacReference, HomogenizedReference
from homog.domains import Box
from homog.equation import Problem
from homog.equation.lengths import shortest_length
from homog.equation.velocities import parts_of_velocity
from homog.formula import parse
from homog.formula.parse import symbol
from homog.references import effective_tensor, reference
from homog.references.cell import correctors_of
from homog.references.feynman_kac import fine_solution
from homog.timesteps.timestep import TimeSteps
from homog.walkers import Scheme, Walkers, stream_key

with_dolfinx = pytest.mark.skipif(importlib.util.find_spec("dolfinx") is None, reason="dolfinx is not installed")

MakeProblem = Callable[..., Problem]

SPREADING = ["6 + 8*x1**2 - 4*x2", "5*x1 - 12*x2"]
SOLUTION = "sin(3*x1 + 1)*cos(3*x2)"
OSCILLATING = "1.1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"


def cells(peclet: float) -> list[str]:
    """b = Pe/eps curl of sin sin / (2 pi): cells that turn, of a length and a diffusivity of one in units of eps."""
    wave = "2*pi*x1/eps", "2*pi*x2/eps"
    return [f"{peclet}/eps*sin({wave[0]})*cos({wave[1]})", f"-{peclet}/eps*cos({wave[0]})*sin({wave[1]})"]


@pytest.mark.parametrize(("peclet", "known"), [(10, 1.274), (50, 3.043), (200, 6.057)])
def test_cells_that_turn(make_problem: MakeProblem, peclet: float, known: float) -> None:
    """The numbers are those of walkers and of another program, to the digits shown."""
    tensor, error = effective_tensor(make_problem("1", 0.1, velocity=cells(peclet)))
    assert error < 1e-9
    np.testing.assert_allclose(tensor, known * np.eye(2), rtol=0, atol=6e-4)


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_shear_flow(make_problem: MakeProblem, dimension: int) -> None:
    """chi_1 = -Pe sin / (4 pi^2), chi'_1 of -b its negative: 1 + Pe^2 / (8 pi^2), and a delay of -2 <chi_1^2>."""
    velocity = ["20/eps*sin(2*pi*x2/eps)", *["0"] * (dimension - 1)]
    problem = make_problem("1", 0.1, dimension, velocity=velocity)
    tensor, error = effective_tensor(problem)
    exact = np.eye(dimension)
    exact[0, 0] += 400 / (8 * np.pi**2)
    assert error < 1e-12
    np.testing.assert_allclose(tensor, exact, rtol=0, atol=1e-12)
    found = correctors_of(problem)
    lag = np.zeros((dimension, dimension))
    lag[0, 0] = -400 * 0.1**2 / (16 * np.pi**4)
    np.testing.assert_allclose(found.delay, lag, rtol=0, atol=1e-12)
    points = np.random.default_rng(0).random((1000, dimension)) * 0.1
    chi = -20 * 0.1 / (4 * np.pi**2) * np.sin(2 * np.pi * points[:, 1] / 0.1)
    size = found.values.shape[1]
    np.testing.assert_allclose(found.at(points)[0], chi, rtol=0, atol=5 / size**2 * np.abs(chi).max())
    assert found.lack < 1e-12


def test_a_small_velocity_leaves_what_there_is_without(make_problem: MakeProblem) -> None:
    for coefficient in (OSCILLATING, [[OSCILLATING, "0.2"], ["0.2", "1"]]):
        without, with_it = make_problem(coefficient, 0.1), make_problem(coefficient, 0.1, velocity=cells(1e-7))
        assert with_it.stirs
        np.testing.assert_allclose(effective_tensor(with_it)[0], effective_tensor(without)[0], rtol=0, atol=1e-9)
        lags = correctors_of(without).delay
        np.testing.assert_allclose(correctors_of(with_it).delay, lags, rtol=0, atol=1e-3 * np.abs(lags).max())


def test_x_plus_chi_is_a_martingale_of_the_walkers(make_problem: MakeProblem, kernels: Path) -> None:
    """The mean of chi(X) + X - x - chi(x) vanishes at each x: z-scores of its means over walkers have a mean square
    of one, of 128 numbers 1 +- 0.125.
    """
    problem = make_problem(OSCILLATING, 1.0, velocity=cells(20))
    wide = problem.but(domain=Box((-50.0, -50.0), (50.0, 50.0)))
    chi = correctors_of(problem)
    points = Box((0.0, 0.0), (1.0, 1.0)).spread(64, np.random.default_rng(0))
    walk = Walkers(wide, Scheme(), kernels).walk(points, 8192, TimeSteps(1.25e-5, 800, 1, 1), stream_key(0, 0))
    moved = np.moveaxis(walk.displacement.astype(float), 0, -1)
    ends = (points[:, None] + moved).reshape(-1, 2)
    moved += (chi.at(ends).T - np.repeat(chi.at(points).T, 8192, axis=0)).reshape(moved.shape)
    z = moved.mean(1) / (moved.std(1) / np.sqrt(moved.shape[1]))
    assert np.mean(z**2) < 1.5
    plain = np.moveaxis(walk.displacement.astype(float), 0, -1)
    assert np.mean((plain.mean(1) / (plain.std(1) / np.sqrt(8192))) ** 2) > 100


def test_a_velocity_falls_into_what_stirs_and_what_carries(make_problem: MakeProblem) -> None:
    def parts(velocity: Sequence[str] | None, coefficient: str = OSCILLATING) -> Any:
        return parts_of_velocity(make_problem(coefficient, 0.1, velocity=velocity))

    assert parts(None) == (None, None)
    stirring, carrying = parts(cells(5))
    assert [part.text for part in stirring] == cells(5)
    assert carrying is None
    stirring, carrying = parts(SPREADING)
    assert stirring is None
    assert [part.text for part in carrying] == SPREADING
    stirring, carrying = parts([f"3 + {cells(5)[0]}", cells(5)[1]])
    assert [float(part.expression) for part in carrying] == pytest.approx([3, 0], abs=1e-12)
    assert float((stirring[0].expression - parse(cells(5)[0], 2, ("eps",)).expression).simplify()) == pytest.approx(0)
    stirring, carrying = parts(["1/eps", "2"])
    assert stirring is None
    assert [float(part.expression) for part in carrying] == pytest.approx([10, 2])
    assert parts(["1 + sin(2*pi*x1/eps)", "0"]) is None  # a divergence
    assert parts(["sin(x2/eps)", "0"]) is None  # another period


def test_lengths_know_the_layers(make_problem: MakeProblem) -> None:
    assert shortest_length(make_problem(OSCILLATING)).layers == (0.0, 0.0)
    found = shortest_length(make_problem(["2", "0.5"], velocity=["100*x2", "-30"]))
    assert found.layers == pytest.approx((50, 60), rel=1e-3)
    assert shortest_length(make_problem("1", 0.1, velocity=cells(5))).data_waves == pytest.approx((20 * np.pi,) * 2)


@with_dolfinx
@pytest.mark.parametrize(
    ("coefficient", "walls", "reaction"),
    [
        ("1", None, None),
        ("1.5 + x1*x2", ("robin", "flux", "value", "value"), "3"),
        ([["2", "0.7*x1"], ["0.7*x1", "1 + x2"]], ("value", "value", "robin", "value"), None),
    ],
    ids=str,
)
def test_orders_of_the_elements(
    make_problem: MakeProblem, references: Path, coefficient: Any, walls: Any, reaction: str | None
) -> None:
    problem = with_solution(make_problem(), coefficient, SOLUTION, walls=walls, velocity=SPREADING, reaction=reaction)
    assert_orders(problem, references, SOLUTION)


@with_dolfinx
@pytest.mark.parametrize("coefficient", ["1", "2 + u**2 + x1"])
def test_orders_where_the_velocity_depends_on_u(make_problem: MakeProblem, references: Path, coefficient: str) -> None:
    of_u = tuple(parse(text, 2, ("u",)) for text in ("6*u + 8*x1**2 - 4*x2", "5*x1 - 12*sin(u)"))
    u = parse(SOLUTION, 2).expression
    there = [str(part.expression.xreplace({symbol("u"): u})) for part in of_u]
    problem = with_solution(make_problem(), coefficient, SOLUTION, velocity=there)
    assert_orders(problem.but(operator=replace(problem.operator, velocity=of_u)), references, SOLUTION)


@with_dolfinx
def test_a_layer_in_one_dimension(references: Path) -> None:
    """-e u'' + u' = 1: u = x - (exp((x - 1)/e) - exp(-1/e)) / (1 - exp(-1/e)), a layer of width e."""
    e = 1e-3
    problem = Problem(f"{e}", forcing="1", velocity=["1"], domain=Box((0.0,), (1.0,)))
    found = reference(problem, FEMReference(min_cells=4), 4001, references)
    assert found.places.axes is not None
    x = found.places.axes[0]
    exact = x - (np.exp((x - 1) / e) - np.exp(-1 / e)) / (1 - np.exp(-1 / e))
    assert found.error_estimate is not None
    assert relative_l2(found.fine, exact) < found.error_estimate < 1e-3
    assert relative_l2(found.homogenized, exact) < 1e-3


@with_dolfinx
def test_a_strong_velocity_is_solved_whatever_the_mesh(make_problem: MakeProblem, references: Path) -> None:
    """Multigrid with smoothed aggregates would end with solutions ten times as large."""
    problem = make_problem("1", forcing="10", velocity=["200", "70"])
    found = reference(problem, FEMReference(min_cells=24), 101, references)
    assert found.error_estimate is not None
    assert found.error_estimate < 1e-2
    assert found.homogenized_error_estimate is not None
    apart = relative_l2(found.homogenized, found.fine)
    assert apart < found.error_estimate + found.homogenized_error_estimate < 2e-2


@with_dolfinx
@pytest.mark.parametrize(
    ("coefficient", "eps", "velocity", "low", "high"),
    [
        (OSCILLATING, 0.05, SPREADING, 2e-3, 1.5e-2),
        ("1", 0.1, cells(10), 2e-2, 3e-2),
        ("1", 0.1, cells(50), 4e-2, 6.5e-2),
        ("1", 0.1, [f"5 + {cells(20)[0]}", cells(20)[1]], 2e-2, 6e-2),
    ],
    ids=["slow", "cells of 10", "cells of 50", "cells of 20 that drift"],
)
def test_u_0_is_close_to_u_eps(
    make_problem: MakeProblem,
    references: Path,
    coefficient: str,
    eps: float,
    velocity: list[str],
    low: float,
    high: float,
) -> None:
    """The distance is of the order of eps; with the mean coefficient it is several times as large."""
    found = reference(make_problem(coefficient, eps, velocity=velocity), FEMReference(min_cells=40), 101, references)
    assert found.error_estimate is not None
    assert found.error_estimate < 2e-3
    assert low < relative_l2(found.homogenized, found.fine) < high
    assert relative_l2(found.mean_coefficient, found.fine) > 4 * relative_l2(found.homogenized, found.fine)
    assert found.notes == ()


@with_dolfinx
def test_without_such_parts_there_is_no_limit(make_problem: MakeProblem, references: Path) -> None:
    problem = make_problem("1", 0.2, velocity=["1 + sin(2*pi*x1/eps)", "0"])
    found = reference(problem, FEMReference(min_cells=8), 21, references)
    assert found.homogenized is None
    assert found.mean_coefficient is None
    assert found.fine is not None
    assert any("neither u_0 nor u_mean" in note for note in found.notes)


@with_dolfinx
def test_a_flow_through_a_face_with_a_flux_has_no_u_0(make_problem: MakeProblem, references: Path) -> None:
    along = {"x1": {"value": 0}, "x2": {"flux": 0}}
    shifted = [text.replace("x2/eps", "(x2/eps + 0.1)") for text in cells(10)]
    for velocity, known in ((cells(10), True), (shifted, False)):
        problem = make_problem("1", 0.2, boundary=along, velocity=velocity)
        found = reference(problem, HomogenizedReference(), 21, references)
        assert (found.homogenized is not None) == known
        assert any("through a face" in note for note in found.notes) != known


def test_walks_to_the_boundary_are_carried(make_problem: MakeProblem, kernels: Path, references: Path) -> None:
    """u = prod sin pi x_i in four dimensions."""
    base, sines = make_problem("1", dimension=4), "*".join(f"sin(pi*x{i + 1})" for i in range(4))
    problem = with_solution(base, "1", sines, velocity=["3", "x1", "-2", "0"])
    points = problem.domain.spread(128, np.random.default_rng(0))
    found = fine_solution(problem.but(scale=0.3), points, 512, 12.0, 1e9, kernels)
    assert found is not None
    exact = np.sin(np.pi * points).prod(1)
    assert 0.6 < np.mean((found.values - exact) ** 2) / np.mean(found.standard_error**2) < 1.6
    slow = make_problem("1", dimension=4, velocity=["3", "x1", "-2", "0"])
    seen = reference(slow, FeynmanKacReference(points=16, walkers=16, most_steps=0), 64, references)
    assert seen.homogenized is None
    assert any("a velocity in the limit" in note for note in seen.notes)
