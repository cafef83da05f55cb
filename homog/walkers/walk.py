"""Walkers of a problem: many short paths from given points."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from homog.problems import Problem
from homog.timestep import TimeSteps
from homog.walkers.compiled import load_walk
from homog.walkers.kernel import Scheme, kernel_source
from homog.walkers.medium import medium


@dataclass(frozen=True)
class Walk:
    """What n points' s walkers each bring back after one macro step.

    Attributes:
        displacement: X - x, shape (d, n, s), float32; for a walker that left, to the place on the boundary.
        brownian: Sum of the Brownian increments up to and with the last step, shape (d, n, s): mean zero exactly.
        reward: R, the integral of f / (2a) along the path, shape (n, s).
        log_weight: log D for girsanov walkers (13), zero for drift, shape (n, s).
        left: Whether the walker left the domain, shape (n, s), bool.
        steps: Micro steps taken, n * s * K (those masked after leaving are counted).
    """

    displacement: np.ndarray
    brownian: np.ndarray
    reward: np.ndarray
    log_weight: np.ndarray
    left: np.ndarray
    steps: int


class Walkers:
    """The walkers of one problem, on the CPU.

    Args:
        problem: Gives the medium and the domain.
        scheme: How they move.
        cache: Folder for compiled kernels.
    """

    def __init__(self, problem: Problem, scheme: Scheme, cache: Path) -> None:
        self.problem = problem
        self.scheme = scheme
        self._medium = medium(problem)
        self._constants = self._medium.constant_values(problem.parameters)
        self._walk = load_walk(kernel_source(self._medium, problem.dimension, scheme), cache)

    def walk(self, points: np.ndarray, per_point: int, steps: TimeSteps, key: np.uint64) -> Walk:
        """Walk from each point for one macro step.

        Args:
            points: Starting points in the domain, shape (n, d), float64.
            per_point: s, walkers from each point.
            steps: The time steps.
            key: From `stream_key`: equal keys give equal paths, whatever the thread count.
        """
        count, dimension = points.shape
        domain = self.problem.domain
        below = np.ascontiguousarray((points - domain.lower).T, dtype=np.float32)
        above = np.ascontiguousarray((domain.upper - points).T, dtype=np.float32)
        start = np.ascontiguousarray(points.T, dtype=np.float32)
        phases = self._medium.start_phases(points, self.problem.parameters)
        total = count * per_point
        displacement, brownian = np.empty((2, dimension, total), dtype=np.float32)
        reward, log_weight = np.empty((2, total), dtype=np.float32)
        left = np.empty(total, dtype=np.bool_)
        self._walk(
            below, above, start, phases, self._constants, per_point, steps.count, np.float32(steps.micro_step), key,
            displacement, brownian, reward, log_weight, left,
        )  # fmt: skip
        shape = (count, per_point)
        return Walk(
            displacement.reshape(dimension, *shape),
            brownian.reshape(dimension, *shape),
            reward.reshape(shape),
            log_weight.reshape(shape),
            left.reshape(shape),
            total * steps.count,
        )
