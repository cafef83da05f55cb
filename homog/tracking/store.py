"""The only room that speaks to MLflow: where its store lies, and one run in it."""

import getpass
import logging
import os
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import singledispatch
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from homog.config import LocalTracking, NoTracking, ServerTracking, TrackingSettings
from homog.errors import UserError
from homog.tracking.metrics import MetricsEntry

if TYPE_CHECKING:  # importing MLflow takes seconds
    from mlflow.tracking import MlflowClient

Status = Literal["FINISHED", "FAILED", "KILLED"]

# MLflow's own limits: a batch of either kind, and the length of a value.
_METRICS_A_BATCH, _PARAMETERS_A_BATCH = 1000, 100
_PARAMETER_LENGTH, _TAG_LENGTH = 6000, 5000

_LOCK_SECONDS = 120.0  # creating the tables of a fresh store takes some seconds, more on a busy machine

# Ours only where the user has not set them. MLflow's log would repeat, with tracebacks, what the recorder
# says in a line.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
# MLflow's defaults let a dead server block each call for four minutes.
_IMPATIENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


@dataclass(frozen=True)
class Store:
    """An MLflow store that answered, and the experiment for our runs.

    Attributes:
        client: Bound to the store's address, whatever MLflow's global state is.
        experiment_id: The experiment's.
        link: Where a user finds a run; `{name}` and `{run_id}` stand for the run's.
    """

    client: "MlflowClient"
    experiment_id: str
    link: str


def modules_to_preload() -> list[str]:
    """What a process should have imported that many others, which record runs, are to be forked from."""
    _quieten()
    return ["mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store"]


@singledispatch
def open_store(settings: TrackingSettings, home: Path) -> Store | None:
    """Open the store that the settings ask for, and create the experiment where it is missing.

    Args:
        settings: Which store.
        home: The folder for everything that is written (`HOMOG_HOME`).

    Returns:
        The store, or None where nothing but `metrics.jsonl` is wanted.

    Raises:
        UserError: If the settings can never work.
        Exception: Whatever MLflow, SQLite or the network had to say.
    """
    raise TypeError(f"no tracking store for {type(settings).__name__}")


@open_store.register
def _(settings: NoTracking, home: Path) -> None:
    return None


@open_store.register
def _(settings: LocalTracking, home: Path) -> Store:
    from filelock import FileLock

    home = home.resolve()
    if "%" in str(home) or "?" in str(home):  # MLflow reads these as more than a character of a path
        raise UserError(f"HOMOG_HOME={home} is no place for a database: choose a path without % and ?")
    home.mkdir(parents=True, exist_ok=True)
    database = home / "mlflow.db"
    client_type = _client_type()  # imported before the lock is taken: it takes seconds
    # Processes that open a fresh store together create its tables into each other and destroy it.
    with FileLock(home / "mlflow.db.lock", timeout=_LOCK_SECONDS):
        _require_writable(database)
        client = client_type(tracking_uri=f"sqlite:///{database}")
        experiment_id = _experiment_id(client, settings.experiment, (home / "mlartifacts").as_uri())
    return Store(client, experiment_id, f"MLflow run '{{name}}' in {_literal(str(database))} (make ui)")


@open_store.register
def _(settings: ServerTracking, home: Path) -> Store:
    uri = settings.uri.rstrip("/")
    if not uri.startswith(("http://", "https://")):
        raise UserError(f"tracking.uri={settings.uri} is no address of a server: write http://<host>:<port>")
    for variable, value in _IMPATIENT.items():
        os.environ.setdefault(variable, value)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it would announce each retry
    client = _client_type()(tracking_uri=uri)
    experiment_id = _experiment_id(client, settings.experiment, None)
    return Store(client, experiment_id, f"{_literal(uri)}/#/experiments/{experiment_id}/runs/{{run_id}}")


class StoredRun:
    """One run in an MLflow store. Every method raises what MLflow raises."""

    def __init__(
        self,
        store: Store,
        name: str,
        parameters: Mapping[str, str | float | int | bool],
        tags: Mapping[str, str],
    ) -> None:
        """Create the run, with the status RUNNING.

        Args:
            store: Where.
            name: The run's name in the UI.
            parameters: Value by name; one too long for MLflow is cut, with a mark.
            tags: Value by name, likewise.
        """
        from mlflow.entities import Param

        self.store = store
        self._client = store.client
        all_tags = {**_source_tags(tags), **tags}
        short_tags = {key: _shorten(value, _TAG_LENGTH) for key, value in all_tags.items()}
        run = self._client.create_run(store.experiment_id, tags=short_tags, run_name=name)
        self.run_id: str = run.info.run_id
        self.location = store.link.format(name=name, run_id=self.run_id)
        for some in batched(parameters.items(), _PARAMETERS_A_BATCH):
            values = [Param(key, _shorten(str(value), _PARAMETER_LENGTH)) for key, value in some]
            self._client.log_batch(self.run_id, params=values)

    def send_metrics(self, entries: Sequence[MetricsEntry]) -> None:
        """Send entries; to send one again changes nothing, since its timestamp is its own."""
        from mlflow.entities import Metric

        values = (
            Metric(name, value, entry.timestamp, entry.step)
            for entry in entries
            for name, value in entry.metrics.items()
        )
        for some in batched(values, _METRICS_A_BATCH):
            self._client.log_batch(self.run_id, metrics=some)

    def send_artifact(self, path: Path) -> None:
        """Copy a file into the store, or a folder under its own name."""
        self._client.log_artifact(self.run_id, str(path))

    def end(self, status: Status) -> None:
        """Set the final status."""
        self._client.set_terminated(self.run_id, status)


def _client_type() -> "type[MlflowClient]":
    _quieten()
    from mlflow.tracking import MlflowClient

    return MlflowClient


def _quieten() -> None:
    for variable, value in _QUIET.items():  # MLflow reads them when it is imported
        os.environ.setdefault(variable, value)


def _experiment_id(client: "MlflowClient", name: str, artifact_location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return client.create_experiment(name, artifact_location=artifact_location)
        except MlflowException:  # on a server another run may have come first
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    return experiment.experiment_id


def _require_writable(database: Path) -> None:
    # MLflow would try a broken or unwritable database for 100 seconds; SQLite says so at once.
    with closing(sqlite3.connect(database, timeout=20.0, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def _source_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Fill the columns of MLflow's table of runs, which `MlflowClient` leaves empty."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "unknown"
    own = {"mlflow.user": user, "mlflow.source.name": Path(sys.argv[0]).name, "mlflow.source.type": "LOCAL"}
    return own | ({"mlflow.source.git.commit": tags["git_commit"]} if tags.get("git_commit") else {})


def _shorten(text: str, length: int) -> str:
    mark = " [cut]"
    return text if len(text) <= length else text[: length - len(mark)] + mark


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
