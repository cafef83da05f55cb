"""The few calls of MLflow's REST interface that a run makes, answered by a server that fails on command."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

Fault = Literal["none", "down", "hangs", "answers 500", "loses its answers"]


@dataclass
class StubRun:
    """What the server has of a run; metrics are a set, as in MLflow's tables."""

    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    metrics: set[tuple[str, int, int, str]] = field(default_factory=set)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    status: str = "RUNNING"
    statuses: list[str] = field(default_factory=list)
    deleted: bool = False


class StubServer:
    """An MLflow server on 127.0.0.1; set `fault` at any time."""

    def __init__(self) -> None:
        self.fault: Fault = "none"
        self.runs: dict[str, StubRun] = {}
        self.experiments: dict[str, str] = {}
        self.healed = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                fault = stub.fault
                if fault == "down":  # as if nobody had listened
                    self.close_connection = True
                    return
                if fault == "hangs":
                    stub.healed.wait(60)
                    self.close_connection = True
                    return
                status, answer = (500, {}) if fault == "answers 500" else stub.answer(self.path, body)
                if fault == "loses its answers" and "search" not in self.path and self.command != "GET":
                    self.close_connection = True
                    return
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = _answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 32

        self._server = Server(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.healed.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(path)
        if "/mlflow-artifacts/artifacts/" in parts.path:
            _, run_id, _, name = parts.path.partition("/artifacts/")[2].split("/", 3)
            self.runs[run_id].artifacts[name] = body
            return 200, {}
        call = parts.path.partition("/mlflow/")[2].replace("/", "_").replace("-", "_")
        asked = dict(parse_qsl(parts.query)) | (json.loads(body) if body else {})
        return getattr(self, f"_{call}", lambda _: (404, {"error_code": "ENDPOINT_NOT_FOUND"}))(asked)

    def _experiments_get_by_name(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        name = asked["experiment_name"]
        if name not in self.experiments:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such experiment"}
        experiment = {"experiment_id": self.experiments[name], "name": name, "lifecycle_stage": "active"}
        return 200, {"experiment": {**experiment, "artifact_location": "mlflow-artifacts:/1"}}

    def _experiments_search(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, {}

    def _experiments_create(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, {"experiment_id": self.experiments.setdefault(asked["name"], str(len(self.experiments) + 1))}

    def _runs_create(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        run_id = uuid.uuid4().hex
        self.runs[run_id] = StubRun({tag["key"]: tag["value"] for tag in asked["tags"]})
        return 200, {"run": self._described(run_id)}

    def _runs_get(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, {"run": self._described(asked["run_id"])}

    def _runs_search(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        wanted = asked["filter"].rpartition(" = ")[2].strip("'")
        found = [i for i, run in self.runs.items() if wanted in run.tags.values() and not run.deleted]
        return 200, {"runs": [self._described(run_id) for run_id in found]}

    def _runs_delete(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.runs[asked["run_id"]].deleted = True
        return 200, {}

    def _runs_log_batch(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        run = self.runs[asked["run_id"]]
        run.tags |= {tag["key"]: tag["value"] for tag in asked.get("tags", [])}
        run.params |= {param["key"]: param["value"] for param in asked.get("params", [])}
        for metric in asked.get("metrics", []):
            run.metrics.add((metric["key"], int(metric["timestamp"]), int(metric["step"]), str(float(metric["value"]))))
        return 200, {}

    def _runs_update(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        run = self.runs[asked["run_id"]]
        run.status = asked["status"]
        run.statuses.append(run.status)
        return 200, {"run_info": self._described(asked["run_id"])["info"]}

    def _described(self, run_id: str) -> dict[str, Any]:
        location = f"mlflow-artifacts:/1/{run_id}/artifacts"
        run = self.runs[run_id]
        info = {"run_id": run_id, "run_uuid": run_id, "experiment_id": "1", "status": run.status}
        return {"info": {**info, "artifact_uri": location, "lifecycle_stage": "active", "start_time": 1}, "data": {}}


@contextmanager
def stub_server() -> Iterator[StubServer]:
    """A server for as long as the context lasts."""
    server = StubServer()
    try:
        yield server
    finally:
        server.stop()


def await_that(condition: Any, seconds: float = 20.0) -> None:
    """Fail if something does not become true soon."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
