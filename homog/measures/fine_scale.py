"""The fine scale put back by walkers: one more application of the martingale condition, beyond the paper."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64
from torch import nn

from homog.equation import Problem
from homog.errors import UserError
from homog.measures.smooth_answer import SmoothAnswer, smooth_answer
from homog.timesteps.timestep import TimeSteps
from homog.walkers import Purpose, Scheme, Walk, Walkers, key_after, stream_key
from homog.walkers.lanes import LANES

_POINTS, _WALKERS = 1024, 64  # for the size of the microscale
_AT_ONCE = 2**20  # walkers: some 100 MB with what is worked out from them


@dataclass(frozen=True)
class FineScale:
    """u_fine at points.

    Attributes:
        values: u_fine at the points, in their shape, float64.
        standard_error: Standard error of the means over walkers, from their spread at each point; a relative L2 norm.
    """

    values: Float64[np.ndarray, "..."]
    standard_error: float


def fine_scale(
    network: nn.Module,
    problem: Problem,
    steps: TimeSteps,
    points: Float64[np.ndarray, "*batch d"],
    walkers: int,
    seed: int,
    cache: Path,
    at_once: int = _AT_ONCE,
) -> FineScale:
    """u_fine(x) = E_x[u(X) + R] at points, u a smooth solution: a first-order corrector without a cell problem.

    The exact solution fulfils u_eps(x) = E_x[u_eps(X) + R], so u_fine - u_eps = E_x[(u - u_eps)(X)]: of the error of u
    what oscillates within a period is forgotten like e^(-l Dt), l of the order of 2 pi^2 / eps^2, and what is smooth
    stays. R and X carry the microscale; u is read from a spline through `network`, from four dimensions on from itself.

    The noise is that of grad u_eps . W, W the stopped Brownian increment, and grows like the root of Dt. Taken out is

        grad u(x) . W + 1/2 (W W^T - duration I) : Hess u(x),

    both of mean zero exactly (optional stopping), which leaves what the microscale does to W. *Measured* factors of the
    standard deviation: 3 (eps = 0.05) and 9 (random field) by the first term, 1.02 and 1.6 by the second on top.
    Coefficients by regression over a point's walkers would gain a tenth more.

    Half of the least macro step (23) is a good Dt: at eps = 0.05, 256 walkers, the error against u_eps was 3.1e-3,
    2.6e-3, 2.7e-3, 3.2e-3 for Dt = 1/8, 1/4, 1/2, 1 least steps, 0.6e-3 to 2.5e-3 of it noise; a laminate forgets at
    half the rate. Without scale separation longer steps pay: random field, 32 walkers: 2.24e-2, 2.17e-2, 2.07e-2,
    1.96e-2 for 1/4, 1/2, 1, 2. The nodes of the table do not show: 65, 257 or 513 an axis gave the same three digits.

    Args:
        network: u, trained.
        problem: What is solved.
        steps: Time steps of its own, short ones.
        points: x, shape (..., d); on faces where u is given u_fine is g.
        walkers: From each point, at least 2.
        seed: Seed of the walkers; the values are a function of it whatever the thread count and `at_once`.
        cache: Folder for compiled kernels.
        at_once: Walkers held in memory at a time, about.

    Raises:
        UserError: If the coefficient is not positive where u leads it, or u is not finite.
    """
    smooth = smooth_answer(network, problem.domain, cache)
    if not smooth.is_finite():
        raise UserError("evaluation.fine_scale=true: the network's values are not finite; write false, or train anew")
    shape, points = points.shape[:-1], points.reshape(-1, problem.dimension)
    values = problem.boundary.at(points).copy()
    variances = np.zeros(len(points))
    inside = np.flatnonzero(~problem.boundary.walls.on_absorbing(points, problem.domain))
    sampler = _Sampler(problem, steps, smooth, walkers, stream_key(seed, 0, Purpose.FINE_SCALE), cache)
    # parts that end where a block of lanes does: the same blocks, and with them the same rounding, whatever the parts
    grain = LANES // math.gcd(LANES, walkers)
    part = max(1, at_once // (walkers * grain)) * grain
    for first in range(0, len(inside), part):
        here = inside[first : first + part]
        values[here], variances[here] = sampler(points[here], first)
    norm = float(np.linalg.norm(values))
    noise = math.sqrt(variances.sum()) / norm if norm > 0 else 0.0
    return FineScale(values.reshape(shape), noise)


@dataclass(frozen=True)
class Microscale:
    """What u_eps has within a period, and a smooth u cannot show: relative, in the L2 norm.

    Attributes:
        size: Its size, that of its noise taken out.
        standard_error: Standard error of the size, about.
    """

    size: float
    standard_error: float


def microscale(network: nn.Module, problem: Problem, steps: TimeSteps, seed: int, cache: Path) -> Microscale:
    """The size of u_fine - u, from the fine scale at some points.

    Args:
        network: u, trained.
        problem: What is solved.
        steps: Time steps of the fine scale.
        seed: Seed of the walkers.
        cache: Folder for compiled kernels.

    Raises:
        UserError: As for `fine_scale`.
    """
    points = problem.domain.spread(_POINTS, np.random.default_rng(0))
    if problem.has_holes:
        points = points[problem.operator.coefficient_at(points) > 0]
    fine = fine_scale(network, problem, steps, points, _WALKERS, seed, cache)
    smooth = smooth_answer(network, problem.domain, cache)
    whole = float(np.mean(fine.values**2))
    if whole == 0:
        return Microscale(0.0, 0.0)
    apart = float(np.mean((fine.values - smooth(points)) ** 2)) / whole
    noise = fine.standard_error**2
    size = math.sqrt(max(0.0, apart - noise))
    # of a mean of squares of normal numbers; below its root no size is told from zero
    uncertain = math.sqrt(2 / _POINTS) * apart
    return Microscale(size, uncertain / (2 * size) if size**2 > uncertain else math.sqrt(uncertain))


class _Sampler:
    """Means of u(X) + R over walkers and the variances of these means, with the control variates."""

    def __init__(
        self, problem: Problem, steps: TimeSteps, smooth: SmoothAnswer, walkers: int, key: np.uint64, cache: Path
    ) -> None:
        self._problem = problem
        self._steps = steps
        self._smooth = smooth
        self._count = walkers
        self._key = key
        self._walkers = Walkers(problem, Scheme.suited(jumps=problem.operator.jumps), cache)

    def __call__(
        self, points: Float64[np.ndarray, "n d"], first: int
    ) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        """For some points, `first` the number of the first among all."""
        lagged = self._smooth.lagged if self._problem.operator.reads_u else None
        if lagged:
            self._problem.operator.require_positive(points, lagged)
        key = key_after(self._key, first * self._count)
        walk = self._walkers.walk(points, self._count, self._steps, key, lagged)
        gained = self._gained(points, walk)
        gained -= self._smooth.control(points, walk)
        return (
            self._smooth(points) + gained.mean(1, dtype=np.float64),
            gained.var(1, ddof=1, dtype=np.float64) / self._count,
        )

    def _gained(self, points: Float64[np.ndarray, "n d"], walk: Walk) -> Float32[np.ndarray, "n s"]:
        """w u(X) - u(x) + R, both u by the same arithmetic, or g where a walker left; w = 1 where nothing is lost."""
        gained = self._smooth.after(points, walk.displacement)
        point, walker = np.nonzero(walk.left)
        domain = self._problem.domain  # g may have no value a rounding error outside
        ends = np.clip(points[point] + walk.displacement[:, point, walker].T, domain.lower, domain.upper)
        gained[point, walker] = self._problem.boundary.at(ends)
        if self._problem.kills:
            gained *= np.exp(walk.log_weight)
        gained -= self._smooth.after(points, np.zeros((points.shape[1], len(points), 1), dtype=np.float32))
        gained += walk.reward
        return gained
