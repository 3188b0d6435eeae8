"""Sessions on PostgreSQL: how they are opened, how long they wait, and what makes one unusable.

Nothing here depends on state that a session keeps between transactions, so that PgBouncer may be in between in
transaction mode: what a transaction needs is set in it, and what is set at the start is what PgBouncer restores.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Generator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from psycopg.types.string import StrDumper, StrDumperUnknown
from sqlalchemy import PoolProxiedConnection
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3
SLOW_SECONDS = 3.0
"""A wait that is longer is logged, and reported as what the process waits for."""
BY_KEY_PAGE_COST = 1.1
"""The cost of a random page for the rows of a few hundred keys, which are close together. With the default of 4, made
for spinning disks, some batches scan a whole table: with 30,000 users that took half as much processor time again.
"""
PROBE_SECONDS = 10.0
"""How often another connection is tried during a statement that may take its time."""

DRIVER = "postgresql+opsconsole"
"""The name of `Dialect` in URLs."""

PARAMETERS: Mapping[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "client_encoding": "utf8",  # PGCLIENTENCODING would win otherwise
    "prepare_threshold": None,  # PgBouncer gives each transaction another session
    # A server that vanished is noticed within 20 s, also while a statement takes its time.
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""Connection parameters, unless the URL has others."""

# The first four are reported by the server, so that PgBouncer follows them. The others let the server notice that this
# machine vanished, and release its locks: by default after two hours.
_SETTINGS = (
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; "
    "SET standard_conforming_strings = on; "
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
)

_SEARCH_PATH = re.compile(r"(?:^|\s)(?:-c\s*|--)search_path=((?:\\.|[^\s\\])*)")
_SCHEMA = re.compile(r'"[^"\\]+"|[A-Za-z_][\w$]*|\$user')

_UNKNOWN = (None,) * 5
"""What DB-API has in the description of a column besides its name and type."""

_RV = TypeVar("_RV")


class NoAnswer(psycopg.OperationalError):
    """The server accepted a statement, and has not answered within the limit."""


class ReadOnlyServer(psycopg.errors.ReadOnlySqlTransaction):
    """The session reached a server that accepts no writes, such as a standby."""


class Waits:
    """Since when the sessions of one database wait for answers. `name` is the database in messages."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._since: dict[int, float] = {}

    @property
    def longest(self) -> float:
        """Seconds of the longest current wait; 0 when none is longer than usual."""
        since = list(self._since.values())
        seconds = time.monotonic() - min(since) if since else 0.0
        return seconds if seconds > SLOW_SECONDS else 0.0

    def start(self, session: int) -> float:
        """A session waits from now on; returns the time of the steady clock."""
        now = self._since[session] = time.monotonic()
        return now

    def end(self, session: int) -> None:
        """The session has its answer, or gave up."""
        self._since.pop(session, None)


class Session(psycopg.Connection[tuple[Any, ...]]):
    """A connection that does not wait for ever for a server that is silent.

    `limit` is in seconds without a byte from the server. Without one, it waits as long as the server answers new
    connections.
    """

    waits = Waits("the database")
    limit: float | None = None
    parameters: Mapping[str, Any] = {}
    opening: str | None = None
    """What begins the next transaction; None for statements that run in none, such as VACUUM."""
    must_accept_writes = False
    first_row: tuple[Any, ...] | None = None
    """What the `first_query` of the newest transaction found."""
    text_codec = "utf-8"
    """What a text is made of before it is sent, with escapes for other characters."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self.cursor_factory = Cursor

    def begin(self) -> None:
        """Begins a transaction with the text of `first_statement`; see `opening`. The session is in autocommit: psycopg
        would otherwise send a BEGIN of its own and wait for it. Raises psycopg.Error: ReadOnlyServer when the server
        must accept writes and does not.
        """
        self.first_row = None
        if self.opening is None:
            return
        with self.cursor() as cursor:
            self._execute_opening(cursor, self.opening.encode())
            cursor.nextset()  # after the result of BEGIN
            row = cursor.fetchone()
            if self.must_accept_writes and row is not None and row[0] in (True, "on"):
                raise ReadOnlyServer(_why_read_only(cursor))
            while cursor.nextset():
                self.first_row = cursor.fetchone() if cursor.description else None

    def _execute_opening(self, cursor: psycopg.Cursor[tuple[Any, ...]], opening: bytes) -> None:
        try:
            cursor.execute(opening)
        except psycopg.errors.ReadOnlySqlTransaction as error:
            self.rollback()
            raise ReadOnlyServer(_why_read_only(cursor)) from error

    def wait(self, gen: Any, *args: Any, **how: Any) -> Any:
        """See psycopg.Connection. Raises NoAnswer, and closes the connection, when the server stays silent."""
        return super().wait(self._watched(gen), *args, **how)

    def _watched(self, gen: Generator[Any, Any, _RV]) -> Generator[Any, Any, _RV]:
        since = probed = self.waits.start(id(self))
        is_slow = False
        try:
            awaited = next(gen)
            while True:
                ready = yield awaited
                now = time.monotonic()
                if ready:
                    since = probed = now
                elif now - since > SLOW_SECONDS and not is_slow:
                    is_slow = True
                    log.warning("%s has not answered for %.0f s", self.waits.name, now - since)
                elif self.limit is not None and now - since > self.limit:
                    self._give_up(now - since)
                elif self.limit is None and now - probed > PROBE_SECONDS:
                    probed = now
                    if not self._is_reachable():
                        self._give_up(now - since)
                awaited = gen.send(ready)
        except StopIteration as done:
            result: _RV = done.value
            return result
        finally:
            self.waits.end(id(self))

    def _give_up(self, seconds: float) -> NoReturn:
        self.close()
        raise NoAnswer(f"it has not answered for {seconds:.0f} s")

    def _is_reachable(self) -> bool:
        """Whether the server answers a new connection, even with a refusal."""
        try:
            psycopg.connect(**self.parameters).close()
        except psycopg.errors.ConnectionTimeout:
            return False
        except psycopg.Error:
            pass
        return True


class Cursor(psycopg.Cursor[tuple[Any, ...]]):
    """A cursor whose description is cheap: SQLAlchemy reads the names and types of the columns of every result, and
    psycopg's own objects for them take longer than the rows of most.
    """

    @property
    def description(self) -> Any:
        """The columns as DB-API tuples of a name, a type and five times None; None without a result."""
        result = self.pgresult
        if result is None or result.status != ExecStatus.TUPLES_OK:
            return super().description
        return [(name, result.ftype(i), *_UNKNOWN) for i, name in enumerate(self._names(result))]

    def _names(self, result: PGresult) -> list[str]:
        names = [result.fname(i) for i in range(result.nfields)]
        return [(name or b"").decode() for name in names]


class Dialect(PGDialect_psycopg):
    """SQLAlchemy's dialect for sessions that begin transactions themselves."""

    supports_statement_cache = True

    def do_begin(self, dbapi_connection: PoolProxiedConnection) -> None:
        """See sqlalchemy.engine.Dialect."""
        session = dbapi_connection.driver_connection
        if isinstance(session, Session):
            session.begin()


registry.register("postgresql.opsconsole", __name__, Dialect.__name__)


class TextArrayLiteral(str):
    """Texts as PostgreSQL writes an array of them."""

    __slots__ = ()

    @classmethod
    def of(cls, texts: Sequence[str]) -> TextArrayLiteral:
        """The literal of these texts."""
        joined = "".join(texts)
        if '"' in joined or "\\" in joined:
            texts = [text.replace("\\", "\\\\").replace('"', '\\"') for text in texts]
        return cls('{"' + '","'.join(texts) + '"}' if texts else "{}")


class TextArrayDumper(StrDumper):
    """Sends such a literal as an array, so that it is a constant for the planner."""

    oid = psycopg.postgres.types["text"].array_oid


class StoredText(StrDumperUnknown):
    """A text of which every character can be stored: lone surrogates and NUL become escapes of JSON."""

    codec = "utf-8"

    def dump(self, obj: str) -> Any:
        """See psycopg.adapt.Dumper."""
        return super().dump(escaped(obj, self.codec))


class AsciiText(StoredText):
    """The same for a database whose encoding has not all characters."""

    codec = "ascii"


def escaped(text: str, codec: str) -> str:
    r"""The text with `\uXXXX` for what `codec` cannot encode, and for NUL: still the same value inside JSON."""
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        text = "".join(_escape(letter, codec) for letter in text)
    return text.replace("\0", "\\u0000")


def _escape(letter: str, codec: str) -> str:
    try:
        letter.encode(codec)
    except UnicodeEncodeError:
        units = letter.encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
    return letter


def search_path_of(options: str) -> tuple[str, str]:
    """The search path in the `options` of a URL, as a list of quoted names that SET takes, and the other options. Empty
    without one, and for one that cannot be read: the server reports what is wrong with it.
    """
    found = _SEARCH_PATH.search(options)
    if found is None:
        return "", options
    names = [name.strip() for name in found[1].replace("\\", "").split(",")]
    if not all(_SCHEMA.fullmatch(name) for name in names):
        return "", options
    quoted = ", ".join(name if name.startswith('"') else f'"{name.lower()}"' for name in names)
    return quoted, (options[: found.start()] + options[found.end() :]).strip()


def open_session(parameters: Mapping[str, Any], waits: Waits, *, limit: float | None, escapes: bool) -> Session:
    """Connects. With `escapes`, every text can be stored. Raises psycopg.Error."""
    session = Session.connect(**parameters)
    try:
        session.waits, session.parameters, session.limit = waits, parameters, limit
        if escapes:
            is_complete = session.info.parameter_status("server_encoding") in ("UTF8", "SQL_ASCII")
            dumper = StoredText if is_complete else AsciiText
            session.adapters.register_dumper(str, dumper)
            session.text_codec = dumper.codec
        session.adapters.register_dumper(TextArrayLiteral, TextArrayDumper)
        session.autocommit = True
        session.execute(_SETTINGS)
    except BaseException:
        session.close()
        raise
    return session


def first_statement(
    limit: float | None,
    *,
    only_reads: bool,
    search_path: str = "",
    lock_seconds: float | None = None,
    by_key: bool = False,
    first_query: str = "",
) -> str:
    """The first statements of a transaction, sent at once: they begin it, set its limits and its search path, and the
    query returns whether the server refuses writes: `on` or True. With `only_reads` the transaction is a snapshot and
    refuses them itself, so there the query returns whether the server is a standby. A wait for a lock ends after
    `lock_seconds`, otherwise after half of the `limit`. With `by_key` its plans prefer indexes. The last one is
    `first_query`, if it is given.
    """
    begin = f"BEGIN ISOLATION LEVEL {'REPEATABLE READ READ ONLY' if only_reads else 'READ COMMITTED'}; "
    then = f"; SET LOCAL search_path TO {search_path}" if search_path else ""
    then += f"; SET LOCAL random_page_cost = {BY_KEY_PAGE_COST}" if by_key else ""
    then += f"; {first_query}" if first_query else ""
    if limit is None and not only_reads:
        return f"{begin}SHOW transaction_read_only{then}"  # no query: jobs may still choose their isolation level
    columns = ["pg_is_in_recovery()" if only_reads else "current_setting('transaction_read_only') = 'on'"]
    if limit is not None:
        # The last one: a process that vanished inside a transaction must not keep its locks.
        limits = {
            "statement_timeout": limit,
            "lock_timeout": lock_seconds or limit / 2,
            "idle_in_transaction_session_timeout": limit,
        }
        columns += [f"set_config('{name}', '{seconds * 1000:.0f}', true)" for name, seconds in limits.items()]
    return f"{begin}SELECT {', '.join(columns)}{then}"


def silence_limit(statement_seconds: float | None) -> float | None:
    """How long to wait for an answer: somewhat longer than the server takes to cancel the statement."""
    return None if statement_seconds is None else 1.2 * statement_seconds


def _why_read_only(cursor: psycopg.Cursor[tuple[Any, ...]]) -> str:
    """Why the server accepts no writes. Raises psycopg.Error."""
    row = cursor.execute("SELECT pg_is_in_recovery()").fetchone()
    why = "is a standby" if row is not None and row[0] else "has default_transaction_read_only on"
    return f"the server {why} and accepts no writes"
