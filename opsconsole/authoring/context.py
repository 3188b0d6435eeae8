"""What job code receives: its window, databases and cache, and methods to report the outcome of items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Select, any_, bindparam, func, select
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring import metrics, outbox
from opsconsole.authoring.batch import Failure
from opsconsole.authoring.failures import failure
from opsconsole.authoring.scope import Scope
from opsconsole.core import clock
from opsconsole.core.bounds import json_problem, key_problem, name_problem, number_problem, shown
from opsconsole.core.column_types import TextArray
from opsconsole.core.database import Connection, Database
from opsconsole.core.database_errors import ErrorKind, error_kind, reason
from opsconsole.core.errors import BadValue, Unavailable
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.text import safe

if TYPE_CHECKING:
    from opsconsole.cache.client import Cache
    from opsconsole.cache.families import Family  # redis takes half a second to import, and schedules do without
    from opsconsole.cache.figures import CacheDay
    from opsconsole.cache.reads import Reads

LOG_LINES = 20
"""Lines that a try may log besides one for each of its items."""
MAX_LOG_LINES = 1000
"""No run keeps more."""
SHORT_SECONDS = 60.0
"""The limit of a statement on the data database that is not a job's, such as a panel's or the event relay's."""


def how_many(data: Database, items: Select[tuple[str]] | tuple[str, ...], *, at_most: int | None = None) -> int:
    """The number of items, or `at_most`. Raises Unavailable, and SQLAlchemyError for a wrong query."""
    if isinstance(items, tuple):
        return len(items[:at_most])
    if at_most is not None:
        items = items.limit(at_most)
    try:
        with data.reading() as db:
            return int(db.execute(select(func.count()).select_from(items.subquery())).scalar_one())
    except SQLAlchemyError as error:
        if error_kind(error) is ErrorKind.STATEMENT:
            raise
        raise Unavailable("data", reason(error)) from error


class Items:
    """The item keys of one try, in the order of the population."""

    def __init__(self, keys: list[str], *, sqlite: bool) -> None:
        self._keys = keys
        self._sqlite = sqlite

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def among(self, column: Any) -> Any:
        """The SQL condition that a string column is one of the keys, with one parameter for any number of keys."""
        return among(column, self._keys, sqlite=self._sqlite)


def among(column: Any, keys: list[str], *, sqlite: bool) -> Any:
    """The SQL condition that a string column is one of `keys`, the same statement for any number of them."""
    if sqlite:
        listed = func.json_each(msgspec.json.encode(keys).decode()).table_valued("value")
        return column.in_(select(listed.c.value))
    return column == any_(bindparam(None, keys, type_=TextArray))


class Resources:
    """What a process uses for all of its batches: connections, a clock, and the memory of a run.

    `statement_seconds` limits the statements on the data database; a batch has its own timeout. With `read_only` it
    refuses every write.
    `check_lease` returns only while its leader holds the lease; in a leader it raises LeaseExpired.
    """

    def __init__(
        self,
        data_url: str,
        redis_url: str,
        *,
        families: tuple[Family, ...] = (),
        now: clock.Clock = clock.now,
        statement_seconds: float | None = None,
        read_only: bool = False,
        check_lease: Callable[[], None] = lambda: None,
    ) -> None:
        self.data = Database(data_url, primary_only=True, statement_seconds=statement_seconds, read_only=read_only)
        self._redis_url = redis_url
        self.families = families
        self.now = now
        self.check_lease = check_lease
        self._memory: tuple[int, dict[str, Any]] = (0, {})

    @cached_property
    def cache(self) -> Cache:
        """The cache, connected on first use."""
        from opsconsole.cache.client import Cache

        return Cache(self._redis_url, self.families)

    def reads(self) -> Mapping[str, Reads]:
        """Outcomes of the reads of the cache in this process, by family."""
        return self.cache.reads() if "cache" in self.__dict__ else {}

    def memory(self, run: int) -> dict[str, Any]:
        """The memory of a run in this process; a new run replaces it."""
        if self._memory[0] != run:
            self._memory = (run, {})
        return self._memory[1]

    def close(self) -> None:
        """Closes every connection."""
        self.data.close()
        if "cache" in self.__dict__:
            self.cache.close()


@dataclass
class TryOutcome:
    """The outcome of one try; it counts only if the try returned."""

    failures: dict[str, Failure] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, int | float] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)


class Context:
    """One try of a batch, or of a part of it.

    `run` is the run's number. `now` is the wall clock when the try began, for stamps only; rules use `as_of`. `memory`
    is a dict that lives as long as the run does in this process: for what is costly to read and the same for every
    batch. Methods that report something raise BadValue for what cannot be stored.
    """

    def __init__(self, scope: Scope, tools: Resources, *, run: int = 0, keys: Sequence[str] = ()) -> None:
        self.window = scope.window
        self.as_of = scope.as_of
        self.facts = scope.facts
        self.options: Mapping[str, Any] = scope.options
        self.run = run
        self.now: datetime = tools.now()
        self.memory = tools.memory(run)
        self.outcome = TryOutcome()
        self._tools = tools
        self._keys = frozenset(keys)
        self._log_lines = min(LOG_LINES + len(keys), MAX_LOG_LINES)
        self._in_write = False
        self._emitted: list[outbox.Event] = []

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read snapshot of the data database, without a write lock."""
        with self._tools.data.reading(by_key=bool(self._keys)) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A short write transaction on the data database, committed only while the leader of this run holds its lease.
        Raises RuntimeError if nested.
        """
        if self._in_write:
            raise RuntimeError("writing() inside writing(): put everything that must be atomic into one block")
        self._in_write = True
        self._emitted = []
        try:
            with self._tools.data.writing(by_key=bool(self._keys)) as connection:
                yield connection
                if self._emitted:
                    outbox.append(connection, self._emitted, self.now)
                reach(Point.EFFECT_WRITTEN)
                self.check_lease()
            reach(Point.EFFECT_COMMITTED)
        finally:
            self._in_write = False

    @property
    def is_sqlite(self) -> bool:
        """Whether the data database is SQLite, not PostgreSQL."""
        return self._tools.data.is_sqlite

    def check_lease(self) -> None:
        """Stops here if another process may be working on this run by now. Call it right before what cannot be undone,
        such as a call that is paid for; `writing()` does so before it commits.
        """
        self._tools.check_lease()

    @property
    def cache(self) -> Cache:
        """The cache. Raises RuntimeError inside `writing()`, as no lock may be held during a network call."""
        if self._in_write:
            raise RuntimeError("cache inside writing(): read it before the block, write it after")
        return self._tools.cache

    def among(self, column: Any, keys: list[str]) -> Any:
        """The SQL condition that a string column of the data database is one of `keys`."""
        return among(column, keys, sqlite=self._tools.data.is_sqlite)

    def emit(self, event: str, key: str, payload: Mapping[str, Any]) -> None:
        """Emits an event about the change of the enclosing `writing()`: written in its transaction, and published at
        least once after it. An event with the name and key of an earlier one is ignored. The payload is a JSON object.
        Raises RuntimeError outside `writing()`.
        """
        self._check_event(event)
        _check("the key of an event", key_problem(key))
        if not isinstance(payload, Mapping):
            raise BadValue(f"the payload of an event must be a dict, not {type(payload).__name__}")
        _check("the payload of an event", json_problem(dict(payload)))
        self._emitted.append(outbox.Event(event, key, payload))

    def emit_for_rows(self, db: Connection, event: str, changes: Any) -> tuple[int, int]:
        """Executes a statement with RETURNING, in the enclosing `writing()`, and emits an event for each row that it
        returns: the first column is the event's key, NULL for no event, the others by their names are its payload:
        texts, whole numbers, booleans and NULL. Returns the number of rows and of events. Call it last in the block: on
        PostgreSQL, where the rows do not leave the server, other writers of events wait from here until the commit.
        """
        self._check_event(event)
        _check("a statement with events", outbox.columns_problem(changes))
        if db.dialect.name != "sqlite":
            return outbox.append_for_rows(db, event, changes, self.now)
        rows = db.execute(changes).mappings().all()
        emitted = 0
        for row in rows:
            payload = dict(row)
            key = payload.pop(next(iter(row)))
            if key is not None:
                _check("the payload of an event", outbox.values_problem(payload))
                self.emit(event, key, payload)
                emitted += 1
        return len(rows), emitted

    def forget(self, source: str, **parts: Iterable[str]) -> int:
        """Removes cached values that were made from `source`, for all combinations of these parts (`user=...`,
        `subject=...`), and returns their number. Families with other parts are kept. Raises Unavailable.
        """
        return self.cache.forget(self._tools.families, source, **parts)

    def fail(self, item: str, error: str | Exception, kind: str | None = None) -> None:
        """Marks `item`, one of the keys of this try, as failed. Failures are grouped by `kind`, a token such as
        `question_missing`; without one it is derived from `error`.
        """
        self._check_item(item, "fail")
        self.outcome.failures[item] = failure(item, error, kind)

    def skip(self, item: str, why: str) -> None:
        """Marks `item`, one of the keys of this try, as skipped by the job itself."""
        self._check_item(item, "skip")
        self.outcome.skipped[item] = safe(why, 120)

    def count(self, metric: str, n: float = 1) -> None:
        """Adds `n` to a metric of the run. For `x_hits` and `x_misses` the run also shows `x_hit_rate`. A run keeps the
        first hundred metrics; further ones are counted together.
        """
        _check("the name of a metric", name_problem(metric))
        _check(f"metric {metric}", number_problem(n))
        metrics.add(self.outcome.metrics, metric, n)

    def log(self, line: str) -> None:
        """Adds a line to the run's log; at most one for each item of the try, and twenty more."""
        if len(self.outcome.log) < self._log_lines:
            self.outcome.log.append(safe(line))

    def _check_event(self, event: str) -> None:
        if not self._in_write:
            raise RuntimeError("emit() outside writing(): an event belongs to the transaction of its change")
        _check("the name of an event", name_problem(event))

    def _check_item(self, item: object, method: str) -> None:
        if not isinstance(item, str) or item not in self._keys:
            raise BadValue(f"{method}() was called for {shown(item)}, which is not an item of this batch")


def _check(name: str, problem: str | None) -> None:
    if problem is not None:
        raise BadValue(f"{name} {problem}")


class ExtensionContext:
    """What routes and panels of a pack receive: its settings, the data database and the cache.

    `leader_notes()` are the `notes` of the pack in the process that leads, whose environment may be another one; None
    while no process leads. `cache_days(n)` are the figures of the cache on the last n days, newest first; it raises
    Unavailable.
    """

    def __init__(
        self,
        tools: Resources,
        options: Mapping[str, Any],
        families: tuple[Family, ...],
        *,
        data: Database | None = None,
        leader_notes: Callable[[], tuple[str, ...] | None] = lambda: None,
        cache_days: Callable[[int], Sequence[CacheDay]] = lambda _days: (),
    ) -> None:
        self.options = options
        self.cache_days = cache_days
        self.leader_notes = leader_notes
        self.families = families
        self._tools = tools
        self._data = data or tools.data

    @property
    def now(self) -> datetime:
        """The wall clock."""
        return self._tools.now()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read snapshot of the data database. Raises Unavailable."""
        with self._translating_errors(), self._data.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A short write transaction on the data database. Raises Unavailable."""
        with self._translating_errors(), self._data.writing() as connection:
            yield connection

    @property
    def cache(self) -> Cache:
        return self._tools.cache

    def among(self, column: Any, keys: list[str]) -> Any:
        """The SQL condition that a string column of the data database is one of `keys`."""
        return among(column, keys, sqlite=self._data.is_sqlite)

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            if error_kind(error) is ErrorKind.STATEMENT:
                raise
            raise Unavailable("data", reason(error)) from error
