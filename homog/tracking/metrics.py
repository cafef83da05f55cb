"""`metrics.jsonl`, the record of a run that needs no database: one JSON object a line, append-only."""

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Self

METRICS_FILE = "metrics.jsonl"

# What a line that is no entry makes `MetricsEntry.from_line` raise.
_NO_ENTRY = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class MetricsEntry:
    """The metrics of one step.

    Attributes:
        step: Iteration.
        timestamp: Milliseconds since 1970-01-01, UTC.
        metrics: Value by name.
    """

    step: int
    timestamp: int
    metrics: Mapping[str, float]

    def to_line(self) -> str:
        """Write the entry as one line of valid JSON; JSON has no NaN or infinity, so these become strings."""
        metrics = {name: value if isfinite(value) else str(value) for name, value in self.metrics.items()}
        entry = {"step": self.step, "timestamp": self.timestamp, "metrics": metrics}
        return json.dumps(entry, allow_nan=False) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read what `to_line` wrote.

        Raises:
            ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError: If the line is
                something else.
        """
        entry = json.loads(line)
        metrics = {name: float(value) for name, value in entry["metrics"].items()}
        return cls(int(entry["step"]), int(entry["timestamp"]), metrics)


class MetricsFile:
    """`metrics.jsonl`, open for appending; every entry is in the file when `append` returns."""

    def __init__(self, path: Path) -> None:
        """Open the file, or create it.

        Args:
            path: Path of the file; its folder must exist.

        Raises:
            OSError: If it cannot be written.
        """
        self.path = path
        self._stream = path.open("ab", buffering=0)
        if _ends_within_a_line(path):
            self._stream.write(b"\n")

    def append(self, entry: MetricsEntry) -> None:
        """Append one entry in a single write, so that a kill leaves whole lines."""
        line = entry.to_line().encode()
        if self._stream.write(line) < len(line):  # the disk took a part of it
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def sync(self) -> None:
        """Return when all entries are on the disk, where a power cut cannot reach them."""
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._stream.close()


def read_metrics(path: Path) -> list[MetricsEntry]:
    """Read a `metrics.jsonl`.

    Args:
        path: Path of the file.

    Returns:
        Its entries in the order of writing; a line that a crash cut short is passed over.

    Raises:
        OSError: If it cannot be read.
    """
    return _entries(path.read_bytes())


def read_metrics_from(path: Path, start: int, size: int, *, to_the_end: bool) -> tuple[list[MetricsEntry], int]:
    """Read a part of a `metrics.jsonl`, which may be written at the same time.

    Args:
        path: Path of the file.
        start: Bytes to pass over; the beginning of a line.
        size: Bytes to read, about; a line that begins among them is read to its end.
        to_the_end: Nobody writes any more: a last line without an end counts as well.

    Returns:
        The entries of the lines there, and the number of bytes before the first line that was not read: `start`
        where none follows.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as stream:
        stream.seek(start)
        content = stream.read(size) + stream.readline()
    whole = content if to_the_end else content[: content.rfind(b"\n") + 1]
    return _entries(whole), start + len(whole)


def _entries(content: bytes) -> list[MetricsEntry]:
    entries = []
    for line in content.decode(errors="replace").split("\n"):
        try:
            entries.append(MetricsEntry.from_line(line))
        except _NO_ENTRY:
            continue
    return entries


def _ends_within_a_line(path: Path) -> bool:
    with path.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) == 0:
            return False
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"
