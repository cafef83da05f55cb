"""MLflow in a child process: the same record as without one, and no process that outlives its use."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from homog.config import LocalTracking
from homog.machine.interruption import SIGNALS
from homog.tracking import Recorder, open_recorder, sender
from homog.tracking.remote import StoreProcess
from homog.tracking.store import StoreError, address
from homog.tracking.sync import sync


def recorder_in(home: Path, name: str) -> Recorder:
    folder = home / "runs" / name
    return open_recorder(LocalTracking(), folder, home, name, {"eps": 0.1, "text": "ä" * 7000}, {"purpose": "test"})


def record(home: Path, name: str) -> None:
    with recorder_in(home, name) as recorder:
        for step in range(1500):
            recorder.log({"loss": 1 / (1 + step), "odd": math.nan if step else math.inf}, step)
        figures = home / "runs" / name / "figures"
        figures.mkdir()
        (figures / "one.txt").write_text("1")
        recorder.artifact(figures)


def process_of(recorder: Recorder) -> int:
    assert recorder.sender
    process = recorder.sender._process
    assert process
    return process._process.pid


def await_that(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def lives(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_record_is_the_same_with_and_without_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from mlflow.tracking import MlflowClient

    monkeypatch.setattr(sender, "is_loaded", lambda: True)
    record(tmp_path, "here")
    monkeypatch.setattr(sender, "is_loaded", lambda: False)
    record(tmp_path, "there")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (experiment,) = (e for e in client.search_experiments() if e.name == "homog")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    here, there = runs["here"], runs["there"]
    assert here.info.status == there.info.status == "FINISHED"
    assert here.data.params == there.data.params
    own = ("folder", "homog.key", "mlflow.runName")
    assert {k: v for k, v in here.data.tags.items() if k not in own} == {
        k: v for k, v in there.data.tags.items() if k not in own
    }
    for name in ("loss", "odd"):
        histories = [
            [(metric.step, repr(metric.value)) for metric in client.get_metric_history(run.info.run_id, name)]
            for run in (here, there)
        ]
        assert len(histories[0]) == 1500
        assert histories[0] == histories[1]
    assert client.list_artifacts(there.info.run_id, "figures")[0].path == "figures/one.txt"


def test_the_process_ends_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sender, "is_loaded", lambda: False)
    with recorder_in(tmp_path, "a") as recorder:
        number = process_of(recorder)
        assert lives(number)
    assert not lives(number)
    assert "MLflow run 'a'" in recorder.location


def test_a_process_that_is_killed_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sender, "is_loaded", lambda: False)
    with recorder_in(tmp_path, "a") as recorder:
        number = process_of(recorder)
        os.kill(number, signal.SIGKILL)
        recorder.log({"loss": 1.0}, 0)
        await_that(lambda: process_of(recorder) != number)
    assert recorder.ledger
    assert recorder.ledger.complete


def test_processes_that_end_at_once_cost_a_line_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(sender, "is_loaded", lambda: False)
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with recorder_in(tmp_path, "a") as recorder:
        recorder.log({"loss": 1.0}, 0)
    assert "homog-sync" in caplog.text
    assert "has ended" in caplog.text
    (synced,) = sync([tmp_path / "runs" / "a"], tmp_path)
    assert synced.outcome == "sent"


def test_where_no_process_can_be_had_mlflow_is_imported_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sender, "is_loaded", lambda: False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    record(tmp_path, "a")
    assert "FINISHED" in (tmp_path / "runs" / "a" / "tracking.json").read_text()
    (synced,) = sync([tmp_path / "runs" / "a"], tmp_path)
    assert synced.outcome == "complete"


def test_the_process_hears_no_signal_that_is_for_the_run(tmp_path: Path):
    process = StoreProcess()
    try:
        process.await_loaded()
        for number in SIGNALS:
            os.kill(process._process.pid, number)
        with pytest.raises(StoreError, match="unheard_of"):
            process.ask("unheard_of")
    finally:
        process.end()


def test_a_file_in_the_working_folder_is_not_taken_for_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "queue.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    process = StoreProcess()
    try:
        with pytest.raises(StoreError, match="unheard_of"):
            process.ask("unheard_of")
    finally:
        process.end()


def test_the_process_ends_with_a_parent_that_is_killed(tmp_path: Path):
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from homog.config import LocalTracking\n"
        "from homog.tracking import open_recorder\n"
        "home = Path(sys.argv[1])\n"
        "recorder = open_recorder(LocalTracking(), home / 'runs' / 'a', home, 'a', {}, {})\n"
        "print(recorder.sender._process._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        number = int(parent.stdout.readline())
        assert lives(number)
        parent.kill()
    await_that(lambda: not lives(number))


def test_what_fails_is_told_in_a_line(tmp_path: Path):
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)
    process = StoreProcess()
    try:
        place = address(LocalTracking(), tmp_path)
        assert place
        with pytest.raises(StoreError, match="not a database"):
            process.open(place)
        with pytest.raises(StoreError, match="unheard_of"):
            process.ask("unheard_of")
        process.await_loaded()
    finally:
        process.end()
    with pytest.raises(StoreError, match="has ended"):
        process.ask("load")
