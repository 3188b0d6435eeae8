"""A SQL database, SQLite or PostgreSQL: its connections and transactions."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Dialect, Engine, RootTransaction, Table, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.exc import DBAPIError, TimeoutError as PoolTimeoutError

from opsconsole.core.database_errors import SQLITE_BUSY

if TYPE_CHECKING:
    from opsconsole.core.postgres import Waits  # psycopg takes 0.1 s that SQLite can save

SQLITE_BUSY_SECONDS = 5
_LOCK_POLL_SECONDS = 0.001
"""The time between two attempts to take SQLite's write lock; ten times as long after `_SHORT_WAIT_SECONDS`."""
_SHORT_WAIT_SECONDS = 0.2
UTF8 = "UTF8"
_AUTOCOMMIT: IsolationLevel = "AUTOCOMMIT"
_READ_ONLY, _CANCELLED = "25006", "57014"  # SQLSTATE of PostgreSQL


def inserting(db: Connection, table: Table) -> Any:
    """An INSERT of this database's dialect, with `on_conflict_do_nothing` and `on_conflict_do_update`."""
    # Imported here: a dialect takes time that processes with the other one can save.
    if db.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


class Database:
    """Connections to one database.

    `url` is a SQLAlchemy URL with the driver `sqlite` or `postgresql+psycopg`. The options of one of SQLite, if it has
    any, determine how the file is opened. Thread-safe: each transaction has its own connection.

    On PostgreSQL a write transaction begins only on a server that accepts writes; with `primary_only` the same holds
    for reads, as a standby may be behind. `statement_seconds` limits each statement, and how long a silent server is
    waited for; half of it each wait for a lock. Without it a statement may take its time, as long as the server answers
    new connections. With `read_only` the database itself refuses every write, in transactions of `writing`, too.
    """

    name = "the data database"
    escapes_text = False

    def __init__(
        self,
        url: str,
        *,
        pool: int = 5,
        primary_only: bool = False,
        statement_seconds: float | None = None,
        read_only: bool = False,
    ) -> None:
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self.primary_only = primary_only
        self._read_only = read_only
        self._statement_seconds = statement_seconds
        self._search_path = ""
        self._writer = threading.RLock()
        self._closed = self.is_writing = False
        self._waits: Waits | None = None
        if self.is_sqlite:
            # The last connection first: the caches of one serve most transactions, instead of those of five. A database
            # in memory has a connection for each thread.
            order: dict[str, Any] = {"pool_use_lifo": True} if parsed.database else {}
            options = {"timeout": SQLITE_BUSY_SECONDS, "isolation_level": None}
            self.engine = create_engine(parsed, pool_size=pool, connect_args=options, **order)
            if not parsed.query:
                event.listen(self.engine, "connect", _tune_sqlite)
            if read_only:
                event.listen(self.engine, "connect", _refuse_writes_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.engine = self._create_postgresql(parsed, pool)

    def _create_postgresql(self, url: URL, pool: int) -> Engine:
        from opsconsole.core import postgres

        # Set in each transaction: PgBouncer may not pass it on, and gives each transaction another session.
        self._search_path, others = postgres.search_path_of(str(url.query.get("options", "")))
        if self._search_path:
            url = url.difference_update_query(["options"]).update_query_dict({"options": others} if others else {})
        waits = self._waits = postgres.Waits(self.name)
        given = {name: value for name, value in postgres.PARAMETERS.items() if name not in url.query}
        if "," in str(url.query.get("host", "")):
            given["target_session_attrs"] = url.query.get("target_session_attrs", "read-write")
        # AUTOCOMMIT: each transaction begins with a statement of our own, in one round trip with its limits.
        engine = create_engine(
            url.set(drivername=postgres.DRIVER),
            pool_size=pool,
            max_overflow=0,
            pool_timeout=5,
            isolation_level=_AUTOCOMMIT,
            connect_args=given,
        )

        def connect(dialect: Dialect, record: object, words: object, parameters: dict[str, Any]) -> Any:
            limit = postgres.silence_limit(self._statement_seconds)
            return postgres.open_session(parameters, waits, limit=limit, escapes=self.escapes_text)

        event.listen(engine, "do_connect", connect)
        event.listen(engine, "begin", self._begin_postgresql)
        event.listen(engine, "handle_error", self._recognise_lost_session)
        return engine

    @property
    def silent_seconds(self) -> float:
        """How long the server has not answered; 0 when that is not longer than usual, and on SQLite."""
        return self._waits.longest if self._waits is not None else 0.0

    def encoding(self) -> str:
        """The encoding of its texts, such as `UTF8`. Raises SQLAlchemyError."""
        if self.is_sqlite:
            return UTF8
        with self.reading() as db:
            return str(db.exec_driver_sql("SHOW server_encoding").scalar())

    @contextmanager
    def reading(self, *, lock_seconds: float | None = None, by_key: bool = False) -> Iterator[Connection]:
        """A read snapshot without a write lock. On PostgreSQL, `lock_seconds` limits each wait for a lock, and `by_key`
        is for statements about the rows of some keys.
        """
        options: dict[str, Any] = {}
        if not self.is_sqlite:
            options = {"only_reads": True, "lock_seconds": lock_seconds, "by_key": by_key}
        with self._transaction(options) as connection:
            yield connection

    @contextmanager
    def writing(self, *, patient: bool = False, by_key: bool = False, first_query: str = "") -> Iterator[Connection]:
        """A write transaction: committed at the end of the block, rolled back if it raises. With `patient` its
        statements have no limits, as for a migration; `by_key` is as in `reading`. Raises RuntimeError when PostgreSQL
        can commit nothing, because the block caught the error of a statement. PostgreSQL executes `first_query` with
        the start of the transaction; see `Session.first_row`.

        On SQLite it takes the write lock at once, and a process has one such transaction at a time.
        """
        if not self.is_sqlite:
            options = {"patient": patient, "by_key": by_key, "first_query": first_query, "only_reads": self._read_only}
            with self._transaction(options) as connection:
                yield connection
                self._require_intact(connection)
            return
        if not self._writer.acquire(timeout=SQLITE_BUSY_SECONDS):
            raise PoolTimeoutError("another transaction of this process has the write lock")
        try:
            with self._transaction({"writes": True}) as connection:
                self.is_writing = True  # as opposed to waiting for another process
                yield connection
        finally:
            self.is_writing = False
            self._writer.release()

    @property
    def has_open_connections(self) -> bool:
        """Whether a connection is in use."""
        pool: Any = self.engine.pool
        return bool(pool.checkedout())

    def preconnect(self, connections: int) -> None:
        """Opens connections and keeps them in the pool, as a busy server may refuse new ones later."""
        with ExitStack() as stack:
            for _ in range(connections):
                stack.enter_context(self.engine.connect()).info["used"] = True

    def close(self) -> None:
        """Closes the pooled connections, and those in use when their transaction has ended."""
        self._closed = True
        self.engine.dispose()

    @contextmanager
    def _transaction(self, options: dict[str, Any]) -> Iterator[Connection]:
        """A connection with a transaction. Sessions of the pool that were lost meanwhile are replaced."""
        connection, transaction = self._begin(options)
        with connection:
            try:
                with transaction:
                    yield connection
            finally:
                if self._closed:
                    connection.invalidate()  # its pool is gone

    def _begin(self, options: dict[str, Any]) -> tuple[Connection, RootTransaction]:
        while True:
            connection = self.engine.connect()
            is_new = not connection.info.get("used")
            connection.info["used"] = True
            try:
                return connection, connection.execution_options(**options).begin()
            except BaseException as error:
                connection.close()
                if is_new or not self._is_lost(error):
                    raise

    def _require_intact(self, connection: Connection) -> None:
        if not connection.invalidated:
            session: Any = connection.connection.driver_connection
            if session.info.transaction_status.name == "INERROR":
                raise RuntimeError("a statement failed inside writing() and its error was caught: nothing is written")

    def _is_lost(self, error: BaseException) -> bool:
        """Whether another session may do. A silent server is not tried again, it would be waited for as long."""
        if self.is_sqlite or not isinstance(error, DBAPIError):
            return False
        from opsconsole.core.postgres import NoAnswer

        return error.connection_invalidated and not isinstance(error.orig, NoAnswer)

    def _begin_postgresql(self, connection: Connection) -> None:
        """Sets how the session begins the transaction: with its limits, on a server that accepts writes if need be."""
        from opsconsole.core import postgres

        options, session = connection.get_execution_options(), connection.connection.driver_connection
        assert isinstance(session, postgres.Session)  # noqa: S101 - what `do_connect` opens
        if options.get("isolation_level") == _AUTOCOMMIT:
            session.opening = session.limit = None
            return
        only_reads = options.get("only_reads", False)
        limit = None if options.get("patient") else self._statement_seconds
        session.limit = postgres.silence_limit(limit)
        session.must_accept_writes = self.primary_only or not only_reads
        session.opening = postgres.first_statement(
            limit,
            only_reads=only_reads,
            search_path=self._search_path,
            lock_seconds=options.get("lock_seconds"),
            by_key=options.get("by_key", False),
            first_query=options.get("first_query", ""),
        )

    def _recognise_lost_session(self, context: ExceptionContext) -> None:
        """A write that the server refuses means a standby, except in a transaction of `reading()`. A statement over our
        own limit means a server that is as good as silent.
        """
        from opsconsole.core import postgres

        options = context.connection.get_execution_options() if context.connection is not None else {}
        state = getattr(context.original_exception, "sqlstate", None)
        if isinstance(context.original_exception, postgres.ReadOnlyServer):
            context.is_disconnect = True
        elif state == _READ_ONLY:
            context.is_disconnect = not options.get("only_reads", False)
        elif state == _CANCELLED and self._statement_seconds is not None:
            context.is_disconnect = not options.get("patient", False)


def _tune_sqlite(connection: Any, record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _refuse_writes_sqlite(connection: Any, record: object) -> None:
    connection.execute("PRAGMA query_only=ON")


def _begin_sqlite(connection: Connection) -> None:
    if not connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql("BEGIN")
        return
    session: Any = connection.connection.driver_connection
    session.execute("PRAGMA busy_timeout = 0")
    try:
        if not _takes_write_lock(session):
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # raises what callers expect
    finally:
        session.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_SECONDS * 1000}")


def _takes_write_lock(session: sqlite3.Connection) -> bool:
    """Begins a write transaction; False when another process keeps the lock.

    SQLite's own waiting sleeps up to 100 ms at a time, while the lock is free for most of it: with two processes that
    write in turn, each spends a third of its time like that.
    """
    began = time.monotonic()
    while True:
        try:
            session.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != SQLITE_BUSY:
                return False
        else:
            return True
        waited = time.monotonic() - began
        if waited > SQLITE_BUSY_SECONDS:
            return False
        time.sleep(_LOCK_POLL_SECONDS if waited < _SHORT_WAIT_SECONDS else 10 * _LOCK_POLL_SECONDS)


__all__ = ["UTF8", "Connection", "Database", "inserting"]
