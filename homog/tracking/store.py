"""Where the MLflow stores lie, and how they are opened; the only room that knows MLflow's own settings."""

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from filelock import Timeout

from homog.config import LocalTracking, NoTracking, ServerTracking, TrackingSettings
from homog.errors import UserError
from homog.tracking.database import require_database
from homog.tracking.ledger import Status
from homog.tracking.metrics import MetricsEntry
from homog.tracking.mlflow_store import MLflowStore

if TYPE_CHECKING:  # importing MLflow takes seconds
    from mlflow.tracking import MlflowClient

# Ours only where the user has not set them. MLflow's log would repeat, with tracebacks, what the recorder
# says in a line.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
# MLflow's defaults let a dead server block each call for four minutes. It is the sender that tries again: MLflow
# repeats the creation of a run that a slow server has made already, and there are two.
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


class StoreError(Exception):
    """What MLflow or the network had to say to another process of ours, in one line.

    Args:
        line: The request.
        busy: Whether `is_busy` said so there.
    """

    def __init__(self, line: str, *, busy: bool = False) -> None:
        super().__init__(line)
        self.busy = busy


class Store(Protocol):
    """What can be asked of a store, here or in another process: see `MLflowStore`."""

    @property
    def link(self) -> str: ...
    def require_answer(self) -> None: ...
    def create(self, key: str, name: str, tags: Mapping[str, str], started_at: int) -> str: ...
    def find(self, key: str) -> str | None: ...
    def describe(self, run_id: str, parameters: Mapping[str, str], tags: Mapping[str, str]) -> None: ...
    def send_metrics(self, run_id: str, entries: Sequence[MetricsEntry]) -> None: ...
    def send_artifact(self, run_id: str, path: Path) -> None: ...
    def set_status(self, run_id: str, status: Status, ended_at: int | None) -> None: ...


class Address(Protocol):
    """Where a store should be.

    Attributes:
        patience: Seconds without an answer after which nobody should wait for it any longer.
    """

    @property
    def patience(self) -> float: ...

    def open(self) -> Store:
        """Open the store, and create the experiment where it is missing.

        Raises:
            Exception: Whatever MLflow, SQLite or the network had to say.
        """
        ...


def load_client() -> "type[MlflowClient]":
    """Import MLflow, which takes seconds, and what it imports later for a local store."""
    _quieten()
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    from mlflow.tracking import MlflowClient

    return MlflowClient


def is_loaded() -> bool:
    """Whether this process has imported MLflow."""
    return "mlflow.tracking" in sys.modules


def modules_to_preload() -> list[str]:
    """What a process should have imported that many others, which record runs, are to be forked from."""
    _quieten()
    return ["mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store"]


@singledispatch
def address(settings: TrackingSettings, home: Path) -> Address | None:
    """The store that the settings ask for; it is not opened yet.

    Args:
        settings: Which store.
        home: The folder for everything that is written (`HOMOG_HOME`).

    Returns:
        The address, or None where nothing but `metrics.jsonl` is wanted.

    Raises:
        UserError: If the settings can never work.
    """
    raise TypeError(f"no tracking store for {type(settings).__name__}")


@address.register
def _(settings: NoTracking, home: Path) -> None:
    return None


@address.register
def _(settings: LocalTracking, home: Path) -> Address:
    home = home.resolve()
    if "%" in str(home) or "?" in str(home):  # MLflow reads these as more than a character of a path
        raise UserError(f"HOMOG_HOME={home} cannot hold a database: choose a path without % and ?")
    return _Database(home, settings.experiment)


@address.register
def _(settings: ServerTracking, home: Path) -> Address:
    uri = settings.uri.rstrip("/")
    if not uri.startswith(("http://", "https://")):
        raise UserError(f"tracking.uri={settings.uri} is no address of a server: write http://<host>:<port>")
    return _Server(uri, settings.experiment)


@dataclass(frozen=True)
class _Database:
    """An SQLite file in HOMOG_HOME: it never hangs, but many processes may wait for each other."""

    home: Path
    experiment: str
    patience: float = 120.0

    def open(self) -> MLflowStore:
        self.home.mkdir(parents=True, exist_ok=True)
        database = self.home / "mlflow.db"
        client_type = load_client()
        require_database(database, client_type)
        client = client_type(tracking_uri=f"sqlite:///{database}")
        experiment_id = _experiment_id(client, self.experiment, (self.home / "mlartifacts").as_uri())
        return MLflowStore(client, experiment_id, f"MLflow run '{{name}}' in {_literal(str(database))} (make ui)")


@dataclass(frozen=True)
class _Server:
    """A server, which may be down, or hang."""

    uri: str
    experiment: str
    patience: float = 5.0

    def open(self) -> MLflowStore:
        for variable, value in _IMPATIENT.items():
            os.environ.setdefault(variable, value)
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it would announce each retry
        client = load_client()(tracking_uri=self.uri)
        experiment_id = _experiment_id(client, self.experiment, None)
        return MLflowStore(client, experiment_id, f"{_literal(self.uri)}/#/experiments/{experiment_id}/runs/{{run_id}}")


def describe(address: Address) -> tuple[str, dict[str, str]]:
    """An address as plain values, for another process."""
    assert isinstance(address, _Database | _Server)
    place = {"home": str(address.home)} if isinstance(address, _Database) else {"uri": address.uri}
    return type(address).__name__, {**place, "experiment": address.experiment}


def described(kind: str, fields: Mapping[str, str]) -> "_Database | _Server":
    """The address that `describe` described."""
    if kind == "_Database":
        return _Database(Path(fields["home"]), fields["experiment"])
    return _Server(fields["uri"], fields["experiment"])


def is_busy(error: BaseException) -> bool:
    """Whether it was only that others are at the same database, which passes."""
    if isinstance(error, StoreError):
        return error.busy
    return isinstance(error, Timeout) or "database is locked" in str(error)


def _quieten() -> None:
    for variable, value in _QUIET.items():  # MLflow reads them when it is imported
        os.environ.setdefault(variable, value)


def _experiment_id(client: "MlflowClient", name: str, artifact_location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return client.create_experiment(name, artifact_location=artifact_location)
        except MlflowException:  # another run may have come first
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    return experiment.experiment_id


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
