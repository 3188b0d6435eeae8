"""The attempts jobs against a reference model, over weeks of nights."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import insert

from jobs.attempts.cache_day import cache_day
from jobs.attempts.suggest import suggest
from jobs.attempts.suggestion_rules import SuggestionKind
from jobs.attempts.tables import (
    attempts,
    questions,
    subjects,
    suggestions,
    topic_mastery,
    topics,
    user_performance,
)
from jobs.attempts.update_mastery import update_mastery
from jobs.attempts.update_performance import update_performance
from jobs.common import users
from opsconsole.authoring.context import Resources
from opsconsole.calendar.windows import start_of_day
from tests.jobs import oracle_attempts as oracle
from tests.jobs.attempts_fixtures import KOLKATA, items_of, rows_of, run_batch, tools_for
from tests.soak import full, postgresql_in_soak, small

DAYS = 40
FIRST = date(2025, 1, 5)  # a Sunday
MICROSECOND = timedelta(microseconds=1)
ROW = ("attempts", "correct", "accuracy", "avg_timing", "avg_reaction_time", "by_subject")


@pytest.fixture
def tools(database_url: str, redis_url: str) -> Iterator[Resources]:
    with tools_for(database_url, redis_url) as made:
        yield made


def midnight(day: date) -> datetime:
    return start_of_day(day, KOLKATA)


def fill(tools: Resources, user_count: int, chance: random.Random) -> None:
    """Adds users, 24 questions of 6 topics and forty days of attempts; one question does not exist."""
    born = midnight(FIRST) - timedelta(days=100)
    who = [f"user{n:03}" for n in range(user_count)]
    people = [{"id": name, "name": name, "active": n % 12 > 0, "created_at": born} for n, name in enumerate(who)]
    names = ["Waves", "Algebra", "Motion", "Algebra", "Cells", "व्याकरण"]  # two topics share a name
    catalogue = [
        {
            "id": f"q{n}",
            "subject_id": f"s{n % 3}",
            "topic_id": f"t{n % 6}",
            "difficulty": (None, 1, 3, 5)[n % 4 if n < 20 else 3],
            "categories": [None, [], ["exam", "naïve"]][n % 3],
        }
        for n in range(24)
    ]
    made = list(_made(who, chance))
    with tools.data.writing() as db:
        db.execute(insert(users), people)
        db.execute(insert(subjects), [{"id": f"s{n}", "name": f"Subject {n}"} for n in range(3)])
        db.execute(insert(topics), [{"id": f"t{n}", "subject_id": f"s{n % 3}", "name": names[n]} for n in range(6)])
        db.execute(insert(questions), catalogue)
        for start in range(0, len(made), 5000):
            db.execute(insert(attempts), made[start : start + 5000])


def _made(who: list[str], chance: random.Random) -> Iterator[dict[str, Any]]:
    for name in who:
        skill, pace = chance.random(), chance.choice([0.7, 1.0, 1.0, 2.0])
        for day in range(-2, DAYS + 1):
            if chance.random() < 0.45:
                continue
            begins = midnight(FIRST + timedelta(days=day))
            for n in range(chance.randrange(1, 9)):
                known = chance.random() < skill
                yield {
                    "id": f"{name}-{day}-{n}",
                    "user_id": name,
                    # One attempt in a few thousand is at a question that does not exist.
                    "question_id": f"q{chance.randrange(24)}" if chance.random() < 0.9997 else "q404",
                    "type": None,
                    "answer": chance.choice([None, "B", "x ≥ 2"]),
                    "mistake": None,
                    "timing": None if chance.random() < 0.1 else round(pace * chance.uniform(1, 60), 2),
                    "reaction_time": chance.choice([None, 0.5, 1.25]),
                    "status": chance.choice(["unsolved", "incorrect"] if not known else ["correct"]),
                    "hints_used": chance.choice([None, False, True]),
                    "solved_at": begins + chance.choice(EDGES) + chance.randrange(3) * MICROSECOND
                    if chance.random() < 0.2
                    else begins + timedelta(seconds=chance.randrange(86400)),
                }


EDGES = (
    timedelta(0),
    timedelta(hours=23, minutes=50) - MICROSECOND,
    timedelta(hours=23, minutes=55),
    timedelta(days=1) - 3 * MICROSECOND,
)


@postgresql_in_soak
@pytest.mark.parametrize("user_count", [small(40), full(300)])
def test_nightly_jobs_agree_with_the_oracle(tools: Resources, redis_url: str, user_count: int) -> None:
    chance = random.Random(40)
    fill(tools, user_count, chance)
    dataset = oracle.Dataset(tools.data)
    with redis.Redis.from_url(redis_url) as cache:
        for n in range(DAYS):
            day = FIRST + timedelta(days=n)
            night(tools, dataset, cache, day, chance)
    days = [FIRST + timedelta(days=n) for n in range(DAYS)]
    before = suggested, summarized = rows_of(tools, suggestions), rows_of(tools, user_performance)
    expected = {(user, day): value for day in days for user, value in oracle.suggestions(dataset, day).items()}
    assert {(row["user_id"], row["date"]): (row["kind"], row["details"]) for row in suggested} == expected
    assert {row["kind"] for row in suggested} == set(SuggestionKind)
    sums = {(user, day): row for day in days for user, row in oracle.performance(dataset, day).items()}
    assert {(row["user_id"], row["date"]) for row in summarized} == sums.keys()
    for row in summarized:
        assert_close({name: row[name] for name in ROW}, sums[row["user_id"], row["date"]])

    for n in (0, 17, DAYS - 1):
        instant = midnight(FIRST + timedelta(days=n + 1))
        run_batch(tools, suggest, instant, dataset.active)
        run_batch(tools, update_performance, instant, dataset.active)
    assert (rows_of(tools, suggestions), rows_of(tools, user_performance)) == before


def night(tools: Resources, dataset: oracle.Dataset, cache: redis.Redis, day: date, chance: random.Random) -> None:
    """Runs the jobs of a night, deletes some keys in between, and checks cached values and failures."""
    ten_to, instant = midnight(day) + timedelta(hours=23, minutes=50), midnight(day + timedelta(days=1))
    made = dataset.days(day, day)
    fails = {user: why for user in made if (why := dataset.missing(made[user]))}

    run_batch(tools, cache_day, ten_to, items_of(tools, cache_day, ten_to))
    keys = sorted(key.decode() for key in cache.scan_iter(match=f"date:user:{day}:*", count=1000))
    found = {
        key.rpartition(":")[2]: json.loads(value or b"") for key, value in zip(keys, cache.mget(keys), strict=True)
    }
    assert found == oracle.cached(dataset, day, ten_to)

    cache.delete(*chance.sample(keys, len(keys) // 10))
    suggested = run_batch(tools, suggest, instant, items_of(tools, suggest, instant))
    summarized = run_batch(tools, update_performance, instant, items_of(tools, update_performance, instant))

    assert {failure.item: failure.message for failure in suggested.failures} == fails
    assert suggested.metrics["cache_hits"] + suggested.metrics["cache_misses"] == len(made)
    assert {failure.item for failure in summarized.failures} == set(fails)


def assert_close(row: Any, expected: Any) -> None:
    """Compares rows, ignoring the last digit of rounded means."""
    if isinstance(expected, dict):
        assert row.keys() == expected.keys()
        for name in expected:
            assert_close(row[name], expected[name])
    elif isinstance(expected, float):
        assert abs(row - expected) < 2e-6
    else:
        assert row == expected


@postgresql_in_soak
@pytest.mark.parametrize("user_count", [small(40), full(300)])
def test_mastery_agrees_with_the_oracle(tools: Resources, user_count: int) -> None:
    fill(tools, user_count, random.Random(28))
    dataset = oracle.Dataset(tools.data)
    expected: dict[tuple[str, str], tuple[float, int, datetime]] = {}
    for n in (14, 28, 35):
        sunday = FIRST + timedelta(days=n)
        instant = midnight(sunday) + timedelta(hours=1)

        result = run_batch(tools, update_mastery, instant, items_of(tools, update_mastery, instant))

        first, last = sunday - timedelta(days=28), sunday - timedelta(days=1)
        failed = {user for user, made in dataset.days(first, last).items() if dataset.missing(made)}
        expected |= oracle.mastery(dataset, last)  # topics of earlier windows stay
        assert {failure.item for failure in result.failures} == failed
        assert {
            (row["user_id"], row["topic_id"]): (row["mastery"], row["attempts"], row["last_attempt_at"])
            for row in rows_of(tools, topic_mastery)
        } == expected
