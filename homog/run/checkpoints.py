"""Checkpoints of a run: the last two, each whole or absent, and the newest sound one to go on from."""

import io
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from homog.machine import durable

_FORMAT = 1
_LEAST_RATIO = 200  # of the time between two checkpoints to the time that one takes: half a percent

_log = logging.getLogger("homog")


@dataclass(frozen=True)
class Checkpoint:
    """What was read from a file.

    Attributes:
        path: Path of the file.
        iteration: Iterations done.
        state: Tensors, numbers and texts in dictionaries and lists.
    """

    path: Path
    iteration: int
    state: Mapping[str, Any]


class Checkpoints:
    """The checkpoints in a run's folder, `checkpoint-<iteration>.pt`: what torch writes, and its SHA-256 behind it.

    Args:
        folder: Folder of the run.
        seconds: Least time between two of them; it grows to 200 times what saving one takes. None: none but on demand.

    Attributes:
        last: The file of the newest that was saved or loaded.
        spent: Seconds that saving took.
    """

    def __init__(self, folder: Path, seconds: float | None) -> None:
        self._folder = folder
        self._seconds = seconds
        self._cost = 0.0
        self._saved_at = time.monotonic()
        self.last: Path | None = None
        self.spent = 0.0

    def due(self) -> bool:
        """Whether it is time for the next."""
        if self._seconds is None:
            return False
        return time.monotonic() - self._saved_at >= max(self._seconds, _LEAST_RATIO * self._cost)

    def save(self, iteration: int, state: Mapping[str, Any]) -> None:
        """Keep the state after an iteration, and of the checkpoints before it the newest.

        Raises:
            OSError: If it cannot be written; the earlier ones are then still there.
        """
        start = time.monotonic()
        body = io.BytesIO()
        torch.save({"format": _FORMAT, "iteration": iteration, "state": state}, body)
        path = self._path(iteration)
        durable.write(path, body.getbuffer(), durable.digest(body.getbuffer()))
        self.last = path
        found = self._newest_first()
        older = [other for other in found if other < path]
        for other in found:
            if other not in (path, *older[:1]):  # also those of later iterations, which were found damaged
                other.unlink()
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - start
        self.spent += self._cost

    def load(self) -> Checkpoint | None:
        """The newest checkpoint that is sound, with a warning for each that is not; None where there is none."""
        for path in self._folder.glob("checkpoint-*.tmp"):  # what a kill left half written
            path.unlink()
        for path in self._newest_first():
            found = _read(path)
            if found is not None:
                self.last = path
                return found
            _log.warning("%s is damaged: it is passed over", path)
        return None

    def clear(self) -> None:
        """Remove them all: the run has ended."""
        for path in self._newest_first():
            path.unlink()
        self.last = None

    def _path(self, iteration: int) -> Path:
        return self._folder / f"checkpoint-{iteration:012d}.pt"

    def _newest_first(self) -> list[Path]:
        return sorted(self._folder.glob("checkpoint-*.pt"), reverse=True)


def _read(path: Path) -> Checkpoint | None:
    """None if the file is not what `save` wrote; no object but tensors and plain ones is ever made of it."""
    try:
        body = durable.sound_body(path.read_bytes())
        if body is None:
            return None
        content = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
        if content["format"] != _FORMAT:
            return None
        return Checkpoint(path, int(content["iteration"]), dict(content["state"]))
    except Exception:  # torch, zipfile and pickle have a dozen kinds for what is not as it should be
        return None
