"""Where the time of one run goes: wall seconds of each part, from the start of the process to its end.

    python scripts/profile_run.py problem=linear eps=0.01

Takes what homog-run takes and runs it here, with a clock around the functions that the parts are made of. What one part
calls of another counts for the other alone; a part that runs in a thread or a process of its own beside others counts
where the run waits for it. What is done while a reference is computed counts for the reference: the run would take as
long without it.
"""

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any

from homog.machine import threads

_BEGAN = time.perf_counter()
threads.settle()

IMPORTS = "importing torch, Numba, SciPy and homog"
REFERENCE, NETWORK = "reference", "network: equations, gradients, solves"
spent: dict[str, float] = defaultdict(float)
beside: dict[str, float] = {}  # of these, while a reference was computed
_open: list[list[float]] = []  # of each part under way, the seconds that the parts within it took


def clocked(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, whose own seconds in the main thread are added up under a name."""

    @wraps(function)
    def inner(*arguments: Any, **keywords: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            return function(*arguments, **keywords)
        _open.append([0.0])
        start = time.perf_counter()
        try:
            return function(*arguments, **keywords)
        finally:
            taken = time.perf_counter() - start
            spent[part] += taken - _open.pop()[0]
            if _open:
                _open[-1][0] += taken

    return inner


def clock_the_rest() -> None:
    """Load what homog-run loads while the reference is under way, with clocks."""
    from homog import plots, walkers
    from homog.losses.walking import WalkingLoss
    from homog.measures import evaluation
    from homog.run import experiment
    from homog.solvers import training
    from homog.tracking import recorder

    recorder.Recorder.finish = clocked("waiting for MLflow at the end", recorder.Recorder.finish)
    experiment.answer = clocked("effective tensor, by walkers", experiment.answer)
    plots.draw_run = clocked("figures", plots.draw_run)
    for owner, name, part in (
        (WalkingLoss, "sample", "walkers: waiting for them"),
        (walkers.Walkers, "__init__", "walkers: loading or compiling"),
        (walkers.Walkers, "walk", "walkers"),
        (training.Training, "__next__", NETWORK),
        (training.Progress, "loss", NETWORK),
        (training.Progress, "solution", NETWORK),
        (evaluation.ErrorMonitor, "__call__", "errors during training"),
        (recorder.Recorder, "log", "problem, records"),
        (recorder.Recorder, "artifact", "problem, records"),
    ):
        given: Any = getattr(owner, name)
        is_property = hasattr(given, "fget")
        setattr(owner, name, property(clocked(part, given.fget)) if is_property else clocked(part, given))


def main() -> None:
    """Run, and print the table."""
    from homog.command import cli
    from homog.references import Reference, ReferenceBeside
    from homog.run import runner

    spent[IMPORTS] = time.perf_counter() - _BEGAN
    begin, wait = ReferenceBeside.__enter__, clocked(REFERENCE, ReferenceBeside.wait)

    def begin_and_go_on(self: ReferenceBeside) -> ReferenceBeside:
        begun, before = begin(self), time.perf_counter()
        clocked(IMPORTS, clock_the_rest)()
        self.imported = time.perf_counter() - before  # pyright: ignore[reportAttributeAccessIssue]
        return begun

    def wait_and_count(self: ReferenceBeside) -> Reference:
        if not self._found.done():
            beside[IMPORTS] = self.imported  # pyright: ignore[reportAttributeAccessIssue]
        return wait(self)

    ReferenceBeside.__enter__ = begin_and_go_on
    ReferenceBeside.wait = wait_and_count
    runner.run = clocked("problem, records", runner.run)
    status: object = 0
    try:
        clocked("the command: Hydra, configuration", cli.main)()
    except SystemExit as ended:
        status = ended.code
    total = time.perf_counter() - _BEGAN
    spent["what is left"] = total - sum(spent.values())
    for part, seconds in beside.items():
        spent[part] -= seconds
        spent[REFERENCE] += seconds
    print(f"\n{'part':50}{'seconds':>9}{'share':>8}")
    for part, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        also = f"  and {beside[part]:.2f} s beside the reference" if part in beside else ""
        print(f"{part:50}{seconds:>9.2f}{100 * seconds / total:>7.1f}%{also}")
    print(f"{'in all':50}{total:>9.2f}")
    sys.exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    main()
