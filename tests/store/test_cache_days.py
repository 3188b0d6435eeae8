"""The figures of the cache by day and family."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
import redis

from opsconsole.cache.client import Cache
from opsconsole.cache.families import Family
from opsconsole.cache.figures import CacheDay, FamilyUsage
from opsconsole.cache.reads import Reads
from opsconsole.core import clock
from opsconsole.leader import background_tasks
from opsconsole.service.cache_reads import CacheReadsRecorder
from opsconsole.store import Store, cache_days, migrate
from tests.conftest import Installing
from tests.http.client import served
from tests.waiting import eventually

TODAY = date(2026, 1, 19)
DAY = Family("shelf.day", "shelf:day:{user}", timedelta(hours=2), of=("user",))


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    migrate.upgrade(made)
    yield made
    made.close()


def found(store: Store, day: date = date.min) -> list[CacheDay]:
    with store.reading() as db:
        return cache_days.since(db, day)


def test_reads_of_several_processes_add_up_and_the_newest_size_counts(store: Store) -> None:
    yesterday, long_ago = TODAY - timedelta(days=1), TODAY - timedelta(days=91)
    with store.writing() as db:
        cache_days.add_reads(db, long_ago, {"shelf.day": Reads(1)})
        cache_days.add_reads(db, yesterday, {"shelf.day": Reads(1, 2, failed=3)})
        cache_days.add_reads(db, TODAY, {"shelf.day": Reads(hits=3, misses=1), "shelf.level": Reads(misses=2)})
        cache_days.add_reads(db, TODAY, {"shelf.day": Reads(hits=3, misses=1, garbage=1, failed=5)})
        cache_days.add_reads(db, TODAY, {})
        before = len(found(store))
        cache_days.record_sizes(db, TODAY, {"shelf.day": FamilyUsage(7, 900), "shelf.board": FamilyUsage(1)})
        cache_days.record_sizes(db, TODAY, {"shelf.day": FamilyUsage(5, 500)})

    days = found(store)

    assert before == 0, "nothing is seen before it is committed"
    assert days == [
        CacheDay(TODAY, "shelf.board", 0, 0, 0, 1, None),
        CacheDay(TODAY, "shelf.day", 6, 2, 5, 5, 500),
        CacheDay(TODAY, "shelf.level", 0, 2, 0, None, None),
        CacheDay(yesterday, "shelf.day", 1, 2, 3, None, None),
    ]
    assert [day.hit_rate for day in days] == [None, 0.75, 0.0, 1 / 3]
    assert found(store, TODAY) == days[:3]


def test_days_older_than_ninety_are_forgotten(store: Store) -> None:
    with store.writing() as db:
        for ago in (0, 89, 90, 91, 400):
            cache_days.add_reads(db, TODAY - timedelta(days=ago), {"shelf.day": Reads(1)})
        cache_days.record_sizes(db, TODAY, {})

    assert [(TODAY - each.day).days for each in found(store)] == [0, 89, 90]


def test_a_process_adds_what_it_read_since_the_last_time(store: Store) -> None:
    now = datetime(2026, 1, 19, 23, 59, tzinfo=UTC)
    totals: dict[str, Reads] = {}
    recorder = CacheReadsRecorder(store, lambda: totals, now=lambda: now)
    eventually(lambda: recorder.loop.status().succeeded_seconds is not None, "it has begun")

    totals = {"shelf.day": Reads(4, 2)}
    recorder.record()
    recorder.record()
    now += timedelta(minutes=2)
    totals = {"shelf.day": Reads(5, 2), "shelf.level": Reads(misses=1)}
    recorder.record()
    totals = {"shelf.day": Reads(1)}  # a reload of the configuration starts new counts
    recorder.stop()

    assert [(each.day.day, each.family, each.hits, each.misses) for each in found(store)] == [
        (20, "shelf.day", 2, 0),
        (20, "shelf.level", 0, 1),
        (19, "shelf.day", 4, 2),
    ]


def test_every_read_is_counted(redis_url: str) -> None:
    cache = Cache(redis_url)
    cache.replace(DAY, {"asha": b"1", "ben": b"2"}, by="user")

    cache.read(DAY, ["asha", "ben", "chen", "a:b"], by="user")
    cache.reader.get(DAY, int, lambda: 3, user="dora")
    cache.reader.get(DAY, int, lambda: 3, user="dora")

    assert cache.reads() == {"shelf.day": Reads(hits=3, misses=2)}
    cache.close()


def test_routes_and_the_leader_record_their_figures(
    installing: Installing, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_tasks, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(background_tasks, "FIRST_SIZES_SECONDS", 0.0)
    place = installing(
        database_url=database_url,
        redis_url=redis_url,
        packs="jobs.attempts,jobs.practice",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    with redis.Redis.from_url(redis_url) as server:
        server.set("date:user:2026-01-19:asha", "[]", ex=600)
    today = clock.now().date()
    with served(place) as client:
        for user in ("asha", "asha", "ben"):
            client.get(f"/cache/attempt-day/{user}/2026-01-19")
    with place.leading():
        eventually(lambda: any(each.keys for each in place.service.cache.days(2)), "the leader has sampled the keys")

    with served(place) as client:
        document = client.get("/api/cache/stats?days=2").json["stats"]["days"]
    days = {each.family: each for each in place.service.cache.days(2)}

    assert (days["attempts.day"].hits, days["attempts.day"].misses, days["attempts.day"].keys) == (2, 1, 1)
    assert (days["practice.config"].hits, days["practice.config"].keys) == (0, 0)
    (row,) = [each for each in document if each["family"] == "attempts.day"]
    assert row.pop("memory") > 0
    assert row.pop("day") >= today.isoformat()
    assert row == {"family": "attempts.day", "hits": 2, "misses": 1, "failures": 0, "hitRate": 2 / 3, "keys": 1}
