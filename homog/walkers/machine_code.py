"""Numba's machine code on disk, sealed: it keeps pickles there, and none is read that this home did not write.

A file is an HMAC-SHA256 of its name and content, then the content. The key lies beside the files, its owner's alone.
"""

import hmac
import logging
import os
import pickle
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.dispatcher import Dispatcher

_BYTES = 32  # of the key and of a seal

_log = logging.getLogger("homog")


def seal_cache(module: Any, folder: Path) -> None:
    """Let the functions of a module that are declared with `cache=True` keep their machine code in sealed files.

    Args:
        module: Whose functions were not called yet.
        folder: Where the key lies, or is made.
    """
    key = _key(folder)
    for function in vars(module).values():
        cache = getattr(function, "_cache", None)
        if isinstance(function, Dispatcher) and isinstance(cache, FunctionCache):
            implementation = cache._impl
            stamp = implementation.locator.get_source_stamp()
            cache._cache_file = _SealedFiles(cache.cache_path, implementation.filename_base, stamp, key)


class _SealedFiles(IndexDataCacheFile):
    """Numba's index and data files; one that is damaged or from elsewhere counts as missing, and is written anew."""

    def __init__(self, cache_path: str, filename_base: str, source_stamp: Any, key: bytes) -> None:
        super().__init__(cache_path, filename_base, source_stamp)
        self._key = key

    def _load_index(self) -> dict:
        content = self._unsealed(Path(self._index_path))
        if content is None:
            return {}
        *written_for, overloads = pickle.loads(content)
        return overloads if written_for == [self._version, self._source_stamp] else {}

    def _save_index(self, overloads: dict) -> None:
        self._write_sealed(self._index_path, self._dump((self._version, self._source_stamp, overloads)))

    def _load_data(self, name: str) -> Any:
        content = self._unsealed(Path(self._data_path(name)))
        if content is None:
            raise FileNotFoundError(name)  # Numba then compiles
        return pickle.loads(content)

    def _save_data(self, name: str, data: Any) -> None:
        self._write_sealed(self._data_path(name), self._dump(data))

    def _unsealed(self, path: Path) -> bytes | None:
        try:
            sealed = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("the machine code %s cannot be read (%s): compiling it again", path, error.strerror)
            return None
        seal, content = sealed[:_BYTES], sealed[_BYTES:]
        if hmac.compare_digest(seal, self._seal(path.name, content)):
            return content
        _log.warning("the machine code %s is damaged: compiling it again", path)
        with suppress(OSError):
            path.unlink()  # Numba asks again when it saves
        return None

    def _write_sealed(self, path: str, content: bytes) -> None:
        with self._open_for_write(path) as file:
            file.write(self._seal(Path(path).name, content) + content)

    def _seal(self, name: str, content: bytes) -> bytes:
        return hmac.digest(self._key, name.encode() + b"\0" + content, "sha256")


def _key(folder: Path) -> bytes:
    """The folder's key, made where there is none."""
    path = folder / "key"
    with FileLock(folder / "key.lock"):
        if _is_ours_alone(path) and len(key := path.read_bytes()) == _BYTES:
            return key
        handle, temporary = tempfile.mkstemp(dir=folder)  # for the owner alone
        with os.fdopen(handle, "wb") as file:
            key = os.urandom(_BYTES)
            file.write(key)
        os.replace(temporary, path)
        return key


def _is_ours_alone(path: Path) -> bool:
    """A key that others could have written, or know, seals nothing."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
