"""The runs below a run: how they are tied to it, and how those are ended that cannot do it themselves."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

from homog.tracking.ledger import Ledger, Status
from homog.tracking.lock import lock_run
from homog.tracking.recorder import Recorder
from homog.tracking.sender import Sender, first_line
from homog.tracking.store import address

_logger = logging.getLogger(__name__)
_PARENT, _NUMBER, _REASON = "mlflow.parentRunId", "sweep.job", "reason"
_PARENT_KEY = "homog.parent"  # of a parent that MLflow does not have yet
_REASON_LENGTH = 1000


class ChildRuns:
    """The runs of a sweep, seen from the process that started them.

    What has to be set right is written into the run's own `tracking.json`, and goes to MLflow with what the
    sweep's recorder sends.
    """

    def __init__(self, parent: Recorder, home: Path) -> None:
        """Nest runs below a run.

        Args:
            parent: Identifier of the sweep's own run; where it is not recorded in MLflow, nothing happens here.
            home: HOMOG_HOME.
        """
        self._parent, self._sender = parent.ledger, parent.sender
        self._home = home

    def tags(self, number: int) -> dict[str, str]:
        """The tags with which the process of a job must open its run; waits for the parent's, if MLflow answers."""
        if self._parent is None:
            return {}
        run_id = self._awaited_id(self._parent)
        parent = {_PARENT: run_id} if run_id else {_PARENT_KEY: self._parent.key}
        return {**parent, _NUMBER: str(number)}

    def end(
        self, number: int, name: str, status: Status, reason: str, log: Path, parameters: Mapping[str, str]
    ) -> str | None:
        """See to it that the run of a job has the right status; one that failed too early gets a run here.

        Args:
            number: The job's.
            name: Name of the run, where it has to be created; likewise `parameters`.
            status: How the job ended.
            reason: Why it failed, or empty; becomes a tag.
            log: In the job's folder; kept with the run if the job failed.
            parameters: What was asked for.

        Returns:
            The run's id, or None where it is not in MLflow.
        """
        if self._parent is None or self._sender is None:
            return None
        try:
            ledger = Ledger.read(log.parent)
            if ledger is None:
                if status == "FINISHED":  # recorded nowhere, as it was asked for
                    return None
                tags = {**self.tags(number), "folder": str(log.parent.resolve())}
                ledger = Ledger(log.parent, self._parent.settings, name, parameters, tags)
            if ledger.status == status and not reason:
                return ledger.run_id
            self._end(self._sender, ledger, status, reason, log)
            return self._awaited_id(ledger)
        except (OSError, ValueError) as error:  # such as a damaged tracking.json; it must not cost the sweep
            _logger.warning("the end of job %d is not in MLflow: %s", number, first_line(error))
            return None

    def _end(self, sender: Sender, ledger: Ledger, status: Status, reason: str, log: Path) -> None:
        place = address(ledger.settings, self._home)
        assert place is not None  # a ledger is for a store
        lock = lock_run(ledger.folder)
        if lock is None:
            raise OSError(f"another process is at the run in {ledger.folder}")
        tags = {**ledger.tags, _REASON: reason[:_REASON_LENGTH]} if reason else ledger.tags
        ended_at = ledger.ended_at or time.time_ns() // 1_000_000
        ledger.update(status=status, ended_at=ended_at, tags=tags, described=False)
        if reason:
            ledger.ask(log)
        sender.add(ledger, place, lock)

    def _awaited_id(self, ledger: Ledger) -> str | None:
        if self._sender is not None:
            self._sender.wait(lambda: ledger.run_id is not None)
        return ledger.run_id


def nest(ledger: Ledger) -> None:
    """Tie a run to its sweep, where MLflow had the sweep's own run only after the job had begun.

    Raises:
        ValueError: If the sweep's account is damaged.
        OSError: If an account cannot be read or written.
    """
    key = ledger.tags.get(_PARENT_KEY)
    if key is None or _PARENT in ledger.tags:
        return
    parent = Ledger.read(ledger.folder.parent)
    if parent is not None and parent.key == key and parent.run_id is not None:
        ledger.update(tags={**ledger.tags, _PARENT: parent.run_id}, described=False)
