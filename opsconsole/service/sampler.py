"""Takes Snapshots of the store and of Redis. While one of them is unreachable, the previous values are kept."""

from __future__ import annotations

import logging
import threading
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
from opsconsole.rules.health import FindingKind, findings
from opsconsole.service import runs as run_views
from opsconsole.service.backend import Backend
from opsconsole.service.snapshot import Outage, RedisView, Snapshot
from opsconsole.store import pauses, presence, runs

log = logging.getLogger(__name__)

BUSY_SECONDS, QUIET_SECONDS = 0.5, 1.0
HURRIED_SECONDS, HURRY_SECONDS = 0.2, 2.0
"""The interval after a command, and how long it applies: a run may take less than a second."""
REDIS_SECONDS = 2.0
DATA_SECONDS = 2.0
HIT_RATES = 20
RECENT = 20


class Sampler:
    """Keeps the newest Snapshot. Values that rarely change or cost a round trip are read less often."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._last = Snapshot(at=backend.now(), environment=backend.settings.console.environment, leader=None)
        self._redis_stats: deque[RedisStats] = deque(maxlen=HIT_RATES + 1)
        self._redis_checked = self._data_checked = float("-inf")
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._hurry_until = float("-inf")
        self._thread: threading.Thread | None = None

    def start(self, callback: Callable[[Snapshot], None]) -> None:
        """Calls back with every new Snapshot from a background thread."""
        self._thread = threading.Thread(target=self._watch, args=(callback,), name="sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops the callbacks: none starts after this."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def hurry(self) -> None:
        """Takes snapshots more often for a while, because a command was requested."""
        self._hurry_until = time.monotonic() + HURRY_SECONDS
        self._wake.set()

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
            self._last = self._read(before, outages, now)
        except SQLAlchemyError as error:
            since = self._last.store_outage.since if self._last.store_outage else now
            outage = Outage(since, reason(error))
            unreachable = findings((), _present({NAMES["store"]: outage, **outages}), now)
            about_jobs = tuple(each for each in self._last.findings if each.kind is not FindingKind.UNREACHABLE)
            self._last = replace(before, store_outage=outage, findings=unreachable + about_jobs)
        return self._last

    def _read(self, before: Snapshot, outages: dict[str, Outage | None], now: datetime) -> Snapshot:
        with self._backend.store.reading() as db:
            live = run_views.live(db, self._backend.catalog, now)
            recent = tuple(runs.newest(db, limit=RECENT))
            changed = recent != before.recent or now.minute != before.at.minute or not before.histories
            histories = run_views.histories(db, self._backend.catalog, now) if changed else before.histories
            cards = run_views.cards(db, self._backend.catalog, now)
            facts = run_views.job_facts(db, self._backend.catalog, histories, now)
            leader = run_views.leader(db, self._backend.owner)
            paused = tuple(pauses.in_force(db, now))
            attached = tuple(presence.attached(db, now))
        return replace(
            before,
            leader=leader,
            jobs=cards,
            live=live,
            recent=recent,
            histories=histories,
            findings=findings(facts, _present(outages), now),
            store_outage=None,
            pauses=paused,
            attached=attached,
        )

    def _check_redis(self, now: datetime) -> RedisView:
        before = self._last.redis
        try:
            stats = sample(self._backend.resources.cache.client)
        except Unavailable as error:
            since = before.outage.since if before.outage else now
            return replace(before, outage=Outage(since, error.reason))
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
        return None

    def _watch(self, callback: Callable[[Snapshot], None]) -> None:
        while not self._stopping.is_set():
            snapshot = self.take()
            if not self._stopping.is_set():
                callback(snapshot)
            hurrying = time.monotonic() < self._hurry_until
            self._wake.wait(HURRIED_SECONDS if hurrying else BUSY_SECONDS if snapshot.live else QUIET_SECONDS)
            self._wake.clear()


def _present(outages: dict[str, Outage | None]) -> dict[str, tuple[datetime, str]]:
    return {name: (outage.since, outage.reason) for name, outage in outages.items() if outage is not None}


def _hit_rates(samples: deque[RedisStats]) -> tuple[float | None, ...]:
    return tuple(hit_rate_between(earlier, later) for earlier, later in pairwise(samples))
