"""The one exception that speaks to the user, and the hint that most of its messages end with."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """A mistake that the user can mend.

    Its message is one line that says what is wrong and what to write instead; `homog-run` prints it and
    exits with status 2, without a traceback.
    """


def hint(word: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown word: the nearest known one, or all of them."""
    known = list(known)
    near = get_close_matches(word, known, 1, 0.5)
    return f"did you mean {near[0]}?" if near else f"write one of {', '.join(known)}"
