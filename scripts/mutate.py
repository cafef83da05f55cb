"""Mutation testing: how many small changes of the code do the tests notice?

    python scripts/mutate.py                         80 changes of each room, always the same ones
    python scripts/mutate.py --room walkers --sample 40
    python scripts/mutate.py --only homog/timestep.py:83     all changes in a line

Prints the share of mutants killed in each room, and the survivors as diffs. A mutant is the code with one operator, one
number or one condition changed, or one statement left out; text that a reader alone sees (docstrings, messages,
annotations) and sizes of blocks are left as they are. The walkers' kernels are generated as text: there the operators
inside the strings are changed too. A mutant is killed where a test of its room fails or does not end.

Each mutant runs in a fork of this process, which has imported the libraries but not the package, on a copy of the
tree. Compiled kernels are kept by content in HOMOG_HOME/cache/mutation, so that a mutant compiles what it changes.
"""

import argparse
import ast
import difflib
import importlib
import itertools
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

for _variable, _value in (
    ("OMP_WAIT_POLICY", "PASSIVE"),  # as homog-run does
    ("NUMBA_THREADING_LAYER", "workqueue"),
    ("OMP_NUM_THREADS", "1"),  # the mutants share the cores
):
    os.environ.setdefault(_variable, _value)

ROOT = Path(__file__).parents[1]
LIBRARIES = ("torch", "numba", "sympy", "scipy.stats", "scipy.optimize", "scipy.interpolate", "ufl", "jaxtyping",
             "hypothesis.stateful", "beartype", "omegaconf", "hydra", "matplotlib.pyplot", "pytest")  # fmt: skip

# The files of each room, and the tests that are to notice, in the order in which they run: quick ones first.
WALKERS = ("test_walkers.py", "test_walkers_tables.py")
SOLVED = ("test_losses.py", "test_energy.py")
ROOMS: dict[str, dict[str, tuple[str, ...]]] = {
    "timestep": {"timestep.py": ("test_timestep.py",)},
    "formula": {
        "formula/parse.py": ("test_formula.py", "test_problems.py"),
        "formula/evaluate.py": ("test_formula.py", "test_problems.py"),
    },
    "walkers": {
        "walkers/arithmetic.py": ("test_walkers_arithmetic.py", *WALKERS),
        "walkers/streams.py": ("test_walkers_arithmetic.py", *WALKERS),
        "walkers/compiled.py": WALKERS,
        "walkers/batch.py": ("test_walkers_cuda.py",),
        "walkers/cpu.py": WALKERS,
        "walkers/cuda.py": ("test_walkers_cuda.py",),
        "walkers/on_cpu.py": WALKERS,
        "walkers/kernel.py": WALKERS,
        "walkers/medium.py": ("test_walkers_medium.py", *WALKERS),
        "walkers/oracle.py": WALKERS,
        "walkers/walk.py": WALKERS,
        "walkers/lookup.py": ("test_walkers_tables.py",),
    },
    "losses": {
        "losses/collocation.py": ("test_losses_pinn.py", "test_losses_deep_ritz.py"),
        "losses/deep_ritz.py": ("test_losses_deep_ritz.py",),
        "losses/pinn.py": ("test_losses_pinn.py",),
        "losses/tangent_kernel.py": ("test_losses_pinn.py",),
        "losses/dflm.py": SOLVED,
        "losses/energy.py": ("test_energy.py",),
        "losses/equations.py": ("test_energy.py",),
    },
}
KERNELS = "walkers/"  # here strings are code too

PERFORMANCE = {"LANES", "SPAN", "ROWS", "_BLOCK"}  # sizes of blocks: no answer depends on them
HARMLESS = {"strict", "exist_ok"}  # keywords that check and do not compute
OPERATORS = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "/", ast.Mod: "*", ast.Pow: "*",
    ast.LShift: ">>", ast.RShift: "<<", ast.BitAnd: "|", ast.BitOr: "&", ast.BitXor: "&",
}  # fmt: skip
COMPARISONS = {
    ast.Lt: ("<=", ">="), ast.LtE: ("<", ">"), ast.Gt: (">=", "<="), ast.GtE: (">", "<"), ast.Eq: ("!=",),
    ast.NotEq: ("==",), ast.Is: ("is not",), ast.IsNot: ("is",), ast.In: ("not in",), ast.NotIn: ("in",),
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any",
         "ceil": "floor", "sin": "cos", "cos": "sin"}  # fmt: skip
IN_KERNELS = {
    r" \+ ": " - ", r" - ": " + ", r" \* ": " / ", r" / ": " * ", r" < ": " >= ", r" > ": " <= ", r" \+= ": " = ",
    r"\bmin\(": "max(", r"\bmax\(": "min(", r"\bHALF\b": "ONE", r"\bZERO\b": "ONE", r"\bONE\b": "ZERO",
    r"\bcos_turn\b": "sin_turn", r"\bsin_turn\b": "cos_turn", r" >> ": " << ", r" \^ ": " & ",
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the characters from `start` to `end` of a file become `new`."""

    room: str
    file: str
    line: int
    start: int
    end: int
    new: str

    @property
    def path(self) -> str:
        """From the root of the repository."""
        return f"homog/{self.file}"

    def applied(self, source: str) -> str:
        """The mutated source."""
        return source[: self.start] + self.new + source[self.end :]

    def diff(self, source: str) -> str:
        """The change as a reader wants it."""
        before, after = (text.splitlines(keepends=True) for text in (source, self.applied(source)))
        return "".join(difflib.unified_diff(before, after, self.path, self.path, n=2))


class Mutator(ast.NodeVisitor):
    """Collects the changes of one file."""

    def __init__(self, room: str, file: str, source: str) -> None:
        self.room, self.file, self.source = room, file, source
        self.kernels = file.startswith(KERNELS)
        self.found: list[Mutant] = []
        lengths = [len(line.encode()) for line in source.splitlines(keepends=True)]
        self.lines = [0, *itertools.accumulate(lengths)]  # in bytes, as ast counts columns
        self.bytes = source.encode()
        self.visit(ast.parse(source))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """First character and the one behind the last."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        ends = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
        start, end = (len(self.bytes[: self.lines[line - 1] + column].decode()) for line, column in ends)
        return start, end

    def add(self, start: int, end: int, new: str) -> None:
        if self.source[start:end] != new:
            line = self.source.count("\n", 0, start) + 1
            self.found.append(Mutant(self.room, self.file, line, start, end, new))

    def between(self, left: ast.expr, right: ast.expr, new: str) -> None:
        """Another operator between two operands."""
        start, end = self.span(left)[1], self.span(right)[0]
        operator = re.search(r"[^\s()\[\]]+(?: not| in)?", self.source[start:end])
        assert operator is not None
        self.add(start + operator.start(), start + operator.end(), new)

    def negate(self, condition: ast.expr) -> None:
        if not isinstance(condition, ast.Compare | ast.BoolOp):  # these have changes of their own
            start, end = self.span(condition)
            self.add(start, end, f"(not {self.source[start:end]})")

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in OPERATORS:
            self.between(node.left, node.right, OPERATORS[type(node.op)])
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            for new in COMPARISONS[type(operator)]:
                self.between(left, right, new)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in itertools.pairwise(node.values):
            self.between(left, right, "or" if isinstance(node.op, ast.And) else "and")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub | ast.Invert):
            start = self.span(node)[0]
            self.add(start, start + (3 if isinstance(node.op, ast.Not) else 1), "")
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        self.negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for condition in node.ifs:
            self.negate(condition)
        self.generic_visit(node)

    def visit_match_case(self, node: ast.match_case) -> None:
        if node.guard is not None:
            self.negate(node.guard)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        start, end = self.span(node)
        if isinstance(node.value, bool):
            self.add(start, end, str(not node.value))
        elif isinstance(node.value, int):
            self.add(start, end, str(node.value + 1))
        elif isinstance(node.value, float):
            self.add(start, end, repr(1.25 * node.value))
        elif isinstance(node.value, str) and self.kernels:
            for pattern, new in IN_KERNELS.items():
                for match in re.finditer(pattern, self.source[start:end]):
                    self.add(start + match.start(), start + match.end(), new)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in NAMES:
            end = self.span(node.func)[1]
            self.add(end - len(name), end, NAMES[name])
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.add(*self.span(node), "pass")
            self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.add(*self.span(node), "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not any(isinstance(target, ast.Name) and target.id in PERFORMANCE for target in node.targets):
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        if self.kernels:
            for value in node.values:
                self.visit(value.value if isinstance(value, ast.FormattedValue) else value)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg not in HARMLESS:
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)):
            self.visit(default)
        for statement in node.body:  # neither decorators nor annotations
            self.visit(statement)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            self.visit(statement)

    def skip(self, node: ast.AST) -> None:
        """What is only read, or only checked."""

    visit_Raise = visit_Assert = visit_Import = visit_ImportFrom = skip


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
