"""The step and its loops run as they are written, and the kernels that are made of them do the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from as_written import walked_as_written
from simulated_gpu import CASES, KEY, require_same_walks

from homog.config import BoundsTimeStep
from homog.timesteps.pace import pace_of
from homog.timesteps.timestep import time_steps
from homog.walkers import Scheme, Walkers, lanes, stream_key, threads


@pytest.mark.parametrize("loops", [lanes, threads], ids=["lanes", "threads"])
@pytest.mark.parametrize("name", [name for name in CASES if "GPU" not in name])
def test_the_code_as_written_walks_as_its_kernel(kernels: Path, monkeypatch: pytest.MonkeyPatch, loops, name: str):
    case = CASES[name]
    points = case.points(1)
    found = case.walk(kernels, "cpu", points, KEY)
    with walked_as_written(monkeypatch, loops):
        exact = case.walk(kernels, "cpu", points, KEY)
    require_same_walks(found, exact)


def test_walkers_with_clocks_of_their_own_walk_as_their_kernel(
    make_problem, kernels: Path, monkeypatch: pytest.MonkeyPatch
):
    """More walkers than a block's lanes: a lane goes on with the next one."""
    problem = make_problem("1 + 49.5*(1 + tanh((x1 - 0.4321)/1e-3))", 0.1, 2, "sin(4*pi*x1)")
    steps = time_steps(BoundsTimeStep(macro_factor=0.02), 2, problem.scale)
    steps = replace(steps, pace=pace_of(problem, steps.micro_step, 12.0, 40.0))
    points, key = problem.domain.sample(12, np.random.default_rng(1)), stream_key(5, 2)
    points[:8, 0] = np.linspace(0.42, 0.445, 8)
    points[8:, 1] = 0.001
    found = Walkers(problem, Scheme(), kernels).walk(points, 3, steps, key)
    with walked_as_written(monkeypatch, lanes):
        exact = Walkers(problem, Scheme(), kernels).walk(points, 3, steps, key)
    assert 0.1 < found.left.mean() < 0.9
    # one that looks up the cell beside its own by rounding would take other steps: here none does
    np.testing.assert_array_equal(found.left, exact.left)
    np.testing.assert_allclose(found.displacement, exact.displacement, atol=1e-5)
    np.testing.assert_allclose(found.duration, exact.duration, rtol=1e-4)
    assert found.steps == exact.steps > 1.2 * 36 * steps.count
