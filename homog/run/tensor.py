"""A run that ends with the effective tensor: no equation is solved, no network trained."""

import json
import time
from collections.abc import Mapping

import numpy as np

from homog.domains import tensor_grid
from homog.errors import UserError
from homog.machine import devices, durable
from homog.measures.mixtures import Mixture, mixture
from homog.measures.spreading import EffectiveTensor, effective_tensor_by_walkers
from homog.plots.tensor import tensor_figure
from homog.references.cell import effective_tensor
from homog.run import outcome, report
from homog.run.folder import RESULT, begin
from homog.run.parameters import parameters
from homog.run.task import Task
from homog.tracking import environment_tags, open_recorder

Metrics = Mapping[str, float | int | str | None]

_DRAWN = 401  # points an axis of the cell


def find_tensor(task: Task) -> Metrics:
    """Find a* by walkers and by the cell problem, print, draw and record it.

    Raises:
        UserError: If the problem has no period, or depends on u.
    """
    problem, settings = task.problem, task.settings
    if problem.period is None or problem.operator.nonlinear:
        raise UserError(
            "task=effective_tensor needs a linear medium with a period: write problem.period, or problem.field.period"
            " for an image"
        )
    device = devices.chosen("cpu")
    report.print_plan(problem, None, device)
    environment = {**environment_tags(), "device": devices.name(device)}
    name = settings.name or f"{problem.name} effective tensor"
    tags = {**environment, **task.tags}
    recording = open_recorder(settings.tracking, task.folder, task.home, name, parameters(task), tags, resumed=False)
    with recording as recorder:
        begin(task.folder, task.asked, problem, environment)
        start = time.perf_counter()
        mixed = mixture(problem)
        cell, error = effective_tensor(problem)
        seconds = {"cell_problem_seconds": time.perf_counter() - start}
        start = time.perf_counter()
        found = effective_tensor_by_walkers(problem, seed=settings.seed, cache=task.kernels)
        seconds["effective_tensor_seconds"] = time.perf_counter() - start
        metrics: dict[str, float | int | str | None] = {
            **outcome.effective_metrics(found),
            **_cell_metrics(cell, error),
            **_mixture_metrics(mixed, cell),
            **problem.metrics,
            **seconds,
            "wall_seconds": time.perf_counter() - task.started,
            "device": devices.name(device),
        }
        if problem.dimension > 1:
            _draw(task, found, cell, mixed)
            recorder.artifact(task.folder / "tensor.png")
        recorder.log({k: v for k, v in metrics.items() if isinstance(v, float | int)}, 0)
        durable.write(task.folder / RESULT, (json.dumps(metrics, indent=2) + "\n").encode())
        recorder.artifact(task.folder / RESULT)
    report.print_effective_tensor(found, cell, None)
    report.print_mixture(mixed, cell, error)
    for line in found.contradiction(cell, error):
        report.print_line(f"warning: {line}")
    report.print_line(
        f"{metrics['wall_seconds']:.1f} s in all, of which walkers took {seconds['effective_tensor_seconds']:.1f} s and"
        f" the cell problem {seconds['cell_problem_seconds']:.1f} s"
    )
    report.print_line(f"run folder: {task.folder}\nrecorded in: {recorder.location}")
    return metrics


def _cell_metrics(cell: np.ndarray, error: float) -> dict[str, float]:
    entries = zip(*np.triu_indices(len(cell)), strict=True)
    found = {f"cell_problem_{i + 1}{j + 1}": float(cell[i, j]) for i, j in entries}
    values = np.linalg.eigvalsh(cell)
    principal = {f"principal_value_{i + 1}": float(value) for i, value in enumerate(values)}
    return {**found, **principal, "cell_problem_error_estimate": error}


def _mixture_metrics(mixed: Mixture, cell: np.ndarray) -> dict[str, float]:
    bounds = {"voigt": mixed.voigt, "reuss": mixed.reuss}
    bounds |= {"hashin_shtrikman_lower": mixed.lower, "hashin_shtrikman_upper": mixed.upper}
    shares = {f"share_of_{value:g}": share for value, share in mixed.phases}
    tortuosity = mixed.tortuosity(cell)
    along = {} if tortuosity is None else {f"tortuosity_{i + 1}": float(value) for i, value in enumerate(tortuosity)}
    return {**bounds, **shares, **along}


def _draw(task: Task, found: EffectiveTensor, cell: np.ndarray, mixed: Mixture) -> None:
    problem = task.problem
    assert problem.period is not None
    lower, period = problem.domain.lower, problem.period
    places = (np.arange(_DRAWN) + 0.5) / _DRAWN * period
    axes = [low + places for low in lower[:2]]
    middle = [np.array([low + period / 2]) for low in lower[2:]]
    medium = problem.operator.coefficient_at(tensor_grid([*axes, *middle])).reshape(_DRAWN, _DRAWN)
    title = f"{problem.name}: effective tensor, seed {task.settings.seed}"
    tensor_figure(axes, medium, found.value, cell, (mixed.reuss, mixed.voigt), title, task.folder / "tensor.png")
