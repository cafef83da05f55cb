"""Samples of the iterations to come, drawn while others train."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Ahead[Sample]:
    """Draws the samples of iterations ahead: on the CPU the next one in a thread, on a GPU several in one launch.

    Args:
        draw: Draws the sample of an iteration, given its number and what `send` was given.
        draw_together: Draws the samples of several iterations in one launch, from the first number on and at most up to
            the one before the second; None for samples that are drawn one by one, in the thread.
    """

    def __init__(
        self, draw: Callable[..., Sample], draw_together: Callable[[int, int], Iterable[Sample]] | None
    ) -> None:
        self._draw = draw
        self._draw_together = draw_together
        self._until = 0
        self._thread = ThreadPoolExecutor(1, "homog walkers")
        self._next: tuple[int, Future[Sample]] | None = None
        self._kept: dict[int, Sample] = {}

    def begin(self, iteration: int, until: int, *given: Any) -> None:
        """Draw ahead from an iteration on up to the one before `until`; what is under way goes on.

        Args:
            iteration: The first number.
            until: The first that is not drawn ahead; 0 for none.
            given: For `draw`, of the first.
        """
        self._until = until
        if self._next is None:
            self.send(iteration, *given)

    def send(self, iteration: int, *given: Any) -> None:
        """Draw the sample of an iteration in the thread, if it is drawn ahead and by itself."""
        self._next = None
        if iteration < self._until and self._draw_together is None:
            self._next = iteration, self._thread.submit(self._draw, iteration, *given)

    def take(self, iteration: int) -> Sample | None:
        """The sample of an iteration; None where it was not drawn ahead."""
        if self._next is not None and self._next[0] == iteration:
            return self._next[1].result()
        if iteration in self._kept:
            return self._kept.pop(iteration)
        self.discard()
        if iteration < self._until and self._draw_together is not None:
            self._kept = dict(enumerate(self._draw_together(iteration, self._until), iteration))
            return self._kept.pop(iteration)
        return None

    def discard(self) -> None:
        """Discard what was drawn. A walk that is under way cannot be cancelled: wait for it."""
        if self._next is not None:
            self._next[1].exception()
        self._next, self._kept = None, {}

    def beside(self, work: Callable[[], object]) -> None:
        """Do some other work in the thread, before what is drawn there."""
        self._thread.submit(work)
