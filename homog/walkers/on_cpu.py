"""Kernels run on the CPU, in NumPy arrays."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

from homog.machine.pieces import in_pieces
from homog.timesteps.timestep import Pace
from homog.walkers.batch import Batch, Found
from homog.walkers.kernel import cpu_source
from homog.walkers.lanes import CHUNK, LANES
from homog.walkers.lookup import Table
from homog.walkers.medium import Medium
from homog.walkers.step import Scheme


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
        paced = batch.pace is not None
        found = np.empty((Found.rows(batch), batch.walkers), dtype=np.float32)
        left = np.empty(batch.walkers, dtype=np.bool_)
        given = batch.per_point, batch.count, batch.micro_step, batch.safe, *constants
        clocks = _pace_arguments(batch.pace, batch.lower) if batch.pace else ()
        arguments = batch.places, batch.keys, found, left, *given, *clocks, *chain.from_iterable(tables)
        in_pieces(lambda first, last: kernel(first, last, *arguments), batch.walkers, CHUNK if paced else LANES)
        return Found.of(batch, found, left)


def _pace_arguments(pace: Pace, lower: np.ndarray) -> tuple[Any, ...]:
    """The table of a pace as a kernel reads it, whose places are counted from the lower corner of the domain.

    Cell number (x - lower) * rate + origin along an axis, from which whole periods are taken off first.
    """
    cells = np.array(pace.longest.shape)
    rates = cells / np.subtract(pace.upper, pace.lower)
    origin = (lower - np.array(pace.lower)) * rates
    periods = cells if pace.periodic else np.zeros(len(cells))
    origin = origin % cells if pace.periodic else origin
    per_period = np.divide(1, periods, out=np.zeros(len(cells)), where=periods > 0)
    numbers = np.concatenate([rates, origin, periods, per_period]).astype(np.float32)
    return pace.longest.ravel(), *cells.astype(np.int32), *numbers
