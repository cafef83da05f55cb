"""Finite elements in a child process.

Importing petsc4py takes over the process's signals, and MPI and PETSc end the process where they fail: the parent,
which trains networks, stays out of that.
"""

import importlib.util
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from homog.equation import Problem
from homog.errors import UserError
from homog.references.fem import System

# what parent and child agree on; REASON has why there is no solution
TASKS, SOLUTION, REASON = "systems.pickle", "solution{}.npy", "reason{}.txt"
NOT_IMPORTABLE, NOT_CONVERGED = 3, 4

_BETWEEN_LOOKS = 0.1  # seconds
_INSTALL = "pip install 'dolfinx-solver-real>=0.11,<0.12' mpich, or conda-forge's fenics-dolfinx"


class Stopped(Exception):
    """Nobody waits for the solutions any more."""


class SolverFailed(UserError):
    """The solver ended without its solutions: the problem may have an answer all the same, by walkers alone."""


class Unsolved(SolverFailed):
    """Some systems, or all, were not solved.

    Attributes:
        solutions: Nodal values of each system, as `solve` returns them; of one that was not solved, the reason.
    """

    def __init__(self, solutions: list[np.ndarray | str]) -> None:
        super().__init__("; ".join(sorted({found for found in solutions if isinstance(found, str)})))
        self.solutions = solutions


def require_dolfinx() -> None:
    """Answer a missing dolfinx before any work is done.

    Raises:
        UserError: If it is not installed.
    """
    if importlib.util.find_spec("dolfinx") is None:
        raise UserError(f"no reference solution is cached for this problem, and dolfinx is not installed: {_INSTALL}")


def solve(
    problem: Problem, systems: Sequence[System], folder: Path, stop: threading.Event | None = None
) -> list[np.ndarray]:
    """What `fem.solve` does, in a child process that ends with this one.

    Args:
        problem: Gives the coefficient, f and g.
        systems: What to solve, in this order.
        folder: For compiled forms (`folder/jit`) and temporary files.
        stop: Set by another thread when the solutions are not wanted any more.

    Returns:
        Nodal values of each system, of its lattice's `shape`, or what else it asks for.

    Raises:
        Stopped: If `stop` was set.
        UserError: If dolfinx cannot be imported, or a nonlinear problem has no solution that it finds.
        Unsolved: If a linear system was too much for it.
        SolverFailed: If the child was killed or failed otherwise.
    """
    require_dolfinx()
    cache = folder / "jit"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="solve-", dir=folder) as name:
        scratch = Path(name)
        (scratch / TASKS).write_bytes(pickle.dumps((problem, list(systems), cache.absolute())))
        with (scratch / "log").open("wb") as log:
            command = [sys.executable, "-P", "-m", "homog.references.worker", str(scratch.absolute())]
            # the child reads its standard input, which never holds anything, to notice the end of this process
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=_environment()) as child:
                try:
                    status = _awaited(child, stop or threading.Event())
                finally:  # Ctrl-C too, after which Popen would not wait for the end
                    child.kill()
                    child.wait()
        if status != 0:
            raise _failure(status, (scratch / "log").read_text(errors="replace"))
        return _solved(scratch, len(systems))


class Solver:
    """`solve` with its folder, and whoever does not want the solutions any more.

    Args:
        folder: As for `solve`, like what follows.
        stop: Set by another thread.

    Attributes:
        folder: The same.
    """

    def __init__(self, folder: Path, stop: threading.Event | None = None) -> None:
        self.folder = folder
        self._stop = stop or threading.Event()

    def __call__(self, problem: Problem, systems: Sequence[System]) -> list[np.ndarray]:
        return solve(problem, systems, self.folder, self._stop)

    def check(self) -> None:
        """To be called between pieces of work that take seconds.

        Raises:
            Stopped: If `stop` was set.
        """
        if self._stop.is_set():
            raise Stopped


def _solved(scratch: Path, count: int) -> list[np.ndarray]:
    """What the child has left.

    Raises:
        Unsolved: If that is not a solution of each system.
    """
    found: list[np.ndarray | str] = []
    for number in range(count):
        reason = scratch / REASON.format(number)
        found.append(
            reason.read_text() if reason.exists() else np.load(scratch / SOLUTION.format(number), allow_pickle=False)
        )
    solutions = [one for one in found if not isinstance(one, str)]
    if len(solutions) < count:
        raise Unsolved(found)
    return solutions


def _awaited(child: subprocess.Popen[bytes], stop: threading.Event) -> int:
    """The child's exit status."""
    while not stop.is_set():
        with suppress(subprocess.TimeoutExpired):
            return child.wait(_BETWEEN_LOOKS)
    raise Stopped


def _environment() -> dict[str, str]:
    """The child finds this very package, no signal handler of PETSc, and no MPI job (of srun, say) to join."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PMI_", "PMIX_"))}
    package = str(Path(__file__).resolve().parents[2])
    own["PYTHONPATH"] = os.pathsep.join(filter(None, (package, own.get("PYTHONPATH"))))
    own["PETSC_OPTIONS"] = f"{own.get('PETSC_OPTIONS', '')} -no_signal_handler".strip()
    return own


def _failure(status: int, log: str) -> Exception:
    last = ([line.strip() for line in log.splitlines() if line.strip()] or ["it said nothing"])[-1]
    if status == NOT_IMPORTABLE:
        return UserError(f"dolfinx is installed but cannot be imported ({last}): {_INSTALL}")
    if status == NOT_CONVERGED:
        return UserError(f"the reference cannot be computed: {last}")
    if "CompileError" in log or "VerificationError" in log:
        return UserError(f"dolfinx could not compile its forms ({last}): it needs a C compiler, such as gcc")
    if status == -signal.SIGKILL or "MemoryError" in last or "out of memory" in last.lower():
        return SolverFailed(
            "the FEM solver was killed, for want of memory perhaps: write a smaller reference.max_unknowns, such as"
            " 1_000_000"
        )
    return SolverFailed(f"the FEM solver failed with status {status} ({last[:200]})")
