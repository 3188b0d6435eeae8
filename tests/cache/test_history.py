"""The figures of Redis over the last hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from opsconsole.cache.figures import RedisStats
from opsconsole.cache.history import POINTS, RedisHistory, RedisPoint, hit_rate

START = datetime(2026, 1, 19, 18, 0, tzinfo=UTC)


def stats(hits: int, misses: int, *, ping: float = 0.3, uptime: int = 100) -> RedisStats:
    return RedisStats(ping, uptime_seconds=uptime, memory=hits, ops_per_second=9, hits=hits, misses=misses, evicted=0)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_point_covers_ten_seconds() -> None:
    history = RedisHistory()
    history.add(stats(100, 10), at(0))
    history.add(stats(130, 20, ping=4.0), at(4))
    history.add(stats(190, 20), at(8))

    points = history.add(stats(200, 20), at(10))

    assert points == (
        RedisPoint(at(0), 190, 9, 4.0, hits=90, misses=10, evicted=0),
        RedisPoint(at(10), 200, 9, 0.3, hits=10, misses=0, evicted=0),
    )
    assert [point.hit_rate for point in points] == [0.9, 1.0]
    assert hit_rate(list(points)) == 100 / 110


def test_an_outage_is_a_gap_and_a_restart_is_not_a_fall() -> None:
    history = RedisHistory()
    history.add(stats(1000, 10), at(0))
    history.add(None, at(10))
    points = history.add(stats(5, 0, uptime=3), at(20))

    assert points[1] == RedisPoint(at(10))
    assert (points[2].hits, points[2].hit_rate) == (0, None)
    assert history.add(stats(9, 0, uptime=5), at(22))[2].hits == 4


def test_an_hour_is_kept_and_a_clock_that_is_set_back_starts_a_point() -> None:
    history = RedisHistory()
    *_, points = [history.add(stats(n, 0), at(10 * n)) for n in range(POINTS + 5)]

    assert len(points) == POINTS
    assert points[0].at == at(50)
    assert history.add(stats(9999, 0), at(0))[-1].at == at(0)
