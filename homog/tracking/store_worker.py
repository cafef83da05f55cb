"""The child process that speaks to MLflow: `python -m homog.tracking.store_worker`, started by `remote`.

It reads a request a line from standard input and answers each in a line, with the request's number.
"""

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from homog.machine.interruption import SIGNALS
from homog.tracking.metrics import MetricsEntry
from homog.tracking.mlflow_store import MLflowStore
from homog.tracking.sender import first_line
from homog.tracking.store import described, is_busy, load_client


class Worker:
    """What can be asked for; the names are those of requests."""

    def __init__(self) -> None:
        self._stores: list[MLflowStore] = []
        self._requests: dict[str, Callable[..., Any]] = {
            "load": lambda: load_client() and None,
            "open": self._open,
            "require_answer": lambda store: self._stores[store].require_answer(),
            "create": lambda store, *of: self._stores[store].create(*of),
            "find": lambda store, key: self._stores[store].find(key),
            "describe": lambda store, *of: self._stores[store].describe(*of),
            "send_metrics": self._send_metrics,
            "send_artifact": lambda store, run, path: self._stores[store].send_artifact(run, Path(path)),
            "set_status": lambda store, *of: self._stores[store].set_status(*of),
        }

    def answer(self, line: str) -> str:
        """Do what a line asks for; the answer's line."""
        try:
            number, what, *arguments = json.loads(line)
        except ValueError:
            return json.dumps({"number": None, "error": "this is no request", "busy": False})
        try:
            found = {"result": self._requests[what](*arguments)}
        except Exception as error:  # whatever MLflow or the network had to say
            found = {"error": first_line(error), "busy": is_busy(error)}
        return json.dumps({"number": number, **found})

    def _open(self, kind: str, fields: dict[str, str]) -> tuple[int, str]:
        store = described(kind, fields).open()
        self._stores.append(store)
        return len(self._stores) - 1, store.link

    def _send_metrics(self, store: int, run_id: str, entries: list[tuple[int, int, dict[str, float]]]) -> None:
        self._stores[store].send_metrics(run_id, [MetricsEntry(*entry) for entry in entries])


def main() -> None:
    """Answer until standard input ends, as it does when the parent ends."""
    for number in SIGNALS:  # a scheduler sends them to all processes of a job; the parent hears them
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not be taken for an answer
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin, requests), daemon=True).start()
    worker = Worker()
    while True:
        print(worker.answer(requests.get()), file=answers)


def _read(stream: TextIO, requests: queue.SimpleQueue[str]) -> None:
    for line in stream:
        requests.put(line)
    os._exit(0)  # nobody waits for what is under way, a server that hangs perhaps


if __name__ == "__main__":
    main()
