"""What happens in the process of one job."""

import faulthandler
import logging.config
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from homog.config import RunSettings
from homog.errors import UserError
from homog.machine.interruption import Interrupted
from homog.sweep.job import Job

Run = Callable[[RunSettings, Path, Path, Mapping[str, str]], object]
"""Takes the settings, the run's folder, HOMOG_HOME and more tags for MLflow; writes `metrics.json`."""

GRACE_SECONDS = 60.0  # for a job to end its iteration, save it and record that it was interrupted


def run_once(settings: RunSettings, folder: Path, home: Path, tags: Mapping[str, str]) -> object:
    """The run of a sweep: `homog.run.runner.run`, imported where it is run, since torch takes seconds."""
    from homog.run import runner

    return runner.run(settings, folder, home, tags)


@dataclass(frozen=True)
class Order:
    """All that the process of a job is told.

    Attributes:
        job: With settings to run.
        run: What runs them.
        home: HOMOG_HOME.
        tags: Tags of the run in MLflow, besides its own.
        threads: For torch and for the walkers, or None for their own choice.
        quiet: Write what the job prints into its log, not on the screen.
    """

    job: Job
    run: Run
    home: Path
    tags: Mapping[str, str]
    threads: int | None = None
    quiet: bool = False


def obey(order: Order, answer: Connection) -> None:
    """Run a job to its end; the process's main function.

    Args:
        order: What to do.
        answer: Is sent an empty string if all went well, else the reason of the failure in one line. Nothing is
            sent by a process that was interrupted, killed or ended by somebody else's hand.
    """
    _end_with_the_parent()
    job = order.job
    with job.log.open("a", buffering=1, encoding="utf-8") as log:
        print(f"job {job.number} in process {os.getpid()}: {job.label(list(job.overrides))}", file=log)
        faulthandler.enable(log)
        if order.quiet:
            _print_into(log)
        _configure_logging(job.logging, order.quiet)
        try:
            if order.threads:
                _limit_threads(order.threads)
            order.run(job.settings, job.folder, order.home, order.tags)  # pyright: ignore[reportArgumentType]
        except KeyboardInterrupt as error:
            print(error, file=log)
            sys.exit(error.status if isinstance(error, Interrupted) else 130)
        except BaseException as error:  # sys.exit too: a library's, say
            traceback.print_exc(file=log)
            answer.send(reason_of(error))
            sys.exit(1)
        answer.send("")


def reason_of(error: BaseException) -> str:
    """Why a job failed: the first line of what the error says."""
    if isinstance(error, SystemExit):
        return f"sys.exit({error.code!r}) before the end"
    text = str(error).strip().partition("\n")[0][:500]
    if isinstance(error, UserError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _end_with_the_parent() -> None:
    """Only the parent decides: Ctrl-C reaches all processes of a terminal, a kill of the parent reaches none."""
    with suppress(OSError):
        os.setsid()  # out of reach of a signal to the parent's process group
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_await_the_end_of_the_parent, daemon=True).start()


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: the second would interrupt the recording of the first
    raise Interrupted(number)


def _await_the_end_of_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def _print_into(log: TextIO) -> None:
    from homog.run import report

    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(log.fileno(), stream.fileno())  # for what libraries print, too
    report.print_plainly()


def _configure_logging(settings: Mapping[str, Any] | None, quiet: bool) -> None:
    if not settings or not settings.get("root"):  # as Hydra has it: job_logging=none, disabled
        return
    chosen = {**settings}
    if quiet:  # the screen is the log, and would have every message twice
        screens = {name for name, handler in settings.get("handlers", {}).items() if "stream" in handler}
        left = [name for name in settings["root"].get("handlers", []) if name not in screens]
        chosen["root"] = {**settings["root"], "handlers": left}
    logging.config.dictConfig(chosen)


def _limit_threads(count: int) -> None:
    import torch

    from homog.machine import pieces

    os.environ.setdefault("OMP_NUM_THREADS", str(count))  # for the FEM solver, a process of its own
    torch.set_num_threads(min(count, torch.get_num_threads()))
    pieces.use_threads(min(count, pieces.threads()))
