"""The figures of a Redis server over the last hour, as points of some seconds each."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from opsconsole.cache.figures import RedisStats, has_restarted

POINT = timedelta(seconds=10)
POINTS = 360


@dataclass(frozen=True, slots=True)
class RedisPoint:
    """Ten seconds: memory in bytes and operations a second at their end, the slowest ping, and what was read and
    evicted in them. A figure is None where the server does not report it; all are None while it was unreachable.
    """

    at: datetime
    memory: int | None = None
    ops_per_second: int | None = None
    ping_ms: float | None = None
    hits: int | None = None
    misses: int | None = None
    evicted: int | None = None

    @property
    def hit_rate(self) -> float | None:
        """Share of hits among the reads; None without reads."""
        return hit_rate([self])


def hit_rate(points: Sequence[RedisPoint]) -> float | None:
    """Share of hits among the reads of these points; None without reads."""
    hits, misses = sum(point.hits or 0 for point in points), sum(point.misses or 0 for point in points)
    return hits / (hits + misses) if hits + misses else None


class RedisHistory:
    """Keeps the points of the last hour. `add` is called from one thread."""

    def __init__(self) -> None:
        self._points: deque[RedisPoint] = deque(maxlen=POINTS)
        self._before: RedisStats | None = None
        self._slowest: float | None = None

    def add(self, stats: RedisStats | None, at: datetime) -> tuple[RedisPoint, ...]:
        """Adds a sample, None while the server is unreachable, and returns all points, oldest first. The newest point
        grows until it is ten seconds long.
        """
        newest = self._points[-1] if self._points else None
        if newest is None or not timedelta() <= at - newest.at < POINT:
            self._slowest = None
            newest = RedisPoint(at)
            self._points.append(newest)
        if stats is None:
            self._before = None
            return tuple(self._points)
        before = self._before if self._before and not has_restarted(self._before, stats) else stats
        self._slowest = max(self._slowest or 0.0, stats.ping_ms)
        self._points[-1] = RedisPoint(
            newest.at,
            stats.memory,
            stats.ops_per_second,
            self._slowest,
            _more(newest.hits, before.hits, stats.hits),
            _more(newest.misses, before.misses, stats.misses),
            _more(newest.evicted, before.evicted, stats.evicted),
        )
        self._before = stats
        return tuple(self._points)


def _more(so_far: int | None, before: int | None, now: int | None) -> int | None:
    """A count of the point with what was added to a counter of the server; a counter that fell was reset."""
    if before is None or now is None or now < before:
        return so_far
    return (so_far or 0) + now - before
