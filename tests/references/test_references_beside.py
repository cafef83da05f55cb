"""A reference computed beside other work: what it returns and raises, and that nothing goes on when nobody waits."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from homog.config import FEMReference
from homog.domains import Places
from homog.equation import Problem
from homog.errors import UserError
from homog.references import ReferenceBeside, cache, process
from homog.references.result import Reference

MakeProblem = Callable[..., Problem]
SETTINGS = FEMReference()


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a child process in the solver's place that waits for a minute; the file where it writes its number."""
    note, script = tmp_path / "pid", tmp_path / "python"
    script.write_text(f"#!/bin/sh\necho $$ > {note}.part; mv {note}.part {note}; exec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(process, "require_dolfinx", lambda: None)
    return note


def await_file(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_returns_what_is_cached_and_raises_what_went_wrong(
    make_problem: MakeProblem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    problem = make_problem()
    monkeypatch.setitem(sys.modules, "dolfinx", None)
    with ReferenceBeside(problem, SETTINGS, 21, tmp_path) as beside, pytest.raises(UserError, match="not installed"):
        beside.wait()
    found = Reference(Places.of(problem.domain, 21), None, None, None, None, 2.5, None, 0, 0.0, ())
    path, question = cache.entry(problem, SETTINGS, 21, tmp_path)
    cache.fetch(path, question, lambda: found)
    with ReferenceBeside(problem, SETTINGS, 21, tmp_path) as beside:
        assert beside.wait().mean == 2.5


def test_where_the_solver_ends_badly_there_is_a_note(
    make_problem: MakeProblem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Walkers answer all the same; nothing is kept, and the next run tries again."""
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nkill -9 $$\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(process, "require_dolfinx", lambda: None)
    with ReferenceBeside(make_problem(), SETTINGS, 21, tmp_path) as beside:
        found = beside.wait()
    assert found.fine is None
    assert found.homogenized is None
    assert [axis.size for axis in found.axes] == [21, 21]
    (note,) = found.notes
    assert "there is no reference: the FEM solver was killed" in note
    assert not list(tmp_path.glob("references/*.npz"))


def test_whoever_leaves_ends_the_solver(make_problem: MakeProblem, patient: Path, tmp_path: Path):
    with ReferenceBeside(make_problem(), SETTINGS, 21, tmp_path / "cache"):
        await_file(patient)
    with pytest.raises(ProcessLookupError):
        os.kill(int(patient.read_text()), 0)
    assert not list((tmp_path / "cache").glob("solve-*"))


def test_whoever_leaves_waits_for_no_other_process(make_problem: MakeProblem, tmp_path: Path):
    problem = make_problem()
    path, _ = cache.entry(problem, SETTINGS, 21, tmp_path)
    path.parent.mkdir(parents=True)
    with FileLock(path.with_suffix(".lock")):
        leaver = threading.Thread(target=lambda: ReferenceBeside(problem, SETTINGS, 21, tmp_path).__enter__().__exit__(
            None, None, None
        ))  # fmt: skip
        leaver.start()
        leaver.join(20)
        assert not leaver.is_alive()


def test_it_begins_before_torch_is_loaded(tmp_path: Path):
    code = (
        "import sys\n"
        "from homog.command import cli\n"
        "from homog.references import ReferenceBeside\n"
        "def begin(self):\n"
        "    print(sorted({'torch', 'numba', 'mlflow', 'matplotlib'} & set(sys.modules)))\n"
        "    sys.exit(7)\n"
        "ReferenceBeside.__enter__ = begin\n"
        "cli.main()\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, "problem=linear"],
        env={**os.environ, "HOMOG_HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (found.stdout, found.returncode) == ("[]\n", 7)
