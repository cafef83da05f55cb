"""Kernels run on the CPU, in NumPy arrays."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

from homog.timesteps.timestep import Pace
from homog.walkers.batch import Batch, Found
from homog.walkers.compiled import one_at_a_time
from homog.walkers.cpu import cpu_source
from homog.walkers.kernel import Scheme
from homog.walkers.lookup import Table
from homog.walkers.medium import Medium


class Cpu:
    """The processor of this machine, on as many threads as Numba was given."""

    def source(self, medium: Medium, dimension: int, scheme: Scheme) -> str:
        return cpu_source(medium, dimension, scheme)

    def source_by_pace(self, medium: Medium, dimension: int, scheme: Scheme) -> str:
        return cpu_source(medium, dimension, scheme, paced=True)

    def hold(self, table: Table) -> tuple[Any, ...]:
        return table.arguments

    def run(
        self, kernel: Callable[..., None], batch: Batch, constants: np.ndarray, tables: list[tuple[Any, ...]]
    ) -> Found:
        d, total = batch.dimension, batch.walkers
        displacement, brownian = np.empty((2, d, total), dtype=np.float32)
        reward, log_weight, age = np.empty((3, total), dtype=np.float32)
        left = np.empty(total, dtype=np.bool_)
        below, above, start, phases = np.split(batch.places, (d, 2 * d, 3 * d))
        given = below, above, start, phases, constants, batch.per_point, batch.count, batch.micro_step, batch.safe
        brought = batch.keys, displacement, brownian, reward, log_weight, age, left
        if batch.pace is None:
            with one_at_a_time:
                kernel(*given, *brought, *chain.from_iterable(tables))
            return Found(displacement, brownian, reward, log_weight, age * batch.micro_step, left)
        taken = np.empty(total, dtype=np.float32)
        with one_at_a_time:
            kernel(*given, *brought, taken, *_pace_arguments(batch.pace, batch.lower), *chain.from_iterable(tables))
        return Found(displacement, brownian, reward, log_weight, age, left, taken)


def _pace_arguments(pace: Pace, lower: np.ndarray) -> tuple[np.ndarray, ...]:
    """The table of a pace as a kernel reads it, whose places are counted from the lower corner of the domain.

    Cell number (x - lower) * rate + origin along an axis, from which whole spans are taken off first.
    """
    cells = np.array(pace.longest.shape)
    rates = cells / np.subtract(pace.upper, pace.lower)
    origin = (lower - np.array(pace.lower)) * rates
    spans = cells if pace.periodic else np.zeros(len(cells))
    origin = origin % cells if pace.periodic else origin
    per_span = np.divide(1, spans, out=np.zeros(len(cells)), where=spans > 0)
    numbers = (part.astype(np.float32) for part in (rates, origin, spans, per_span))
    return pace.longest.ravel(), cells.astype(np.int32), *numbers
