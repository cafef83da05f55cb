"""The story of one run: training, its errors, the answer, and the record of it all."""

import json
import logging
import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from homog import plots
from homog.config import stored
from homog.losses import Loss
from homog.machine import devices, durable, ranks
from homog.machine.interruption import Interrupted, Interruption
from homog.measures import evaluation
from homog.references import Reference, ReferenceBeside
from homog.run import budget, outcome, report, target
from homog.run.answer import Answer, Findings, answer, findings
from homog.run.checkpoints import Checkpoints
from homog.run.folder import RESULT, begin, go_on
from homog.run.further import FURTHER, Further, further, left, network_of
from homog.run.parameters import parameters
from homog.run.preparation import prepare_training
from homog.run.supervision import SupervisedTraining
from homog.run.supervision import assist as assist_training
from homog.run.task import Task
from homog.solvers.training import Training
from homog.tracking import Recorder, environment_tags, open_recorder

Metrics = dict[str, float | int | str | None]

_log = logging.getLogger("homog")


def carry_out(task: Task, beside: ReferenceBeside, interruption: Interruption) -> Metrics:
    """Train, measure, and record.

    Args:
        task: What to do.
        beside: The reference of the problem, which is computed meanwhile.
        interruption: Hears signals.

    Returns:
        The final metrics, as in `metrics.json`.

    Raises:
        UserError: If something in the settings cannot work, or a number is NaN or infinite.
        Interrupted: After a signal; from the first iteration on a checkpoint is then saved.
        OSError: If nothing can be written.
    """
    device = devices.chosen(task.settings.device)
    task = _towards_target(task, device)
    report.print_plan(task.problem, task.steps, device)
    environment = {**environment_tags(), "device": devices.name(device)}
    name, tags = task.settings.name or task.what, {**environment, **task.tags}
    recording = open_recorder(
        task.settings.tracking, task.folder, task.home, name, parameters(task), tags, resumed=task.begun is not None
    )
    with ranks.joined(device), recording as recorder:
        if task.begun is None:
            _write(recorder, task.folder / "config.yaml", stored.text(task.settings))
            begin(task.folder, task.asked, task.problem, environment)
        try:
            loss, training = _prepare(task, device)
            checkpoints = Checkpoints(task.folder, task.settings.checkpoint)
            supervised = SupervisedTraining(training, checkpoints, task.started)
            warnings = _take_up(supervised, task, environment)
            ranks.from_first(training.state() if task.begun else None)
            training.draw_ahead()
            truth = beside.wait()
            supervised.run(task.settings, truth, recorder, interruption, task.asked.seconds)
            with supervised.kept(recorder):
                while more := _batches_short(training, task, supervised.wall_seconds):
                    training.extend(more)
                    supervised.run(task.settings, truth, recorder, interruption, task.asked.seconds)
                found = answer(training.done.solution, task, truth)
                told, figures = _told(found, supervised, task)
                seen = _further(training, told, truth, task)
                figures = [*figures, *seen.figures(task.what, task.folder)]
                metrics = _metrics(found, told, supervised, loss.metrics(), task, checkpoints.spent, device)
                metrics |= seen.metrics()
                _keep(found, metrics, supervised, task, recorder)
                for figure in figures:
                    recorder.artifact(figure)
            interruption.hold_to_the_end()
            _write(recorder, task.folder / RESULT, json.dumps(metrics, indent=2) + "\n")  # with it the run is finished
            checkpoints.clear()
        except Interrupted as error:
            command = task.tags.get("command", "homog-run ...")
            _log.warning("%s; to go on: %s", error, f"{command} resume={shlex.quote(str(task.folder))}")
            raise
    report.print_effective_tensor(told.tensor, truth.effective_tensor, told.excess)
    report.print_further(seen)
    warnings += [*task.warnings(), *loss.warnings(), *told.warnings(truth), *outcome.warnings(metrics, truth.by)]
    notes = [target.verdict(metrics, task.asked.target).line] if task.asked.target else []
    report.print_results(
        task, metrics, [*notes, *truth.notes, *budget.advice(metrics)], warnings, truth, recorder.location
    )
    return metrics


def assist(task: Task, interruption: Interruption) -> None:
    """Do a rank's share of a training that rank 0 leads, measures and records.

    Args:
        task: What to do.
        interruption: Hears signals.

    Raises:
        UserError: If something in the settings cannot work, or a number is NaN or infinite.
        Interrupted: After a signal to any rank.
    """
    device = devices.chosen(task.settings.device)
    with ranks.joined(device):
        loss, training = _prepare(task, device)
        begun = ranks.from_first(None)
        if begun is not None:
            training.load_state(begun)
        assist_training(training, interruption)
        loss.metrics()


def _prepare(task: Task, device: torch.device) -> tuple[Loss, Training]:
    return prepare_training(task.settings, task.problem, task.steps, device, task.kernels)


def _towards_target(task: Task, device: torch.device) -> Task:
    """The task with settings that should reach its target; as it is without one, or once they were chosen."""
    if task.asked.target is None or task.begun is not None:
        return task
    report.print_line(f"target {task.asked.target:g}: small trainings choose functions, time steps and walkers")
    return target.chosen_by_pilots(task, device, task.started, report.print_line)


def _batches_short(training: Training, task: Task, spent: float) -> int:
    """How many batches the training is short of its target, within the seconds that there are."""
    if task.asked.target is None or (task.asked.seconds is not None and spent > task.asked.seconds):
        return 0
    told = findings(training.done.solution, task, training.done.walker_steps)
    parts = {**told.metrics(), **training.done.optimizer.metrics()}
    numbers = {**parts, **budget.estimates(parts)}
    return target.batches_short(numbers, training.iterations, task.asked.target, task)


def _take_up(supervised: SupervisedTraining, task: Task, environment: Mapping[str, str]) -> list[str]:
    """Go on with the run of a folder, if there is one; what is not as it was."""
    if task.begun is None:
        return []
    iteration = supervised.take_up()
    _log.info("resumed after iteration %d: %s", iteration, task.folder)
    warnings = go_on(task.folder, task.begun, iteration, environment)
    for line in warnings:
        _log.warning("warning: %s", line)
    return warnings


def _metrics(
    found: Answer,
    told: Findings,
    supervised: SupervisedTraining,
    of_walkers: Mapping[str, float],
    task: Task,
    checkpoint_seconds: float,
    device: torch.device,
) -> Metrics:
    """The run's numbers; `of_walkers` are the statistics of the walkers."""
    progress = supervised.training.done
    parts = {**told.metrics(), **progress.optimizer.metrics()}
    return {
        **found.metrics(supervised.curve),
        **parts,
        **budget.estimates(parts),
        **({} if task.asked.target is None else {"target": task.asked.target}),
        "train_seconds": progress.seconds,
        "wall_seconds": supervised.wall_seconds,
        "checkpoint_seconds": checkpoint_seconds,
        "walker_steps": progress.walker_steps,
        **task.problem.metrics,
        **of_walkers,
        "iterations": progress.iteration,
        "device": devices.name(device),
        "weights_sha256": evaluation.weights_sha256(progress.solution),
    }


def _keep(found: Answer, metrics: Metrics, supervised: SupervisedTraining, task: Task, recorder: Recorder) -> None:
    """Numbers, weights and values of a finished training."""
    progress, folder = supervised.training.done, task.folder
    recorder.log({k: v for k, v in metrics.items() if isinstance(v, float | int)}, progress.iteration)
    torch.save(progress.solution.state_dict(), folder / "weights.pt")
    found.save(folder / "solution.npz")


def _told(found: Answer, supervised: SupervisedTraining, task: Task) -> tuple[Findings, Sequence[Path]]:
    """What the answer says of itself, and its figures: they are drawn while walkers walk for the parts of its error."""
    progress = supervised.training.done

    def title() -> str:
        known = {**telling.result().metrics(), **progress.optimizer.metrics()}
        return budget.title(task.what, task.settings.seed, {**known, **budget.estimates(known)})

    with ThreadPoolExecutor(1, "homog findings") as walking:
        telling = walking.submit(findings, progress.solution, task, progress.walker_steps)
        figures = plots.draw_run(
            title,
            task.problem,
            found.truth,
            found.values,
            found.drawn,
            supervised.curve,
            task.folder,
            found.fine_values,
            task.settings.network.title(task.problem.dimension),
        )
        return telling.result(), figures


def _further(training: Training, told: Findings, truth: Reference, task: Task) -> Further:
    """What the equations give besides u; what it takes is kept in the folder."""
    solve = training.done.optimizer
    arrays = left(task, solve, told.excess, truth.effective_tensor)
    if arrays is None:
        return Further()
    np.savez_compressed(task.folder / FURTHER, allow_pickle=False, **arrays)
    return further(task, network_of(solve), arrays, truth)


def _write(recorder: Recorder, path: Path, text: str) -> None:
    durable.write(path, text.encode())
    recorder.artifact(path)
