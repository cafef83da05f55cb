"""The recorder of one run: the file first, MLflow after it."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from homog.config import TrackingSettings
from homog.errors import UserError
from homog.tracking.metrics import METRICS_FILE, MetricsEntry, MetricsFile
from homog.tracking.store import Status, StoredRun, open_store

_logger = logging.getLogger(__name__)

_BATCH_SECONDS = 5.0  # a call takes 3 to 80 ms: at this pace it costs the run less than 2 %


class Recorder:
    """What one run reports, as a context manager.

    `metrics.jsonl` in the run's folder is the truth, written at once. MLflow gets the same in batches and may
    fail: that costs a warning and no further attempt until the run ends, when all that is missing is sent
    once more. Leaving the context sets the status: FINISHED, KILLED after Ctrl-C, FAILED after any other
    exception, `sys.exit` included.
    """

    def __init__(self, file: MetricsFile, run: StoredRun | None, *, batch_seconds: float = _BATCH_SECONDS) -> None:
        """Record into an open file and, where there is one, a run in a store.

        Args:
            file: Open for appending.
            run: The run in MLflow, or None for the file alone.
            batch_seconds: Least time between two batches of metrics to MLflow.
        """
        self._file = file
        self._run = run
        self._batch_seconds = batch_seconds
        self._entries: list[MetricsEntry] = []  # not yet in MLflow
        self._artifacts: list[Path] = []  # likewise
        # Apart, since a server may take metrics and have nowhere to put files.
        self._metrics_flow = self._artifacts_flow = run is not None
        self._finished = False
        self._sent_at = time.monotonic()

    @property
    def location(self) -> str:
        """Where a user finds this run, in one line."""
        return self._run.location if self._run and self._metrics_flow else str(self._file.path)

    @property
    def stored(self) -> StoredRun | None:
        """The run in MLflow, or None where there is none."""
        return self._run

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Record metrics of one step.

        Args:
            metrics: Value by name; NaN and infinities are allowed.
            step: Iteration.
        """
        values = {name: float(value) for name, value in metrics.items()}
        entry = MetricsEntry(int(step), time.time_ns() // 1_000_000, values)
        self._file.append(entry)
        if self._run is None:
            return
        self._entries.append(entry)
        if self._metrics_flow and time.monotonic() - self._sent_at >= self._batch_seconds:
            self._metrics_flow = self._attempt(self._send_metrics)

    def sync(self) -> None:
        """Bring `metrics.jsonl` onto the disk."""
        self._file.sync()

    def artifact(self, path: Path) -> None:
        """Copy a file or a folder into MLflow; without MLflow, it stays where it is and nothing happens.

        Args:
            path: Of what is to be kept; it must stay there until the run ends.

        Raises:
            FileNotFoundError: If there is nothing at `path`.
        """
        if not path.exists():
            raise FileNotFoundError(path)
        if self._run is None:
            return
        self._artifacts.append(path)
        if self._metrics_flow and self._artifacts_flow:
            self._artifacts_flow = self._attempt(self._send_artifacts)

    def finish(self, status: Status) -> None:
        """Send what is left, set the status and close the file; a second call does nothing.

        Args:
            status: How the run ended.
        """
        if self._finished:
            return
        self._finished = True

        def send_and_end(run: StoredRun) -> None:
            self._send_metrics(run)
            run.end(status)

        try:
            self._metrics_flow = self._attempt(send_and_end)
            if self._metrics_flow:
                self._attempt(self._send_artifacts)
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish("FINISHED")
        elif issubclass(kind, KeyboardInterrupt):
            self.finish("KILLED")
        else:
            self.finish("FAILED")

    # Forgotten only when sent, in both: to send something twice does no harm, to lose it does.

    def _send_metrics(self, run: StoredRun) -> None:
        run.send_metrics(self._entries)
        self._entries.clear()
        self._sent_at = time.monotonic()

    def _send_artifacts(self, run: StoredRun) -> None:
        while self._artifacts:
            run.send_artifact(self._artifacts[0])
            self._artifacts.pop(0)

    def _attempt(self, action: Callable[[StoredRun], None]) -> bool:
        if self._run is None:
            return False
        try:
            action(self._run)
        except Exception as error:  # whatever it is, it must not cost the run
            _warn(error, self._file.path.parent)
            return False
        return True


def open_recorder(
    settings: TrackingSettings,
    folder: Path,
    home: Path,
    name: str,
    parameters: Mapping[str, str | float | int | bool],
    tags: Mapping[str, str],
) -> Recorder:
    """Open the record of a new run; use it as a context manager.

    Args:
        settings: Where to, beside `metrics.jsonl`: an SQLite store of MLflow in `home`, a server, or nowhere.
        folder: The run's folder; created where it is missing.
        home: The folder for everything that is written (`HOMOG_HOME`).
        name: The run's name in MLflow.
        parameters: Settings to compare runs by; a value beyond MLflow's 6,000 characters is cut, with a mark.
        tags: What else describes the run, for instance `environment_tags()`.

    Returns:
        The recorder. If MLflow cannot be had, one that warned once and writes `metrics.jsonl` alone.

    Raises:
        UserError: If the run's folder cannot be written, or the settings can never work.
    """
    path = folder / METRICS_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = MetricsFile(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(f"cannot write {path} ({reason}): set HOMOG_HOME to a writable folder") from error
    try:
        store = open_store(settings, home)
        run = StoredRun(store, name, parameters, {**tags, "folder": str(folder.resolve())}) if store else None
    except UserError:
        file.close()
        raise
    except Exception as error:  # a store that cannot be had must not cost the run
        _warn(error, folder)
        run = None
    return Recorder(file, run)


def _warn(error: Exception, folder: Path) -> None:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    _logger.warning("not all of this run is in MLflow, see %s instead: %s", folder, reason[:200])
