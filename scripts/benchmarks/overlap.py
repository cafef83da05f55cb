"""What it brings to send the next iteration's walkers while one trains."""

import itertools
from functools import partial

from benchmarks.cases import Case, case, kernels
from benchmarks.table import Row
from benchmarks.timing import Budget, cores, in_turn, medians, seconds_of, use_threads
from homog.config import DFLM, Energy
from homog.losses import DFLMLoss, EnergyLoss, Loss

TITLE = "seconds of an iteration, one after the other to overlapped"
CASES = {
    "energy": ("problem=linear", "eps=0.01"),
    "DFLM": ("method=dflm", "problem=linear", "eps=0.01"),
}
_BLOCKS = {"energy": 4, "DFLM": 8}  # iterations at a time


class _EnergyInTurn(EnergyLoss):
    def draw_ahead(self, iteration: int, until: int) -> None:
        """Do not."""


class _DFLMInTurn(DFLMLoss):
    def draw_ahead(self, iteration: int, until: int) -> None:
        """Do not."""


def measure(budget: Budget) -> list[Row]:
    """A row for each method."""
    use_threads(cores())
    tasks = {}
    for name, overrides in CASES.items():
        made = case(*overrides, *(("method.points=64", "method.walkers=2") if budget.quick else ()))
        block = 2 if budget.quick else _BLOCKS[name]
        tasks[name, "ahead"] = partial(_block, made, block, ahead=True)
        tasks[name, "in turn"] = partial(_block, made, block, ahead=False)
    rounds = in_turn(tasks, budget)
    seconds = medians(rounds)
    return [
        Row(
            f"{name}, walkers sent ahead",
            seconds[name, "in turn"] / seconds[name, "ahead"],
            f"in turn, {seconds[name, 'in turn']:.3g} s an iteration",
            f"{seconds[name, 'ahead']:.3g} s an iteration",
            seconds[name, "ahead"],
            len(rounds[name, "ahead"]),
            f"{cores()} threads",
        )
        for name in CASES
    ]


def _block(made: Case, iterations: int, *, ahead: bool) -> float:
    training = made.training(iterations=iterations) if ahead else made.training_by(_in_turn(made), iterations)
    return seconds_of(lambda: list(itertools.islice(training, iterations))) / iterations


def _in_turn(made: Case) -> Loss:
    method = made.settings.method
    if isinstance(method, Energy):
        return _EnergyInTurn(method, made.problem, made.steps, 0, kernels())
    assert isinstance(method, DFLM)
    return _DFLMInTurn(method, made.problem, made.steps, 0, kernels())
