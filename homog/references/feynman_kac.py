"""Solutions at points by walks to the boundary: in any dimension, without a mesh, and without anything that learns.

u(x) = E[w g(X) + R] at the exit, R the integral of w f / (2a) along the path, w = exp(-int c / (2a)) (equation 3 with
T = infinity; w = 1 without a reaction). The mean over walkers has noise, which their spread tells, and the bias of the
micro step, as small as m0 makes it.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from homog.config import BoundsTimeStep, FeynmanKacReference
from homog.domains import Box, Places
from homog.equation import Problem
from homog.errors import UserError
from homog.formula import Formula
from homog.formula.parse import parse, symbol
from homog.references.limit import effective_law
from homog.references.mean import mean_coefficient, number
from homog.references.result import Reference
from homog.timesteps.pace import steps_in, with_pace
from homog.timesteps.timestep import TimeSteps, micro_bound
from homog.walkers import Purpose, Scheme, Walkers, point_keys, stream_key

_PART = 0.25  # of the time in which the number of walkers falls to 1/e: then those that are left go on together
_AT_ONCE = 2**20  # walkers
_FEWEST = 16  # walkers from a point, whose spread tells the noise
_PILOTS = 256
_NOTHING = 1e-9  # of a walker's weight, beyond which nobody waits for its end
_MARGIN = 4  # times as many steps as they are thought to take
_ACROSS = 128  # mean steps across the shortest side where nothing oscillates


class AtPoints(NamedTuple):
    """A solution at points.

    Attributes:
        values: At each point, shape (n,).
        standard_error: Of these, shape (n,).
    """

    values: Float64[np.ndarray, " n"]
    standard_error: Float64[np.ndarray, " n"]

    @property
    def least_error(self) -> float:
        """The least relative L2 error of something else that shows through the noise, about.

        The mean square of the noise is taken out of that of a difference; what is left of it is the spread of n squares
        of normal numbers.
        """
        size = float(np.mean(self.values**2))
        noise = float(np.mean(self.standard_error**2))
        return math.sqrt(math.sqrt(2 / len(self.values)) * noise / size) if size > 0 else 0.0


def reference_by_walks(
    settings: FeynmanKacReference, problem: Problem, kernels: Path, notes: tuple[str, ...], check: Callable[[], None]
) -> Reference:
    """u_eps and u_0 at points, as far as walks to the boundary give them.

    Args:
        settings: How many points and walkers.
        problem: A linear one.
        kernels: Folder for compiled kernels.
        notes: What is to be said besides.
        check: Called between pieces of work; raises where nobody waits for the reference any more.

    Raises:
        UserError: For a coefficient that depends on u.
    """
    start = time.perf_counter()
    if problem.operator.reads_u:
        raise UserError("reference=feynman_kac walks in a known medium: what depends on u has reference=fem")
    places = Places(scattered=problem.domain.spread(settings.points, np.random.default_rng(0)))
    points, found = places.points, dict[str, AtPoints]()
    if problem.operator.jumps:
        notes = (*notes, "the coefficient jumps: walks to the boundary would have the bias of their steps, so no u_eps")
    elif settings.most_steps:
        walks = fine_solution(problem, points, settings.walkers, settings.m0, settings.most_steps, kernels, check)
        if walks is None:
            few = f"reference.most_steps={settings.most_steps:g} lets too few walkers go to the boundary: no u_eps"
            notes = (*notes, few)
        else:
            found["main"] = walks
    check()
    mean, mean_error = mean_coefficient(problem)
    oscillating = "eps" in problem.data_names
    law, tensor, gap, further = effective_law(problem)
    notes = (*notes, *further)
    if oscillating:
        notes = (*notes, "f, c or g vary with eps: there is neither u_0 nor u_mean by walks")
    elif law is not None and law.velocity is not None:
        notes = (*notes, "there is a velocity in the limit: there is neither u_0 nor u_mean by walks")
    elif law is not None and tensor is not None:
        if np.allclose(tensor, np.diag(np.diag(tensor)), rtol=0, atol=1e-9 * float(np.trace(tensor))):
            constants = {"mean": float(mean)} if mean.ndim == 0 else {}
            found |= limit_solutions(problem, tensor, constants, points, settings.walkers, kernels, check)
            if mean.ndim:
                notes = (*notes, "the mean of the coefficient is a matrix: there is no u_mean by walks")
        else:
            notes = (*notes, "a* is not diagonal: there is no u_0 by walks")
    fine, limit, naive = (found.get(name) for name in ("main", "homogenized", "mean"))
    return Reference(
        places=places,
        fine=fine and fine.values,
        homogenized=limit and limit.values,
        mean_coefficient=naive and naive.values,
        effective_tensor=tensor,
        mean=number(mean),
        error_estimate=fine and fine.least_error,
        unknowns=0,
        seconds=time.perf_counter() - start,
        notes=notes,
        homogenized_error_estimate=limit and math.hypot(limit.least_error, gap or 0.0),
        mean_coefficient_error_estimate=naive and math.hypot(naive.least_error, mean_error),
        cell_problem_error_estimate=gap,
        by="walks",
        fine_standard_error=fine and fine.standard_error,
        homogenized_standard_error=limit and limit.standard_error,
    )


def _never() -> None:
    """Somebody always waits."""


def fine_solution(
    problem: Problem,
    points: Float64[np.ndarray, "n d"],
    walkers: int,
    m0: float,
    most_steps: float,
    cache: Path,
    check: Callable[[], None] = _never,
) -> AtPoints | None:
    """u_eps at points of the domain.

    Args:
        problem: A linear one whose coefficient does not jump.
        points: x.
        walkers: From each point; fewer where they would take more steps in all.
        m0: Mean steps across the smallest scale.
        most_steps: Micro steps that all walkers may take.
        cache: Folder for compiled kernels.
        check: Called between pieces of work.

    Returns:
        None where there would be less than 16 walkers a point, or where some hardly find a way out.
    """
    step = micro_bound(problem.scale, m0, problem.dimension)
    if problem.operator.velocity is not None:  # which bounds it too
        step = min(step, steps_in(problem, BoundsTimeStep(m0=m0)).micro_step)
    steps = with_pace(_steps(problem.domain, step), problem, m0)
    paths = _Paths(problem, steps, cache, check, most_steps)
    try:
        paths.to_the_boundary(problem.domain.spread(_PILOTS, np.random.default_rng(1)), 1)
        affordable = int(most_steps * _PILOTS / max(1, paths.taken) / len(points))
        if affordable < _FEWEST:
            return None
        paths.most = _MARGIN * most_steps
        ends, rewards = paths.to_the_boundary(points, min(walkers, affordable))
    except _TooLong:
        return None
    return _means(ends + rewards)


def limit_solutions(
    problem: Problem,
    tensor: Float64[np.ndarray, "d d"],
    others: Mapping[str, float],
    points: Float64[np.ndarray, "n d"],
    walkers: int,
    cache: Path,
    check: Callable[[], None] = _never,
) -> dict[str, AtPoints]:
    """u_0 at points, for a diagonal a*; of an isotropic one also the solutions for other constants, by the same paths.

    With a constant coefficient the paths are those of a Brownian motion, whatever the constant: u = E[g(X)] + E[R] / a,
    R for a = 1. Of a diagonal tensor they are so in coordinates that are stretched along the axes. With a reaction, or
    walls that let something out, it is u_0 alone, by walkers of its constant.

    Args:
        problem: Gives f, g and the domain, in which nothing oscillates; a velocity is left out, as if it stirred.
        tensor: a*, diagonal.
        others: Further constants, by name.
        points: x.
        walkers: From each point.
        cache: Folder for compiled kernels.
        check: Called between pieces of work.

    Returns:
        By name, u_0 as `homogenized`.
    """
    along = np.diag(tensor)
    constant, killed = float(np.prod(along) ** (1 / len(along))), problem.kills
    stretch = np.sqrt(along / constant)
    stretched = _stretched(problem, stretch, constant if killed else 1.0)
    step = micro_bound(float(stretched.domain.sides.min()), _ACROSS, problem.dimension)
    paths = _Paths(stretched, _steps(stretched.domain, step), cache, check, math.inf)
    ends, rewards = paths.to_the_boundary(points / stretch, walkers)
    if killed:
        return {"homogenized": _means(ends + rewards)}
    constants = {"homogenized": constant, **(others if np.allclose(stretch, 1) else {})}
    return {name: _means(ends + rewards / value) for name, value in constants.items()}


def _means(brought_back: Float64[np.ndarray, "n s"]) -> AtPoints:
    count = brought_back.shape[1]
    return AtPoints(brought_back.mean(1), brought_back.std(1, ddof=1) / math.sqrt(count))


def _stretched(problem: Problem, stretch: Float64[np.ndarray, " d"], constant: float) -> Problem:
    """-constant Laplace u + c u = f in the coordinates x / stretch, in which less by it flows through a face."""
    operator, domain = problem.operator, problem.domain
    names = operator.coefficient.axes
    places: dict[Any, Any] = {symbol(name): factor * symbol(name) for name, factor in zip(names, stretch, strict=True)}
    places = {} if np.allclose(stretch, 1) else places

    def there(formula: Formula, factor: float = 1.0) -> Formula:
        scaled = formula.expression if factor == 1 else factor * formula.expression
        return replace(formula, expression=scaled.xreplace(places))

    coefficient = parse(f"{constant:.17g}", len(names))
    reaction = None if operator.reaction is None else there(operator.reaction)
    return problem.but(
        operator=replace(
            operator,
            coefficient=coefficient,
            forcing=there(operator.forcing),
            field=None,
            reaction=reaction,
            tensor=None,
            velocity=None,
        ),
        boundary=problem.boundary.mapped(lambda face, formula: there(formula, 1 / float(stretch[face // 2])), there),
        domain=Box(tuple((domain.lower / stretch).tolist()), tuple((domain.upper / stretch).tolist())),
        cell=None,
    )


def _steps(domain: Box, step: float) -> TimeSteps:
    """As many as take a part of the time in which walkers leave."""
    rate = 0.5 * math.pi**2 * float((1 / domain.sides**2).sum())
    return TimeSteps(step, max(1, math.ceil(_PART / rate / step)), step, 0.0)


class _TooLong(Exception):
    """Walkers have taken more steps than they may."""


class _Paths:
    """Walks to the boundary.

    Args:
        problem: Gives the medium.
        steps: Of a part of the way.
        cache: Folder for compiled kernels.
        check: Called between the parts.
        most: As below.

    Attributes:
        taken: Micro steps of all walks so far.
        most: How many they may become.
    """

    def __init__(self, problem: Problem, steps: TimeSteps, cache: Path, check: Callable[[], None], most: float) -> None:
        self._problem, self._steps, self._check, self.most = problem, steps, check, most
        self._walkers = Walkers(problem, Scheme.suited(jumps=False), cache)
        self._batches = 0
        self.taken = 0

    def to_the_boundary(
        self, points: Float64[np.ndarray, "n d"], walkers: int
    ) -> tuple[Float64[np.ndarray, "n s"], Float64[np.ndarray, "n s"]]:
        """w g at the exits and R, of so many walkers from each point.

        Raises:
            _TooLong: If they take too many steps.
        """
        values, rewards = np.zeros((2, len(points), walkers))
        at_once = max(1, _AT_ONCE // walkers)
        for first in range(0, len(points), at_once):
            part = slice(first, first + at_once)
            g, r = self._exits(np.repeat(points[part], walkers, axis=0))
            values[part], rewards[part] = g.reshape(-1, walkers), r.reshape(-1, walkers)
        return values, rewards

    def _exits(self, places: Float64[np.ndarray, "n d"]) -> tuple[np.ndarray, np.ndarray]:
        values, rewards = np.zeros((2, len(places)))
        kept = np.ones(len(places))  # of the walkers' weights
        domain, numbers = self._problem.domain, np.arange(len(places))
        while len(numbers):
            self._check()
            if self.taken > self.most:
                raise _TooLong
            key = stream_key(0, self._batches, Purpose.REFERENCE)
            self._batches += 1
            walk = self._walkers.walk(places, 1, self._steps, point_keys(key, len(places), 1))
            walk.require_finite()
            self.taken += walk.steps
            ends = np.clip(places + walk.displacement[:, :, 0].T, domain.lower, domain.upper)
            rewards[numbers] += kept[numbers] * walk.reward[:, 0]
            kept[numbers] *= np.exp(walk.log_weight[:, 0])
            left = walk.left[:, 0]
            values[numbers[left]] = kept[numbers[left]] * self._problem.boundary.at(ends[left])
            on = ~left & (kept[numbers] > _NOTHING)
            numbers, places = numbers[on], ends[on]
        return values, rewards
