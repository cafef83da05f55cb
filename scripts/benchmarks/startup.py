"""From the command to the prompt: help, the very first run, the same again, and a formula that was never seen."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.table import Row
from benchmarks.timing import Budget, cores

TITLE = "seconds of a whole command"
_SMALL = ("eps=0.05", "optimizer.iterations=3", "optimizer.groups=3", "method.points=256", "network.count=4",
          "reference=homogenized", "evaluation.grid=21", "tracking=off")  # fmt: skip
_SEEN = "problem.coefficient=2+sin(2*pi*x1/eps)*cos(2*pi*x2/eps)"
_NEW = "problem.coefficient=3+sin(2*pi*x1/eps)*exp(cos(2*pi*x2/eps))"
_REPEATS = 3


def measure(budget: Budget) -> list[Row]:
    """Rows in the order of the commands; the first run finds a HOMOG_HOME that is empty."""
    with tempfile.TemporaryDirectory(prefix="homog-bench-") as home:
        repeats = 1 if budget.quick else _REPEATS
        rows = [_row("homog-run --help", [_seconds(home, ["--help"]) for _ in range(repeats)])]
        if budget.quick:
            return rows
        first = _seconds(home, [_SEEN, *_SMALL])
        again = [_seconds(home, [_SEEN, *_SMALL]) for _ in range(repeats)]
        new = _seconds(home, [_NEW, *_SMALL])
        usual = statistics.median(again)
        reason = "compiles walkers and FEM's forms, and computes the reference"
        return [
            *rows,
            _row("a small run, HOMOG_HOME empty", [first], first / usual, "the same again", reason),
            _row("the same again", again, 1.0, "the same again", "all is in the cache"),
            _row("a formula not seen before", [new], new / usual, "the same again",
                 "compiles walkers, and solves a new cell problem and u_0"),
        ]  # fmt: skip


def _row(case: str, taken: list[float], ratio: float | None = None, to: str = "", note: str = "") -> Row:
    seconds = statistics.median(taken)
    return Row(case, ratio, to, f"{seconds:.3g} s", seconds, len(taken), note)


def _seconds(home: str, arguments: Sequence[str]) -> float:
    """Of `homog-run`, as a process of its own.

    Raises:
        RuntimeError: If it fails.
    """
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    own = {**os.environ, "HOMOG_HOME": home, "PYTHONPATH": path, "NUMBA_NUM_THREADS": str(cores())}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "homog", *arguments], env=own, cwd=home, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"homog-run ended with status {done.returncode}: {done.stderr.strip()[-300:]}")
    return time.perf_counter() - start
