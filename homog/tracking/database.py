"""MLflow's SQLite file: made all or nothing, and tried before MLflow tries it for minutes."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # importing MLflow takes seconds
    from mlflow.tracking import MlflowClient


def require_database(path: Path, client_type: "Callable[..., MlflowClient]") -> None:
    """Make the database with MLflow's tables where there is none; no other process may do so at the same time.

    MLflow makes the tables in some fifty steps, each of which waits for the disk, and a process that is killed
    among them leaves a file that no MLflow opens any more. So they are made in a file aside, without waiting for
    the disk (3 s instead of 16), which takes the name when it is whole.

    Args:
        path: Of the database.
        client_type: `MlflowClient`.

    Raises:
        sqlite3.Error: If there is one that is damaged or cannot be written.
        OSError: If it cannot be written.
    """
    if not path.exists() or path.stat().st_size == 0:
        new = path.with_suffix(".new")
        for left in path.parent.glob(f"{new.name}*"):  # by a process that was killed; SQLite's journal too
            left.unlink()
        with _without_waiting_for_the_disk():
            client_type(tracking_uri=f"sqlite:///{new}").search_experiments()
        with new.open("rb") as stream:
            os.fsync(stream.fileno())
        new.replace(path)
    with closing(sqlite3.connect(path, timeout=20.0, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


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
