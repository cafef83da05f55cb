"""The effective tensor a* from walkers alone: from how fast they spread over many periods."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from scipy.special import stdtrit

from homog.config import BoundsTimeStep
from homog.domains import Box
from homog.equation import Problem
from homog.errors import UserError
from homog.timesteps.pace import with_pace
from homog.timesteps.timestep import TimeSteps, macro_bound, time_steps
from homog.walkers import Purpose, Scheme, Walkers, point_generator, stream_key

_WALKERS, _LEAST_WALKERS = 5120, 512  # of a batch
_BUDGET = 2e9  # steps, beyond which a batch has fewer walkers
_MICRO = 12.0  # m0 of the longer steps; the others are half as long
_MICRO_AT_JUMPS = 17.0  # or a quarter
_UNKNOWN = 1 / 3  # of that, since the order may be 1 or 2
_EARLY, _LATE = 2, 8  # times, in least macro steps
_MOST_SHORTER = 1000.0  # times as many steps where the medium is steep
_SURE, _ROUNDING = 0.999, 1e-4  # of a contradiction
_FAR = 1000  # spreads to the boundary: none gets there


@dataclass(frozen=True)
class EffectiveTensor:
    """a* and how well the walkers know it.

    Attributes:
        value: The tensor, shape (d, d), symmetric.
        standard_error: Standard error of each entry, from the spread between batches, shape (d, d).
        bias: What the extrapolation in the micro step may lack, shape (d, d).
        delay: c in <a E[dX dX^T]> = a* t + c, which holds once a cell is forgotten; shape (d, d).
        delay_error: Its standard error.
        freedom: Degrees of freedom of the standard errors.
    """

    value: Float64[np.ndarray, "d d"]
    standard_error: Float64[np.ndarray, "d d"]
    bias: Float64[np.ndarray, "d d"]
    delay: Float64[np.ndarray, "d d"]
    delay_error: Float64[np.ndarray, "d d"]
    freedom: int

    def half_width(self, level: float = 0.95) -> Float64[np.ndarray, "d d"]:
        """Of the confidence interval of each entry: of the noise by Student's law, and the bias."""
        return float(stdtrit(self.freedom, (1 + level) / 2)) * self.standard_error + self.bias

    def contradiction(self, known: Float64[np.ndarray, "d d"]) -> list[str]:
        """A line where another tensor is outside of the interval at 99.9 %: one of the two is then not resolved."""
        apart = np.abs(self.value - known) - self.half_width(_SURE) - _ROUNDING * np.abs(known).max()
        i, j = np.unravel_index(np.argmax(apart), apart.shape)
        if apart[i, j] <= 0:
            return []
        return [
            f"a*_{i + 1}{j + 1} is {self.value[i, j]:.4g} +- {self.half_width()[i, j]:.1g} by walkers and"
            f" {known[i, j]:.5g} by the cell problem: one of the two does not resolve the medium"
        ]

    def excess(self, macro_step: float) -> tuple[float, float]:
        """c / Dt as a share of a*: what a macro step adds to the energy's tensor; and its standard error.

        The mean over the axes. From the least macro step (23) on; below it less than this.
        """
        axes = np.trace(self.value)
        return np.trace(self.delay) / macro_step / axes, np.linalg.norm(np.diag(self.delay_error)) / macro_step / axes


def effective_tensor_by_walkers(problem: Problem, batches: int = 32, seed: int = 0, *, cache: Path) -> EffectiveTensor:
    """a* of a periodic medium from the mean square displacement of drift walkers.

    The generator is (1/2a) div(a grad) and pi = a / <a> its stationary law in the cell. Far out it acts like
    (1 / 2<a>) div(a* grad), so the covariance under pi grows at the rate a* / <a>, and <a E[dX_i dX_j]>, the mean over
    the cell, at the rate a*. At finite t the mean is a* t + c (1 - e^(-l t)), l the rate at which a cell is forgotten:
    the slope between two times at which the last term is gone, 2 and 8 least macro steps (23), has no bias but that of
    the micro step. Both times are on the same paths. Each batch goes along its Brownian paths twice, in steps of dt and
    dt / 2, and is extrapolated with order 3/2: the Heun step has 2 for short steps and less for coarse ones and where a
    pace makes them short. A third of the extrapolation is not known by that; it widens the interval. (At m0 = 12 the
    step alone makes a* of the linear problem 0.12 % too small, that of a = 1 + 0.9 cos in one dimension 1.4 %.)

    The noise of the Brownian increments W is taken out by <a (W_i W_j - delta_ij t)>, which has mean zero exactly,
    times the coefficient of regression.

    Args:
        problem: Linear and with a period.
        batches: Number of batches of 5,120 walkers each, at least 8.
        seed: Seed of the points and the walkers.
        cache: Folder for compiled kernels.

    Raises:
        UserError: If the problem has no period or depends on u.
    """
    if problem.period is None or problem.operator.nonlinear:
        raise UserError("walkers find the effective tensor of a linear problem with a period: this one has none")
    dimension = problem.dimension
    middle = np.asarray(problem.domain.lower) + problem.domain.sides / 2
    cell = Box(tuple(middle - problem.period / 2), tuple(middle + problem.period / 2))
    macro_step = _LATE * macro_bound(problem.period, dimension)
    far = _FAR * (math.sqrt(macro_step) + problem.period)
    plane = problem.but(domain=Box(tuple(middle - far), tuple(middle + far)))
    late, scheme = _late(problem), Scheme.suited(jumps=problem.operator.jumps)
    fine, coarse = (
        _slopes_and_delays(Walkers(plane, scheme.along(draws), cache), steps, cell, batches, seed)
        for draws, steps in ((1, late.shortened(scheme.parts)), (scheme.parts, late))
    )
    # error of the shorter steps, over what they take away of that of the longer ones
    moved = (fine - coarse)[0] / (scheme.parts**scheme.order - 1)
    raw, control = fine[0] + moved, fine[1]
    apart = control - control.mean(1, keepdims=True)
    coefficient = ((raw - raw.mean(1, keepdims=True)) * apart).sum(1) / (apart**2).sum(1)
    values = raw - coefficient[:, None] * control
    # one coefficient an entry is fitted to the batches
    means, errors = values.mean(1), values.std(1, ddof=2) / math.sqrt(batches)
    bias = _UNKNOWN * np.abs(moved[0].mean(0))
    return EffectiveTensor(means[0], errors[0], bias, means[1], errors[1], batches - 2)


def _late(problem: Problem) -> TimeSteps:
    """The longer steps to the later time."""
    assert problem.period is not None
    micro = _MICRO_AT_JUMPS if problem.operator.jumps else _MICRO
    late = time_steps(BoundsTimeStep(m0=micro, macro_factor=_LATE), problem.dimension, problem.period)
    steps = round(late.count * _EARLY / _LATE) * _LATE // _EARLY  # a whole number of them to the earlier time too
    late = replace(late, count=steps, micro_step=late.macro_step / steps)
    return with_pace(late, problem, _MICRO, _MOST_SHORTER)


def _slopes_and_delays(
    walkers: Walkers, late: TimeSteps, cell: Box, batches: int, seed: int
) -> Float64[np.ndarray, "two two batches d d"]:
    """Slope and delay of each batch, of <a dX dX^T> and of <a (W W^T - t)>, with steps of one length."""
    problem, dimension = walkers.problem, walkers.problem.dimension
    early = replace(late, count=late.count * _EARLY // _LATE)
    each = batches * late.count * (late.pace.slowdown if late.pace else 1.0)
    count = int(min(_WALKERS, max(_LEAST_WALKERS, _BUDGET / each)))
    found = np.empty((2, 2, batches, dimension, dimension))
    for batch in range(batches):
        points = cell.spread(count, point_generator(seed, batch, Purpose.EFFECTIVE_TENSOR))
        weight = problem.operator.coefficient_at(points)
        moments = []
        for until in (early, late):  # the same key: the same paths, followed further
            walk = walkers.walk(points, 1, until, stream_key(seed, batch, Purpose.EFFECTIVE_TENSOR))
            spread, noise = (
                np.einsum("n,in,jn->ij", weight / count, part[:, :, 0].astype(float), part[:, :, 0].astype(float))
                for part in (walk.displacement, walk.brownian)
            )
            moments.append((spread, noise - weight.mean() * until.macro_step * np.eye(dimension)))
        for part, before, after in zip(found, *moments, strict=True):
            slope = (after - before) / (late.macro_step - early.macro_step)
            part[:, batch] = slope, before - slope * early.macro_step
    return found
