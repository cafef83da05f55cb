"""Hostile input: the real entry called in this process, and texts made to break it."""

import ast
import contextlib
import copy
import functools
import io
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hydra._internal.hydra import Hydra

from homog import equation, losses, networks, sweep
from homog.command import cli, composition
from homog.config import RunSettings
from homog.errors import UserError
from homog.run import runner
from homog.sweep import Job, Outcome
from homog.timesteps.timestep import time_steps
from homog.walkers import walk

SECONDS = 60  # for one answer, on a busy machine


@dataclass(frozen=True)
class Answer:
    """What the command left behind.

    Attributes:
        status: Exit status; None where it ended in an exception.
        out: Standard output.
        err: Standard error, with the traceback where there is one.
        seconds: Of one core, until it ended.
    """

    status: int | None
    out: str
    err: str
    seconds: float

    @property
    def refused(self) -> bool:
        """Whether it is the one way in which a mistake may end: status 2, and one line on the screen."""
        return self.status == 2 and self.err.count("\n") == 1 and self.err.endswith("\n") and len(self.err) < 2500

    @property
    def accepted(self) -> bool:
        """Whether nothing was wrong."""
        return self.status == 0 and "Traceback" not in self.err and "Warning" not in self.err


class Slow(BaseException):
    """No answer in time; no `except Exception` takes it."""


@contextlib.contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Interrupt what takes longer."""

    def ring(*_: object) -> None:
        raise Slow

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Command:
    """homog-run in this process, but for what it would run: that is prepared and left at that."""

    def __init__(self, patch: pytest.MonkeyPatch, home: Path) -> None:
        """Everything is written below a folder, which is the working folder too.

        Args:
            patch: Undoes the changes.
            home: HOMOG_HOME, a folder in the working folder.
        """
        self._home = home
        home.mkdir(parents=True, exist_ok=True)
        patch.chdir(home.parent)
        patch.setenv("HOMOG_HOME", str(home))
        _spare_repetition(patch)
        patch.setattr(walk, "load_module", _read_only)
        patch.setattr(runner, "run", self._prepare)
        patch.setattr(sweep.Sweep, "prepare", lambda _: None)
        patch.setattr(sweep.Sweep, "run", self._prepare_jobs)

    def __call__(self, *arguments: str) -> Answer:
        """Call it, with the process's own state kept."""
        out, err = io.StringIO(), io.StringIO()
        before = dict(os.environ), list(sys.argv), Path.cwd()
        status: Any = 0
        start = time.process_time()
        os.environ.pop("HYDRA_FULL_ERROR", None)
        sys.argv = ["homog-run", *arguments]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), time_limit(SECONDS):
                cli.main()
        except SystemExit as ended:
            status = 0 if ended.code is None else ended.code
        except BaseException:
            status = None
            err.write(traceback.format_exc())
        finally:
            os.environ.clear()
            os.environ.update(before[0])
            sys.argv = before[1]
            os.chdir(before[2])
            for handler in logging.getLogger().handlers[:]:
                if getattr(handler, "stream", None) is err or isinstance(handler, logging.FileHandler):
                    logging.getLogger().removeHandler(handler)
                    handler.close()
        return Answer(status, out.getvalue(), err.getvalue(), time.process_time() - start)

    def _prepare(self, settings: RunSettings, folder: Path, home: Path, tags: object = None) -> dict:
        prepare(settings, home)
        return {}

    def _prepare_jobs(self, jobs: list[Job], plan: object) -> list[Outcome]:
        for job in jobs[:3]:
            if isinstance(job.settings, UserError):
                assert "\n" not in str(job.settings)
            else:
                with contextlib.suppress(UserError):  # a job that fails disturbs no other
                    prepare(job.settings, self._home)
        return [Outcome(job, "finished", 0.0) for job in jobs]


def _spare_repetition(patch: pytest.MonkeyPatch) -> None:
    """What one process need not do more than once for ten thousand commands; nothing that depends on the input."""
    composition.register()
    patch.setattr(composition, "register", lambda: None)
    load = yaml.load
    parsed = functools.cache(lambda text, loader: load(text, loader))
    read = lambda stream: stream if isinstance(stream, str) else stream.read()  # noqa: E731
    patch.setattr(yaml, "load", lambda stream, Loader: copy.deepcopy(parsed(read(stream), Loader)))
    get_mode = Hydra.get_mode

    def mode(self: Hydra, config_name: str | None, overrides: list[str]) -> Any:
        """Hydra composes everything a first time to see whether hydra.mode is set."""
        return get_mode(self, config_name, overrides) if any("mode" in override for override in overrides) else None

    patch.setattr(Hydra, "get_mode", mode)


def _read_only(source: str, folder: Path) -> Any:
    """In place of a compiled kernel: its source is Python at least."""
    ast.parse(source)
    return SimpleNamespace(walk=None, lookup=None)


def prepare(settings: RunSettings, home: Path) -> None:
    """What a run does before anything is compiled or written."""
    problem = equation.build(settings.problem, settings.eps)
    steps = time_steps(settings.timestep, problem.dimension, problem.scale) if settings.method.walks else None
    losses.build(settings.method, problem, steps, settings.seed, home / "cache" / "kernels")
    networks.build(settings.network, problem.domain, settings.seed, problem.boundary.walls)
