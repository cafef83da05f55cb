"""What a small scale costs: the same training at one eps after the other."""

import statistics
from functools import partial

from benchmarks.cases import Case, case
from benchmarks.table import Row
from benchmarks.timing import Budget, cores, in_turn, medians, use_threads

TITLE = "seconds of training at eps, to their median over eps"
SCALES = (0.1, 0.01, 1e-3, 1e-4, 1e-5)
_ITERATIONS = 4  # of the 16 that homog-run takes


def measure(budget: Budget) -> list[Row]:
    """A row for each eps, and the largest to the least."""
    use_threads(cores())
    shrunk = ("method.points=256", "network.count=4") if budget.quick else ()
    made = {eps: case("problem=linear", f"eps={eps}", f"optimizer.iterations={_ITERATIONS}",
                      f"optimizer.groups={_ITERATIONS}", *shrunk) for eps in SCALES}  # fmt: skip
    rounds = in_turn({eps: partial(_seconds, one) for eps, one in made.items()}, budget)
    seconds = medians(rounds)
    middle = statistics.median(seconds.values())
    widest = max(seconds.values()) / min(seconds.values())
    repeats = len(rounds[SCALES[0]])
    rows = [Row("slowest eps", widest, "the fastest eps", "", widest, repeats, "flat is 1; the limit is 1.2")]
    for eps, taken in seconds.items():
        note = f"dt = {made[eps].steps.micro_step:.2g}, K = {made[eps].steps.count}"
        rows.append(Row(f"eps = {eps:g}", taken / middle, "the median", f"{taken:.3g} s", taken, repeats, note))
    return rows


def _seconds(made: Case) -> float:
    *_, last = made.training()
    return last.seconds
