"""What the losses that send walkers have in common."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from homog.config import DFLM, Energy
from homog.problems import Problem
from homog.splines import CubicSpline
from homog.timestep import TimeSteps
from homog.walkers import Scheme, Tally, Walk, Walkers, stream_key


class WalkingLoss[Settings: (DFLM, Energy)]:
    """A loss that sends walkers: the settings, the walkers, and how they fared.

    Args:
        settings: Of the method.
        problem: What is solved.
        steps: The time steps.
        seed: Of points and walkers; both are a function of (seed, iteration).
        cache: Folder for compiled kernels.
    """

    def __init__(self, settings: Settings, problem: Problem, steps: TimeSteps, seed: int, cache: Path) -> None:
        self.settings = settings
        self.problem = problem
        self.steps = steps
        self.seed = seed
        self.walkers = Walkers(problem, Scheme(settings.martingale, settings.step, settings.exit), cache)
        self._tally = Tally()

    def walk(self, points: np.ndarray, iteration: int, medium: CubicSpline | None) -> Walk:
        """One iteration's walkers, from points of shape (n, d).

        Raises:
            NotFinite: If one of them brings back what is not finite.
        """
        key = stream_key(self.seed, iteration)
        walk = self.walkers.walk(points, self.settings.walkers, self.steps, key, medium)
        self._tally.add(walk)
        return walk

    def measured(self) -> dict[str, float]:
        """Numbers for the record of a run."""
        return self._tally.measured()

    def warnings(self) -> list[str]:
        """What puts the answer in doubt, a line each."""
        return self._tally.warnings()

    def state(self) -> dict[str, Any]:
        """What is kept from one iteration to the next."""
        return {"tally": vars(self._tally).copy()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._tally = Tally(**state["tally"])
