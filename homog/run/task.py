"""What a run computes, and where it goes, once its settings are understood."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from homog import equation
from homog.config import WITH_A_GRID, BoundsTimeStep, Energy, Galerkin, RunSettings
from homog.equation import Problem, Ranges
from homog.errors import UserError
from homog.run.folder import RunRecord
from homog.timesteps.pace import steps_in, with_pace
from homog.timesteps.timestep import TimeSteps

_SMOOTH = 0.125  # of the shortest side: a length that the steps of a longer walk resolve where nothing is steep
_MOST_SHORTER = 32.0  # times as many steps for the fine scale where the medium is steep
_LEAST_SHORTER = 4.0  # times as many steps, which a run may take where the medium is steep, however many it takes
_HOLES = (
    "problem.coefficient is zero somewhere: a medium with holes is solved by method=energy, without"
    " evaluation.fine_scale; or has a tensor, by task=effective_tensor"
)
_JUMPS = (
    "problem.coefficient jumps, and this method asks for its slopes: leave method.step and method.martingale out, or"
    " write method=energy, dflm or deep_ritz"
)
_MOST_POINTS = 20_000_000  # of the evaluation grid: a few arrays of 160 MB


@dataclass(frozen=True)
class Plan:
    """The problem that the settings describe, and the time steps of the walkers that solve it.

    Attributes:
        settings: All settings of the run.
        problem: The problem of these settings.
        steps: Time steps; None for a method without walkers.
        home: HOMOG_HOME.
    """

    settings: RunSettings
    problem: Problem
    steps: TimeSteps | None
    home: Path

    @staticmethod
    def of(settings: RunSettings, home: Path, problem: Problem | None = None) -> "Plan":
        """The plan of the settings; what cannot work is refused here.

        Args:
            settings: All settings of the run.
            home: HOMOG_HOME.
            problem: The problem of these settings, where it was made before.

        Raises:
            UserError: If the problem is not well posed, or there are no such time steps.
        """
        problem = equation.build(settings.problem, settings.eps) if problem is None else problem
        _require_affordable(settings.evaluation.count(problem.dimension), problem.dimension)
        if problem.operator.jumps and settings.method.needs_slopes:
            raise UserError(_JUMPS)
        if problem.has_holes and (not settings.method.knows_holes or settings.evaluation.fine_scale):
            raise UserError(_HOLES)
        further = {
            "eigenvalues": bool(problem.eigenvalues),
            "time": problem.evolution is not None,
            "parameters with a range": problem.ranges is not None,
            "field.samples": settings.problem.samples > 1,
        }
        for name, asked in further.items():
            if asked:
                _refuse_by_matrix(name, settings, problem)
        if sum(further.values()) > 1:
            one, other = [f"problem.{name}" for name, asked in further.items() if asked][:2]
            if {one, other} != {"problem.eigenvalues", "problem.time"}:
                raise UserError(f"{one} and {other} do not go together: leave one of the two out")
        if settings.target is not None and (problem.ranges is not None or settings.problem.samples > 1):
            raise UserError("target goes with one problem: leave ranges of problem.parameters and samples out")
        if problem.ranges is not None:
            _refuse_corners(problem, problem.ranges)
        plan = Plan(settings, problem, time_steps(settings, problem) if settings.method.walks else None, home)
        if settings.evaluation.fine_scale:
            plan.fine_scale_steps()  # refuses at once what it would refuse at the end
        return plan

    def fine_scale_steps(self) -> TimeSteps:
        """The time steps of the walkers that put the fine scale back: of any method, since they need the bounds alone.

        Raises:
            UserError: If they contradict each other.
        """
        settings = self.settings
        bounds = BoundsTimeStep(
            eps=settings.timestep.eps, m0=settings.timestep.m0, macro_factor=settings.evaluation.fine_scale_macro_factor
        )
        steps = steps_in(self.problem, bounds)
        return with_pace(steps, self.problem, bounds.m0, _MOST_SHORTER)

    def warnings(self) -> list[str]:
        """A line for each bound that the time steps break; none for a method without walkers."""
        return [] if self.steps is None else self.steps.warnings()

    def longer_walk_steps(self) -> tuple[TimeSteps, float]:
        """The time steps of the walkers that check the answer, whatever those of the training are, and their m0."""
        policy, problem = self.settings.timestep, self.problem
        scale = min(problem.scale, policy.eps or problem.scale)
        if problem.cell is None and not problem.operator.nonlinear and not problem.operator.jumps:
            # what is steep is walked in shorter steps, by its pace
            scale = max(scale, _SMOOTH * float(problem.domain.sides.min()))
        bounds = BoundsTimeStep(eps=scale, m0=max(policy.m0, BoundsTimeStep.m0), macro_factor=1.0)
        return steps_in(problem, bounds), bounds.m0

    @property
    def kernels(self) -> Path:
        """Folder for compiled walkers."""
        return self.cache / "kernels"

    @property
    def cache(self) -> Path:
        """Folder for references and what is compiled."""
        return self.home / "cache"

    @property
    def what(self) -> str:
        """What is run, in short."""
        return f"{self.problem.name} {type(self.settings.method).__name__} eps={self.problem.scale:.3g}"


@dataclass(frozen=True)
class Task(Plan):
    """A plan, and the folder in which its run is recorded.

    Attributes:
        folder: The run's own folder.
        asked: The settings that were asked for; with a target among them the others are chosen.
        started: When this process began the run, by `time.perf_counter`.
        begun: The record in the folder of a run to go on with; None for a new run.
        tags: Tags of the run in MLflow, besides those of the environment.
    """

    folder: Path
    asked: RunSettings
    started: float
    begun: RunRecord | None
    tags: Mapping[str, str]


def _refuse_by_matrix(name: str, settings: RunSettings, problem: Problem) -> None:
    """Refuse what comes from the energy's matrix where no symmetric one is assembled."""
    if type(settings.method) is not Energy or type(settings.optimizer) is not Galerkin:
        raise UserError(f"problem.{name} goes with the energy's matrix: write method=energy optimizer=galerkin")
    operator = problem.operator
    if operator.reads_u:
        raise UserError(f"problem.{name} goes with a linear problem: leave u out of the formulas, or problem.{name}")
    if operator.velocity is not None and name == "eigenvalues":
        raise UserError("problem.eigenvalues go with a problem without a velocity: leave one of the two out")
    if problem.dimension > WITH_A_GRID:
        raise UserError(f"problem.{name} goes with at most three dimensions")


def _refuse_corners(problem: Problem, ranges: Ranges) -> None:
    """Refuse ranges with values for which there is no problem."""
    for place in itertools.product((-1.0, 1.0), repeat=len(ranges.names)):
        problem.member(ranges.values(np.array(place)))


def time_steps(settings: RunSettings, problem: Problem) -> TimeSteps:
    """Those of the policy for a problem, with shorter ones where the medium is steep, as far as its budget goes."""
    policy, method = settings.timestep, settings.method
    steps = steps_in(problem, policy, may_stay=method.may_stay)
    follows = policy.follows_medium and method.drifts
    planned = method.walkers_an_iteration * settings.optimizer.all_iterations * steps.count
    most = max(_LEAST_SHORTER, policy.all_steps / planned) if follows else 1.0
    return with_pace(steps, problem, policy.m0, most, follows=follows)


def _require_affordable(grid: int, dimension: int) -> None:
    if dimension <= WITH_A_GRID and grid**dimension > _MOST_POINTS:
        raise UserError(
            f"evaluation.grid={grid} asks for {grid**dimension:.1g} points in {dimension}D:"
            f" write at most {int(_MOST_POINTS ** (1 / dimension))}"
        )
