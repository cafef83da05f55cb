"""Runs that are killed, and disks that are full: what is resumed ends as if nothing had been, and nothing is lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homog.config import (
    BoundsTimeStep,
    Cosines,
    Energy,
    EvaluationSettings,
    FormulaProblem,
    Galerkin,
    HomogenizedReference,
    NoTracking,
    RunSettings,
)
from homog.machine.interruption import Interrupted
from homog.run import experiment, runner
from homog.solvers.galerkin import GalerkinSolver

COMMAND = [sys.executable, "-m", "homog"]
SMALL = [
    "experiment=paper/linear_0.05", "method.points=20", "method.walkers=2", "method.boundary_points=10",
    "network.depth=2", "network.width=8", "evaluation.grid=21", "reference=homogenized",
]  # fmt: skip


def killing(home: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, Path(__file__).parents[1] / "killing.py", "--home", home, *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    print(done.stdout, end="")
    return json.loads(done.stdout)


def test_a_run_that_is_killed_at_random_ends_as_an_undisturbed_one(home: Path):
    figures = killing(home, "--kills", "3", "--life", "0.5", "--", *SMALL, "optimizer.iterations=100", "tracking=off")
    assert figures["kills"] == 3
    assert figures["equal"] == figures["runs"]


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    "overrides",
    [
        [*SMALL, "optimizer.iterations=3000", "evaluation.every=7"],
        [*SMALL, "method.sampling=walkers", "optimizer.average=0.5", "optimizer.iterations=3000", "evaluation.every=7"],
        ["problem=nonlinear", "eps=0.05", "reference=homogenized", "network.count=6", "method.points=200",
         "optimizer.iterations=512", "evaluation.grid=21", "evaluation.every=7"],
    ],
    ids=["recipe", "walkers and averages", "Picard"],
)  # fmt: skip
def test_a_hundred_kills_change_no_bit_of_weights_and_metrics(home: Path, overrides: list[str]):
    """Recorded in MLflow, which in the end has every metric of the file and no other."""
    figures = killing(home, "--kills", "100", "--life", "2", "--", *overrides)
    assert figures["kills"] == 100
    assert figures["after one"] > 30
    assert figures["equal"] == figures["runs"]

    from mlflow.tracking import MlflowClient

    from homog.tracking import read_metrics

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    (experiment,) = (e for e in client.search_experiments() if e.name == "homog")
    for recorded in client.search_runs([experiment.experiment_id]):
        folder = Path(recorded.data.tags["folder"])
        if not folder.exists():  # finished before the last kill, compared and removed
            continue
        assert recorded.info.status == "FINISHED"
        wanted = [e.step for e in read_metrics(folder / "metrics.jsonl") if "error" in e.metrics]
        assert [m.step for m in client.get_metric_history(recorded.info.run_id, "error")] == wanted


def test_sigterm_saves_and_tells_how_to_go_on_and_other_settings_do_not(home: Path):
    """A preempted run: 143, a checkpoint, KILLED in MLflow; resumed it goes on in its folder, and is interrupted again.

    SIGUSR1, as some schedulers send it, ends it with 138.
    """
    environment = {**os.environ, "HOMOG_HOME": str(home)}
    arguments = [
        "eps=0.3", "timestep.macro_factor=1", "optimizer.iterations=1000000", "method.points=10", "evaluation.grid=51",
        "evaluation.every=10", "reference=homogenized",
    ]  # fmt: skip

    def interrupt(number: signal.Signals, *more: str) -> tuple[int, str, int]:
        """Exit status, what was told and lines of metrics.jsonl of a run that is interrupted when it has added two."""
        before = sum(map(lines, home.glob("runs/*/metrics.jsonl")))
        process = subprocess.Popen(
            [*COMMAND, *arguments, *more], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline and process.poll() is None:
            if sum(map(lines, home.glob("runs/*/metrics.jsonl"))) >= before + 2:
                break
            time.sleep(0.1)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        return process.returncode, told, sum(map(lines, home.glob("runs/*/metrics.jsonl")))

    status, told, recorded = interrupt(signal.SIGTERM)
    (folder,) = (home / "runs").iterdir()
    assert (status, told.count("Traceback")) == (143, 0)
    assert f"interrupted by SIGTERM; to go on: homog-run {' '.join(arguments)} resume={folder}" in told
    (checkpoint,) = folder.glob("checkpoint-*.pt")

    refused = subprocess.run(
        [*COMMAND, *arguments, "seed=1", "resume=true"], env=environment, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "seed: 0 -> 1" in refused.stderr
    assert list((home / "runs").iterdir()) == [folder]

    status, told, more = interrupt(signal.SIGUSR1, "resume=true")
    assert status == 128 + signal.SIGUSR1
    assert f"resumed after iteration {int(checkpoint.stem.partition('-')[2])}" in told
    assert more >= recorded + 2
    assert list((home / "runs").iterdir()) == [folder]
    assert max(folder.glob("checkpoint-*.pt")) > checkpoint

    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments() if e.name == "homog"])
    assert run.info.status == "KILLED"
    assert len(client.get_metric_history(run.info.run_id, "loss")) == more


def lines(path: Path) -> int:
    return path.read_text().count("\n")


# --- Disks ------------------------------------------------------------------------------------------------------------

IN_A_DISK_OF = """
set -e
mount -t tmpfs -o size=$1 tmpfs "$2"
mkdir -p "$2/runs/earlier"
echo '{"rel_l2": 0.5}' > "$2/runs/earlier/metrics.json"
ln -s "$3" "$2/cache"
[ "$4" = rw ] || mount -o remount,ro "$2"
shift 4
set +e
"$@"
status=$?
cat "$HOMOG_HOME/runs/earlier/metrics.json"
ls "$HOMOG_HOME"/runs/*/
exit $status
"""
needs_namespaces = pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0,
    reason="a disk of a few kB takes a mount namespace of one's own",
)


@pytest.mark.slow
@needs_namespaces
@pytest.mark.parametrize(
    ("size", "access", "told"),
    [
        ("16k", "rw", "No space left"),  # already the configuration finds none
        ("600k", "rw", "No space left"),  # the solution
        ("1500k", "rw", "No space left"),  # the figure, with MLflow's store before it
        ("1m", "ro", "cannot write"),
    ],
)
def test_a_full_or_read_only_disk_gets_one_line_and_spares_what_is_there(
    home: Path, tmp_path_factory, size: str, access: str, told: str
):
    disk = tmp_path_factory.mktemp("disk")
    ended = subprocess.run(
        ["unshare", "-rm", "bash", "-c", IN_A_DISK_OF, "_", size, disk, home / "cache", access, *COMMAND, *SMALL,
         "optimizer.iterations=20", "evaluation.grid=401"],
        env={**os.environ, "HOMOG_HOME": str(disk)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(ended.stderr)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    last = [line for line in ended.stderr.splitlines() if line.startswith("homog-run: ")]
    assert len(last) == 1
    assert told in last[0]
    assert '{"rel_l2": 0.5}' in ended.stdout
    assert ended.stdout.count("metrics.json\n") == 1  # the earlier run's: this one does not count as finished


def test_a_signal_after_the_training_costs_no_training(home: Path, monkeypatch: pytest.MonkeyPatch):
    """While walkers walk for the parts of the error: the training's end is saved, and the resumed run only measures."""
    settings = RunSettings(
        problem=FormulaProblem(name="p", coefficient="1 + 0.5*sin(2*pi*x1/eps)", forcing="10"),
        eps=0.3, network=Cosines(count=3), method=Energy(points=20, walkers=2), optimizer=Galerkin(iterations=8),
        timestep=BoundsTimeStep(macro_factor=1), tracking=NoTracking(),
        reference=HomogenizedReference(), evaluation=EvaluationSettings(grid=51),
    )  # fmt: skip
    (home / "whole").mkdir(parents=True)
    whole = runner.run(settings, home / "whole", home)

    def interrupted(*given: object) -> None:
        raise Interrupted(signal.SIGTERM)

    folder = home / "interrupted"
    folder.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(experiment, "findings", interrupted)
        with pytest.raises(Interrupted):
            runner.run(settings, folder, home)
    assert [path.name for path in folder.glob("checkpoint-*.pt")] == [f"checkpoint-{8:012d}.pt"]
    with monkeypatch.context() as patched:
        patched.setattr(GalerkinSolver, "add", interrupted)  # no iteration is made again
        resumed = runner.run(replace(settings, resume=True), folder, home)
    assert {k: v for k, v in resumed.items() if "seconds" not in k} == {
        k: v for k, v in whole.items() if "seconds" not in k
    }
