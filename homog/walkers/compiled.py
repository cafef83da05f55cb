"""Kernels compiled once for a formula and a scheme, kept on disk by content."""

import hashlib
import importlib.util
import inspect
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import llvmlite
import numba

from homog.walkers import arithmetic


def load_module(source: str, folder: Path) -> Any:
    """The module of a generated source, whose functions compile when they are first called.

    The file's name is a hash of everything that enters the machine code besides the processor (which Numba's own
    cache checks): the source, the arithmetic it inlines and the versions of Numba and llvmlite.
    Nothing else can be found under it.

    Args:
        source: Python text.
        folder: Where sources and machine code are kept.
    """
    everything = "\n".join([source, inspect.getsource(arithmetic), numba.__version__, llvmlite.__version__])
    name = f"homog_kernel_{hashlib.sha256(everything.encode()).hexdigest()[:24]}"
    if name in sys.modules:
        return sys.modules[name]
    path = folder / f"{name}.py"
    if not path.exists() or path.read_text() != source:
        _write_atomically(path, source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    return module


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.replace(temporary, path)
