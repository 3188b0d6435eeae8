"""Cache statistics: the server's own figures, and usage per family from a scan in small steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import redis

from opsconsole.cache.client import Cache
from opsconsole.cache.families import Family
from opsconsole.cache.figures import RecentHitRate, RedisStats, hit_rate_between
from opsconsole.cache.statistics import sample, survey
from opsconsole.core.errors import Unavailable

DAYS = Family("days", "date:user:{date}:{user}", timedelta(hours=2), of=("user",))
LEVEL = Family("level", "user:level:{user}", timedelta(hours=1), of=("user",))
BOARD = Family("board", "leaderboard:{board}", None)
ALL = (DAYS, LEVEL, BOARD)

STATS = RedisStats(
    version="9.0", uptime_seconds=60, ping_ms=0.1, memory=1, peak_memory=1, max_memory=0, fragmentation=1.0, clients=1,
    ops_per_second=0, hits=100, misses=100, evicted=0, expired=0, keys=0,
)  # fmt: skip


@pytest.fixture
def cache(redis_url: str) -> Iterator[Cache]:
    made = Cache(redis_url)
    yield made
    made.close()


def test_statistics_come_from_the_server(cache: Cache) -> None:
    cache.client.set("user:level:asha", "3")
    before = sample(cache.client)
    for key in ("user:level:asha", "user:level:asha", "user:level:asha", "nowhere"):
        cache.client.get(key)

    after, _ = cache.statistics()

    assert None not in (before.hits, before.misses, after.hits, after.misses, after.memory, after.peak_memory)
    assert (after.keys, (after.hits or 0) - (before.hits or 0), (after.misses or 0) - (before.misses or 0)) == (1, 3, 1)
    assert hit_rate_between(before, after) == 0.75
    assert (after.version or "?")[0].isdigit()
    assert 0 < after.ping_ms < 1000
    assert 0 < (after.memory or 0) <= (after.peak_memory or 0)
    assert (after.clients or 0) >= 1


def test_the_recent_hit_rate_ignores_older_samples() -> None:
    recent = RecentHitRate()

    rates = [
        recent.add(replace(STATS, hits=100, misses=100), 0.0),
        recent.add(replace(STATS, hits=110, misses=100), 100.0),
        recent.add(replace(STATS, hits=110, misses=130), 301.0),
        recent.add(replace(STATS, hits=110, misses=130), 900.0),
    ]

    assert rates == [None, 1.0, 0.0, None]


def test_there_is_no_hit_rate_across_a_restart_of_the_server() -> None:
    assert hit_rate_between(STATS, replace(STATS, uptime_seconds=1, hits=500)) is None
    assert hit_rate_between(STATS, replace(STATS, hits=5)) is None
    assert hit_rate_between(STATS, STATS) is None


def test_a_survey_finds_keys_memory_and_ttl_of_each_family(cache: Cache) -> None:
    for n in range(250):
        cache.client.set(f"user:level:u{n}", "x" * 1000, ex=3000)
    cache.client.set("date:user:2026-01-19:asha", "[]", ex=100)
    cache.client.set("date:user:2026-01-19:ben", "[]", ex=200)
    cache.client.zadd("leaderboard:global", {f"u{n}": n for n in range(1000)})
    cache.client.set("cart:asha", "another application's")
    cache.client.set(b"\xff", "and another's")

    found = cache.survey(ALL, seconds=10)

    days, level, board = (found.families[family.name] for family in ALL)
    assert found.done
    assert (days.keys, level.keys, board.keys, found.others) == (2, 250, 1, 2)
    assert level.memory is not None
    assert 250 * 1000 < level.memory < 250 * 1500
    assert board.memory is not None
    assert board.memory > 10_000
    assert days.ttl is not None
    assert [round(seconds, -1) for seconds in days.ttl] == [100, 150, 200]
    assert (board.ttl, board.without_ttl, days.without_ttl) == (None, 1, 0)


def test_a_survey_of_an_empty_server_finds_no_keys(cache: Cache) -> None:
    found = cache.survey(ALL, seconds=1)

    assert (found.done, found.others, [usage.keys for usage in found.families.values()]) == (True, 0, [0, 0, 0])


def test_a_survey_that_is_cut_short_estimates(cache: Cache) -> None:
    cache.client.mset({f"user:level:u{n}": "1" for n in range(15_000)} | {f"cart:{n}": "1" for n in range(5_000)})

    found = cache.survey(ALL, seconds=0)

    assert not found.done
    assert found.scanned < found.of == 20_000
    assert 12_000 < found.families["level"].keys < 18_000
    assert 3_000 < found.others < 8_000


def test_a_survey_of_twenty_thousand_keys_stays_out_of_the_slow_log(cache: Cache) -> None:
    cache.client.mset({f"user:level:u{n}": "1" for n in range(20_000)})
    cache.client.config_set("slowlog-log-slower-than", 10_000)
    slow = []
    for _ in range(3):  # another process may delay the server once, but not three times
        cache.client.slowlog_reset()
        steps = list(survey(cache.client, ALL))
        cache.statistics()
        assert len(steps) >= 15
        assert [step.scanned for step in steps] == sorted(step.scanned for step in steps)
        assert (steps[-1].families["level"].keys, steps[-1].scanned) == (20_000, 20_000)
        slow = cache.client.slowlog_get()
        if not slow:
            break

    assert slow == []


def test_a_survey_without_permission_to_read_sizes_reports_the_rest(cache: Cache, redis_url: str) -> None:
    cache.client.set("user:level:asha", "3", ex=100)
    cache.client.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], commands=["+scan", "+dbsize", "+ttl"])
    with redis.Redis.from_url(redis_url, username="reader", password="x") as client:
        *_, found = survey(client, ALL)
    cache.client.acl_deluser("reader")

    assert (found.families["level"].keys, found.families["level"].memory) == (1, None)
    assert found.families["level"].ttl is not None


def test_an_unreachable_server_raises_unavailable() -> None:
    cache = Cache("unix:///nowhere/redis.sock")

    with pytest.raises(Unavailable):
        cache.statistics()
    with pytest.raises(Unavailable):
        cache.survey(ALL, seconds=1)
    cache.close()
