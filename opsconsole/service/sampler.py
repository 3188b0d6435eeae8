"""Makes Snapshots: from the store, from Redis, and from what was there before when one of them is unreachable."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.cache.statistics import RedisStats, sample
from opsconsole.core.database import reason
from opsconsole.core.errors import NAMES, Unavailable
from opsconsole.rules.health import findings
from opsconsole.service import runs as history
from opsconsole.service.backend import Backend
from opsconsole.service.snapshot import Outage, RedisView, Snapshot
from opsconsole.store import pauses, presence, runs

log = logging.getLogger(__name__)

BUSY_SECONDS, QUIET_SECONDS = 0.5, 1.0
HURRIED_SECONDS, HURRY_SECONDS = 0.2, 2.0
"""So often, and for so long, after a command: a run may be over in less than a second."""
REDIS_SECONDS = 2.0
DATA_SECONDS = 2.0
HIT_RATES = 20
RECENT = 20


class Sampler:
    """Keeps the newest Snapshot; what changes seldom or costs a round trip is asked for less often."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._last = Snapshot(at=backend.now(), environment=backend.settings.console.environment, leader=None)
        self._redis_stats: deque[RedisStats] = deque(maxlen=HIT_RATES + 1)
        self._redis_asked = self._data_asked = float("-inf")
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._hurry_until = float("-inf")
        self._thread: threading.Thread | None = None

    def start(self, callback: Callable[[Snapshot], None]) -> None:
        """Calls back with every new Snapshot, from a thread of its own."""
        self._thread = threading.Thread(target=self._watch, args=(callback,), name="sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No call back begins after this."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def hurry(self) -> None:
        """Something was asked for: for a while there is more to see than usual."""
        self._hurry_until = time.monotonic() + HURRY_SECONDS
        self._wake.set()

    def take(self) -> Snapshot:
        """A Snapshot of now. What cannot be read stays as it was, and says since when."""
        now, steady = self._backend.now(), time.monotonic()
        redis = self._last.redis
        if steady - self._redis_asked >= REDIS_SECONDS:
            redis, self._redis_asked = self._ask_redis(now), steady
        data_away = self._last.data_away
        if steady - self._data_asked >= DATA_SECONDS:
            data_away, self._data_asked = self._ask_data(now), steady
        problem = self._backend.engine.problem if self._backend.engine is not None else None
        before = replace(self._last, at=now, redis=redis, data_away=data_away, engine_problem=problem)
        away = {NAMES["redis"]: redis.away, NAMES["data"]: data_away}
        try:
            self._last = self._read(before, away, now)
        except SQLAlchemyError as error:
            since = self._last.store_away.since if self._last.store_away else now
            gone = Outage(since, reason(error))
            found = findings((), _told({NAMES["store"]: gone, **away}), now)
            services = set(NAMES.values())
            kept = tuple(each for each in self._last.findings if each.subject not in services)
            self._last = replace(before, store_away=gone, findings=found + kept)
        return self._last

    def _read(self, before: Snapshot, away: dict[str, Outage | None], now: datetime) -> Snapshot:
        with self._backend.store.reading() as db:
            live = history.live(db, self._backend.catalog, now)
            recent = tuple(runs.newest(db, limit=RECENT))
            changed = recent != before.recent or now.minute != before.at.minute or not before.success
            success = history.success(db, self._backend.catalog, now) if changed else before.success
            cards = history.cards(db, self._backend.catalog, now)
            facts = history.job_facts(db, self._backend.catalog, success, now)
            leader = history.leader(db, self._backend.owner)
            paused = tuple(pauses.in_force(db, now))
            attached = tuple(presence.attached(db, now))
        return replace(
            before,
            leader=leader,
            jobs=cards,
            live=live,
            recent=recent,
            success=success,
            findings=findings(facts, _told(away), now),
            store_away=None,
            pauses=paused,
            attached=attached,
        )

    def _ask_redis(self, now: datetime) -> RedisView:
        before = self._last.redis
        try:
            stats = sample(self._backend.tools.cache.client)
        except Unavailable as error:
            since = before.away.since if before.away else now
            return replace(before, away=Outage(since, error.reason))
        if self._redis_stats and stats.uptime_seconds < self._redis_stats[-1].uptime_seconds:
            self._redis_stats.clear()
        self._redis_stats.append(stats)
        return RedisView(stats, None, _hit_rates(self._redis_stats))

    def _ask_data(self, now: datetime) -> Outage | None:
        before = self._last.data_away
        try:
            with self._backend.tools.data.reading() as db:
                db.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            return Outage(before.since if before else now, reason(error))
        return None

    def _watch(self, callback: Callable[[Snapshot], None]) -> None:
        while not self._stopping.is_set():
            taken = self.take()
            if not self._stopping.is_set():
                callback(taken)
            hurried = time.monotonic() < self._hurry_until
            self._wake.wait(HURRIED_SECONDS if hurried else BUSY_SECONDS if taken.live else QUIET_SECONDS)
            self._wake.clear()


def _told(away: dict[str, Outage | None]) -> dict[str, tuple[datetime, str]]:
    return {name: (gone.since, gone.why) for name, gone in away.items() if gone is not None}


def _hit_rates(samples: deque[RedisStats]) -> tuple[float | None, ...]:
    rates: list[float | None] = []
    for earlier, later in zip(list(samples), list(samples)[1:], strict=False):
        hits, misses = later.hits - earlier.hits, later.misses - earlier.misses
        rates.append(hits / (hits + misses) if hits + misses > 0 else None)
    return tuple(rates)
