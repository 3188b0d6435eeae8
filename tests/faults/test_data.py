"""Rows 40, 42 and 43: poisonous rows, empty populations, and items that appear and disappear during a run.

Row 41 is in `engine/test_workers.py`; memory with many users in `jobs/test_sample.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import redis
from sqlalchemy import Connection, delete, insert, text

from jobs.attempts.tables import attempts, questions, subjects, topics
from jobs.common import users
from opsconsole.authoring.run import Run, RunState
from opsconsole.store import runs
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import counting
from tests.waiting import PATIENCE_SECONDS, eventually

DAY = "2025-01-19"
NOON = datetime(2025, 1, 19, 6, 30, tzinfo=UTC)
BORN = datetime(2024, 6, 1, tzinfo=UTC)
PEOPLE = tuple(f"user{i:02}" for i in range(40))
CHEN = "user17"
"""Whose data is broken."""
JOB = "attempts.cache_day"


def installed(installing: Installing, database_url: str, redis_url: str) -> Installation:
    """Forty people who each answered a question of their own that day."""
    place = installing(
        database_url=database_url, redis_url=redis_url, environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
    )
    one = {"status": "correct", "solved_at": NOON, "answer": "A"}
    with place.data.writing() as db:
        db.execute(insert(subjects).values(id="math", name="Mathematics"))
        db.execute(insert(topics).values(id="alg", subject_id="math", name="Algebra"))
        about = {"subject_id": "math", "topic_id": "alg", "categories": ["a"]}
        db.execute(insert(questions), [{"id": f"q-{name}", **about} for name in PEOPLE])
        db.execute(insert(users), [{"id": id_, "name": id_, "active": True, "created_at": BORN} for id_ in PEOPLE])
        db.execute(
            insert(attempts),
            [{"id": f"of-{name}", "user_id": name, "question_id": f"q-{name}", **one} for name in PEOPLE],
        )
    return place


def failures_of(place: Installation, run: Run) -> list[tuple[str, str]]:
    with place.store.reading() as db:
        return [(item, message) for item, _, message in runs.failures_of(db, run.id)]


def broken_json(db: Connection) -> None:
    db.execute(text("UPDATE questions SET categories = '[\"half' WHERE id = :id"), {"id": f"q-{CHEN}"})


def broken_date(db: Connection) -> None:
    db.execute(text("UPDATE attempts SET solved_at = '2025-01-19 07:xx' WHERE user_id = :id"), {"id": CHEN})


def broken_text(db: Connection) -> None:
    db.execute(text("UPDATE attempts SET answer = CAST(x'ff61' AS TEXT) WHERE user_id = :id"), {"id": CHEN})


def no_such_question(db: Connection) -> None:
    db.execute(text("UPDATE attempts SET question_id = :q WHERE user_id = :id"), {"q": "q" * 5000, "id": CHEN})


ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize("poison", [broken_json, no_such_question])
def test_row_40_a_poisoned_row_fails_its_user_alone_and_tells_why(
    poison: Callable[[Connection], None], database_url: str, redis_url: str, installing: Installing
) -> None:
    _fails_alone(installed(installing, database_url, redis_url), poison)


@ON_SQLITE
@pytest.mark.parametrize("poison", [broken_date, broken_text])
def test_row_40_a_row_that_only_sqlite_takes_fails_its_user_alone(
    poison: Callable[[Connection], None], database_url: str, redis_url: str, installing: Installing
) -> None:
    _fails_alone(installed(installing, database_url, redis_url), poison)


def _fails_alone(place: Installation, poison: Callable[[Connection], None]) -> None:
    with place.data.writing() as db:
        poison(db)

    found = place.run(JOB, DAY)

    failures = failures_of(place, found)
    assert (found.state, found.counts.ok, found.counts.failed) == (RunState.PARTIAL, 39, 1), found
    assert [item for item, _ in failures] == [CHEN]
    assert len(next(iter(found.kinds))) <= 60
    assert len(failures[0][1]) <= 500
    assert failures[0][1].isprintable()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("answer", "x" * 10_000_000),
        ("answer", "a\x1b[2J\u2028\U0001f98a"),
        ("timing", float("nan")),
        ("timing", float("inf")),
        ("status", ""),
    ],
    ids=["ten megabytes", "escapes", "nan", "infinity", "empty"],
)
def test_row_40_unusual_values_that_can_be_written_fail_no_item(
    column: str, value: object, database_url: str, redis_url: str, installing: Installing
) -> None:
    place = installed(installing, database_url, redis_url)
    with place.data.writing() as db:
        db.execute(attempts.update().where(attempts.c.user_id == CHEN).values({column: value}))

    found = place.run(JOB, DAY)

    with redis.Redis.from_url(redis_url) as client:
        keys = client.keys("date:user:*")
    assert (found.state, found.counts.ok) == (RunState.SUCCEEDED, 40)
    assert len(keys) == 40


@ON_SQLITE
@pytest.mark.parametrize("id_", ["-7", "a\x1b[2Jb", "x" * 100_000, "it's:1", "a b"])
def test_row_40_an_invalid_id_fails_alone(id_: str, database_url: str, redis_url: str, installing: Installing) -> None:
    place = installed(installing, database_url, redis_url)
    with place.data.writing() as db:
        db.execute(insert(users).values(id=id_, name=id_, active=True, created_at=BORN))

    found = place.run(JOB, DAY)

    assert found.counts.planned == 41
    assert found.counts.ok >= 40
    assert found.state in (RunState.SUCCEEDED, RunState.PARTIAL)
    for item, message in failures_of(place, found):
        assert item == id_
        assert message.isprintable()
        assert len(message) <= 500


def test_row_40_an_id_that_is_not_text_fails_the_run_with_an_error(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, installing: Installing
) -> None:
    place = installed(installing, f"sqlite:///{tmp_path_factory.mktemp('data') / 'd.db'}", redis_url)
    with place.data.writing() as db:
        db.execute(text("UPDATE users SET id = x'ff61' WHERE id = :id"), {"id": CHEN})

    found = place.run(JOB, DAY)

    assert found.state is RunState.FAILED
    assert found.error == f"the population of {JOB} must yield strings, not bytes"


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_row_42_an_empty_population_is_reported(executor: str, database_url: str, installing: Installing) -> None:
    place = installing(
        database_url=database_url,
        redis_url="unix:///nowhere/redis.sock",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": executor, "OPSCONSOLE_ENGINE__WORKERS": "1"},
    )

    found = place.run(JOB, DAY)

    with place.store.reading() as db:
        lines = [line for _, line in runs.log_lines(db, found.id, limit=10)]
    assert (found.state, found.counts.planned, found.error) == (RunState.SUCCEEDED, 0, None)
    assert lines[0].endswith("0 items in 0 batches")
    assert "succeeded: 0 ok, 0 failed of 0 in " in lines[-1]


def test_row_42_a_users_query_that_fails_is_no_silent_success(
    database_url: str, redis_url: str, installing: Installing
) -> None:
    place = installed(installing, database_url, redis_url)
    with place.data.writing() as db:
        db.execute(text("ALTER TABLE users RENAME COLUMN active TO was_active"))

    found = place.run(JOB, DAY)

    assert (found.state, found.counts.planned) == (RunState.FAILED, 0)
    assert found.error is not None
    assert found.error.startswith(f"the population of {JOB} could not be read: ")
    assert "active" in found.error


def test_row_42_an_attempts_query_that_fails_fails_everybody_with_one_cause(
    database_url: str, redis_url: str, installing: Installing
) -> None:
    place = installed(installing, database_url, redis_url)
    with place.data.writing() as db:
        db.execute(text("ALTER TABLE attempts RENAME COLUMN answer TO was_answer"))

    found = place.run(JOB, DAY)

    assert (found.state, found.counts.failed) == (RunState.FAILED, 40)
    kind = "sqlite_error" if place.data.is_sqlite else "undefined_column"
    assert found.kinds == {kind: 40}
    assert "answer" in failures_of(place, found)[0][1]


def things_of(installing: Installing, database_url: str) -> Installation:
    return installing(
        database_url=database_url,
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


def test_row_43_items_that_appear_or_disappear_during_a_run_change_no_count(
    database_url: str, installing: Installing
) -> None:
    place = things_of(installing, database_url)
    counting.put(place.data, {f"a{i:02}": "dawdles" for i in range(60)}, score=20)

    with place.leading():
        number = place.begin("counting.count", DAY)
        eventually(lambda: place.service.queries.run(number).counts.ok >= 10, "the first batch is done")
        done_before = place.service.queries.run(number).counts.ok
        counting.put(place.data, {f"a{i:02}x": "fine" for i in range(60)} | {"0": "fine"})
        with place.data.writing() as db:
            db.execute(delete(counting.things).where(counting.things.c.id.in_([f"a{i}" for i in range(50, 60)])))
            db.execute(delete(counting.things).where(counting.things.c.id == "a00"))
        found = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)
        after = place.run("counting.count", "2025-01-20")

    assert done_before < 50
    assert found is not None
    counts = found.counts
    assert (counts.planned, counts.ok + counts.failed + counts.skipped) == (60, 60), "the planned items, and no others"
    marked = {item for window, item in counting.marks(place.data) if window == DAY}
    assert marked == {f"a{i:02}" for i in range(50)}, "who left in time has no mark, who came has none yet"
    assert after.counts.planned == 49 + 61


def test_row_43_an_item_deleted_during_its_batch_is_reported(
    database_url: str, redis_url: str, installing: Installing
) -> None:
    place = installed(installing, database_url, redis_url)
    with place.data.writing() as db:
        db.execute(delete(attempts).where(attempts.c.user_id == CHEN))
    with redis.Redis.from_url(redis_url) as client:
        client.set(f"date:user:{DAY}:{CHEN}", "[old]")

        found = place.run(JOB, DAY)
        left = client.exists(f"date:user:{DAY}:{CHEN}")

    assert (found.state, found.counts.ok, found.metrics["keys"]) == (RunState.SUCCEEDED, 40, 39)
    assert left == 0


def test_row_43_a_backfill_over_the_day_that_runs_leaves_each_effect_once(
    database_url: str, installing: Installing
) -> None:
    place = things_of(installing, database_url)
    counting.put(place.data, {f"a{i:02}": "dawdles" for i in range(40)}, score=10)

    with place.leading():
        daily = place.begin("counting.count", DAY)
        eventually(lambda: place.service.queries.run(daily).counts.ok >= 10, "the daily run is under way")
        command = place.service.commands.trigger("counting.count", DAY, backfill=True)
        found = place.service.commands.wait_for_run(daily, PATIENCE_SECONDS)
        outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)
        assert outcome is not None
        backfill = place.service.commands.wait_for_run(outcome.run, PATIENCE_SECONDS) if outcome.run else None

    assert found is not None
    assert (found.state, found.counts.ok) == (RunState.SUCCEEDED, 40)
    if backfill is None:
        assert outcome.refused, "it may be refused, but not forgotten"
    else:
        assert (backfill.state, backfill.counts.ok) == (RunState.SUCCEEDED, 40)
    assert counting.marks(place.data) == {(DAY, f"a{i:02}"): 10 for i in range(40)}
