"""The exceptions that speak to the user, and the hint that most of their messages end with."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """A mistake that the user can mend.

    Its message is one line that says what is wrong and what to write instead; `homog-run` prints it and
    exits with status 2, without a traceback.
    """


class NotFinite(UserError):
    """A number that is NaN or infinite, where nothing right can come after it.

    Args:
        what: Which, and where.
        advice: What to write instead.
        iteration: Its number, counted from 1, where it is known.
    """

    def __init__(self, what: str, advice: str, iteration: int | None = None) -> None:
        place = "" if iteration is None else f" at iteration {iteration}"
        super().__init__(f"{what}{place}: {advice}")
        self.what = what
        self.advice = advice
        self.iteration = iteration

    def at(self, iteration: int) -> "NotFinite":
        """The same with the number of the iteration, unless it has one."""
        return self if self.iteration is not None else NotFinite(self.what, self.advice, iteration)


_ALIKE = 0.65  # the share of letters in common: eps and epz have 0.67, time and name 0.5
_LONGER = 2  # letters that one word may have more than the other


def hint(word: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown word: a known one that is very much like it, or all of them."""
    known = list(known)
    near = [other for other in get_close_matches(word, known, 3, _ALIKE) if abs(len(other) - len(word)) <= _LONGER]
    return f"did you mean {near[0]}?" if near else f"write one of {', '.join(known)}"
