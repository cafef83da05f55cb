"""The verbs of a Python user: solve, load, reference, effective_tensor, field, walk.

    problem = homog.Problem("2 + sin(2*pi*x1/eps)", forcing="1", eps=0.01)
    u = homog.solve(problem)
    truth = homog.reference(problem)
    u(0.3, 0.7), u.standard_error, u.error(truth)

Caches lie in HOMOG_HOME, as those of `homog-run` do; nothing else is written.
"""

from homog.machine import threads

threads.settle()  # before torch and Numba are imported

import hashlib
import io
import math
import warnings
from contextlib import nullcontext
from time import perf_counter

import numpy as np
from numpy.typing import ArrayLike

from homog import references
from homog.config import (
    BoundsTimeStep,
    Energy,
    EvaluationSettings,
    FEMReference,
    FileField,
    MethodSettings,
    NetworkSettings,
    OptimizerSettings,
    ReferenceSettings,
    RunSettings,
    TimeStepSettings,
)
from homog.config.method import suited_step
from homog.equation import Problem
from homog.errors import UserError
from homog.losses.lagged import NODES, lagged_spline
from homog.machine import devices, durable
from homog.machine.home import home
from homog.measures.longer_walk import LongerWalk
from homog.measures.spreading import EffectiveTensor, effective_tensor_by_walkers
from homog.references import Reference
from homog.run import budget, outcome, report
from homog.run.answer import checked, microscale_of
from homog.run.further import further_of
from homog.run.loaded import Run, load
from homog.run.preparation import prepare_training
from homog.run.solution import Solution
from homog.run.target import batches_short, chosen_by_pilots, verdict
from homog.run.task import Plan
from homog.solvers.training import Training
from homog.timesteps.pace import steps_in, with_pace
from homog.walkers import Purpose, Scheme, Walk, Walkers, stream_key

__all__ = ["AnswerWarning", "Run", "Solution", "effective_tensor", "field", "load", "reference", "solve", "walk"]


class AnswerWarning(UserWarning):
    """A line that puts an answer in doubt, such as an error that a longer walk has found."""


def solve(
    problem: Problem,
    *,
    method: MethodSettings | None = None,
    network: NetworkSettings | None = None,
    optimizer: OptimizerSettings | None = None,
    timestep: TimeStepSettings | None = None,
    target: float | None = None,
    seconds: float | None = None,
    seed: int = RunSettings.seed,
    device: str = RunSettings.device,
    quiet: bool = False,
) -> Solution:
    """Solve a problem as `homog-run` does, without its records; what is not chosen is what `homog-run` would choose.

    >>> import homog
    >>> problem = homog.Problem("2 + sin(2*pi*x1/eps)", forcing="1", eps=0.05)
    >>> u = homog.solve(problem, seed=0, quiet=True)
    >>> abs(u(0.5, 0.5) - 0.0395) < 1e-3                       # homogenised: a* = diag(sqrt(3), 2)
    True

    Args:
        problem: The problem.
        method: Settings of the method, such as `homog.DFLM()`.
        network: Settings of the network, such as `homog.MLP(width=50)`.
        optimizer: Settings of the optimizer.
        timestep: Settings of the time steps.
        target: Estimated error against u_eps, relative and in the L2 norm: small trainings choose the number of
            functions, the time steps and the walkers to come below it. `u.warnings` says where that was not reached.
        seconds: With a target: the training ends then with what it has.
        seed: Seed of the initial weights, the points and the walkers.
        device: `auto`, `cpu` or `cuda`: where the network trains, and walkers walk.
        quiet: Whether to print neither plan nor progress. What puts the answer in doubt is a Python warning
            (`homog.AnswerWarning`) in either case.

    Raises:
        UserError: If something in the settings cannot work, or a number is NaN or infinite.
    """
    if problem.settings is None:
        raise UserError("a problem that was changed in Python has no settings to solve it by: state it anew")
    settings = RunSettings.of(
        problem.settings,
        eps=problem.eps,
        method=method,
        network=network,
        optimizer=optimizer,
        timestep=timestep,
        target=target,
        seconds=seconds,
        seed=seed,
        device=device,
    )
    started, plan, say = perf_counter(), Plan.of(settings, home(), problem), (_silent if quiet else report.print_line)
    trained_on = devices.chosen(settings.device)
    if target is not None:
        plan = chosen_by_pilots(plan, trained_on, started, say)
    if not quiet:
        report.print_plan(problem, plan.steps, trained_on)
    loss, training = prepare_training(plan.settings, problem, plan.steps, trained_on, plan.kernels)
    until = math.inf if seconds is None else started + seconds
    check, numbers = _trained(plan, training, until, quiet=quiet)
    while target is not None and perf_counter() < until:
        more = batches_short(numbers, training.iterations, target, plan)
        if not more:
            break
        training.extend(more)
        check, numbers = _trained(plan, training, until, quiet=quiet)
    lines = [*plan.warnings(), *loss.warnings(), *outcome.warnings(numbers)]
    if target is not None:
        reached, line = verdict(numbers, target)
        lines += [] if reached else [line]
        say(line)
    for line in budget.advice(numbers):
        say(line)
    for line in lines:
        warnings.warn(line, AnswerWarning, stacklevel=2)
    parts = {name: value for name, value in numbers.items() if name in budget.PARTS and value is not None}
    noise, seen = numbers.get("rel_l2_standard_error"), further_of(plan, training.done.optimizer)
    return Solution(plan, training.done.solution, noise, check, tuple(lines), parts, further=seen)


def _trained(
    plan: Plan, training: Training, until: float, *, quiet: bool
) -> tuple[LongerWalk | None, dict[str, float | None]]:
    """Train to the last iteration, or the one that ends after a time; what a longer walk says then, and all numbers."""
    last = training.iterations
    with nullcontext() if quiet else report.ProgressBar(last) as bar:
        for progress in training:
            if bar is not None:
                if progress.iteration % max(1, last // 100) == 0:  # the loss of a solve has its price
                    bar.show(float(progress.loss), None)
                bar.advance(progress)
            if perf_counter() > until:
                break
    done = training.done
    check = checked(done.solution, plan, done.walker_steps)
    microscale = outcome.microscale_metrics(microscale_of(done.solution, plan))
    parts = {**done.optimizer.metrics(), **outcome.longer_walk_metrics(check), **microscale}
    return check, {**parts, **budget.estimates(parts)}


def _silent(line: str) -> None:
    """Print nothing."""


def reference(problem: Problem, settings: ReferenceSettings | None = None, grid: int | None = None) -> Reference:
    """u_eps by finite elements, u_0 and u_mean on an equidistant grid: from the cache of HOMOG_HOME, or computed.

    From four dimensions on, and with `homog.FeynmanKacReference()` in any, by walks to the boundary from some points,
    `truth.places.points`.

    >>> import homog
    >>> truth = homog.reference(homog.Problem("1", forcing="2*pi**2*sin(pi*x1)*sin(pi*x2)", eps=0.1), grid=5)
    >>> truth.fine.shape, round(float(truth.fine[2, 2]), 6)
    ((5, 5), 1.0)

    Args:
        problem: The problem.
        settings: Which solutions, and how accurately; `homog.FEMReference()` unless given.
        grid: Points an axis; unless given 501, in three dimensions 61.

    Raises:
        UserError: If dolfinx is missing, or something in the settings cannot work.
    """
    settings = (FEMReference() if settings is None else settings).suited(problem.dimension)
    count = EvaluationSettings(grid=grid).count(problem.dimension)
    return references.reference(problem, settings, count, home() / "cache")


def field(
    values: ArrayLike,
    *,
    periodic: bool = FileField.periodic,
    interpolation: str = FileField.interpolation,
    period: str | None = FileField.period,
) -> FileField:
    """An array as the field of a problem: its values on equidistant nodes, x1 along the first index.

    The array is kept in HOMOG_HOME/fields under a name made of its content, so that a run with it can be repeated.

    >>> import homog, numpy as np
    >>> blocks = np.kron(np.random.default_rng(0).standard_normal((4, 4)), np.ones((8, 8)))
    >>> problem = homog.Problem("exp(field)", forcing="1", field=homog.field(blocks, interpolation="linear"))
    >>> float(problem.operator.coefficient_at(np.array([0.0, 0.0]))) == float(np.exp(blocks[0, 0]))
    True

    Args:
        values: Finite real numbers, an axis for each of the domain's.
        periodic: Whether the last node of each axis is followed by the first; else nodes lie on both ends.
        interpolation: cubic or linear.
        period: A formula such as eps for the side along x1 of a cell that a periodic array fills, and is repeated from.

    Raises:
        UserError: If an array that is not periodic has a period.
        OSError: If HOMOG_HOME cannot be written.
    """
    body = io.BytesIO()
    np.save(body, np.asarray(values), allow_pickle=False)
    path = home() / "fields" / f"{hashlib.sha256(body.getvalue()).hexdigest()[:24]}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write(path, body.getvalue())
    return FileField(path=str(path), periodic=periodic, interpolation=interpolation, period=period)


def effective_tensor(problem: Problem, seed: int = RunSettings.seed) -> EffectiveTensor:
    """a* of a periodic medium by walkers, with the standard error of each entry.

    >>> import homog, math
    >>> found = homog.effective_tensor(homog.Problem("2 + sin(2*pi*x1/eps)", forcing="1", eps=0.05))
    >>> bool(abs(found.value[0, 0] - math.sqrt(3)) < 4 * found.standard_error[0, 0])    # the harmonic mean
    True

    Args:
        problem: The problem.
        seed: Seed of the points and the walkers.

    Raises:
        UserError: If the problem has no period or depends on u.
    """
    return effective_tensor_by_walkers(problem, seed=seed, cache=home() / "cache" / "kernels")


def walk(
    problem: Problem,
    points: ArrayLike,
    walkers: int = 1,
    *,
    timestep: TimeStepSettings | None = None,
    martingale: str = Energy.martingale,
    step: str | None = Energy.step,
    exit: str = Energy.exit,
    u: Solution | None = None,
    seed: int = RunSettings.seed,
    batch: int = 0,
) -> Walk:
    """Send walkers from points for one macro step, and have what they bring back: for ideas of one's own.

    >>> import homog, numpy as np
    >>> problem = homog.Problem("2 + sin(2*pi*x1/eps)", forcing="1", eps=0.05)
    >>> walk = homog.walk(problem, np.full((1000, 2), 0.5), walkers=4)
    >>> walk.displacement.shape                                # (d, n, s)
    (2, 1000, 4)

    Args:
        problem: The problem.
        points: Starting points in the domain, shape (n, d).
        walkers: Walkers from each point, s.
        timestep: Settings of the time steps; `homog.BoundsTimeStep()` unless given.
        martingale: drift, dX = V dt + dB (7); or girsanov, driftless walkers with weight D (13).
        step: heun, of weak order 2, with drift; euler (18, 19); or metropolis, accepted or not, which is taken where
            the coefficient jumps and nothing else is said.
        exit: bridge, a step may touch the boundary between its ends; or clip.
        u: The solution that walkers of a nonlinear problem read.
        seed: Seed of the walkers.
        batch: Number of the batch: equal seeds and batches give equal paths, and no training draws the same.

    Raises:
        UserError: If the walkers cannot be sent.
    """
    x = np.ascontiguousarray(points, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != problem.dimension:
        raise UserError(f"points of shape {x.shape}: write an array of shape (n, {problem.dimension})")
    if not ((x > problem.domain.lower) & (x < problem.domain.upper)).all():
        raise UserError("a point lies outside of the domain or on its boundary: walkers start inside")
    if problem.operator.reads_u and u is None:
        raise UserError("the problem depends on u: write u=homog.solve(problem) for the walkers to read")
    step = step or suited_step(martingale, jumps=problem.operator.jumps)
    policy, scheme = timestep or BoundsTimeStep(), Scheme(martingale, step, exit)
    if problem.operator.jumps and not scheme.may_stay:
        raise UserError("the coefficient jumps, and has no drift: leave step and martingale out")
    steps = steps_in(problem, policy, may_stay=scheme.may_stay)
    if scheme.drifts:
        steps = with_pace(steps, problem, policy.m0, follows=policy.follows_medium)
    lagged = None
    if u is not None and problem.operator.reads_u:
        lagged = lagged_spline(u.network, problem.domain, NODES[problem.dimension])
    key = stream_key(seed, batch, Purpose.BY_HAND)
    return Walkers(problem, scheme, home() / "cache" / "kernels").walk(x, walkers, steps, key, lagged)
