"""The recorder of one run: the file first, MLflow after it."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import BaseFileLock

from homog.config import TrackingSettings
from homog.errors import UserError
from homog.tracking.delivery import Delivery
from homog.tracking.ledger import LEDGER_FILE, Ledger, Status
from homog.tracking.lock import lock_run
from homog.tracking.metrics import METRICS_FILE, MetricsEntry, MetricsFile, read_metrics
from homog.tracking.sender import Sender, first_line
from homog.tracking.store import address

_logger = logging.getLogger(__name__)


class Recorder:
    """What one run reports, as a context manager.

    `metrics.jsonl` in the run's folder is the truth, written at once. A thread brings the same to MLflow, where
    there is one; that may fail and costs a warning at the end, and `homog-sync` sends later what is missing.
    Leaving the context sets the status: FINISHED, KILLED after Ctrl-C and other interruptions, FAILED after any
    other exception, `sys.exit` included.
    """

    def __init__(
        self,
        file: MetricsFile,
        lock: BaseFileLock,
        before: Sequence[MetricsEntry] = (),
        sender: Sender | None = None,
        delivery: Delivery | None = None,
    ) -> None:
        """Record into an open file; `open_recorder` knows where the rest comes from.

        Args:
            file: Open for appending.
            lock: Lock of the run's folder; kept until the run has ended.
            before: What the file holds of steps that are repeated now; what comes again is not written again.
            sender: Sender of this process, or None for the file alone.
            delivery: Delivery of this run, by that sender.
        """
        self._file = file
        self._lock = lock
        self._sender = sender
        self._delivery = delivery
        self._failure: Exception | None = None
        self._finished = False
        self._before = {(entry.step, frozenset(entry.metrics)): entry.metrics for entry in before}  # the last of each

    @property
    def location(self) -> str:
        """Where a user finds this run, in one line."""
        stored = self._delivery.location if self._delivery and self._failure is None else ""
        return stored or str(self._file.path)

    @property
    def sender(self) -> Sender | None:
        """What brings this run to MLflow, or None where nobody does."""
        return self._sender

    @property
    def ledger(self) -> Ledger | None:
        """What MLflow is to have of this run, or None where it is to have nothing."""
        return self._delivery.ledger if self._delivery else None

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Record metrics of one step.

        Args:
            metrics: Value by name; NaN and infinities are allowed.
            step: Iteration.
        """
        values = {name: float(value) for name, value in metrics.items()}
        known = self._before.get((int(step), frozenset(values)))
        if known is not None and all(_same(value, known[name]) for name, value in values.items()):
            return
        self._file.append(MetricsEntry(int(step), time.time_ns() // 1_000_000, values))

    def sync(self) -> None:
        """Return when all that was logged is on the disk, as a checkpoint that follows it takes for granted."""
        self._file.sync()

    def artifact(self, path: Path) -> None:
        """Copy a file or a folder into MLflow; without MLflow, it stays where it is and nothing happens.

        Args:
            path: In the run's folder; it must stay there until the run is in MLflow. What is handed over once
                more is sent once more.

        Raises:
            FileNotFoundError: If there is nothing at `path`.
            ValueError: If it is not in the run's folder.
        """
        if not path.exists():
            raise FileNotFoundError(path)
        if self.ledger is not None:
            self.ledger.ask(path)

    def finish(self, status: Status) -> None:
        """Set the status, send what is left as long as the store answers, and close; a second call does nothing.

        Args:
            status: How the run ended.
        """
        if self._finished:
            return
        self._finished = True
        try:
            if self._sender is None or self.ledger is None:
                self._lock.release()
                return
            with suppress(OSError):  # a full disk, say: the status still goes to MLflow
                self.ledger.update(status=status, ended_at=time.time_ns() // 1_000_000)
            self._failure = self._sender.close()
            if self._failure is not None:
                folder, reason = self.ledger.folder, first_line(self._failure)
                _logger.warning("not all of this run is in MLflow; homog-sync %s sends the rest: %s", folder, reason)
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


def open_recorder(
    settings: TrackingSettings,
    folder: Path,
    home: Path,
    name: str,
    parameters: Mapping[str, str | float | int | bool],
    tags: Mapping[str, str],
    *,
    resumed: bool = False,
) -> Recorder:
    """Open the record of a run; use it as a context manager.

    Args:
        settings: Where to, beside `metrics.jsonl`: an SQLite store of MLflow in `home`, a server, or nowhere.
        folder: The run's folder; created where it is missing.
        home: The folder for everything that is written (`HOMOG_HOME`).
        name: The run's name in MLflow.
        parameters: Settings to compare runs by; a value beyond MLflow's 6,000 characters is cut, with a mark.
        tags: What else describes the run, for instance `environment_tags()`.
        resumed: Continue the record in the folder, and the same run in MLflow, wherever it was recorded; its name
            and parameters stay. Entries that come again with the same values are not written again.

    Returns:
        The recorder.

    Raises:
        UserError: If the run's folder cannot be written, the settings can never work, or the folder has a run
            that still goes on or is not wholly in MLflow.
    """
    place = address(settings, home)
    path = folder / METRICS_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = lock_run(folder)
        if lock is None:
            raise UserError(f"the run in {folder} is still going on: wait for its end, or choose another folder")
        try:
            ledger = _earlier_ledger(folder, resumed=resumed)
            is_new = ledger is None
            before = read_metrics(path) if resumed and path.exists() else []
            file = MetricsFile(path)
            tags = {**tags, "folder": str(folder.resolve())}
            if ledger is not None:
                place = address(ledger.settings, home)
                tags = {**ledger.tags, **tags}
                ledger.update(status="RUNNING", sent_status=None, ended_at=None, tags=tags, described=False)
            elif place is not None:
                texts = {key: str(value) for key, value in parameters.items()}
                ledger = Ledger(folder, settings, name, texts, tags)
                ledger.update(sent_bytes=0 if resumed else path.stat().st_size)
            if ledger is None or place is None:
                return Recorder(file, lock, before)
            sender = Sender(place.patience)
            return Recorder(file, lock, before, sender, sender.add(ledger, place, lock, is_new=is_new))
        except BaseException:
            lock.release()
            raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(f"cannot write {path} ({reason}): set HOMOG_HOME to a writable folder") from error


def _earlier_ledger(folder: Path, *, resumed: bool) -> Ledger | None:
    """That of the run to resume; a run that begins anew in a folder must not make us forget what is to be sent."""
    try:
        found = Ledger.read(folder)
    except ValueError as error:
        _logger.warning("%s: this run gets a record of its own in MLflow", error)
        return None
    if resumed or found is None:
        return found
    if not found.complete:
        raise UserError(
            f"the run that {folder / LEDGER_FILE} tells of is not wholly in MLflow: call homog-sync {folder}, or"
            " choose another folder"
        )
    return None


def _same(a: float, b: float) -> bool:
    return a == b or (a != a and b != b)
