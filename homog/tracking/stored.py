"""One run in an MLflow store."""

import getpass
import sys
from collections.abc import Mapping, Sequence
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Self

from homog.tracking.ledger import Status
from homog.tracking.metrics import MetricsEntry
from homog.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

_KEY = "homog.key"

# MLflow's own limits: a batch of either kind, and the length of a value.
_METRICS_A_BATCH, _PARAMETERS_A_BATCH = 1000, 100
_PARAMETER_LENGTH, _TAG_LENGTH = 6000, 5000


class StoredRun:
    """One run in an MLflow store. Every method raises what MLflow raises, and may be repeated."""

    def __init__(self, store: Store, run_id: str) -> None:
        """Nothing is asked of the store.

        Args:
            store: Where.
            run_id: The run's.
        """
        self.run_id = run_id
        self._client = store.client

    @classmethod
    def create(cls, store: Store, key: str, name: str, tags: Mapping[str, str], started_at: int) -> Self:
        """Create a run, with the status RUNNING.

        Args:
            store: Where.
            key: By which it can be found should the answer get lost.
            name: The run's name in the UI.
            tags: Value by name; one too long for MLflow is cut, with a mark.
            started_at: Milliseconds since 1970-01-01, UTC.
        """
        all_tags = _cut({**_source_tags(tags), **tags, _KEY: key}, _TAG_LENGTH)
        run = store.client.create_run(store.experiment_id, started_at, all_tags, name)
        return cls(store, run.info.run_id)

    @classmethod
    def find(cls, store: Store, key: str) -> Self | None:
        """The run that was created with a key, or None.

        Of two, the older is kept: a server that hung may make up for both attempts when it wakes.
        """
        found: list[Run] = store.client.search_runs(
            [store.experiment_id], f"tags.`{_KEY}` = '{key}'", order_by=["attributes.start_time ASC"]
        )
        for double in found[1:]:
            store.client.delete_run(double.info.run_id)
        return cls(store, found[0].info.run_id) if found else None

    def describe(self, parameters: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Give the run parameters and tags; a value too long for MLflow is cut, with a mark."""
        from mlflow.entities import Param, RunTag

        short_tags = [RunTag(name, value) for name, value in _cut(tags, _TAG_LENGTH).items()]
        for some in batched(short_tags, _PARAMETERS_A_BATCH):
            self._client.log_batch(self.run_id, tags=some)
        for some in batched(_cut(parameters, _PARAMETER_LENGTH).items(), _PARAMETERS_A_BATCH):
            self._client.log_batch(self.run_id, params=[Param(name, value) for name, value in some])

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

    def set_status(self, status: Status, ended_at: int | None) -> None:
        """Say that the run goes on, or how and when it ended.

        Args:
            status: RUNNING or how it ended.
            ended_at: Milliseconds since 1970-01-01, UTC; unused with RUNNING.
        """
        if status == "RUNNING":
            self._client.update_run(self.run_id, status)
        else:
            self._client.set_terminated(self.run_id, status, ended_at)


def _source_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Fill the columns of MLflow's table of runs, which `MlflowClient` leaves empty."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "unknown"
    own = {"mlflow.user": user, "mlflow.source.name": Path(sys.argv[0]).name, "mlflow.source.type": "LOCAL"}
    return own | ({"mlflow.source.git.commit": tags["git_commit"]} if tags.get("git_commit") else {})


def _cut(values: Mapping[str, str], length: int) -> dict[str, str]:
    mark = " [cut]"
    return {name: text if len(text) <= length else text[: length - len(mark)] + mark for name, text in values.items()}
