"""Kernels run on the CPU, in NumPy arrays."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

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
        with one_at_a_time:
            kernel(
                below, above, start, phases, constants, batch.per_point, batch.count, batch.micro_step, batch.safe,
                batch.keys, displacement, brownian, reward, log_weight, age, left, *chain.from_iterable(tables),
            )  # fmt: skip
        return Found(displacement, brownian, reward, log_weight, age * batch.micro_step, left)
