"""The part of a page that a script writes: what lies between two comments."""

from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]


def rewrite(page: Path, script: str, lines: Sequence[str]) -> None:
    """Put lines between `<!-- begin: script -->` and `<!-- end: script -->` of a page.

    Args:
        page: The file.
        script: Whose part it is, such as scripts/results.py.
        lines: What it says now.

    Raises:
        ValueError: If the page has no such part.
    """
    begin, end = f"<!-- begin: {script} -->", f"<!-- end: {script} -->"
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page} has no part between {begin} and {end}")
    page.write_text("\n".join([before + begin, "", *lines, "", end + after]))
