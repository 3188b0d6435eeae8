"""A SQL database, SQLite or PostgreSQL: transactions, column types and the meaning of its errors."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, DateTime, Dialect, String, Table, Text, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError as PoolTimeoutError
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from opsconsole.core.text import safe

SQLITE_BUSY_SECONDS = 5
CONNECT_SECONDS = 3


class UtcTime(TypeDecorator[datetime]):
    """An aware time, stored in UTC: timestamptz on PostgreSQL, text on SQLite.

    Raises ValueError (as StatementError) for a naive time.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no timezone; pass an aware time")
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _UncastText(UserDefinedType[str]):
    """Text that is sent without a type, so that PostgreSQL takes it for a text, json or jsonb column alike."""

    cache_ok = True

    def get_col_spec(self, **_how: Any) -> str:
        return "TEXT"


class Json(TypeDecorator[Any]):
    """A JSON value: in a text column, and on PostgreSQL in a json or jsonb column of another program, too."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(_UncastText() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        # The driver has already decoded json and jsonb.
        return msgspec.json.decode(value) if isinstance(value, str) else value


def inserting(db: Connection, table: Table) -> Any:
    """An INSERT of this database's dialect, with `on_conflict_do_nothing` and `on_conflict_do_update`."""
    # Imported here: it takes 0.1 s that processes without such inserts can save.
    from sqlalchemy.dialects import postgresql, sqlite

    return sqlite.insert(table) if db.dialect.name == "sqlite" else postgresql.insert(table)


def key_type() -> String:
    """The column type of keys: a string that sorts by code point in every database."""
    return String().with_variant(String(collation="C"), "postgresql")


class ErrorKind(StrEnum):
    """What a database error means for its caller."""

    TRANSIENT = "transient"
    UNREACHABLE = "unreachable"
    STATEMENT = "statement"  # the statement itself is at fault


# PostgreSQL's classes: 08 connection, 53 resources, 57P admin shutdown or starting up, 40 rolled back, 55P03 lock,
# 25P0[23] a transaction that the server ended.
_UNREACHABLE = ("08", "57P")
_TRANSIENT = ("40", "53", "55P03", "25P02", "25P03")
_SQLITE_TRANSIENT = (5, 6)  # busy, locked
_SQLITE_UNREACHABLE = (10, 13, 14)  # input/output error, disk full, cannot open


INSUFFICIENT_PRIVILEGE = "42501"


def error_kind(error: BaseException) -> ErrorKind:
    """Whether a retry can help, the database is unreachable, or the statement itself is at fault."""
    if isinstance(error, PoolTimeoutError):
        return ErrorKind.TRANSIENT
    if not isinstance(error, DBAPIError):
        return ErrorKind.STATEMENT
    origin = error.orig
    if isinstance(origin, sqlite3.Error):
        code = getattr(origin, "sqlite_errorcode", None)
        if code is None:
            return ErrorKind.STATEMENT  # raised by Python's module, such as for text that is not UTF-8
        primary = code & 0xFF
        if primary in _SQLITE_TRANSIENT:
            return ErrorKind.TRANSIENT
        return ErrorKind.UNREACHABLE if primary in _SQLITE_UNREACHABLE else ErrorKind.STATEMENT
    state = getattr(origin, "sqlstate", None)
    if state is None:
        # psycopg gives no state if the connection failed or was cut.
        unreachable = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
        return ErrorKind.UNREACHABLE if unreachable else ErrorKind.STATEMENT
    if state.startswith(_UNREACHABLE):
        return ErrorKind.UNREACHABLE
    if state.startswith(_TRANSIENT):
        return ErrorKind.TRANSIENT
    return ErrorKind.UNREACHABLE if error.connection_invalidated else ErrorKind.STATEMENT


def lacks_right(error: BaseException) -> bool:
    """Whether the role of the connection may not do what was tried."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == INSUFFICIENT_PRIVILEGE


def reason(error: BaseException) -> str:
    """A database error as one safe line, without the statement and its parameters."""
    origin = getattr(error, "orig", None) or error
    lines = [line.strip() for line in str(origin).splitlines() if line.strip()]
    return safe(lines[0] if lines else type(origin).__name__, 200)


class Database:
    """Connections to one database.

    `url` is a SQLAlchemy URL with the driver `sqlite` or `postgresql+psycopg`. Thread-safe: each transaction has its
    own connection.
    """

    def __init__(self, url: str, *, pool: int = 5) -> None:
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._writer = threading.RLock()
        if self.is_sqlite:
            self.engine = create_engine(
                parsed, pool_size=pool, connect_args={"timeout": SQLITE_BUSY_SECONDS, "isolation_level": None}
            )
            event.listen(self.engine, "connect", _tune_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.engine = create_engine(
                parsed,
                pool_size=pool,
                max_overflow=0,
                pool_timeout=5,
                pool_pre_ping=True,
                connect_args={"options": "-c timezone=utc", "connect_timeout": CONNECT_SECONDS},
            )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read snapshot without a write lock."""
        with self.engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction: committed at the end of the block, rolled back if it raises.

        On SQLite it takes the write lock at once, and a process has one such transaction at a time.
        """
        if not self.is_sqlite:
            with self.engine.begin() as connection:
                yield connection
            return
        with self._writer, self.engine.connect() as connection:
            connection = connection.execution_options(writes=True)
            with connection.begin():
                yield connection

    def preconnect(self, connections: int) -> None:
        """Opens connections and keeps them in the pool, as a busy server may refuse new ones later."""
        with ExitStack() as stack:
            for _ in range(connections):
                stack.enter_context(self.engine.connect())

    def close(self) -> None:
        """Closes the pooled connections."""
        self.engine.dispose()


def _tune_sqlite(connection: Any, record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


__all__ = [
    "Connection",
    "Database",
    "ErrorKind",
    "Json",
    "UtcTime",
    "error_kind",
    "inserting",
    "key_type",
    "reason",
]
