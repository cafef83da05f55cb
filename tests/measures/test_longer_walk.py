"""The error that a longer walk finds, against errors that are known."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from homog.config import BoundsTimeStep
from homog.measures.longer_walk import LongerWalk, longer_walk
from homog.run import outcome
from homog.timesteps.timestep import time_steps


class Given(nn.Module):
    """An answer that is a formula."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * self.function(x)


def torsion(x: torch.Tensor) -> torch.Tensor:
    """-lap u = 10 in the unit square, by its sine series."""
    k = torch.arange(1, 40, 2, dtype=x.dtype)
    sines = [torch.sin(torch.pi * k * x[..., i, None]) / k for i in (0, 1)]
    rows, columns = k[:, None] ** 2, k[None, :] ** 2
    return 160 / torch.pi**4 * torch.einsum("...i,ij,...j->...", sines[0], 1 / (rows + columns), sines[1])


def checked(problem, answer, kernels: Path, seed: int = 0, affordable: float = math.inf) -> LongerWalk:
    steps = time_steps(BoundsTimeStep(macro_factor=1.0), problem.dimension, problem.scale)
    return longer_walk(Given(answer), problem, steps, 12.0, seed, kernels, affordable)


@pytest.mark.parametrize("factor", [0.01, 0.5, 0.95, 1.05, 1.5, 10.0])
def test_an_answer_that_is_too_small_or_too_large_is_told_so(make_problem, kernels: Path, factor: float):
    """Relative to the exact solution, and not to the answer: one that is 0.01 of it is 99 % off.

    The noise is in the corrected answer too, by which the error is divided.
    """
    found = checked(make_problem("1"), lambda x: factor * torsion(x), kernels)
    assert abs(found.error - abs(factor - 1)) < 4 * found.standard_error * (1 + found.error)
    assert found.standard_error < 0.02 * max(1.0, factor)


def test_another_shape_is_told_too(make_problem, kernels: Path):
    """u + 0.05 sin(2 pi x1) sin(pi x2) / 2, an error in which the mean is right."""
    problem = make_problem("1")
    error = lambda x: 0.05 * torch.sin(2 * torch.pi * x[..., 0]) * torch.sin(torch.pi * x[..., 1])  # noqa: E731
    grid = torch.as_tensor(problem.domain.grid(101))
    exact = float(error(grid).norm() / torsion(grid).norm())
    found = checked(problem, lambda x: torsion(x) + error(x), kernels)
    assert found.error == pytest.approx(exact, abs=4 * found.standard_error)
    assert exact > 10 * found.standard_error


def test_the_noise_is_what_the_exact_answer_shows_over_the_seeds(make_problem, kernels: Path):
    """The squared size of pure noise is in the mean the squared standard error, which is taken off."""
    found = [checked(make_problem("1"), torsion, kernels, seed) for seed in range(12)]
    assert all(one.error < 2.5 * one.standard_error for one in found)
    assert sum(one.error == 0 for one in found) >= 2  # about half of them, if the noise is not too small


def test_the_check_costs_no_more_than_the_training_but_enough_to_see(make_problem, kernels: Path):
    """Noise goes like one over the root of the steps."""
    looks = [checked(make_problem("1"), torsion, kernels, affordable=steps) for steps in (1.0, 1.2e8, math.inf)]
    few, some, all_ = looks
    assert [look.steps for look in looks] == pytest.approx([1e8, 1.2e8, 1.5e8], rel=0.05)
    assert few.standard_error / all_.standard_error == pytest.approx(math.sqrt(1.5), rel=0.3)
    assert few.error < 3 * few.standard_error
    assert some.error < 3 * some.standard_error


def test_in_a_periodic_medium_the_homogenised_answer_stands(make_problem, kernels: Path):
    """u_0 with a* = 0.8835143; and with the mean of a, 1, it is 12 % off."""
    problem = make_problem()
    right = checked(problem, lambda x: torsion(x) / 0.8835143, kernels)
    assert right.error < 3 * right.standard_error < 0.03
    naive = checked(problem, torsion, kernels)
    assert naive.error == pytest.approx(1 - 0.8835143, abs=4 * naive.standard_error)


def test_boundary_values_and_one_dimension(make_problem, kernels: Path):
    """-(e^x u')' = 1 has u = (A - x) e^-x + ..., here by its flux: a u' = c - x."""
    problem = make_problem("exp(x1)", dimension=1, forcing="1", boundary="2*x1")
    decay = 1 - np.exp(-1)
    c = (2 + (1 - 2 * np.exp(-1))) / decay  # int_0^1 (c - x) e^-x dx = 2

    def exact(x: torch.Tensor) -> torch.Tensor:
        t = x[..., 0]
        return c * (1 - torch.exp(-t)) - (1 - (1 + t) * torch.exp(-t))

    assert abs(float(exact(torch.ones(1, 1, dtype=torch.float64))) - 2) < 1e-12
    right = checked(problem, exact, kernels)
    assert right.error < 3 * right.standard_error < 0.05
    bent = checked(problem, lambda x: exact(x) + 0.3 * torch.sin(torch.pi * x[..., 0]), kernels)
    assert bent.error > 5 * bent.standard_error


def test_the_solution_in_the_coefficient(make_problem, kernels: Path):
    """-div((1 + u^2) grad u) = f with u = sin sin."""
    forcing = (
        "2*pi**2*sin(pi*x1)*sin(pi*x2)*(1+(sin(pi*x1)*sin(pi*x2))**2)"
        "-2*sin(pi*x1)*sin(pi*x2)*pi**2*((cos(pi*x1)*sin(pi*x2))**2+(sin(pi*x1)*cos(pi*x2))**2)"
    )
    problem = make_problem("1 + u**2", forcing=forcing)
    exact = lambda x: torch.sin(torch.pi * x[..., 0]) * torch.sin(torch.pi * x[..., 1])  # noqa: E731
    right = checked(problem, exact, kernels)
    assert right.error < 3 * right.standard_error < 0.05
    assert checked(problem, lambda x: 0.7 * exact(x), kernels).error == pytest.approx(0.3, rel=0.7)


def test_the_closing_table_warns_of_what_the_noise_does_not_explain():
    beside = {"longer_walk_error": 0.31, "longer_walk_standard_error": 0.02, "rel_l2_standard_error": 0.01}
    (line,) = outcome.warnings(beside)
    assert "31" in line
    for harmless in ({"longer_walk_error": 0.05}, {"rel_l2_standard_error": 0.2}, {"longer_walk_standard_error": 0.2}):
        assert outcome.warnings({**beside, **harmless}) == []
    assert outcome.warnings({"longer_walk_error": 0.015, "longer_walk_standard_error": 1e-3}) == []


def test_the_closing_table_warns_of_what_u_eps_shows():
    seen = {"rel_l2": 0.11, "reference_error_estimate": 1e-4, "rel_l2_floor": 0.04, "rel_l2_standard_error": 0.008}
    assert outcome.warnings(seen) == [
        "the answer is 11 % off u_eps: u_0 itself 4 %, its sampling noise is 0.8 %",
    ]
    for harmless in ({"rel_l2": 0.04}, {"rel_l2_floor": 0.07}, {"rel_l2_standard_error": 0.05}):
        assert outcome.warnings({**seen, **harmless}) == []
    (other,) = outcome.warnings({**seen, "reference_error_estimate": 0.05})  # then u_eps itself is to blame
    assert "may be a part" in other
    assert outcome.warnings({**seen, "rel_l2_floor": None, "rel_l2_standard_error": None}) == [
        "the answer is 11 % off u_eps"
    ]
