"""References on disk: computed once, however many processes ask, and read on machines without dolfinx."""

import hashlib
import io
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from filelock import FileLock

from homog.config import ReferenceSettings
from homog.errors import UserError
from homog.problems import Problem
from homog.references.result import Reference

_FORMAT = 1  # counts up when the numbers or their layout change: older entries are then not found
_ARRAYS = (
    *("fine", "homogenized", "mean_coefficient", "effective_tensor"),
    *("effective_values", "effective_tensors"),
)
_PLAIN = ("mean", "error_estimate", "unknowns", "seconds", "notes")
_DIGEST = hashlib.sha256().digest_size

_log = logging.getLogger("homog")


def entry(problem: Problem, settings: ReferenceSettings, grid_count: int, folder: Path) -> tuple[Path, dict]:
    """The file of a reference, named after the content of the question, and the question itself."""
    question = {
        "format": _FORMAT,
        "problem": json.loads(problem.key()),
        "kind": type(settings).__name__,
        "settings": asdict(settings),
        "grid": grid_count,
    }
    name = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    return folder / "references" / f"{name}.npz", question


def fetch(path: Path, question: Mapping, compute: Callable[[], Reference]) -> Reference:
    """The reference in a file; computed and written there if the file is missing or damaged.

    Args:
        path: The file; its folder is made.
        question: What it answers, kept with it for a reader.
        compute: Called at most once, while no other process computes the same.

    Raises:
        UserError: If the folder cannot be written and there is no sound file in it.
    """
    found = _read(path)
    if found is None:
        _make_writable(path.parent)
        with FileLock(path.with_suffix(".lock")):
            found = _read(path)  # another process may have been faster
            if found is None:
                if path.exists():
                    _log.warning("the cached reference %s is damaged: computing it again", path)
                found = compute()
                _write(path, question, found)
                return found
    _log.info("reference read from %s", path)
    return found


def _read(path: Path) -> Reference | None:
    """None if no file can be read, if its last bytes are not the SHA-256 of the others, or if it holds objects."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    body, digest = content[:-_DIGEST], content[-_DIGEST:]
    if hashlib.sha256(body).digest() != digest:
        return None
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            return _unpack(dict(arrays))
    except ValueError:  # what np.load says to an object
        return None


def _unpack(arrays: Mapping[str, np.ndarray]) -> Reference:
    plain = json.loads(str(arrays["json"]))
    return Reference(
        axes=tuple(arrays[f"x{i + 1}"] for i in range(plain["dimension"])),
        **{name: arrays.get(name) for name in _ARRAYS},
        mean=plain["mean"],
        error_estimate=plain["error_estimate"],
        unknowns=plain["unknowns"],
        seconds=plain["seconds"],
        notes=tuple(plain["notes"]),
    )


def _write(path: Path, question: Mapping, reference: Reference) -> None:
    """All or nothing: a temporary file, on disk before it takes the name. The lock makes this process the only one."""
    arrays = {f"x{i + 1}": axis for i, axis in enumerate(reference.axes)}
    arrays |= {name: getattr(reference, name) for name in _ARRAYS if getattr(reference, name) is not None}
    plain = {"question": question, "dimension": len(reference.axes)}
    plain |= {name: getattr(reference, name) for name in _PLAIN}
    body = io.BytesIO()
    np.savez(body, allow_pickle=False, json=np.array(json.dumps(plain)), **arrays)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(body.getvalue())
        file.write(hashlib.sha256(body.getvalue()).digest())  # readers of zip files ignore what follows
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be made ({error.strerror}): choose another HOMOG_HOME") from None
    if not os.access(folder, os.W_OK):
        raise UserError(f"the folder {folder} cannot be written: choose another HOMOG_HOME")
