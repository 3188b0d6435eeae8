"""Looks at the services that jobs depend on, each in a thread of its own: one that hangs delays nothing else."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from opsconsole.core.clock import Clock
from opsconsole.core.database import Database
from opsconsole.core.database_errors import reason
from opsconsole.core.errors import NAMES, Unavailable
from opsconsole.core.problems import Work
from opsconsole.core.supervision import Loop, describe, log_failure
from opsconsole.rules.findings import Finding, FindingKind
from opsconsole.rules.system_health import RedisRecord, ServiceRecord, redis_memory, services

if TYPE_CHECKING:
    import redis

SECONDS = 2.0
FIGURES_SECONDS = 10.0
"""The time between two reads of all figures of Redis."""
HANGING_SECONDS = 5.0
"""A probe that has not returned for this long counts as failed; the client libraries give up a little later."""
NO_ANSWER = f"no answer for more than {HANGING_SECONDS:g} s"


class Probe:
    """Probes one service. `look` raises any exception when the service does not respond, and may return how many
    seconds it took; otherwise the whole call is measured.
    """

    def __init__(self, work: Work, name: str, look: Callable[[], float | None], *, now: Clock) -> None:
        self._look, self._now = look, now
        self._record = ServiceRecord(name)
        self._started: float | None = None
        self._started_at = now()
        self.has_looked = False
        self.changed: Callable[[], object] = lambda: None
        """Called when the service has become unreachable, or responds again."""
        self.loop = Loop(work, self.probe, seconds=SECONDS, now=now)

    @property
    def record(self) -> ServiceRecord:
        """What the probes have found until now; one that hangs counts as failed."""
        started = self._started
        if started is not None and time.monotonic() - started > HANGING_SECONDS:
            return self._record.failed(self._started_at, NO_ANSWER)
        return self._record

    def probe(self) -> None:
        """Probes it once."""
        self._started_at, started = self._now(), time.monotonic()
        self._started = started
        was_reachable = self._record.unreachable_since is None
        try:
            seconds = self._look()
        except BaseException as error:  # noqa: BLE001 - any error means that the service does not respond as it should
            self._record = self._record.failed(self._started_at, _why(error))
        else:
            self._record = self._record.responded(self._now(), seconds or time.monotonic() - started)
        finally:
            self._started = None
            self.has_looked = True
        if was_reachable is not (self._record.unreachable_since is None):
            self.changed()


class RedisProbe(Probe):
    """Probes Redis, and keeps its figures; None while it responds without any that can be read."""

    def __init__(self, client: Callable[[], redis.Redis], *, now: Clock) -> None:
        super().__init__(Work.REDIS_PROBE, NAMES["redis"], self._sample, now=now)
        self._client = client
        self._sampled = float("-inf")
        self.figures: RedisRecord | None = None

    def _sample(self) -> float | None:
        from opsconsole.cache.statistics import ping, sample  # redis-py, which a leader of one command does without

        client, now = self._client(), time.monotonic()
        if self.figures is not None and now - self._sampled < FIGURES_SECONDS:
            return ping(client) / 1000
        self._sampled = now
        try:
            stats = sample(client)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - a server that does not answer as Redis does
            if self.figures is not None or not self.has_looked:
                log_failure("reading the figures of Redis", error)
            self.figures = None
            return None
        self.figures = (self.figures or RedisRecord()).after(self._now(), stats)
        return stats.ping_ms / 1000


def database_probe(work: Work, name: str, database: Database, *, now: Clock) -> Probe:
    """A probe of a database."""

    def look() -> None:
        if database.is_sqlite:
            _look_at_file(database)
            return
        with database.reading():
            pass  # its first statement has been answered

    return Probe(work, name, look, now=now)


def _look_at_file(database: Database) -> None:
    """Reads the first page of an SQLite file, without the cost of a statement."""
    connection: Any = database.engine.raw_connection()
    try:
        connection.driver_connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        raise DBAPIError.instance(None, None, error, sqlite3.Error) from error
    finally:
        connection.close()


class Probes:
    """The probes of Redis and the databases, together."""

    def __init__(self, redis_probe: RedisProbe, databases: Sequence[Probe]) -> None:
        self._redis = redis_probe
        self.all = (redis_probe, *databases)

    def findings(self) -> Iterator[Finding]:
        """What is wrong with the services."""
        yield from services(probe.record for probe in self.all)
        if self._redis.figures is not None and self._redis.record.unreachable_since is None:
            yield from redis_memory(self._redis.figures)

    def unknown_kinds(self) -> Iterator[FindingKind]:
        """The kinds of findings that cannot be judged now."""
        if not all(probe.has_looked for probe in self.all):
            yield from (FindingKind.UNREACHABLE, FindingKind.SLOW)
        elif any(probe.record.unreachable_since is not None for probe in self.all):
            yield FindingKind.SLOW
        if self._redis.figures is None or self._redis.record.unreachable_since is not None:
            yield from (FindingKind.EVICTING, FindingKind.MEMORY_NEARLY_FULL)


def _why(error: BaseException) -> str:
    if isinstance(error, Unavailable):
        return error.reason
    return reason(error) if isinstance(error, SQLAlchemyError) else describe(error)[0]
