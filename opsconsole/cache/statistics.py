"""What a Redis server says about itself, and what a walk through its keys tells of each family."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import redis

from opsconsole.cache.client import reaching, refusing
from opsconsole.cache.families import Families, Family

STEP = 500
"""So many keys are looked at in one step: measured at a tenth of a millisecond of the server's time."""
SAMPLES = 100
"""So many keys of a family are asked for their size and how long they live."""
RECENT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class RedisStats:
    """Figures of one moment. Memory in bytes, `max_memory` 0 for no limit; `hits` and `misses` since it started."""

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
        """Hits of all reads since the server's start; None before the first read."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else None


def sample(client: redis.Redis) -> RedisStats:
    """Asks the server. Raises Unavailable when it does not answer."""
    with reaching():
        began = time.perf_counter()
        client.ping()
        ping_ms = (time.perf_counter() - began) * 1000
        told: dict[str, Any] = client.info()
        keys = client.dbsize()
    return RedisStats(
        version=str(told.get("valkey_version") or told.get("redis_version", "?")),
        uptime_seconds=int(told["uptime_in_seconds"]),
        ping_ms=ping_ms,
        memory=int(told["used_memory"]),
        peak_memory=int(told["used_memory_peak"]),
        max_memory=int(told.get("maxmemory", 0)),
        fragmentation=float(told.get("mem_fragmentation_ratio", 0)),
        clients=int(told["connected_clients"]),
        ops_per_second=int(told["instantaneous_ops_per_sec"]),
        hits=int(told["keyspace_hits"]),
        misses=int(told["keyspace_misses"]),
        evicted=int(told["evicted_keys"]),
        expired=int(told["expired_keys"]),
        keys=int(keys),
    )


def hit_rate_between(earlier: RedisStats, later: RedisStats) -> float | None:
    """Hits of the reads between two samples; None without reads, or when the server began anew in between."""
    hits, misses = later.hits - earlier.hits, later.misses - earlier.misses
    began_anew = later.uptime_seconds < earlier.uptime_seconds or hits < 0 or misses < 0
    return None if began_anew or hits + misses == 0 else hits / (hits + misses)


class Recent:
    """The samples of the last five minutes, for the hit rate over them. Threads share one."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, RedisStats]] = deque()
        self._lock = threading.Lock()

    def add(self, stats: RedisStats, at: float) -> float | None:
        """Remembers a sample taken at a second of a steady clock; the hit rate since the oldest that is not older than
        five minutes. None before there are two with reads in between.
        """
        with self._lock:
            self._samples.append((at, stats))
            while self._samples[0][0] < at - RECENT_SECONDS:
                self._samples.popleft()
            return hit_rate_between(self._samples[0][1], stats)


@dataclass(frozen=True, slots=True)
class FamilyUsage:
    """What a server holds of a family. `memory` in bytes, from the size of a sample of its keys, None where it cannot
    be asked; the shortest, mean and longest time to live of those that have one, in seconds; `lasting` are the keys of
    the sample that have none.
    """

    keys: int
    memory: int | None = None
    ttl: tuple[int, int, int] | None = None
    lasting: int = 0


@dataclass(frozen=True, slots=True)
class UsageSurvey:
    """What a server holds of each family, and how many keys of `others`. Until `done`, and when it was not, numbers are
    reckoned from the `scanned` keys of `of`.
    """

    families: Mapping[str, FamilyUsage]
    others: int
    scanned: int
    of: int
    done: bool


def survey(client: redis.Redis, families: Iterable[Family]) -> Iterator[UsageSurvey]:
    """Walks through all keys, in steps too small for anybody to notice; tells what it knows after each of them. It may
    be left at any step. Raises Unavailable.
    """
    known = Families(families)
    counts: Counter[str] = Counter()
    samples: dict[str, list[Any]] = {family.name: [] for family in known}
    sizes: dict[str, list[tuple[Any, Any]]] = {family.name: [] for family in known}
    cursor, scanned, seen = 0, 0, False
    with reaching(), refusing():
        of = client.dbsize()
    while cursor or not seen:
        seen = True
        fresh: list[tuple[str, Any]] = []
        with reaching(), refusing():
            cursor, keys = client.scan(cursor, count=STEP)
        for key in keys:
            owner = known.owning(key)
            counts[owner.name if owner else ""] += 1
            if owner and len(samples[owner.name]) < SAMPLES:
                samples[owner.name].append(key)
                fresh.append((owner.name, key))
        for (name, _), size in zip(fresh, _sizes(client, [key for _, key in fresh]), strict=True):
            sizes[name].append(size)
        scanned += len(keys)
        share = 1.0 if not cursor else min(1.0, scanned / max(of, 1))
        held = {family.name: _held(counts[family.name], share, sizes[family.name]) for family in known}
        yield UsageSurvey(held, round(counts[""] / (share or 1.0)), scanned, of, done=not cursor)


def _sizes(client: redis.Redis, keys: list[Any]) -> list[tuple[Any, Any]]:
    """Of each key the bytes it takes, an error where that cannot be asked, and its seconds to live."""
    with reaching():
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            pipeline.memory_usage(key)
            pipeline.ttl(key)
        answers = pipeline.execute(raise_on_error=False) if keys else []
    return list(zip(answers[::2], answers[1::2], strict=True))


def _held(counted: int, share: float, sizes: list[tuple[Any, Any]]) -> FamilyUsage:
    keys = round(counted / share) if share else 0
    sampled = [size for size, _ in sizes if isinstance(size, int)]
    lives = [ttl for _, ttl in sizes if isinstance(ttl, int) and ttl >= 0]
    return FamilyUsage(
        keys,
        round(keys * sum(sampled) / len(sampled)) if sampled else None,
        (min(lives), round(sum(lives) / len(lives)), max(lives)) if lives else None,
        sum(ttl == -1 for _, ttl in sizes),
    )
