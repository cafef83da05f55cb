"""Walker steps a second: homog's kernels, the same in eager torch, and what the processor could do."""

from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
import torch

from benchmarks import eager, limit
from benchmarks.cases import case, kernels
from benchmarks.table import Row
from benchmarks.timing import Budget, cores, in_turn, medians, seconds_of, use_threads
from homog.equation import Problem
from homog.fields.splines import interpolate
from homog.timesteps.timestep import TimeSteps
from homog.walkers import Scheme, Walkers, stream_key

TITLE = "steps a second of the walkers, to eager torch with the same scheme and threads"
PROBLEMS = {
    "linear": "problem=linear eps=0.01",
    "nonlinear, u from a table": "problem=nonlinear eps=0.01",
    "random field, from its table": "problem=random_field",
    "cube": "problem=cube eps=0.01",
}
SCHEMES = (
    Scheme("drift", "euler", "bridge"),
    Scheme("girsanov", "euler", "bridge"),
    Scheme("drift", "heun", "bridge"),
)
_PLAIN = "linear", SCHEMES[0]  # what the two headline numbers of bench.json are about
HEADLINE = ("walker_steps_per_second_per_core", "ratio_to_eager_torch")
_COUNT = 72  # K


def measure(budget: Budget, names: tuple[str, ...] = tuple(PROBLEMS)) -> list[Row]:
    """A row for each problem, scheme and number of threads."""
    points, per_point = (40, 30) if budget.quick else (400, 300)
    tasks: dict[tuple[str, Scheme | None, int, str], Callable[[], float]] = {}
    operations = {}
    for name, scheme in product(names[:1] if budget.quick else names, SCHEMES):
        made = case(*PROBLEMS[name].split())
        problem = made.problem
        steps = TimeSteps(made.steps.micro_step, _COUNT, made.steps.micro_bound, made.steps.macro_bound)
        places = problem.domain.sample(points, np.random.default_rng(0))
        compiled = _compiled(problem, scheme, steps, places, per_point)
        plain = _eager(problem, scheme, steps, places, per_point)
        operations[name, scheme] = limit.operations_a_step(problem, scheme)
        work = points * per_point * _COUNT
        for threads in _threads():
            tasks[name, scheme, threads, "homog"] = partial(_rate, compiled, threads, work)
            tasks[name, scheme, threads, "eager"] = partial(_rate, plain, threads, work)
    for threads in _threads():
        tasks["", None, threads, "peak"] = partial(limit.peak_rate, threads)
    rounds = in_turn(tasks, budget)
    rates = medians(rounds)

    rows = []
    for threads in _threads():
        peak = rates["", None, threads, "peak"]
        measured = f"{peak / 1e9:.0f} billion operations/s"
        case_name = f"multiply-adds in registers, {_count_of(threads)}: the limit"
        rows.append(Row(case_name, None, "", measured, peak, len(rounds["", None, threads, "peak"])))
    for (name, scheme, threads, kind), rate in rates.items():
        if scheme is None or kind != "homog":
            continue
        slow, work = rates[name, scheme, threads, "eager"], operations[name, scheme]
        share = rate * work / rates["", None, threads, "peak"]
        rows.append(
            Row(
                f"{name}, {scheme.martingale} {scheme.step}, {_count_of(threads)}",
                rate / slow,
                f"eager torch, {slow / 1e6:.3g} million steps/s",
                f"{rate / 1e6:.3g} million steps/s",
                rate,
                len(rounds[name, scheme, threads, kind]),
                f"{share:.0%} of the limit at {work} operations a step",
            )
        )
    return rows


def headline(rows: list[Row]) -> dict[str, float]:
    """The two numbers of bench.json: one core's rate, and the ratio on all cores."""
    name, scheme = _PLAIN
    one, every = (f"{name}, {scheme.martingale} {scheme.step}, {_count_of(threads)}" for threads in (1, cores()))
    found = {row.case: row for row in rows}
    return dict(zip(HEADLINE, (found[one].value or 0.0, found[every].ratio or 0.0), strict=True))


def _count_of(threads: int) -> str:
    return f"{threads} thread" + "s" * (threads > 1)


def _threads() -> list[int]:
    return sorted({1, cores()})


def _rate(function: Callable[[], object], threads: int, work: int) -> float:
    use_threads(threads)
    return work / seconds_of(function, least=0.05)


def _compiled(problem: Problem, scheme: Scheme, steps: TimeSteps, places: np.ndarray, per_point: int):
    walkers, key = Walkers(problem, scheme, kernels()), stream_key(0, 0)
    solution = None
    if problem.operator.nonlinear:
        box = problem.domain
        solution = interpolate(_bump(torch.from_numpy(box.grid(257))).numpy(), box.lower, box.upper)
    return lambda: walkers.walk(places, per_point, steps, key, solution)


def _eager(problem: Problem, scheme: Scheme, steps: TimeSteps, places: np.ndarray, per_point: int):
    starts = torch.from_numpy(places).float().repeat_interleave(per_point, dim=0)
    around = eager.medium(problem, _bump if problem.operator.nonlinear else None)
    way = scheme.martingale, scheme.step, scheme.exit
    return lambda: eager.walk(around, starts, steps.micro_step, steps.count, *way)


def _bump(x: torch.Tensor) -> torch.Tensor:
    """About the nonlinear problem's solution: what the table of u holds does not change the work."""
    return 1.5 * torch.sin(torch.pi * x).prod(-1)
