"""One run in several processes: the answers of one process, up to the order of summation."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

TESTS = Path(__file__).parents[1]
METHODS = [
    "penalty", "gradient", "walkers", "least squares", "nonlinear", "energy", "last layer", "galerkin",
    "natural gradient", "Picard", "walls",
]  # fmt: skip
ALONE = ["problem=linear", "eps=0.05", "reference=homogenized", "evaluation.grid=21", "tracking=off"]
SMALL = [*ALONE, "network.count=4", "method.points=200", "optimizer.groups=4", "optimizer.iterations=4"]


def launch(processes: int, *arguments: str | Path, **more: str) -> subprocess.Popen[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", **more}
    return subprocess.Popen(
        [*launcher, *map(str, arguments)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, kernels: Path) -> Callable[[int], dict[str, np.ndarray]]:
    """Those of so many processes, which run once."""

    @cache
    def found(processes: int) -> dict[str, np.ndarray]:
        result = tmp_path_factory.mktemp("ranks") / f"{processes}.npz"
        work = launch(processes, TESTS / "sharing.py", kernels, result, PYTHONPATH=str(TESTS))
        _, errors = work.communicate(timeout=250)
        assert work.returncode == 0, errors
        return dict(np.load(result))

    return found


@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", METHODS)
def test_answers_depend_on_the_ranks_by_the_order_of_summation_alone(answers, method: str, processes: int):
    """Sums of some hundred float32 numbers differ by 1e-6 of their size; six steps of Adam, or one solve, keep that
    below 1e-4. The points of another rank, left out or taken twice, would change all of it."""
    alone, together = answers(1), answers(processes)
    np.testing.assert_allclose(together[f"{method}, values"], alone[f"{method}, values"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(together[f"{method}, numbers"], alone[f"{method}, numbers"], rtol=1e-4)
    assert together[f"{method}, numbers"][1] == alone[f"{method}, numbers"][1] > 0


def test_a_run_in_two_processes_is_one_run_and_goes_on_in_one(home: Path):
    """SIGTERM to the launcher ends all ranks after the same iteration, with one checkpoint of them all."""
    settings = [*SMALL, "optimizer.iterations=100000", "method.points=2000", "evaluation.every=5"]
    together = launch(2, "-m", "homog", *settings, HOMOG_HOME=str(home))
    deadline = time.monotonic() + 120
    while not any("loss" in path.read_text() for path in home.glob("runs/*/metrics.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    together.send_signal(signal.SIGTERM)
    together.communicate(timeout=60)
    (folder,) = (home / "runs").iterdir()
    (checkpoint,) = folder.glob("checkpoint-*.pt")
    state = torch.load(checkpoint, weights_only=True)["state"]["training"]
    assert state["loss"]["tally"]["walkers"] == state["iteration"] * 2000 * 4
    alone = subprocess.Popen(
        [sys.executable, "-m", "homog", *settings, f"resume={folder}"], text=True, stderr=subprocess.PIPE,
        stdout=subprocess.PIPE, env={**os.environ, "HOMOG_HOME": str(home)},
    )  # fmt: skip
    for line in alone.stderr or ():
        if f"resumed after iteration {state['iteration']}:" in line:
            break
    else:
        pytest.fail("the run was not resumed")
    alone.send_signal(signal.SIGTERM)
    alone.communicate(timeout=60)


FURTHER = {
    "problem.parameters={c: {from: 0.1, to: 0.8}}": ("member_1_rel_l2_homogenized", "family_relative_deviation"),
    "problem.time={end: 0.05, initial: sin(pi*x1)*sin(pi*x2)}": (
        "time_1_rel_l2_homogenized",
        "time_5_rel_l2_homogenized",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("asked", FURTHER)
def test_what_a_solve_gives_besides_u_depends_on_the_ranks_by_the_order_of_summation_alone(home: Path, asked: str):
    """Of errors of a few percent, a share: what is summed differs by 1e-6."""
    coefficient = "problem.coefficient=1 + 0.5*sin(2*pi*x1/eps)" + ("*c" if "parameters" in asked else "")
    found = []
    for processes in (1, 2):
        folder = home / f"by {processes}"
        work = launch(
            processes, "-m", "homog", *SMALL, coefficient, asked, f"hydra.run.dir='{folder}'", HOMOG_HOME=str(home)
        )
        _, errors = work.communicate(timeout=250)
        assert work.returncode == 0, errors
        found.append(json.loads((folder / "metrics.json").read_text()))
    for name in FURTHER[asked]:
        assert found[1][name] == pytest.approx(found[0][name], rel=1e-2)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["-m", "seed=0,1"], "homog-run: a sweep is no work for torchrun: start its runs one by one"),
        (["method=pinn"], "homog-run: this method has no walkers to share among ranks: run it without torchrun"),
    ],
)
def test_what_cannot_be_shared_is_refused_once_in_one_line(home: Path, arguments: list[str], line: str):
    work = launch(2, "-m", "homog", *ALONE, *arguments, HOMOG_HOME=str(home))
    _, errors = work.communicate(timeout=120)
    assert work.returncode != 0
    assert [one for one in errors.splitlines() if one.startswith("homog-run: ")][:1] == [
        one for one in errors.splitlines() if one.startswith(line)
    ]
