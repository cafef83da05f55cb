"""Which run a folder belongs to, on which machine it was run, and which unfinished run a command continues."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homog import durable
from homog.config import RunSettings
from homog.config.identity import describe, differences
from homog.errors import UserError
from homog.tracking import is_going_on

RECORD, RESULT = "run.json", "metrics.json"  # the second is written when the run has ended well

_log = logging.getLogger("homog")


@dataclass(frozen=True)
class RunRecord:
    """What `run.json` holds.

    Attributes:
        settings: From `describe`.
        environments: Of the process that began the run, and of each that went on with it: `iteration` is where it
            began, the others are versions, device and machine.
    """

    settings: Mapping[str, Any]
    environments: list[dict[str, Any]]

    def write(self, folder: Path) -> None:
        """Write it into a run's folder."""
        durable.write(folder / RECORD, json.dumps(vars(self), indent=1).encode())

    @classmethod
    def read(cls, folder: Path) -> "RunRecord | None":
        """What a folder has; None where that is nothing, or no such record."""
        try:
            content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            record = cls(dict(content["settings"]), [dict(one) for one in content["environments"]])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return record if record.environments else None


def begin(folder: Path, settings: RunSettings, environment: Mapping[str, str]) -> None:
    """Put the record of a new run into its folder."""
    RunRecord(describe(settings), [{"iteration": 0, **environment}]).write(folder)


def go_on(folder: Path, iteration: int, environment: Mapping[str, str]) -> list[str]:
    """Record that another process goes on with a run.

    Args:
        folder: Of the run.
        iteration: From which it goes on.
        environment: Versions, device and machine of this process.

    Returns:
        A line that says what is not as it was at first; none where the answer comes out bit for bit.
    """
    record = RunRecord.read(folder)
    assert record is not None  # folder_to_resume has seen it
    before = {name: value for name, value in record.environments[0].items() if name != "iteration"}
    record.environments.append({"iteration": iteration, **environment})
    record.write(folder)
    changed = differences(before, environment)
    if not changed:
        return []
    return [f"resumed in another environment, so the last digits may differ: {'; '.join(changed)}"]


def folder_to_resume(settings: RunSettings, home: Path) -> Path | None:
    """The folder of the run that these settings continue.

    Args:
        settings: `resume` says which: true for the newest unfinished run with the same settings, auto for the same or
            none, else its folder.
        home: HOMOG_HOME.

    Returns:
        The folder, or None for a new run.

    Raises:
        UserError: If there is no such run, it has other settings, is finished, or still goes on.
    """
    wanted = settings.resume
    if wanted is False:
        return None
    if wanted is True or wanted == "auto":
        return _newest(describe(settings), home, or_none=wanted == "auto")
    folder = Path(wanted).absolute()
    record = RunRecord.read(folder)
    if record is None:
        raise UserError(f"resume={wanted}: no run was begun in this folder: it has no sound {RECORD}")
    if (folder / RESULT).exists():
        raise UserError(
            f"resume={wanted}: this run is finished, its errors are in {RESULT}; leave resume out to repeat it"
        )
    changed = differences(record.settings, describe(settings))
    if changed:
        raise UserError(f"{folder} cannot be resumed with other settings: {'; '.join(changed)}")
    return folder


def _newest(description: Mapping[str, Any], home: Path, *, or_none: bool) -> Path | None:
    """The newest unfinished run with these settings; without one, what comes nearest is told."""
    nearest: tuple[int, Path, list[str]] | None = None
    for folder, record in _unfinished(home):
        changed = differences(record.settings, description)
        if not changed:
            return folder
        if nearest is None or len(changed) < nearest[0]:
            nearest = len(changed), folder, changed
    if or_none:
        return None
    advice = "leave resume out, or write resume=auto to begin a run where there is none to resume"
    if nearest is None:
        raise UserError(f"resume=true: there is no unfinished run in {home}: {advice}")
    raise UserError(
        f"resume=true: no unfinished run has these settings; the nearest is {nearest[1]} with"
        f" {'; '.join(nearest[2][:5])}: {advice}"
    )


def _unfinished(home: Path) -> Iterator[tuple[Path, RunRecord]]:
    """Runs that were begun and are neither finished nor going on, the newest first."""
    records = [*home.glob(f"runs/*/{RECORD}"), *home.glob(f"sweeps/*/*/{RECORD}")]
    for path in sorted(records, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        folder = path.parent
        record = None if (folder / RESULT).exists() else RunRecord.read(folder)
        if record is not None and not is_going_on(folder):
            yield folder, record
