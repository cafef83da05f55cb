"""What the losses that send walkers have in common: points, walkers, and how they fared."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from homog.config import DFLM, Energy
from homog.equation import Problem
from homog.fields.splines import Spline
from homog.formula.evaluate import torch_at_points
from homog.losses.table import DeviceTable, spline_of
from homog.machine import ranks
from homog.timesteps.timestep import TimeSteps
from homog.walkers import (
    DeviceSpline,
    Scheme,
    Solution,
    Tally,
    Walk,
    Walkers,
    key_after,
    missing_for_cuda,
    placed,
    point_generator,
    point_keys,
    stream_key,
)

_log = logging.getLogger("homog")
_CPU = torch.device("cpu")
_BETWEEN_LOOKS = 64  # iterations: to count the walkers of a GPU the host waits for them
_WALKERS_A_THREAD = 4

Mass = Float64[np.ndarray, " n"] | Float64[Tensor, " n"]


@dataclass(frozen=True)
class Sample:
    """One iteration's points and what their walkers bring back; of several ranks, this one's share.

    Attributes:
        points: Shape (n, d).
        mass: What each point stands for, where they weigh differently, shape (n,); a tensor where it is made on a GPU.
        walk: From these points.
        total: Points of all ranks together.
        random: Draws what else the iteration needs; alike on all ranks.
        walker_steps: Micro steps, of all ranks.
        tally: How the walkers fared; on a GPU it is taken of every 64th iteration and the last, else empty.
    """

    points: Float64[np.ndarray, "n d"]
    mass: Mass | None
    walk: Walk
    total: int
    random: np.random.Generator
    walker_steps: int
    tally: Tally

    @property
    def arrived(self) -> Float64[np.ndarray, "n d"]:
        """Where the first walker of each point arrived, NaN where it left."""
        walk = self.walk.on_host()
        return self.points + np.where(walk.left[:, :1], np.nan, walk.displacement[:, :, 0].T)


@dataclass(frozen=True)
class _Start:
    """The points of a sample, and the key of their walkers."""

    points: np.ndarray
    mass: np.ndarray | Tensor | None
    key: np.uint64
    total: int
    random: np.random.Generator


class WalkingLoss[Settings: (DFLM, Energy)](ABC):
    """A loss that sends walkers: the settings, the walkers, and how they fared.

    Args:
        settings: Of the method.
        problem: What is solved.
        steps: The time steps.
        seed: Of points and walkers; both are a function of (seed, iteration).
        cache: Folder for compiled kernels.
        device: Where the network trains, and walkers walk; where they cannot, one line says so and the CPU is taken.
    """

    def __init__(
        self,
        settings: Settings,
        problem: Problem,
        steps: TimeSteps,
        seed: int,
        cache: Path,
        device: torch.device = _CPU,
    ) -> None:
        self.settings = settings = settings.suited(nonlinear=problem.nonlinear)
        assert settings.table is not None
        self.nodes = settings.table  # an axis of the table of u
        self.problem = problem
        self.steps = steps
        self.seed = seed
        self._cache = cache
        self._device = device
        missing = missing_for_cuda() if device.type == "cuda" else None
        if device.type == "cuda" and steps.pace is not None:
            missing = "walkers that choose their steps by the place have no kernel for GPUs yet"
        if missing:
            _log.warning("%s; here the walkers stay on the CPU", missing)
        self._walks_on = _CPU if missing else device
        self.walkers = Walkers(
            problem, Scheme(settings.martingale, settings.step, settings.exit), cache, self._walks_on
        )
        self._tally = Tally()
        self._arrived: np.ndarray | None = None  # where the points of sampling=walkers go on
        self._until, self._last = 0, -1
        self._thread = ThreadPoolExecutor(1, "homog walkers")
        self._ahead: tuple[int, Future[Sample]] | None = None
        self._together: dict[int, Sample] = {}  # of several iterations, from one launch on a GPU

    def draw_ahead(self, iteration: int, until: int) -> None:
        """Send walkers ahead of their iteration, from that one on and up to the one before `until`.

        On the CPU in a thread: those of the first at once, those of the next while one trains. On a GPU those of
        several iterations in one launch, so many that they fill it. Those of a nonlinear problem read the solution
        that the iteration makes, and wait for it; what they need is compiled meanwhile.
        """
        self._until, self._last = 0 if self.problem.nonlinear else until, until - 1
        if self.problem.nonlinear and self._walks_on.type == "cpu":
            self._thread.submit(self.walkers.compile)
        elif self._ahead is None:
            self._send_ahead(iteration)

    def solution(self, network: nn.Module) -> Solution | None:
        """The table of u that walkers of a nonlinear problem read; None for a linear one.

        Made on the GPU where walkers and the captured step alone read it; elsewhere on the host, which waits for u.
        """
        if not self.problem.nonlinear:
            return None
        if self.capturable and self._walks_on.type != "cpu":
            return self._table(network)
        return spline_of(network, self.problem.domain, self.nodes)

    def medium(self, network: nn.Module) -> Spline | None:
        """The same for linear equations, which are made on the host."""
        return spline_of(network, self.problem.domain, self.nodes) if self.problem.nonlinear else None

    def sample(self, iteration: int, medium: Solution | None = None) -> Sample:
        """One iteration's points and walkers.

        Args:
            iteration: Its number.
            medium: The solution that walkers of a nonlinear problem read.

        Raises:
            NotFinite: If a walker brings back what is not finite.
            UserError: If the coefficient is not positive where the solution leads it. One that is on a GPU is looked
                at in every 64th iteration and in the last.
        """
        sample = self._drawn_ahead(iteration) or self._draw(iteration, medium, self._arrived)
        self._tally.add(sample.tally)
        if self.settings.sampling == "walkers":
            self._arrived = sample.arrived
        self._send_ahead(iteration + 1)
        return sample

    @property
    def capturable(self) -> bool:
        """Whether an iteration on the device is the same operations on tensors of the same shapes each time."""
        return self._device.type == "cuda" and ranks.count() == 1

    @abstractmethod
    def remedy(self) -> str:
        """What to write instead where a training by Adam runs away."""

    @abstractmethod
    def inputs(self, sample: Sample) -> Any:
        """What walkers brought back, as tensors on the device, in a dataclass."""

    @abstractmethod
    def value(self, network: nn.Module, inputs: Any) -> Float[Tensor, ""]:
        """The loss of `inputs`: nothing but operations on the network's device."""

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

    def _drawn_ahead(self, iteration: int) -> Sample | None:
        if self._ahead is not None and self._ahead[0] == iteration:
            return self._ahead[1].result()
        if iteration in self._together:
            return self._together.pop(iteration)
        self._forget()
        if iteration < self._until and self._walks_on.type == "cuda" and self.settings.sampling != "walkers":
            self._together = dict(enumerate(self._draw_together(iteration), iteration))
            return self._together.pop(iteration)
        return None

    def _send_ahead(self, iteration: int) -> None:
        self._ahead = None
        if iteration < self._until and self._walks_on.type == "cpu":
            self._ahead = iteration, self._thread.submit(self._draw, iteration, None, self._arrived)

    @cached_property
    def _table(self) -> DeviceTable:
        return DeviceTable(self.problem.domain, self.nodes, self._device)

    def _looks_at(self, iteration: int) -> bool:
        """Whether the host looks at an iteration's numbers: where it would wait for them, at some only."""
        return self._walks_on.type == "cpu" or iteration % _BETWEEN_LOOKS == 0 or iteration == self._last

    def _draw(self, iteration: int, medium: Solution | None, arrived: np.ndarray | None) -> Sample:
        start = self._start(iteration, medium, arrived)
        if isinstance(medium, DeviceSpline):
            there = medium.on_host() if self._looks_at(iteration) else None
            if there is not None and np.isfinite(there.coefficients).all():  # else it is the loss that is told
                self.problem.require_positive(start.points, there)
        elif medium is not None and start.mass is None:  # to weigh them by a(x, u), it was looked at
            self.problem.require_positive(start.points, medium)
        walk = self.walkers.walk(start.points, self.settings.per_point, self.steps, start.key, medium)
        return self._sample(iteration, start, walk)

    def _draw_together(self, first: int) -> Iterator[Sample]:
        """The samples of as many iterations as fill the device."""
        starts = [self._start(first, None, None)]
        at_once = max(1, _on_device(self._walks_on) // (len(starts[0].points) * self.settings.per_point))
        starts += [self._start(i, None, None) for i in range(first + 1, min(first + at_once, self._until))]
        walk = self.walkers.walk(
            np.concatenate([start.points for start in starts]),
            self.settings.per_point,
            self.steps,
            np.concatenate([point_keys(start.key, len(start.points), self.settings.per_point) for start in starts]),
        )
        for iteration, (start, part) in enumerate(
            zip(starts, walk.parts([len(start.points) for start in starts]), strict=True), first
        ):
            yield self._sample(iteration, start, part)

    def _start(self, iteration: int, medium: Solution | None, arrived: np.ndarray | None) -> _Start:
        random = point_generator(self.seed, iteration)
        points, mass = self._points(random, medium)
        own, total = ranks.share(len(points)), len(points)
        points, mass = points[own], None if mass is None else mass[own]
        if arrived is not None:
            points = np.where(np.isnan(arrived), points, arrived)
        key = key_after(stream_key(self.seed, iteration), own.start * self.settings.per_point)
        return _Start(points, mass, key, total, random)

    def _sample(self, iteration: int, start: _Start, walk: Walk) -> Sample:
        tally = Tally.of(walk) if self._looks_at(iteration) else Tally()
        steps = walk.steps * start.total // max(1, len(start.points))  # of other ranks, about as many for each point
        return Sample(start.points, start.mass, walk, start.total, start.random, steps, tally)

    def _points(
        self, random: np.random.Generator, medium: Solution | None
    ) -> tuple[Float64[np.ndarray, "n d"], Mass | None]:
        """Points of all ranks, and what each stands for."""
        return self.problem.domain.sample(self.settings.points, random), None

    def _coefficient(self, points: Float64[np.ndarray, "n d"], medium: Solution | None) -> Mass:
        """a at points, made where the solution is.

        Raises:
            UserError: If it is not positive where the solution leads it. One on a GPU is looked at in `sample`.
        """
        if medium is None:
            return self.problem.coefficient_at(points)
        if isinstance(medium, Spline):
            self.problem.require_positive(points, medium)
            return self.problem.coefficient_at(points, medium(points))
        there = placed(points, self._device)
        names = self.problem.names_at(points, medium(there))
        field = {name: placed(value, self._device) for name, value in names.items() if isinstance(value, np.ndarray)}
        return torch_at_points(self.problem.coefficient, there, {**names, **field})

    def _forget(self) -> None:
        """What was drawn ahead is not wanted: let it come to its end, since walkers cannot be sent twice at a time."""
        if self._ahead is not None:
            self._ahead[1].exception()
        self._ahead, self._together = None, {}


def _on_device(device: torch.device) -> int:
    """Walkers that keep a GPU busy: some for each thread that it runs at a time, since they end at their own times."""
    found = torch.cuda.get_device_properties(device)
    return _WALKERS_A_THREAD * found.multi_processor_count * found.max_threads_per_multi_processor
