"""The thread that speaks to MLflow, so that training never waits for it."""

import functools
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from filelock import BaseFileLock

from homog.tracking.delivery import Delivery
from homog.tracking.ledger import Ledger
from homog.tracking.remote import StoreProcess
from homog.tracking.store import Address, is_busy, is_loaded

_logger = logging.getLogger(__name__)

_SECONDS_BETWEEN = 5.0  # a batch takes 3 to 80 ms of this process's time
_MOST_SECONDS_BETWEEN = 60.0  # while the store fails
_SECONDS_TO_LOAD = 120.0  # MLflow, on a busy machine
_RESTARTS = 3  # of the process that speaks to MLflow
_LAST_ATTEMPTS, _SECONDS_BETWEEN_LAST = 3, 0.5


class Sender:
    """Delivers run folders in a thread of its own, and lets others wait for it as long as that makes sense.

    A daemon: a server that hangs must not keep the process from ending. What it did not send stays in the
    ledgers, for `homog-sync`.
    """

    def __init__(self, patience: float) -> None:
        """Start the thread.

        Where this process has not imported MLflow another one does it for us: the import takes seconds of Python's one
        lock, which would be lost to a training that runs beside it.

        Args:
            patience: Seconds without an answer from the store after which to wait no longer.
        """
        self._patience = patience
        self._deliveries: list[Delivery] = []
        self._locks: list[BaseFileLock] = []
        self._process: StoreProcess | None = None
        self._restarts = _RESTARTS
        self._begin_process()
        self._wake = threading.Event()
        self._closing = False
        self._failure: Exception | None = None
        self._answered_at = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="homog tracking", daemon=True)
        self._thread.start()

    def add(self, ledger: Ledger, address: Address, lock: BaseFileLock, *, is_new: bool = False) -> Delivery:
        """Deliver a run folder from now on.

        Args:
            ledger: Ledger of the folder.
            address: Address of its store.
            lock: The folder's; it is released when the thread ends, and can do no more harm.
            is_new: As for `Delivery`.
        """
        delivery = Delivery(
            ledger, address, lambda place: self._stores(place), is_new=is_new, answered=self._note_answer
        )
        self._locks.append(lock)
        self._deliveries.append(delivery)
        self._wake.set()
        return delivery

    def wait(self, done: Callable[[], bool]) -> bool:
        """Wait until something is done, but no longer than the store answers, and does so without errors.

        Returns:
            Whether it is.
        """
        self._wait(lambda: done() or self._failed)
        return done()

    def close(self) -> Exception | None:
        """Send what is left and end the thread, or leave it behind where it hangs.

        Returns:
            Why something is left, or None.
        """
        self._closing = True
        self._wake.set()
        if self._wait(lambda: not self._thread.is_alive()):
            return self._failure
        if self._process:
            self._process.kill()
        return self._failure or TimeoutError(f"no answer for {self._patience:g} seconds")

    def _wait(self, done: Callable[[], bool]) -> bool:
        start = time.monotonic()
        while not done():
            silent = time.monotonic() - max(start, self._answered_at)
            if silent > (_SECONDS_TO_LOAD if self._loading else self._patience) or not self._thread.is_alive():
                return done()
            self._thread.join(0.02)
        return True

    @property
    def _failed(self) -> bool:
        return self._failure is not None and not is_busy(self._failure)

    def _note_answer(self) -> None:
        self._answered_at = time.monotonic()

    def _begin_process(self) -> None:
        """Load MLflow elsewhere, or get ready to do so here where no process can be had."""
        self._loading = False
        if not is_loaded():
            with suppress(OSError):
                self._process, self._loading = StoreProcess(), True
        self._stores = functools.cache(self._process.open if self._process else lambda address: address.open())

    def _await_process(self) -> None:
        if self._process and self._loading:
            self._process.await_loaded()
            self._note_answer()
            self._loading = False

    def _replace_process(self) -> None:
        """One that was killed, for want of memory perhaps, is not the end of the record."""
        if self._process and self._process.has_ended and self._restarts:
            self._restarts -= 1
            self._process.end()
            self._begin_process()
            self._await_process()

    def _work(self) -> None:
        try:
            self._await_process()
            self._send_until_closed()
        finally:
            if self._process:
                self._process.end()
            for lock in self._locks:
                lock.release()

    def _send_until_closed(self) -> None:
        pause, last_attempts = _SECONDS_BETWEEN, 0
        while True:
            self._wake.clear()  # before it is read what for
            closing = self._closing
            self._replace_process()
            failed_before, self._failure = self._failed, self._attempt()
            if self._failure is None:
                if closing:
                    return
                pause = _SECONDS_BETWEEN
            elif closing:
                last_attempts += self._failed
                if last_attempts == _LAST_ATTEMPTS:
                    return
                pause = _SECONDS_BETWEEN_LAST
            else:
                if self._failed and not failed_before:
                    _logger.info("MLflow does not take this run at the moment: %s", first_line(self._failure))
                pause = min(2 * pause, _MOST_SECONDS_BETWEEN)
            self._wake.wait(pause)

    def _attempt(self) -> Exception | None:
        failure = None
        for delivery in list(self._deliveries):
            try:
                delivery.send()
            except Exception as error:  # whatever it is, it must not cost the run
                failure = error
        return failure


def first_line(error: BaseException) -> str:
    """What an error says, for a message of one line; of several that led to each other, the first says why."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    line = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return "".join(letter if letter.isprintable() else "?" for letter in line)  # a server may say anything
