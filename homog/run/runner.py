"""One run from its settings: what can be told and begun before torch is loaded."""

import time
from collections.abc import Mapping
from pathlib import Path

from homog import equation
from homog.config import RunSettings
from homog.equation import Problem
from homog.errors import UserError
from homog.machine import torchrun
from homog.machine.interruption import Interruption
from homog.references import ReferenceBeside
from homog.run.folder import chosen_before, require_resumable, require_same_problem, require_unused
from homog.run.task import Plan, Task


def run(
    settings: RunSettings, folder: Path, home: Path, more_tags: Mapping[str, str] | None = None
) -> Mapping[str, float | int | str | None]:
    """One run: problem, time steps, reference, training, errors, records.

    Args:
        settings: What to run.
        folder: The run's own folder: metrics, figures, weights and configuration go there. With `settings.resume` the
            run that was begun there is continued; else there must be none.
        home: HOMOG_HOME: caches and the MLflow store lie there.
        more_tags: Further tags of the run in MLflow, such as the command and those that tie it to its sweep.

    Returns:
        The final metrics, as in `metrics.json`; on ranks other than the first nothing: they do their share of the
        training, and leave all else to the first.

    Raises:
        UserError: If something in the settings cannot work, or a number is NaN or infinite.
        Interrupted: After SIGINT, SIGTERM, SIGUSR1 or SIGUSR2; in training a checkpoint is then saved.
        OSError: If nothing can be written.
    """
    start, leads = time.perf_counter(), torchrun.rank() == 0
    begun = None
    if leads:
        begun = require_resumable(folder, settings) if settings.resume else require_unused(folder)
    if torchrun.processes() > 1 and not settings.method.walks:
        raise UserError("this method has no walkers to share among ranks: run it without torchrun")
    if torchrun.processes() > 1 and settings.target is not None:
        raise UserError(
            "target chooses settings by one process: run it without torchrun, and then its config.yaml with"
        )
    problem = equation.build(settings.problem, settings.eps)
    if settings.task == "effective_tensor":
        return _find_tensor(settings, folder, home, problem, start, more_tags)
    if begun:
        require_same_problem(begun, problem)
    plan = Plan.of(chosen_before(settings, folder) if begun and settings.target else settings, home, problem)
    task = Task(**vars(plan), folder=folder, asked=settings, started=start, begun=begun, tags=more_tags or {})
    with Interruption() as interruption:
        if not leads:
            with interruption.held():
                from homog.run import experiment
            experiment.assist(task, interruption)
            return {}
        count = settings.evaluation.count(problem.dimension)
        with ReferenceBeside(problem, settings.reference, count, task.cache) as reference:
            # an import must not be torn; it takes seconds, in which the reference is under way
            with interruption.held():
                from homog.run import experiment
            return experiment.carry_out(task, reference, interruption)


def _find_tensor(
    settings: RunSettings, folder: Path, home: Path, problem: Problem, start: float, more_tags: Mapping[str, str] | None
) -> Mapping[str, float | int | str | None]:
    if settings.resume or settings.target is not None:
        raise UserError("task=effective_tensor takes seconds: leave resume and target out")
    task = Task(settings, problem, None, home, folder, settings, start, None, more_tags or {})
    with Interruption() as interruption:
        with interruption.held():
            from homog.run import tensor
        return tensor.find_tensor(task)
