"""Walkers of a problem: many short paths from given points."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float64

from homog.formula.evaluate import at_points
from homog.problems import Problem
from homog.timestep import TimeSteps
from homog.walkers.compiled import load_walk
from homog.walkers.cpu import SPAN, cpu_source
from homog.walkers.kernel import Scheme
from homog.walkers.medium import medium

_SIGMAS = 7.5  # P(|N(0, 1)| > 7.5) = 6e-14


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

    displacement: Float[np.ndarray, "d n s"]
    brownian: Float[np.ndarray, "d n s"]
    reward: Float[np.ndarray, "n s"]
    log_weight: Float[np.ndarray, "n s"]
    left: Bool[np.ndarray, "n s"]
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
        self._top_speed = _top_speed(problem) if scheme.martingale == "drift" else 0.0
        self._walk = load_walk(cpu_source(self._medium, problem.dimension, scheme), cache)

    def walk(self, points: Float64[np.ndarray, "n d"], per_point: int, steps: TimeSteps, key: np.uint64) -> Walk:
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
        safe = _SIGMAS * np.sqrt(SPAN * steps.micro_step) + SPAN * self._top_speed * steps.micro_step
        displacement, brownian = np.empty((2, dimension, total), dtype=np.float32)
        reward, log_weight = np.empty((2, total), dtype=np.float32)
        left = np.empty(total, dtype=np.bool_)
        self._walk(
            below, above, start, phases, self._constants, per_point, steps.count, 
            np.float32(steps.micro_step), np.float32(safe), key,
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


def _top_speed(problem: Problem) -> float:
    """A bound of |V| = |grad a| / (2a): half as much again as the largest on a sample of the domain."""
    points = problem.domain.sample(2**14, np.random.default_rng(0))
    slopes = [at_points(g, points, problem.parameters) for g in problem.coefficient.gradient()]
    return 1.5 * float((np.linalg.norm(slopes, axis=0) / (2 * problem.coefficient_at(points))).max())
