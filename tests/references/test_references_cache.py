"""The cache of references: one computation, whole files, nothing trusted."""

import dataclasses
import hashlib
import io
import json
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest

from homog.config import FEMReference, HomogenizedReference
from homog.domains import Places
from homog.equation import Problem
from homog.errors import UserError
from homog.references import Reference, cache, reference

MakeProblem = Callable[..., Problem]


def make_reference() -> Reference:
    random = np.random.default_rng(0)
    axis = np.linspace(0, 1, 21)
    return Reference(
        places=Places(axes=(axis, axis)),
        fine=None,
        homogenized=random.standard_normal((21, 21)),
        mean_coefficient=random.standard_normal((21, 21)),
        effective_tensor=np.eye(2),
        mean=1 / 3,
        error_estimate=None,
        unknowns=441,
        seconds=0.1,
        notes=("there is no u_eps",),
        effective_values=axis,
        effective_tensors=random.standard_normal((21, 2, 2)),
    )


def assert_equal(first: Reference, second: Reference) -> None:
    for field in dataclasses.fields(Reference):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if field.name == "places":
            one, other = one.points, other.points
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
        else:
            assert one == other, field.name


def fetch(path: Path, log: Path, pause: float = 0) -> None:
    """Fetch the entry; computing it takes a pause and leaves a line in the log."""

    def compute() -> Reference:
        with log.open("a") as file:
            file.write("computed\n")
        time.sleep(pause)
        return make_reference()

    assert_equal(cache.fetch(path, {"what": "a test"}, compute), make_reference())


def race(start: Barrier, path: Path, log: Path) -> None:
    start.wait(60)
    fetch(path, log, pause=0.3)


def test_entry_comes_back_as_it_was(tmp_path: Path) -> None:
    path, log = tmp_path / "references" / "entry.npz", tmp_path / "log"
    for _ in range(3):
        fetch(path, log)
    assert log.read_text() == "computed\n"
    with np.load(path, allow_pickle=False) as arrays:  # a plain .npz for everyone else
        assert "a test" in str(arrays["json"])


def test_racing_processes_compute_once(tmp_path: Path) -> None:
    path, log = tmp_path / "entry.npz", tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(4)
    racers = [context.Process(target=race, args=(start, path, log)) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert [racer.exitcode for racer in racers] == [0, 0, 0, 0]
    assert log.read_text() == "computed\n"


@pytest.mark.parametrize("place", [0, 0.5, -100, -1], ids=str)
def test_flipped_byte_is_noticed(tmp_path: Path, place: float, caplog: pytest.LogCaptureFixture) -> None:
    path, log = tmp_path / "entry.npz", tmp_path / "log"
    fetch(path, log)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[place if isinstance(place, int) else int(place * len(whole))] ^= 1
    path.write_bytes(damaged)
    with caplog.at_level(logging.WARNING, "homog"):
        fetch(path, log)
    assert log.read_text() == "computed\n" * 2
    assert "damaged" in caplog.text
    fetch(path, log)  # and the file is sound again
    assert log.read_text() == "computed\n" * 2


@pytest.mark.parametrize("length", [0, 10, 1000])
def test_truncated_file_is_noticed(tmp_path: Path, length: int) -> None:
    path, log = tmp_path / "entry.npz", tmp_path / "log"
    fetch(path, log)
    path.write_bytes(path.read_bytes()[:length])
    fetch(path, log)
    assert log.read_text() == "computed\n" * 2


def forge(path: Path, save: Callable = np.savez, **changes: object) -> None:
    """Write an entry with other contents under its own digest."""
    with np.load(path, allow_pickle=False) as arrays:
        contents = dict(arrays)
    plain = json.loads(str(contents["json"]))
    plain |= {name: value for name, value in changes.items() if name in plain}
    contents |= {"json": np.array(json.dumps(plain)), **{n: v for n, v in changes.items() if n not in plain}}
    body = io.BytesIO()
    save(body, **{name: value for name, value in contents.items() if value is not None})
    path.write_bytes(body.getvalue() + hashlib.sha256(body.getvalue()).digest())


FORGED = {
    "objects": {"homogenized": np.array([None], dtype=object)},
    "another shape": {"homogenized": np.ones((20, 21))},
    "words": {"homogenized": np.full((21, 21), "a")},
    "nan": {"homogenized": np.full((21, 21), np.nan)},
    "an axis too few": {"x2": None},
    "no json": {"json": np.array("{")},
    "json of numbers": {"json": np.array("[1, 2]")},
    "a tensor of another size": {"effective_tensor": np.eye(3)},
    "another question": {"question": {"what": "another"}},
    "another dimension": {"dimension": 10**9},
    "a word for a number": {"mean": "1/3"},
    "a number for the notes": {"notes": 3},
    "numbers for notes": {"notes": [1, 2]},
}


@pytest.mark.parametrize("changes", FORGED.values(), ids=FORGED.keys())
def test_an_entry_with_the_right_digest_and_wrong_contents_is_computed_again(tmp_path: Path, changes: dict) -> None:
    path, log = tmp_path / "entry.npz", tmp_path / "log"
    fetch(path, log)
    forge(path, **changes)
    fetch(path, log)
    assert log.read_text() == "computed\n" * 2


def test_an_entry_that_unfolds_is_computed_again(tmp_path: Path) -> None:
    path, log = tmp_path / "entry.npz", tmp_path / "log"
    fetch(path, log)
    forge(path)  # nothing changed but the file
    fetch(path, log)
    assert log.read_text() == "computed\n"
    forge(path, np.savez_compressed)
    fetch(path, log)
    assert log.read_text() == "computed\n" * 2


def test_a_pipe_in_the_place_of_an_entry_does_not_block(tmp_path: Path) -> None:
    path, log = tmp_path / "entry.npz", tmp_path / "log"
    os.mkfifo(path)
    fetch(path, log)
    fetch(path, log)
    assert log.read_text() == "computed\n"


class Bomb:
    """An object whose unpickling leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.trace,))


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    path, log, trace = tmp_path / "entry.npz", tmp_path / "log", tmp_path / "trace"
    fetch(path, log)
    forge(path, json=np.array([Bomb(trace)], dtype=object))
    fetch(path, log)
    assert log.read_text() == "computed\n" * 2
    assert not trace.exists()


def test_interrupted_computation_leaves_nothing(tmp_path: Path) -> None:
    path, log = tmp_path / "entry.npz", tmp_path / "log"

    def interrupted() -> Reference:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.fetch(path, {}, interrupted)
    assert not path.exists()
    fetch(path, log)
    assert log.read_text() == "computed\n"


def test_entries_are_told_apart_by_content(make_problem: MakeProblem, tmp_path: Path) -> None:
    problem, settings = make_problem(), FEMReference()
    same = cache.entry(problem.but(name="another name"), FEMReference(), 101, tmp_path)[0]
    first = cache.entry(problem, settings, 101, tmp_path)[0]
    assert first == same
    others = [
        cache.entry(make_problem(eps=0.01), settings, 101, tmp_path)[0],
        cache.entry(make_problem(forcing="11"), settings, 101, tmp_path)[0],
        cache.entry(problem, dataclasses.replace(settings, degree=3), 101, tmp_path)[0],
        cache.entry(problem, HomogenizedReference(), 101, tmp_path)[0],
        cache.entry(problem, settings, 51, tmp_path)[0],
    ]
    assert len({first, *others}) == 6


@pytest.mark.parametrize("settings", [FEMReference(), HomogenizedReference()], ids=lambda s: type(s).__name__)
def test_cached_reference_needs_no_dolfinx(
    make_problem: MakeProblem,
    settings: FEMReference | HomogenizedReference,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "dolfinx", None)
    problem = make_problem()
    with pytest.raises(UserError, match=r"pip install 'dolfinx-solver-real.*fenics-dolfinx"):
        reference(problem, settings, 21, tmp_path)
    path, question = cache.entry(problem, settings, 21, tmp_path)
    cache.fetch(path, question, make_reference)
    assert_equal(reference(problem, settings, 21, tmp_path), make_reference())


def test_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be made"):
        cache.fetch(tmp_path / "file" / "references" / "entry.npz", {}, make_reference)
