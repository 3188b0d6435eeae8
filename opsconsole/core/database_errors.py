"""What a database error means, and one line about it."""

from __future__ import annotations

import sqlite3
from enum import StrEnum

from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
    TimeoutError as PoolTimeoutError,
)

from opsconsole.core.text import as_text, safe


class ErrorKind(StrEnum):
    """What a database error means for its caller."""

    TRANSIENT = "transient"
    UNREACHABLE = "unreachable"
    STATEMENT = "statement"  # the statement itself is at fault


# PostgreSQL's classes: 08 connection, 28 login, 53 resources (53100: disk full), 57P admin shutdown or starting up,
# 58 input/output, 40 rolled back, 55P03 lock, 25P0[23] a transaction that the server ended.
_UNREACHABLE = ("08", "28", "53100", "57P", "58")
_TRANSIENT = ("40", "53", "55P03", "25P02", "25P03")
SQLITE_BUSY = 5
_SQLITE_TRANSIENT = (SQLITE_BUSY, 6)  # 6: locked
_SQLITE_UNREACHABLE = (10, 13, 14)  # input/output error, disk full, cannot open
INSUFFICIENT_PRIVILEGE = "42501"


def error_kind(error: BaseException) -> ErrorKind:
    """Whether a retry can help, the database is unreachable, or the statement itself is at fault."""
    if isinstance(error, PoolTimeoutError):
        return ErrorKind.TRANSIENT
    if isinstance(error, PendingRollbackError):
        return ErrorKind.UNREACHABLE  # the connection was lost before, and that error was caught
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
    lines = [line.strip() for line in as_text(origin)[:2000].splitlines() if line.strip()]
    hint = "; `opsconsole check` prints the GRANT" if lacks_right(error) else ""
    return safe(lines[0] if lines else type(origin).__name__, 200) + hint
