"""A run that ends with the effective tensor: no equation is solved, no network trained."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from homog.config import RunSettings
from homog.domains import tensor_grid
from homog.equation import Problem
from homog.errors import UserError
from homog.machine import devices, durable
from homog.measures.mixtures import Mixture, mixture
from homog.measures.spreading import EffectiveTensor, effective_tensor_by_walkers, mean_over_samples
from homog.plots.run import symbol
from homog.plots.tensor import tensor_figure
from homog.references.cell import effective_tensor
from homog.run import outcome, report
from homog.run.folder import RESULT, begin
from homog.run.parameters import parameters
from homog.run.task import Task
from homog.tracking import environment_tags, open_recorder

Metrics = Mapping[str, float | int | str | None]

_DRAWN = 401  # points an axis of the cell
_BATCHES, _LEAST_BATCHES = 32, 8  # of walkers: in all samples, and in each


def find_tensor(task: Task) -> Metrics:
    """Find a* by walkers and by the cell problem, print, draw and record it.

    Raises:
        UserError: If the problem has no period or depends on u, or if its velocity carries.
    """
    problem, settings = task.problem, task.settings
    if problem.cell is None or problem.operator.nonlinear:
        raise UserError(
            "task=effective_tensor needs a linear medium with a period: write problem.period, or problem.field.period"
            " for an image"
        )
    if problem.operator.velocity is not None and not problem.stirs:
        raise UserError(
            "task=effective_tensor takes a problem.velocity with the coefficient's period, in which it has no mean and"
            " no divergence: another one has no effective tensor, so leave it out"
        )
    device = devices.chosen("cpu")
    report.print_plan(problem, None, device)
    environment = {**environment_tags(), "device": devices.name(device)}
    name = settings.name or f"{problem.name} effective tensor"
    tags = {**environment, **task.tags}
    recording = open_recorder(settings.tracking, task.folder, task.home, name, parameters(task), tags, resumed=False)
    with recording as recorder:
        begin(task.folder, task.asked, problem, environment)
        found = Samples.of(problem, settings, task.kernels)
        mixed = mixture(problem)
        metrics: dict[str, float | int | str | None] = {
            **outcome.effective_metrics(found.walkers),
            **_cell_metrics(found.cell, found.error),
            **_mixture_metrics(mixed, found.cell),
            **_spread_metrics(found),
            **problem.metrics,
            "cell_problem_seconds": found.cell_seconds,
            "effective_tensor_seconds": found.walkers_seconds,
            "wall_seconds": time.perf_counter() - task.started,
            "device": devices.name(device),
        }
        if problem.dimension > 1:
            _draw(task, found.walkers.value, found.cell, mixed)
            recorder.artifact(task.folder / "tensor.png")
        recorder.log({k: v for k, v in metrics.items() if isinstance(v, float | int)}, 0)
        durable.write(task.folder / RESULT, (json.dumps(metrics, indent=2) + "\n").encode())
        recorder.artifact(task.folder / RESULT)
    report.print_effective_tensor(found.walkers, found.cell, None, found.spread)
    report.print_mixture(mixed, found.cell, found.error)
    for line in found.contradictions:
        report.print_line(f"warning: {line}")
    report.print_line(
        f"{metrics['wall_seconds']:.1f} s in all, of which walkers took {found.walkers_seconds:.1f} s and the cell"
        f" problem {found.cell_seconds:.1f} s"
    )
    report.print_line(f"run folder: {task.folder}\nrecorded in: {recorder.location}")
    return metrics


@dataclass(frozen=True)
class Samples:
    """a* of one medium, or the mean over several samples of a random one.

    Attributes:
        walkers: By walkers; of several samples the standard error is that of the mean, by the spread between them.
        cell: By the cell problem.
        error: Its own estimate, relative: the largest of the samples.
        spread: Standard deviation of a sample's a* by the cell problem, shape (d, d); None of one.
        contradictions: A line for each sample where the two do not go together.
        cell_seconds: Time that the cell problems took.
        walkers_seconds: Time that walkers took.
    """

    walkers: EffectiveTensor
    cell: np.ndarray
    error: float
    spread: np.ndarray | None
    contradictions: tuple[str, ...]
    cell_seconds: float
    walkers_seconds: float

    @staticmethod
    def of(problem: Problem, settings: RunSettings, kernels: Path) -> "Samples":
        """Of a problem, or of as many as its field asks for, whose seeds follow on the first one's."""
        first, number = problem, settings.problem.samples
        by_walkers, cells, errors, lines, seconds = [], [], [], [], np.zeros(2)
        for index in range(number):
            if index:
                problem = first.sample(index)
            start = time.perf_counter()
            cell, error = effective_tensor(problem)
            between = time.perf_counter()
            batches = max(_LEAST_BATCHES, _BATCHES // number)
            found = effective_tensor_by_walkers(problem, batches, settings.seed + index, cache=kernels)
            seconds += between - start, time.perf_counter() - between
            sample = f"sample {index + 1}: " if number > 1 else ""
            lines += [f"{sample}{line}" for line in found.contradiction(cell, error)]
            by_walkers.append(found)
            cells.append(cell)
            errors.append(error)
        walkers = by_walkers[0] if number == 1 else mean_over_samples(by_walkers)
        spread = None if number == 1 else np.std(cells, axis=0, ddof=1)
        return Samples(walkers, np.mean(cells, axis=0), max(errors), spread, tuple(lines), *seconds.tolist())


def _spread_metrics(found: Samples) -> dict[str, float]:
    if found.spread is None:
        return {}
    entries = zip(*np.triu_indices(len(found.spread)), strict=True)
    return {f"cell_problem_{i + 1}{j + 1}_spread": float(found.spread[i, j]) for i, j in entries}


def _cell_metrics(cell: np.ndarray, error: float) -> dict[str, float]:
    entries = zip(*np.triu_indices(len(cell)), strict=True)
    found = {f"cell_problem_{i + 1}{j + 1}": float(cell[i, j]) for i, j in entries}
    values = np.linalg.eigvalsh(cell)
    principal = {f"principal_value_{i + 1}": float(value) for i, value in enumerate(values)}
    return {**found, **principal, "cell_problem_error_estimate": error}


def _mixture_metrics(mixed: Mixture, cell: np.ndarray) -> dict[str, float]:
    bounds = {"reuss": mixed.reuss} if mixed.voigt is None else {"voigt": mixed.voigt, "reuss": mixed.reuss}
    if mixed.lower is not None and mixed.upper is not None:
        bounds |= {"hashin_shtrikman_lower": mixed.lower, "hashin_shtrikman_upper": mixed.upper}
    shares = {f"share_of_{value:g}": share for value, share in mixed.phases}
    tortuosity = mixed.tortuosity(cell)
    along = {} if tortuosity is None else {f"tortuosity_{i + 1}": float(value) for i, value in enumerate(tortuosity)}
    return {**bounds, **shares, **along}


def _draw(task: Task, found: np.ndarray, cell: np.ndarray, mixed: Mixture) -> None:
    problem = task.problem
    assert problem.cell is not None
    along = list(zip(problem.cell.lower, problem.cell.sides, strict=True))
    axes = [low + (np.arange(_DRAWN) + 0.5) / _DRAWN * side for low, side in along[:2]]
    middle = [np.array([low + side / 2]) for low, side in along[2:]]
    points = tensor_grid([*axes, *middle]).reshape(_DRAWN, _DRAWN, -1)
    medium, velocity = problem.operator.coefficient_at(points), problem.operator.velocity_at(points)
    flow = None if problem.operator.velocity is None else np.moveaxis(velocity[..., :2], -1, 0)
    title = f"{problem.name}: effective tensor, seed {task.settings.seed}"
    shown, bounds = (symbol(problem), medium), (mixed.reuss, math.inf if mixed.voigt is None else mixed.voigt)
    tensor_figure(axes, shown, found, cell, bounds, title, task.folder / "tensor.png", flow)
