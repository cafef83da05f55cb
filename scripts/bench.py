"""Walker steps a second: the compiled kernels beside a straightforward eager torch implementation.

Medians of interleaved repeats in one process, on the linear problem at eps = 0.01 and K = 72. Prints a table and
writes `bench.json` into HOMOG_HOME. Absolute numbers depend on the machine and its load; the ratio is the claim.
"""

import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as homog-run does
os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")

import numba
import numpy as np
import torch

from homog import problems
from homog.composition import home
from homog.config import BoundsTimeStep, FormulaProblem
from homog.timestep import time_steps
from homog.walkers import Scheme, Walkers, stream_key

EPS = 0.01
PROBLEM = problems.build(FormulaProblem("linear", "1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", "10"), EPS)
STEPS = time_steps(BoundsTimeStep(eps=EPS), 2)
POINTS = PROBLEM.domain.sample(400, np.random.default_rng(0))
PER_POINT, REPEATS = 300, 9


def eager(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Equations (18) and (19) for drift walkers as one would write them in torch: one tensor operation at a time."""
    x = points.repeat_interleave(PER_POINT, dim=0)  # (n * s, 2), float32
    reward, alive = torch.zeros(len(x)), torch.ones(len(x), dtype=torch.bool)
    dt, wave = STEPS.micro_step, 2 * math.pi / EPS
    for _ in range(STEPS.count):
        s1, c1 = torch.sin(wave * x[:, 0]), torch.cos(wave * x[:, 0])
        s2, c2 = torch.sin(wave * x[:, 1]), torch.cos(wave * x[:, 1])
        a = 1 + 0.9 * s1 * c2
        slope = 0.9 * wave * torch.stack([c1 * c2, -s1 * s2], dim=1)
        move = slope / (2 * a[:, None]) * dt + math.sqrt(dt) * torch.randn_like(x)
        before, after = torch.minimum(x, 1 - x), torch.minimum(x + move, 1 - x - move)
        hit = torch.rand_like(before) < torch.exp(-2 * before * after.clamp(min=0) / dt)
        reward = torch.where(alive, reward + 10 / (2 * a) * dt, reward)
        x = torch.where(alive[:, None], x + move, x)
        alive = alive & ~hit.any(dim=1)
    return x, reward, ~alive


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call, from as many calls as fill a fifth of a second."""
    start, calls = time.perf_counter(), 0
    while (taken := time.perf_counter() - start) < 0.2 or not calls:
        function()
        calls += 1
    return taken / calls


def main() -> None:
    """Measure, print and write."""
    folder = home()
    schemes = [Scheme(*s.split()) for s in ("drift euler bridge", "drift euler clip", "girsanov euler bridge",
                                            "drift heun bridge")]  # fmt: skip
    walkers = {scheme: Walkers(PROBLEM, scheme, folder / "cache" / "kernels") for scheme in schemes}
    key, points = stream_key(0, 0), torch.from_numpy(POINTS).float()
    cores = numba.get_num_threads()
    tasks: dict[tuple[str, int], Callable[[], object]] = {}
    for threads in sorted({1, cores}):
        for scheme, walker in walkers.items():
            name = f"kernel, {scheme.martingale} {scheme.step} {scheme.exit}"
            tasks[name, threads] = lambda w=walker: w.walk(POINTS, PER_POINT, STEPS, key)
        tasks["eager torch, drift euler bridge", threads] = lambda: eager(points)
    times: dict[tuple[str, int], list[float]] = {task: [] for task in tasks}
    for repeat in range(REPEATS + 1):
        for (name, threads), function in tasks.items():
            numba.set_num_threads(threads)
            torch.set_num_threads(threads)
            taken = seconds(function)
            if repeat:  # the first round compiles and warms up
                times[name, threads].append(taken)
    rates = {task: len(POINTS) * PER_POINT * STEPS.count / statistics.median(taken) for task, taken in times.items()}
    print(f"{'':42}{'threads':>8}{'million steps/s':>18}{'ratio to eager':>16}")
    for (name, threads), rate in rates.items():
        ratio = rate / rates["eager torch, drift euler bridge", threads]
        print(f"{name:42}{threads:>8}{rate / 1e6:>18.1f}{ratio:>16.1f}")
    summary = {
        "walker_steps_per_second_per_core": rates["kernel, drift euler bridge", 1],
        "ratio_to_eager_torch": rates["kernel, drift euler bridge", cores]
        / rates["eager torch, drift euler bridge", cores],
        "threads": cores,
        "processor": platform.processor() or platform.machine(),
        "steps_per_second": {f"{name}, {threads} threads": rate for (name, threads), rate in rates.items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(f"written: {folder / 'bench.json'}")


if __name__ == "__main__":
    main()
