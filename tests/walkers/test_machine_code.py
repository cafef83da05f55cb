"""Compiled kernels on disk: what is damaged or foreign is compiled again, with one warning, and never unpickled."""

import logging
import multiprocessing
import pickle
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from homog.walkers.compiled import load_module

SOURCE = """\
from numba import njit

@njit(cache=True)
def twice(x):
    return 2 * x
"""


def twice(folder: Path) -> int:
    """How often the machine code was found on disk, as a process that has just started would find it."""
    module = load_module(SOURCE, folder)
    try:
        assert module.twice(21) == 42
        return sum(module.twice.stats.cache_hits.values())
    finally:
        del sys.modules[module.__name__]


def race(folder: Path) -> None:
    assert twice(folder) in (0, 1)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiled")
    assert (twice(folder), twice(folder)) == (0, 1)
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    return folder


@pytest.fixture
def compiled(once: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Path:
    """A folder with machine code; a home may be moved."""
    caplog.set_level(logging.WARNING, "homog")
    shutil.copytree(once, tmp_path / "moved")
    assert twice(tmp_path / "moved") == 1
    return tmp_path / "moved"


class Bomb:
    """An object whose unpickling leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_damaged_machine_code_is_compiled_again_with_one_warning(
    compiled: Path, kind: str, caplog: pytest.LogCaptureFixture
):
    (path,) = (compiled / "__pycache__").glob(f"*.{kind}")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (b"", whole[:-1], bytes(flipped)):
        path.write_bytes(damaged)
        caplog.clear()
        assert (twice(compiled), twice(compiled)) == (0, 1)
        assert [record.message.endswith("is damaged: compiling it again") for record in caplog.records] == [True]


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_a_pickle_from_elsewhere_is_never_loaded(compiled: Path, kind: str):
    (path,) = (compiled / "__pycache__").glob(f"*.{kind}")
    trace, whole = compiled / "trace", path.read_bytes()
    bomb = pickle.dumps(Bomb(trace))
    for forged in (bomb, whole[:32] + bomb):
        path.write_bytes(forged)
        assert twice(compiled) == 0
    assert not trace.exists()


def test_a_file_of_another_name_does_not_count(compiled: Path):
    index, data = sorted((compiled / "__pycache__").glob("*.nb*"))
    index.write_bytes(data.read_bytes())
    assert twice(compiled) == 0


def test_another_key_costs_a_compilation(compiled: Path):
    for key in (b"short", bytes(32)):  # damaged; that of another home
        (compiled / "key").write_bytes(key)
        assert twice(compiled) == 0
    assert twice(compiled) == 1


def test_what_is_run_is_the_given_text_whatever_lies_on_disk(compiled: Path):
    """Neither the source on disk, a link in its place, nor byte code beside it is run."""
    (path,) = compiled.glob("homog_kernel_*.py")
    evil = compiled / "evil.py"
    evil.write_text(f"open({str(compiled / 'trace')!r}, 'w')\n")
    path.unlink()
    path.symlink_to(evil)
    twice(compiled)
    assert path.read_text() == SOURCE
    assert not path.is_symlink()
    path.write_bytes(b"\xff\xfe\0")
    twice(compiled)
    assert path.read_text() == SOURCE
    assert not (compiled / "trace").exists()
    assert not list(compiled.rglob("*.pyc"))


def test_many_processes_that_compile_at_once_agree(tmp_path: Path):
    context = multiprocessing.get_context("fork")
    racers = [context.Process(target=race, args=(tmp_path,)) for _ in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert [racer.exitcode for racer in racers] == [0] * 3
    assert twice(tmp_path) == 1


_WALK = """\
import sys
from pathlib import Path
import numpy as np
from homog import Box, Problem
from homog.timesteps.timestep import TimeSteps
from homog.walkers import Scheme, Walkers, stream_key
problem = Problem("1 + 0.9*sin(2*pi*x1/eps)*sin(2*pi*x2/eps)*sin(2*pi*x3/eps)", forcing="10", eps=0.05,
                  domain=Box((0, 0, 0), (1, 1, 1)))
points = problem.domain.sample(300, np.random.default_rng(0))
walk = Walkers(problem, Scheme(), Path(sys.argv[1])).walk(points, 7, TimeSteps(1e-5, 200, 1, 1), stream_key(1, 1))
sys.stdout.buffer.write(walk.displacement.tobytes() + walk.reward.tobytes())
"""


def test_code_that_was_compiled_and_code_from_disk_give_the_same_bits(tmp_path: Path):
    """In two processes: Numba compiles a parallel loop anew when it takes it from disk, and rounds differently."""
    command = [sys.executable, "-c", _WALK, tmp_path]
    fresh, kept = (subprocess.run(command, check=True, capture_output=True).stdout for _ in range(2))
    assert fresh == kept
    assert len(fresh) == 4 * 4 * 300 * 7
