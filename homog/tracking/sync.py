"""What runs could not send to MLflow themselves, sent afterwards."""

import functools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from homog.tracking.children import nest
from homog.tracking.delivery import Delivery
from homog.tracking.ledger import LEDGER_FILE, Ledger
from homog.tracking.lock import lock_run
from homog.tracking.metrics import METRICS_FILE
from homog.tracking.sender import first_line
from homog.tracking.store import Address, Store, address, is_busy

_BUSY_ATTEMPTS, _BUSY_SECONDS = 10, 0.5
_FOLDERS = ("runs/*", "sweeps/*", "sweeps/*/*")


@dataclass(frozen=True)
class Synced:
    """What became of a run folder.

    Attributes:
        folder: The run's.
        outcome: `complete` before, `sent` now, `running` still and thus left alone, or `failed`.
        detail: What was sent, or why it was not; in one line.
    """

    folder: Path
    outcome: Literal["complete", "sent", "running", "failed"]
    detail: str = ""


def recorded_folders(home: Path) -> list[Path]:
    """The folders of runs and sweeps in HOMOG_HOME that are recorded in MLflow, or should be."""
    return [path.parent for pattern in _FOLDERS for path in sorted(home.glob(f"{pattern}/{LEDGER_FILE}"))]


def sync(folders: Iterable[Path], home: Path) -> Iterator[Synced]:
    """Send to MLflow what is missing there of runs that have ended; one that died is closed as KILLED.

    To repeat it changes nothing, and two processes may do it at once: each run is sent by one of them.

    Args:
        folders: Folders of the runs.
        home: HOMOG_HOME, with the store of runs that were not recorded on a server.

    Returns:
        An iterator that does the work, an outcome for each folder. A store that is down or hangs is not tried
        again.
    """
    stores = _Stores()
    for folder in folders:
        try:
            yield _sync_one(folder, home, stores)
        except (OSError, ValueError) as error:  # a tracking.json that is damaged, a folder that is not ours
            yield Synced(folder, "failed", first_line(error))


class _Stores:
    """The stores that were opened, and why others cannot be had."""

    def __init__(self) -> None:
        self._failures: dict[Address, Exception] = {}
        self._open = functools.cache(lambda place: place.open())

    def open(self, place: Address) -> Store:
        if place in self._failures:
            raise self._failures[place]
        try:
            return self._open(place)
        except Exception as error:
            self._failures[place] = error
            raise

    def blame(self, place: Address, error: Exception) -> None:
        """Find out whether it was the store that failed, or only that it refused something of one run."""
        try:
            self.open(place).require_answer()
        except Exception:
            self._failures[place] = error


def _sync_one(folder: Path, home: Path, stores: _Stores) -> Synced:
    ledger = Ledger.read(folder)
    if ledger is not None and ledger.complete:
        return Synced(folder, "complete")
    lock = lock_run(folder)
    if lock is None:
        return Synced(folder, "running")
    try:
        ledger = Ledger.read(folder)  # the run may have ended in between
        if ledger is None:
            raise ValueError(f"there is no {LEDGER_FILE}")
        place = address(ledger.settings, home)
        assert place is not None  # a ledger is for a store
        died = ledger.status == "RUNNING"
        if died:
            ledger.update(status="KILLED", ended_at=_last_sign_of_life(folder))
        nest(ledger)
        start, artifacts = ledger.sent_bytes, len(ledger.unsent_artifacts())
        try:
            _send(Delivery(ledger, place, stores.open))
        except Exception as error:  # whatever MLflow or the network had to say
            stores.blame(place, error)
            return Synced(folder, "failed", first_line(error))
        ending = f"{ledger.status}{' (it had died)' if died else ''}"
        return Synced(
            folder, "sent", f"{ledger.sent_bytes - start} bytes of {METRICS_FILE}, {artifacts} files, {ending}"
        )
    finally:
        lock.release()


def _send(delivery: Delivery) -> None:
    for attempt in range(_BUSY_ATTEMPTS):
        try:
            return delivery.send()
        except Exception as error:
            if not is_busy(error) or attempt == _BUSY_ATTEMPTS - 1:
                raise
            time.sleep(_BUSY_SECONDS)


def _last_sign_of_life(folder: Path) -> int:
    path = folder / METRICS_FILE
    return (path if path.exists() else folder / LEDGER_FILE).stat().st_mtime_ns // 1_000_000
