"""The error of an answer, by walkers that go on for longer: what neither its features nor its Dt can hide.

The exact solution fulfils u = E[u(X_T) + R_T] for every T, so the error e = u - u_answer fulfils

    e(x) - E[e(X_T); inside] = E[u_answer(X_T) + R_T] - u_answer(x)

(with a reaction w e(X_T) and w u_answer(X_T), w = exp(-int c / (2a)), and likewise with walls that let something out),

whatever method, network and macro step the answer came from. It is solved for e in a few functions psi: smooth ones,
and the shape of the answer itself, along which an answer that is too large or too small is wrong. The equation is
tested with each of them, by one walker from each of many points, as in the least squares of temporal differences
(Bradtke and Barto 1996). So that part of the error is found, its size beside its noise. T is long enough for the fine
scale to be forgotten, and the steps are those that the medium asks for.

An error that may be one is looked at again with 4 T, 16 T and so on, until the noise grows and two of them agree. With
T -> infinity the left-hand side becomes e itself, and what is found the best fit of e in the functions. With a short T
in a medium that is slow to be forgotten, P_T is close to the identity on all that the walkers have not left, and what
the functions cannot hold is blown up (measured: 50 % for 17 %, in two phases of contrast 100; 110 % for 9 %, in layers
that pass a hundred thousandth). What is still in doubt then is looked at by three times as many walkers more.

Points count alike, and not by a: the answer's error is measured in that norm, and where a is large little is seen.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from torch import nn

from homog.domains import ABSORBING, PERIODIC, Box, Walls
from homog.equation import Problem
from homog.measures.smooth_answer import SmoothAnswer, smooth_answer
from homog.timesteps.pace import with_pace
from homog.timesteps.timestep import TimeSteps, macro_bound
from homog.walkers import Purpose, Scheme, Walkers, point_generator, stream_key

_GROUPS = 32
_FUNCTIONS = {1: 5, 2: 3, 3: 2}  # an axis
_CUTOFF = 1e-4  # of singular values
_STEPS, _STEPS_OF_PERIODIC = 4e8, 1.5e8  # of all walkers, at most: a* says more of a periodic medium
_LEAST_STEPS = 1e8
_MOST_WALKERS, _LEAST_WALKERS = 2**18, 2**12
_LARGEST_TIME = 0.2  # in units of the time in which the answer's shape decays
_LOOKS, _FASTEST = 4096, 100.0
_PERIODS = 64  # least macro steps in which a period is forgotten to some thousandths
_SUSPECT = 1.5  # standard errors, from which on the answer is looked at again
_LONGER, _MOST_LONGER = 4, 64  # times as long
_AGREED = 2.0  # standard errors, within which the shorter and less noisy walk stands
_CERTAIN = 5.0  # standard errors of the error before: a noisier walk cannot correct less
_MOST_MORE = 4  # times as many steps in a look as in the first
_MORE = 3  # times as many walkers more
SIGNIFICANT = 3.0  # standard errors of an error beyond doubt
LEAST_ERROR = 0.02  # below it the functions that are looked for are too few to tell


@dataclass(frozen=True)
class LongerWalk:
    """How far an answer is from what its walkers bring back.

    Attributes:
        error: Relative L2 norm of the smooth part of the error, that of its noise taken out; relative to the corrected
            answer.
        standard_error: L2 norm of the noise of that part, likewise relative.
        time: T.
        walkers: How many.
        steps: Micro steps taken.
    """

    error: float
    standard_error: float
    time: float
    walkers: int
    steps: int


def longer_walk(
    network: nn.Module,
    problem: Problem,
    steps: TimeSteps,
    m0: float,
    seed: int,
    cache: Path,
    affordable: float = math.inf,
) -> LongerWalk:
    """Send walkers of one long macro step and solve for the smooth part of the answer's error.

    Args:
        network: u, trained.
        problem: What is solved.
        steps: Gives dt; its macro step is the least time.
        m0: The accuracy that is asked of the steps.
        seed: Seed of the points and the walkers.
        cache: Folder for compiled kernels.
        affordable: Micro steps that the first look may take, such as those of the training. There is a least number
            without which it would tell nothing, and one that is enough.

    Raises:
        UserError: If the coefficient is not positive where u leads it, or a number is not finite.
    """
    domain = problem.domain
    steps = with_pace(replace(steps, pace=None, steepness=0.0), problem, m0)
    answer = smooth_answer(network, domain, cache)
    steps, count = _planned(steps, problem, _rate(answer, problem), affordable)
    scheme = Scheme.suited(jumps=problem.operator.jumps)
    walkers = Walkers(problem, scheme, cache)
    # the error of steps that may be refused is not small, and is extrapolated from longer ones
    along = Walkers(problem, scheme.along(scheme.parts), cache) if scheme.may_stay else None
    taken = 0

    def look(steps: TimeSteps, count: int) -> _Seen:
        nonlocal taken
        random = point_generator(seed, taken, Purpose.LONGER_WALK)
        points = domain.spread(count, random)
        if problem.has_holes:
            points = points[problem.operator.coefficient_at(points) > 0]
            points = points[: len(points) // _GROUPS * _GROUPS]
        key = stream_key(seed, taken, Purpose.LONGER_WALK)
        taken += 1
        seen = _look(answer, walkers, steps, points, key)
        if along is None:
            return seen
        return seen.beyond(_look(answer, along, steps.lengthened(scheme.parts), points, key), scheme)

    seen = look(steps, count)
    found, times = _found(seen, steps), 1
    while found.error > max(LEAST_ERROR, _SUSPECT * found.standard_error) and times < _MOST_LONGER:
        times *= _LONGER
        longer = replace(steps, count=times * steps.count)
        fewer = max(_LEAST_WALKERS, count // times // _GROUPS * _GROUPS)
        if fewer * times > _MOST_MORE * count:
            break
        more = look(longer, fewer)
        again = _found(more, longer)
        if again.standard_error > found.standard_error:
            noise = math.hypot(found.standard_error, again.standard_error)
            if abs(again.error - found.error) < _AGREED * noise or again.standard_error > found.error / _CERTAIN:
                break
        seen, found = more, again
    if max(LEAST_ERROR, _SUSPECT * found.standard_error) < found.error < SIGNIFICANT * found.standard_error:
        steps = replace(steps, count=round(found.time / steps.micro_step))
        found = _found(seen.and_also(look(steps, _MORE * found.walkers)), steps)
    return found


@dataclass(frozen=True, eq=False)
class _Seen:
    """What walkers brought back to some points.

    Attributes:
        tests: The functions psi at the points.
        gained: psi(x) - psi(X_T), zero for what left in place of psi(X_T).
        residual: E[u_answer(X_T) + R_T] - u_answer(x) by one walker.
        here: u_answer(x).
        steps: Micro steps taken.
    """

    tests: Float64[np.ndarray, "n m"]
    gained: Float64[np.ndarray, "n m"]
    residual: Float64[np.ndarray, " n"]
    here: Float64[np.ndarray, " n"]
    steps: int

    def beyond(self, longer: "_Seen", scheme: Scheme) -> "_Seen":
        """What steps of no length would bring back to the same points, by the order of the steps."""
        lacks = 1 / (scheme.parts**scheme.order - 1)
        gained = self.gained + lacks * (self.gained - longer.gained)
        residual = self.residual + lacks * (self.residual - longer.residual)
        return _Seen(self.tests, gained, residual, self.here, self.steps + longer.steps)

    def and_also(self, more: "_Seen") -> "_Seen":
        """Both."""
        arrays = ("tests", "gained", "residual", "here")
        both = {name: np.concatenate([getattr(self, name), getattr(more, name)]) for name in arrays}
        return _Seen(**both, steps=self.steps + more.steps)


def _look(
    answer: SmoothAnswer,
    walkers: Walkers,
    steps: TimeSteps,
    points: Float64[np.ndarray, "n d"],
    key: np.uint64,
) -> _Seen:
    """Send one walker from each point."""
    problem, domain = walkers.problem, walkers.problem.domain
    lagged = answer.lagged if problem.operator.reads_u else None
    if lagged is not None:
        problem.operator.require_positive(points, lagged)
    walk = walkers.walk(points, 1, steps, key, lagged)
    walk.require_finite()
    left = walk.left[:, 0]
    ends = np.clip(points + walk.displacement[:, :, 0].T, domain.lower, domain.upper)
    nowhere = np.zeros((problem.dimension, len(points), 1), dtype=np.float32)
    here = answer.after(points, nowhere)[:, 0].astype(np.float64)
    there = answer.after(points, walk.displacement)[:, 0].astype(np.float64)
    there[left] = problem.boundary.at(ends[left])
    kept = np.exp(walk.log_weight[:, 0].astype(np.float64))  # one without a reaction
    there *= kept
    residual = there - here + walk.reward[:, 0]
    control = answer.control(points, walk)[:, 0].astype(np.float64)
    size = float(control @ control)
    if size > 0:
        residual = residual - (control @ (residual - residual.mean())) / size * control
    shapes = [here - problem.boundary.at(points), np.where(left, 0.0, there - kept * problem.boundary.at(ends))]
    tests, after = (
        np.column_stack([_functions(places, domain, problem.boundary.walls), shape])
        for places, shape in zip((points, ends), shapes, strict=True)
    )
    after[:, :-1] *= kept[:, None]
    return _Seen(tests, tests - np.where(left[:, None], 0.0, after), residual, here, walk.steps)


def _rate(answer: SmoothAnswer, problem: Problem) -> float:
    """How fast the answer's own shape decays where nothing holds the walkers up, at least as fast as the slowest.

    The longer T, the fewer walkers: beyond the time in which what is looked for decays, walkers tell less and less.
    """
    waves = problem.boundary.walls.lowest_wave(problem.domain)
    longest = math.pi / 2 / float(problem.domain.sides.max())  # where nothing holds u but what it loses
    slowest = 0.5 * max(float((waves**2).sum()), longest**2)
    points = problem.domain.spread(_LOOKS, np.random.default_rng(0))
    size = float(np.mean((answer(points) - problem.boundary.at(points)) ** 2))
    slope = float(np.mean((answer.slopes(points) ** 2).sum(-1)))
    return slowest if size == 0 else float(np.clip(0.5 * slope / size, slowest, _FASTEST * slowest))


def _planned(steps: TimeSteps, problem: Problem, rate: float, affordable: float) -> tuple[TimeSteps, int]:
    """The time steps of one long walk, and how many walkers take it."""
    time = _LARGEST_TIME / rate
    if problem.cell is not None:
        time = min(time, _PERIODS * macro_bound(float(problem.cell.sides.max()), problem.dimension))
    slowdown = 1.0 if steps.pace is None else steps.pace.slowdown
    enough = _STEPS if problem.cell is None else _STEPS_OF_PERIODIC
    affordable = min(enough, max(_LEAST_STEPS, affordable)) / slowdown  # of length dt
    longest = max(steps.count, int(min(time / steps.micro_step, affordable / _LEAST_WALKERS)))
    if problem.operator.jumps:
        longest -= longest % Scheme.suited(jumps=True).parts
    walkers = int(min(_MOST_WALKERS, max(_LEAST_WALKERS, affordable / longest)))
    return replace(steps, count=longest), walkers // _GROUPS * _GROUPS


def _functions(points: Float64[np.ndarray, "n d"], domain: Box, walls: Walls) -> Float64[np.ndarray, "n m"]:
    """Products over the axes of (1 - t^2) times Legendre polynomials of the lowest degrees, zero where u is given.

    Along axes on which it is given at one end, or at none, a factor less; along periodic ones sines and cosines. From
    four dimensions on those of total degree one: the product of all 1 - t^2, by itself and times each t.
    """
    places = 2 * (points - domain.lower) / domain.sides - 1
    ends = list(zip(places.T, walls.below, walls.above, strict=True))
    held = [_distance(*end)[:, None] for end in ends]
    degree = _FUNCTIONS.get(domain.dimension, 2)
    along = [_waves(t, degree) if below == PERIODIC else np.polynomial.legendre.legvander(t, degree - 1)
             for t, below, _ in ends]  # fmt: skip
    if domain.dimension not in _FUNCTIONS:
        return np.prod(held, axis=0) * np.column_stack([np.ones(len(points)), *(values[:, 1] for values in along)])
    found = np.ones((len(points), 1))
    for distance, values in zip(held, along, strict=True):
        found = (found[:, :, None] * (distance * values)[:, None, :]).reshape(len(points), -1)
    return found


def _distance(t: np.ndarray, below: str, above: str) -> np.ndarray:
    """What is zero at the ends of [-1, 1] where u is given."""
    if below == above == ABSORBING:
        return 1 - t**2
    return (1 + t if below == ABSORBING else np.ones_like(t)) * (1 - t if above == ABSORBING else 1.0)


def _waves(t: np.ndarray, count: int) -> np.ndarray:
    """1, cos(pi t), sin(pi t), ..."""
    angles = np.pi * t[:, None] * np.arange(1, count // 2 + 1)
    return np.column_stack([np.ones(len(t)), np.stack([np.cos(angles), np.sin(angles)], -1).reshape(len(t), -1)])[
        :, :count
    ]


def _found(seen: _Seen, steps: TimeSteps) -> LongerWalk:
    """The relative error and its noise, from the spread of groups of points."""
    size = math.sqrt(float(np.mean(seen.tests[:, -1] ** 2))) or 1.0  # of the answer's own shape
    scale = np.append(np.ones(seen.tests.shape[1] - 1), 1 / size)
    tests, gained, residual = seen.tests * scale, seen.gained * scale, seen.residual
    count, functions = tests.shape
    grouped = (_GROUPS, count // _GROUPS)
    tests_of, gained_of = (part.reshape(grouped[1], _GROUPS, functions).swapaxes(0, 1) for part in (tests, gained))
    matrix = tests_of.swapaxes(1, 2) @ gained_of
    load = np.einsum("gnm,gn->gm", tests_of, residual.reshape(grouped[1], _GROUPS).T)
    left, sizes, right = np.linalg.svd(matrix.sum(0))
    kept = sizes > _CUTOFF * sizes[0]
    inverse = right[kept].T @ (left[:, kept].T / sizes[kept, None])
    weights = inverse @ load.sum(0)
    spread = inverse @ (load - matrix @ weights).T
    spread -= spread.mean(1, keepdims=True)
    mass = tests.T @ tests / count
    noise = _GROUPS / (_GROUPS - 1) * float(np.einsum("ig,ij,jg", spread, mass, spread))
    whole = float(np.mean((seen.here + tests @ weights) ** 2))
    error = max(0.0, float(weights @ mass @ weights) - noise)
    if whole == 0:
        return LongerWalk(0.0, 0.0, steps.macro_step, count, seen.steps)
    return LongerWalk(math.sqrt(error / whole), math.sqrt(noise / whole), steps.macro_step, count, seen.steps)
