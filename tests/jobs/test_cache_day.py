"""attempts.cache_day: the cached values, byte for byte."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import text

from jobs.attempts import pack
from jobs.attempts.cache_day import cache_day
from jobs.attempts.cached_day import DAY_ATTEMPTS
from jobs.attempts.suggest import suggest
from opsconsole.authoring.batch import Batch, BatchResult
from opsconsole.authoring.context import Resources
from opsconsole.authoring.run import Run, RunState
from opsconsole.cache.client import Cache
from opsconsole.calendar.windows import Window
from opsconsole.core.database import Database
from opsconsole.extensions import ExtensionContext, PanelContent, Reply, Request
from opsconsole.store import logs, runs
from opsconsole.worker.work import work
from tests.conftest import Installing
from tests.installation import Installation
from tests.jobs.attempts_fixtures import (
    DAY,
    MIDNIGHT,
    NEXT_MIDNIGHT,
    NOON,
    AttemptsFixture,
    run_batch,
    statements,
    tools_for,
)
from tests.jobs.route_calls import call

GOLDEN = Path(__file__).parent / "golden" / "day_attempts.json"

WINDOW = Window(MIDNIGHT, MIDNIGHT + timedelta(days=1), DAY)
TTL_SECONDS = 7200
LAST_INSTANT = NEXT_MIDNIGHT - timedelta(microseconds=1)


@pytest.fixture
def place(database_url: str, redis_url: str, installing: Installing) -> Installation:
    """An installation with the inline executor."""
    return installing(database_url=database_url, redis_url=redis_url, environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"})


@pytest.fixture
def fixture(place: Installation) -> AttemptsFixture:
    return AttemptsFixture(place.data)


@pytest.fixture
def cache(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def key(user: str, day: str = DAY) -> str:
    return f"date:user:{day}:{user}"


def keys(cache: redis.Redis) -> set[str]:
    return {found.decode() for found in cache.scan_iter()}


def failures_of(place: Installation, run: Run) -> dict[str, str]:
    with place.store.reading() as db:
        return {item: message for item, _, message in runs.failures_of(db, run.id)}


# --- the oracle: plain SQL and plain Python -----------------------------------------------------------------------

TIME = {"sqlite": "a.solved_at", "postgresql": "to_char(a.solved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"}


def expected(data: Database, day: str) -> dict[str, bytes]:
    """The expected keys and values for a past day."""
    with data.reading() as db:
        kind = db.dialect.name
        query = f"""
            SELECT a.user_id, {TIME[kind]} AS solved, a.id, a.question_id, a.type, a.answer, a.mistake, a.timing,
                   a.reaction_time, a.status, a.hints_used, q.difficulty, q.categories,
                   s.id AS s_id, s.name AS s_name, t.id AS t_id, t.name AS t_name
            FROM attempts a JOIN users u ON u.id = a.user_id AND u.active
                 JOIN questions q ON q.id = a.question_id
                 JOIN subjects s ON s.id = q.subject_id JOIN topics t ON t.id = q.topic_id"""  # noqa: S608
        rows = db.execute(text(query)).mappings().all()
        below = db.execute(
            text(
                "SELECT l.question_id, s.id, s.name FROM question_subtopics l JOIN subtopics s ON s.id = l.subtopic_id"
            )
        ).all()
    of_user: dict[str, list[Any]] = {}
    for row in rows:
        in_kolkata = datetime.strptime(row["solved"], "%Y-%m-%d %H:%M:%S.%f") + timedelta(hours=5, minutes=30)  # noqa: DTZ007
        if in_kolkata.date() == date.fromisoformat(day):
            of_user.setdefault(row["user_id"], []).append(row)
    return {
        key(user, day): as_json(sorted(mine, key=lambda r: (r["solved"], r["id"])), below)
        for user, mine in of_user.items()
    }


def as_json(rows: list[Any], below: Any) -> bytes:
    values = [
        {
            "id": row["id"],
            "questionId": row["question_id"],
            "type": row["type"],
            "answer": row["answer"],
            "mistake": row["mistake"],
            "timing": row["timing"],
            "reactionTime": row["reaction_time"],
            "status": row["status"],
            "hintsUsed": None if row["hints_used"] is None else bool(row["hints_used"]),
            "solvedAt": row["solved"][:10] + "T" + row["solved"][11:23] + "Z",
            "subject": {"id": row["s_id"], "name": row["s_name"]},
            "topic": {"id": row["t_id"], "name": row["t_name"]},
            "subtopic": [{"id": i, "name": n} for q, i, n in sorted(below) if q == row["question_id"]],
            "difficulty": row["difficulty"],
            "category": json.loads(row["categories"]),
        }
        for row in rows
    ]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


# --- a day that has passed ----------------------------------------------------------------------------------------


def test_forty_users_have_their_day_byte_for_byte(
    place: Installation, fixture: AttemptsFixture, cache: redis.Redis
) -> None:
    chance = random.Random(19)
    names = [f"user{i:02}" for i in range(40)]
    fixture.enrol(*names)
    for name in names[:30]:
        for _ in range(chance.randrange(1, 12)):
            at = MIDNIGHT + timedelta(microseconds=chance.randrange(-3_600_000_000, 90_000_000_000))
            fixture.solve(
                name,
                at,
                question_id=chance.choice(["q1", "q2"]),
                type=chance.choice([None, "mcq", "numeric"]),
                answer=chance.choice(
                    [None, "", "x ≥ 2", 'he said "no"', "back\\slash", "two\nlines\t", "\u2028🦊\x1f"]
                ),
                mistake=chance.choice([None, "sign"]),
                timing=chance.choice([None, 0.0, 1.0, 12.5, 0.1, 86400.25, 123456789.125]),
                reaction_time=chance.choice([None, 2.0, 0.75]),
                status=chance.choice(["correct", "incorrect", "unsolved"]),
                hints_used=chance.choice([None, False, True]),
            )
    before = time.monotonic()

    ended = place.run("cacheAttemptDay", DAY)

    there = {name: cache.get(name) for name in keys(cache)}
    lives = {cache.ttl(name) for name in there}
    assert there == expected(place.data, DAY)
    assert len(there) >= 25
    assert max(lives) <= TTL_SECONDS
    assert min(lives) >= TTL_SECONDS - (time.monotonic() - before) - 1
    assert (ended.state, ended.counts.planned, ended.counts.ok) == (RunState.SUCCEEDED, 40, 40)
    assert ended.metrics["keys"] == len(there)
    assert ended.metrics["attempts"] == sum(len(json.loads(value or b"")) for value in there.values())


def test_the_cached_value_matches_the_golden_file(
    place: Installation, fixture: AttemptsFixture, cache: redis.Redis
) -> None:
    fixture.enrol("asha")
    fixture.solve("asha", NOON, "a2", question_id="q2", timing=None, reaction_time=0.0, status="unsolved", answer=None)
    fixture.solve(
        "asha", NOON, "a10", answer="x² ≥ 2 🦊", mistake='forgot the "±"', status="incorrect", hints_used=True
    )
    fixture.solve("asha", MIDNIGHT + timedelta(microseconds=999_999), "a3", timing=45.25, hints_used=None)

    place.run("attempts.cache_day", DAY)

    found = cache.get(key("asha"))
    assert found == GOLDEN.read_bytes().rstrip(b"\n")
    assert list(json.loads(found)[0]) == [
        "id", "questionId", "type", "answer", "mistake", "timing", "reactionTime", "status", "hintsUsed", "solvedAt",
        "subject", "topic", "subtopic", "difficulty", "category",
    ]  # fmt: skip


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("stored", "shown"), [(0, False), (1, True), (7, True), (None, None)])
def test_a_number_of_hints_in_sqlite_is_a_boolean_in_the_json(
    place: Installation, fixture: AttemptsFixture, cache: redis.Redis, stored: int | None, shown: bool | None
) -> None:
    fixture.enrol("asha")
    fixture.solve("asha", NOON, "a1")
    with place.data.writing() as db:
        db.execute(text("UPDATE attempts SET hints_used = :stored"), {"stored": stored})

    place.run("attempts.cache_day", DAY)

    assert [attempt["hintsUsed"] for attempt in json.loads(cache.get(key("asha")) or b"")] == [shown]


def test_attempts_of_the_same_time_are_ordered_by_id(
    place: Installation, fixture: AttemptsFixture, cache: redis.Redis
) -> None:
    fixture.enrol("asha")
    for id_ in ("b", "a9", "a10", "B", "é", "a"):
        fixture.solve("asha", NOON, id_)
    fixture.solve("asha", NOON - timedelta(microseconds=1), "z")

    place.run("attempts.cache_day", DAY)

    assert [attempt["id"] for attempt in json.loads(cache.get(key("asha")) or b"")] == [
        "z", "B", "a", "a10", "a9", "b", "é",
    ]  # fmt: skip


def test_milliseconds_are_truncated(place: Installation, fixture: AttemptsFixture, cache: redis.Redis) -> None:
    fixture.enrol("asha")
    for microsecond in (0, 999, 1_000, 500_500, 999_999):
        fixture.solve("asha", NOON.replace(microsecond=microsecond))

    place.run("attempts.cache_day", DAY)

    shown = [attempt["solvedAt"] for attempt in json.loads(cache.get(key("asha")) or b"")]
    assert shown == [f"2025-01-19T06:30:00.{part}Z" for part in ("000", "000", "001", "500", "999")]


def test_very_large_numbers_are_cached_exactly(
    place: Installation, fixture: AttemptsFixture, cache: redis.Redis
) -> None:
    fixture.enrol("asha")
    fixture.solve("asha", NOON, timing=1e22, reaction_time=5e-324)

    place.run("attempts.cache_day", DAY)

    (attempt,) = json.loads(cache.get(key("asha")) or b"")
    assert (attempt["timing"], attempt["reactionTime"]) == (1e22, 5e-324)


def test_an_evening_belongs_to_two_dates_around_midnight_in_kolkata(
    place: Installation, fixture: AttemptsFixture, cache: redis.Redis
) -> None:
    fixture.enrol("asha", "ben", "chen")
    fixture.solve("asha", datetime(2025, 1, 18, 18, 25, tzinfo=UTC))
    fixture.solve("ben", datetime(2025, 1, 18, 18, 35, tzinfo=UTC))
    fixture.solve("chen", datetime(2025, 1, 19, 18, 29, 59, 999_999, tzinfo=UTC))

    place.run("attempts.cache_day", "2025-01-18")
    place.run("attempts.cache_day", "2025-01-19")

    assert keys(cache) == {key("asha", "2025-01-18"), key("ben"), key("chen")}
    assert {name: cache.get(name) for name in keys(cache)} == {
        **expected(place.data, "2025-01-18"),
        **expected(place.data, "2025-01-19"),
    }


def test_users_without_attempts_have_no_key_and_inactive_users_are_skipped(
    place: Installation, fixture: AttemptsFixture, cache: redis.Redis
) -> None:
    fixture.enrol("ben", "dora")
    fixture.enrol("gone", active=False)
    fixture.solve("dora", NOON)
    fixture.solve("gone", NOON)
    cache.set(key("ben"), "[old]")
    cache.set(key("ben", "2025-01-18"), "[of another day]")
    cache.set(key("dora"), "[old]")
    cache.set(key("gone"), "[old]")

    ended = place.run("attempts.cache_day", DAY)

    assert keys(cache) == {key("dora"), key("gone"), key("ben", "2025-01-18")}
    assert cache.get(key("gone")) == b"[old]"
    assert cache.get(key("dora")) == expected(place.data, DAY)[key("dora")]
    assert (ended.state, ended.counts.ok, ended.counts.planned) == (RunState.SUCCEEDED, 2, 2)


def test_running_a_day_twice_leaves_the_same_keys(
    place: Installation, fixture: AttemptsFixture, cache: redis.Redis
) -> None:
    fixture.enrol("asha", "ben")
    fixture.solve("asha", NOON)

    place.run("attempts.cache_day", DAY)
    once = {name: cache.get(name) for name in keys(cache)}
    place.run("attempts.cache_day", DAY)

    assert {name: cache.get(name) for name in keys(cache)} == once


# --- bad data -----------------------------------------------------------------------------------------------------


def test_a_missing_question_fails_the_user_with_its_id_in_the_message(
    place: Installation, fixture: AttemptsFixture, cache: redis.Redis
) -> None:
    fixture.enrol("asha", "chen")
    fixture.solve("asha", NOON)
    fixture.solve("chen", NOON)
    fixture.solve("chen", NOON, question_id="q404")

    ended = place.run("attempts.cache_day", DAY)

    assert ended.state is RunState.PARTIAL
    assert failures_of(place, ended) == {"chen": "question q404 is missing"}
    assert keys(cache) == {key("asha")}
    assert ended.metrics["keys"] == 1


def test_a_run_fails_when_all_users_fail(place: Installation, fixture: AttemptsFixture) -> None:
    fixture.enrol("chen", "dev")
    fixture.solve("chen", NOON, question_id="q404")
    fixture.solve("dev", NOON, question_id="q404")

    ended = place.run("attempts.cache_day", DAY)

    assert (ended.state, ended.counts.failed) == (RunState.FAILED, 2)
    assert ended.kinds == {"question_missing": 2}


BAD_IDS = {
    "co:lon": "it contains a colon, whitespace, or a glob or control character",
    "st*r": "it contains a colon, whitespace, or a glob or control character",
    "wh?t": "it contains a colon, whitespace, or a glob or control character",
    "[ab]": "it contains a colon, whitespace, or a glob or control character",
    "a b": "it contains a colon, whitespace, or a glob or control character",
    "tab\t": "it contains a colon, whitespace, or a glob or control character",
    "esc\x1b[2J": "it contains a colon, whitespace, or a glob or control character",
    "x" * 101: "it is longer than 100 characters",
    "": "it is empty",
}


def test_an_id_that_is_invalid_in_a_key_fails_only_its_user(
    place: Installation, fixture: AttemptsFixture, cache: redis.Redis
) -> None:
    fixture.enrol("asha", "x" * 100, "o'hara", *BAD_IDS)
    for name in ("asha", "x" * 100, "o'hara", *BAD_IDS):
        fixture.solve(name, NOON)

    ended = place.run("attempts.cache_day", DAY)

    failures = failures_of(place, ended)
    assert keys(cache) == {key("asha"), key("x" * 100), key("o'hara")}
    assert set(failures) == set(BAD_IDS)
    for id_, why in BAD_IDS.items():
        assert failures[id_].endswith(f"cannot be part of a cache key: {why}")
        assert "\x1b" not in failures[id_]
    assert (ended.state, ended.counts.ok) == (RunState.PARTIAL, 3)
    assert ended.metrics["keys"] == 3


# --- until when, and at what cost ---------------------------------------------------------------------------------


@pytest.fixture
def tools(place: Installation) -> Iterator[Resources]:
    assert place.settings.redis_url is not None
    made = Resources(place.settings.data_url.reveal(), place.settings.redis_url.reveal())
    yield made
    made.close()


def batch_of(names: list[str], as_of: datetime) -> Batch:
    return Batch(1, 1, 1, cache_day.name, WINDOW, as_of, names, {}, 60.0)


def test_a_day_in_progress_ends_at_the_scheduled_time(
    fixture: AttemptsFixture, tools: Resources, cache: redis.Redis
) -> None:
    fixture.enrol("asha", "ben")
    instant = MIDNIGHT + timedelta(hours=23, minutes=20)
    fixture.solve("asha", instant - timedelta(microseconds=1), "before")
    fixture.solve("asha", instant, "at")
    fixture.solve("asha", instant + timedelta(minutes=5), "after")
    fixture.solve("ben", instant + timedelta(minutes=5))

    result = work(batch_of(["asha", "ben"], instant), cache_day, tools)

    assert result.ok == 2
    assert [attempt["id"] for attempt in json.loads(cache.get(key("asha")) or b"")] == ["before"]
    assert keys(cache) == {key("asha")}


def test_a_run_before_the_start_of_its_day_finds_no_attempts(
    fixture: AttemptsFixture, tools: Resources, cache: redis.Redis
) -> None:
    fixture.enrol("asha")
    fixture.solve("asha", MIDNIGHT)

    result = work(batch_of(["asha"], MIDNIGHT - timedelta(hours=1)), cache_day, tools)

    assert result.ok == 1
    assert keys(cache) == set()


def run_counting_statements(tools: Resources, batch: Batch) -> tuple[BatchResult, int]:
    """The result of a batch and its number of queries."""
    with statements(tools) as executed:
        result = work(batch, cache_day, tools)
    return result, sum(statement.lstrip().upper().startswith("SELECT") for statement, _ in executed)


def test_the_number_of_statements_does_not_grow_with_the_batch(fixture: AttemptsFixture, tools: Resources) -> None:
    names = [f"user{i:03}" for i in range(200)]
    fixture.enrol(*names)
    for name in names:
        fixture.solve(name, NOON)
        fixture.solve(name, NOON, question_id="q2")

    few, for_few = run_counting_statements(tools, batch_of(names[:5], NOON + timedelta(days=2)))
    tools.memory(2)  # another run starts with an empty memory
    many, for_many = run_counting_statements(tools, batch_of(names, NOON + timedelta(days=2)))
    once_more, for_known = run_counting_statements(tools, batch_of(names, NOON + timedelta(days=2)))

    assert (few.ok, many.ok, once_more.ok) == (5, 200, 200)
    assert for_few == for_many == 3
    assert for_known == 1


# --- options ------------------------------------------------------------------------------------------------------


def test_options_compress_large_values_and_extend_the_ttl(
    database_url: str, redis_url: str, installing: Installing, cache: redis.Redis
) -> None:
    place = installing(
        database_url=database_url,
        redis_url=redis_url,
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
        config="[attempts]\ncompress_over = 2000\nmax_ttl_hours = 12",
    )
    fixture = AttemptsFixture(place.data)
    fixture.enrol("asha", "ben")
    for n in range(30):
        fixture.solve("asha", NOON + timedelta(seconds=n))
    fixture.solve("ben", NOON)

    place.run("attempts.cache_day", DAY)

    read = Cache(redis_url)
    values = read.read(DAY_ATTEMPTS, ["asha", "ben"], by="user", date=DAY)
    read.close()
    assert {key(user): value for user, value in values.items()} == expected(place.data, DAY)
    assert cache.strlen(key("asha")) < 2000 < len(values["asha"] or b"")
    assert cache.get(key("ben")) == values["ben"]
    assert cache.ttl(key("ben")) <= TTL_SECONDS


def test_the_ttl_grows_with_recent_activity(fixture: AttemptsFixture, tools: Resources, cache: redis.Redis) -> None:
    fixture.enrol("daily", "halfway", "once", "rarely")
    for user, days in (("daily", range(7)), ("halfway", (0, 2, 4, 6)), ("once", (0,)), ("rarely", (0, 7, 8))):
        for n in days:
            fixture.solve(user, NOON - timedelta(days=n))

    run_batch(tools, cache_day, LAST_INSTANT, ["daily", "halfway", "once", "rarely"], {"max_ttl_hours": 14})

    lives = {user: -(-cache.ttl(key(user)) // 3600) for user in ("daily", "halfway", "once")}
    assert lives == {"daily": 14, "halfway": 8, "once": 2}


@pytest.mark.parametrize("incremental", [False, True])
def test_on_request_the_log_has_a_line_for_each_cached_user(
    fixture: AttemptsFixture, tools: Resources, cache: redis.Redis, incremental: bool
) -> None:
    names = [f"u{n:04}" for n in range(60)]
    fixture.enrol(*names, "idle")
    for user in names:
        fixture.solve(user, NOON)
    fixture.solve("u0007", NOON + timedelta(hours=1))
    options = {"log_users": True, "incremental": incremental}

    for _ in range(2):
        result = run_batch(tools, cache_day, LAST_INSTANT, [*names, "idle"], options)
        assert result.log == [f"cached {'2 attempts' if user == 'u0007' else '1 attempt'} for {user}" for user in names]

    assert run_batch(tools, cache_day, LAST_INSTANT, names).log == []


def test_the_lines_of_users_carry_the_tag_and_are_bounded(
    database_url: str, redis_url: str, installing: Installing
) -> None:
    place = installing(
        database_url=database_url,
        redis_url=redis_url,
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
        config='[attempts]\nlog_users = true\n[jobs."attempts.cache_day"]\ntag = "[Cron]"\n',
    )
    fixture = AttemptsFixture(place.data)
    names = [f"u{n:04}" for n in range(1200)]
    fixture.enrol(*names)
    for user in names:
        fixture.solve(user, NOON)

    run = place.run("attempts.cache_day", DAY)

    with place.store.reading() as db:
        lines = [line.line for line in logs.after(db, run.id, 0, limit=5000)]
    assert run.counts.ok == 1200
    assert len(lines) == 1001, "a thousand lines, and the one about the end"
    assert all(line.startswith("[Cron] ") for line in lines)
    assert "[Cron] cached 1 attempt for u0417" in lines
    assert lines[-1].startswith("[Cron] succeeded: 1,200 ok, 0 failed of 1,200")


def test_a_maximum_ttl_below_the_default_has_no_effect(
    fixture: AttemptsFixture, tools: Resources, cache: redis.Redis
) -> None:
    fixture.enrol("asha")
    for n in range(7):
        fixture.solve("asha", NOON - timedelta(days=n))

    run_batch(tools, cache_day, LAST_INSTANT, ["asha"], {"max_ttl_hours": 1})

    assert TTL_SECONDS - 60 < cache.ttl(key("asha")) <= TTL_SECONDS


def test_the_incremental_mode_gives_the_same_as_a_rebuild(
    fixture: AttemptsFixture, tools: Resources, cache: redis.Redis
) -> None:
    chance = random.Random(5)
    names = [f"user{n}" for n in range(12)]
    fixture.enrol(*names)
    made = 0
    for hour in (6, 7, 7, 12, 20, 23.99):
        instant = MIDNIGHT + timedelta(hours=hour)
        for _ in range(20):
            # Mostly in the last hour, some much earlier than the cached ones, some in one millisecond.
            back = chance.choice([30, 3600, 3600, 20000]) * chance.random()
            at = instant - timedelta(seconds=1 + back)
            fixture.solve(chance.choice(names[:10]), at.replace(microsecond=chance.choice([0, 1, 999])), f"a{made:04}")
            made += 1
        if hour == 12:
            cache.set(key(names[0]), "[garbage")
            cache.delete(key(names[1]))
            cache.set(key(names[11]), "[]")

        result = run_batch(tools, cache_day, instant, names, {"incremental": True})
        appended = {name: cache.get(name) for name in keys(cache)}
        repeated = run_batch(tools, cache_day, instant, names)

        assert appended == {name: cache.get(name) for name in keys(cache)}
        assert result.metrics == repeated.metrics
    assert {name: cache.get(name) for name in keys(cache)} == expected(tools.data, DAY)


def test_a_late_attempt_within_the_same_millisecond_is_ordered_correctly(
    fixture: AttemptsFixture, tools: Resources, cache: redis.Redis
) -> None:
    fixture.enrol("asha")
    fixture.solve("asha", NOON + timedelta(microseconds=900), "first")
    run_batch(tools, cache_day, NOON + timedelta(seconds=1), ["asha"], {"incremental": True})
    fixture.solve("asha", NOON + timedelta(microseconds=100), "late")

    run_batch(tools, cache_day, NOON + timedelta(seconds=1), ["asha"], {"incremental": True})

    assert [a["id"] for a in json.loads(cache.get(key("asha")) or b"")] == ["late", "first"]


def test_the_incremental_mode_does_not_change_cached_attempts(
    fixture: AttemptsFixture, tools: Resources, cache: redis.Redis
) -> None:
    fixture.enrol("asha")
    fixture.solve("asha", NOON)
    run_batch(tools, cache_day, NOON + timedelta(seconds=1), ["asha"], {"incremental": True})
    with tools.data.writing() as db:
        db.execute(text("UPDATE topics SET name = 'Algebra I'"))
    fixture.solve("asha", NOON + timedelta(minutes=1))

    run_batch(tools, cache_day, LAST_INSTANT, ["asha"], {"incremental": True})

    assert [a["topic"]["name"] for a in json.loads(cache.get(key("asha")) or b"")] == ["Algebra", "Algebra I"]


def test_the_incremental_mode_without_redis_ends_the_run(database_url: str, fixture: AttemptsFixture) -> None:
    fixture.enrol("asha")

    with tools_for(database_url, "redis://127.0.0.1:1") as alone:
        result = run_batch(alone, cache_day, NOON, ["asha"], {"incremental": True})

    assert (result.broken, result.again) == ("redis", ["asha"])


# --- for programs and people outside ------------------------------------------------------------------------------


def test_a_cached_day_is_available_over_http(fixture: AttemptsFixture, tools: Resources, cache: redis.Redis) -> None:
    fixture.enrol("asha")
    fixture.solve("asha", NOON)
    run_batch(tools, cache_day, LAST_INSTANT, ["asha"], {"compress_over": 10})
    cache.set(key("chen"), "no array")
    serving = ExtensionContext(tools, {}, pack.families)

    def ask(user: str, day: str) -> Reply:
        (route,) = (route for route in pack.routes if route.path == "/cache/attempt-day/{user}/{date}")
        return call(route, serving, Request({"user": user, "date": day}))

    assert ask("asha", DAY) == Reply(json.loads(expected(tools.data, DAY)[key("asha")]))
    assert [ask(user, day).status for user, day in (("asha", "2025-01-20"), ("ben", DAY), ("chen", DAY))] == [404] * 3
    assert ask("as:ha*", DAY).status == 404
    for day in ("yesterday", "20250119", "2025-02-30", ""):
        assert ask("asha", day) == Reply.error(400, "bad_date", "date must have the form 2026-03-08", field="date")


def test_the_panel_shows_the_newest_suggestions(fixture: AttemptsFixture, tools: Resources) -> None:
    serving = ExtensionContext(tools, {}, pack.families)
    (panel,) = pack.panels
    empty = panel.read(serving)
    fixture.enrol("asha", "ben", "chen", "dora")
    fixture.solve("asha", NOON)
    fixture.solve("ben", NOON - timedelta(days=1))
    for instant in (MIDNIGHT, NEXT_MIDNIGHT):
        run_batch(tools, suggest, instant, ["asha", "ben", "chen", "dora"])

    shown = panel.read(serving)

    assert empty == PanelContent(message="no suggestions yet; run attempts.suggest")
    assert shown.facts == (("date", DAY), ("users", "4"))
    assert shown.columns == ("suggestion", "users", "share")
    assert shown.rows == (
        ("unsolved", "0", "0.0%"),
        ("mistakes", "0", "0.0%"),
        ("timing", "0", "0.0%"),
        ("keep_going", "1", "25.0%"),
        ("come_back", "3", "75.0%"),
    )
