"""The warm-up before the morning: the same values that a reader would have worked out, for those who practise."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from jobs.attempts.tables import attempts, topic_mastery
from jobs.common import users
from jobs.practice import pack
from jobs.practice.sessions import read_learner
from jobs.practice.warm_cache import warm_cache
from opsconsole.authoring.context import Resources
from opsconsole.authoring.run import RunState
from tests.conftest import Installing
from tests.jobs.attempts_fixtures import carry_out, plan_of, population_of, statements
from tests.jobs.oracle_practice import as_kept, expected
from tests.jobs.practice_fixtures import DAY, EACH, MATHS, NOW, Class, serving_with, tools_at_noon
from tests.schedules import cron_of

SECOND = timedelta(seconds=1)


@pytest.fixture
def tools(database_url: str, redis_url: str) -> Iterator[Resources]:
    with tools_at_noon(database_url, redis_url) as made:
        yield made


@pytest.fixture
def place(tools: Resources) -> Class:
    return Class(tools.data)


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def kept(server: redis.Redis) -> dict[str, Any]:
    return {key.decode(): as_kept(server.get(key) or b"") for key in server.scan_iter(count=1000)}


def a_school(place: Class, many: int, days: int, seed: int = 5) -> list[str]:
    """So many people with random lives; their names."""
    dice = random.Random(seed)
    names = [f"u{n:03}" for n in range(many)]
    grown = [
        {
            "id": name, "name": name, "active": dice.random() < 0.9, "created_at": NOW - 300 * DAY,
            "stream": dice.choice(["science", None]), "grade": dice.choice(["10", None]),
        }
        for name in names
    ]  # fmt: skip
    place.add(users, *grown)
    asked = [*(f"{topic}-{n:02}" for topic in MATHS for n in range(EACH)), *(f"ink-{n:02}" for n in range(5)), "gone"]
    rows, known = [], []
    for name in names:
        away = dice.choice([0, 0, 0, 5, 10, 20])
        for n in range(dice.randrange(0, days * 2)):
            rows.append(
                {
                    "id": f"{name}-{n:03}", "user_id": name, "question_id": dice.choice(asked),
                    "status": dice.choice(["correct", "incorrect", "unsolved"]),
                    "timing": dice.choice([None, dice.randrange(400) / 4]),
                    "solved_at": NOW - timedelta(seconds=dice.randrange(-3600, days * 86400)) - away * DAY,
                }
            )  # fmt: skip
        for topic in (*MATHS, "ink"):
            if dice.random() < 0.7:
                mastery = dice.choice([0.1, 0.49, 0.5, 0.69, 0.7, 0.95])
                known.append(
                    {
                        "user_id": name, "topic_id": topic, "mastery": mastery, "attempts": 3,
                        "last_attempt_at": NOW - 30 * DAY, "updated_at": NOW,
                    }
                )  # fmt: skip
    place.add(attempts, *rows)
    place.add(topic_mastery, *known)
    return names


def rounded(values: dict[str, Any]) -> dict[str, Any]:
    """With means to the hundredth of a second: the oracle adds up exactly."""
    for value in values.values():
        for done in value["byTopic"].values() if isinstance(value, dict) else ():
            if done["meanTiming"] is not None:
                done["meanTiming"] = round(done["meanTiming"], 2)
    return values


def test_an_oracle_finds_the_same_for_three_hundred_people_over_forty_days(
    tools: Resources, place: Class, server: redis.Redis
) -> None:
    a_school(place, 300, 40)
    due = population_of(tools, warm_cache, NOW)

    results = [carry_out(tools, warm_cache, NOW, due[n : n + 100]) for n in range(0, len(due), 100)]

    found = kept(server)
    wanted = expected(tools.data, NOW)
    assert rounded(found) == rounded(wanted)
    assert len(due) > 150
    assert sum(result.ok for result in results) == len(due)
    assert sum(result.metrics["keys"] for result in results) == len(wanted)


def test_what_is_warm_is_what_a_reader_would_have_worked_out(
    tools: Resources, place: Class, server: redis.Redis
) -> None:
    names = a_school(place, 20, 12)
    serving = serving_with(tools)
    for name in names:
        read_learner(serving, name, "math")
    by_readers = {key: server.get(key) for key in server.scan_iter()}
    server.flushdb()

    carry_out(tools, warm_cache, NOW, population_of(tools, warm_cache, NOW))

    warmed = {key: server.get(key) for key in server.scan_iter()}
    both = by_readers.keys() & warmed.keys()
    assert len(both) > 40
    assert {key: warmed[key] for key in both} == {key: by_readers[key] for key in both}


def test_those_are_warmed_who_came_in_the_last_seven_days(tools: Resources, place: Class) -> None:
    place.enrol("asha", "ben", "chen", "dora")
    place.enrol("gone", active=False)
    place.solve("asha", "alg-01", 7 * DAY)
    place.solve("ben", "alg-01", 7 * DAY + SECOND)
    place.solve("chen", "alg-01", timedelta(0))
    place.solve("dora", "gone", SECOND)
    place.solve("gone", "alg-01", DAY)

    assert population_of(tools, warm_cache, NOW) == ["asha", "dora"]


def test_warming_twice_leaves_the_same_and_values_live_as_long_as_their_family_says(
    tools: Resources, place: Class, server: redis.Redis
) -> None:
    place.enrol("asha")
    place.solve("asha", "alg-01", DAY)
    carry_out(tools, warm_cache, NOW, ["asha"])
    once = kept(server)

    carry_out(tools, warm_cache, NOW, ["asha"])

    assert kept(server) == once
    lives = {key: server.ttl(key) for key in once}
    families = {key: next(family for family in pack.families if family.parse(key)) for key in once}
    assert len(once) == 4
    assert all(0 <= (families[key].ttl_seconds or 0) - life < 30 for key, life in lives.items())


def test_an_id_that_no_key_can_hold_fails_alone(tools: Resources, place: Class, server: redis.Redis) -> None:
    place.enrol("asha", "b*n", "chen")
    for name in ("asha", "b*n", "chen"):
        place.solve(name, "alg-01", DAY)

    result = carry_out(tools, warm_cache, NOW, ["asha", "b*n", "chen"])

    assert (result.ok, result.failed) == (2, ["b*n"])
    assert "cannot be part of a cache key" in result.failures[0].message
    assert len(kept(server)) == 8


def test_who_left_since_the_run_was_planned_needs_nothing(tools: Resources, place: Class, server: redis.Redis) -> None:
    place.enrol("asha", active=False)

    result = carry_out(tools, warm_cache, NOW, ["asha", "nobody"])

    assert (result.ok, result.failed, kept(server)) == (2, [], {})


def test_without_redis_the_run_says_so(database_url: str, place: Class) -> None:
    place.enrol("asha")
    place.solve("asha", "alg-01", DAY)
    with tools_at_noon(place.data.engine.url.render_as_string(hide_password=False), "unix:///nowhere/r.sock") as away:
        result = carry_out(away, warm_cache, NOW, ["asha"])

    assert (result.broken, result.again) == ("redis", ["asha"])


def test_the_number_of_queries_does_not_grow_with_the_batch(tools: Resources, place: Class) -> None:
    names = a_school(place, 60, 10)
    with statements(tools) as for_few:
        carry_out(tools, warm_cache, NOW, names[:3])
    with statements(tools) as for_many:
        carry_out(tools, warm_cache, NOW, names)

    few, many = ([statement for statement, _ in seen if "FROM" in statement] for seen in (for_few, for_many))
    assert len(few) == len(many) == 5
    with_attempts = [plan_of(tools, *asked) for asked in for_many if "attempts" in asked[0] and "FROM" in asked[0]]
    assert all("ix_attempts_user_id_solved_at" in plan for plan in with_attempts), with_attempts


def test_it_runs_by_hand_and_each_morning_at_six(
    installing: Installing, database_url: str, redis_url: str, server: redis.Redis
) -> None:
    place = installing(
        database_url=database_url,
        redis_url=redis_url,
        packs="jobs.attempts,jobs.practice",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    Class(place.data).enrol("asha")

    ended = place.run("practice.warm_cache")

    assert (ended.state, ended.counts.planned) == (RunState.SUCCEEDED, 0)
    assert cron_of(warm_cache).next(NOW) == datetime(2026, 3, 10, 0, 30, tzinfo=UTC)
