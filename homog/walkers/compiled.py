"""Kernels compiled once for a formula and a scheme, kept on disk by content."""

import hashlib
import importlib.util
import inspect
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import llvmlite
import numba

from homog.machine import durable
from homog.walkers import arithmetic, machine_code

SCALAR = "@njit(fastmath=True, error_model='numpy', forceinline=True)"
"""Decorator of a function of scalars; numba-cuda compiles such functions anew."""


def load_module(source: str, folder: Path) -> ModuleType:
    """The module of a generated source, whose functions compile when they are first called.

    The file's name is a hash of everything that enters the machine code besides the processor (which Numba's own
    cache checks): the source, the arithmetic it inlines and the versions of Numba and llvmlite.
    Nothing else can be found under it. The text that is run is the one given here, whatever the file holds; the file
    is for Numba, which names its own after it.

    Args:
        source: Python text.
        folder: Where sources and machine code are kept.
    """
    rest = [inspect.getsource(arithmetic), inspect.getsource(machine_code), numba.__version__, llvmlite.__version__]
    everything = "\n".join([source, *rest])
    name = f"homog_kernel_{hashlib.sha256(everything.encode()).hexdigest()[:24]}"
    if name in sys.modules:
        return sys.modules[name]
    path = folder / f"{name}.py"
    if not path.is_file() or path.read_bytes() != source.encode():
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write(path, source.encode())
    loader = _GivenText(name, str(path), source)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    machine_code.seal_cache(module, folder)
    sys.modules[name] = module
    return module


class _GivenText(SourceFileLoader):
    """Python's loader of files, with the text in hand, and without the byte code that it would trust on disk."""

    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source.encode()

    def get_data(self, path: str) -> bytes:
        return self._source

    def path_stats(self, path: str) -> NoReturn:
        raise OSError("there is no byte code")
