"""MLflow's SQLite file: made all or nothing, and tried before MLflow tries it for minutes."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

if TYPE_CHECKING:  # importing MLflow takes seconds
    from mlflow.tracking import MlflowClient

_LOCK_SECONDS = 60.0  # creating the tables takes some seconds, more on a busy machine


def require_database(path: Path, client_type: "Callable[..., MlflowClient]") -> None:
    """Make the database with MLflow's tables where there is none.

    Processes that open a fresh store together create its tables into each other and destroy it. And MLflow makes
    the tables in some fifty steps, each of which waits for the disk: a process that is killed among them leaves a
    file that no MLflow opens any more. So one process makes them, in a file aside and without waiting for the disk
    (3 s instead of 16), which takes the name when it is whole. What has the name needs no lock: sixteen busy
    processes that opened it one after another waited for minutes.

    Args:
        path: Path of the database.
        client_type: `MlflowClient`.

    Raises:
        sqlite3.Error: If there is one that is damaged or cannot be written.
        OSError: If it cannot be written.
        filelock.Timeout: If another process takes very long to make it.
    """
    if _is_missing(path):
        with FileLock(path.with_name(f"{path.name}.lock"), timeout=_LOCK_SECONDS):
            if _is_missing(path):
                _create(path, client_type)
    with closing(sqlite3.connect(path, timeout=20.0, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def _is_missing(path: Path) -> bool:
    return not path.exists() or path.stat().st_size == 0


def _create(path: Path, client_type: "Callable[..., MlflowClient]") -> None:
    new = path.with_suffix(".new")
    _remove(new)
    try:
        with _without_waiting_for_the_disk():
            client_type(tracking_uri=f"sqlite:///{new}").search_experiments()
        with new.open("rb") as stream:
            os.fsync(stream.fileno())
        new.replace(path)
    except BaseException:
        _remove(new)  # where the disk is full, not even half a database may stay
        raise


def _remove(new: Path) -> None:
    """What is left of a database that did not become one, SQLite's journal too."""
    for left in new.parent.glob(f"{new.name}*"):
        left.unlink()


@contextmanager
def _without_waiting_for_the_disk() -> Iterator[None]:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def hurry(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", hurry)
    try:
        yield
    finally:
        event.remove(Engine, "connect", hurry)
