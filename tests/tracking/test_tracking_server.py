"""A real MLflow server that is killed, or hangs, while homog-run trains."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homog.tracking import METRICS_FILE, read_metrics

ENDLESS = [
    "experiment=paper/figure2", "eps=0.1", "timestep.ratio=0.25", "optimizer.iterations=10000000", "method.points=20",
    "method.walkers=8", "method.boundary_points=20", "network.width=16", "network.depth=2", "evaluation.grid=51",
    "evaluation.every=10", "reference=homogenized",
]  # fmt: skip


class Server:
    """`mlflow server` on 127.0.0.1, with its processes in a group of their own."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._home = home
        self.uri = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port), "--workers",
             "1", "--backend-store-uri", f"sqlite:///{self._home}/server.db",
             "--artifacts-destination", str(self._home / "files")],
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        await_that(self._answers, 200)

    def signal(self, number: int) -> None:
        os.killpg(self._process.pid, number)
        if number == signal.SIGKILL:
            self._process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            assert self._process.poll() is None
            return False


def await_that(condition: Callable[[], Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.usefixtures("hears_interrupts")
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", ["killed", "hung"])
def test_a_server_killed_or_hung_in_mid_run_costs_seconds_and_no_metric(tmp_path: Path, fault: str) -> None:
    from mlflow.tracking import MlflowClient

    environment = {**os.environ, "HOMOG_HOME": str(tmp_path)}
    server = Server(tmp_path)
    server.start()
    run = subprocess.Popen(
        [sys.executable, "-m", "homog", *ENDLESS, "tracking=server", f"tracking.uri={server.uri}"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        client = MlflowClient(server.uri)

        def stored() -> list[Any]:
            experiment = client.get_experiment_by_name("homog")
            return list(client.search_runs([experiment.experiment_id])) if experiment else []

        await_that(lambda: any(found.data.metrics for found in stored()), 300)
        (folder,) = (tmp_path / "runs").iterdir()
        pace_before = pace(folder, 10.0)
        server.signal(signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
        pace_after = pace(folder, 12.0)
        run.send_signal(signal.SIGINT)
        told = run.communicate(timeout=100)[1]
        assert run.returncode == 130, told
        log, account = folder / "run.log", json.loads((folder / "tracking.json").read_text())
        assert log.read_text().count("homog-sync") == 1  # its last line
        # the end of the process itself takes seconds too, on a machine that has other work
        ending = log.stat().st_mtime - account["ended_at"] / 1000
        assert ending < 8.0

        if fault == "killed":
            server.start()
        else:
            server.signal(signal.SIGCONT)
        synced = subprocess.run(
            [sys.executable, "-c", "from homog.command.sync_cli import main; main()"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert synced.returncode == 0, synced.stdout + synced.stderr
        (found,) = stored()
        assert found.info.status == "KILLED"
        entries = read_metrics(folder / METRICS_FILE)
        lost = doubled = 0
        for name in ("loss", "error"):
            in_file = [(entry.step, entry.metrics[name]) for entry in entries if name in entry.metrics]
            in_store = [(point.step, point.value) for point in client.get_metric_history(found.info.run_id, name)]
            lost += len(set(in_file) - set(in_store))
            doubled += len(in_store) - len(set(in_store))
        assert (lost, doubled) == (0, 0)
        print(
            f"\ntracking server {fault} in mid-run: {ending:.1f} s lost at the end,"
            f" {pace_before:.1f} entries a second before and {pace_after:.1f} while it was {fault},"
            f" {len(entries)} entries, metrics lost {lost}, double {doubled}"
        )
    finally:
        run.kill()
        run.communicate()
        server.signal(signal.SIGKILL)


def pace(folder: Path, seconds: float) -> float:
    """Entries a second that the run writes."""
    before = len(read_metrics(folder / METRICS_FILE))
    time.sleep(seconds)
    return (len(read_metrics(folder / METRICS_FILE)) - before) / seconds
