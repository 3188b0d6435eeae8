"""attempts.suggest: each rule, and the same result in any state of the cache."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import redis
from hypothesis import given, settings, strategies as st
from sqlalchemy import delete, text, update

from jobs.attempts.cache_day import cache_day
from jobs.attempts.cached_day import AttemptResult, Named
from jobs.attempts.suggest import suggest
from jobs.attempts.suggestion_rules import SuggestionKind, choose_suggestion
from jobs.attempts.tables import questions, suggestions
from opsconsole.authoring.context import Resources
from opsconsole.authoring.run import RunState
from opsconsole.authoring.scope import Scope
from opsconsole.worker.planning import prepared
from tests.conftest import Installing
from tests.jobs.attempts_fixtures import (
    DAY,
    KOLKATA,
    NEXT_MIDNIGHT,
    NOON,
    NOW,
    TEN_TO_TWELVE,
    AttemptsFixture,
    items_of,
    plan_of,
    rows_of,
    run_batch,
    statements,
    tools_for,
)

THE_19TH = date.fromisoformat(DAY)
HOUR = timedelta(hours=1)


@pytest.fixture
def tools(database_url: str, redis_url: str) -> Iterator[Resources]:
    with tools_for(database_url, redis_url) as made:
        yield made


@pytest.fixture
def later(database_url: str, redis_url: str) -> Iterator[Resources]:
    """The resources of a process that works an hour later."""
    with tools_for(database_url, redis_url, now=lambda: NOW + HOUR) as made:
        yield made


@pytest.fixture
def fixture(tools: Resources) -> AttemptsFixture:
    return AttemptsFixture(tools.data)


@pytest.fixture
def cache(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def key(user: str) -> str:
    return f"date:user:{DAY}:{user}"


def suggestions_by_user(tools: Resources) -> dict[str, tuple[str, dict[str, Any]]]:
    """Kind and details of each user's suggestion."""
    return {row["user_id"]: (row["kind"], row["details"]) for row in rows_of(tools, suggestions)}


# --- the rules, in their order ------------------------------------------------------------------------------------

ALGEBRA, BONDS, CELLS = Named("t3", "Algebra"), Named("t1", "Bonds"), Named("t2", "Cells")


def did(
    correct: int = 0, incorrect: int = 0, unsolved: int = 0, *, topic: Named = ALGEBRA, timing: float | None = 10.0
) -> list[AttemptResult]:
    statuses = ["correct"] * correct + ["incorrect"] * incorrect + ["unsolved"] * unsolved
    return [AttemptResult(status, timing, topic, 1) for status in statuses]


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        ([], SuggestionKind.COME_BACK),
        (did(1), SuggestionKind.KEEP_GOING),
        (did(9, 0, 2), SuggestionKind.KEEP_GOING),
        (did(9, 0, 3), SuggestionKind.UNSOLVED),
        (did(0, 9, 3), SuggestionKind.UNSOLVED),
        (did(0, 4), SuggestionKind.KEEP_GOING),
        (did(0, 5), SuggestionKind.MISTAKES),
        (did(3, 2), SuggestionKind.KEEP_GOING),  # exactly 60 %
        (did(2, 3), SuggestionKind.MISTAKES),
        (did(599, 401), SuggestionKind.MISTAKES),
        (did(2, 1, 2), SuggestionKind.MISTAKES),  # unsolved is not correct
        (did(1, timing=15.0), SuggestionKind.KEEP_GOING),  # exactly one and a half times
        (did(1, timing=15.1), SuggestionKind.TIMING),
        (did(2, 3, timing=99.0), SuggestionKind.MISTAKES),
        (did(0, 4, timing=99.0), SuggestionKind.TIMING),
        (did(1, timing=None), SuggestionKind.KEEP_GOING),
    ],
)
def test_the_first_matching_rule_decides(day: list[AttemptResult], kind: SuggestionKind) -> None:
    assert choose_suggestion(day, {1: 10.0}).kind is kind


def test_the_message_names_the_topic_with_most_incorrect_answers() -> None:
    asha = [*did(2, topic=CELLS), *did(0, 2, topic=BONDS), *did(0, 2, topic=ALGEBRA), *did(0, 1, topic=CELLS)]
    ben = [*did(0, 1, topic=ALGEBRA), *did(0, 0, 2, topic=BONDS), *did(0, 2, topic=CELLS)]

    for_asha, for_ben = choose_suggestion(asha, {}), choose_suggestion(ben, {})

    assert for_asha.details["topic"] == {"id": "t3", "name": "Algebra"}
    assert for_asha.details["incorrect"] == 2
    assert for_asha.message == "2 of 7 answers were correct. Review Algebra."
    assert for_ben.details["topic"] == {"id": "t2", "name": "Cells"}


def test_the_expected_timing_depends_on_difficulty() -> None:
    expected: dict[float | None, float] = {1: 10.0, 3: 50.0, None: 30.0}
    mixed = [AttemptResult("correct", 60.0, ALGEBRA, level) for level in (1, 3, None, 9)]
    easy = [AttemptResult("correct", 60.0, ALGEBRA, 1)]

    assert choose_suggestion(mixed, expected).kind is SuggestionKind.TIMING
    assert choose_suggestion(mixed, expected).details == {"attempts": 4, "timing": 60.0, "expected": 30.0}
    assert choose_suggestion(mixed, {**expected, 1: 60.0}).kind is SuggestionKind.KEEP_GOING
    assert (
        choose_suggestion(easy, expected).message
        == "You took 60 s per question; 10 s is typical. Practise against the clock."
    )
    assert choose_suggestion(easy, {}).kind is SuggestionKind.KEEP_GOING


def test_every_suggestion_has_its_details(tools: Resources, fixture: AttemptsFixture) -> None:
    fixture.enrol("asha", "ben", "chen", "dora", "eve")
    for n, status in enumerate(("correct", "unsolved", "unsolved", "unsolved")):
        fixture.solve("asha", NOON + timedelta(minutes=n), status=status)
    for n in range(6):
        fixture.solve("ben", NOON, question_id="q2", status="correct" if n == 0 else "incorrect")
    fixture.solve("chen", NOON, question_id="q2", timing=100.0)
    fixture.solve("dora", NOON, status="incorrect")

    result = run_batch(tools, suggest, NEXT_MIDNIGHT, ["asha", "ben", "chen", "dora", "eve"])

    assert result.ok == 5
    assert suggestions_by_user(tools) == {
        "asha": ("unsolved", {"attempts": 4, "unsolved": 3}),
        "ben": (
            "mistakes",
            {"attempts": 6, "correct": 1, "accuracy": 0.1667, "topic": {"id": "vya", "name": "व्याकरण"}, "incorrect": 5},
        ),
        "chen": ("timing", {"attempts": 1, "timing": 100.0, "expected": 25.0}),  # six of 12.5 s and one of 100 s
        "dora": ("keep_going", {"attempts": 1, "correct": 0, "accuracy": 0.0}),
        "eve": ("come_back", {"attempts": 0}),
    }
    assert {(row["date"], row["created_at"]) for row in rows_of(tools, suggestions)} == {(THE_19TH, NOW)}


def test_expected_timings_are_computed_once_without_invalid_values(tools: Resources, fixture: AttemptsFixture) -> None:
    fixture.enrol("asha", "ben")
    fixture.enrol("gone", active=False)
    fixture.solve("asha", NOON, timing=10.0)
    fixture.solve("gone", NOON, timing=20.0)
    fixture.solve("ben", NOON, timing=None)
    fixture.solve("ben", NOON - timedelta(days=1), timing=500.0)
    fixture.solve("ben", NOON, timing=1e200)
    if not tools.data.is_sqlite:
        for broken in (float("nan"), float("inf"), float("-inf")):
            fixture.solve("ben", NOON, timing=broken)

    facts = carried_facts(tools)

    assert facts == {"expected": [[3, 15.0]]}


def carried_facts(tools: Resources) -> dict[str, Any]:
    window = suggest.covers.at(NEXT_MIDNIGHT, KOLKATA)
    return prepared(suggest, Scope(window, NEXT_MIDNIGHT, {}, {}), tools, 1)


# --- from the cache or from the database --------------------------------------------------------------------------


def test_attempts_made_after_caching_are_included(tools: Resources, fixture: AttemptsFixture) -> None:
    fixture.enrol("asha", "ben", "chen")
    for name in ("asha", "ben"):
        fixture.solve(name, NOON)
    run_batch(tools, cache_day, TEN_TO_TWELVE, ["asha", "ben", "chen"])
    for name in ("asha", "chen"):
        for seconds in (0, 60, 599):
            fixture.solve(name, TEN_TO_TWELVE + timedelta(seconds=seconds), status="unsolved")
    fixture.solve("ben", NEXT_MIDNIGHT, status="unsolved")

    result = run_batch(tools, suggest, NEXT_MIDNIGHT, ["asha", "ben", "chen"])

    assert suggestions_by_user(tools) == {
        "asha": ("unsolved", {"attempts": 4, "unsolved": 3}),
        "ben": ("keep_going", {"attempts": 1, "correct": 1, "accuracy": 1.0}),
        "chen": ("unsolved", {"attempts": 3, "unsolved": 3}),
    }
    assert (result.metrics["cache_hits"], result.metrics["cache_misses"]) == (2, 1)


def test_hits_and_misses_count_users_with_attempts(
    tools: Resources, fixture: AttemptsFixture, cache: redis.Redis
) -> None:
    fixture.enrol("asha", "ben", "chen", "dora", "eve")
    for name in ("asha", "ben", "chen"):
        fixture.solve(name, NOON)
    run_batch(tools, cache_day, TEN_TO_TWELVE, ["asha", "ben", "chen", "dora", "eve"])
    cache.delete(key("ben"))
    cache.set(key("chen"), "[garbage")
    cache.set(key("dora"), cache.get(key("asha")) or b"")

    result = run_batch(tools, suggest, NEXT_MIDNIGHT, ["asha", "ben", "chen", "dora", "eve"])

    assert (result.metrics["cache_hits"], result.metrics["cache_misses"]) == (1, 2)
    assert suggestions_by_user(tools)["dora"] == ("come_back", {"attempts": 0})


GARBAGE = (
    *(b"", b"[", b"[]", b"null", b"{}", b"[1]", b"[{}]", b'"text"', b"\xff\xfe", b"x\x9c not zlib", b"x"),
    *(b'[{"id":"a1","status":"correct"}]', b"[[[[[[[[[["),
)
STATES = ("whole", "gone", "old", "late", "other", "another day", "broken", "garbage")


def test_the_suggestion_does_not_depend_on_the_state_of_the_cache(
    tools: Resources, fixture: AttemptsFixture, cache: redis.Redis
) -> None:
    names = [f"user{n}" for n in range(8)]
    fixture.enrol(*names)
    chance = random.Random(7)
    for name in names[:7]:
        for n in range(chance.randrange(1, 9)):
            fixture.solve(
                name,
                NOON + timedelta(seconds=chance.randrange(3), microseconds=chance.randrange(3)),
                f"{name}-{n}",
                question_id=chance.choice(["q1", "q2"]),
                status=chance.choice(["correct", "incorrect", "unsolved", "correct"]),
                timing=chance.choice([None, 5.0, 20.0, 90.0]),
            )
    run_batch(tools, cache_day, NEXT_MIDNIGHT - timedelta(microseconds=1), names)
    whole = {name: json.loads(cache.get(key(name)) or b"[]") for name in names}
    cache.flushall()
    run_batch(tools, suggest, NEXT_MIDNIGHT, names)
    from_the_database = suggestions_by_user(tools)

    @settings(max_examples=40)
    @given(st.data())
    def looks_the_same(data: st.DataObject) -> None:
        cache.flushall()
        for name in names:
            array = whole[name]
            state = data.draw(st.sampled_from(STATES), name)
            if state == "garbage":
                cache.set(key(name), data.draw(st.sampled_from(GARBAGE) | st.binary(max_size=40), f"{name} has"))
                continue
            if state == "old":
                array = array[: data.draw(st.integers(0, len(array)), f"{name} until")]
            elif state == "late" and array:
                missing = data.draw(st.integers(0, len(array) - 1), f"{name} lacks")
                array = array[:missing] + array[missing + 1 :]
            elif state == "other":
                array = [{**a, "id": a["id"] + "x"} for a in array] + [{**a, "id": a["id"] + "y"} for a in array]
            elif state == "another day":
                array = [{**a, "status": "unsolved", "solvedAt": "2025-01-18T10:00:00.000Z"} for a in array]
            elif state == "broken" and array:
                part, value = data.draw(
                    st.sampled_from(
                        [
                            ("solvedAt", "2025-01-18T18:29:59.999Z"),
                            ("solvedAt", "soon"),
                            ("status", "odd"),
                            ("id", None),
                        ]
                    )
                )
                array = [*array[:-1], {**array[-1], part: value}]
            if state != "gone":
                cache.set(key(name), json.dumps(array))
        with tools.data.writing() as db:
            db.execute(delete(suggestions))

        result = run_batch(tools, suggest, NEXT_MIDNIGHT, names)

        assert suggestions_by_user(tools) == from_the_database
        assert result.metrics["cache_hits"] + result.metrics["cache_misses"] == 7
        assert result.ok == 8

    looks_the_same()


def test_a_compressed_day_is_read_like_any_other(
    tools: Resources, fixture: AttemptsFixture, cache: redis.Redis
) -> None:
    fixture.enrol("asha")
    for n in range(20):
        fixture.solve("asha", NOON + timedelta(minutes=n), status="incorrect")
    run_batch(tools, cache_day, TEN_TO_TWELVE, ["asha"], {"compress_over": 100})
    assert cache.strlen(key("asha")) < 1000

    result = run_batch(tools, suggest, NEXT_MIDNIGHT, ["asha"])

    assert result.metrics["cache_hits"] == 1
    assert suggestions_by_user(tools)["asha"][0] == "mistakes"


def test_without_redis_all_attempts_come_from_the_database(
    database_url: str, tools: Resources, fixture: AttemptsFixture
) -> None:
    fixture.enrol("asha", "ben")
    fixture.solve("asha", NOON)

    with tools_for(database_url, "redis://127.0.0.1:1") as alone:
        result = run_batch(alone, suggest, NEXT_MIDNIGHT, ["asha", "ben"])

    assert (result.ok, result.broken) == (2, None)
    assert {name: kind for name, (kind, _) in suggestions_by_user(tools).items()} == {
        "asha": "keep_going",
        "ben": "come_back",
    }
    assert (result.metrics["cache_hits"], result.metrics["cache_misses"]) == (0, 1)
    assert result.log == ["the cache is unreachable; all attempts are read from the database"]


# --- written once -------------------------------------------------------------------------------------------------


def test_a_second_run_changes_nothing_and_a_late_attempt_changes_its_user_only(
    tools: Resources, later: Resources, fixture: AttemptsFixture
) -> None:
    fixture.enrol("asha", "ben")
    fixture.solve("asha", NOON)
    run_batch(tools, suggest, NEXT_MIDNIGHT, ["asha", "ben"])
    once = rows_of(tools, suggestions)

    with statements(later) as executed:
        run_batch(later, suggest, NEXT_MIDNIGHT, ["asha", "ben"])
    twice = rows_of(later, suggestions)
    fixture.solve("ben", NOON)
    run_batch(later, suggest, NEXT_MIDNIGHT, ["asha", "ben"])

    assert twice == once
    assert all(statement.startswith("SELECT") for statement, _ in executed)
    assert {row["user_id"]: (row["kind"], row["created_at"]) for row in rows_of(later, suggestions)} == {
        "asha": ("keep_going", NOW),
        "ben": ("keep_going", NOW + HOUR),
    }


def test_a_slow_worker_does_not_replace_newer_rows(
    tools: Resources, later: Resources, fixture: AttemptsFixture
) -> None:
    fixture.enrol("asha")
    fixture.solve("asha", NOON)
    run_batch(later, suggest, NEXT_MIDNIGHT, ["asha"])
    with later.data.writing() as db:
        db.execute(update(suggestions).values(kind="unsolved"))

    run_batch(tools, suggest, NEXT_MIDNIGHT, ["asha"])

    assert [(row["kind"], row["created_at"]) for row in rows_of(later, suggestions)] == [("unsolved", NOW + HOUR)]


# --- bad rows, and at what cost -----------------------------------------------------------------------------------


def test_invalid_rows_fail_only_their_users(tools: Resources, fixture: AttemptsFixture) -> None:
    names = ["asha", "ben", "chen", "dev", "eve"]
    fixture.enrol(*names)
    for name in names:
        fixture.solve(name, NOON)
    fixture.solve("chen", NOON, question_id="q404")
    fixture.solve("dev", NOON, status="odd")
    if tools.data.is_sqlite:
        with tools.data.writing() as db:
            db.execute(text("UPDATE attempts SET timing = 'soon' WHERE user_id = 'eve'"))
    run_batch(tools, cache_day, TEN_TO_TWELVE, names)

    result = run_batch(tools, suggest, NEXT_MIDNIGHT, names)

    assert {failure.item: failure.message for failure in result.failures} == {
        "chen": "question q404 is missing",
        "dev": "an attempt has the unknown status 'odd'",
    }
    assert set(suggestions_by_user(tools)) == {"asha", "ben", "eve"}


def test_a_question_without_its_topic_counts_as_missing(tools: Resources, fixture: AttemptsFixture) -> None:
    fixture.enrol("asha")
    fixture.solve("asha", NOON)
    with tools.data.writing() as db:
        db.execute(update(questions).values(topic_id="t404"))

    result = run_batch(tools, suggest, NEXT_MIDNIGHT, ["asha"])

    assert [failure.message for failure in result.failures] == ["question q1 is missing"]


def test_the_number_of_statements_does_not_grow_with_the_batch(
    tools: Resources, fixture: AttemptsFixture, cache: redis.Redis
) -> None:
    names = [f"user{n:03}" for n in range(200)]
    fixture.enrol(*names)
    for name in names:
        for n in range(2):
            fixture.solve(name, NOON + timedelta(minutes=n))
    run_batch(tools, cache_day, NOON + timedelta(seconds=1), names)  # all are behind
    cache.delete(*[key(name) for name in names[::3]])

    with statements(tools) as for_few:
        few = run_batch(tools, suggest, NEXT_MIDNIGHT, names[:6])
    with statements(tools) as for_many:
        many = run_batch(tools, suggest, NEXT_MIDNIGHT, names[6:])

    assert (few.ok, many.ok) == (6, 194)
    assert len(for_few) == len(for_many) == 6  # means, counts, made since, whole days, what is there, the upsert


def test_every_statement_uses_an_index(tools: Resources, fixture: AttemptsFixture, cache: redis.Redis) -> None:
    names = ["asha", "ben"]
    fixture.enrol(*names)
    for name in names:
        fixture.solve(name, NOON)
        fixture.solve(name, NOON + timedelta(minutes=5))
    run_batch(tools, cache_day, NOON + timedelta(seconds=1), names)
    cache.delete(key("ben"))

    with statements(tools) as executed:
        run_batch(tools, suggest, NEXT_MIDNIGHT, names)

    plans = [
        plan_of(tools, statement, parameters) for statement, parameters in executed if statement.startswith("SELECT")
    ]
    assert ["ix_attempts_user_id_solved_at" in plan for plan in plans[:4]] == [True] * 4
    assert "pk_suggestions" in plans[4] or "sqlite_autoindex_suggestions" in plans[4]


# --- the whole of it ----------------------------------------------------------------------------------------------


def test_a_night_caches_and_suggests(database_url: str, redis_url: str, installing: Installing) -> None:
    place = installing(
        database_url=database_url, redis_url=redis_url, environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
    )
    fixture = AttemptsFixture(place.data)
    fixture.enrol("asha", "ben", "chen")
    fixture.enrol("gone", active=False)
    fixture.solve("asha", NOON)
    fixture.solve("chen", NOON, question_id="q404")

    place.run("attempts.cache_day", DAY)
    ended = place.run("createSuggestion", DAY)

    with place.data.reading() as db:
        kinds = {row.user_id: row.kind for row in db.execute(text("SELECT user_id, kind FROM suggestions"))}
    assert (ended.state, ended.counts.planned, ended.counts.failed) == (RunState.PARTIAL, 3, 1)
    assert kinds == {"asha": "keep_going", "ben": "come_back"}
    assert ended.facts == {"expected": [[3, 12.5]]}
    assert (ended.metrics["cache_hits"], ended.metrics["cache_misses"]) == (1, 1)


def test_suggest_waits_for_cache_day_and_covers_every_active_user(tools: Resources, fixture: AttemptsFixture) -> None:
    fixture.enrol("asha", "ben")
    fixture.enrol("gone", active=False)

    assert items_of(tools, suggest, NEXT_MIDNIGHT) == ["asha", "ben"]
    assert suggest.after == (cache_day.name,)
