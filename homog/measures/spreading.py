"""The effective tensor a* from walkers alone: from how fast they spread over many periods."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from homog.config import BoundsTimeStep
from homog.domains import Box
from homog.equation import Boundary, Problem
from homog.equation.velocities import parts_of_velocity, with_velocity
from homog.errors import UserError
from homog.fields.phases import Phases
from homog.formula import parse
from homog.measures.intervals import half_width
from homog.references.cell import correctors_of
from homog.references.correctors import CorrectorsAlongAxes
from homog.references.voxel_cell import Correctors
from homog.timesteps.pace import steps_in, with_pace
from homog.timesteps.timestep import TimeSteps
from homog.walkers import Purpose, Scheme, Walkers, point_generator, stream_key

_WALKERS, _LEAST_WALKERS = 40960, 512  # of a batch
_BUDGET = 1e9  # steps of all batches, beyond which these have fewer walkers
_MICRO = 24.0  # m0 of the longer steps; the others are half as long
_MICRO_OF_MATRICES = 12.0  # by which m0 is the same, as matrices have it doubled
_MICRO_AT_JUMPS = 34.0  # or a quarter and a sixteenth, where steps may be refused
_UNKNOWN = 1 / 3  # of the extrapolation in steps that drift, since their order may be 1 or 2
_PARTS = 4  # the earlier time is the later one over this
_TIMES = (1 / 32, 1 / 8, 1 / 2, 2.0, 8.0)  # the later time, in least macro steps of the problem's scale
_GOOD = 0.1  # distance of the bounds of a* by the voxels of the correctors, relative, up to which the first is enough
_FAIR = 0.5  # the same of an image with more voxels than these, up to which its slowest parts are seen
_AGREED = 2.0  # standard errors
_MOST_SHORTER = 1000.0  # times as many steps where the medium is steep
_SURE, _ROUNDING = 0.999, 1e-4  # of a contradiction
_FAR = 2000  # periods to the boundary: none gets there

AnyCorrectors = Correctors | CorrectorsAlongAxes


@dataclass(frozen=True)
class EffectiveTensor:
    """a* and how well the walkers know it.

    Attributes:
        value: The tensor, shape (d, d), symmetric.
        standard_error: Standard error of each entry, from the spread between batches, shape (d, d).
        bias: What the extrapolation in the micro step may lack, shape (d, d).
        delay: c in <a E[dX dX^T]> = a* t + c, which holds once a cell is forgotten; shape (d, d).
        freedom: Degrees of freedom of the standard errors.
    """

    value: Float64[np.ndarray, "d d"]
    standard_error: Float64[np.ndarray, "d d"]
    bias: Float64[np.ndarray, "d d"]
    delay: Float64[np.ndarray, "d d"]
    freedom: int

    def half_width(self, level: float = 0.95) -> Float64[np.ndarray, "d d"]:
        """Of the confidence interval of each entry: of the noise by Student's law, and the bias."""
        return half_width(self.standard_error, self.bias, self.freedom, level)

    def contradiction(self, known: Float64[np.ndarray, "d d"], error: float = 0.0) -> list[str]:
        """A line where another tensor is outside of the interval at 99.9 %: one of the two is then not resolved.

        Args:
            known: The other tensor.
            error: Its own error, relative.
        """
        apart = np.abs(self.value - known) - self.half_width(_SURE) - max(_ROUNDING, error) * np.abs(known).max()
        i, j = np.unravel_index(np.argmax(apart), apart.shape)
        if apart[i, j] <= 0:
            return []
        return [
            f"a*_{i + 1}{j + 1} is {self.value[i, j]:.4g} +- {self.half_width()[i, j]:.1g} by walkers and"
            f" {known[i, j]:.5g} by the cell problem: one of the two does not resolve the medium"
        ]

    def excess(self, macro_step: float) -> float | None:
        """c / Dt as a share of a*: what a macro step adds to the energy's tensor, a mean over the axes.

        From the least macro step (23) on; below it less than this. None where c is not known.
        """
        if np.isnan(self.delay).any():
            return None
        return float(np.trace(self.delay) / macro_step / np.trace(self.value))


def mean_over_samples(samples: Sequence[EffectiveTensor]) -> EffectiveTensor:
    """The mean of a* over the law of a random medium, from some samples of it: at least two.

    The standard error is that of the spread between samples, in which their own noise is contained. What an
    extrapolation lacks is the same of all, and does not average out.
    """
    values, biases, delays = (np.stack([getattr(one, name) for one in samples]) for name in ("value", "bias", "delay"))
    error = values.std(0, ddof=1) / math.sqrt(len(samples))
    return EffectiveTensor(values.mean(0), error, biases.mean(0), delays.mean(0), len(samples) - 1)


def effective_tensor_by_walkers(problem: Problem, batches: int = 32, seed: int = 0, *, cache: Path) -> EffectiveTensor:
    """a* of a periodic medium from the mean square displacement of walkers, seen through correctors.

    The generator is (1/2a) div(a grad) and pi = a / <a> its stationary law in the cell. Far out it acts like
    (1 / 2<a>) div(a* grad), so that <a E[dX_i dX_j]>, the mean over the cell, grows at the rate a*. With any periodic
    chi, phi = x + chi does so too, as chi is bounded. With the correctors of the cell problem phi(X) is a martingale,
    and the rate is a* from the first step on; with those of a grid of voxels, once the little that they lack is
    forgotten. So short walks are enough, of which there can be many. What is measured is the slope between two times,
    both on the same paths: whatever the correctors are, they decide how noisy it is and how soon it is a*. Where the
    bounds of a* by these voxels are far apart and the medium is not made of voxels, it may be that they miss what is
    forgotten slowly: then the walks are long enough to need no help. Of an image they miss no more than the corners of
    its voxels, and walks are four times as long until it makes no difference.

    The error of the micro step is extrapolated from steps along the same Brownian paths. Of walkers that drift there
    are two, dt and dt / 2, and the order is 3/2: the Heun step has 2 for short steps and less for coarse ones and where
    a pace makes them short; a third of the extrapolation is not known by that, and widens the interval. Of steps that
    may be refused there are two pairs, dt / 4 and dt / 16, and dt and dt / 4. The order is 1/2, and less where
    interfaces meet in corners: what the extrapolations from the two pairs differ by widens the interval, the more the
    slower the bounds of the cell problem come together (`Correctors.order`).

    Reversible in a dx, the walk goes from x to y as often as from y to x. What is measured is the same for both, so the
    harmonic mean of a(x) and a(y) may stand for a(x), with less noise: only of steps that are accepted or not, which
    are reversible exactly. For the others the noise of the Brownian increments W is taken out by
    <a (W_i W_j - delta_ij t)>, of mean zero exactly, times the coefficient of regression.

    At the end of a macro step Dt the mean square displacement is a* Dt + c, with c = 2 <a chi chi> (the means of chi
    taken out): what the energy of smooth functions sees too much of is c / Dt.

    Args:
        problem: Linear and with a period. Of a velocity the part that stirs counts.
        batches: Number of batches of walkers, at least 8.
        seed: Seed of the points and the walkers.
        cache: Folder for compiled kernels.

    Raises:
        UserError: If the problem has no period or depends on u.
    """
    if problem.cell is None or problem.operator.nonlinear:
        raise UserError("walkers find the effective tensor of a linear problem with a period: this one has none")
    parts = parts_of_velocity(problem)
    problem = with_velocity(problem, None if parts is None else parts.stirring)  # what carries is no part of a*
    correctors = correctors_of(problem)
    cell, plane = _cell_and_plane(problem)
    scheme = Scheme.suited(jumps=problem.operator.jumps)
    each, along = (Walkers(plane, scheme.along(draws), cache) for draws in (1, scheme.parts))

    def measured(time: float) -> EffectiveTensor:
        return _measured((each, along), _late(problem, time), cell, correctors, batches, seed)

    of_image = isinstance(problem.operator.field, Phases) and correctors.lack <= _FAIR
    if correctors.lack <= _GOOD or not (correctors.exact or of_image):
        return measured(_TIMES[0] if correctors.lack <= _GOOD else _TIMES[-1])
    found = measured(_TIMES[0])
    for time in _TIMES[1:]:
        if not _affordable(_late(problem, time), scheme, batches):
            break
        more = measured(time)
        apart = np.abs(more.value - found.value)
        if (apart < _AGREED * np.hypot(more.standard_error, found.standard_error) + found.bias).all():
            return min(found, more, key=lambda tensor: float(np.linalg.norm(tensor.half_width())))
        found = replace(more, bias=more.bias + apart)
    return found


def _cell_and_plane(problem: Problem) -> tuple[Box, Problem]:
    """A cell in the middle of the domain, and the same medium on a domain whose boundary none reaches from there."""
    assert problem.cell is not None
    middle, sides = np.asarray(problem.domain.lower) + problem.domain.sides / 2, problem.cell.sides
    far = _FAR * sides.max()
    cell = Box(tuple(middle - sides / 2), tuple(middle + sides / 2))
    nothing = parse("0", problem.dimension)
    operator = replace(problem.operator, forcing=nothing, reaction=None)  # a* knows neither
    boundary = Boundary.given(problem.boundary.value, problem.parameters)  # whatever it is: none gets there
    return cell, problem.but(operator=operator, boundary=boundary, domain=Box(tuple(middle - far), tuple(middle + far)))


def _measured(
    walkers: tuple[Walkers, Walkers], late: TimeSteps, cell: Box, correctors: AnyCorrectors, batches: int, seed: int
) -> EffectiveTensor:
    """a* from the slope until one time, by walkers that take each step and those that take longer ones on its path."""
    each, along = walkers
    scheme = each.scheme

    def extrapolated(longer: TimeSteps, numbers: range) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The slopes at no step, their control variate, and what the shorter of two steps on one path still moves."""
        finer, control = _slopes(each, longer.shortened(scheme.parts), cell, correctors, numbers, seed)
        coarser, _ = _slopes(along, longer, cell, correctors, numbers, seed)
        moved = (finer - coarser) / (scheme.parts**each.order - 1)
        return finer + moved, control, moved

    raw, control, moved = extrapolated(late.shortened(scheme.parts) if scheme.may_stay else late, range(batches))
    if scheme.may_stay:
        unknown = (raw - extrapolated(late, range(batches, 2 * batches))[0]) / (2**correctors.order - 1)
    else:
        unknown = _UNKNOWN * moved
    apart = control - control.mean(0)
    coefficient = ((raw - raw.mean(0)) * apart).sum(0) / (apart**2).sum(0)
    values = raw - coefficient * control
    # one coefficient an entry is fitted to the batches
    error = values.std(0, ddof=2) / math.sqrt(batches)
    bias = np.hypot(unknown.mean(0), unknown.std(0, ddof=1) / math.sqrt(batches))  # no less than can be seen
    return EffectiveTensor(values.mean(0), error, bias, correctors.delay, batches - 2)


def _late(problem: Problem, time: float) -> TimeSteps:
    """The longest steps to the later time, which is so many least macro steps."""
    micro = _MICRO if problem.operator.tensor is None else _MICRO_OF_MATRICES
    micro = _MICRO_AT_JUMPS if problem.operator.jumps else micro
    late = steps_in(problem, BoundsTimeStep(m0=micro, macro_factor=time), may_stay=False)
    count = max(1, round(late.count / _PARTS)) * _PARTS  # a whole number of them to the earlier time too
    late = replace(late, count=count, micro_step=late.macro_step / count)
    return with_pace(late, problem, micro, _MOST_SHORTER)


def _affordable(late: TimeSteps, scheme: Scheme, batches: int) -> bool:
    """Whether the fewest walkers of all batches take no more steps than they may."""
    return batches * _LEAST_WALKERS * late.count * scheme.parts**2 <= _BUDGET


def _slopes(
    walkers: Walkers, late: TimeSteps, cell: Box, correctors: AnyCorrectors, numbers: range, seed: int
) -> Float64[np.ndarray, "two batches d d"]:
    """Slope of the batches of these numbers, of <a dphi dphi^T> and of <a (W W^T - t)>, with steps of one length."""
    problem, dimension = walkers.problem, walkers.problem.dimension
    early = replace(late, count=late.count // _PARTS)
    finest = late.count * walkers.scheme.draws
    each = len(numbers) * finest * (late.pace.slowdown if late.pace else 1.0)
    count = int(min(_WALKERS, max(_LEAST_WALKERS, _BUDGET / each)))
    found = np.empty((2, len(numbers), dimension, dimension))
    for row, batch in enumerate(numbers):
        points = cell.spread(count, point_generator(seed, batch, Purpose.EFFECTIVE_TENSOR))
        weight, here = problem.operator.coefficient_at(points), correctors.at(points)
        moments = []
        for until in (early, late):  # the same key: the same paths, followed further
            walk = walkers.walk(points, 1, until, stream_key(seed, batch, Purpose.EFFECTIVE_TENSOR))
            moved, brownian = (part[:, :, 0].astype(float) for part in (walk.displacement, walk.brownian))
            ends = points + moved.T
            moved += correctors.at(ends) - here
            pair = weight
            if walkers.scheme.may_stay:
                there = problem.operator.coefficient_at(ends)
                both = weight + there
                pair = np.divide(2 * weight * there, both, out=np.zeros_like(both), where=both > 0)
            spread = np.einsum("n,in,jn->ij", pair / count, moved, moved)
            noise = np.einsum("n,in,jn->ij", weight / count, brownian, brownian)
            if walk.variance is None:
                expected = weight.mean() * until.macro_step * np.eye(dimension)
            else:
                expected = np.einsum("n,ijn->ij", weight / count, walk.variance[:, :, :, 0])
            moments.append((spread, noise - expected))
        for part, before, after in zip(found, *moments, strict=True):
            part[row] = (after - before) / (late.macro_step - early.macro_step)
    return found
