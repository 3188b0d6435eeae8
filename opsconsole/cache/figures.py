"""Figures of a Redis server and of families of keys, as values, without redis-py."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from opsconsole.cache.reads import Reads

RECENT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class RedisStats:
    """Figures at one time. Memory in bytes, `max_memory` 0 for no limit; `hits` and `misses` since the start, which has
    the `run_id`.

    A figure is None where the server does not report it; `denied` are the commands that the Redis user may not run.
    """

    ping_ms: float
    version: str | None = None
    uptime_seconds: int | None = None
    memory: int | None = None
    peak_memory: int | None = None
    max_memory: int | None = None
    fragmentation: float | None = None
    clients: int | None = None
    ops_per_second: int | None = None
    hits: int | None = None
    misses: int | None = None
    evicted: int | None = None
    expired: int | None = None
    keys: int | None = None
    run_id: str | None = None
    denied: tuple[str, ...] = ()

    @property
    def hit_rate(self) -> float | None:
        """Share of reads since the server's start that were hits; None before the first read, or if unknown."""
        if self.hits is None or self.misses is None:
            return None
        reads = self.hits + self.misses
        return self.hits / reads if reads else None


def has_restarted(earlier: RedisStats, later: RedisStats) -> bool:
    """Whether the server was restarted between two samples, as far as they show it."""
    if earlier.run_id is not None and later.run_id is not None:
        return earlier.run_id != later.run_id
    before, after = earlier.uptime_seconds, later.uptime_seconds
    return before is not None and after is not None and after < before


def hit_rate_between(earlier: RedisStats, later: RedisStats) -> float | None:
    """Share of hits among the reads between two samples; None without reads, or after a restart in between."""
    if earlier.hits is None or earlier.misses is None or later.hits is None or later.misses is None:
        return None
    hits, misses = later.hits - earlier.hits, later.misses - earlier.misses
    restarted = has_restarted(earlier, later) or hits < 0 or misses < 0
    return None if restarted or hits + misses == 0 else hits / (hits + misses)


class RecentHitRate:
    """The hit rate over the samples of the last five minutes. Thread-safe."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, RedisStats]] = deque()
        self._lock = threading.Lock()

    def add(self, stats: RedisStats, at: float) -> float | None:
        """Adds a sample taken at `at`, in seconds of a monotonic clock. Returns the hit rate since the oldest sample of
        the last five minutes; None without reads in between.
        """
        with self._lock:
            self._samples.append((at, stats))
            while self._samples[0][0] < at - RECENT_SECONDS:
                self._samples.popleft()
            return hit_rate_between(self._samples[0][1], stats)


@dataclass(frozen=True, slots=True)
class FamilyUsage:
    """The keys of a family in a server. `memory` in bytes is estimated from a sample of its keys, None where the size
    cannot be read; `ttl` is the shortest, mean and longest TTL in the sample, in seconds; `without_ttl` counts the
    sampled keys that do not expire.
    """

    keys: int
    memory: int | None = None
    ttl: tuple[int, int, int] | None = None
    without_ttl: int = 0


@dataclass(frozen=True, slots=True)
class CacheDay:
    """A family's reads on a UTC day, in the processes that count them, and the newest sample of its keys and their
    bytes on that day; None without one, or where the size cannot be read.
    """

    day: date
    family: str
    hits: int
    misses: int
    failed: int
    keys: int | None
    bytes: int | None

    @property
    def hit_rate(self) -> float | None:
        """Share of hits among the reads that Redis responded to; None without any."""
        return Reads(self.hits, self.misses).hit_rate


@dataclass(frozen=True, slots=True)
class UsageSurvey:
    """What a server holds of each family, and how many keys of `others`. Unless `done`, the numbers are estimates from
    the `scanned` keys of `of`, which grows with them when the Redis user may not run DBSIZE.
    """

    families: Mapping[str, FamilyUsage]
    others: int
    scanned: int
    of: int
    done: bool
