"""Files that are there whole or not at all, whatever kills the process, and whose damage is seen."""

import hashlib
import os
import secrets
from pathlib import Path

_LENGTH = hashlib.sha256().digest_size


def write(path: Path, *parts: bytes | memoryview) -> None:
    """Give a file a new content in one step: on disk under another name before it takes this one.

    Args:
        path: Path of the file; its folder must exist. Of two processes that write it at one time, one comes second.
        parts: All of the content, in this order.

    Raises:
        OSError: If it cannot be written; the old content is then still there.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def digest(body: bytes | memoryview) -> bytes:
    """The SHA-256 of a body, to be written behind it."""
    return hashlib.sha256(body).digest()


def sound_body(content: bytes) -> bytes | None:
    """The body of a file that ends in its `digest`; None if a byte of it is not as it was."""
    body = content[:-_LENGTH]
    return body if digest(body) == content[-_LENGTH:] else None


def _sync_folder(folder: Path) -> None:
    """A new name is on disk only when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
