"""Iterations a second of the paper's recipe, and of the same in straightforward eager PyTorch."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from benchmarks.eager import EagerRecipe

from gpu.findings import Deadline, Findings
from gpu.runs import Run
from homog import equation
from homog.config import RunSettings
from homog.equation import Problem
from homog.run.preparation import prepare_training
from homog.timesteps.timestep import TimeSteps, time_steps

PRESETS = ("linear_0.05", "linear_0.01", "nonlinear_0.05", "random_field")
CASES = {f"paper/{preset}": (f"experiment=paper/{preset}",) for preset in PRESETS}
_BLOCKS = 5
_MOST = 900  # iterations a block, so that all are fewer than the 5,000 of the shortest training
_CUDA = torch.device("cuda")


def own_recipe(
    settings: RunSettings, problem: Problem, steps: TimeSteps, kernels: Path, device: torch.device
) -> Callable[[], object]:
    """An iteration by this package, as `homog-run` makes it."""
    _, training = prepare_training(settings, problem, steps, device, kernels)
    return lambda: next(training)


def measure(kernels: Path, deadline: Deadline, device: torch.device = _CUDA) -> Findings:
    """Both, for presets of the paper, as far as the time goes.

    Args:
        kernels: Folder for generated kernels.
        deadline: After which no further preset is begun; those to come share the time evenly.
        device: Where.
    """
    found = Findings(
        "The recipe beside eager PyTorch",
        ["preset", "ratio", "iterations/s", "spread", "eager, iterations/s", "spread"],
    )
    with found.so_far():
        for place, (name, overrides) in enumerate(CASES.items()):
            if not deadline.left:
                found.rows.append([name, None, None, "no time was left", None, None])
                continue
            try:
                found.rows.append([name, *_measured(overrides, kernels, deadline.left / (len(CASES) - place), device)])
            except Exception as error:
                found.fail(name, error)
    found.notes += [
        "Medians of five blocks of iterations on this GPU; the spread is their least and greatest.",
        "A random field, and u in a nonlinear coefficient, is read on the path from a table: by cubic splines here, by"
        " eager PyTorch linearly, which is less work.",
    ]
    return found


def _measured(overrides: tuple[str, ...], kernels: Path, seconds: float, device: torch.device) -> list[Any]:
    """A row from `ratio` on."""
    settings = Run("", overrides, 1).settings
    problem = equation.build(settings.problem, settings.eps)
    steps = time_steps(settings.timestep, problem.dimension, problem.scale)
    own = rates(own_recipe(settings, problem, steps, kernels, device), seconds / 2, device)
    plain = EagerRecipe(settings, problem, steps.micro_step, steps.count, device=device)
    eager = rates(plain.iterate, seconds / 2, device)
    mine, other = statistics.median(own), statistics.median(eager)
    spreads = [f"{min(values):.3g} to {max(values):.3g}" for values in (own, eager)]
    return [mine / other, mine, spreads[0], other, spreads[1]]


def rates(iterate: Callable[[], object], seconds: float, device: torch.device) -> list[float]:
    """Iterations a second of some blocks that take about so long together, after a warm-up."""
    _taken(iterate, 5, device)
    each = _taken(iterate, 5, device) / 5
    count = max(1, min(_MOST, int(0.6 * seconds / _BLOCKS / each)))
    return [count / _taken(iterate, count, device) for _ in range(_BLOCKS)]


def _taken(iterate: Callable[[], object], count: int, device: torch.device) -> float:
    """Seconds of so many iterations."""
    start = time.perf_counter()
    for _ in range(count):
        iterate()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
