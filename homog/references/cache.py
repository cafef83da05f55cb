"""References on disk: computed once, however many processes ask, and read on machines without dolfinx."""

import hashlib
import io
import json
import logging
import os
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from filelock import AcquireReturnProxy, FileLock, Timeout

from homog.config import ReferenceSettings
from homog.domains import Places
from homog.equation import Problem
from homog.errors import UserError
from homog.machine import durable
from homog.references.process import Stopped
from homog.references.result import Reference

_FORMAT = 3  # counts up when the numbers or their layout change: older entries are then not found
_ARRAYS = (
    *("fine", "homogenized", "mean_coefficient", "effective_tensor"),
    *("effective_values", "effective_tensors"),
    *("fine_standard_error", "homogenized_standard_error"),
    *("fine_over_time", "homogenized_over_time"),
    *("fine_over_time_error_estimate", "homogenized_over_time_error_estimate"),
    *("eigenvalues", "homogenized_eigenvalues", "eigenvalues_error_estimate"),
)
_ESTIMATES = (
    *("error_estimate", "homogenized_error_estimate"),
    *("mean_coefficient_error_estimate", "cell_problem_error_estimate"),
)
_PLAIN = ("mean", *_ESTIMATES, "unknowns", "seconds", "notes", "by")

_log = logging.getLogger("homog")


def entry(problem: Problem, settings: ReferenceSettings, count: int, folder: Path) -> tuple[Path, dict]:
    """The file of a reference, named after the content of the question, and the question itself."""
    question = {
        "format": _FORMAT,
        "problem": json.loads(problem.key()),
        "kind": type(settings).__name__,
        "settings": asdict(settings),
        "grid": count,
    }
    name = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    return folder / "references" / f"{name}.npz", question


def fetch(
    path: Path, question: Mapping, compute: Callable[[], Reference], stop: threading.Event | None = None
) -> Reference:
    """The reference in a file; computed and written there if the file is missing or damaged.

    Args:
        path: The file; its folder is made.
        question: What it answers, kept with it for a reader.
        compute: Called at most once, while no other process computes the same.
        stop: Set by another thread when the reference is not wanted any more.

    Raises:
        Stopped: If `stop` was set while another process computed.
        UserError: If the folder cannot be written and there is no sound file in it.
    """
    found = _read(path, question)
    if found is None:
        _make_writable(path.parent)
        with _alone(path.with_suffix(".lock"), stop or threading.Event()):
            found = _read(path, question)  # another process may have been faster
            if found is None:
                if path.exists():
                    _log.warning("the cached reference %s is damaged: computing it again", path)
                found = compute()
                _write(path, question, found)
                return found
    return found


def _alone(path: Path, stop: threading.Event) -> "AcquireReturnProxy[FileLock]":
    """Hold a lock within a `with` statement."""
    try:
        return FileLock(path).acquire(cancel_check=stop.is_set)
    except Timeout:
        raise Stopped from None


def _read(path: Path, question: Mapping) -> Reference | None:
    """None where there is no file, or one that `_write` did not write for this question."""
    try:
        content = path.read_bytes() if path.is_file() else b""  # a pipe in its place would never end
    except (OSError, MemoryError):
        return None
    body = durable.sound_body(content)
    if body is None:
        return None
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            if any(member.compress_type != zipfile.ZIP_STORED for member in arrays.zip.infolist()):
                return None  # it could be larger than the memory
            return _unpack(dict(arrays), question)
    except Exception:  # numpy, zipfile and json have a dozen kinds for what is not as it should be
        return None


def _unpack(arrays: Mapping[str, np.ndarray], question: Mapping) -> Reference:
    plain = json.loads(str(arrays["json"]))
    dimension, notes = plain["dimension"], plain["notes"]
    if "points" in arrays:
        places = Places(scattered=arrays["points"])
    else:
        places = Places(axes=tuple(arrays[f"x{i + 1}"] for i in range(dimension)))
    grid, tensor = places.shape, (dimension, dimension)
    values = _length(arrays, "effective_values")
    times = _length(arrays, "fine_over_time", "homogenized_over_time")
    modes = _length(arrays, "eigenvalues", "homogenized_eigenvalues")
    found = {name: arrays.get(name) for name in _ARRAYS}
    shapes = [grid, grid, grid, tensor, (values,), (values, *tensor), grid, grid]
    shapes += [(times, *grid)] * 2 + [(times,)] * 2 + [(modes,)] * 3
    numbers = [plain[name] for name in ("mean", *_ESTIMATES) if plain[name] is not None]
    sound = (
        plain["question"] == json.loads(json.dumps(question))
        and places.dimension == dimension
        and all(array is None or array.shape == shape for array, shape in zip(found.values(), shapes, strict=True))
        and all(array.dtype == np.float64 and np.isfinite(array).all() for array in arrays.values() if array.ndim)
        and all(isinstance(number, int | float) for number in (*numbers, plain["unknowns"], plain["seconds"]))
        and all(isinstance(text, str) for text in (*notes, plain["by"]))
    )
    if not sound:
        raise ValueError("not what was asked for")
    further = {name: plain[name] for name in _PLAIN if name != "notes"}
    return Reference(places=places, **found, **further, notes=tuple(notes))


def _length(arrays: Mapping[str, np.ndarray], *names: str) -> int:
    """Of the first of these that is there."""
    return next((len(arrays[name]) for name in names if name in arrays), 0)


def _write(path: Path, question: Mapping, reference: Reference) -> None:
    arrays = reference.places.arrays()
    arrays |= {name: getattr(reference, name) for name in _ARRAYS if getattr(reference, name) is not None}
    plain = {"question": question, "dimension": reference.places.dimension}
    plain |= {name: getattr(reference, name) for name in _PLAIN}
    body = io.BytesIO()
    np.savez(body, allow_pickle=False, json=np.array(json.dumps(plain)), **arrays)
    # readers of zip files ignore what follows the body
    durable.write(path, body.getbuffer(), durable.digest(body.getbuffer()))


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be made ({error.strerror}): choose another HOMOG_HOME") from None
    if not os.access(folder, os.W_OK):
        raise UserError(f"the folder {folder} cannot be written: choose another HOMOG_HOME")
