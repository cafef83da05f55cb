"""The story of one run, top to bottom."""

import json
import logging
import shlex
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
import yaml

from homog import durable, evaluation, outcome, plots, problems, ranks, report, torchrun
from homog.answer import answer, fine_scale_steps
from homog.checkpoints import Checkpoints
from homog.config import FieldProblem, RunSettings
from homog.errors import UserError
from homog.interruption import Interrupted, Interruption
from homog.preparation import prepare_training
from homog.problems import Problem
from homog.references import reference
from homog.run_folder import (
    RESULT,
    RunRecord,
    begin,
    go_on,
    require_resumable,
    require_same_problem,
    require_unused,
)
from homog.supervision import SupervisedTraining, assist
from homog.timestep import TimeSteps, time_steps
from homog.tracking import Recorder, environment_tags, open_recorder

_log = logging.getLogger("homog")
_MOST_POINTS = 20_000_000  # of the evaluation grid: a few arrays of 160 MB


def run(
    settings: RunSettings, folder: Path, home: Path, more_tags: Mapping[str, str] | None = None
) -> dict[str, float | int | str | None]:
    """One run: problem, time steps, reference, training, errors, records.

    Args:
        settings: What to run.
        folder: The run's own folder: metrics, figures, weights and configuration go there. With `settings.resume` the
            run that was begun there is continued; else there must be none.
        home: HOMOG_HOME: caches and the MLflow store lie there.
        more_tags: Of the run in MLflow, such as the command and those that tie it to its sweep.

    Returns:
        The final metrics, as in `metrics.json`; on ranks other than the first nothing: they do their share of the
        training, and leave all else to the first.

    Raises:
        UserError: If something in the settings cannot work, or a number is NaN or infinite.
        Interrupted: After SIGINT, SIGTERM, SIGUSR1 or SIGUSR2; in training a checkpoint is then saved.
        OSError: If nothing can be written.
    """
    if torchrun.rank() > 0:
        return _assist(settings, home)
    start, kernels = time.perf_counter(), home / "cache" / "kernels"
    begun = require_resumable(folder, settings) if settings.resume else require_unused(folder)
    device = _device(settings.device)
    if torchrun.processes() > 1 and not settings.method.walks:
        raise UserError("this method has no walkers to share among ranks: run it without torchrun")
    problem = problems.build(settings.problem, settings.eps)
    if begun:
        require_same_problem(begun, problem)
    steps = time_steps(settings.timestep, problem.dimension, problem.scale) if settings.method.walks else None
    fine_steps = fine_scale_steps(settings, problem)
    _require_affordable(settings.evaluation.grid, problem.dimension)
    report.print_plan(problem, steps, device)

    what = f"{problem.name} {type(settings.method).__name__} eps={problem.scale:.3g}"
    name = settings.name or what
    environment = {**environment_tags(), "device": _device_name(device)}
    tags = {**environment, **(more_tags or {})}
    parameters = _parameters(settings, problem, steps)
    recording = open_recorder(settings.tracking, folder, home, name, parameters, tags, resumed=begun is not None)
    with Interruption() as interruption, ranks.joined(device), recording as recorder:
        if begun is None:
            _write(recorder, folder / "config.yaml", yaml.safe_dump(asdict(settings), sort_keys=False))
            begin(folder, settings, problem, environment)
        try:
            # before the reference: what refuses the problem says so at once
            loss, plain = prepare_training(settings, problem, steps, device, kernels)
            checkpoints = Checkpoints(folder, settings.checkpoint)
            training = SupervisedTraining(plain, checkpoints, start)
            warnings = _take_up(training, folder, begun, environment) if begun else []
            truth = reference(problem, settings.reference, settings.evaluation.grid, home / "cache")
            ranks.from_first(training.training.state() if begun else None)
            training.run(settings, truth, recorder, interruption)

            progress, curve, fared = training.training.done, training.curve, loss.measured()
            found = answer(progress.solution, settings, problem, steps, fine_steps, truth, kernels)
            metrics = {
                **found.metrics(curve),
                "train_seconds": progress.seconds,
                "wall_seconds": training.wall_seconds,
                "checkpoint_seconds": checkpoints.spent,
                "walker_steps": progress.walker_steps,
                **problem.measured,
                **fared,
                **progress.optimizer.measured(),
                "iterations": progress.iteration,
                "device": _device_name(device),
                "weights_sha256": evaluation.weights_sha256(progress.solution),
            }
            recorder.log({k: v for k, v in metrics.items() if isinstance(v, float | int)}, progress.iteration)
            torch.save(progress.solution.state_dict(), folder / "weights.pt")
            found.save(folder / "solution.npz")
            title = f"{what}, seed {settings.seed}"
            for figure in plots.draw_run(title, problem, truth, found.values, curve, folder, found.fine_values):
                recorder.artifact(figure)
            interruption.hold_to_the_end()
            _write(recorder, folder / RESULT, json.dumps(metrics, indent=2) + "\n")  # with it the run is finished
            checkpoints.clear()
        except Interrupted as error:
            command = (more_tags or {}).get("command", "homog-run ...")
            _log.warning("%s; to go on: %s", error, f"{command} resume={shlex.quote(str(folder))}")
            raise
    report.print_effective_tensor(found.tensor, truth.effective_tensor, found.excess)
    warnings += [*(steps.warnings() if steps else []), *loss.warnings(), *outcome.warnings(metrics)]
    report.print_results(metrics, truth, warnings, folder, recorder.location)
    return metrics


def _assist(settings: RunSettings, home: Path) -> dict[str, float | int | str | None]:
    """Do a rank's share of a training that rank 0 leads, measures and records; no metrics."""
    device = _device(settings.device)
    problem = problems.build(settings.problem, settings.eps)
    steps = time_steps(settings.timestep, problem.dimension, problem.scale) if settings.method.walks else None
    with Interruption() as interruption, ranks.joined(device):
        loss, training = prepare_training(settings, problem, steps, device, home / "cache" / "kernels")
        begun = ranks.from_first(None)
        if begun is not None:
            training.load_state(begun)
        assist(training, interruption)
        loss.measured()
    return {}


def _take_up(
    training: SupervisedTraining, folder: Path, record: RunRecord, environment: Mapping[str, str]
) -> list[str]:
    """Go on with the run of a folder; what is not as it was."""
    iteration = training.take_up()
    _log.info("resumed after iteration %d: %s", iteration, folder)
    warnings = go_on(folder, record, iteration, environment)
    for line in warnings:
        _log.warning("warning: %s", line)
    return warnings


def _require_affordable(grid: int, dimension: int) -> None:
    if grid**dimension > _MOST_POINTS:
        raise UserError(
            f"evaluation.grid={grid} asks for {grid**dimension:.1g} points in {dimension}D:"
            f" write at most {int(_MOST_POINTS ** (1 / dimension))}"
        )


def _device(wanted: str) -> torch.device:
    """Of several ranks on one machine each takes a GPU of its own."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda: torch sees no GPU here; write device=cpu or device=auto")
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    local = torchrun.rank_here() % torch.cuda.device_count()
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"


def _parameters(
    settings: RunSettings, problem: Problem, steps: TimeSteps | None
) -> dict[str, str | float | int | bool]:
    """The settings as MLflow's flat parameters, each group with the name of its kind, and what came of them."""
    flat: dict[str, str | float | int | bool] = {}

    def collect(prefix: str, value: object) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                collect(f"{prefix}.{key}" if prefix else str(key), item)
        elif value is not None:
            flat[prefix] = value if isinstance(value, str | float | int | bool) else str(value)

    collect("", asdict(settings))
    if isinstance(settings.problem, FieldProblem):
        flat["problem.field"] = type(settings.problem.field).__name__
    flat.update(problem.measured)
    for group in ("problem", "timestep", "method", "network", "optimizer", "reference"):
        flat[group] = type(getattr(settings, group)).__name__
    if steps is None:
        return {name: value for name, value in flat.items() if name.partition(".")[0] != "timestep"}
    return {**flat, "dt": steps.micro_step, "Dt": steps.macro_step, "K": steps.count}


def _write(recorder: Recorder, path: Path, text: str) -> None:
    durable.write(path, text.encode())
    recorder.artifact(path)
