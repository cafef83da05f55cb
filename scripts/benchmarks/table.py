"""What a section reports, and the table of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

_HEADER = ("ratio", "of", "to", "measured", "repeats", "note")


@dataclass(frozen=True)
class Row:
    """One line: a ratio, of what to what, and the measurement behind it.

    Attributes:
        case: What was measured.
        ratio: The ratio that the section's title names; None where there is nothing to compare with.
        to: What it is compared with.
        measured: The measurement with its unit, as text.
        value: The same as a number, in the unit's own size.
        repeats: How often it was measured; the values are medians.
        note: What has to be known to read it.
        at_least: Whether the ratio is a lower bound: what it is compared with had not ended.
    """

    case: str
    ratio: float | None = None
    to: str = ""
    measured: str = ""
    value: float | None = None
    repeats: int = 1
    note: str = ""
    at_least: bool = False

    def cells(self) -> tuple[str, ...]:
        """As text, in the order of the header."""
        ratio = "" if self.ratio is None else ("> " if self.at_least else "") + _short(self.ratio)
        return ratio, self.case, self.to, self.measured, str(self.repeats), self.note


@dataclass(frozen=True)
class Section:
    """The rows of one subject, or why there are none."""

    name: str
    title: str
    rows: Sequence[Row]
    seconds: float
    failure: str = ""


def markdown(sections: Sequence[Section]) -> list[str]:
    """The table: one for all sections, each opened by a line of its own."""
    lines = ["| " + " | ".join(_HEADER) + " |", "|" + "---|" * len(_HEADER)]
    for section in sections:
        lines.append(f"| | **{section.name}: {section.title}** | | | | {section.seconds:.0f} s in all |")
        if section.failure:
            lines.append(f"| failed | {section.name} | | | | {section.failure} |")
        lines += ["| " + " | ".join(row.cells()) + " |" for row in section.rows]
    return lines


def _short(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.3g}"
