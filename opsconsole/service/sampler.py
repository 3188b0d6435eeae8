"""Takes Snapshots of the store and of Redis. While one of them is unreachable, the previous values are kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.cache.figures import RedisStats, has_restarted, hit_rate_between
from opsconsole.cache.history import RedisHistory
from opsconsole.core.database import Database
from opsconsole.core.database_errors import reason
from opsconsole.core.errors import NAMES, Unavailable
from opsconsole.core.file_changes import FileChanges
from opsconsole.core.problems import Work
from opsconsole.core.supervision import Loop, describe, log_failure
from opsconsole.rules.findings import Finding, FindingKind, worst_first
from opsconsole.rules.system_health import (
    RedisRecord,
    ServiceRecord,
    degraded,
    of_leader,
    redis_memory,
    services,
    store_locked,
)
from opsconsole.service import parts
from opsconsole.service.backend import Backend
from opsconsole.service.parts import Depth
from opsconsole.service.snapshot import LostKeys, Outage, RedisView, Snapshot
from opsconsole.service.store_probe import StoreProbe
from opsconsole.store.write_lock import is_locked

BUSY_SECONDS, QUIET_SECONDS = 0.5, 1.0
HURRIED_SECONDS, HURRY_SECONDS = 0.2, 2.0
"""The interval after a command, and how long it applies: a run may take less than a second."""
WHOLE_SECONDS = 6.0
"""The time between two complete snapshots. The others read only the leader, and the runs if the store may have changed:
apart from these, only values that depend on the time are new.
"""
RUNS_SECONDS = 3.0
"""How often a leader reads the runs although it has changed nothing about them."""
REDIS_SECONDS = 2.0
DATABASE_SECONDS = 2.0
HIT_RATES = 20
MANY_JOBS = 200
"""From this many jobs on, the first Snapshot is an outline: their histories take a second for a thousand jobs."""


class Sampler:
    """Keeps the newest Snapshot. Values that rarely change or cost a round trip are read less often."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._last = Snapshot(at=backend.now(), environment=backend.settings.console.environment, leader=None)
        self._redis_stats: deque[RedisStats] = deque(maxlen=HIT_RATES + 1)
        self._services = {name: ServiceRecord(NAMES[name]) for name in ("redis", "data", "store")}
        self._redis_record, self._redis_history = RedisRecord(), RedisHistory()
        self._store_probe = StoreProbe(backend.store, backend.settings.actor.role)
        self._redis_checked = self._databases_checked = float("-inf")
        self._hurry_until = self._whole_at = self._runs_at = float("-inf")
        self._version: int | None = None
        self._changes = FileChanges(backend.store)
        self._callback: Callable[[Snapshot], None] | None = None
        self._loop = Loop(Work.SAMPLER, self._step, seconds=QUIET_SECONDS, now=backend.now)

    def start(self, callback: Callable[[Snapshot], None]) -> None:
        """Calls back with every new Snapshot from a background thread."""
        self._callback = callback
        self._backend.supervisor.watch(self._loop)
        self._loop.start()

    def stop(self) -> None:
        """Stops the callbacks: none starts after this."""
        self._loop.stop()
        self._changes.close()

    def wake(self) -> None:
        """Takes a snapshot now."""
        self._loop.wake()

    def refresh(self) -> None:
        """Takes a snapshot now if the next one is not due soon: another process has changed something."""
        if not self._last.live:
            self._loop.wake()

    def hurry(self) -> None:
        """Takes snapshots more often for a while, because a command was requested."""
        self._hurry_until = time.monotonic() + HURRY_SECONDS
        self._loop.wake()

    def take(self, depth: Depth = Depth.WHOLE, *, with_redis: bool = True) -> Snapshot:
        """A Snapshot of now. Values that cannot be read stay as they were, with the time since when; so do those that
        are deeper than `depth`, if no run has changed.
        """
        now, monotonic = self._backend.now(), time.monotonic()
        redis = self._last.redis
        if with_redis and monotonic - self._redis_checked >= REDIS_SECONDS:
            redis, self._redis_checked = self._check_redis(now), monotonic
        is_due = monotonic - self._databases_checked >= DATABASE_SECONDS
        if is_due:
            self._databases_checked = monotonic
            self._probe("data", self._backend.resources.data, now)
        problem = self._backend.engine.problem if self._backend.engine is not None else None
        data_outage = _outage(self._services["data"])
        before = replace(
            self._last,
            at=now,
            preparation=self._backend.preparation,
            redis=redis,
            data_outage=data_outage,
            engine_problem=problem,
        )
        lock: Outage | None = None
        try:
            lock = self._store_probe.check(now)
            read = parts.read(self._backend, replace(before, unknown=()), before.unknown, now, depth)
        except SQLAlchemyError as error:
            outage: Outage | None
            if is_locked(error):
                lock = outage = lock or Outage(now, "")
            else:
                failed = self._services["store"] = self._services["store"].failed(now, reason(error))
                outage = _outage(failed)
            self._last = replace(before, store_outage=outage, set_aside=(), leaderless=())
        else:
            self._services["store"] = self._services["store"].reached()
            if is_due:
                self._probe("store", self._backend.store, now)
            self._last = replace(read, store_outage=_outage(self._services["store"]))
        self._last = replace(self._last, store_lock=lock)
        self._last = replace(self._last, findings=self._findings(self._last))
        return self._last

    def _findings(self, snapshot: Snapshot) -> tuple[Finding, ...]:
        problems = [status.problem for status in self._backend.status() if status.problem is not None]
        problems += snapshot.unknown
        leader = snapshot.leader
        if leader is not None and not leader.is_me and snapshot.store_outage is None:
            problems += leader.problems
        found = list(services(self._services.values()))
        if (lock := snapshot.store_lock) is not None:
            found.append(store_locked(lock.since, lock.reason, snapshot.at))
        kinds = (FindingKind.UNREACHABLE, FindingKind.LOCKED)
        unreachable = [finding.subject for finding in found if finding.kind in kinds]
        if snapshot.redis.outage is None and snapshot.redis.unknown is None:
            found += redis_memory(self._redis_record)
        found += degraded(problems, unreachable)
        found += of_leader((card.alert for card in snapshot.alerts), is_leading=leader is not None)
        return worst_first([*found, *snapshot.leaderless, *snapshot.job_findings, *snapshot.set_aside])

    def _check_redis(self, now: datetime) -> RedisView:
        from opsconsole.cache.statistics import sample  # redis-py, which most commands do without

        before = self._last.redis
        try:
            stats = sample(self._backend.resources.cache.client)
        except Unavailable as error:
            failed = self._services["redis"] = self._services["redis"].failed(now, error.reason)
            return replace(before, outage=_outage(failed), history=self._redis_history.add(None, now))
        except Exception as error:  # noqa: BLE001 - a server that answers otherwise than Redis does
            self._services["redis"] = self._services["redis"].reached()
            if before.unknown is None:
                log_failure("reading the figures of Redis", error)
            history = self._redis_history.add(None, now)
            return RedisView(None, None, unknown=describe(error)[0], history=history, lost=before.lost)
        self._services["redis"] = self._services["redis"].responded(now, stats.ping_ms / 1000)
        self._redis_record = self._redis_record.after(now, stats)
        lost = before.lost
        if self._redis_stats and has_restarted(earlier := self._redis_stats[-1], stats):
            missing = (earlier.keys or 0) - (stats.keys or 0)
            lost = LostKeys(now, missing) if missing > 0 else None
            self._redis_stats.clear()
        self._redis_stats.append(stats)
        history = self._redis_history.add(stats, now)
        return RedisView(stats, None, _hit_rates(self._redis_stats), history=history, lost=lost)

    def _probe(self, name: str, database: Database, now: datetime) -> None:
        """Probes a database as the leader does."""
        started = time.monotonic()
        try:
            with database.reading() as db:
                db.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            self._services[name] = self._services[name].failed(now, reason(error))
        except Exception as error:  # noqa: BLE001 - a server may answer anything
            self._services[name] = self._services[name].failed(now, describe(error)[0])
        else:
            self._services[name] = self._services[name].responded(now, time.monotonic() - started)

    def _step(self) -> float:
        hurrying = time.monotonic() < self._hurry_until
        is_first = self._version is None
        snapshot = self.take(self._depth(hurrying=hurrying), with_redis=not is_first)  # loading redis-py takes 50 ms
        if self._callback is not None and not self._loop.is_stopping:
            self._callback(snapshot)
        if is_first or (snapshot.unread and snapshot.store_outage is None):
            return 0.0
        is_busy = snapshot.live or snapshot.store_lock is not None
        return HURRIED_SECONDS if hurrying else BUSY_SECONDS if is_busy else QUIET_SECONDS

    def _depth(self, *, hurrying: bool) -> Depth:
        """How much to read now."""
        now, version, engine = time.monotonic(), self._backend.store.version, self._backend.engine
        is_first, is_news = self._version is None, version != self._version
        self._version = version
        if is_first and len(self._backend.catalog) >= MANY_JOBS:
            return Depth.OUTLINE
        if hurrying or is_news or self._last.unknown or self._last.unread or now - self._whole_at >= WHOLE_SECONDS:
            self._whole_at = self._runs_at = now
            self._changes.has_changed()
            return Depth.WHOLE
        is_due = engine is None or not engine.is_leading or now - self._runs_at >= RUNS_SECONDS
        if self._last.live or (is_due and self._changes.has_changed()):
            self._runs_at = now
            return Depth.RUNS
        return Depth.LEADER


def _outage(record: ServiceRecord) -> Outage | None:
    return None if record.unreachable_since is None else Outage(record.unreachable_since, record.reason)


def _hit_rates(samples: deque[RedisStats]) -> tuple[float | None, ...]:
    return tuple(hit_rate_between(earlier, later) for earlier, later in pairwise(samples))
