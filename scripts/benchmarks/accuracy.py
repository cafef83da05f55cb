"""Time to the paper's published errors, by every method here and by plain torch."""

import copy
import statistics
import time
from dataclasses import dataclass
from typing import Protocol

from torch import nn

from benchmarks.cases import Case, case
from benchmarks.eager import EagerRecipe, TimeIsUp
from benchmarks.table import Row
from benchmarks.timing import Budget, cores, use_threads
from homog.errors import UserError
from homog.measures.evaluation import ErrorMonitor
from homog.references import Reference

TITLE = "seconds to the paper's published error against u_eps, to the energy's"
PUBLISHED = {
    "linear_0.05": (1.21e-2, "problem=linear eps=0.05"),
    "linear_0.01": (1.38e-2, "problem=linear eps=0.01"),
    "nonlinear_0.05": (1.04e-2, "problem=nonlinear eps=0.05"),
    "nonlinear_0.01": (6.9e-3, "problem=nonlinear eps=0.01"),
    "random_field": (7.21e-2, "problem=random_field"),
}
_TORCH = "plain torch"
_SHARES = {"energy": 3.0, "DFLM, one solve": 2.0, "DFLM": 2.5, "the paper's recipe": 1.25, _TORCH: 1.25}
"""What each may take of the time for a problem, relative to each other."""
_SEEDS = 3  # where a run takes less than a third of its time
_SPACING = 1.2  # between the seconds at which answers are kept


@dataclass(frozen=True)
class Reached:
    """Result of one contestant on one problem.

    Attributes:
        seconds: To the published error; None where it was not reached.
        error: On all of the grid: there, or at the end.
        ended: Seconds until then, or until the end.
        iterations: Done in all.
    """

    seconds: float | None
    error: float
    ended: float
    iterations: int


class Contestant(Protocol):
    """Something that trains until it has ended or is told to stop."""

    def iterate(self, deadline: float) -> bool:
        """One iteration; False where there was none left, or no time for it."""
        ...

    def answer(self) -> nn.Module:
        """The network so far, with what has to be solved for it."""
        ...

    def end(self) -> None:
        """Leave nothing behind that is still at work."""
        ...


class _Homog:
    def __init__(self, made: Case, seed: int) -> None:
        self._loss = made.loss(seed)
        self._training = made.training_by(self._loss)

    def iterate(self, deadline: float) -> bool:
        return next(self._training, None) is not None

    def answer(self) -> nn.Module:
        return self._training.done.solution

    def end(self) -> None:
        self._loss.load_state(self._loss.state())  # waits for the walkers that were sent ahead


class _Plain:
    def __init__(self, made: Case, seed: int) -> None:
        self._recipe = EagerRecipe(made.settings, made.problem, made.steps.micro_step, made.steps.count, seed)

    def iterate(self, deadline: float) -> bool:
        try:
            self._recipe.iterate(deadline)
        except TimeIsUp:
            return False
        return True

    def answer(self) -> nn.Module:
        return self._recipe.network

    def end(self) -> None:
        pass


def measure(budget: Budget) -> list[Row]:
    """A row for each problem and method."""
    use_threads(cores())
    each = budget.seconds / len(PUBLISHED) / sum(_SHARES.values())
    rows = []
    for preset in list(PUBLISHED)[:1] if budget.quick else PUBLISHED:
        published, overrides = PUBLISHED[preset]
        found: dict[str, list[Reached] | str] = {}
        for name, limit in _SHARES.items():
            try:
                found[name] = _runs(_command(name, preset, overrides), name == _TORCH, published, limit * each)
            except UserError as error:
                found[name] = str(error)
        rows += [_row(f"{preset}, {name}", runs, found["energy"], published) for name, runs in found.items()]
    return rows


def _command(name: str, preset: str, overrides: str) -> tuple[str, ...]:
    """What one would write on the command line."""
    homog_run = {
        "energy": (*overrides.split(),),
        "DFLM": ("method=dflm", *overrides.split()),
        "DFLM, one solve": ("experiment=dflm_galerkin", *overrides.split()),
    }
    return homog_run.get(name, (f"experiment=paper/{preset}",))


def _runs(command: tuple[str, ...], plain: bool, published: float, limit: float) -> list[Reached]:
    """One run, or as many as fit: with other walkers, from the same weights."""
    made, start = case(*command), _Plain if plain else _Homog
    truth = made.truth()
    if not plain:  # loads compiled code
        next(case(*command, "method.points=64", "method.walkers=2").training(iterations=1))
    runs: list[Reached] = []
    while len(runs) < _SEEDS and (not runs or sum(run.ended for run in runs) < 0.67 * limit):
        if len(runs) == 1 and runs[0].ended > limit / _SEEDS:
            break
        runs.append(race(start(made, len(runs)), truth, published, limit))
    return runs


def race(contestant: Contestant, truth: Reference, published: float, limit: float) -> Reached:
    """Train for so many seconds, keeping the answer from time to time, and look at the answers afterwards.

    Args:
        contestant: What trains.
        truth: What its answers are held against.
        published: The error to reach.
        limit: In seconds; an iteration that homog has begun is ended.
    """
    kept: list[tuple[float, nn.Module]] = []
    start, due, iterations, more = time.perf_counter(), 0.0, 0, True
    while more:
        more = contestant.iterate(start + limit)
        iterations += more
        now = time.perf_counter() - start
        more = more and now < limit
        if now >= due or not more:
            answer = copy.deepcopy(contestant.answer())
            now = time.perf_counter() - start
            kept.append((now, answer))
            due = _SPACING * now
    contestant.end()
    rough, exact = ErrorMonitor(truth), ErrorMonitor(truth, points=len(truth.axes[0]))
    for seconds, answer in kept:
        if (rough(answer) or 1.0) <= 1.02 * published and (error := exact(answer) or 1.0) <= published:
            return Reached(seconds, error, seconds, iterations)
    seconds, answer = kept[-1]
    return Reached(None, exact(answer) or 1.0, seconds, iterations)


def _row(what: str, runs: list[Reached] | str, energy: list[Reached] | str, published: float) -> Row:
    if isinstance(runs, str):
        return Row(what, measured="does not apply", repeats=0, note=runs)
    times = [run.seconds for run in runs]
    reached = [seconds for seconds in times if seconds is not None]
    best = None if isinstance(energy, str) else _time(energy)
    if (own := _time(runs)) is not None:
        ratio = None if best is None else own / best
        missed = len(times) - len(reached)
        note = f"{statistics.median(run.error for run in runs):.2e} then" + (f"; {missed} not there" if missed else "")
        return Row(what, ratio, "energy", f"{own:.3g} s to {published:.2e}", own, len(runs), note)
    last = runs[0]
    ended = f"{last.error:.1e} after {last.ended:.2g} s" if last.iterations else f"no iteration in {last.ended:.2g} s"
    ratio = last.ended / best if best is not None and last.ended > best else None
    return Row(what, ratio, "energy", ended, None, len(runs), f"not at {published:.2e}; {last.iterations} iterations",
               at_least=ratio is not None)  # fmt: skip


def _time(runs: list[Reached]) -> float | None:
    """The median time to the published error, where most runs reached it."""
    times = sorted(float("inf") if run.seconds is None else run.seconds for run in runs)
    middle = statistics.median_low(times)
    return None if middle == float("inf") else middle
