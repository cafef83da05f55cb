"""homog-run: Hydra in, runner out."""

import errno
import logging
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from homog.errors import NotFinite, UserError
from homog.machine import threads, torchrun
from homog.machine.home import home
from homog.machine.interruption import Interrupted

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from homog.config import RunSettings

_EXAMPLES = """\
homog-run: neural-network homogenisation of -div(a grad u) = f by Brownian walkers

  homog-run problem=linear eps=0.01                 one run; errors, figures and metrics below outputs/
  homog-run eps=0.05 timestep.m0=24 seed=3          any setting is an override
  homog-run problem.coefficient='2+sin(2*pi*x1/eps)*cos(2*pi*x2/eps)'
  homog-run target=5e-3 seconds=60                  functions, time steps and walkers for an error, within a minute
  homog-run experiment=paper/linear_0.05            the paper's settings to the letter
  homog-run -m timestep=ratio timestep.macro_step=1e-3 timestep.ratio=0.25,0.125,0.0625
                                                    a sweep; called again, it runs what is not finished yet
  homog-run -m seed=0,1,2,3 hydra/launcher=isolated hydra.launcher.max_parallel=2
                                                    two jobs at a time, each in a process of its own
  homog-run -m experiment=paper/figure2             a preset that sweeps
  homog-run problem=linear eps=0.01 resume=true     the same run, interrupted or killed before, to its end
  torchrun --nproc-per-node 4 -m homog eps=0.01     one run on four GPUs, or in four processes
  homog-run --cfg job                               print the composed configuration and stop
  make ui                                           look at the runs in MLflow

Groups (GROUP=OPTION) and their settings (GROUP.SETTING=VALUE, see --cfg job):
"""
_CLOSING = """
Further settings: eps, target (an error), seconds, seed, device (auto, cpu, cuda), name, evaluation.grid,
  evaluation.every, force (in a sweep, repeat what was finished before), resume (true, auto or a folder),
  checkpoint (seconds)
HOMOG_HOME (default outputs/) holds everything that is written; HYDRA_FULL_ERROR=1 shows tracebacks.
Exit status: 0 done, 2 a mistake in what was asked, 130 interrupted (128 + n by signal n), 1 anything else (a job of
  a sweep failed).
"""


_PATIENCE = 20.0  # seconds
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)


def main() -> None:
    """Entry point of the command."""
    arguments = sys.argv[1:]
    if "--help" in arguments or "-h" in arguments:
        try:
            _print_help()
            sys.stdout.flush()
        except BrokenPipeError:  # homog-run --help | head
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    threads.settle()
    with_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then lets exceptions through, to be told in one line below
    command = None
    try:
        from homog.command.arguments import checked
        from homog.command.composition import as_hydra_reads

        command = _Command(arguments, with_traceback)
        with _as_rank() as overrides:
            sys.argv = ["homog-run", *checked(as_hydra_reads([*arguments, *overrides]))]
            _compose_and_run(command)
    except KeyboardInterrupt as error:
        sys.exit(error.status if isinstance(error, Interrupted) else 130)
    except SystemExit as ended:  # Hydra found a mistake and has said so
        if ended.code == 1 and not (command and command.has_begun):
            sys.exit(2)
        raise
    except Exception as error:
        if with_traceback:
            raise
        _fail_by(error)
        if not (command and command.has_begun):  # Hydra could not compose the configuration
            from homog.command.composition import explain

            _leave_to_the_first_rank()
            _fail(explain(error, [a for a in arguments if not a.startswith("-")]))
        raise
    if command.sweep.failed:
        sys.exit(1)


def _fail_by(error: Exception) -> None:
    """End in one line if it is the user's to mend; else return."""
    if isinstance(error, UserError):
        if not isinstance(error, NotFinite):  # that may be one rank's alone
            _leave_to_the_first_rank()
        _fail(str(error))
    if isinstance(error, OSError) and error.errno in _FULL:
        place = error.filename or home()
        _fail(f"no room left for {place} ({error.strerror}): make some, then the same command with resume=true goes on")
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
        said = str(error).strip().splitlines()[0] if str(error).strip() else "out of memory"
        _fail(f"{said[:200]}: take smaller method.points, method.walkers, network or evaluation.grid")
    if not isinstance(error, OSError) or error.errno not in _REFUSED or error.filename is None:
        return
    if Path(error.filename).is_relative_to(home()):
        _fail(f"cannot write {error.filename} ({error.strerror}): set HOMOG_HOME to a folder of yours")


class _Command:
    """What Hydra is handed: called for a single run; a sweep's launcher takes its `sweep` instead."""

    def __init__(self, arguments: Sequence[str], with_traceback: bool) -> None:
        from homog.sweep import Sweep

        self._command = shlex.join(["homog-run", *(one for one in arguments if not one.startswith("resume="))])
        self._with_traceback = with_traceback
        self.started = False
        self.sweep = Sweep(home())

    @property
    def has_begun(self) -> bool:
        """Whether the configuration was composed, so that what goes wrong is no mistake in it."""
        return self.started or self.sweep.started

    def __call__(self, composed: "DictConfig") -> None:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        from homog.command import composition

        self.started = True
        fresh = Path(HydraConfig.get().runtime.output_dir)
        try:
            composition.refuse_idle_budget(HydraConfig.get().runtime.choices)
            settings = composition.settings_of(composed)
            from homog.run import runner

            if torchrun.rank() > 0:
                runner.run(replace(settings, resume=False), fresh, home())
                return
            resumed = _folder_to_resume(settings, fresh, home())
            settings = replace(settings, resume=resumed is not None)
            runner.run(settings, resumed or fresh, home(), {"command": self._command})
        except Exception as error:
            if self._with_traceback or HydraConfig.get().mode == RunMode.MULTIRUN:
                raise
            if isinstance(error, UserError):
                _remove(fresh)
            _fail_by(error)  # here, before Hydra adds a line of its own
            raise


@contextmanager
def _as_rank() -> Iterator[list[str]]:
    """What ranks of torchrun other than the first add to the arguments: they leave no trace of their own."""
    _share_cores()
    if torchrun.rank() == 0:
        yield []
        return
    with tempfile.TemporaryDirectory() as folder:
        yield [f"hydra.run.dir={folder}", "hydra.output_subdir=null"]


def _share_cores() -> None:
    """Of several ranks on one machine each has its part of the cores for walkers; torch's part torchrun sets."""
    processes = torchrun.processes_here()
    if processes > 1:
        os.environ.setdefault("NUMBA_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // processes)))


def _folder_to_resume(settings: "RunSettings", fresh: Path, home: Path) -> Path | None:
    """The folder of the run to resume, or None for a new run; with one, the folder that Hydra has made is removed."""
    from homog.run.folder import folder_to_resume

    folder = folder_to_resume(settings, home)
    if folder in (None, fresh):
        return folder
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).parent == fresh:
            handler.close()  # it opens its file again when there is something to write
            handler.baseFilename = str(folder / Path(handler.baseFilename).name)
    _remove(fresh)
    return folder


def _remove(fresh: Path) -> None:
    """Remove a folder that no run was begun in: it holds what Hydra put there, and nothing else."""
    if fresh.is_dir() and {path.name for path in fresh.iterdir()} <= {".hydra", "run.log"}:
        shutil.rmtree(fresh, ignore_errors=True)


def _compose_and_run(command: _Command) -> None:
    import hydra

    from homog.command import composition, guard

    composition.register()
    guard.install()
    with command.sweep:
        hydra.main(version_base="1.3", config_path=str(composition.conf_folder()), config_name="run")(command)()


def _print_help() -> None:
    from homog.command.composition import groups

    print(_EXAMPLES, end="")
    for group, options in groups().items():
        print(f"  {group:<13} {', '.join(options)}")
    print(_CLOSING, end="")


def _leave_to_the_first_rank() -> None:
    """End without a word where the first rank says the same, unless torchrun ends it because another has failed."""
    if torchrun.rank() > 0:
        time.sleep(_PATIENCE)
        sys.exit(2)


def _fail(line: str) -> NoReturn:
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(line.split()))
    print(f"homog-run: {shown[:2000]}", file=sys.stderr)
    sys.exit(2)
