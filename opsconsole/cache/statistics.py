"""Reads the figures of a Redis server, and what it holds of each family of keys."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import redis

from opsconsole.cache.connection import if_permitted, key_count, scan, translating_connection_errors
from opsconsole.cache.families import Families, Family
from opsconsole.cache.figures import FamilyUsage, RedisStats, UsageSurvey
from opsconsole.core.text import safe

SAMPLES = 100
"""Keys of a family whose size and TTL are read."""


def ping(client: redis.Redis) -> float:
    """The milliseconds that an answer takes. Raises Unavailable when there is none."""
    started = time.perf_counter()
    if_permitted(client.ping)  # a refusal takes the same way
    return (time.perf_counter() - started) * 1000


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
