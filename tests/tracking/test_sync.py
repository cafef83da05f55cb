"""homog-sync: what died or could not be sent is in MLflow afterwards, once."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from stub_server import stub_server

from homog.command import sync_cli
from homog.config import LocalTracking, ServerTracking, TrackingSettings
from homog.errors import UserError
from homog.tracking import LEDGER_FILE, METRICS_FILE, ChildRuns, MetricsEntry, open_recorder, sync
from homog.tracking.ledger import Ledger
from homog.tracking.lock import lock_run


def dead_run(folder: Path, settings: TrackingSettings) -> Ledger:
    """The folder of a run that was killed while it wrote a line."""
    folder.mkdir(parents=True)
    lines = [MetricsEntry(step, 1_700_000_000_000 + step, {"loss": 1.0 / (step + 1)}).to_line() for step in range(5)]
    (folder / METRICS_FILE).write_text("".join(lines) + '{"step": 5, "timest')
    (folder / "report.txt").write_text("so far so good")
    ledger = Ledger(folder, settings, folder.name, {"eps": "0.1"}, {"purpose": "test"})
    ledger.ask(folder / "report.txt")
    return ledger


@pytest.fixture
def homog_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """The command, in this process; returns its exit status and what it said."""
    monkeypatch.setenv("HOMOG_HOME", str(tmp_path))

    def call(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["homog-sync", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            sync_cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return call


def test_dead_runs_are_closed_and_have_all_that_they_reported(tmp_path: Path, homog_sync: Any) -> None:
    from mlflow.tracking import MlflowClient

    names = ["runs/one", "sweeps/two", "sweeps/two/0"]
    for name in names:
        dead_run(tmp_path / name, LocalTracking())
    lock = lock_run(alive := dead_run(tmp_path / "runs" / "alive", LocalTracking()).folder)
    assert lock
    status, said = homog_sync()
    assert (status, said.count("KILLED (it had died)"), said.count(f"{alive}: still going on")) == (0, 3, 1)

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (experiment,) = (e for e in client.search_experiments() if e.name == "homog")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.run_name for run in runs} == {"one", "two", "0"}
    for run in runs:
        assert run.info.status == "KILLED"
        assert abs(run.info.end_time - (tmp_path / "runs" / "one" / METRICS_FILE).stat().st_mtime * 1000) < 1000
        assert (run.data.params, run.data.tags["purpose"]) == ({"eps": "0.1"}, "test")
        history = client.get_metric_history(run.info.run_id, "loss")
        assert [(point.step, point.value) for point in history] == [(step, 1.0 / (step + 1)) for step in range(5)]
        assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["report.txt"]

    assert homog_sync() == (
        0,
        f"{alive}: still going on, left alone\n4 runs: 3 complete, 0 sent, 1 running, 0 failed\n",
    )
    lock.release()
    assert "1 sent" in homog_sync(alive)[1]
    assert "2 complete" in homog_sync(tmp_path / "sweeps" / "two")[1]  # a sweep with its jobs
    assert len(client.search_runs([experiment.experiment_id])) == 4


def test_two_at_once_send_a_run_once(tmp_path: Path) -> None:
    with stub_server() as server:
        folders = [dead_run(tmp_path / str(number), ServerTracking(uri=server.uri)).folder for number in range(4)]
        outcomes: list[sync.Synced] = []
        threads = [threading.Thread(target=lambda: outcomes.extend(sync.sync(folders, tmp_path))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.runs) == len([outcome for outcome in outcomes if outcome.outcome == "sent"]) == 4
        assert all(len(run.metrics) == 5 and run.statuses == ["KILLED"] for run in server.runs.values())


def test_a_run_whose_creation_was_not_confirmed_is_found_again(tmp_path: Path, homog_sync: Any) -> None:
    with stub_server() as server:
        ledger = dead_run(tmp_path / "runs" / "a", ServerTracking(uri=server.uri))
        for _ in range(2):  # a server that hung and made up for both attempts
            tags = [{"key": "homog.key", "value": ledger.key}]
            server.answer("/api/2.0/mlflow/runs/create", json.dumps({"tags": tags}).encode())
        assert homog_sync()[0] == 0
        first, double = server.runs.values()
        assert (len(first.metrics), first.status, first.deleted, double.deleted) == (5, "KILLED", False, True)


def test_jobs_are_nested_below_a_sweep_that_the_server_did_not_know(tmp_path: Path, homog_sync: Any) -> None:
    with stub_server() as server:
        settings = ServerTracking(uri=server.uri)
        server.fault = "down"
        job = tmp_path / "sweeps" / "a" / "0"
        with open_recorder(settings, job.parent, tmp_path, "a", {}, {}) as sweep:
            children = ChildRuns(sweep, tmp_path)
            with open_recorder(settings, job, tmp_path, "0", {}, children.tags(0)):
                pass
            (job / "run.log").write_text("it failed")
            assert children.end(0, "0", "FAILED", "out of memory", job / "run.log", {}) is None
        server.fault = "none"
        assert homog_sync()[0] == 0
        (parent,) = (i for i, run in server.runs.items() if "mlflow.parentRunId" not in run.tags)
        (child,) = (run for run in server.runs.values() if run.tags.get("mlflow.parentRunId") == parent)
        assert (child.status, child.tags["reason"], child.tags["sweep.job"]) == ("FAILED", "out of memory", "0")
        assert list(child.artifacts) == ["run.log"]


def test_one_run_that_the_store_refuses_holds_up_no_other(tmp_path: Path, homog_sync: Any) -> None:
    with stub_server() as server:
        gone = dead_run(tmp_path / "runs" / "a", ServerTracking(uri=server.uri))
        gone.update(run_id="0" * 32)
        dead_run(tmp_path / "runs" / "b", ServerTracking(uri=server.uri))
        status, said = homog_sync()
        assert (status, [run.status for run in server.runs.values()]) == (1, ["KILLED"])
        assert said.startswith(f"{gone.folder}: failed: ")


HOSTILE: dict[str, Any] = {
    "no JSON": "{",
    "nested": "[" * 100_000,
    "a list": "[]",
    "another format": {"format": 2},
    "a kind that is code": {"settings": {"kind": "os.system", "uri": "touch hacked"}},
    "no address": {"settings": {"kind": "server", "uri": "file:///etc", "experiment": "x"}},
    "a key with a quote": {"key": "' or '1' = '1"},
    "an artifact outside": {"artifacts": {"../../secret": {"asked": 1, "sent": 0}}},
    "a link to the outside": {"artifacts": {"link": {"asked": 1, "sent": 0}}},
    "a negative place": {"sent_bytes": -1},
    "a text for a number": {"sent_bytes": "1"},
    "an unknown status": {"status": "WELL"},
    "numbers for tags": {"tags": {"a": 1}},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_account_costs_one_line(tmp_path: Path, homog_sync: Any, case: str) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "runs" / "a"
    with stub_server() as server:
        dead_run(folder, ServerTracking(uri=server.uri))
        (folder / "link").symlink_to(tmp_path / "secret")
        path, changes = folder / LEDGER_FILE, HOSTILE[case]
        path.write_text(changes if isinstance(changes, str) else json.dumps(json.loads(path.read_text()) | changes))
        status, said = homog_sync()
        assert (status, said.count("\n")) == (1, 2)
        assert said.startswith(f"{folder}: failed: ")
        assert "Traceback" not in said
        assert all(set(run.artifacts) <= {"report.txt"} for run in server.runs.values())


def test_hostile_metrics_are_passed_over(tmp_path: Path, homog_sync: Any) -> None:
    with stub_server() as server:
        folder = dead_run(tmp_path / "runs" / "a", ServerTracking(uri=server.uri)).folder
        lines = ["null", "[" * 100_000, f'{{"step": 1, "timestamp": 1, "metrics": {{"a": 1{"0" * 400}}}}}', "\x00\xff"]
        with (folder / METRICS_FILE).open("a") as stream:
            stream.write("\n" + "\n".join(lines))
        assert homog_sync()[0] == 0
        assert [len(run.metrics) for run in server.runs.values()] == [5]


def test_mistakes_get_one_line_and_status_2(tmp_path: Path, homog_sync: Any) -> None:
    assert homog_sync() == (0, "0 runs: 0 complete, 0 sent, 0 running, 0 failed\n")
    for arguments in ([tmp_path / "nowhere"], ["--frce"]):
        status, said = homog_sync(*arguments)
        assert (status, said.count("\n"), said.startswith("homog-sync: ")) == (2, 1, True)


def test_a_new_run_does_not_make_us_forget_what_is_to_be_sent(tmp_path: Path) -> None:
    dead_run(tmp_path / "a", LocalTracking())
    with pytest.raises(UserError, match="homog-sync") as error:
        open_recorder(LocalTracking(), tmp_path / "a", tmp_path, "b", {}, {})
    assert "\n" not in str(error.value)
