"""One run of a sweep: what was asked, and what came of it."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from homog.config import RunSettings
from homog.errors import UserError

Metrics = Mapping[str, float | int | str | None]
Ending = Literal["finished", "skipped", "failed", "killed"]


@dataclass(frozen=True)
class Job:
    """One run of a sweep, as it was composed.

    Attributes:
        number: Counts from 0 through the whole sweep.
        overrides: The settings given for it on the command line or by the sweep, value by key.
        settings: What to run, or what is wrong with it.
        folder: Its own.
        logging: For `logging.config.dictConfig`, or None.
    """

    number: int
    overrides: Mapping[str, str]
    settings: RunSettings | UserError
    folder: Path
    logging: Mapping[str, Any] | None = None

    @property
    def log(self) -> Path:
        """Where its messages and its traceback stand."""
        return self.folder / "run.log"

    @property
    def command(self) -> str:
        """What runs it alone."""
        return shlex.join(["homog-run", *(f"{key}={value}" for key, value in self.overrides.items())])

    def label(self, keys: Sequence[str]) -> str:
        """Name it by the values of some keys, as one would write them on the command line."""
        return " ".join(f"{key}={self.overrides[key]}" for key in keys if key in self.overrides) or f"job {self.number}"


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        job: The job.
        ending: `skipped` means finished before, by an earlier sweep.
        seconds: Wall time of the run that the metrics are of; until its end, where there are none.
        reason: Why there are no metrics, in one line.
        metrics: As in `metrics.json`; empty unless the job ended well.
        folder: Where they lie: the job's own folder, or that of the earlier run.
        run_id: The run's in MLflow, or None where there is none.
    """

    job: Job
    ending: Ending
    seconds: float
    reason: str = ""
    metrics: Metrics = field(default_factory=dict)
    folder: Path = Path()
    run_id: str | None = None

    @property
    def error(self) -> float | None:
        """Relative L2 error against u_eps, or against u_0 where there is no u_eps."""
        found = [self.metrics.get(key) for key in ("rel_l2", "rel_l2_homogenized")]
        return next((float(value) for value in found if value is not None), None)


def swept_keys(jobs: Sequence[Job]) -> list[str]:
    """The keys whose values differ between jobs, in the order of the command line; all of them for a single job."""
    keys = list(dict.fromkeys(key for job in jobs for key in job.overrides))
    if len(jobs) == 1:
        return keys
    return [key for key in keys if len({job.overrides.get(key) for job in jobs}) > 1]
