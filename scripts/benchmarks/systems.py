"""Numpy's threads at small systems, as in the solve for the last layer: one against all, alone and beside others."""

import itertools
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.table import Row
from benchmarks.timing import Budget, cores

TITLE = "median seconds of the singular values of a 225 x 225 matrix in numpy, all threads to one"
_CODE = """
import time
import numpy as np
matrix = np.cov(np.random.default_rng(0).normal(size=(225, 500)))
np.linalg.svd(matrix)
for _ in range(7):
    start = time.perf_counter()
    np.linalg.svd(matrix)
    print(time.perf_counter() - start)
"""
_ROUNDS = 3


def measure(budget: Budget) -> list[Row]:
    """A row alone, and one beside as many busy processes as there are cores; each time in processes of its own."""
    rounds = 1 if budget.quick else _ROUNDS
    rows = []
    for case, busy in (("alone", 0), (f"beside {cores()} busy processes", cores())):
        taken: dict[int, list[float]] = {1: [], cores(): []}
        with _others(busy):
            for _, count in itertools.product(range(rounds), taken):
                taken[count] += _seconds(count)
        one, all_of_them = statistics.median(taken[1]), statistics.median(taken[cores()])
        other = f"{cores()} threads, {all_of_them:.3g} s"
        note = f"1 thread; at most {max(taken[1]):.3g} s, to {max(taken[cores()]):.3g} s"
        rows.append(Row(case, all_of_them / one, other, f"{one:.3g} s", one, len(taken[1]), note))
    return rows


def _seconds(count: int) -> list[float]:
    own = {**os.environ, "OPENBLAS_NUM_THREADS": str(count)}
    done = subprocess.run([sys.executable, "-c", _CODE], env=own, capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


@contextmanager
def _others(count: int) -> Iterator[None]:
    """Within, so many processes do nothing but count."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()
