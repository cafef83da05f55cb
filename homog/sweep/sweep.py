"""The story of a sweep: a parent run, its jobs one after another or side by side, a closing table."""

import json
import logging
import os
import time
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from homog import tracking
from homog.config import RunSettings, TrackingSettings
from homog.errors import UserError
from homog.machine import torchrun
from homog.machine.interruption import Interruption
from homog.run.folder import RECORD, folder_to_resume
from homog.sweep import table
from homog.sweep.child import Order, Run, reason_of, run_once
from homog.sweep.finished import FinishedIndex
from homog.sweep.job import Job, Metrics, Outcome, swept_keys
from homog.sweep.processes import End, Processes, prepare

_log = logging.getLogger("homog")


@dataclass(frozen=True)
class Plan:
    """What a sweep is, besides its jobs.

    Attributes:
        folder: Folder of the sweep; the jobs' folders lie in it.
        tracking: Where the parent run is recorded.
        name: The parent run's.
        tags: Further ones of the parent run.
        max_parallel: Jobs at a time; with more than one, what a job prints goes into its log alone.
    """

    folder: Path
    tracking: TrackingSettings
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    max_parallel: int = 1


class Sweep:
    """A sweep, as a context manager; leaving it prints the closing table and ends the parent run.

    A job that fails, whatever the way, is recorded as failed and disturbs no other. One that was finished
    before with the same configuration is not run again, unless its `force` is set.
    """

    def __init__(self, home: Path, run: Run = run_once) -> None:
        """Nothing happens before `run`.

        Args:
            home: HOMOG_HOME.
            run: What runs a job; it must be importable by name, for other processes.
        """
        self._home = home
        self._run_once = run
        self._index = FinishedIndex(home)
        self._plan: Plan | None = None
        self._recorder: tracking.Recorder | None = None
        self._children: tracking.ChildRuns | None = None
        self._jobs: list[Job] = []
        self._outcomes: list[Outcome] = []
        self._started = time.monotonic()

    @property
    def started(self) -> bool:
        """Whether there was anything to run."""
        return self._plan is not None

    @property
    def failed(self) -> bool:
        """Whether a job has no result."""
        return any(outcome.ending in ("failed", "killed") for outcome in self._outcomes)

    def prepare(self) -> None:
        """Say that jobs will come; what they need is loaded while they are composed.

        Raises:
            UserError: If torchrun has begun this process.
        """
        if torchrun.processes() > 1:
            raise UserError("a sweep is no work for torchrun: start its runs one by one, or the sweep without it")
        prepare()

    def run(self, jobs: Sequence[Job], plan: Plan) -> list[Outcome]:
        """Run jobs to their ends; may be called again with further ones, as by an optimising sweeper.

        Args:
            jobs: What to run, in this order.
            plan: The same in every call.

        Returns:
            One outcome a job, in the order of `jobs`.

        Raises:
            UserError: If nothing can be written, or recorded as the settings ask for.
            Interrupted: After a signal, when the jobs have saved what they have and ended.
        """
        before = len(self._outcomes)
        self._jobs += jobs
        self._keys = swept_keys(self._jobs)
        if self._plan is None:
            self._open(plan)
        waiting, processes = deque(jobs), Processes()
        with Interruption() as interruption, interruption.held():
            try:
                while (waiting or len(processes)) and not interruption.wanted:
                    while waiting and len(processes) < plan.max_parallel and not interruption.wanted:
                        self._begin(waiting.popleft(), processes, plan)
                    if len(processes):
                        for end in processes.wait(interruption.descriptor):
                            self._record(end)
            finally:
                for end in processes.stop():
                    self._record(end)
            interruption.check()
        return sorted(self._outcomes[before:], key=lambda outcome: outcome.job.number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._plan is None or self._recorder is None:
            return
        self._outcomes.sort(key=lambda outcome: outcome.job.number)
        path = self._plan.folder / "sweep.csv"
        try:
            table.write_csv(self._outcomes, self._keys, path)
        except OSError as error:
            _log.warning("the sweep's table is not in %s: %s", path, error)
        endings = [outcome.ending for outcome in self._outcomes]
        counts = {ending: endings.count(ending) for ending in ("finished", "skipped", "failed", "killed")}
        with suppress(OSError):  # a full disk, as told above
            self._recorder.log({**counts, "wall_seconds": time.monotonic() - self._started}, 0)
            self._recorder.artifact(path)
        interrupted = kind is not None and not issubclass(kind, Exception)
        self._recorder.finish("KILLED" if interrupted else "FAILED" if kind or self.failed else "FINISHED")
        left = len(self._jobs) - len(self._outcomes)
        table.print_table(self._outcomes, self._keys, left, self._plan.folder, self._recorder.location)

    def _open(self, plan: Plan) -> None:
        swept = {key: [job.overrides[key] for job in self._jobs if key in job.overrides] for key in self._keys}
        fixed = {key: value for key, value in self._jobs[0].overrides.items() if key not in swept}
        parameters = {**fixed, **{key: ",".join(dict.fromkeys(values)) for key, values in swept.items()}}
        tags = {**tracking.environment_tags(), **plan.tags, "sweep.keys": " ".join(swept)}
        # the jobs' processes keep metrics of their own; this one's are the counts of the end
        self._recorder = tracking.open_recorder(plan.tracking, plan.folder, self._home, plan.name, parameters, tags)
        self._children = tracking.ChildRuns(self._recorder, self._home)
        self._plan = plan
        table.print_header(len(self._jobs), self._keys, plan.max_parallel, plan.folder)

    def _begin(self, job: Job, processes: Processes, plan: Plan) -> None:
        """Start a job, or find that it needs no process."""
        assert self._children is not None
        title = f"[{job.number + 1}/{len(self._jobs)}] {job.label(self._keys)}"
        settings = self._settings_of(job)
        if isinstance(settings, UserError):
            job.folder.mkdir(parents=True, exist_ok=True)
            job.log.write_text("".join(traceback.format_exception(settings)))
            table.print_start(title)
            self._record(End(job, reason_of(settings), 0.0))
            return
        found = None if settings.force else self._index.find(settings)
        if found is not None:
            seconds = float(found.metrics.get("wall_seconds") or 0.0)
            outcome = Outcome(
                job, "skipped", seconds, metrics=found.metrics, folder=found.folder, run_id=found.run_id
            )  # fmt: skip
            self._outcomes.append(outcome)
            table.print_end(title, outcome)
            return
        resumed = folder_to_resume(replace(settings, resume="auto"), self._home) if settings.resume else None
        if resumed is not None:
            job, title = replace(job, folder=resumed), f"{title} (resumed)"
        elif (job.folder / RECORD).exists():  # of an earlier sweep in the same folder
            job = replace(job, folder=_unused(job.folder))
        alone = plan.max_parallel == 1
        name = f"{settings.name or ''} {job.label(self._keys)}".strip()
        threads = None if alone else max(1, _cores() // plan.max_parallel)
        table.print_start(title if alone else f"{title}: started")
        tags = {**self._children.tags(job.number), "command": job.command}
        job = replace(job, settings=replace(settings, name=name, resume=resumed is not None))
        processes.start(Order(job, self._run_once, self._home, tags, threads, quiet=not alone))

    def _settings_of(self, job: Job) -> RunSettings | UserError:
        if isinstance(job.settings, RunSettings) and job.settings.resume not in (True, False, "auto"):
            return UserError("resume=FOLDER is for a single run: in a sweep write resume=true")
        return job.settings

    def _record(self, end: End) -> None:
        """Bring the end of a job into its log, into MLflow, into the index and onto the screen."""
        assert self._children is not None
        job, reason, metrics = end.job, end.reason, {}
        if not reason:
            metrics, reason = _read_metrics(job)
        ending = "finished" if metrics else "killed" if end.interrupted else "failed"
        if reason:
            with suppress(OSError), job.log.open("a") as log:
                print(f"{ending}: {reason}", file=log)
        status: tracking.Status = "FINISHED" if metrics else "KILLED" if end.interrupted else "FAILED"
        run_id = self._children.end(job.number, job.label(self._keys), status, reason, job.log, job.overrides)
        seconds = float(metrics.get("wall_seconds") or end.seconds)
        outcome = Outcome(job, ending, seconds, reason, metrics, job.folder, run_id)
        self._outcomes.append(outcome)
        if metrics and not isinstance(job.settings, UserError):
            try:
                self._index.add(job.settings, job.folder, run_id)
            except OSError as error:
                _log.warning("a repetition of this sweep will repeat job %d: %s", job.number, error)
        table.print_end(f"[{job.number + 1}/{len(self._jobs)}] {job.label(self._keys)}", outcome)


def _unused(folder: Path) -> Path:
    """A folder beside one that holds another run."""
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in count(2))
    return next(other for other in numbered if not other.exists())


def _read_metrics(job: Job) -> tuple[Metrics, str]:
    try:
        return json.loads((job.folder / "metrics.json").read_text()), ""
    except (OSError, ValueError) as error:
        return {}, f"it ended well, but its metrics.json cannot be read ({error})"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # on Linux: those that this process may use
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
