"""Towards a target: the settings by which a run's own estimate of its error comes below what is asked for.

Small trainings, the pilots, tell the parts of the error (docs/error_budget.md). They have more and more walkers until
their noise is below the target. While functions, macro step or micro step then has more than its share, there are more
functions, a longer macro step, or shorter micro steps. More functions are wanted where the answer is made of most of
them: else it is noise that keeps it from them, and more walkers help. The noise that is left to sampling says in the
end how many walkers the run itself takes. A longer walk that finds more than the pilots know asks for a longer macro
step and more functions as well. What has come to its end stays as it is, and no walker is sent to make the noise small
beside an error that remains.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, NamedTuple

import torch

from homog.config import WITH_A_GRID
from homog.run.answer import checked, microscale_of
from homog.run.budget import finds_more
from homog.run.effort import (
    MARGIN,
    MOST_AT_ONCE,
    MOST_MACRO,
    Effort,
    Metrics,
    Parts,
    between,
    how_many,
    improved,
    most_functions,
    smooth_target,
    with_enough_walkers,
)
from homog.run.preparation import prepare_training
from homog.run.task import Plan
from homog.solvers.training import Progress
from homog.timesteps.pace import accurate
from homog.timesteps.timestep import count_bound

_PILOT = 8  # a pilot has one of so many walkers of a run
_MOST_PILOTS = 12
_PILOTS_TIME = 0.5  # of the seconds there are
_FINDINGS_TIME = 0.85  # the rest is for what is found out afterwards
_LEAST_POINTS = 256


def settings_with[P: Plan](plan: P, effort: Effort) -> P:
    """The same plan with other settings: more walkers than it has come in more batches, fewer in smaller ones."""
    settings, dimension = plan.settings, plan.problem.dimension
    method, optimizer, timestep, network = _chosen_of(plan)
    each = method.per_point * optimizer.iterations
    points = min(method.points, max(_LEAST_POINTS, math.ceil(effort.walkers / each)))
    iterations = max(optimizer.iterations, math.ceil(effort.walkers / (points * method.per_point)))
    steps = effort.macro_factor * count_bound(effort.m0, dimension)
    all_steps = effort.slower * steps * points * method.per_point * iterations
    chosen = replace(
        settings,
        method=replace(method, points=points),
        optimizer=replace(optimizer, iterations=iterations),
        network=replace(network, count=effort.functions),
        timestep=replace(timestep, macro_factor=effort.macro_factor, m0=effort.m0, most_steps=max(1.0, all_steps)),
        target=None,
        seconds=None,
    )
    return replace(plan, settings=chosen, steps=Plan.of(chosen, plan.home, plan.problem).steps)


def effort_of(plan: Plan) -> Effort:
    """That of a plan as it is."""
    method, optimizer, timestep, network = _chosen_of(plan)
    walkers = method.walkers_an_iteration * optimizer.iterations
    steps = timestep.macro_factor * count_bound(timestep.m0, plan.problem.dimension) * walkers
    functions = network.an_axis(plan.problem.dimension)
    return Effort(functions, timestep.macro_factor, timestep.m0, max(4.0, timestep.most_steps / steps), walkers)


def batches_short(metrics: Metrics, batches: int, target: float, plan: Plan) -> int:
    """How many more batches bring the estimate below the target; none where it is, or more of them would not help."""
    smooth, whole = metrics.get("rel_l2_smooth_error_estimate"), metrics.get("rel_l2_error_estimate")
    microscale = metrics.get("rel_l2_microscale")
    if not isinstance(smooth, float) or not isinstance(whole, float):
        return 0
    wanted = smooth_target(target, microscale if isinstance(microscale, float) else 0.0)
    parts, dimension = Parts.of(metrics), plan.problem.dimension
    noise, rest = parts.split(too_few=parts.too_few(effort_of(plan).functions, dimension))
    if smooth <= wanted or rest >= wanted or smooth > 1.001 * math.hypot(noise, rest):
        return 0
    share = noise / (MARGIN * math.sqrt(wanted**2 - rest**2))
    return math.ceil(batches * between(0.1, share**2 - 1, MOST_AT_ONCE))


class Verdict(NamedTuple):
    """How an answer stands to its target.

    Attributes:
        reached: Whether the estimate, or where the microscale is larger than the target that of the smooth part, is
            below it.
        line: That, in words.
    """

    reached: bool
    line: str


def verdict(metrics: Metrics, target: float) -> Verdict:
    """Whether the target is reached; if not, by what."""
    smooth, whole = metrics.get("rel_l2_smooth_error_estimate"), metrics.get("rel_l2_error_estimate")
    if not isinstance(smooth, float) or not isinstance(whole, float):
        return Verdict(False, f"target {target:g}: no error estimate, since there were too few batches")
    if whole <= target:
        return Verdict(True, f"target {target:g} reached: the error is estimated at {whole:.1e}")
    microscale = metrics.get("rel_l2_microscale")
    if isinstance(microscale, float) and microscale >= target and smooth <= target:
        return Verdict(
            True,
            f"target {target:g} reached by the smooth part, estimated at {smooth:.1e}; what is within a period,"
            f" {microscale:.1e}, no smooth answer shows: evaluation.fine_scale=true puts it back",
        )
    parts = Parts.of(metrics)
    names = ("sampling", "functions", "macro step", "micro step")
    largest = max(zip(parts[:4], names, strict=True))
    blame = f"most of it is {largest[1]}, {largest[0]:.1e}"
    if smooth > 1.001 * math.hypot(*parts[:4]):
        blame = f"a longer walk finds {smooth:.1e} in the smooth part"
    return Verdict(False, f"target {target:g} not reached: the error is estimated at {whole:.1e}; {blame}")


def chosen_by_pilots[P: Plan](plan: P, device: torch.device, started: float, say: Callable[[str], None]) -> P:
    """The plan with settings that should reach its target, by small trainings.

    Args:
        plan: With a target among its settings.
        device: On which the network trains, and walkers walk.
        started: When the run began, by `time.perf_counter`.
        say: Prints a line.
    """
    target, seconds = plan.settings.target, plan.settings.seconds or math.inf
    assert target is not None
    effort = replace(effort_of(plan), walkers=effort_of(plan).walkers / _PILOT)
    pilot, dimension = _trained(plan, effort, device), plan.problem.dimension
    for _ in range(_MOST_PILOTS):
        say(pilot.told())
        smooth = pilot.smooth_target(target)
        better = improved(pilot.effort, pilot.parts, smooth, dimension, held_back=pilot.held_back)
        if better == pilot.effort:
            better = _by_longer_walk(pilot, smooth, say)
        left = seconds - (perf_counter() - started)
        dearer = pilot.seconds * _dearer(pilot.effort, better, dimension)
        if better == pilot.effort or dearer > _PILOTS_TIME * left:
            break
        pilot = _trained(plan, better, device)
    smooth = pilot.smooth_target(target)
    enough = with_enough_walkers(pilot.effort, pilot.parts, smooth, dimension)
    if plan.settings.seconds is not None:
        left = _FINDINGS_TIME * (seconds - (perf_counter() - started))
        enough = replace(enough, walkers=min(enough.walkers, pilot.effort.walkers * max(left / pilot.seconds, 0.1)))
    return settings_with(plan, enough)


@dataclass(frozen=True, eq=False)
class _Pilot:
    """A small training.

    Attributes:
        plan: Its plan.
        effort: What it was made with.
        parts: The parts of its error.
        microscale: What no smooth answer shows.
        done: Where it ended.
        seconds: What it took.
    """

    plan: Plan
    effort: Effort
    parts: Parts
    microscale: float
    done: Progress
    seconds: float

    @property
    def held_back(self) -> bool:
        """Whether its steps are longer than the medium's pace asks for."""
        steps = self.plan.steps
        return steps is not None and steps.steepness > 1.01 * accurate(self.effort.m0)

    def told(self) -> str:
        """A line about it."""
        count, dimension = self.effort.functions, self.plan.problem.dimension
        axes = " x ".join([str(count)] * dimension) if dimension <= WITH_A_GRID else f"{how_many(count, dimension):.0f}"
        names = ("sampling", "functions", "macro step", "micro step")
        shown = ", ".join(f"{name} {part:.1e}" for name, part in zip(names, self.parts[:4], strict=True))
        settings = self.plan.settings
        count = settings.method.walkers_an_iteration * settings.optimizer.all_iterations
        return (
            f"  {axes} functions, Dt = {self.effort.macro_factor:.3g} least ones, m0 = {self.effort.m0:.3g},"
            f" {count:,} walkers: {shown}, microscale {self.microscale:.1e}"
        )

    def smooth_target(self, target: float) -> float:
        """What is left to the smooth part; all of it where walkers put the microscale back."""
        return target if self.plan.settings.evaluation.fine_scale else smooth_target(target, self.microscale)


def _trained(plan: Plan, effort: Effort, device: torch.device) -> _Pilot:
    began, chosen = perf_counter(), settings_with(plan, effort)
    _, training = prepare_training(chosen.settings, chosen.problem, chosen.steps, device, chosen.kernels)
    for _ in training:
        pass
    done = training.done
    seconds, found = perf_counter() - began, microscale_of(done.solution, chosen)
    microscale = 0.0 if found is None else found.size
    return _Pilot(chosen, effort, Parts.of(done.optimizer.metrics()), microscale, done, seconds)


def _by_longer_walk(pilot: _Pilot, smooth: float, say: Callable[[str], None]) -> Effort:
    """More effort, where a longer walk finds more than the target and the pilot knows."""
    effort, dimension = pilot.effort, pilot.plan.problem.dimension
    found = checked(pilot.done.solution, pilot.plan, pilot.done.walker_steps)
    if found is None or found.error <= smooth:
        return effort
    if not finds_more(found.error, found.standard_error, math.hypot(*pilot.parts[:4])):
        return effort
    functions = max(effort.functions, min(most_functions(dimension), math.ceil(1.5 * effort.functions)))
    macro_factor = max(effort.macro_factor, min(MOST_MACRO, 4 * effort.macro_factor))
    say(f"  a longer walk finds {found.error:.1e} +- {found.standard_error:.0e} in all: more than these know")
    return replace(effort, functions=functions, macro_factor=macro_factor)


def _dearer(before: Effort, after: Effort, dimension: int) -> float:
    """How many times as long a training takes, half of the time for walks, half for products of functions."""

    def of_each(effort: Effort) -> tuple[float, float]:
        return effort.macro_factor * effort.m0**2 * effort.slower, how_many(effort.functions, dimension) ** 2

    walks, products = (new / old for new, old in zip(of_each(after), of_each(before), strict=True))
    return after.walkers / before.walkers * 0.5 * (walks + products)


def _chosen_of(plan: Plan) -> tuple[Any, Any, Any, Any]:
    """Settings of the method, the optimizer, the time steps and the network, of kinds that have a budget."""
    settings = plan.settings
    return settings.method, settings.optimizer, settings.timestep, settings.network
