"""Notices that an SQLite file was changed, by any connection of any process, without reading it."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.core.database import Database


class FileChanges:
    """Finds out in microseconds whether a database has to be queried again. Misses no change. Thread-safe.

    A PostgreSQL database counts as changed each time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._connection: Any = None
        self._version: int | None = None

    def has_changed(self) -> bool:
        """Whether a transaction was committed since the last call; also True if that cannot be determined."""
        if not self._database.is_sqlite:
            return True
        with self._lock:
            try:
                before, self._version = self._version, self._data_version()
            except (SQLAlchemyError, sqlite3.Error):
                self._close()
                return True
            return before is None or before != self._version

    def scalar(self, statement: str) -> Any:
        """The first value that a statement without parameters returns, read on the connection of `has_changed`. Raises
        SQLAlchemyError, or sqlite3.Error.
        """
        with self._lock:
            return self._opened().execute(statement).fetchone()[0]

    def close(self) -> None:
        """Closes its connection; the next call would open another one."""
        with self._lock:
            self._close()

    def _data_version(self) -> int:
        found: int = self._opened().execute("PRAGMA data_version").fetchone()[0]
        return found

    def _opened(self) -> Any:
        if self._connection is None:
            pooled = self._database.engine.raw_connection()
            self._connection = pooled.driver_connection
            pooled.detach()  # each connection has its own version, which its own writes do not change
        return self._connection

    def _close(self) -> None:
        connection, self._connection, self._version = self._connection, None, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
