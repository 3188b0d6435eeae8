"""What a Redis server says about itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import redis

from opsconsole.cache.client import reaching


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
