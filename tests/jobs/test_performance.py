"""attempts.update_performance: a day's results, overall and by subject."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
import redis
from sqlalchemy import text

from jobs.attempts.tables import user_performance
from jobs.attempts.update_performance import update_performance
from opsconsole import hours
from opsconsole.authoring.context import Resources
from opsconsole.authoring.job import all_of
from opsconsole.authoring.run import RunState
from opsconsole.cache import Family
from tests.conftest import Installing
from tests.jobs.attempts_fixtures import (
    DAY,
    MIDNIGHT,
    NEXT_MIDNIGHT,
    NOON,
    AttemptsFixture,
    items_of,
    plan_of,
    rows_of,
    run_batch,
    statements,
    tools_for,
)

MADE_OF_PERFORMANCE = Family(
    "shop.shelf", "shelf:{user}", ttl=hours(1), of=("user",), computed_from=("user_performance",)
)
OF_SOMETHING_ELSE = Family("shop.till", "till:{user}", ttl=hours(1), of=("user",), computed_from=("topic_mastery",))


@pytest.fixture
def tools(database_url: str, redis_url: str) -> Iterator[Resources]:
    with tools_for(database_url, redis_url, families=(MADE_OF_PERFORMANCE, OF_SOMETHING_ELSE)) as made:
        yield made


@pytest.fixture
def fixture(tools: Resources) -> AttemptsFixture:
    return AttemptsFixture(tools.data)


def test_a_day_is_summarized_overall_and_by_subject(tools: Resources, fixture: AttemptsFixture) -> None:
    fixture.enrol("asha", "ben")
    fixture.solve("asha", NOON, question_id="q1", timing=10.0, reaction_time=1.0)
    fixture.solve("asha", NOON, question_id="q1", timing=None, reaction_time=None, status="unsolved")
    fixture.solve("asha", NOON, question_id="q2", timing=25.0, reaction_time=2.5, status="incorrect")
    fixture.solve("ben", NOON, question_id="q2", timing=None, reaction_time=None)

    result = run_batch(tools, update_performance, NEXT_MIDNIGHT, ["asha", "ben"])

    by_asha = {
        "math": {"attempts": 2, "correct": 1, "accuracy": 0.5, "avg_timing": 10.0},
        "hin": {"attempts": 1, "correct": 0, "accuracy": 0.0, "avg_timing": 25.0},
    }
    by_ben = {"hin": {"attempts": 1, "correct": 1, "accuracy": 1.0, "avg_timing": None}}
    the_19th = {"date": date.fromisoformat(DAY)}
    means = {"avg_timing": 17.5, "avg_reaction_time": 1.75}
    none = {"avg_timing": None, "avg_reaction_time": None}
    assert rows_of(tools, user_performance) == [
        {"user_id": "asha", **the_19th, "attempts": 3, "correct": 1, "accuracy": 1 / 3, **means, "by_subject": by_asha},
        {"user_id": "ben", **the_19th, "attempts": 1, "correct": 1, "accuracy": 1.0, **none, "by_subject": by_ben},
    ]
    assert (result.ok, result.metrics["rows"], result.metrics["rows_changed"]) == (2, 2, 2)


def test_a_day_is_the_local_one(tools: Resources, fixture: AttemptsFixture) -> None:
    fixture.enrol("asha", "ben", "chen")
    fixture.solve("asha", MIDNIGHT - timedelta(microseconds=1))
    fixture.solve("ben", MIDNIGHT)
    fixture.solve("chen", NEXT_MIDNIGHT - timedelta(microseconds=1))
    fixture.solve("ben", NEXT_MIDNIGHT)

    run_batch(tools, update_performance, NEXT_MIDNIGHT, ["asha", "ben", "chen"])

    assert [(row["user_id"], row["attempts"]) for row in rows_of(tools, user_performance)] == [("ben", 1), ("chen", 1)]


def test_the_population_is_active_users_with_attempts(tools: Resources, fixture: AttemptsFixture) -> None:
    fixture.enrol("asha", "ben", "chen")
    fixture.enrol("gone", active=False)
    fixture.solve("asha", NOON)
    fixture.solve("gone", NOON)
    fixture.solve("chen", NOON - timedelta(days=1))

    assert items_of(tools, update_performance, NEXT_MIDNIGHT) == ["asha"]
    assert (update_performance.catch_up, update_performance.after) == (all_of(newest=31), ("attempts.cache_day",))


def test_a_second_run_writes_nothing_and_a_late_attempt_replaces_its_users_row(
    tools: Resources, fixture: AttemptsFixture
) -> None:
    fixture.enrol("asha", "ben")
    for n in range(7):
        fixture.solve("asha", NOON, question_id=f"q{n % 2 + 1}", timing=0.1 * n, reaction_time=0.7 * n)
    fixture.solve("ben", NOON)
    run_batch(tools, update_performance, NEXT_MIDNIGHT, ["asha", "ben"])
    once = rows_of(tools, user_performance)

    with statements(tools) as executed:
        again = run_batch(tools, update_performance, NEXT_MIDNIGHT, ["asha", "ben"])
    twice = rows_of(tools, user_performance)
    fixture.solve("ben", NOON, status="incorrect")
    late = run_batch(tools, update_performance, NEXT_MIDNIGHT, ["asha", "ben"])

    assert twice == once
    assert all(statement.startswith("SELECT") for statement, _ in executed)
    assert (again.metrics["rows_changed"], late.metrics["rows_changed"]) == (0, 1)
    assert [row["accuracy"] for row in rows_of(tools, user_performance)] == [1.0, 0.5]


def test_cache_entries_of_changed_rows_are_invalidated(
    tools: Resources, fixture: AttemptsFixture, redis_url: str
) -> None:
    fixture.enrol("asha", "ben")
    fixture.solve("asha", NOON)
    fixture.solve("ben", NOON)
    run_batch(tools, update_performance, NEXT_MIDNIGHT, ["asha", "ben"])
    with redis.Redis.from_url(redis_url) as cache:
        cache.mset({"shelf:asha": "old", "shelf:ben": "old", "till:ben": "of another table", "other": "of others"})
        fixture.solve("ben", NOON)

        result = run_batch(tools, update_performance, NEXT_MIDNIGHT, ["asha", "ben"])

        assert {key.decode() for key in cache.scan_iter()} == {"shelf:asha", "till:ben", "other"}
    assert result.metrics["cache_keys_invalidated"] == 1


def test_without_redis_rows_are_written_and_users_not_invalidated_are_counted(
    database_url: str, tools: Resources, fixture: AttemptsFixture
) -> None:
    fixture.enrol("asha", "ben")
    fixture.solve("asha", NOON)
    fixture.solve("ben", NOON)

    with tools_for(database_url, "redis://127.0.0.1:1", families=(MADE_OF_PERFORMANCE,)) as alone:
        result = run_batch(alone, update_performance, NEXT_MIDNIGHT, ["asha", "ben"])

    assert (result.ok, result.failed, result.broken) == (2, [], None)
    assert result.metrics["users_not_invalidated"] == 2
    assert len(rows_of(tools, user_performance)) == 2


def test_invalid_rows_fail_only_their_users(tools: Resources, fixture: AttemptsFixture) -> None:
    names = ["asha", "ben", "chen", "dev"]
    fixture.enrol(*names)
    for name in names:
        fixture.solve(name, NOON)
    fixture.solve("chen", NOON, question_id="q404")
    fixture.solve("ben", NOON, timing=1e300, reaction_time=1e300)
    run_batch(tools, update_performance, NEXT_MIDNIGHT, ["dev"])
    with tools.data.writing() as db:
        db.execute(text("UPDATE user_performance SET by_subject = '{broken' WHERE user_id = 'dev'"))

    result = run_batch(tools, update_performance, NEXT_MIDNIGHT, names)

    assert result.ok == 2
    assert {failure.item for failure in result.failures} == {"chen", "dev"}
    assert "question q404 is missing" in {failure.message for failure in result.failures}
    with tools.data.reading() as db:
        found = db.execute(text("SELECT user_id, attempts, avg_timing FROM user_performance ORDER BY user_id")).all()
    assert [tuple(row) for row in found] == [("asha", 1, 12.5), ("ben", 2, 12.5), ("dev", 1, 12.5)]


def test_the_number_of_statements_does_not_grow_with_the_batch_and_each_uses_an_index(
    tools: Resources, fixture: AttemptsFixture
) -> None:
    names = [f"user{n:03}" for n in range(200)]
    fixture.enrol(*names)
    for name in names:
        fixture.solve(name, NOON)
        fixture.solve(name, NOON, question_id="q2")

    with statements(tools) as for_few:
        run_batch(tools, update_performance, NEXT_MIDNIGHT, names[:5])
    with statements(tools) as for_many:
        run_batch(tools, update_performance, NEXT_MIDNIGHT, names[5:])

    made, there = (plan_of(tools, statement, parameters) for statement, parameters in for_many[:2])
    assert len(for_few) == len(for_many) == 3
    assert "ix_attempts_user_id_solved_at" in made
    assert "pk_user_performance" in there or "sqlite_autoindex_user_performance" in there


def test_the_alias_runs_the_job(database_url: str, redis_url: str, installing: Installing) -> None:
    place = installing(
        database_url=database_url, redis_url=redis_url, environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
    )
    fixture = AttemptsFixture(place.data)
    fixture.enrol("asha", "ben", "chen")
    fixture.solve("asha", NOON)
    fixture.solve("chen", NOON, question_id="q404")

    ended = place.run("updatePerformance", DAY)

    assert (ended.state, ended.counts.planned, ended.counts.ok) == (RunState.PARTIAL, 2, 1)
    assert ended.metrics["rows"] == 1
