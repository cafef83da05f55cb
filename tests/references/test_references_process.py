"""The child process that solves: how it fails, how it ends, and its cache of compiled forms."""

import importlib.util
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from homog.equation import Problem
from homog.errors import UserError
from homog.references import process
from homog.references.elements import purge
from homog.references.fem import System
from homog.references.lattice import Lattice
from homog.references.laws import FineLaw
from homog.references.process import SolverFailed

MakeProblem = Callable[..., Problem]
Impostor = Callable[[str], None]

LATTICE = Lattice((0.0, 0.0), (1.0, 1.0), (4, 4), 2)


def solve(problem: Problem, folder: Path) -> list[np.ndarray]:
    return process.solve(problem, [System(LATTICE, FineLaw(problem))], folder)


@pytest.fixture
def impostor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Impostor:
    """Puts a shell script in the place of Python, and so of the child."""

    def install(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))
        monkeypatch.setattr(process, "require_dolfinx", lambda: None)

    return install


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        ("kill -9 $$", SolverFailed, "killed.*reference.max_unknowns"),
        (
            "echo 'MemoryError: Unable to allocate 2 GiB'; exit 1",
            SolverFailed,
            "want of memory.*reference.max_unknowns",
        ),
        ("echo 'libmpi.so.12: cannot open' >&2; exit 3", UserError, "libmpi.so.12.*pip install"),
        ("echo 'VerificationError: CompileError: gcc' >&2; exit 1", UserError, "C compiler"),
        ("echo Traceback; echo 'ValueError: a reason'; exit 1", SolverFailed, r"status 1 \(ValueError: a reason"),
        ("kill -SEGV $$", SolverFailed, "status -11"),
    ],
    ids=["killed", "no memory", "not importable", "no compiler", "failed", "crashed"],
)
def test_failure_of_the_child_is_told(
    make_problem: MakeProblem, impostor: Impostor, tmp_path: Path, script: str, error: type, message: str
) -> None:
    impostor(script)
    with pytest.raises(error, match=message):
        solve(make_problem(), tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == ["jit"]  # nothing else is left behind


@pytest.mark.usefixtures("hears_interrupts")
def test_interrupt_ends_the_child(make_problem: MakeProblem, impostor: Impostor, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    impostor(f"echo $$ > {note}.part; mv {note}.part {note}; exec sleep 60")

    def interrupt_when_running() -> None:
        while not note.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt_when_running)
    watcher.start()
    with pytest.raises(KeyboardInterrupt):
        solve(make_problem(), tmp_path)
    watcher.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_half_made_forms_are_purged(tmp_path: Path) -> None:
    whole = ["libffcx_forms_1.c", "libffcx_forms_1.c.cached", "libffcx_forms_1.so"]
    for name in (*whole, "libffcx_forms_2.c", "libffcx_forms_2.o", "libffcx_forms_3.c"):
        (tmp_path / name).touch()
    purge(tmp_path)
    assert sorted(os.listdir(tmp_path)) == whole


@pytest.mark.skipif(importlib.util.find_spec("dolfinx") is None, reason="dolfinx is not installed")
def test_forms_compile_once_for_all_eps_and_survive_a_kill(make_problem: MakeProblem, tmp_path: Path) -> None:
    def compiled() -> set[tuple[str, int]]:
        return {(path.name, path.stat().st_mtime_ns) for path in (tmp_path / "jit").glob("*.so")}

    (first,) = solve(make_problem(eps=0.5), tmp_path)
    forms = compiled()
    assert len(forms) == 3  # flow, stiffness and load
    (second,) = solve(make_problem(eps=0.25), tmp_path)
    assert compiled() == forms
    assert not np.allclose(first, second)
    # what a kill in the middle of a compilation leaves: a source without the mark that it is compiled
    for mark in (tmp_path / "jit").glob("*.c.cached"):
        mark.unlink()
    (third,) = solve(make_problem(eps=0.5), tmp_path)
    np.testing.assert_array_equal(third, first)
    assert {name for name, _ in compiled()} == {name for name, _ in forms}
