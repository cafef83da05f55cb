"""The processes of a sweep: started quickly, awaited together, ended together."""

import multiprocessing
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess

from homog import tracking
from homog.machine.interruption import SIGNALS
from homog.sweep.child import GRACE_SECONDS, Order, obey
from homog.sweep.job import Job

_INTERRUPTED = {128 + number: number for number in SIGNALS}  # exit statuses
_context = multiprocessing.get_context("forkserver")


def prepare() -> None:
    """Start the server that jobs are forked from; it imports torch and the rest once, while other work goes on.

    It never touches a GPU, so each of its children can. A signal to the whole process group, as schedulers send it,
    must not end it: it is for this process to end the jobs.
    """
    _context.set_forkserver_preload(
        ["homog.run.runner", "homog.run.experiment", "matplotlib.backends.backend_agg", *tracking.modules_to_preload()]
    )
    before = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}  # what a child process inherits
    try:
        forkserver.ensure_running()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class End:
    """The end of a job's process.

    Attributes:
        job: The job.
        reason: Empty if the job ended well; else why not, in one line.
        seconds: From its start.
        interrupted: Whether it was asked to end, by this process or another.
    """

    job: Job
    reason: str
    seconds: float
    interrupted: bool = False


@dataclass(frozen=True)
class _Child:
    job: Job
    process: ForkServerProcess
    answer: Connection
    started: float

    def end(self) -> End:
        self.process.join()
        status = self.process.exitcode
        try:  # the answer of a process that lived to give one
            reason = self.answer.recv() if self.answer.poll() else _reason_of(status)
        except (EOFError, OSError):
            reason = _reason_of(status)
        self.answer.close()
        self.process.close()
        return End(self.job, reason, time.monotonic() - self.started, status in _INTERRUPTED)


class Processes:
    """The jobs that run at the moment."""

    def __init__(self) -> None:
        self._children: list[_Child] = []

    def __len__(self) -> int:
        return len(self._children)

    def start(self, order: Order) -> None:
        """Start a job in a process of its own, which ends when this process does."""
        order.job.folder.mkdir(parents=True, exist_ok=True)
        receiver, sender = _context.Pipe(duplex=False)
        process = _context.Process(target=obey, args=(order, sender), name=f"job {order.job.number}")
        process.start()
        sender.close()  # so that an end without an answer is seen
        self._children.append(_Child(order.job, process, receiver, time.monotonic()))

    def wait(self, *others: int, timeout: float | None = None) -> list[End]:
        """Wait until a job has ended.

        Args:
            others: File descriptors; one that can be read ends the waiting too.
            timeout: Seconds, likewise.

        Returns:
            The ends of all jobs that have ended.
        """
        wait([*(child.process.sentinel for child in self._children), *others], timeout)
        ended = [child for child in self._children if not child.process.is_alive()]
        self._children = [child for child in self._children if child not in ended]
        return [child.end() for child in ended]

    def stop(self) -> Iterator[End]:
        """End all jobs: first by a request, so that they can record it, then by force."""
        asked = [child.job for child in self._children]
        deadline = time.monotonic() + GRACE_SECONDS
        try:
            for child in self._children:
                child.process.terminate()
            while self._children and (left := deadline - time.monotonic()) > 0:
                for end in self.wait(timeout=left):
                    yield replace(end, interrupted=end.job in asked and bool(end.reason))
        finally:  # asked twice, or not heard
            for child in self._children:
                child.process.kill()
        while self._children:
            for end in self.wait():
                yield replace(end, interrupted=True)


def _reason_of(status: int | None) -> str:
    if status == -signal.SIGKILL:
        return "killed by SIGKILL, for want of memory perhaps"
    if status is not None and status < 0:
        return f"killed by signal {-status} ({signal.strsignal(-status)})"
    if status in _INTERRUPTED:
        return f"interrupted by {_INTERRUPTED[status].name}"
    return f"ended with status {status} before its run did"
