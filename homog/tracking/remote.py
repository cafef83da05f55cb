"""MLflow in a child process: its import takes seconds, and would take them from a run in whose process it was."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any

from homog.tracking.ledger import Status
from homog.tracking.metrics import MetricsEntry
from homog.tracking.store import Address, StoreError, describe

_ENDED = "the process that speaks to MLflow has ended"
_SECONDS_TO_END = 5.0


class StoreProcess:
    """A child process that opens stores; it begins at once, and ends with this process or when it is told to.

    One thread may ask at a time.
    """

    def __init__(self) -> None:
        package = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "homog.tracking.store_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # a signal to the process group is this process's to hear
            text=True,
            bufsize=1,
        )

        self._asked = 0

    def await_loaded(self) -> None:
        """Return when MLflow is imported, or cannot be."""
        with suppress(StoreError):
            self.ask("load")

    def open(self, address: Address) -> "RemoteStore":
        """As `address.open` does, in the child process.

        Raises:
            StoreError: Whatever went wrong.
        """
        number, link = self.ask("open", *describe(address))
        return RemoteStore(self, number, link)

    def ask(self, what: str, *arguments: Any) -> Any:
        """Have one thing done, and wait for it.

        Args:
            what: A name that `store_worker` knows.
            arguments: Plain values.

        Raises:
            StoreError: If it fails, or the process has ended.
        """
        process, self._asked = self._process, self._asked + 1
        assert process.stdin is not None
        assert process.stdout is not None
        answer = {"error": _ENDED, "busy": False}
        with suppress(OSError, ValueError):
            process.stdin.write(json.dumps([self._asked, what, *arguments]) + "\n")
            process.stdin.flush()
            heard = json.loads(process.stdout.readline())
            if heard["number"] == self._asked:
                answer = heard
        if answer.get("error") == _ENDED:  # or it has said something that is no answer
            self.kill()
        if "error" in answer:
            raise StoreError(answer["error"], busy=answer["busy"])
        return answer["result"]

    @property
    def has_ended(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """End the process, whatever it does; a thread that waits for an answer gets an error."""
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):  # it may wait for a disk
            self._process.wait(_SECONDS_TO_END)

    def end(self) -> None:
        """End it, when nobody asks any more."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                assert stream is not None
                stream.close()


class RemoteStore:
    """A store that a `StoreProcess` has opened; it does what `MLflowStore` does.

    Args:
        process: Where.
        number: Number of the store there.
        link: As of `MLflowStore`.
    """

    def __init__(self, process: StoreProcess, number: int, link: str) -> None:
        self.link = link
        self._process = process
        self._number = number

    def require_answer(self) -> None:
        self._ask("require_answer")

    def create(self, key: str, name: str, tags: Mapping[str, str], started_at: int) -> str:
        return self._ask("create", key, name, dict(tags), started_at)

    def find(self, key: str) -> str | None:
        return self._ask("find", key)

    def describe(self, run_id: str, parameters: Mapping[str, str], tags: Mapping[str, str]) -> None:
        self._ask("describe", run_id, dict(parameters), dict(tags))

    def send_metrics(self, run_id: str, entries: Sequence[MetricsEntry]) -> None:
        self._ask("send_metrics", run_id, [astuple(entry) for entry in entries])

    def send_artifact(self, run_id: str, path: Path) -> None:
        self._ask("send_artifact", run_id, str(path))

    def set_status(self, run_id: str, status: Status, ended_at: int | None) -> None:
        self._ask("set_status", run_id, status, ended_at)

    def _ask(self, what: str, *arguments: Any) -> Any:
        return self._process.ask(what, self._number, *arguments)
