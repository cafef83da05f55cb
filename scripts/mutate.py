"""Mutation testing: how many small changes of the code do the tests notice?

    python scripts/mutate.py                         80 changes of each room, always the same ones
    python scripts/mutate.py --room walkers --sample 40
    python scripts/mutate.py --only homog/timesteps/timestep.py:83     all changes in a line

Prints the share of mutants killed in each room, and the survivors as diffs. A mutant is the code with one operator, one
number or one condition changed, or one statement left out; text that a reader alone sees (docstrings, messages,
annotations) and sizes of blocks are left as they are. Formulas and lookups in tables become code by way of text: in
the walkers' room the operators inside strings are changed too. A mutant is killed where a test of its room fails or
does not end.

Each mutant runs in a fork of this process, which has imported the libraries but not the package, on a copy of the
tree. Compiled kernels are kept by content in HOMOG_HOME/cache/mutation, so that a mutant compiles what it changes.
"""

import argparse
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mutations import Mutant, Mutator

for _variable, _value in (
    ("OMP_WAIT_POLICY", "PASSIVE"),  # as homog-run does
    ("OPENBLAS_NUM_THREADS", "1"),
    ("OMP_NUM_THREADS", "1"),  # the mutants share the cores
):
    os.environ.setdefault(_variable, _value)

ROOT = Path(__file__).parents[1]
LIBRARIES = ("torch", "numba", "sympy", "scipy.stats", "scipy.optimize", "scipy.interpolate", "ufl", "jaxtyping",
             "hypothesis.stateful", "beartype", "omegaconf", "hydra", "matplotlib.pyplot", "pytest")  # fmt: skip

# The files of each room, and the tests that are to notice, in the order in which they run: quick ones first.
WALKERS = ("walkers/test_walkers.py", "walkers/test_walkers_tables.py")
SOLVED = ("losses/test_losses.py", "losses/test_energy.py")
ROOMS: dict[str, dict[str, tuple[str, ...]]] = {
    "timesteps": {"timesteps/timestep.py": ("timesteps/test_timestep.py",)},
    "formula": {
        "formula/parse.py": ("formula/test_formula.py", "equation/test_problems.py"),
        "formula/evaluate.py": ("formula/test_formula.py", "equation/test_problems.py"),
    },
    "equation": {
        "equation/operator.py": ("equation/test_problems.py", "walkers/test_walkers_medium.py"),
        "equation/process.py": ("walkers/test_walkers_medium.py", *WALKERS),
    },
    "walkers": {
        "walkers/arithmetic.py": ("walkers/test_walkers_arithmetic.py", *WALKERS),
        "walkers/streams.py": ("walkers/test_walkers_arithmetic.py", *WALKERS),
        "walkers/compiled.py": WALKERS,
        "walkers/batch.py": ("walkers/test_walkers_cuda.py",),
        "walkers/step.py": ("walkers/test_as_written.py", *WALKERS),
        "walkers/lanes.py": ("walkers/test_as_written.py", *WALKERS),
        "walkers/threads.py": ("walkers/test_as_written.py", "walkers/test_walkers_cuda.py"),
        "walkers/specialise.py": ("walkers/test_specialise.py", *WALKERS),
        "walkers/on_cpu.py": WALKERS,
        "walkers/kernel.py": ("walkers/test_as_written.py", *WALKERS),
        "walkers/medium.py": ("walkers/test_walkers_medium.py", *WALKERS),
        "walkers/oracle.py": WALKERS,
        "walkers/walk.py": WALKERS,
        "walkers/lookup.py": ("walkers/test_walkers_tables.py",),
    },
    "losses": {
        "losses/collocation.py": ("losses/test_losses_pinn.py", "losses/test_losses_deep_ritz.py"),
        "losses/deep_ritz.py": ("losses/test_losses_deep_ritz.py",),
        "losses/pinn.py": ("losses/test_losses_pinn.py",),
        "losses/tangent_kernel.py": ("losses/test_losses_pinn.py",),
        "losses/dflm.py": SOLVED,
        "losses/energy.py": ("losses/test_energy.py",),
        "losses/system.py": ("losses/test_energy.py",),
        "losses/ahead.py": ("losses/test_ahead.py",),
    },
}


def mutants(room: str) -> list[Mutant]:
    """All changes of a room, in the order of its text."""
    return [m for file in ROOMS[room] for m in Mutator(room, file, (ROOT / "homog" / file).read_text()).found]


@dataclass
class Job:
    """A mutant under test, in a process of its own."""

    mutant: Mutant | None
    tests: Sequence[str]
    tree: Path
    pid: int
    began: float
    limit: float

    def outcome(self) -> int | None:
        """Pytest's exit status, 124 where it did not end, None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() - self.began < self.limit:
            return None
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return 124


def start(mutant: Mutant | None, tests: Sequence[str], tree: Path, limit: float) -> Job:
    """Fork, mutate a copy of the code as it was at the beginning and run the tests until one fails."""
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(tree.parent / "original", tree)
    if mutant is not None:
        file = tree / mutant.path
        file.write_text(mutant.applied(file.read_text()))
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        try:
            os._exit(_run(tests, tree))
        finally:
            os._exit(1)
    return Job(mutant, tests, tree, pid, time.monotonic(), limit)


def _run(tests: Sequence[str], tree: Path) -> int:
    import pytest

    log = os.open(tree / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    sys.dont_write_bytecode = True  # a mutant may have its predecessor's size and second
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow", "--hypothesis-seed=0",
               f"--basetemp={tree / 'temporary'}"]  # fmt: skip
    return int(pytest.main([*options, *(f"tests/{test}" for test in tests)]))


def baseline(tests: Sequence[str], tree: Path) -> float:
    """Seconds of these tests on the code as it is, some of its kernels compiled."""
    job = start(None, tests, tree, 3600)
    while (status := job.outcome()) is None:
        time.sleep(0.05)
    if status:
        sys.exit(f"{', '.join(tests)} fail without a mutant:\n{(tree / 'log').read_text()[-3000:]}")
    seconds = time.monotonic() - job.began
    print(f"{', '.join(tests)}: {seconds:.0f} s", file=sys.stderr, flush=True)
    return seconds


def trials(chosen: Sequence[Mutant], folder: Path, jobs: int, limit: float | None) -> Iterator[tuple[Mutant, bool]]:
    """Try each mutant: whether it survived."""
    limits = {
        tests: limit or 60 + 4 * baseline(tests, folder / "0") for tests in {ROOMS[m.room][m.file] for m in chosen}
    }
    waiting, free, running = list(reversed(chosen)), [folder / str(n) for n in range(jobs)], []
    while waiting or running:
        while waiting and free:
            mutant = waiting.pop()
            tests = ROOMS[mutant.room][mutant.file]
            running.append(start(mutant, tests, free.pop(), limits[tests]))
        time.sleep(0.05)
        for job in list(running):
            if (status := job.outcome()) is None:
                continue
            running.remove(job)
            free.append(job.tree)
            mutant = job.mutant
            assert mutant is not None
            word = "SURVIVED" if status == 0 else "not ended" if status == 124 else "killed"
            taken = time.monotonic() - job.began
            print(f"{len(waiting) + len(running):4} {word:9} {taken:4.0f} s {mutant.path}:{mutant.line} {mutant.new}",
                  file=sys.stderr, flush=True)  # fmt: skip
            yield mutant, status == 0


def choose(rooms: Sequence[str], sample: int, seed: int, lines: Sequence[str] | None) -> list[Mutant]:
    """A sample of each room, or all mutants of some lines, in random order: a part of it is a sample too."""
    chosen: list[Mutant] = []
    for room in rooms:
        every = mutants(room)
        if lines:
            chosen += [m for m in every if f"{m.path}:{m.line}" in lines]
        else:
            chosen += random.Random(seed).sample(every, min(sample, len(every)))
            print(f"{room}: {min(sample, len(every))} of {len(every)} mutants", file=sys.stderr)
    random.Random(seed).shuffle(chosen)
    return chosen


def main() -> None:
    """Choose, try, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--room", action="append", choices=ROOMS, help="only this room; may be repeated")
    parser.add_argument("--sample", type=int, default=80, help="mutants of each room (80)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants at a time")
    parser.add_argument("--only", action="append", metavar="FILE:LINE", help="all mutants of a line; may be repeated")
    parser.add_argument("--limit", type=float, help="seconds that a mutant has; without it the tests are first run"
                        " without a mutant, and it has four times as long")  # fmt: skip
    options = parser.parse_args()
    chosen = choose(options.room or list(ROOMS), options.sample, options.seed, options.only)
    if not chosen:
        sys.exit("there is no such mutant")
    for library in LIBRARIES:
        importlib.import_module(library)
    home = Path(os.environ.get("HOMOG_HOME", ROOT / "outputs")).resolve()
    os.environ["HOMOG_TEST_KERNELS"] = str(home / "cache" / "mutation")
    results: dict[Mutant, bool] = {}
    with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):  # the table of those that were tried
        original = Path(folder) / "original"
        for part in ("homog", "tests"):
            shutil.copytree(ROOT / part, original / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", original)
        for mutant, lived in trials(chosen, Path(folder), options.jobs, options.limit):
            results[mutant] = lived
    print(f"{'room':10}{'mutants':>9}{'killed':>9}{'survived':>10}{'share':>8}")
    for room in ROOMS:
        if lives := [lived for mutant, lived in results.items() if mutant.room == room]:
            killed = len(lives) - sum(lives)
            print(f"{room:10}{len(lives):>9}{killed:>9}{sum(lives):>10}{killed / len(lives):>8.1%}")
    for mutant, lived in results.items():
        if lived:
            print("\n" + mutant.diff((ROOT / mutant.path).read_text()), end="")


if __name__ == "__main__":
    main()
