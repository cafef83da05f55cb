"""The checks of ranges: each refusal is one line that names the setting and what to write instead."""

from collections.abc import Collection
from math import isfinite

from homog.errors import UserError

MISSING = "???"  # what OmegaConf takes for 'must be given'


def require(holds: bool, name: str, value: object, wanted: str) -> None:
    """Refuse a value that does not hold."""
    if not holds:
        shown = value if not isinstance(value, int) or abs(value) < 10**30 else f"{'-' * (value < 0)}(a huge number)"
        raise UserError(f"{name}={shown} is out of range: write {wanted}")


def positive(name: str, value: float) -> None:
    """Refuse anything but a finite number above zero."""
    require(_is_finite(value) and value > 0, name, value, "a positive number")


def at_least(name: str, value: float, least: float) -> None:
    """Refuse anything but a finite number from `least` on."""
    require(_is_finite(value) and value >= least, name, value, f"a number of at least {least}")


def count(name: str, value: int, most: int = 10**9) -> None:
    """Refuse anything but a whole number from 1 to what could ever be held."""
    require(1 <= value <= most, name, value, f"a whole number from 1 to {most:,}")


def one_of(name: str, value: str, choices: Collection[str]) -> None:
    """Refuse a word that is none of the choices."""
    if value not in choices:
        raise UserError(f"{name}={value} is unknown: write one of {', '.join(choices)}")


def label(name: str, value: str) -> None:
    """Refuse a name that is no short line of text: it stands in tables, figures and MLflow."""
    if not (value.isprintable() and 0 < len(value) <= 200):
        raise UserError(f"{name}={value[:40]!a} is not a valid name: write one to 200 printable characters")


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # a whole number beyond any floating-point number
        return False
