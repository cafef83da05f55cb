"""What is asked of an MLflow store; the only file that speaks to MLflow's client about runs."""

import getpass
import sys
from collections.abc import Mapping, Sequence
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING

from homog.tracking.ledger import Status
from homog.tracking.metrics import MetricsEntry

if TYPE_CHECKING:  # importing MLflow takes seconds
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_KEY = "homog.key"

# MLflow's own limits: a batch of either kind, and the length of a value.
_METRICS_A_BATCH, _PARAMETERS_A_BATCH = 1000, 100
_PARAMETER_LENGTH, _TAG_LENGTH = 6000, 5000


class MLflowStore:
    """An MLflow store that answered. Every method raises what MLflow raises, and may be repeated."""

    def __init__(self, client: "MlflowClient", experiment_id: str, link: str) -> None:
        """Nothing is asked of the store.

        Args:
            client: Bound to the store's address, whatever MLflow's global state is.
            experiment_id: Identifier of the experiment for our runs.
            link: Where a user finds a run; `{name}` and `{run_id}` stand for the run's.
        """
        self.link = link
        self._client = client
        self._experiment_id = experiment_id

    def require_answer(self) -> None:
        """Do nothing, if the store answers."""
        self._client.search_experiments(max_results=1)

    def create(self, key: str, name: str, tags: Mapping[str, str], started_at: int) -> str:
        """Create a run, with the status RUNNING; its id.

        Args:
            key: By which it can be found should the answer get lost.
            name: The run's name in the UI.
            tags: Value by name; one too long for MLflow is cut, with a mark.
            started_at: Milliseconds since 1970-01-01, UTC.
        """
        run = self._client.create_run(self._experiment_id, started_at, _cut({**tags, _KEY: key}, _TAG_LENGTH), name)
        return run.info.run_id

    def find(self, key: str) -> str | None:
        """The id of the run that was created with a key, or None.

        Of two, the older is kept: a server that hung may make up for both attempts when it wakes.
        """
        found: list[Run] = self._client.search_runs(
            [self._experiment_id], f"tags.`{_KEY}` = '{key}'", order_by=["attributes.start_time ASC"]
        )
        for double in found[1:]:
            self._client.delete_run(double.info.run_id)
        return found[0].info.run_id if found else None

    def describe(self, run_id: str, parameters: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Give a run parameters and tags; a value too long for MLflow is cut, with a mark."""
        from mlflow.entities import Param, RunTag

        short_tags = [RunTag(name, value) for name, value in _cut(tags, _TAG_LENGTH).items()]
        for some in batched(short_tags, _PARAMETERS_A_BATCH):
            self._client.log_batch(run_id, tags=some)
        for some in batched(_cut(parameters, _PARAMETER_LENGTH).items(), _PARAMETERS_A_BATCH):
            self._client.log_batch(run_id, params=[Param(name, value) for name, value in some])

    def send_metrics(self, run_id: str, entries: Sequence[MetricsEntry]) -> None:
        """Send entries; to send one again changes nothing, since its timestamp is its own."""
        from mlflow.entities import Metric

        values = (
            Metric(name, value, entry.timestamp, entry.step)
            for entry in entries
            for name, value in entry.metrics.items()
        )
        for some in batched(values, _METRICS_A_BATCH):
            self._client.log_batch(run_id, metrics=some)

    def send_artifact(self, run_id: str, path: Path) -> None:
        """Copy a file into the store, or a folder under its own name."""
        self._client.log_artifact(run_id, str(path))

    def set_status(self, run_id: str, status: Status, ended_at: int | None) -> None:
        """Say that a run goes on, or how and when it ended.

        Args:
            run_id: The run's.
            status: RUNNING or how it ended.
            ended_at: Milliseconds since 1970-01-01, UTC; unused with RUNNING.
        """
        if status == "RUNNING":
            self._client.update_run(run_id, status)
        else:
            self._client.set_terminated(run_id, status, ended_at)


def source_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """What fills the columns of MLflow's table of runs, which `MlflowClient` leaves empty."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "unknown"
    own = {"mlflow.user": user, "mlflow.source.name": Path(sys.argv[0]).name, "mlflow.source.type": "LOCAL"}
    return own | ({"mlflow.source.git.commit": tags["git_commit"]} if tags.get("git_commit") else {})


def _cut(values: Mapping[str, str], length: int) -> dict[str, str]:
    mark = " [cut]"
    return {name: text if len(text) <= length else text[: length - len(mark)] + mark for name, text in values.items()}
