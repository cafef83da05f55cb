"""What the losses that send walkers have in common: points, walkers, and their statistics."""

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt64
from torch import Tensor, nn

from homog.config import DFLM, Energy
from homog.equation import Problem
from homog.errors import UserError
from homog.fields.splines import Spline
from homog.formula.evaluate import torch_at_points
from homog.losses.ahead import Ahead
from homog.losses.lagged import LaggedOnDevice, lagged_spline
from homog.losses.loss import Loss
from homog.losses.system import LinearSystem
from homog.machine import ranks
from homog.networks import LinearInFeatures
from homog.timesteps.timestep import TimeSteps
from homog.walkers import (
    DeviceSpline,
    Lagged,
    Scheme,
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

type Value = Callable[[nn.Module], Float[Tensor, ""]]
"""What is minimised, of a network; of several ranks, this one's part."""


@dataclass(frozen=True)
class Forms:
    """Quadratic forms in u by the walkers of a batch, in pieces that are small enough to be differentiated at once.

    Attributes:
        values: What is minimised; of several ranks, this one's part.
        controls: Forms of expectation zero, whose multiples take noise out of the others.
        walker_steps: Micro steps taken.
    """

    values: Sequence[Value]
    controls: Sequence[Value]
    walker_steps: int


Mass = Float64[np.ndarray, " n"] | Float64[Tensor, " n"]


@dataclass(frozen=True)
class Sample:
    """One iteration's points and what their walkers bring back; of several ranks, this one's share.

    Attributes:
        points: Shape (n, d).
        mass: What each point stands for, where they weigh differently, shape (n,); a tensor where it is made on a GPU.
        keys: Keys of each point's walkers, shape (n,).
        walk: From these points.
        total: Points of all ranks together.
        random: Draws what else the iteration needs; alike on all ranks.
        walker_steps: Micro steps, of all ranks.
        tally: Statistics of the walkers; on a GPU they are taken of every 64th iteration and the last, else empty.
    """

    points: Float64[np.ndarray, "n d"]
    mass: Mass | None
    keys: UInt64[np.ndarray, " n"]
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


class WalkingLoss[Settings: (DFLM, Energy)](Loss):
    """A loss that sends walkers: the settings, the walkers, and their statistics.

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
        self.settings = settings = settings.suited(
            nonlinear=problem.operator.nonlinear, jumps=problem.operator.jumps, dimension=problem.dimension
        )
        assert settings.step is not None
        if settings.martingale == "girsanov" and (problem.kills or not problem.boundary.walls.all_absorbing):
            raise UserError(
                "method.martingale=girsanov gives walkers weights of its own, and knows u on all faces: with"
                " problem.reaction, or another problem.boundary, write method.martingale=drift"
            )
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
            self._walked(problem), Scheme(settings.martingale, settings.step, settings.exit), cache, self._walks_on
        )
        self._tally = Tally()
        self._arrived: np.ndarray | None = None  # where the points of sampling=walkers go on
        self._last = -1
        on_cpu = self._walks_on.type == "cpu"
        self._ahead = Ahead(self._draw_linear, None if on_cpu else self._draw_together)

    @staticmethod
    def _walked(problem: Problem) -> Problem:
        """The problem that walkers from the points see."""
        return problem

    def draw_ahead(self, iteration: int, until: int) -> None:
        """Send walkers ahead of their iteration, from that one on and up to the one before `until`.

        On the CPU in a thread: those of the first at once, those of the next while one trains. On a GPU those of
        several iterations in one launch, so many that they fill it. Those of a nonlinear problem read the solution
        that the iteration makes, and wait for it; what they need is compiled meanwhile.
        """
        self._last = until - 1
        on_cpu = self._walks_on.type == "cpu"
        if self.problem.operator.reads_u and on_cpu:
            self._ahead.beside(self.walkers.compile)
        waits = self.problem.operator.reads_u or (self.settings.sampling == "walkers" and not on_cpu)
        self._ahead.begin(iteration, 0 if waits else until, self._arrived)

    def lagged_for_walkers(self, network: nn.Module) -> Lagged | None:
        """The lagged u where walkers of a nonlinear problem read it; None for a linear one.

        Made on the GPU where walkers and the captured step alone read it; elsewhere on the host, which waits for u.
        """
        if not self.problem.operator.reads_u:
            return None
        if self.capturable and self._walks_on.type != "cpu":
            return self._on_device(network)
        return lagged_spline(network, self.problem.domain, self.nodes)

    def lagged(self, network: nn.Module) -> Spline | None:
        return lagged_spline(network, self.problem.domain, self.nodes) if self.problem.operator.reads_u else None

    def sample(self, iteration: int, lagged: Lagged | None = None) -> Sample:
        """One iteration's points and walkers.

        Args:
            iteration: Its number.
            lagged: The u that walkers of a nonlinear problem read.

        Raises:
            NotFinite: If a walker brings back what is not finite.
            UserError: If the coefficient is not positive where the solution leads it. One that is on a GPU is looked
                at in every 64th iteration and in the last.
        """
        sample = self._ahead.take(iteration) or self._draw(iteration, lagged, self._arrived)
        self._tally.add(sample.tally)
        if self.settings.sampling == "walkers":
            self._arrived = sample.arrived
        self._ahead.send(iteration + 1, self._arrived)
        return sample

    @property
    def capturable(self) -> bool:
        return self._device.type == "cuda" and ranks.count() == 1

    def of_points(self, points: int) -> "WalkingLoss[Settings]":
        """The same with so many points in a batch, and statistics of its own."""
        settings = replace(self.settings, points=points)
        return type(self)(settings, self.problem, self.steps, self.seed, self._cache, self._device)

    @abstractmethod
    def equations_and_value(
        self, network: LinearInFeatures, iteration: int, lagged: Spline | None
    ) -> tuple[LinearSystem, Value | None]:
        """The equations of a batch; and where they are the slopes of what is minimised, that, by the same walkers."""

    def forms(self, iteration: int, lagged: Spline | None) -> Forms | None:
        """What is minimised, by the walkers of a batch; None of equations that are the slopes of nothing."""
        return None

    def remedy_for_overflow(self) -> str:
        if self.settings.martingale == "drift":
            return super().remedy_for_overflow()
        return (
            "the weights of girsanov walkers overflow on long macro steps (write method.martingale=drift or a"
            " smaller timestep.macro_factor), and a formula may have no value somewhere in the domain"
        )

    def metrics(self) -> dict[str, float]:
        """Numbers for the record of a run; on several ranks, to be asked for on all of them."""
        return self._tally.of_all_ranks().metrics()

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
        self._ahead.discard()
        self._tally = Tally(**state["tally"]) if ranks.own() == 0 else Tally()
        arrived = state["arrived"]
        self._arrived = None if arrived is None else arrived.numpy()[ranks.share(len(arrived))]

    @cached_property
    def _on_device(self) -> LaggedOnDevice:
        return LaggedOnDevice(self.problem.domain, self.nodes, self._device)

    def _looks_at(self, iteration: int) -> bool:
        """Whether the host looks at an iteration's numbers: where it would wait for them, at some only."""
        return self._walks_on.type == "cpu" or iteration % _BETWEEN_LOOKS == 0 or iteration == self._last

    def _draw(self, iteration: int, lagged: Lagged | None, arrived: np.ndarray | None) -> Sample:
        start = self._start(iteration, lagged, arrived)
        if isinstance(lagged, DeviceSpline):
            there = lagged.on_host() if self._looks_at(iteration) else None
            if there is not None and np.isfinite(there.coefficients).all():  # else it is the loss that is told
                self.problem.operator.require_positive(start.points, there)
        elif lagged is not None and start.mass is None:  # to weigh them by a(x, u), it was looked at
            self.problem.operator.require_positive(start.points, lagged)
        walk = self.walkers.walk(start.points, self.settings.per_point, self.steps, start.key, lagged)
        return self._sample(iteration, start, walk)

    def _draw_linear(self, iteration: int, arrived: np.ndarray | None) -> Sample:
        return self._draw(iteration, None, arrived)

    def _draw_together(self, first: int, until: int) -> Iterator[Sample]:
        """The samples of as many iterations as fill the device."""
        starts = [self._start(first, None, None)]
        at_once = max(1, _kept_busy_by(self._walks_on) // (len(starts[0].points) * self.settings.per_point))
        starts += [self._start(i, None, None) for i in range(first + 1, min(first + at_once, until))]
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

    def _start(self, iteration: int, lagged: Lagged | None, arrived: np.ndarray | None) -> _Start:
        random = point_generator(self.seed, iteration)
        points, mass = self._points(random, lagged)
        own, total = ranks.share(len(points)), len(points)
        points, mass = points[own], None if mass is None else mass[own]
        if arrived is not None:
            points = np.where(np.isnan(arrived), points, arrived)
        key = key_after(stream_key(self.seed, iteration), own.start * self.settings.per_point)
        return _Start(points, mass, key, total, random)

    def _sample(self, iteration: int, start: _Start, walk: Walk) -> Sample:
        tally = Tally.of(walk) if self._looks_at(iteration) else Tally()
        steps = walk.steps * start.total // max(1, len(start.points))  # of other ranks, about as many for each point
        keys = point_keys(start.key, len(start.points), self.settings.per_point)
        return Sample(start.points, start.mass, keys, walk, start.total, start.random, steps, tally)

    def _points(
        self, random: np.random.Generator, lagged: Lagged | None
    ) -> tuple[Float64[np.ndarray, "n d"], Mass | None]:
        """Points of all ranks, and what each stands for."""
        return self.problem.domain.sample(self.settings.points, random), None

    def _coefficient(self, points: Float64[np.ndarray, "n d"], lagged: Lagged | None) -> Mass:
        """a at points, made where the solution is.

        Raises:
            UserError: If it is not positive where the solution leads it. One on a GPU is looked at in `sample`.
        """
        if lagged is None:
            return self.problem.operator.coefficient_at(points)
        if isinstance(lagged, Spline):
            self.problem.operator.require_positive(points, lagged)
            return self.problem.operator.coefficient_at(points, lagged(points))
        there = placed(points, self._device)
        names = self.problem.operator.names_at(points, lagged(there))
        field = {name: placed(value, self._device) for name, value in names.items() if isinstance(value, np.ndarray)}
        return torch_at_points(self.problem.operator.coefficient, there, {**names, **field})


def _kept_busy_by(device: torch.device) -> int:
    """Walkers that keep a GPU busy: some for each thread that it runs at a time, since they end at their own times."""
    found = torch.cuda.get_device_properties(device)
    return _WALKERS_A_THREAD * found.multi_processor_count * found.max_threads_per_multi_processor
