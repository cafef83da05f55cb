"""What was finished before: an index of runs by their configuration, so that a sweep does nothing twice."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from homog.config import RunSettings
from homog.config.identity import identity
from homog.machine import durable
from homog.sweep.job import Metrics


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended well.

    Attributes:
        folder: With its `metrics.json`.
        metrics: What is in there.
        run_id: The run's in MLflow, or None where it was not recorded there.
    """

    folder: Path
    metrics: Metrics
    run_id: str | None


class FinishedIndex:
    """One small file for each configuration that was finished, in `HOMOG_HOME/finished`.

    Folders are kept relative to HOMOG_HOME, which can thus be moved; and a run counts only while its
    `metrics.json` is the very file that the run wrote.
    """

    def __init__(self, home: Path) -> None:
        """Nothing is created before `add`.

        Args:
            home: HOMOG_HOME.
        """
        self._home = home
        self._folder = home / "finished"

    def find(self, settings: RunSettings) -> FinishedRun | None:
        """The run that was finished with the same configuration, or None if there is none or it is gone."""
        try:
            entry = json.loads(_content(self._folder / f"{identity(settings)}.json"))
            folder = Path(os.path.normpath(self._home / entry["folder"]))
            content = _content(folder / "metrics.json")
            metrics, run_id = json.loads(content), entry["run_id"]
            sound = (
                hashlib.sha256(content).hexdigest() == entry["metrics_sha256"]
                and all(value is None or isinstance(value, float | int | str) for value in metrics.values())
                and (run_id is None or isinstance(run_id, str))
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return FinishedRun(folder, metrics, run_id) if sound else None

    def add(self, settings: RunSettings, folder: Path, run_id: str | None) -> None:
        """Remember a run; it replaces an earlier one with the same configuration.

        Args:
            settings: Its configuration.
            folder: With its `metrics.json`.
            run_id: The run's in MLflow, or None.

        Raises:
            OSError: If there is no such file, or the index cannot be written.
        """
        entry = {
            "folder": os.path.relpath(folder, self._home),
            "metrics_sha256": hashlib.sha256((folder / "metrics.json").read_bytes()).hexdigest(),
            "run_id": run_id,
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{identity(settings)}.json"
        durable.write(path, (json.dumps(entry, indent=2) + "\n").encode())


def _content(path: Path) -> bytes:
    if not path.is_file():  # a pipe would never end
        raise FileNotFoundError(path)
    return path.read_bytes()
