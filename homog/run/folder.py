"""Which run a folder belongs to, on which machine it was run, and which unfinished run a command continues."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from homog.config import RunSettings, stored
from homog.config.identity import WITHOUT_EFFECT, describe, differences
from homog.equation import Problem
from homog.errors import UserError
from homog.machine import durable
from homog.tracking import is_going_on

RECORD, RESULT = "run.json", "metrics.json"  # the second is written when the run has ended well


@dataclass(frozen=True)
class RunRecord:
    """What `run.json` holds.

    Attributes:
        settings: From `describe`.
        problem: The SHA-256 of the problem's key: of all that it is made of, the values of a field on file too.
        environments: Environment of the process that began the run, and of each that went on with it: `iteration` is
            where it began, the others are versions, device and machine.
    """

    settings: Mapping[str, Any]
    problem: str
    environments: list[dict[str, Any]]

    def write(self, folder: Path) -> None:
        """Write it into a run's folder."""
        durable.write(folder / RECORD, json.dumps(vars(self), indent=1).encode())

    @classmethod
    def read(cls, folder: Path) -> "RunRecord | None":
        """What a folder has; None where that is nothing, or no such record."""
        try:
            content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            environments = [dict(one) for one in content["environments"]]
            record = cls(dict(content["settings"]), str(content["problem"]), environments)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return record if record.environments else None


def require_unused(folder: Path) -> None:
    """Refuse a folder that holds another run, finished or not.

    Raises:
        UserError: If it does.
    """
    if (folder / RECORD).exists() or (folder / RESULT).exists():
        raise UserError(f"{folder} holds another run: choose another folder, or go on with that run by resume={folder}")


def require_resumable(folder: Path, settings: RunSettings) -> RunRecord:
    """The record of an unfinished run, which these settings continue.

    Raises:
        UserError: If there is none, it is finished, or it has other settings.
    """
    record = RunRecord.read(folder)
    if record is None:
        raise UserError(f"no run to resume was begun in {folder}: it has no sound {RECORD}")
    if (folder / RESULT).exists():
        raise UserError(f"the run in {folder} is finished, its errors are in {RESULT}; leave resume out to repeat it")
    changed = differences(record.settings, describe(settings))
    if changed:
        raise UserError(f"{folder} cannot be resumed with other settings: {'; '.join(changed)}")
    return record


def chosen_before(settings: RunSettings, folder: Path) -> RunSettings:
    """What a run that goes on chose for its target: these settings, but for what no number depends on."""
    path = folder / "config.yaml"
    chosen = stored.read(path.read_text(encoding="utf-8"), str(path))
    return replace(chosen, **{name: getattr(settings, name) for name in WITHOUT_EFFECT})


def begin(folder: Path, settings: RunSettings, problem: Problem, environment: Mapping[str, str]) -> None:
    """Put the record of a new run into its folder."""
    RunRecord(describe(settings), _digest(problem), [{"iteration": 0, **environment}]).write(folder)


def require_same_problem(record: RunRecord, problem: Problem) -> None:
    """Refuse a problem that is another than at the begin of the run, with the same settings.

    Raises:
        UserError: If it is.
    """
    if record.problem != _digest(problem):
        raise UserError("the run cannot be resumed: a file that its problem is made of has changed since it was begun")


def go_on(folder: Path, record: RunRecord, iteration: int, environment: Mapping[str, str]) -> list[str]:
    """Record that another process goes on with a run.

    Args:
        folder: Folder of the run.
        record: What is in there.
        iteration: From which it goes on.
        environment: Versions, device and machine of this process.

    Returns:
        A line that says what has not been the same all the time; none where the answer comes out bit for bit.
    """
    now = {"iteration": iteration, **environment}
    changed = [line for before in record.environments for line in differences({**before, "iteration": iteration}, now)]
    record.environments.append(now)
    record.write(folder)
    if not changed:
        return []
    told = "; ".join(dict.fromkeys(changed))
    return [f"resumed in another environment, so the last digits may differ: {told}"]


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
    require_resumable(folder, settings)
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
    written: list[tuple[int, Path]] = []
    for path in [*home.glob(f"runs/*/{RECORD}"), *home.glob(f"sweeps/*/*/{RECORD}")]:
        with suppress(OSError):  # it was removed just now
            written.append((path.stat().st_mtime_ns, path.parent))
    for _, folder in sorted(written, reverse=True):
        record = None if (folder / RESULT).exists() else RunRecord.read(folder)
        with suppress(OSError):  # it is another user's
            if record is not None and not is_going_on(folder):
                yield folder, record


def _digest(problem: Problem) -> str:
    return hashlib.sha256(problem.key().encode()).hexdigest()
