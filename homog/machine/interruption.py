"""Signals that ask a run to end: heard at once, or, where something must not be torn, at the next good place."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Ctrl-C, what ends a service or a batch job, and what schedulers send before they do."""


class Interrupted(KeyboardInterrupt):
    """A signal asked for the end.

    Args:
        number: Number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number

    @property
    def status(self) -> int:
        """The exit status that says so, as shells have it."""
        return 128 + self.number


class Interruption:
    """A context in which the first signal raises `Interrupted`; while it is `held`, it waits to be asked for.

    The second one ends the process. Python hears signals between two of its instructions: a walk or a solve of a linear
    system, once begun, comes to its end first, and equal signals within it count as one. A signal that was
    ignored before, as under nohup, stays ignored. Outside the main thread, where Python hears no signals, this does
    nothing.

    Attributes:
        descriptor: Descriptor of a file that can be read once a signal has come, for those who wait for several things.
    """

    def __enter__(self) -> Self:
        self._caught: int | None = None
        self._held = False
        self.descriptor, self._writer = os.pipe()
        self._before: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):  # None: that of a library in C
                    self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self.descriptor)
        os.close(self._writer)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, a signal only raises where `check` is called, and at the end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self.check()

    def hold_to_the_end(self) -> None:
        """From here on a first signal changes nothing: what is left takes seconds, and must not be torn."""
        self._held = True

    @property
    def wanted(self) -> bool:
        """Whether a signal has come."""
        return self._caught is not None

    def check(self) -> None:
        """Raise what was held back.

        Raises:
            Interrupted: If a signal has come.
        """
        if self._caught is not None:
            raise Interrupted(self._caught)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._caught is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._caught = number
        os.write(self._writer, b".")
        if not self._held:
            raise Interrupted(number)
