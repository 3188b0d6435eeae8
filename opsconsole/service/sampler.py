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

from opsconsole.cache.statistics import RedisStats, has_restarted, hit_rate_between, sample
from opsconsole.core.database import reason
from opsconsole.core.errors import NAMES, Unavailable
from opsconsole.core.problems import Work
from opsconsole.core.supervision import Loop, describe, log_failure
from opsconsole.rules.findings import Finding, worst_first
from opsconsole.rules.health import degraded, findings
from opsconsole.service import parts
from opsconsole.service.backend import Backend
from opsconsole.service.snapshot import Outage, RedisView, Snapshot

BUSY_SECONDS, QUIET_SECONDS = 0.5, 1.0
HURRIED_SECONDS, HURRY_SECONDS = 0.2, 2.0
"""The interval after a command, and how long it applies: a run may take less than a second."""
REDIS_SECONDS = 2.0
DATA_SECONDS = 2.0
HIT_RATES = 20


class Sampler:
    """Keeps the newest Snapshot. Values that rarely change or cost a round trip are read less often."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._last = Snapshot(at=backend.now(), environment=backend.settings.console.environment, leader=None)
        self._redis_stats: deque[RedisStats] = deque(maxlen=HIT_RATES + 1)
        self._redis_checked = self._data_checked = float("-inf")
        self._hurry_until = float("-inf")
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

    def hurry(self) -> None:
        """Takes snapshots more often for a while, because a command was requested."""
        self._hurry_until = time.monotonic() + HURRY_SECONDS
        self._loop.wake()

    def take(self) -> Snapshot:
        """A Snapshot of now. Values that cannot be read stay as they were, with the time since when."""
        now, monotonic = self._backend.now(), time.monotonic()
        redis = self._last.redis
        if monotonic - self._redis_checked >= REDIS_SECONDS:
            redis, self._redis_checked = self._check_redis(now), monotonic
        data_outage = self._last.data_outage
        if monotonic - self._data_checked >= DATA_SECONDS:
            data_outage, self._data_checked = self._check_data(now), monotonic
        problem = self._backend.engine.problem if self._backend.engine is not None else None
        before = replace(self._last, at=now, redis=redis, data_outage=data_outage, engine_problem=problem)
        outages = {NAMES["redis"]: redis.outage, NAMES["data"]: data_outage}
        try:
            read = parts.read(self._backend, replace(before, unknown=()), before.unknown, now)
            self._last = replace(read, store_outage=None)
        except SQLAlchemyError as error:
            since = before.store_outage.since if before.store_outage else now
            outages[NAMES["store"]] = outage = Outage(since, reason(error))
            self._last = replace(before, store_outage=outage, set_aside=())
        self._last = replace(self._last, findings=self._findings(self._last, _present(outages), now))
        return self._last

    def _findings(
        self, snapshot: Snapshot, unreachable: dict[str, tuple[datetime, str]], now: datetime
    ) -> tuple[Finding, ...]:
        problems = [status.problem for status in self._backend.status() if status.problem is not None]
        problems += snapshot.unknown
        leader = snapshot.leader
        if leader is not None and not leader.is_me and snapshot.store_outage is None:
            problems += leader.problems
        found = [*findings((), unreachable, now), *degraded(problems, unreachable)]
        return worst_first([*found, *snapshot.job_findings, *snapshot.set_aside])

    def _check_redis(self, now: datetime) -> RedisView:
        before = self._last.redis
        try:
            stats = sample(self._backend.resources.cache.client)
        except Unavailable as error:
            since = before.outage.since if before.outage else now
            return replace(before, outage=Outage(since, error.reason))
        except Exception as error:  # noqa: BLE001 - a server that answers otherwise than Redis does
            if before.unknown is None:
                log_failure("reading the figures of Redis", error)
            return RedisView(None, None, unknown=describe(error)[0])
        if self._redis_stats and has_restarted(self._redis_stats[-1], stats):
            self._redis_stats.clear()
        self._redis_stats.append(stats)
        return RedisView(stats, None, _hit_rates(self._redis_stats))

    def _check_data(self, now: datetime) -> Outage | None:
        before = self._last.data_outage
        try:
            with self._backend.resources.data.reading() as db:
                db.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            return Outage(before.since if before else now, reason(error))
        except Exception as error:  # noqa: BLE001 - a server may answer anything
            return Outage(before.since if before else now, describe(error)[0])
        return None

    def _step(self) -> float:
        snapshot = self.take()
        if self._callback is not None and not self._loop.is_stopping:
            self._callback(snapshot)
        hurrying = time.monotonic() < self._hurry_until
        return HURRIED_SECONDS if hurrying else BUSY_SECONDS if snapshot.live else QUIET_SECONDS


def _present(outages: dict[str, Outage | None]) -> dict[str, tuple[datetime, str]]:
    return {name: (outage.since, outage.reason) for name, outage in outages.items() if outage is not None}


def _hit_rates(samples: deque[RedisStats]) -> tuple[float | None, ...]:
    return tuple(hit_rate_between(earlier, later) for earlier, later in pairwise(samples))
