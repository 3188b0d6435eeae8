"""Figures of a Redis server, and what it holds of each family of keys."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import redis

from opsconsole.cache.connection import SCAN_COUNT, translating_connection_errors, translating_errors
from opsconsole.cache.families import Families, Family

SAMPLES = 100
"""Keys of a family whose size and TTL are read."""
RECENT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class RedisStats:
    """Figures at one time. Memory in bytes, `max_memory` 0 for no limit; `hits` and `misses` since the start."""

    version: str
    uptime_seconds: int
    ping_ms: float
    memory: int
    peak_memory: int
    max_memory: int
    fragmentation: float
    clients: int
    ops_per_second: int
    hits: int
    misses: int
    evicted: int
    expired: int
    keys: int

    @property
    def hit_rate(self) -> float | None:
        """Share of reads since the server's start that were hits; None before the first read."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else None


def sample(client: redis.Redis) -> RedisStats:
    """The server's figures now. Raises Unavailable when it does not answer."""
    with translating_connection_errors():
        started = time.perf_counter()
        client.ping()
        ping_ms = (time.perf_counter() - started) * 1000
        info: dict[str, Any] = client.info()
        keys = client.dbsize()
    return RedisStats(
        version=str(info.get("valkey_version") or info.get("redis_version", "?")),
        uptime_seconds=int(info["uptime_in_seconds"]),
        ping_ms=ping_ms,
        memory=int(info["used_memory"]),
        peak_memory=int(info["used_memory_peak"]),
        max_memory=int(info.get("maxmemory", 0)),
        fragmentation=float(info.get("mem_fragmentation_ratio", 0)),
        clients=int(info["connected_clients"]),
        ops_per_second=int(info["instantaneous_ops_per_sec"]),
        hits=int(info["keyspace_hits"]),
        misses=int(info["keyspace_misses"]),
        evicted=int(info["evicted_keys"]),
        expired=int(info["expired_keys"]),
        keys=int(keys),
    )


def hit_rate_between(earlier: RedisStats, later: RedisStats) -> float | None:
    """Share of hits among the reads between two samples; None without reads, or after a restart in between."""
    hits, misses = later.hits - earlier.hits, later.misses - earlier.misses
    restarted = later.uptime_seconds < earlier.uptime_seconds or hits < 0 or misses < 0
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
    """What a server holds of a family. `memory` in bytes is estimated from a sample of its keys, None where the size
    cannot be read; `ttl` is the shortest, mean and longest TTL in the sample, in seconds; `without_ttl` counts the
    sampled keys that do not expire.
    """

    keys: int
    memory: int | None = None
    ttl: tuple[int, int, int] | None = None
    without_ttl: int = 0


@dataclass(frozen=True, slots=True)
class UsageSurvey:
    """What a server holds of each family, and how many keys of `others`. Unless `done`, the numbers are estimates from
    the `scanned` keys of `of`.
    """

    families: Mapping[str, FamilyUsage]
    others: int
    scanned: int
    of: int
    done: bool


def survey(client: redis.Redis, families: Iterable[Family]) -> Iterator[UsageSurvey]:
    """Scans all keys in steps that other clients do not notice. Yields the results so far after each step; the caller
    may stop at any step. Raises Unavailable.
    """
    declared = Families(families)
    counts: Counter[str] = Counter()
    samples: dict[str, list[Any]] = {family.name: [] for family in declared}
    sizes: dict[str, list[tuple[Any, Any]]] = {family.name: [] for family in declared}
    cursor, scanned, started = 0, 0, False
    with translating_errors():
        of = client.dbsize()
    while cursor or not started:
        started = True
        sampled: list[tuple[str, Any]] = []
        with translating_errors():
            cursor, keys = client.scan(cursor, count=SCAN_COUNT)
        for key in keys:
            owner = declared.owning(key)
            counts[owner.name if owner else ""] += 1
            if owner and len(samples[owner.name]) < SAMPLES:
                samples[owner.name].append(key)
                sampled.append((owner.name, key))
        for (name, _), size in zip(sampled, _sizes(client, [key for _, key in sampled]), strict=True):
            sizes[name].append(size)
        scanned += len(keys)
        share = 1.0 if not cursor else min(1.0, scanned / max(of, 1))
        usage = {family.name: _usage(counts[family.name], share, sizes[family.name]) for family in declared}
        yield UsageSurvey(usage, round(counts[""] / (share or 1.0)), scanned, of, done=not cursor)


def _sizes(client: redis.Redis, keys: list[Any]) -> list[tuple[Any, Any]]:
    """For each key its size in bytes, an error where that cannot be read, and its TTL in seconds."""
    with translating_connection_errors():
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            pipeline.memory_usage(key)
            pipeline.ttl(key)
        results = pipeline.execute(raise_on_error=False) if keys else []
    return list(zip(results[::2], results[1::2], strict=True))


def _usage(counted: int, share: float, sizes: list[tuple[Any, Any]]) -> FamilyUsage:
    keys = round(counted / share) if share else 0
    memory = [size for size, _ in sizes if isinstance(size, int)]
    ttls = [ttl for _, ttl in sizes if isinstance(ttl, int) and ttl >= 0]
    return FamilyUsage(
        keys,
        round(keys * sum(memory) / len(memory)) if memory else None,
        (min(ttls), round(sum(ttls) / len(ttls)), max(ttls)) if ttls else None,
        sum(ttl == -1 for _, ttl in sizes),
    )
