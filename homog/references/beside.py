"""A reference that is had while other work goes on."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from homog.config import ReferenceSettings
from homog.domains import Places
from homog.equation import Problem
from homog.references import cache
from homog.references.compute import reference
from homog.references.process import SolverFailed
from homog.references.result import Reference

_log = logging.getLogger("homog")


class ReferenceBeside:
    """What `reference` returns, computed in a thread as a context manager; leaving it ends what nobody waits for.

    Args:
        problem: As for `reference`, like what follows.
        settings: Which solutions.
        count: Points an axis of the evaluation grid, or in all where there is none.
        folder: For caches.
    """

    def __init__(self, problem: Problem, settings: ReferenceSettings, count: int, folder: Path) -> None:
        self._question = problem, settings, count, folder
        self._stop = threading.Event()
        self._thread = ThreadPoolExecutor(1, "homog reference")

    def wait(self) -> Reference:
        """The reference; the log tells of it here, and not while others speak.

        Without one walkers answer all the same: where the solver ends badly, for want of memory say, there is an empty
        one whose note says so, and the next run tries again.

        Raises:
            UserError: As `reference` does.
        """
        if not (self._known or self._found.done()):
            _log.info("computing the reference")
        try:
            found = self._found.result()
        except (SolverFailed, MemoryError) as error:
            return self._missing(str(error) or "out of memory: write a smaller reference.max_unknowns")
        unknowns = f" of {found.unknowns:,} unknowns" if found.unknowns else ""
        _log.info("reference%s, kept in %s", unknowns, self._path)
        return found

    def _missing(self, why: str) -> Reference:
        problem, _, count, _ = self._question
        places = Places.of(problem.domain, count)
        return Reference(places, None, None, None, None, None, None, 0, 0.0, (f"there is no reference: {why}",))

    def __enter__(self) -> Self:
        self._path, _ = cache.entry(*self._question)
        self._known = self._path.exists()
        try:
            self._found = self._thread.submit(reference, *self._question, self._stop)
            return self
        except BaseException:  # a signal
            self._stop.set()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.shutdown()
