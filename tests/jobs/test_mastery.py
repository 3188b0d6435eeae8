"""attempts.update_mastery: mastery of topics from four weeks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from sqlalchemy import insert, text

from jobs.attempts.tables import topic_mastery
from jobs.attempts.update_mastery import mastery, update_mastery
from opsconsole import hours
from opsconsole.authoring.context import Resources
from opsconsole.cache import Family
from opsconsole.calendar.windows import FOUR_WEEKS_BEFORE
from tests.jobs.attempts_fixtures import (
    KOLKATA,
    MIDNIGHT,
    NOW,
    AttemptsFixture,
    items_of,
    plan_of,
    rows_of,
    run_batch,
    statements,
    tools_for,
)

SUNDAY_AT_ONE = MIDNIGHT + timedelta(hours=1)
SATURDAY_NOON = MIDNIGHT - timedelta(hours=12)
FOUR_WEEKS = timedelta(days=28)

WEAK = Family(
    "shop.weak", "weak:{user}:{subject}", ttl=hours(1), of=("user", "subject"), computed_from=("topic_mastery",)
)


@pytest.fixture
def tools(database_url: str, redis_url: str) -> Iterator[Resources]:
    with tools_for(database_url, redis_url, families=(WEAK,)) as made:
        yield made


@pytest.fixture
def fixture(tools: Resources) -> AttemptsFixture:
    return AttemptsFixture(tools.data)


def known(tools: Resources) -> dict[tuple[str, str], tuple[float, int]]:
    """Mastery and attempts by user and topic."""
    return {
        (row["user_id"], row["topic_id"]): (row["mastery"], row["attempts"]) for row in rows_of(tools, topic_mastery)
    }


def test_mastery_is_a_half_without_attempts_and_never_0_or_1() -> None:
    assert [mastery(0, 0), mastery(1, 1), mastery(0, 1), mastery(98, 98)] == [1 / 2, 2 / 3, 1 / 3, 0.99]


def test_each_attempted_topic_has_a_row_and_unsolved_is_not_correct(tools: Resources, fixture: AttemptsFixture) -> None:
    fixture.enrol("asha")
    for n, status in enumerate(("correct", "correct", "incorrect", "unsolved")):
        fixture.solve("asha", SATURDAY_NOON + timedelta(seconds=n), status=status)
    fixture.solve("asha", SATURDAY_NOON - timedelta(days=20), question_id="q2")

    result = run_batch(tools, update_mastery, SUNDAY_AT_ONE, ["asha"])

    assert rows_of(tools, topic_mastery) == [
        {
            "user_id": "asha", "topic_id": "alg", "mastery": 0.5, "attempts": 4,
            "last_attempt_at": SATURDAY_NOON + timedelta(seconds=3), "updated_at": NOW,
        },
        {
            "user_id": "asha", "topic_id": "vya", "mastery": 2 / 3, "attempts": 1,
            "last_attempt_at": SATURDAY_NOON - timedelta(days=20), "updated_at": NOW,
        },
    ]  # fmt: skip
    assert (result.ok, result.metrics["rows_changed"]) == (1, 2)


def test_four_weeks_are_28_local_days_ending_with_saturday(tools: Resources, fixture: AttemptsFixture) -> None:
    fixture.enrol("first", "last", "before", "after")
    fixture.solve("first", MIDNIGHT - FOUR_WEEKS)
    fixture.solve("last", MIDNIGHT - timedelta(microseconds=1))
    fixture.solve("before", MIDNIGHT - FOUR_WEEKS - timedelta(microseconds=1))
    fixture.solve("after", MIDNIGHT)

    run_batch(tools, update_mastery, SUNDAY_AT_ONE, ["first", "last", "before", "after"])

    assert {user for user, _ in known(tools)} == {"first", "last"}
    assert items_of(tools, update_mastery, SUNDAY_AT_ONE) == ["first", "last"]
    assert FOUR_WEEKS_BEFORE.at(SUNDAY_AT_ONE, KOLKATA).label == "2025-01-18"


def test_topics_without_attempts_in_the_window_keep_their_rows(tools: Resources, fixture: AttemptsFixture) -> None:
    fixture.enrol("asha")
    fixture.solve("asha", SATURDAY_NOON)
    old = {
        "mastery": 0.9,
        "attempts": 8,
        "last_attempt_at": SATURDAY_NOON - 2 * FOUR_WEEKS,
        "updated_at": NOW - FOUR_WEEKS,
    }
    with tools.data.writing() as db:
        db.execute(insert(topic_mastery), [{"user_id": "asha", "topic_id": topic, **old} for topic in ("alg", "vya")])

    run_batch(tools, update_mastery, SUNDAY_AT_ONE, ["asha"])

    assert known(tools) == {("asha", "alg"): (2 / 3, 1), ("asha", "vya"): (0.9, 8)}


def test_a_second_run_writes_nothing_and_older_results_replace_nothing(
    database_url: str, redis_url: str, tools: Resources, fixture: AttemptsFixture
) -> None:
    fixture.enrol("asha")
    fixture.solve("asha", SATURDAY_NOON)
    run_batch(tools, update_mastery, SUNDAY_AT_ONE, ["asha"])
    once = rows_of(tools, topic_mastery)

    with statements(tools) as executed:
        run_batch(tools, update_mastery, SUNDAY_AT_ONE, ["asha"])
    twice = rows_of(tools, topic_mastery)
    fixture.solve("asha", SATURDAY_NOON)
    with tools_for(database_url, redis_url, now=lambda: NOW - timedelta(minutes=1)) as earlier:
        run_batch(earlier, update_mastery, SUNDAY_AT_ONE, ["asha"])

    assert twice == once == rows_of(tools, topic_mastery)
    assert all(statement.startswith(("SELECT", "WITH")) and "INSERT" not in statement for statement, _ in executed)


def test_cache_entries_of_changed_subjects_are_invalidated(
    tools: Resources, fixture: AttemptsFixture, redis_url: str
) -> None:
    fixture.enrol("asha", "ben")
    for name in ("asha", "ben"):
        for question in ("q1", "q2"):
            fixture.solve(name, SATURDAY_NOON, question_id=question)
    run_batch(tools, update_mastery, SUNDAY_AT_ONE, ["asha", "ben"])
    with redis.Redis.from_url(redis_url) as cache:
        cache.mset({f"weak:{user}:{subject}": "old" for user in ("asha", "ben") for subject in ("math", "hin")})
        fixture.solve("asha", SATURDAY_NOON, question_id="q2")

        result = run_batch(tools, update_mastery, SUNDAY_AT_ONE, ["asha", "ben"])

        assert {key.decode() for key in cache.scan_iter()} == {"weak:asha:math", "weak:ben:math", "weak:ben:hin"}
    assert (result.metrics["rows_changed"], result.metrics["cache_keys_invalidated"]) == (1, 1)


def test_without_redis_rows_are_written_and_users_not_invalidated_are_counted(
    database_url: str, tools: Resources, fixture: AttemptsFixture
) -> None:
    fixture.enrol("asha")
    fixture.solve("asha", SATURDAY_NOON)

    with tools_for(database_url, "redis://127.0.0.1:1", families=(WEAK,)) as alone:
        result = run_batch(alone, update_mastery, SUNDAY_AT_ONE, ["asha"])

    assert (result.ok, result.broken, result.metrics["users_not_invalidated"]) == (1, None, 1)
    assert len(known(tools)) == 1


def test_invalid_rows_fail_only_their_users(tools: Resources, fixture: AttemptsFixture) -> None:
    names = ["asha", "ben", "chen", "dev"]
    fixture.enrol(*names)
    for name in names:
        fixture.solve(name, SATURDAY_NOON)
    fixture.solve("chen", SATURDAY_NOON, question_id="q404")
    if tools.data.is_sqlite:
        with tools.data.writing() as db:
            db.execute(text("UPDATE attempts SET solved_at = '2025-01-10 at noon' WHERE user_id = 'dev'"))

    result = run_batch(tools, update_mastery, SUNDAY_AT_ONE, names)

    bad = {"chen", "dev"} if tools.data.is_sqlite else {"chen"}
    assert {failure.item for failure in result.failures} == bad
    assert "question q404 is missing" in {failure.message for failure in result.failures}
    assert {user for user, _ in known(tools)} == set(names) - bad


def test_the_number_of_statements_does_not_grow_with_the_batch_and_each_uses_an_index(
    tools: Resources, fixture: AttemptsFixture
) -> None:
    names = [f"user{n:03}" for n in range(200)]
    fixture.enrol(*names)
    for name in names:
        fixture.solve(name, SATURDAY_NOON)
        fixture.solve(name, SATURDAY_NOON, question_id="q2")

    with statements(tools) as for_few:
        run_batch(tools, update_mastery, SUNDAY_AT_ONE, names[:5])
    with statements(tools) as for_many:
        run_batch(tools, update_mastery, SUNDAY_AT_ONE, names[5:])

    plan = plan_of(tools, *for_many[0])
    assert len(for_few) == len(for_many) == 2
    assert "ix_attempts_user_id_solved_at" in plan
    assert "pk_topic_mastery" in plan or "sqlite_autoindex_topic_mastery" in plan


def test_only_the_newest_four_weeks_may_run() -> None:
    assert update_mastery.newest_only
    assert update_mastery.aliases == ("updateMastery",)
