"""What one run has to do, once its settings are understood."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from homog.config import BoundsTimeStep, RunSettings
from homog.equation import Problem
from homog.run.folder import RunRecord
from homog.timesteps.pace import with_pace
from homog.timesteps.timestep import TimeSteps, time_steps

_SMOOTH = 0.125  # of the shortest side: a length that the steps of a longer walk resolve where nothing is steep
_MOST_SHORTER = 32.0  # times as many steps for the fine scale where the medium is steep


@dataclass(frozen=True)
class Task:
    """The problem that the settings describe, and where everything goes.

    Attributes:
        settings: What to run.
        problem: Of these settings.
        steps: Time steps; None for a method without walkers.
        folder: The run's own.
        home: HOMOG_HOME.
        started: When this process began the run, by `time.perf_counter`.
        begun: The record in the folder of a run to go on with.
        tags: Of the run in MLflow, besides those of the environment.
    """

    settings: RunSettings
    problem: Problem
    steps: TimeSteps | None
    folder: Path
    home: Path
    started: float
    begun: RunRecord | None
    tags: Mapping[str, str]

    def fine_scale_steps(self) -> TimeSteps | None:
        """The time steps of the walkers that put the fine scale back: of any method, since they need the bounds alone.

        Raises:
            UserError: If they contradict each other.
        """
        settings = self.settings
        if not settings.evaluation.fine_scale:
            return None
        bounds = BoundsTimeStep(
            eps=settings.timestep.eps, m0=settings.timestep.m0, macro_factor=settings.evaluation.fine_scale_macro_factor
        )
        steps = time_steps(bounds, self.problem.dimension, self.problem.scale)
        return with_pace(steps, self.problem, bounds.m0, _MOST_SHORTER)

    def longer_walk_steps(self) -> tuple[TimeSteps, float]:
        """The time steps of the walkers that check the answer, whatever those of the training are, and their m0."""
        policy, problem = self.settings.timestep, self.problem
        scale = min(problem.scale, policy.eps or problem.scale)
        if problem.period is None and not problem.nonlinear:  # what is steep is walked in shorter steps, by its pace
            scale = max(scale, _SMOOTH * float(problem.domain.sides.min()))
        bounds = BoundsTimeStep(eps=scale, m0=max(policy.m0, BoundsTimeStep.m0), macro_factor=1.0)
        return time_steps(bounds, problem.dimension), bounds.m0

    @property
    def kernels(self) -> Path:
        """For compiled walkers."""
        return self.cache / "kernels"

    @property
    def cache(self) -> Path:
        """For references and what is compiled."""
        return self.home / "cache"

    @property
    def what(self) -> str:
        """What is run, in short."""
        return f"{self.problem.name} {type(self.settings.method).__name__} eps={self.problem.scale:.3g}"
