"""The walkers' equations at the exact solution: what is left is noise, by mean squares of z-scores.

It is the sharpest test of a formula: a term left out, or of the wrong sign, makes squares of tens to hundreds. Of eight
batches the mean square is 7/5, that of Student's law with seven degrees of freedom.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from manufactured import with_solution

from homog import losses, networks
from homog.config import Energy, Legendre
from homog.losses import functions
from homog.timesteps.timestep import TimeSteps

SOLUTION = "sin(2*x1 + 1)*exp(0.7*x2)"
NEUMANN, ROBIN, VALUES = ("value", "value", "flux", "flux"), ("robin", "flux", "value", "value"), ("value",) * 4
MATRIX = [["1.3 + x1", "0.6*x2"], ["0.6*x2", "0.9"]]
SPREADING = ["6 + 8*x1**2 - 4*x2", "5*x1 - 12*x2"]  # div b = 16 x1 - 12
CASES: dict[str, tuple[Any, Sequence[str], dict[str, Any]]] = {
    "fluxes": ("1 + x1*x2", NEUMANN, {}),
    "a reaction, and walls that take": ("1", ROBIN, {"factor": "5", "reaction": "10"}),
    "a matrix": (MATRIX, VALUES, {}),
    "a matrix and walls": (MATRIX, ROBIN, {"factor": "2 + x2"}),
    "a velocity": ("1", VALUES, {"velocity": SPREADING, "reaction": "3"}),
    "a velocity and walls": ("1 + x1", ROBIN, {"velocity": SPREADING, "factor": "2"}),
    "a velocity, a matrix and walls": (MATRIX, ROBIN, {"velocity": SPREADING}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_exact_solution_leaves_noise_alone(make_problem, kernels: Path, case: str):
    coefficient, walls, rest = CASES[case]
    problem = with_solution(make_problem(eps=0.5), coefficient, SOLUTION, walls=walls, **rest)
    loss = losses.build(Energy(points=8192, walkers=4), problem, TimeSteps(1.25e-4, 64, 1, 1), 0, kernels)
    network = loss.network(networks.build(Legendre(count=7), problem.domain, 0, problem.boundary.walls))
    x = torch.from_numpy(problem.domain.grid(41).reshape(-1, 2)).float()
    with torch.no_grad():
        known = functions(network, x).double().numpy()
    exact = np.sin(2 * x[:, 0].double().numpy() + 1) * np.exp(0.7 * x[:, 1].double().numpy())
    weights, *_ = np.linalg.lstsq(known[:, :-1], exact - known[:, -1])
    assert np.abs(known @ np.append(weights, 1.0) - exact).max() < 1e-5
    residuals = []
    for iteration in range(8):
        system = loss.equations(network, iteration, None)
        residuals.append((system.load - system.matrix @ np.append(weights, 1.0))[:-1])
    z = np.mean(residuals, 0) / (np.std(residuals, 0, ddof=1) / np.sqrt(8))
    assert 0.5 < np.mean(z**2) < 3.0, np.mean(z**2)
