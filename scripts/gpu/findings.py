"""What a section found, and the clock that ends it."""

import math
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MISSING = "-"


class TimeUp(BaseException):
    """The script has to end: no handler of errors holds it up."""


@dataclass(frozen=True)
class Deadline:
    """A time by `time.monotonic`."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """So many seconds from now."""
        return cls(time.monotonic() + seconds)

    @property
    def left(self) -> float:
        """Seconds, at least 0."""
        return max(0.0, self.at - time.monotonic())

    def within(self, seconds: float) -> "Deadline":
        """The earlier of this and so many seconds from now."""
        return Deadline(min(self.at, time.monotonic() + seconds))


@dataclass
class Findings:
    """A section's table.

    Attributes:
        title: Title of the table.
        columns: Their heads; ratios and shares come first.
        rows: Numbers and texts; None where there is no number.
        notes: A sentence each, below the table.
        failed: What went wrong or is not as it should be, a line each.
        traces: Tracebacks of errors, for the log.
    """

    title: str
    columns: list[str]
    rows: list[list[Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)

    def fail(self, what: str, error: BaseException) -> str:
        """Keep an error that was caught; its line."""
        first = (str(error).strip().splitlines() or [""])[0][:300]
        self.failed.append(f"{what}: {type(error).__name__}: {first}")
        self.traces.append(f"{what}\n{''.join(traceback.format_exception(error))}")
        return self.failed[-1]

    @contextmanager
    def so_far(self) -> Iterator[None]:
        """Keep what was found when the time is up."""
        try:
            yield
        except TimeUp as error:
            self.fail(self.title, error)

    def markdown(self) -> str:
        """As a table for the documentation."""
        head = [f"## {self.title}", "", _row(self.columns), _row(["---"] * len(self.columns))]
        lines = [*head, *(_row([shown(value) for value in row]) for row in self.rows), ""]
        return "\n".join(
            [*lines, *(f"{note}\n" for note in self.notes), *(f"FAILED: {line}\n" for line in self.failed)]
        )

    def text(self) -> str:
        """For a terminal."""
        rows = [self.columns, *([shown(value) for value in row] for row in self.rows)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.columns))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([self.title, *lines, *(f"FAILED: {line}" for line in self.failed), ""])


def shown(value: Any) -> str:
    """A number with three digits."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value) or 0.01 <= abs(value) < 10_000 or value == 0:
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return f"{value:.2e}"


def write(folder: Path, header: str, sections: dict[str, Findings]) -> None:
    """Write all sections so far as `gpu_bench.md`."""
    text = "\n".join([header, "", *(found.markdown() for found in sections.values())])
    (folder / "gpu_bench.md").write_text(text)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
