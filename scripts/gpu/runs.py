"""Whole runs on the GPU: the paper's presets and the defaults, their references, errors and seconds."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from gpu.findings import Deadline, Findings
from homog import equation
from homog.command import composition
from homog.config import RunSettings
from homog.references import cache
from homog.run.checkpoints import Checkpoints

ROOT = Path(__file__).parents[2]
_PATIENCE = 60  # seconds from SIGTERM to the end of an iteration and its checkpoint
_RESERVE = 20  # seconds for what comes after the last run


@dataclass(frozen=True)
class Run:
    """A run of `homog-run`.

    Attributes:
        name: In the table.
        overrides: Overrides of the configuration.
        cost: Its share of the time: about its seconds on an H200.
    """

    name: str
    overrides: tuple[str, ...]
    cost: float

    @property
    def settings(self) -> RunSettings:
        """As composed."""
        composition.register()
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(composition.conf_folder()), version_base="1.3"):
            return composition.settings_of(compose("run", list(self.overrides)))

    def reference(self, home: Path) -> tuple[Path, bool]:
        """Where the reference of the run lies in a HOMOG_HOME, and whether it is there and sound."""
        settings = self.settings
        problem = equation.build(settings.problem, settings.eps)
        path, question = cache.entry(
            problem, settings.reference, settings.evaluation.count(problem.dimension), home / "cache"
        )
        return path, cache._read(path, question) is not None


RUNS = (
    Run("energy", ("problem=linear", "eps=0.01"), 20),
    Run("dflm", ("method=dflm", "problem=linear", "eps=0.01"), 25),
    Run("paper/linear_0.05", ("experiment=paper/linear_0.05",), 25),
    Run("paper/linear_0.01", ("experiment=paper/linear_0.01",), 45),
    Run("paper/nonlinear_0.05", ("experiment=paper/nonlinear_0.05",), 60),
    Run("paper/nonlinear_0.01", ("experiment=paper/nonlinear_0.01",), 60),
    Run("paper/random_field", ("experiment=paper/random_field",), 330),
)
"""In order of cost."""


def pack(home: Path, target: Path, runs: tuple[Run, ...] = RUNS) -> bool:
    """Copy the references of runs from one HOMOG_HOME to another, and say what is missing; nothing is computed.

    Returns:
        Whether all were there.
    """
    complete, packed = True, set[Path]()
    for run in runs:
        path, there = run.reference(home)
        complete &= there
        if there:
            copy = target / path.relative_to(home)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            packed.add(copy)
        what = path.name if there else f"MISSING: homog-run {' '.join(run.overrides)} computes it, where dolfinx is"
        print(f"{run.name:22} {what}")
    size = sum(path.stat().st_size for path in packed)
    print(f"{len(packed)} references, {size / 1e6:.1f} MB, for HOMOG_HOME={target}")
    return complete


def measure(home: Path, deadline: Deadline, names: list[str], device: str = "cuda") -> Findings:
    """Run one after the other, each until its share of the time is spent.

    Args:
        home: HOMOG_HOME, with references.
        deadline: For all of them.
        names: Names of the runs; empty: all.
        device: Where.
    """
    found = Findings(
        "Whole runs",
        ["run", "error against u_eps", "last tenth", "iterations", "of", "training, s", "in all, s", "ended"],
    )
    todo = [run for run in RUNS if not names or run.name in names]
    with found.so_far():
        for place, run in enumerate(todo):
            if not run.reference(home)[1]:
                found.rows.append([run.name, *[None] * 6, "not run: its reference is not in the cache"])
                continue
            seconds = max(0.0, deadline.left - _RESERVE) * run.cost / sum(later.cost for later in todo[place:])
            if seconds < 10:
                found.rows.append([run.name, *[None] * 6, "not run: no time was left"])
                continue
            try:
                row, note = _measured(run, home, seconds, device)
            except Exception as error:
                row, note = [run.name, *[None] * 6, "failed"], ""
                found.fail(run.name, error)
            found.rows.append(row)
            found.notes += [note] if note else []
    found.notes.append(
        "Runs that were stopped have the last error that was measured, and nothing is extrapolated from them."
    )
    return found


def _measured(run: Run, home: Path, seconds: float, device: str) -> tuple[list[Any], str]:
    """The row of a run, and what to say below the table."""
    folder = home / "gpu_bench" / f"{run.name.replace('/', '-')}-{time.time_ns()}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    more = [f"device={device}", "tracking=off", f"hydra.run.dir={folder}"]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    environment = {**os.environ, "HOMOG_HOME": str(home), "PYTHONPATH": paths}
    log = folder.parent / f"{folder.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "homog", *run.overrides, *more],
            cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        start = time.perf_counter()
        status = _ended(process, seconds)
    in_all = time.perf_counter() - start
    wanted = run.settings.optimizer.all_iterations
    result = folder / "metrics.json"
    if status == 0 and result.is_file():
        metrics = json.loads(result.read_text())
        numbers = [metrics.get(name) for name in ("rel_l2", "rel_l2_last_tenth_mean", "iterations")]
        return [run.name, *numbers, wanted, metrics.get("train_seconds"), in_all, "to the end"], ""
    if status != 128 + signal.SIGTERM:
        last = (log.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        raise RuntimeError(f"exit status {status}: {last}")
    checkpoint = Checkpoints(folder, None).load()
    if checkpoint is None:
        return [run.name, None, None, 0, wanted, None, in_all, "stopped before the first iteration"], ""
    curve, trained = checkpoint.state["curve"], float(checkpoint.state["training"]["seconds"])
    at, error = curve[-1] if curve else (0, None)
    ended = "stopped" if checkpoint.iteration < wanted else "trained to the end, stopped while it was measured"
    row = [run.name, error, None, checkpoint.iteration, wanted, trained, in_all, ended]
    after = f"{checkpoint.iteration} of {wanted} iterations, {trained:.0f} seconds"
    said = "no error measured" if error is None else f"error {error:.3g} (iteration {at})"
    return row, f"{run.name}: {said} after {after}."


def _ended(process: subprocess.Popen, seconds: float) -> int:
    """The exit status of a run that is asked to end when its time is spent."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        return process.wait(_PATIENCE)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
