"""The effective tensor a* from walkers alone: from how fast they spread over many periods."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from homog.errors import UserError
from homog.problems import Box, Problem
from homog.timestep import TimeSteps
from homog.walkers import Scheme, Walkers, point_generator, stream_key

_WALKERS = 16384  # of a batch
_FAR = 1000  # spreads to the boundary: none gets there


@dataclass(frozen=True)
class EffectiveTensor:
    """a* and how well the walkers know it.

    Attributes:
        value: The tensor, shape (d, d), symmetric.
        standard_error: Of each entry, from the spread between batches, shape (d, d).
    """

    value: Float64[np.ndarray, "d d"]
    standard_error: Float64[np.ndarray, "d d"]

    def interval(self, sigmas: float = 1.96) -> tuple[Float64[np.ndarray, "d d"], Float64[np.ndarray, "d d"]]:
        """Ends of a confidence interval of each entry; 95 % of a normal law without an argument."""
        return self.value - sigmas * self.standard_error, self.value + sigmas * self.standard_error


def effective_tensor_by_walkers(
    problem: Problem, steps: TimeSteps, batches: int = 64, seed: int = 0, *, cache: Path
) -> EffectiveTensor:
    """a* of a periodic medium from the mean square displacement of drift walkers.

    The generator is (1/2a) div(a grad) and pi = a / <a> its stationary law in the cell. Far out it acts like
    (1 / 2<a>) div(a* grad), so the covariance under pi grows at the rate a* / <a>, and <a E[dX_i dX_j]>, the mean over
    the cell, at the rate a*. At finite t the mean is a* t + c (1 - e^(-l t)), l of the order of 2 pi^2 / period^2: the
    slope between two times at which the second term is flat has no bias but that of the micro step. The first time is
    a quarter of the macro step, the second the whole; both are on the same paths.

    The noise of the Brownian increments W is taken out by <a (W_i W_j - delta_ij t)>, which has mean zero exactly,
    times the coefficient of regression.

    Args:
        problem: Linear and with a period.
        steps: The micro step, and a macro step of at least 8 of its lower bounds.
        batches: Of 16,384 walkers each, at least 8.
        seed: Of points and walkers.
        cache: Folder for compiled kernels.

    Raises:
        UserError: If the problem has no period or depends on u, or the macro step is too short.
    """
    if problem.period is None or problem.nonlinear:
        raise UserError("walkers find the effective tensor of a linear problem with a period: this one has none")
    if steps.count < 4 or steps.macro_step < 8 * steps.macro_bound:
        raise UserError(
            "walkers find the effective tensor in 8 least macro steps and more: write timestep.macro_factor=16"
        )
    dimension = problem.dimension
    middle = np.asarray(problem.domain.lower) + problem.domain.sides / 2
    cell = Box(tuple(middle - problem.period / 2), tuple(middle + problem.period / 2))
    far = _FAR * (math.sqrt(steps.macro_step) + problem.period)
    plane = replace(problem, domain=Box(tuple(middle - far), tuple(middle + far)))
    walkers = Walkers(plane, Scheme("drift", "heun", "bridge"), cache)
    early = replace(steps, count=steps.count // 4)
    elapsed = steps.macro_step - early.macro_step
    raw, control = np.empty((2, batches, dimension, dimension))
    for batch in range(batches):
        points = cell.sample(_WALKERS, point_generator(seed, batch))
        weight = problem.coefficient_at(points)
        moments = []
        for until in (early, steps):  # the same key: the same paths, followed further
            walk = walkers.walk(points, 1, until, stream_key(seed, batch))
            spread, noise = (
                np.einsum("n,in,jn->ij", weight / _WALKERS, part[:, :, 0].astype(float), part[:, :, 0].astype(float))
                for part in (walk.displacement, walk.brownian)
            )
            moments.append((spread, noise - weight.mean() * until.macro_step * np.eye(dimension)))
        (spread_early, noise_early), (spread, noise) = moments
        raw[batch], control[batch] = (spread - spread_early) / elapsed, (noise - noise_early) / elapsed
    coefficient = (raw - raw.mean(0)) * (control - control.mean(0))
    coefficient = coefficient.sum(0) / ((control - control.mean(0)) ** 2).sum(0)
    values = raw - coefficient * control
    # one coefficient an entry is fitted to the batches
    return EffectiveTensor(values.mean(0), values.std(0, ddof=2) / math.sqrt(batches))
