"""What a sweep says on the screen and leaves as a table: one row a job."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from homog.sweep.job import Outcome

_console = Console(highlight=False, soft_wrap=True)
_STYLES = {"finished": "", "skipped": "dim", "failed": "red", "killed": "yellow"}


def print_header(count: int, keys: Sequence[str], max_parallel: int, folder: Path) -> None:
    """How many jobs there are, and where they lie."""
    how = "one after another" if max_parallel == 1 else f"{max_parallel} at a time; what they print is in their logs"
    _print(f"{count} job{'s' if count != 1 else ''} over {', '.join(keys) or 'nothing'}, {how}\nsweep folder: {folder}")


def print_start(title: str) -> None:
    """That a job begins."""
    _print(title, "bold")


def print_end(title: str, outcome: Outcome) -> None:
    """That a job has ended, and how."""
    if outcome.ending == "skipped":
        _print(f"{title}: finished before, {_error(outcome)} (force=true repeats it)", "dim")
    elif outcome.ending == "finished":
        found = [_error(outcome)] if outcome.error is not None else []
        _print(f"{title}: {', '.join(['finished', *found, f'{outcome.seconds:.1f} s'])}")
    else:
        _print(f"{title}: {_complaint(outcome)}", _STYLES[outcome.ending])


def print_table(outcomes: Sequence[Outcome], keys: Sequence[str], left: int, folder: Path, location: str) -> None:
    """The closing table.

    Args:
        outcomes: In the order of their rows.
        keys: The settings that differ between them, a column each.
        left: How many jobs were not begun.
        folder: Folder of the sweep.
        location: Where the parent run is recorded.
    """
    table = Table(title="Sweep", title_justify="left")
    table.add_column("job", justify="right")
    for key in keys:
        table.add_column(Text(key), overflow="fold")
    table.add_column("status")
    tensors = _tensors(outcomes)
    for name in tensors:
        table.add_column(name.replace("effective_", "a*_"), justify="right")
    table.add_column("relative L2 error", justify="right")
    table.add_column("seconds", justify="right")
    for outcome in outcomes:
        values = [outcome.job.overrides.get(key, "") for key in keys]
        found = [f"{outcome.metrics[name]:.4g}" if name in outcome.metrics else "" for name in tensors]
        row = [str(outcome.job.number), *values, outcome.ending, *found, _error(outcome), f"{outcome.seconds:.1f}"]
        table.add_row(*map(Text, row), style=_STYLES[outcome.ending])  # a value may hold what rich takes for markup
    _console.print()
    _console.print(table)
    for outcome in outcomes:
        if outcome.reason:
            _print(f"job {outcome.job.number} {_complaint(outcome)}", _STYLES[outcome.ending])
    if left or any(outcome.ending in ("failed", "killed") for outcome in outcomes):
        _print("the same command runs what is not finished; with resume=true it goes on where a run was interrupted")
    if left:
        _print(f"not begun: {left}")
    _print(f"sweep folder: {folder}\nrecorded in: {location}")


def write_csv(outcomes: Sequence[Outcome], keys: Sequence[str], path: Path) -> None:
    """Write the table for programs.

    Args:
        outcomes: In the order of their rows.
        keys: The settings that differ between them, a column each.
        path: Path of the file. Its other columns: `job`, `status`, `rel_l2`, `rel_l2_homogenized`, the diagonal of a*
            as `effective_11` and so on where jobs were to find that, `seconds`, `reason`, `folder` and `run_id`, the
            last two of the earlier run where the job was skipped.
    """
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        measured = ("rel_l2", "rel_l2_homogenized", *_tensors(outcomes))
        writer.writerow(["job", *keys, "status", *measured, "seconds", "reason", "folder", "run_id"])
        for outcome in outcomes:
            values = [outcome.job.overrides.get(key, "") for key in keys]
            numbers = [outcome.metrics.get(key) for key in measured]
            rest = [f"{outcome.seconds:.3f}", outcome.reason, outcome.folder, outcome.run_id]
            writer.writerow([outcome.job.number, *values, outcome.ending, *numbers, *rest])


def _tensors(outcomes: Sequence[Outcome]) -> list[str]:
    """The entries of a* on its diagonal, where that is what jobs found and no error."""
    found = [outcome.metrics for outcome in outcomes if outcome.error is None]
    return sorted({name for metrics in found for name in metrics if re.fullmatch(r"effective_(\d)\1", name)})


def _error(outcome: Outcome) -> str:
    if outcome.error is None:
        return ""
    return f"{outcome.error:.3e}" + (" (to u_0)" if outcome.metrics.get("rel_l2") is None else "")


def _complaint(outcome: Outcome) -> str:
    return f"{outcome.ending}: {outcome.reason}; see {outcome.job.log}"


def _print(text: str, style: str = "") -> None:
    _console.print(text, style=style, markup=False)
