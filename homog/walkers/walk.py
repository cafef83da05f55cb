"""Walkers of a problem: many short paths from given points."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, UInt64

from homog.equation import FIELD, SOLUTION, Problem
from homog.errors import NotFinite, UserError
from homog.fields.splines import Spline
from homog.timesteps.timestep import TimeSteps
from homog.walkers.batch import Batch, Processor
from homog.walkers.compiled import load_module
from homog.walkers.device_spline import DeviceSpline, Lagged
from homog.walkers.lookup import Table
from homog.walkers.medium import medium
from homog.walkers.on_cpu import Cpu
from homog.walkers.on_cuda import Cuda
from homog.walkers.step import SPAN, Scheme
from homog.walkers.streams import point_keys

Array = Any  # of NumPy, or a tensor
_CPU = torch.device("cpu")
_SIGMAS = 7.5  # P(|N(0, 1)| > 7.5) = 6e-14


@dataclass(frozen=True)
class Walk:
    """Result of one macro step, s walkers from each of n points: in NumPy arrays, or in tensors on a GPU.

    Attributes:
        displacement: X - x, shape (d, n, s), float32; for a walker that left, to the place on the boundary.
        brownian: Sum of the Brownian increments up to and with the last step, shape (d, n, s): mean zero exactly.
        reward: R, the integral of f / (2a) along the path, shape (n, s).
        log_weight: log D for girsanov walkers (13), zero for drift, shape (n, s).
        duration: Time walked, to the end of the last step, shape (n, s): E[W_i W_j - duration delta_ij] = 0 exactly.
        left: Whether the walker left the domain, shape (n, s), bool.
        variance: Q of a coefficient that is a matrix, shape (d, d, n, s): E[W_i W_j - Q_ij] = 0 exactly. None where it
            is a number: Q_ij is then duration delta_ij.
        steps: Micro steps taken: n * s * K (those masked after leaving are counted), or with a pace those that were.
    """

    displacement: Float[Array, "d n s"]
    brownian: Float[Array, "d n s"]
    reward: Float[Array, "n s"]
    log_weight: Float[Array, "n s"]
    duration: Float[Array, "n s"]
    left: Bool[Array, "n s"]
    steps: int
    variance: Float[Array, "d d n s"] | None = None

    def on_host(self) -> "Walk":
        """The same in NumPy arrays: of a walk on a GPU, which the host then waits for."""
        if isinstance(self.left, np.ndarray):
            return self
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors = {name: part for name, part in parts.items() if isinstance(part, torch.Tensor)}
        return replace(self, **{name: part.cpu().numpy() for name, part in tensors.items()})

    def of_points(self, rows: slice) -> "Walk":
        """The walks from some of the points."""
        steps = self.steps * len(range(*rows.indices(len(self.left)))) // max(1, len(self.left))
        return Walk(
            self.displacement[:, rows], self.brownian[:, rows], self.reward[rows], self.log_weight[rows],
            self.duration[rows], self.left[rows], steps, None if self.variance is None else self.variance[:, :, rows],
        )  # fmt: skip

    def parts(self, counts: Sequence[int]) -> Iterator["Walk"]:
        """The walks from the first so many points, from so many after them, and so on."""
        first = 0
        for count in counts:
            yield self.of_points(slice(first, first + count))
            first += count

    @property
    def effective_share(self) -> float:
        """(sum D)^2 / (n s sum D^2), Kish's effective sample size per walker: 1 for drift walkers."""
        if not self.log_weight.any():
            return 1.0
        weight = np.exp(self.log_weight - self.log_weight.max(), dtype=np.float64)
        return float(weight.sum() ** 2 / np.square(weight).sum() / weight.size)

    def require_finite(self) -> None:
        """Refuse a walk of which no right answer can be made.

        Raises:
            NotFinite: If a displacement, a reward or a weight is NaN or infinite.
        """
        brought_back = {"place": self.displacement, "reward": self.reward, "log weight": self.log_weight}
        for what, values in brought_back.items():
            if not np.isfinite(values).all():
                raise NotFinite(
                    f"the {what} of a walker is NaN or infinite",
                    "look for a place in the domain where a formula, or its slope, has no finite value; or lower"
                    " timestep's dt",
                )


class Walkers:
    """The walkers of one problem.

    Args:
        problem: Gives the medium and the domain.
        scheme: How they move.
        cache: Folder for compiled kernels.
        device: Where they walk: the CPU, or a GPU of CUDA, on which what they bring back stays.

    Raises:
        UserError: If they cannot walk on that device.
    """

    def __init__(self, problem: Problem, scheme: Scheme, cache: Path, device: torch.device = _CPU) -> None:
        if problem.operator.tensor is not None and (scheme.may_stay or scheme.martingale == "girsanov"):
            raise UserError(
                "where problem.coefficient is a matrix, walkers drift along its slopes: leave method.step and"
                " method.martingale out"
            )
        self.problem = problem
        self.scheme = scheme
        self._device = device
        self._processor: Processor = Cpu() if device.type == "cpu" else Cuda(device)
        self._medium = medium(problem, drift=not scheme.may_stay)
        self._constants = self._medium.constant_values(problem.parameters)
        self._tables = (
            {} if problem.operator.field is None else {FIELD: self._processor.hold(Table.of(problem.operator.field))}
        )
        known = scheme.drifts and not self._drifts_by_u
        self._top_speed = self._bound_of_speed(None) if known else 0.0
        self._cache = cache
        self._walk = load_module(self._processor.source(self._medium, problem.dimension, scheme), cache).walk

    @property
    def order(self) -> float:
        """The weak order by which their steps are extrapolated: of a matrix Heun's has the first one."""
        return self.scheme.order if self.problem.operator.tensor is None else 1.0

    def walk(
        self,
        points: Float64[np.ndarray, "n d"],
        per_point: int,
        steps: TimeSteps,
        key: np.uint64 | UInt64[np.ndarray, "n"],
        lagged: Lagged | None = None,
    ) -> Walk:
        """Walk from each point for one macro step.

        Args:
            points: Starting points in the domain, shape (n, d), float64.
            per_point: s, walkers from each point.
            steps: The time steps.
            key: From `stream_key`: equal keys give equal paths, whatever the thread count. Or one for each point, as
                from `point_keys`: so the points of several iterations can be walked together.
            lagged: The u that a nonlinear coefficient reads, on the whole domain; on their GPU or on the host.
        """
        if self.problem.operator.reads_u and lagged is None:
            raise ValueError("walkers of a nonlinear problem need a lagged u to read")
        tables = self._tables
        if lagged is not None:
            tables = {**tables, SOLUTION: self._processor.hold(Table.of(lagged))}
        batch = self._batch(points, per_point, steps, key, self._safe(steps, lagged))
        held = [tables[name] for name in self._medium.tables]
        kernel = self._walk if steps.pace is None else self._walk_by_pace
        found = self._processor.run(kernel, batch, self._constants, held)
        shape = (len(points), per_point)
        return Walk(
            found.displacement.reshape(self.problem.dimension, *shape),
            found.brownian.reshape(self.problem.dimension, *shape),
            found.reward.reshape(shape),
            found.log_weight.reshape(shape),
            found.duration.reshape(shape),
            found.left.reshape(shape),
            batch.walkers * steps.count if found.taken is None else int(found.taken.sum(dtype=np.float64)),
            None if found.variance is None else self._as_matrix(found.variance, shape),
        )

    def _as_matrix(self, entries: Array, shape: tuple[int, int]) -> Array:
        """Q of all walkers, shape (d, d, n, s), from what a kernel counts of it."""
        d, zero = self.problem.dimension, entries[0] * 0
        known = dict(zip(self._medium.pairs, entries, strict=True))
        rows = [known.get((max(i, j), min(i, j)), zero) for i in range(d) for j in range(d)]
        return (torch if isinstance(zero, torch.Tensor) else np).stack(rows).reshape(d, d, *shape)

    @cached_property
    def _walk_by_pace(self) -> Any:
        source = self._processor.source_by_pace(self._medium, self.problem.dimension, self.scheme)
        return load_module(source, self._cache).walk

    @cached_property
    def backwards(self) -> "Walkers":
        """Those of the adjoint of a walk with a velocity, which move alike."""
        return Walkers(self.problem.backwards, self.scheme, self._cache, self._device)

    def compile(self) -> None:
        """Compile a kernel of the CPU, or load it, before there is a lagged u to read: by a walk from no point."""
        d, zero = self.problem.dimension, np.float32(0)
        places = np.zeros((3 * d + max(len(self._medium.phases), 1), 0), dtype=np.float32)
        nobody = Batch(d, places, np.zeros(0, np.uint64), 1, 1, zero, zero, entries=len(self._medium.pairs))
        nothing = Table(np.zeros(0, np.float32), np.zeros(d, np.int32), np.zeros(d, np.float32))
        tables = {SOLUTION: self._processor.hold(nothing), **self._tables}
        self._processor.run(self._walk, nobody, self._constants, [tables[name] for name in self._medium.tables])

    def _batch(
        self,
        points: Float64[np.ndarray, "n d"],
        per_point: int,
        steps: TimeSteps,
        key: np.uint64 | UInt64[np.ndarray, "n"],
        safe: np.float32,
    ) -> Batch:
        domain = self.problem.domain
        from_walls = [(points - domain.lower).T, (domain.upper - points).T]
        phases = self._medium.start_phases(points, self.problem.parameters)
        places = np.ascontiguousarray(np.concatenate([*from_walls, points.T, phases], dtype=np.float32))
        keys = key if isinstance(key, np.ndarray) else point_keys(key, len(points), per_point)
        step = np.float32(steps.micro_step)
        lower = np.asarray(domain.lower)
        entries = len(self._medium.pairs)
        return Batch(
            self.problem.dimension, places, keys, per_point, steps.count, step, safe, steps.pace, lower, entries
        )

    def _safe(self, steps: TimeSteps, lagged: Lagged | None) -> np.float32:
        """A distance that a walker covers within SPAN steps with probability 1e-13 only.

        How fast a lagged u on a GPU makes drift walkers the host would have to wait for. There no distance is safe,
        and each step is tested for an exit: right for any u.
        """
        if not self.scheme.drifts:
            top_speed = 0.0
        elif steps.pace is not None:  # |V| dt <= worst sqrt(dt) there, and dt is longest elsewhere
            top_speed = steps.pace.worst / math.sqrt(steps.micro_step)
        elif not self._drifts_by_u:
            top_speed = self._top_speed
        elif isinstance(lagged, DeviceSpline):
            return np.finfo(np.float32).max
        else:
            top_speed = self._bound_of_speed(lagged)
        width = (
            1.0 if self.problem.operator.tensor is None else math.sqrt(self.problem.dimension)
        )  # A_ii / a is no wider
        return np.float32(width * _SIGMAS * np.sqrt(SPAN * steps.micro_step) + SPAN * top_speed * steps.micro_step)

    @property
    def _drifts_by_u(self) -> bool:
        """Whether V depends on u."""
        return self.problem.operator.nonlinear or self.problem.operator.velocity_of_u

    def _bound_of_speed(self, lagged: Spline | None) -> float:
        """A bound of |V| for drift walkers: half as much again as the largest on a sample of the domain."""
        points = self.problem.domain.sample(2**14 if lagged is None else 2**12, np.random.default_rng(0))
        return 1.5 * float(np.linalg.norm(self.problem.process.drift_at(points, lagged), axis=-1).max())
