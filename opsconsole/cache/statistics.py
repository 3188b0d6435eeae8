"""Figures of a Redis server, and what it holds of each family of keys."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import redis

from opsconsole.cache.connection import if_permitted, key_count, scan, translating_connection_errors
from opsconsole.cache.families import Families, Family
from opsconsole.cache.reads import Reads
from opsconsole.core.text import safe

SAMPLES = 100
"""Keys of a family whose size and TTL are read."""
RECENT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class RedisStats:
    """Figures at one time. Memory in bytes, `max_memory` 0 for no limit; `hits` and `misses` since the start, which has
    the `run_id`.

    A figure is None where the server does not tell it; `denied` are the commands that the Redis user may not run.
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
        """Share of reads since the server's start that were hits; None before the first read, or if not known."""
        if self.hits is None or self.misses is None:
            return None
        reads = self.hits + self.misses
        return self.hits / reads if reads else None


def sample(client: redis.Redis) -> RedisStats:
    """The server's figures now, as far as the Redis user may read them. Raises Unavailable when it does not answer."""
    started = time.perf_counter()
    _, no_ping = if_permitted(client.ping)
    ping_ms = (time.perf_counter() - started) * 1000  # a refusal takes the same way
    info, no_info = if_permitted(lambda: dict(client.info()))
    keys, no_keys = if_permitted(client.dbsize)
    fields = info or {}
    version = fields.get("valkey_version") or fields.get("redis_version")
    return RedisStats(
        ping_ms=ping_ms,
        version=None if version is None else safe(version, 40),
        uptime_seconds=_whole(fields.get("uptime_in_seconds")),
        memory=_whole(fields.get("used_memory")),
        peak_memory=_whole(fields.get("used_memory_peak")),
        max_memory=_whole(fields.get("maxmemory")),
        fragmentation=_number(fields.get("mem_fragmentation_ratio")),
        clients=_whole(fields.get("connected_clients")),
        ops_per_second=_whole(fields.get("instantaneous_ops_per_sec")),
        hits=_whole(fields.get("keyspace_hits")),
        misses=_whole(fields.get("keyspace_misses")),
        evicted=_whole(fields.get("evicted_keys")),
        expired=_whole(fields.get("expired_keys")),
        keys=_whole(keys),
        run_id=None if fields.get("run_id") is None else safe(fields["run_id"], 40),
        denied=tuple(command for command in (no_ping, no_info, no_keys) if command is not None),
    )


def _whole(figure: object) -> int | None:
    number = _number(figure)
    return None if number is None else int(number)


def _number(figure: object) -> float | None:
    return figure if isinstance(figure, int | float) and math.isfinite(figure) else None


def has_restarted(earlier: RedisStats, later: RedisStats) -> bool:
    """Whether the server was restarted between two samples, as far as they tell."""
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
    """What a server holds of a family. `memory` in bytes is estimated from a sample of its keys, None where the size
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


def survey(client: redis.Redis, families: Iterable[Family]) -> Iterator[UsageSurvey]:
    """Scans all keys in steps that other clients do not notice. Yields the results so far after each step; the caller
    may stop at any step. Raises Unavailable.
    """
    declared = Families(families)
    counts: Counter[str] = Counter()
    samples: dict[str, list[Any]] = {family.name: [] for family in declared}
    sizes: dict[str, list[tuple[Any, Any]]] = {family.name: [] for family in declared}
    cursor, scanned, started = 0, 0, False
    of = key_count(client)
    while cursor or not started:
        started = True
        sampled: list[tuple[str, Any]] = []
        cursor, keys = scan(client, cursor)
        for key in keys:
            owner = declared.owning(key)
            counts[owner.name if owner else ""] += 1
            if owner and len(samples[owner.name]) < SAMPLES:
                samples[owner.name].append(key)
                sampled.append((owner.name, key))
        for (name, _), size in zip(sampled, _sizes(client, [key for _, key in sampled]), strict=True):
            sizes[name].append(size)
        scanned += len(keys)
        of = max(of, scanned) if cursor else of
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
