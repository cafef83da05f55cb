"""One process at a time for a run folder."""

from pathlib import Path

from filelock import FileLock, Timeout

LOCK_FILE = "run.lock"


def lock_run(folder: Path) -> FileLock | None:
    """Take the lock of a run folder; the system frees it when the process ends, however it ends.

    Args:
        folder: The run's; it must exist.

    Returns:
        The lock, to be released by any thread; None where another has it, that is: where the run goes on.

    Raises:
        OSError: If the folder cannot be written.
    """
    lock = FileLock(folder / LOCK_FILE, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


def is_going_on(folder: Path) -> bool:
    """Whether a process has the run of a folder.

    Raises:
        OSError: If the folder cannot be written.
    """
    lock = lock_run(folder)
    if lock is not None:
        lock.release()
    return lock is None
