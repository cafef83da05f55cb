"""What goes into the kernels of both processors, and what comes out."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from homog.timesteps.timestep import Pace
from homog.walkers.lookup import Table
from homog.walkers.medium import Medium
from homog.walkers.step import Scheme


@dataclass(frozen=True)
class Batch:
    """The points of a walk and its time steps, prepared for a kernel.

    Attributes:
        dimension: d.
        places: Distances to the lower faces, to the upper faces, the points and their phases, a row each:
            (3 d + phases, n), float32.
        keys: Keys of each point's walkers, shape (n,), uint64.
        per_point: s, walkers from each point.
        count: K, micro steps.
        micro_step: dt.
        safe: A distance that is not walked between two looks at the boundary.
        pace: Shorter steps where the medium is steep, or None.
        lower: Lower corner of the domain, shape (d,): the place from which the pace's table is counted.
        entries: Of Q, where the coefficient is a matrix.
    """

    dimension: int
    places: np.ndarray
    keys: np.ndarray
    per_point: int
    count: int
    micro_step: np.float32
    safe: np.float32
    pace: Pace | None = None
    lower: np.ndarray = field(default_factory=lambda: np.zeros(0))
    entries: int = 0

    @property
    def walkers(self) -> int:
        """n s."""
        return len(self.keys) * self.per_point


class Found(NamedTuple):
    """What the walkers of a batch bring back, shape (d, n * s) or (n * s,): arrays of NumPy, or tensors on a device.

    As in `Walk`, float32 but for `left`, which is bool. `taken` counts the micro steps of each walker with a pace of
    its own, float32; where all take the same it is None. `variance` has the entries of Q of a matrix, as the kernel
    counts them, shape (entries, n * s).
    """

    displacement: Any
    brownian: Any
    reward: Any
    log_weight: Any
    duration: Any
    left: Any
    taken: Any = None
    variance: Any = None

    @staticmethod
    def rows(batch: Batch) -> int:
        """How many rows there are in what a kernel writes down."""
        return 2 * batch.dimension + 3 + batch.entries + (batch.pace is not None)

    @classmethod
    def of(cls, batch: Batch, rows: Any, left: Any) -> "Found":
        """From an array whose rows are the first five, `variance` of a matrix and `taken` with a pace; and `left`."""
        d, entries = batch.dimension, batch.entries
        reward, log_weight, duration = rows[2 * d : 2 * d + 3]
        variance = rows[2 * d + 3 : 2 * d + 3 + entries] if entries else None
        taken = None if batch.pace is None else rows[2 * d + 3 + entries]
        return cls(rows[:d], rows[d : 2 * d], reward, log_weight, duration, left, taken, variance)


class Processor(Protocol):
    """Where kernels run."""

    def source(self, medium: Medium, dimension: int, scheme: Scheme) -> str:
        """The text of a module with the kernel `walk`."""
        ...

    def source_by_pace(self, medium: Medium, dimension: int, scheme: Scheme) -> str:
        """The same for batches with a pace."""
        ...

    def hold(self, table: Table) -> tuple[Any, ...]:
        """A table in the form that the kernel's arguments have."""
        ...

    def run(self, kernel: Any, batch: Batch, constants: np.ndarray, tables: list[tuple[Any, ...]]) -> Found:
        """Walk."""
        ...
