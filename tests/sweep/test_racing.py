"""Many runs that start at once where nothing is yet: caches, reference and store are made by all of them together."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

PROCESSES = 16
BEGUN = ["runs/*", "mlflow.db*", "runs/*/metrics.jsonl", "runs/*/metrics.json"]  # soon after each, one is killed
SMALL = [
    "experiment=paper/figure2", "eps=0.1", "timestep.ratio=0.25", "optimizer.iterations=50", "method.points=20",
    "method.walkers=8", "method.boundary_points=20", "network.width=16", "network.depth=2", "evaluation.grid=51",
    "evaluation.every=10", "reference=homogenized",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_racing_runs_of_which_some_are_killed_leave_the_others_right(tmp_path: Path) -> None:
    # One thread each: the number of threads changes sums, and the hash of the weights must be one.
    environment = {**os.environ, "HOMOG_HOME": str(tmp_path), "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    start = time.monotonic()
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "homog", *SMALL], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for _ in range(PROCESSES)
    ]
    when = random.Random(1)
    try:
        for process, begun in zip(processes, BEGUN, strict=False):
            while not list(tmp_path.glob(begun)):
                time.sleep(0.05)
            time.sleep(when.uniform(0.0, 3.0))
            process.kill()
        told = [process.communicate()[1].decode() for process in processes]
    finally:
        for process in processes:
            process.kill()
    seconds = time.monotonic() - start
    dead = [process for process in processes if process.returncode == -signal.SIGKILL]
    survivors = [process for process in processes if process not in dead]
    assert [process.returncode for process in survivors] == [0] * len(survivors), "\n".join(told)
    assert len(survivors) >= PROCESSES - len(BEGUN)

    folders = list((tmp_path / "runs").iterdir())
    found = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/metrics.json")]
    assert len(found) >= len(survivors)
    assert len({(metrics["weights_sha256"], metrics["rel_l2_homogenized"]) for metrics in found}) == 1

    runs = _stored(tmp_path)
    statuses = Counter(run.info.status for run in runs)
    assert statuses["FINISHED"] == len(survivors)
    synced = subprocess.run(
        [sys.executable, "-c", "from homog.command.sync_cli import main; main()"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert synced.returncode == 0, synced.stdout + synced.stderr
    accounts = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/tracking.json")]
    runs = _stored(tmp_path)
    after = Counter(run.info.status for run in runs)
    assert after == {"FINISHED": len(survivors), "KILLED": len(accounts) - len(survivors)}
    assert len({run.data.tags["homog.key"] for run in runs}) == len(runs)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    print(
        f"\n{PROCESSES} racing processes on an empty cache and store, {len(dead)} killed: {len(survivors)} survivors,"
        f" all with status 0 and the same weights; before homog-sync {dict(statuses)}, after it {dict(after)};"
        f" {len(folders)} folders, database sound, {seconds:.0f} s"
    )


def _stored(home: Path) -> list[Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    (experiment,) = (e for e in client.search_experiments() if e.name == "homog")
    return list(client.search_runs([experiment.experiment_id]))
