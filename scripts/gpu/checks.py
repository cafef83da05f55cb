"""Whether walkers on the GPU do what those on the CPU do, and the host waits for nothing."""

import importlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpu.findings import Deadline, Findings
from gpu.recipe import own_recipe
from gpu.runs import ROOT, Run
from homog import equation
from homog.timesteps.timestep import time_steps
from homog.walkers import Scheme, Walkers, point_keys, stream_key

_SETS, _PER_POINT = 16, 256  # sets of eight points of the tests, and walkers from each: 32,768
_WHOLE = 2**20  # walkers, for means
_SIGMAS = 4.5  # P = 7e-6 for each of some ten numbers

# What float32 leaves of a path. A step adds 6e-8, relative, by rounding, and on the GPU one or two units in the last
# place, 1e-7, by div.approx and sqrt.approx, where the CPU has the rounded quotient and root; over 36 to 108 steps
# about 1e-6 of the root mean square. Measured on the CPU: dt one unit in the last place longer, 1e-7, moves these
# arrays by 2e-7 to 6e-7. A wrong operation moves them by 1e-2 or more.
_TOLERANCE = 2e-5
# An exit is decided by comparing numbers that carry those errors, 1e-5 of a distance at most: of the some ten steps
# near a face one in 10^5 is decided otherwise, and then the walkers have parted for good.
_PARTED = 3e-4
ARRAYS = ("displacement", "brownian", "reward", "log_weight")

TRAINED = {
    "paper/linear_0.05": ("experiment=paper/linear_0.05",),
    "paper/nonlinear_0.05": ("experiment=paper/nonlinear_0.05",),
    "energy, nonlinear": ("experiment=energy_adam", "problem=nonlinear"),
}
_WARM = 6  # iterations: the first is looked at, the fourth captured


def cases() -> Mapping[str, Any]:
    """The problems and schemes of `tests/walkers/test_walkers_cuda.py`."""
    folder = str(ROOT / "tests")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module("simulated_gpu").CASES


def walk(name: str, kernels: Path, device: str, keys: tuple[np.uint64, ...]) -> Any:
    """A walk of a case from the points of `keys` iterations, in one launch.

    Args:
        name: Name of the case.
        kernels: Folder for generated kernels.
        device: cpu or cuda.
        keys: Keys of each iteration.
    """
    case = cases()[name]
    problem = case.problem
    walkers = Walkers(problem, case.scheme, kernels, torch.device(device))
    points = [np.concatenate([case.points(_SETS * i + j + 1) for j in range(_SETS)]) for i in range(len(keys))]
    all_keys = np.concatenate([point_keys(key, len(p), _PER_POINT) for key, p in zip(keys, points, strict=True)])
    u = case.solution(problem, torch.device(device) if device == "cuda" else None)
    return walkers.walk(np.concatenate(points), _PER_POINT, case.steps, all_keys, u)


def on_cpu(name: str, kernels: Path, keys: tuple[np.uint64, ...]) -> dict[str, np.ndarray]:
    """What walkers of a case bring back on the CPU; for a process of its own: its kernel takes long to compile."""
    return arrays_of(walk(name, kernels, "cpu", keys))


def arrays_of(found: Any) -> dict[str, np.ndarray]:
    """The arrays of a walk, in NumPy."""
    return {name: np.asarray(torch.as_tensor(getattr(found, name)).cpu()) for name in (*ARRAYS, "duration", "left")}


def compare(found: Mapping[str, np.ndarray], exact: Mapping[str, np.ndarray], micro_step: float) -> dict[str, float]:
    """How far two walks with the same streams are apart.

    Returns:
        `parted`: the share of walkers that left at another step, or only in one of the two. For each array the norm of
        the difference of the others, relative to the array's.
    """
    together = found["left"] == exact["left"]
    together &= np.abs(found["duration"] - exact["duration"]) < 0.5 * micro_step
    distances = {"parted": 1 - float(together.mean())}
    for name in ARRAYS:
        one, other = (np.asarray(walk[name], dtype=np.float64)[..., together] for walk in (found, exact))
        size = float(np.linalg.norm(other))
        distances[name] = float(np.linalg.norm(one - other)) / size if size else float(np.abs(one).max(initial=0.0))
    return distances


def measure(kernels: Path, deadline: Deadline) -> Findings:
    """All checks."""
    found = Findings(
        "Checks",
        ["check", "as it should be", "largest relative difference", "its limit", "parted", "left", "what"],
    )
    keys = stream_key(5, 2), stream_key(5, 3)
    names = list(cases())
    with found.so_far():
        # NaN in what is allocated: what a kernel does not write is seen
        torch.use_deterministic_algorithms(True, warn_only=True)
        pool = ProcessPoolExecutor(min(len(names), os.cpu_count() or 1), multiprocessing.get_context("spawn"))
        try:
            exact = {name: pool.submit(on_cpu, name, kernels, keys[:1]) for name in names}
            for name in names:
                _noting(found, name, lambda name=name: _agreement(name, kernels, keys, exact[name], deadline))
        finally:
            torch.use_deterministic_algorithms(False)
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
        for name, check in {"means": _means, "no waiting": _no_waiting}.items():
            _noting(found, name, lambda check=check: check(kernels))
        for name in TRAINED:
            _noting(found, name, lambda name=name: _trains_without_waiting(name, kernels))
    found.notes.append(
        "'parted' is the share of walkers for which rounding decided an exit otherwise than on the CPU (limit"
        f" {_PARTED:g}); the differences are of the others, relative to the array's norm."
    )
    return found


def _noting(found: Findings, name: str, check: Callable[[], list[list[Any]]]) -> None:
    try:
        rows = check()
    except Exception as error:
        found.rows.append([name, False, *[None] * 4, found.fail(name, error)])
        return
    found.rows += rows
    found.failed += [f"{row[0]}: {row[-1]}" for row in rows if row[1] is False]


def _agreement(
    name: str, kernels: Path, keys: tuple[np.uint64, ...], exact: Any, deadline: Deadline
) -> list[list[Any]]:
    """The GPU against the CPU, and two iterations in one launch against the first alone."""
    alone = arrays_of(walk(name, kernels, "cuda", keys[:1]))
    both = arrays_of(walk(name, kernels, "cuda", keys))
    count = alone["left"].shape[0]
    same = all(np.array_equal(both[array][..., :count, :], alone[array]) for array in alone)
    rows = [
        [f"{name}: two iterations in one launch", same, None, None, None, None, "the first is the same, bit for bit"]
    ]
    reference = exact.result(timeout=max(1.0, deadline.left))
    distances = compare(alone, reference, cases()[name].steps.micro_step)
    parted = distances.pop("parted")
    worst = max(distances, key=lambda array: distances[array])
    finite = all(np.isfinite(alone[array]).all() for array in ARRAYS)
    good = finite and parted <= _PARTED and distances[worst] <= _TOLERANCE
    what = f"{worst} against the CPU" if finite else "not all numbers are finite"
    return [[name, good, distances[worst], _TOLERANCE, parted, float(alone["left"].mean()), what], *rows]


def _means(kernels: Path) -> list[list[Any]]:
    """E[D] = 1 and E[W] = 0, and E[W_i W_i] is the mean duration: exact, also in discrete time and with exits."""
    case = cases()["linear, weighed"]
    walkers = Walkers(case.problem, Scheme("girsanov", "euler", "bridge"), kernels, torch.device("cuda"))
    points = case.problem.domain.sample(2**12, np.random.default_rng(1))
    found = walkers.walk(points, _WHOLE // len(points), case.steps, stream_key(1, 0))
    weight, duration = torch.exp(found.log_weight.double()).flatten(), found.duration.double().flatten()
    w = found.brownian.double().flatten(1)
    means = {"E[D] = 1": weight - 1, "E[W1] = 0": w[0], "E[W2] = 0": w[1], "E[W1 W2] = 0": w[0] * w[1],
             "E[W1^2 - t] = 0": w[0] ** 2 - duration, "E[W2^2 - t] = 0": w[1] ** 2 - duration}  # fmt: skip
    rows = []
    for name, values in means.items():
        sigmas = abs(float(values.mean() / values.std())) * values.numel() ** 0.5
        rows.append(
            [name, sigmas < _SIGMAS, None, None, None, None, f"{sigmas:.1f} standard errors of {_WHOLE} walkers"]
        )
    return rows


def _no_waiting(kernels: Path) -> list[list[Any]]:
    """A walk returns while the GPU works, and PyTorch sees no operation that waits."""
    case = cases()["linear"]
    walkers = Walkers(case.problem, case.scheme, kernels, torch.device("cuda"))
    points = case.problem.domain.sample(2**16, np.random.default_rng(1))
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    for _ in range(2):  # the first compiles and takes memory
        walkers.walk(points, 2**8, case.steps, stream_key(1, 0))
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        start = time.perf_counter()
        begin.record()
        kept = [walkers.walk(points, 2**8, case.steps, stream_key(1, i)) for i in range(4)]
        end.record()
        called = 1e3 * (time.perf_counter() - start)
        busy = not end.query()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.cuda.synchronize()
    del kept
    what = f"four calls returned after {called:.1f} ms, the GPU took {begin.elapsed_time(end):.1f} ms"
    return [["a walk does not wait", busy, None, None, None, None, what]]


def _trains_without_waiting(name: str, kernels: Path) -> list[list[Any]]:
    """Iterations between two looks, from a captured graph: PyTorch refuses any operation that waits."""
    settings = Run(name, TRAINED[name], 1).settings
    problem = equation.build(settings.problem, settings.eps)
    steps = time_steps(settings.timestep, problem.dimension, problem.scale)
    iterate = own_recipe(settings, problem, steps, kernels, torch.device("cuda"))
    for _ in range(_WARM):
        iterate()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(4):
            iterate()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return [[f"{name}: an iteration does not wait", True, *[None] * 4, "four of them, and none was refused"]]
