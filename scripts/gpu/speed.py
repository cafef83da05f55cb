"""Walker steps a second of every kernel, held against the arithmetic of the GPU."""

import itertools
import statistics
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from gpu.assembly import Step, count_step
from gpu.findings import Deadline, Findings
from gpu.machine import Machine, machine, seconds
from gpu.runs import Run
from homog import equation
from homog.config import BoundsTimeStep
from homog.equation import Problem
from homog.fields.splines import Spline, interpolate
from homog.timesteps.timestep import time_steps
from homog.walkers import Scheme, Walkers, on_cuda, stream_key

PROBLEMS = {
    "linear": ("problem=linear", "eps=0.01"),
    "nonlinear": ("problem=nonlinear", "eps=0.01"),
    "random field": ("problem=random_field",),
    "cube": ("problem=cube", "eps=0.1"),
}
SCHEMES = [
    Scheme(martingale, step, "bridge")
    for martingale, step in itertools.product(["girsanov", "drift"], ["euler", "heun"])
]
_POINTS, _PER_POINT = 2**15, 2**8  # about two milliseconds' work of an H100: much more than a launch takes
_RECIPE = 400, 300  # points and walkers of the paper


def measure(kernels: Path, deadline: Deadline) -> Findings:
    """Every problem with every scheme, as far as the time goes.

    Args:
        kernels: Folder for generated kernels.
        deadline: After which no further one is begun.
    """
    found = Findings(
        "Walker steps",
        ["problem", "scheme", "share of limit", "10^9 steps/s", "limit", "instructions a step", "counted in",
         "float / integer / conversion / special / memory", "120,000 walkers, ms", "compiled in, s"],
    )  # fmt: skip
    here = machine()
    with found.so_far():
        for name, overrides in PROBLEMS.items():
            problem = None
            for scheme in SCHEMES:
                label = f"{scheme.martingale} {scheme.step}"
                if not deadline.left:
                    found.rows.append([name, label, *[None] * 4, "no time was left", *[None] * 3])
                    continue
                try:
                    problem = problem or _built(overrides)
                    found.rows.append([name, label, *_measured(problem, scheme, here, kernels)])
                except Exception as error:
                    found.fail(f"{name}, {label}", error)
    found.notes += [
        "The limit is one instruction a clock and lane: multiprocessors x 128 x highest clock / instructions of a step"
        " far from the boundary. Steps counted are those taken until a walker left, by its duration.",
        "Instructions are counted in SASS where nvdisasm is at hand; in PTX they are an estimate, which is low by about"
        " a seventh where tables are read.",
        "'120,000 walkers' is one call of `Walkers.walk` with 400 x 300 walkers, host and waiting included.",
    ]
    return found


def _built(overrides: tuple[str, ...]) -> Problem:
    settings = Run("", overrides, 1).settings
    return equation.build(settings.problem, settings.eps)


def solution_like(problem: Problem) -> Spline | None:
    """A u for walkers of a nonlinear problem to read: a bump on the nodes that the default table has."""
    if not problem.operator.nonlinear:
        return None
    domain = problem.domain
    share = (domain.grid(257) - domain.lower) / domain.sides
    return interpolate(2 * np.sin(np.pi * share).prod(-1), domain.lower, domain.upper)


def _measured(problem: Problem, scheme: Scheme, here: Machine, kernels: Path) -> list[Any]:
    """A row from `share of limit` on."""
    walkers = Walkers(problem, scheme, kernels, torch.device("cuda"))
    steps = time_steps(BoundsTimeStep(macro_factor=1.0), problem.dimension, problem.scale)
    points = problem.domain.sample(_POINTS, np.random.default_rng(0))
    u, key = solution_like(problem), stream_key(0, 0)
    launched: list[tuple[Any, ...]] = []
    launch = on_cuda.launch
    start = time.perf_counter()
    with mock.patch.object(on_cuda, "launch", lambda *given: launched.append(given) or launch(*given)):
        walk = walkers.walk(points, _PER_POINT, steps, key, u)
    torch.cuda.synchronize()
    compiled = time.perf_counter() - start
    taken = float(walk.duration.double().sum()) / steps.micro_step
    rate = taken / seconds(lambda: launch(*launched[0]))

    def recipe() -> float:
        start = time.perf_counter()
        walkers.walk(points[: _RECIPE[0]], _RECIPE[1], steps, key, u)
        torch.cuda.synchronize()
        return time.perf_counter() - start

    whole = statistics.median([recipe() for _ in range(12)][3:])
    step = _step_of(launched[0][0], problem.dimension)
    limit = here.issue_rate / step.instructions
    kinds = " / ".join(
        f"{step.kinds.get(kind, 0):g}" for kind in ("float", "integer", "conversion", "special", "memory")
    )
    return [rate / limit, rate / 1e9, limit / 1e9, step.instructions, step.language, kinds, 1e3 * whole, compiled]


def _step_of(kernel: Any, dimension: int) -> Step:
    """From the machine code where a disassembler is at hand, else from PTX."""
    try:
        (code,) = kernel.inspect_sass().values()
        return count_step(code, dimension)
    except Exception:  # no nvdisasm, or one too old: each version of Numba says so in its own way
        (code,) = kernel.inspect_asm().values()
        return count_step(code, dimension)
