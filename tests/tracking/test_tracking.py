"""The record of a run: what is in `metrics.jsonl`, what reaches MLflow, and what a failure there costs."""

import json
import logging
import math
import multiprocessing
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from homog.config import LocalTracking, NoTracking, ServerTracking, TrackingSettings
from homog.errors import UserError
from homog.tracking import METRICS_FILE, MetricsEntry, Recorder, environment_tags, open_recorder, read_metrics, sender
from homog.tracking.environment import source_commit

if TYPE_CHECKING:
    from mlflow.entities import Run

PROCESSES = 6


def record(settings: TrackingSettings, folder: Path, home: Path, **parameters: str | float) -> Recorder:
    return open_recorder(settings, folder, home, folder.name, parameters, {"purpose": "test"})


def stored_run(home: Path, name: str, experiment: str = "homog") -> "tuple[Run, Any]":
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{home}/mlflow.db")
    found = client.get_experiment_by_name(experiment)
    assert found
    (run,) = client.search_runs([found.experiment_id], f"attributes.run_name = '{name}'")
    return run, client


def log_one_run(home: Path, number: int) -> None:
    """Run by each of several processes at once."""
    with record(LocalTracking(), home / "runs" / f"run{number}", home, number=number) as recorder:
        for step in range(3):
            recorder.log({"error": number + 0.1 * step}, step)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder with a fresh store, on which several processes are let loose first."""
    home = tmp_path_factory.mktemp("home")
    # Forked from a server that has imported MLflow already: the quickest way, and the closest to all at once.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow.store.tracking.sqlalchemy_store", "homog.tracking"])
    processes = [context.Process(target=log_one_run, args=(home, number)) for number in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    return home


def test_processes_that_start_together_on_a_fresh_store_lose_nothing(home: Path) -> None:
    for number in range(PROCESSES):
        run, client = stored_run(home, f"run{number}")
        history = client.get_metric_history(run.info.run_id, "error")
        assert run.info.status == "FINISHED"
        assert run.data.params == {"number": str(number)}
        assert [(point.step, point.value) for point in history] == [(s, number + 0.1 * s) for s in range(3)]


def test_a_run_is_in_the_store_with_all_that_it_reported(home: Path) -> None:
    folder = home / "runs" / "whole"
    figure = folder / "figure.png"
    with record(LocalTracking(), folder, home, eps=0.05, coefficient="x" * 7000) as recorder:
        figure.write_bytes(b"a figure")
        for step in range(600):
            recorder.log({"loss": 1.0 / (step + 1), "error": 0.5}, step)  # 1,200 values: more than one batch
        recorder.log({"odd": math.nan, "odder": math.inf}, 600)
        recorder.artifact(figure)
    assert str(home / "mlflow.db") in recorder.location

    run, client = stored_run(home, "whole")
    assert run.data.params["eps"] == "0.05"
    assert len(run.data.params["coefficient"]) == 6000
    assert run.data.params["coefficient"].endswith("[cut]")
    assert run.data.tags["purpose"] == "test"
    assert run.data.tags["folder"] == str(folder)
    assert math.isnan(run.data.metrics["odd"])
    assert run.data.metrics["odder"] > 1e308  # a database has no infinity
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["figure.png"]
    assert str(run.info.artifact_uri).startswith((home / "mlartifacts").as_uri())

    in_file = [(entry.timestamp, entry.step, entry.metrics["loss"]) for entry in read(folder)[:600]]
    in_store = client.get_metric_history(run.info.run_id, "loss")
    assert in_file == [(point.timestamp, point.step, point.value) for point in in_store]


class Interruption(KeyboardInterrupt):
    """By a signal other than Ctrl-C."""


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "FINISHED"), (ValueError, "FAILED"), (Interruption, "KILLED"), (SystemExit, "FAILED")],
)
def test_the_status_says_how_the_run_ended(home: Path, error: type[BaseException] | None, status: str) -> None:
    name = f"status-{error.__name__ if error else 'none'}"

    def run() -> None:
        with record(LocalTracking(), home / "runs" / name, home) as recorder:
            recorder.log({"loss": 1.0}, 1)
            if error:
                raise error

    if error:
        with pytest.raises(error):
            run()
    else:
        run()
    stored, _ = stored_run(home, name)
    assert stored.info.status == status
    assert stored.data.metrics == {"loss": 1.0}  # what was not yet sent was not lost


def test_metrics_reach_the_store_while_the_run_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "_SECONDS_BETWEEN", 0.05)
    with record(LocalTracking(), home / "runs" / "live", home) as recorder:
        recorder.log({"loss": 0.25}, 1)
        assert recorder.sender
        recorder.sender.wait(lambda: (recorder.ledger.sent_bytes if recorder.ledger else 0) > 0)
        run, _ = stored_run(home, "live")
        assert (run.info.status, run.data.metrics) == ("RUNNING", {"loss": 0.25})


def test_a_damaged_store_costs_a_warning_and_no_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"this is not a database " * 100)
    assert_only_the_file_remains(LocalTracking(), tmp_path, caplog)


def test_a_dead_server_costs_a_warning_and_no_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("TIMEOUT", "MAX_RETRIES", "BACKOFF_FACTOR"):  # put back after the test
        monkeypatch.delenv(f"MLFLOW_HTTP_REQUEST_{variable}", raising=False)
    assert_only_the_file_remains(ServerTracking(uri=f"http://127.0.0.1:{closed_port}"), tmp_path, caplog)


def assert_only_the_file_remains(settings: TrackingSettings, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    import mlflow.tracking  # noqa: F401  so that its seconds are not counted

    started = time.monotonic()
    with record(settings, home / "run", home) as recorder:
        recorder.log({"loss": 1.0}, 1)
        recorder.log({"loss": 0.5}, 2)
        recorder.artifact(home / "run" / METRICS_FILE)
    assert time.monotonic() - started < 8.0  # MLflow alone would take 100 s and more
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert f"homog-sync {home / 'run'}" in warning
    assert "\n" not in warning
    assert [entry.metrics["loss"] for entry in read(home / "run")] == [1.0, 0.5]
    assert recorder.location == str(home / "run" / METRICS_FILE)


def test_without_tracking_the_file_has_every_value_and_mlflow_is_never_imported(tmp_path: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
from homog.config import NoTracking
from homog.tracking import open_recorder
folder = Path({str(tmp_path)!r})
with open_recorder(NoTracking(), folder, folder, "run", {{}}, {{}}) as recorder:
    recorder.log({{"loss": float("nan"), "best": 0.1}}, 7)
heavy = {{"mlflow", "matplotlib", "torch", "numpy"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    (entry,) = read(tmp_path)
    assert entry.step == 7
    assert entry.metrics["best"] == 0.1
    assert math.isnan(entry.metrics["loss"])


def test_every_line_is_json_as_the_standard_has_it(tmp_path: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    values = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 1e-300}
    with record(NoTracking(), tmp_path, tmp_path) as recorder:
        recorder.log(values, 1)
    (line,) = (tmp_path / METRICS_FILE).read_text().splitlines()
    json.loads(line, parse_constant=refuse)
    assert str(dict(read(tmp_path)[0].metrics)) == str(values)


def test_a_line_is_on_disk_before_the_run_goes_on_and_a_torn_one_harms_no_other(tmp_path: Path) -> None:
    with record(NoTracking(), tmp_path, tmp_path) as recorder:
        recorder.log({"loss": 1.0}, 1)
        assert len(read(tmp_path)) == 1
    with (tmp_path / METRICS_FILE).open("a") as stream:
        stream.write('{"step": 2, "timest')  # a machine that went down
    with record(NoTracking(), tmp_path, tmp_path) as recorder:
        recorder.log({"loss": 0.5}, 2)
    assert [(entry.step, entry.metrics["loss"]) for entry in read(tmp_path)] == [(1, 1.0), (2, 0.5)]


@pytest.mark.parametrize(
    ("settings", "home"), [(ServerTracking(uri="localhost:5000"), "home"), (LocalTracking(), "100%")]
)
def test_settings_that_cannot_work_are_refused_in_one_line(
    tmp_path: Path, settings: TrackingSettings, home: str
) -> None:
    with pytest.raises(UserError) as error:
        record(settings, tmp_path / "run", tmp_path / home)
    assert "\n" not in str(error.value)


def test_a_folder_has_one_run_at_a_time(tmp_path: Path) -> None:
    with record(NoTracking(), tmp_path, tmp_path), pytest.raises(UserError, match="still going on"):
        record(NoTracking(), tmp_path, tmp_path)
    with record(NoTracking(), tmp_path, tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="HOMOG_HOME") as error:
        record(NoTracking(), tmp_path / "file" / "run", tmp_path)
    assert "\n" not in str(error.value)


def test_the_tags_describe_the_machine_and_the_libraries() -> None:
    tags = environment_tags()
    assert {"git_commit", "python", "platform", "cpu_count", "version.torch", "version.numpy"} <= set(tags)
    assert all(isinstance(value, str) for value in tags.values())
    assert int(tags["cpu_count"]) >= 1


def test_the_commit_has_a_mark_where_the_sources_changed(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    assert source_commit(package) == ""

    git(tmp_path, "init")
    assert source_commit(package) == ""  # in a checkout, but not of it: a virtual environment's copy
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-m", "Begin")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()
    assert source_commit(package) == commit

    (tmp_path / "problem.yaml").touch()
    assert source_commit(package) == f"{commit}-dirty"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def read(folder: Path) -> list[MetricsEntry]:
    return read_metrics(folder / METRICS_FILE)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine that refuses connections for as long as the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, but not listening
        yield held.getsockname()[1]
