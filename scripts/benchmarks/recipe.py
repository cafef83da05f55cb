"""Iterations a second of the paper's recipe, by homog and by plain torch."""

import itertools
from functools import partial

from benchmarks.cases import Case, case
from benchmarks.eager import EagerRecipe
from benchmarks.table import Row
from benchmarks.timing import Budget, cores, in_turn, medians, seconds_of, use_threads

TITLE = "seconds of an iteration of the paper's settings, plain torch to homog, on all cores"
PRESETS = ("linear_0.05", "linear_0.01")
_BLOCK = 3  # iterations at a time: homog sends the walkers of the second and third ahead


def measure(budget: Budget) -> list[Row]:
    """A row for each preset."""
    use_threads(cores())
    tasks = {}
    for preset in PRESETS[:1] if budget.quick else PRESETS:
        shrunk = ("method.points=20", "method.walkers=20") if budget.quick else ()
        made = case(f"experiment=paper/{preset}", *shrunk)
        plain = EagerRecipe(made.settings, made.problem, made.steps.micro_step, made.steps.count)
        tasks[preset, "homog"] = partial(_block, made)
        tasks[preset, "eager"] = lambda plain=plain: seconds_of(plain.iterate)
    rounds = in_turn(tasks, budget)
    seconds = medians(rounds)
    return [
        Row(
            f"experiment=paper/{preset}",
            seconds[preset, "eager"] / seconds[preset, "homog"],
            f"plain torch, {seconds[preset, 'eager']:.3g} s an iteration",
            f"{seconds[preset, 'homog']:.3g} s an iteration",
            seconds[preset, "homog"],
            len(rounds[preset, "homog"]),
            f"{cores()} threads",
        )
        for preset, kind in tasks
        if kind == "homog"
    ]


def _block(made: Case) -> float:
    """Seconds of an iteration, of a few at the beginning of a training."""
    training = made.training(iterations=_BLOCK)
    return seconds_of(lambda: list(itertools.islice(training, _BLOCK))) / _BLOCK
