"""The runs below a run: how they are tied to it, and how those are ended that cannot do it themselves."""

import logging
from collections.abc import Mapping
from pathlib import Path

from homog.tracking.store import Status, StoredRun

_logger = logging.getLogger(__name__)
_PARENT, _NUMBER, _REASON = "mlflow.parentRunId", "sweep.job", "reason"
_REASON_LENGTH = 1000


class ChildRuns:
    """The runs of a sweep in MLflow, seen from the process that started them.

    MLflow may fail here as everywhere: that costs a warning.
    """

    def __init__(self, parent: StoredRun | None) -> None:
        """Nest runs below a run.

        Args:
            parent: The sweep's own run; None where it is not in MLflow, and then nothing happens here.
        """
        self._parent = parent

    def tags(self, number: int) -> dict[str, str]:
        """The tags with which the process of a job must open its run."""
        return {_PARENT: self._parent.run_id, _NUMBER: str(number)} if self._parent else {}

    def end(
        self, number: int, name: str, status: Status, reason: str, log: Path, parameters: Mapping[str, str]
    ) -> str | None:
        """See to it that the run of a job has the right status; one that failed too early gets a run here.

        Args:
            number: The job's.
            name: Of the run, where it has to be created; likewise `parameters`.
            status: How the job ended.
            reason: Why it failed, or empty; becomes a tag.
            log: In the job's folder; kept with the run if the job failed.
            parameters: What was asked for.

        Returns:
            The run's id, or None where it is not in MLflow.
        """
        if self._parent is None:
            return None
        try:
            return self._end(self._parent, number, name, status, reason, log, parameters)
        except Exception as error:  # whatever it is, it must not cost the sweep
            _logger.warning("the end of job %d is not in MLflow: %s", number, str(error).partition("\n")[0][:200])
            return None

    def _end(
        self,
        parent: StoredRun,
        number: int,
        name: str,
        status: Status,
        reason: str,
        log: Path,
        parameters: Mapping[str, str],
    ) -> str | None:
        client = parent.store.client
        this = f"tags.`{_PARENT}` = '{parent.run_id}' and tags.`{_NUMBER}` = '{number}'"
        found = client.search_runs([parent.store.experiment_id], this)
        if found:
            run_id, ended = found[0].info.run_id, found[0].info.status == status
        elif status == "FINISHED":  # recorded elsewhere, or nowhere
            return None
        else:
            tags = {**self.tags(number), "folder": str(log.parent.resolve())}
            run_id, ended = StoredRun(parent.store, name, parameters, tags).run_id, False
        if not ended:
            client.set_terminated(run_id, status)
        if reason:
            client.set_tag(run_id, _REASON, reason[:_REASON_LENGTH])
            client.log_artifact(run_id, str(log))
        return run_id
