"""What is said of the coefficient, one formula or those of a symmetric matrix, and of the velocity."""

from collections.abc import Mapping, Sequence
from typing import Any

from homog.errors import UserError

Texts = tuple[tuple[str, ...], ...]
"""The texts of a matrix's entries, by rows."""


def coefficient_texts(coefficient: Any, dimension: int) -> str | Texts:
    """The text of the coefficient's formula, or those of its entries, from what a user wrote.

    Args:
        coefficient: A formula; d formulas, which are the diagonal; or d lists of d formulas, which are the rows.
        dimension: d.

    Raises:
        UserError: If it is neither, in one line that says what to write.
    """
    if _is_text(coefficient):
        return str(coefficient)
    entries = list(coefficient) if isinstance(coefficient, Sequence) and not isinstance(coefficient, str) else []
    if len(entries) == dimension:
        if all(map(_is_text, entries)):
            return tuple(tuple(str(a) if i == j else "0" for j in range(dimension)) for i, a in enumerate(entries))
        rows = [list(row) if isinstance(row, Sequence) and not isinstance(row, str) else [] for row in entries]
        if all(len(row) == dimension and all(map(_is_text, row)) for row in rows):
            return tuple(tuple(map(str, row)) for row in rows)
    size = f"{dimension} rows of {dimension}" if dimension > 1 else "one"
    raise UserError(
        f"problem.coefficient={as_typed(coefficient)}: write one formula, {dimension} for a diagonal matrix, or"
        f" {size} for a symmetric one"
    )


def velocity_texts(velocity: Any, dimension: int, name: str = "velocity", symbol: str = "b") -> tuple[str, ...]:
    """The texts of a velocity's components, from what a user wrote.

    Args:
        velocity: d formulas.
        dimension: d.
        name: What the setting is called.
        symbol: What the components are called.

    Raises:
        UserError: If these are not d formulas, in one line that says what to write.
    """
    entries = list(velocity) if isinstance(velocity, Sequence) and not isinstance(velocity, str) else []
    if len(entries) != dimension or not all(map(_is_text, entries)):
        raise UserError(
            f"problem.{name}={as_typed(velocity)}: write {dimension} formulas, {symbol}1 to {symbol}{dimension}, such"
            f" as [{', '.join(['1', *['0'] * (dimension - 1)])}]"
        )
    return tuple(map(str, entries))


def as_typed(given: Any) -> str:
    """A list or a mapping as one writes it on the command line."""
    if isinstance(given, Mapping):
        return f"{{{', '.join(f'{key}: {as_typed(inner)}' for key, inner in given.items())}}}"
    if isinstance(given, Sequence) and not isinstance(given, str):
        return f"[{', '.join(map(as_typed, given))}]"
    return str(given)


def _is_text(given: Any) -> bool:
    return isinstance(given, str | int | float) and not isinstance(given, bool)
