"""A tracking server that fails in mid-run: what it costs the run, and what of the run is lost (nothing)."""

import logging
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stub_server import Fault, StubServer, await_that, stub_server

from homog.command import sync_cli
from homog.config import ServerTracking
from homog.tracking import METRICS_FILE, Recorder, open_recorder, read_metrics, sender

BEFORE: list[Fault] = ["down", "loses its answers"]  # the others differ only in the seconds that the test takes
IN_MID_RUN: list[Fault] = ["down", "hangs", "answers 500", "loses its answers"]
CASES = [("before the run", fault) for fault in BEFORE] + [("in mid-run", fault) for fault in IN_MID_RUN]


@pytest.fixture(params=[True, False], ids=["in this process", "in another"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubServer]:
    import mlflow.tracking  # noqa: F401  so that its seconds are not counted

    monkeypatch.setattr(sender, "is_loaded", lambda: request.param)
    monkeypatch.setattr(sender, "_SECONDS_BETWEEN", 0.05)
    # so that three attempts end, and free the folder's lock, within the patience of 5 s
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with stub_server() as running:
        yield running


def record(server: StubServer, home: Path, *, resumed: bool = False) -> Recorder:
    settings = ServerTracking(uri=server.uri)
    return open_recorder(settings, home / "runs" / "a", home, "a", {"eps": 0.1}, {"purpose": "test"}, resumed=resumed)


def homog_sync(monkeypatch: pytest.MonkeyPatch, home: Path, *arguments: str) -> int | str | None:
    """The command, in this process; its exit status."""
    monkeypatch.setenv("HOMOG_HOME", str(home))
    monkeypatch.setattr(sys, "argv", ["homog-sync", *arguments])
    with pytest.raises(SystemExit) as ended:
        sync_cli.main()
    return ended.value.code


def in_file(home: Path) -> list[tuple[str, int, int, str]]:
    entries = read_metrics(home / "runs" / "a" / METRICS_FILE)
    return sorted((name, e.timestamp, e.step, str(value)) for e in entries for name, value in e.metrics.items())


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(("begins", "fault"), CASES)
def test_a_server_that_fails_costs_seconds_and_loses_nothing(
    tmp_path: Path,
    server: StubServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    begins: str,
    fault: Fault,
) -> None:
    folder = tmp_path / "runs" / "a"
    if begins == "before the run":
        server.fault = fault
    start = time.monotonic()
    with record(server, tmp_path) as recorder:
        recorder.log({"loss": 1.0}, 0)
        if begins == "in mid-run":
            await_that(lambda: any(run.metrics for run in server.runs.values()))
            server.fault = fault
            start = time.monotonic()
        for step in range(1, 101):
            recorder.log({"loss": 1.0 / step, "odd": math.nan}, step)
            time.sleep(0.001)
        (folder / "report.txt").write_text("all well")
        recorder.artifact(folder / "report.txt")
        training = time.monotonic() - start
    in_all = time.monotonic() - start
    assert training < 1.0  # 0.1 s of it sleep
    assert in_all < 8.0
    (warning,) = warnings_in(caplog)
    assert f"homog-sync {folder}" in warning
    assert "\n" not in warning
    assert recorder.location == str(folder / METRICS_FILE)

    assert homog_sync(monkeypatch, tmp_path) == 1
    server.fault = "none"
    server.healed.set()
    assert homog_sync(monkeypatch, tmp_path) == 0
    (run,) = [run for run in server.runs.values() if not run.deleted]
    assert sorted(run.metrics) == in_file(tmp_path)
    assert len(run.metrics) == 201
    assert (run.status, run.params, run.tags["purpose"]) == ("FINISHED", {"eps": "0.1"}, "test")
    assert run.artifacts == {"report.txt": b"all well"}
    print(f"server {fault} {begins}: {training:.2f} s lost in training, {in_all:.2f} s in all, 0 metrics lost")


def test_a_server_that_comes_back_gets_all_before_the_run_ends(
    tmp_path: Path, server: StubServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.fault = "answers 500"
    with record(server, tmp_path) as recorder:
        recorder.log({"loss": 1.0}, 0)
        time.sleep(0.1)
        server.fault = "none"
    (run,) = server.runs.values()
    assert sorted(run.metrics) == in_file(tmp_path)
    assert run.status == "FINISHED"
    assert not warnings_in(caplog)
    assert recorder.location.startswith(server.uri)


def test_a_resumed_run_is_the_same_run_and_repeats_nothing(tmp_path: Path, server: StubServer) -> None:
    with record(server, tmp_path) as recorder:
        for step in range(4):
            recorder.log({"loss": 1.0 / (step + 1), "odd": math.nan}, step)
        recorder.finish("KILLED")
    (run,) = server.runs.values()
    with record(server, tmp_path, resumed=True) as recorder:
        await_that(lambda: run.status == "RUNNING")
        for step in range(2, 6):  # from a checkpoint that is older than the record
            recorder.log({"loss": 1.0 / (step + 1), "odd": math.nan}, step)
        recorder.sync()
        recorder.log({"loss": 0.125}, 5)
        recorder.log({"loss": 7.0, "odd": math.nan}, 3)  # what differs is written, and counts
    assert len(server.runs) == 1
    assert run.statuses == ["KILLED", "RUNNING", "FINISHED"]
    assert sorted(run.metrics) == in_file(tmp_path)
    steps = [entry.step for entry in read_metrics(tmp_path / "runs" / "a" / METRICS_FILE)]
    assert steps == [0, 1, 2, 3, 4, 5, 5, 3]
