"""Checkpoints on disk: whole or absent, checked when they are read, and never more than data."""

import io
import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from homog.machine import durable
from homog.run.checkpoints import Checkpoints

CALLS = ("open", "fsync", "replace", "unlink")  # what `save` asks of the system; `fsync` twice, of file and folder


def state(iteration: int) -> dict[str, Any]:
    return {"weights": torch.full((1000,), float(iteration)), "plain": [iteration, "text", None, {"a": 1.5}]}


def test_the_newest_two_are_kept_and_the_newest_is_loaded(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path, 60.0)
    assert checkpoints.load() is None
    for iteration in (5, 70, 1000):
        checkpoints.save(iteration, state(iteration))
    assert len(list(tmp_path.iterdir())) == 2
    found = Checkpoints(tmp_path, 60.0).load()
    assert found is not None
    assert (found.iteration, found.state["plain"]) == (1000, state(1000)["plain"])
    assert torch.equal(found.state["weights"], state(1000)["weights"])
    checkpoints.clear()
    assert not list(tmp_path.iterdir())


def test_one_is_due_after_its_time_and_when_saving_costs_half_a_percent(tmp_path: Path, monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    write = durable.write

    def slow(*arguments: Any) -> None:
        nonlocal now
        now += 2.0
        write(*arguments)

    monkeypatch.setattr(durable, "write", slow)
    checkpoints, never = Checkpoints(tmp_path, 60.0), Checkpoints(tmp_path, None)
    now = 59.0
    assert not checkpoints.due()
    now = 60.0
    assert checkpoints.due()
    assert not never.due()
    checkpoints.save(1, state(1))
    now += 399.0
    assert not checkpoints.due()  # 2 s each: 400 s apart
    now += 1.0
    assert checkpoints.due()


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-1], lambda c: c[: len(c) // 2], lambda c: b"", lambda c: flip(c, 700)]
)
def test_a_damaged_one_is_passed_over_with_a_warning(tmp_path: Path, caplog, damage: Callable[[bytes], bytes]):
    checkpoints = Checkpoints(tmp_path, 60.0)
    for iteration in (10, 20):
        checkpoints.save(iteration, state(iteration))
    newest = max(tmp_path.iterdir())
    newest.write_bytes(damage(newest.read_bytes()))
    found = checkpoints.load()
    assert found is not None
    assert found.iteration == 10
    assert f"{newest} is damaged" in caplog.text
    checkpoints.save(15, state(15))  # the damaged one, of a later iteration, does not outlive this
    assert [int(path.stem.partition("-")[2]) for path in sorted(tmp_path.iterdir())] == [10, 15]


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


class Bomb:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, ("exploded",)


def body(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        body({"format": 1, "iteration": 1, "state": {"bomb": Bomb()}}),
        pickle.dumps(Bomb(), 2),
        body({"format": 2, "iteration": 1, "state": {}}),
        body({"format": 1, "iteration": "many", "state": {}}),
        body({"format": 1, "iteration": 1, "state": 7}),
        body([1, 2, 3]),
        b"no archive",
    ],
)
def test_what_is_sound_but_no_checkpoint_is_not_loaded_and_nothing_in_it_runs(tmp_path: Path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    durable.write(tmp_path / "checkpoint-000000000001.pt", content, durable.digest(content))
    assert Checkpoints(tmp_path, 60.0).load() is None
    assert not (tmp_path / "exploded").exists()


def save_and_die(folder: Path, call: str, number: int) -> None:
    """Save a third checkpoint, and die by SIGKILL at the `number`-th call of one kind."""
    if call == "open":
        owner: Any = Path
    elif call == "unlink":
        owner = Path
    else:
        owner = os
    real, calls = getattr(owner, call), 0

    def deadly(*arguments: Any, **keywords: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **keywords)

    setattr(owner, call, deadly)
    Checkpoints(folder, 60.0).save(30, state(30))


@pytest.fixture(scope="module")
def forked() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["homog.run.checkpoints"])
    return context


@pytest.mark.parametrize(
    ("call", "number", "expected"),
    [
        ("open", 1, 20),  # nothing is written
        ("fsync", 1, 20),  # the temporary file is whole, perhaps not on disk
        ("replace", 1, 20),  # it is on disk under another name
        ("fsync", 2, 30),  # it has its name, perhaps not on disk
        ("unlink", 1, 30),  # three are there
        ("unlink", 2, 30),  # there is no second unlink: the process ends well
    ],
)
def test_a_kill_at_any_step_of_saving_leaves_a_sound_checkpoint(tmp_path: Path, forked, call, number, expected):
    for iteration in (10, 20):
        Checkpoints(tmp_path, 60.0).save(iteration, state(iteration))
    process = forked.Process(target=save_and_die, args=(tmp_path, call, number))
    process.start()
    process.join()
    assert process.exitcode == (0 if (call, number) == ("unlink", 2) else -signal.SIGKILL)
    found = Checkpoints(tmp_path, 60.0).load()
    assert found is not None
    assert found.iteration == expected
    assert torch.equal(found.state["weights"], state(expected)["weights"])
    checkpoints = Checkpoints(tmp_path, 60.0)
    checkpoints.save(40, state(40))
    checkpoints.clear()
    assert not list(tmp_path.glob("checkpoint-*.pt"))
