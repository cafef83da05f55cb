"""`tracking.json`, beside `metrics.jsonl`: what MLflow is to have of a run, and what of it has arrived."""

import json
import re
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

from homog.config import LocalTracking, ServerTracking, TrackingSettings
from homog.machine import durable
from homog.tracking.metrics import METRICS_FILE

LEDGER_FILE = "tracking.json"
Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

_FORMAT = 1  # counts up when the layout changes
_LARGEST = 10_000_000  # bytes; ours have some thousands
_KINDS = {"local": LocalTracking, "server": ServerTracking}
_STATUSES = ("RUNNING", "FINISHED", "FAILED", "KILLED")


@dataclass
class ArtifactCount:
    """How often a file was handed over, and up to which of these times it is in the store."""

    asked: int = 1
    sent: int = 0


@dataclass
class Ledger:
    """The account of one run folder; every change is on the disk when its method returns.

    The main thread of a run writes what is wanted, its sender what has arrived.

    Attributes:
        folder: The run's.
        settings: Which store.
        name: The run's in MLflow; likewise `parameters` and `tags`.
        started_at: When the run began, in milliseconds since 1970-01-01, UTC.
        key: 32 hexadecimal digits that no other run has: by these the run is found in the store when nobody
            knows any more whether its creation succeeded.
        run_id: In the store, once it is known.
        described: Whether the store has parameters and tags as they are here.
        sent_bytes: Up to where `metrics.jsonl` is in the store.
        artifacts: By the path relative to the folder.
        status: RUNNING until the run has said otherwise.
        ended_at: When it did, likewise in milliseconds.
        sent_status: The last one in the store.
    """

    folder: Path
    settings: TrackingSettings
    name: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    started_at: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    run_id: str | None = None
    described: bool = False
    sent_bytes: int = 0
    artifacts: dict[str, ArtifactCount] = field(default_factory=dict)
    status: Status = "RUNNING"
    ended_at: int | None = None
    sent_status: Status | None = None

    def __post_init__(self) -> None:
        self._lock = threading.RLock()

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read the account of a run folder.

        Returns:
            The account, or None where there is none.

        Raises:
            ValueError: If there is one that cannot be right; in one line.
            OSError: If it cannot be read.
        """
        path = folder / LEDGER_FILE
        if not path.exists():
            return None
        if not path.is_file() or path.stat().st_size > _LARGEST:
            raise ValueError(f"{path} is no {LEDGER_FILE} of a run")
        try:
            return cls._from_json(folder, json.loads(path.read_bytes()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} is damaged ({_first_line(error)})") from None

    @property
    def complete(self) -> bool:
        """Whether the store has all of it; `False` for a run that goes on, or died."""
        path = self.folder / METRICS_FILE
        return (
            self.run_id is not None
            and self.described
            and self.status == self.sent_status != "RUNNING"
            and self.sent_bytes >= (path.stat().st_size if path.exists() else 0)
            and not self.unsent_artifacts()
        )

    def unsent_artifacts(self) -> list[str]:
        """Those of which the store has nothing, or not the latest."""
        with self._lock:
            return [name for name, count in self.artifacts.items() if count.sent < count.asked]

    def update(self, **changes: Any) -> None:
        """Set attributes.

        Raises:
            OSError: If they cannot be written.
        """
        with self._lock:
            for name, value in changes.items():
                setattr(self, name, value)
            self._write()

    def ask(self, path: Path) -> None:
        """Note that a file or folder is to be sent, once more if it was before.

        Raises:
            ValueError: If it is not in the run's folder.
            OSError: If the note cannot be written.
        """
        name = path.resolve().relative_to(self.folder.resolve()).as_posix()
        with self._lock:
            self.artifacts.setdefault(name, ArtifactCount(asked=0)).asked += 1
            self._write()

    def arrived(self, name: str, asked: int) -> None:
        """Note that an artifact is in the store as it was when it had been asked for so many times."""
        with self._lock:
            self.artifacts[name].sent = asked
            self._write()

    def _write(self) -> None:
        described = {key: value for key, value in vars(self).items() if key not in ("folder", "_lock")}
        kind = next(kind for kind, chosen in _KINDS.items() if type(self.settings) is chosen)
        described["settings"] = {"kind": kind, **asdict(self.settings)}
        described["artifacts"] = {name: asdict(count) for name, count in self.artifacts.items()}
        durable.write(self.folder / LEDGER_FILE, json.dumps({"format": _FORMAT, **described}, indent=1).encode())

    @classmethod
    def _from_json(cls, folder: Path, content: Any) -> Self:
        """Take nothing on trust: what stands here is sent to servers, and names files to send."""
        if content["format"] != _FORMAT:
            raise ValueError(f"format {str(content['format'])[:20]}, this homog knows {_FORMAT}")
        settings = dict(content["settings"])
        chosen = _KINDS[settings.pop("kind")](**settings)
        run_id, status, sent_status = content["run_id"], content["status"], content["sent_status"]
        ended_at = content["ended_at"]
        checks = {
            "settings": all(isinstance(value, str) for value in settings.values()),
            "name": isinstance(content["name"], str),
            "parameters": _is_text(content["parameters"]),
            "tags": _is_text(content["tags"]),
            "key": re.fullmatch(r"[0-9a-f]{32}", content["key"]),
            "run_id": run_id is None or re.fullmatch(r"[\w-]{1,64}", run_id),
            "described": isinstance(content["described"], bool),
            "sent_bytes": _is_count(content["sent_bytes"]),
            "status": status in _STATUSES,
            "sent_status": sent_status is None or sent_status in _STATUSES,
            "started_at": _is_count(content["started_at"]),
            "ended_at": ended_at is None or _is_count(ended_at),
        }
        for name, right in checks.items():
            if not right:
                raise ValueError(f"{name} cannot be right")
        artifacts = {_inner_path(name): ArtifactCount(**count) for name, count in content["artifacts"].items()}
        if not all(_is_count(count.asked) and _is_count(count.sent) for count in artifacts.values()):
            raise ValueError("artifacts cannot be right")
        values = {name: content[name] for name in checks if name != "settings"}
        return cls(folder=folder, settings=chosen, artifacts=artifacts, **values)


def _is_text(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _inner_path(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ValueError("an artifact lies outside the run's folder")
    return name


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]
