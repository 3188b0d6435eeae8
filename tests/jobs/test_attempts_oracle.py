"""Forty nights of three hundred people: every job on attempts against an oracle that shares no line with them."""

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
from tests.jobs.attempts_fixtures import KOLKATA, carry_out, population_of, rows_of, tools_for

USERS = 300
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


def fill(tools: Resources, chance: random.Random) -> None:
    """Three hundred people, 24 questions of 6 topics, and forty days; one question is in no catalogue."""
    born = midnight(FIRST) - timedelta(days=100)
    who = [f"user{n:03}" for n in range(USERS)]
    people = [{"id": name, "name": name, "active": n % 12 > 0, "created_at": born} for n, name in enumerate(who)]
    names = ["Waves", "Algebra", "Motion", "Algebra", "Cells", "व्याकरण"]  # two topics share a name
    catalogue = [
        {
            "id": f"q{n}",
            "subject_id": f"s{n % 3}",
            "topic_id": f"t{n % 6}",
            "difficulty": (None, "easy", "hard", "rare")[n % 4 if n < 20 else 3],
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
                    # One in a few thousand meets a question that nobody knows.
                    "question_id": f"q{chance.randrange(24)}" if chance.random() < 0.9997 else "q404",
                    "type": None,
                    "answer": chance.choice([None, "B", "x ≥ 2"]),
                    "mistake": None,
                    "timing": None if chance.random() < 0.1 else round(pace * chance.uniform(1, 60), 2),
                    "reaction_time": chance.choice([None, 0.5, 1.25]),
                    "status": chance.choice(["unsolved", "incorrect"] if not known else ["correct"]),
                    "hints_used": chance.choice([None, 0, 2]),
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


def test_forty_nights_of_three_hundred_people(tools: Resources, redis_url: str) -> None:
    chance = random.Random(40)
    fill(tools, chance)
    world = oracle.World(tools.data)
    with redis.Redis.from_url(redis_url) as cache:
        for n in range(DAYS):
            day = FIRST + timedelta(days=n)
            night(tools, world, cache, day, chance)
    days = [FIRST + timedelta(days=n) for n in range(DAYS)]
    before = told, added = rows_of(tools, suggestions), rows_of(tools, user_performance)
    expected = {(user, day): said for day in days for user, said in oracle.suggestions(world, day).items()}
    assert {(row["user_id"], row["date"]): (row["kind"], row["details"]) for row in told} == expected
    assert {row["kind"] for row in told} == set(SuggestionKind)
    sums = {(user, day): row for day in days for user, row in oracle.performance(world, day).items()}
    assert {(row["user_id"], row["date"]) for row in added} == sums.keys()
    for row in added:
        assert_close({name: row[name] for name in ROW}, sums[row["user_id"], row["date"]])

    for n in (0, 17, DAYS - 1):
        instant = midnight(FIRST + timedelta(days=n + 1))
        carry_out(tools, suggest, instant, world.active)
        carry_out(tools, update_performance, instant, world.active)
    assert (rows_of(tools, suggestions), rows_of(tools, user_performance)) == before


def night(tools: Resources, world: oracle.World, cache: redis.Redis, day: date, chance: random.Random) -> None:
    """Caches, loses some keys, suggests and adds up; looks at what is cached, and at who failed."""
    ten_to, instant = midnight(day) + timedelta(hours=23, minutes=50), midnight(day + timedelta(days=1))
    made = world.days(day, day)
    fails = {user: why for user in made if (why := world.missing(made[user]))}

    carry_out(tools, cache_day, ten_to, population_of(tools, cache_day, ten_to))
    keys = sorted(key.decode() for key in cache.scan_iter(match=f"date:user:{day}:*", count=1000))
    found = {
        key.rpartition(":")[2]: json.loads(value or b"") for key, value in zip(keys, cache.mget(keys), strict=True)
    }
    assert found == oracle.cached(world, day, ten_to)

    cache.delete(*chance.sample(keys, len(keys) // 10))
    suggested = carry_out(tools, suggest, instant, population_of(tools, suggest, instant))
    added = carry_out(tools, update_performance, instant, population_of(tools, update_performance, instant))

    assert {failure.item: failure.message for failure in suggested.failures} == fails
    assert suggested.metrics["cache_hits"] + suggested.metrics["cache_misses"] == len(made)
    assert {failure.item for failure in added.failures} == set(fails)


def assert_close(row: Any, expected: Any) -> None:
    """Equal, but for the last digit of a rounded mean."""
    if isinstance(expected, dict):
        assert row.keys() == expected.keys()
        for name in expected:
            assert_close(row[name], expected[name])
    elif isinstance(expected, float):
        assert abs(row - expected) < 2e-6
    else:
        assert row == expected


def test_three_sundays_of_three_hundred_people(tools: Resources) -> None:
    fill(tools, random.Random(28))
    world = oracle.World(tools.data)
    expected: dict[tuple[str, str], tuple[float, int, datetime]] = {}
    for n in (14, 28, 35):
        sunday = FIRST + timedelta(days=n)
        instant = midnight(sunday) + timedelta(hours=1)

        result = carry_out(tools, update_mastery, instant, population_of(tools, update_mastery, instant))

        first, last = sunday - timedelta(days=28), sunday - timedelta(days=1)
        failed = {user for user, made in world.days(first, last).items() if world.missing(made)}
        expected |= oracle.mastery(world, last)  # topics of earlier windows stay
        assert {failure.item for failure in result.failures} == failed
        assert {
            (row["user_id"], row["topic_id"]): (row["mastery"], row["attempts"], row["last_attempt_at"])
            for row in rows_of(tools, topic_mastery)
        } == expected
