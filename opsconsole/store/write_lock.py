"""Proves that the store accepts writes now, and finds who holds its lock when it does not."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from opsconsole.core.database import SQLITE_BUSY_SECONDS
from opsconsole.core.text import safe
from opsconsole.store import Store
from opsconsole.store.tables import lease

LOCK_SECONDS = 0.5
"""How long a write may wait for others before the store counts as locked: their transactions are shorter."""

_SQLITE_BUSY, _SQLITE_LOCKED, _LOCK_NOT_AVAILABLE = 5, 6, "55P03"
_WAL_WRITE_LOCK = 120
"""The byte of an SQLite file's -shm that the one writer locks."""

# The same lock as a renewal of the lease takes; it is rolled back.
_RENEWAL = select(lease.c.token).where(lease.c.id == 1).with_for_update(key_share=True)
_HOLDER = text(
    "SELECT l.pid, a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.relation = to_regclass('ops_lease') AND l.granted AND l.pid <> pg_backend_pid() "
    "ORDER BY a.xact_start LIMIT 1"
)


def is_locked(error: SQLAlchemyError) -> bool:
    """Whether an error means that another transaction holds the lock that was waited for."""
    origin = getattr(error, "orig", None)
    if isinstance(origin, sqlite3.Error):
        return (getattr(origin, "sqlite_errorcode", None) or 0) & 0xFF in (_SQLITE_BUSY, _SQLITE_LOCKED)
    return getattr(origin, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def check(store: Store, seconds: float = LOCK_SECONDS) -> None:
    """Waits up to `seconds` for the lock of a write transaction, and writes nothing. Raises SQLAlchemyError: see
    `is_locked`.
    """
    if store.is_sqlite:
        _check_sqlite(store, seconds)
        return
    with store.writing() as db:
        db.execute(text("SELECT set_config('lock_timeout', :wait, true)"), {"wait": f"{seconds * 1000:.0f}"})
        db.execute(_RENEWAL)
        db.rollback()  # a commit would wait for the disk


def holder(store: Store) -> str:
    """The process that most likely holds the lock, such as `process 4711 (sqlite3)`; empty when that is unknown."""
    if store.is_sqlite:
        pid = _sqlite_writer(Path(store.engine.url.database or ""))
        return "" if pid is None else f"process {pid}{_named(_command(pid))}"
    with suppress(SQLAlchemyError), store.reading() as db:
        row = db.execute(_HOLDER).one_or_none()
        return "" if row is None else f"session {row.pid}{_named(row.application_name or '')}"
    return ""


def _check_sqlite(store: Store, seconds: float) -> None:
    connection = store.engine.raw_connection()
    try:
        session = connection.driver_connection
        assert isinstance(session, sqlite3.Connection)  # noqa: S101 - the store's driver
        session.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
        try:
            session.execute("BEGIN IMMEDIATE")
            session.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            if store.is_writing:
                return  # this process has the lock
            raise DBAPIError.instance(None, None, error, sqlite3.Error) from error
        finally:
            session.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_SECONDS * 1000}")
    finally:
        connection.close()


def _sqlite_writer(file: Path) -> int | None:
    """The process with the write lock, by the kernel's list of locks; None where there is no such list. To open the
    file and to close it again would release SQLite's own locks on it.
    """
    with suppress(OSError, ValueError):
        shared = Path(f"{file}-shm").stat()
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()  # 1: POSIX ADVISORY WRITE 4711 08:01:131 120 120
            if len(fields) < 8 or fields[1] != "POSIX" or fields[3] != "WRITE" or not fields[7].isdigit():
                continue
            is_file = int(fields[5].rpartition(":")[2]) == shared.st_ino
            if is_file and int(fields[6]) <= _WAL_WRITE_LOCK <= int(fields[7]):
                return int(fields[4])
    return None


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    return ""


def _named(name: str) -> str:
    return f" ({safe(name, 40)})" if name else ""
