"""practice.warm_cache: the values that readers would compute, for recently active users."""

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
from tests.jobs.attempts_fixtures import items_of, plan_of, run_batch, statements
from tests.jobs.oracle_practice import as_kept, expected
from tests.jobs.practice_fixtures import (
    DAY,
    MATHS,
    NOW,
    QUESTIONS_PER_TOPIC,
    PracticeFixture,
    extension_context,
    tools_at_noon,
)
from tests.schedules import cron_of
from tests.soak import full, small
from tests.waiting import PATIENCE_SECONDS

SECOND = timedelta(seconds=1)


@pytest.fixture
def tools(database_url: str, redis_url: str) -> Iterator[Resources]:
    with tools_at_noon(database_url, redis_url) as made:
        yield made


@pytest.fixture
def fixture(tools: Resources) -> PracticeFixture:
    return PracticeFixture(tools.data)


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def kept(server: redis.Redis) -> dict[str, Any]:
    return {key.decode(): as_kept(server.get(key) or b"") for key in server.scan_iter(count=1000)}


def add_learners(fixture: PracticeFixture, many: int, days: int, seed: int = 5) -> list[str]:
    """Adds users with random attempts and mastery; returns their names."""
    rng = random.Random(seed)
    names = [f"u{n:03}" for n in range(many)]
    grown = [
        {
            "id": name, "name": name, "active": rng.random() < 0.9, "created_at": NOW - 300 * DAY,
            "stream": rng.choice(["science", None]), "grade": rng.choice(["10", None]),
        }
        for name in names
    ]  # fmt: skip
    fixture.add(users, *grown)
    question_ids = [
        *(f"{topic}-{n:02}" for topic in MATHS for n in range(QUESTIONS_PER_TOPIC)),
        *(f"ink-{n:02}" for n in range(5)),
        "gone",
    ]
    rows, known = [], []
    for name in names:
        days_ago = rng.choice([0, 0, 0, 5, 10, 20])
        for n in range(rng.randrange(0, days * 2)):
            rows.append(
                {
                    "id": f"{name}-{n:03}", "user_id": name, "question_id": rng.choice(question_ids),
                    "status": rng.choice(["correct", "incorrect", "unsolved"]),
                    "timing": rng.choice([None, rng.randrange(400) / 4]),
                    "solved_at": NOW - timedelta(seconds=rng.randrange(-3600, days * 86400)) - days_ago * DAY,
                }
            )  # fmt: skip
        for topic in (*MATHS, "ink"):
            if rng.random() < 0.7:
                mastery = rng.choice([0.1, 0.49, 0.5, 0.69, 0.7, 0.95])
                known.append(
                    {
                        "user_id": name, "topic_id": topic, "mastery": mastery, "attempts": 3,
                        "last_attempt_at": NOW - 30 * DAY, "updated_at": NOW,
                    }
                )  # fmt: skip
    fixture.add(attempts, *rows)
    fixture.add(topic_mastery, *known)
    return names


def rounded(values: dict[str, Any]) -> dict[str, Any]:
    """Rounds means to hundredths of a second, because the oracle computes exactly."""
    for value in values.values():
        for done in value["byTopic"].values() if isinstance(value, dict) else ():
            if done["meanTiming"] is not None:
                done["meanTiming"] = round(done["meanTiming"], 2)
    return values


@pytest.mark.parametrize(("user_count", "min_due"), [small(60, 30), full(300, 150)])
def test_warm_values_agree_with_the_oracle(
    tools: Resources, fixture: PracticeFixture, server: redis.Redis, user_count: int, min_due: int
) -> None:
    add_learners(fixture, user_count, 40)
    due = items_of(tools, warm_cache, NOW)

    results = [run_batch(tools, warm_cache, NOW, due[n : n + 100]) for n in range(0, len(due), 100)]

    found = kept(server)
    expected_values = expected(tools.data, NOW)
    assert rounded(found) == rounded(expected_values)
    assert len(due) > min_due
    assert sum(result.ok for result in results) == len(due)
    assert sum(result.metrics["keys"] for result in results) == len(expected_values)


def test_warm_values_are_what_readers_would_compute(
    tools: Resources, fixture: PracticeFixture, server: redis.Redis
) -> None:
    names = add_learners(fixture, 20, 12)
    serving = extension_context(tools)
    for name in names:
        read_learner(serving, name, "math")
    by_readers = {key: server.get(key) for key in server.scan_iter()}
    server.flushdb()

    run_batch(tools, warm_cache, NOW, items_of(tools, warm_cache, NOW))

    warmed = {key: server.get(key) for key in server.scan_iter()}
    both = by_readers.keys() & warmed.keys()
    assert len(both) > 40
    assert {key: warmed[key] for key in both} == {key: by_readers[key] for key in both}


def test_users_active_in_the_last_seven_days_are_warmed(tools: Resources, fixture: PracticeFixture) -> None:
    fixture.enrol("asha", "ben", "chen", "dora")
    fixture.enrol("gone", active=False)
    fixture.solve("asha", "alg-01", 7 * DAY)
    fixture.solve("ben", "alg-01", 7 * DAY + SECOND)
    fixture.solve("chen", "alg-01", timedelta(0))
    fixture.solve("dora", "gone", SECOND)
    fixture.solve("gone", "alg-01", DAY)

    assert items_of(tools, warm_cache, NOW) == ["asha", "dora"]


def test_warming_is_idempotent_and_sets_the_ttl_of_the_family(
    tools: Resources, fixture: PracticeFixture, server: redis.Redis
) -> None:
    fixture.enrol("asha")
    fixture.solve("asha", "alg-01", DAY)
    run_batch(tools, warm_cache, NOW, ["asha"])
    once = kept(server)

    run_batch(tools, warm_cache, NOW, ["asha"])

    assert kept(server) == once
    lives = {key: server.ttl(key) for key in once}
    families = {key: next(family for family in pack.families if family.parse(key)) for key in once}
    assert len(once) == 4
    assert all(0 <= (families[key].ttl_seconds or 0) - life < PATIENCE_SECONDS for key, life in lives.items())


def test_an_id_that_is_invalid_in_a_key_fails_only_its_user(
    tools: Resources, fixture: PracticeFixture, server: redis.Redis
) -> None:
    fixture.enrol("asha", "b*n", "chen")
    for name in ("asha", "b*n", "chen"):
        fixture.solve(name, "alg-01", DAY)

    result = run_batch(tools, warm_cache, NOW, ["asha", "b*n", "chen"])

    assert (result.ok, result.failed) == (2, ["b*n"])
    assert "cannot be part of a cache key" in result.failures[0].message
    assert len(kept(server)) == 8


def test_a_user_deactivated_after_planning_is_ok_without_effect(
    tools: Resources, fixture: PracticeFixture, server: redis.Redis
) -> None:
    fixture.enrol("asha", active=False)

    result = run_batch(tools, warm_cache, NOW, ["asha", "unknown"])

    assert (result.ok, result.failed, kept(server)) == (2, [], {})


def test_without_redis_the_run_reports_it(database_url: str, fixture: PracticeFixture) -> None:
    fixture.enrol("asha")
    fixture.solve("asha", "alg-01", DAY)
    with tools_at_noon(
        fixture.data.engine.url.render_as_string(hide_password=False), "unix:///nowhere/r.sock"
    ) as without_redis:
        result = run_batch(without_redis, warm_cache, NOW, ["asha"])

    assert (result.broken, result.again) == ("redis", ["asha"])


def test_the_number_of_queries_does_not_grow_with_the_batch(tools: Resources, fixture: PracticeFixture) -> None:
    names = add_learners(fixture, 60, 10)
    with statements(tools) as for_few:
        run_batch(tools, warm_cache, NOW, names[:3])
    with statements(tools) as for_many:
        run_batch(tools, warm_cache, NOW, names)

    few, many = ([statement for statement, _ in executed if "FROM" in statement] for executed in (for_few, for_many))
    assert len(few) == len(many) == 5
    with_attempts = [plan_of(tools, *call) for call in for_many if "attempts" in call[0] and "FROM" in call[0]]
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
    PracticeFixture(place.data).enrol("asha")

    ended = place.run("practice.warm_cache")

    assert (ended.state, ended.counts.planned) == (RunState.SUCCEEDED, 0)
    assert cron_of(warm_cache).next(NOW) == datetime(2026, 3, 10, 0, 30, tzinfo=UTC)
