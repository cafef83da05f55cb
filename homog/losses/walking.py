"""What the losses that send walkers have in common: points, walkers, and how they fared."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from homog import ranks
from homog.config import DFLM, Energy
from homog.problems import Problem
from homog.splines import CubicSpline
from homog.timestep import TimeSteps
from homog.walkers import Scheme, Tally, Walk, Walkers, key_after, point_generator, stream_key


@dataclass(frozen=True)
class Sample:
    """One iteration's points and what their walkers bring back; of several ranks, this one's share.

    Attributes:
        points: Shape (n, d).
        mass: What each point stands for, where they weigh differently, shape (n,).
        walk: From these points.
        total: Points of all ranks together.
        random: Draws what else the iteration needs; alike on all ranks.
        tally: How the walkers fared.
    """

    points: Float64[np.ndarray, "n d"]
    mass: Float64[np.ndarray, " n"] | None
    walk: Walk
    total: int
    random: np.random.Generator
    tally: Tally

    @property
    def walker_steps(self) -> int:
        """Micro steps, of all ranks."""
        return self.walk.steps * self.total // max(1, len(self.points))

    @property
    def arrived(self) -> Float64[np.ndarray, "n d"]:
        """Where the first walker of each point arrived, NaN where it left."""
        return self.points + np.where(self.walk.left[:, :1], np.nan, self.walk.displacement[:, :, 0].T)


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
        self._arrived: np.ndarray | None = None  # where the points of sampling=walkers go on
        self._until = 0
        self._thread = ThreadPoolExecutor(1, "homog walkers")
        self._ahead: tuple[int, Future[Sample]] | None = None

    def draw_ahead(self, until: int) -> None:
        """From now on send the walkers of the next iteration while one trains, up to the iteration before `until`.

        Those of a nonlinear problem read the solution that the iteration makes, and wait for it.
        """
        self._until = 0 if self.problem.nonlinear else until

    def sample(self, iteration: int, medium: CubicSpline | None = None) -> Sample:
        """One iteration's points and walkers.

        Args:
            iteration: Its number.
            medium: The solution that walkers of a nonlinear problem read.

        Raises:
            NotFinite: If a walker brings back what is not finite.
            UserError: If the coefficient is not positive where the solution leads it.
        """
        if self._ahead is not None and self._ahead[0] == iteration:
            sample = self._ahead[1].result()
        else:
            self._forget()
            sample = self._draw(iteration, medium, self._arrived)
        self._tally.add(sample.tally)
        if self.settings.sampling == "walkers":
            self._arrived = sample.arrived
        if iteration + 1 < self._until:
            self._ahead = iteration + 1, self._thread.submit(self._draw, iteration + 1, None, self._arrived)
        return sample

    def measured(self) -> dict[str, float]:
        """Numbers for the record of a run; on several ranks, to be asked for on all of them."""
        return self._tally.of_all_ranks().measured()

    def warnings(self) -> list[str]:
        """What puts the answer in doubt, a line each; of several ranks, by this one's walkers."""
        return self._tally.warnings()

    def state(self) -> dict[str, Any]:
        """What is kept from one iteration to the next; on several ranks, to be asked for on all of them."""
        arrived = None if self._arrived is None else ranks.joint(self._arrived, self.settings.points)
        return {
            "tally": vars(self._tally.of_all_ranks()).copy(),
            "arrived": None if arrived is None else torch.from_numpy(arrived),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._forget()
        self._tally = Tally(**state["tally"]) if ranks.own() == 0 else Tally()
        arrived = state["arrived"]
        self._arrived = None if arrived is None else arrived.numpy()[ranks.share(len(arrived))]

    def _draw(self, iteration: int, medium: CubicSpline | None, arrived: np.ndarray | None) -> Sample:
        random = point_generator(self.seed, iteration)
        points, mass = self._points(random, medium)
        own, total = ranks.share(len(points)), len(points)
        points, mass = points[own], None if mass is None else mass[own]
        if arrived is not None:
            points = np.where(np.isnan(arrived), points, arrived)
        if medium is not None and mass is None:  # to weigh them by a(x, u), it was looked at
            self.problem.require_positive(points, medium)
        key = key_after(stream_key(self.seed, iteration), own.start * self.settings.walkers)
        walk = self.walkers.walk(points, self.settings.walkers, self.steps, key, medium)
        return Sample(points, mass, walk, total, random, Tally.of(walk))

    def _points(
        self, random: np.random.Generator, medium: CubicSpline | None
    ) -> tuple[Float64[np.ndarray, "n d"], Float64[np.ndarray, " n"] | None]:
        """Points of all ranks, and what each stands for."""
        return self.problem.domain.sample(self.settings.points, random), None

    def _forget(self) -> None:
        """What was drawn ahead is not wanted: let it come to its end, since walkers cannot be sent twice at a time."""
        if self._ahead is not None:
            self._ahead[1].exception()
            self._ahead = None
