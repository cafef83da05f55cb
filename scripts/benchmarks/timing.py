"""Repeats in turn, so that what else the machine does hits all alike."""

import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import torch

from homog.machine import pieces

_CORES = pieces.threads()  # before anybody sets it


@dataclass(frozen=True)
class Budget:
    """What a section may take: seconds, and with `quick` the smallest sizes that still run every line."""

    seconds: float
    quick: bool = False


def use_threads(count: int) -> None:
    """Let torch and the walkers use so many."""
    pieces.use_threads(count)
    torch.set_num_threads(count)


def cores() -> int:
    """As many as Numba was given."""
    return _CORES


def seconds_of(function: Callable[[], object], least: float = 0.0) -> float:
    """Wall time of one call, from as many calls as take `least` seconds."""
    start, calls = time.perf_counter(), 0
    while True:
        function()
        calls += 1
        if (taken := time.perf_counter() - start) >= least:
            return taken / calls


def in_turn[Key: Hashable](
    tasks: Mapping[Key, Callable[[], float]], budget: Budget, most: int = 9
) -> dict[Key, list[float]]:
    """What each task measured, round after round, until the budget is spent: at least three rounds, at most `most`.

    The first round, in which code is loaded and memory claimed, does not count.
    """
    start = time.perf_counter()
    found: dict[Key, list[float]] = {key: [] for key in tasks}
    least, most = (1, 1) if budget.quick else (3, most)
    for task in tasks.values():
        task()
    for done in range(most):
        begun = time.perf_counter()
        for key, task in tasks.items():
            found[key].append(task())
        now = time.perf_counter()
        if done + 1 >= least and 2 * now - begun - start > budget.seconds:
            break
    return found


def medians[Key: Hashable](found: Mapping[Key, list[float]]) -> dict[Key, float]:
    """Of each task's measurements."""
    return {key: statistics.median(values) for key, values in found.items()}
