"""Sample data: the same for the same number of users, for any division into periods."""

from __future__ import annotations

import ast
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Table, func, select

from jobs.attempts import pack
from jobs.attempts.sample import BAD_QUESTION, add_attempts
from jobs.attempts.tables import attempts, question_subtopics, questions, subjects, subtopics, topics
from jobs.common import metadata, users
from opsconsole.authoring.pack import Pack
from opsconsole.core.database import Database
from opsconsole.embedded.sample import OtherUsers, fill, missing_ranges, sample_until
from tests.private_server import running
from tests.services import PrivatePostgres

KOLKATA = ZoneInfo("Asia/Kolkata")
MIDNIGHT = datetime(2026, 3, 8, 18, 30, tzinfo=UTC)  # the start of the 9th in Kolkata
DAY = timedelta(days=1)
JOBS = Path(__file__).parents[2] / "jobs"


def database(url: str) -> Database:
    data = Database(url)
    metadata.create_all(data.engine)
    return data


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Database]:
    made = database(f"sqlite:///{tmp_path / 'data.db'}")
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Database]:
    made = database(f"sqlite:///{tmp_path / 'other.db'}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[PrivatePostgres]:
    with running(PrivatePostgres()) as server:
        yield server


def rows(data: Database, table: Table) -> list[Any]:
    with data.reading() as db:
        return list(db.execute(select(table).order_by(*table.primary_key)))


def number_of(data: Database, table: Table) -> int:
    return len(rows(data, table))


def same_data(one: Database, two: Database) -> bool:
    tables = (users, subjects, topics, subtopics, questions, question_subtopics, attempts)
    return all(rows(one, table) == rows(two, table) for table in tables)


def test_two_data_sets_of_the_same_size_are_equal(data: Database, other: Database) -> None:
    for database_ in (data, other):
        add_attempts(database_, 30, MIDNIGHT - 2 * DAY, MIDNIGHT)

    assert same_data(data, other)


def test_consecutive_periods_add_up_to_the_whole(data: Database, other: Database) -> None:
    noon = MIDNIGHT - DAY + timedelta(hours=12, seconds=1)
    for since, until in ((MIDNIGHT - 3 * DAY, noon), (noon, MIDNIGHT - timedelta(microseconds=7))):
        add_attempts(data, 30, since, until)
    add_attempts(data, 30, MIDNIGHT - timedelta(microseconds=7), MIDNIGHT + timedelta(hours=9))

    add_attempts(other, 30, MIDNIGHT - 3 * DAY, MIDNIGHT + timedelta(hours=9))

    assert same_data(data, other)


def test_existing_rows_are_not_written_again(data: Database) -> None:
    add_attempts(data, 30, MIDNIGHT - 3 * DAY, MIDNIGHT)
    before = rows(data, attempts)

    add_attempts(data, 30, MIDNIGHT - 3 * DAY, MIDNIGHT)
    add_attempts(data, 30, MIDNIGHT - 3 * DAY, MIDNIGHT - 2 * DAY)

    assert rows(data, attempts) == before


def test_adding_users_does_not_change_existing_ones(data: Database, other: Database) -> None:
    add_attempts(data, 20, MIDNIGHT - DAY, MIDNIGHT)
    add_attempts(other, 40, MIDNIGHT - DAY, MIDNIGHT)

    first = {row.id for row in rows(data, users)}
    mine = [row for row in rows(data, attempts) if row.question_id != BAD_QUESTION]
    theirs = [row for row in rows(other, attempts) if row.user_id in first and row.question_id != BAD_QUESTION]

    assert mine == theirs


def test_five_hundred_users_look_plausible(data: Database) -> None:
    add_attempts(data, 500, MIDNIGHT - 2 * DAY, MIDNIGHT)
    people, done = rows(data, users), rows(data, attempts)
    a_day = {(row.user_id, row.solved_at.astimezone(KOLKATA).date()) for row in done}
    by_hour = [0] * 24
    for row in done:
        by_hour[row.solved_at.astimezone(KOLKATA).hour] += 1
    shares = {status: sum(row.status == status for row in done) / len(done) for status in ("correct", "incorrect")}

    assert [number_of(data, table) for table in (subjects, topics, subtopics, questions)] == [8, 40, 120, 2000]
    assert [person.id for person in people][:2] == ["u00001", "u00002"]
    assert 0.92 < sum(person.active for person in people) / 500 < 0.98
    assert len({person.name for person in people}) > 450
    assert sum(not person.name.isascii() for person in people) > 100
    assert 10.5 < len(done) / 1000 < 13.5
    assert len(a_day) < 950, "every user had attempts on the day"
    assert by_hour[19] > 5 * by_hour[9] > 0
    assert sum(by_hour[1:4]) == 0
    assert 0.5 < shares["correct"] < 0.7
    assert 0.2 < shares["incorrect"] < 0.45
    assert {type(row.timing) for row in done} == {float, type(None)}
    for column in ("answer", "mistake", "reaction_time", "hints_used", "type"):
        missing = sum(getattr(row, column) is None for row in done)
        assert 0 < missing < len(done), column


def test_every_attempt_is_in_its_period_and_all_but_one_have_a_question(data: Database) -> None:
    since, until = MIDNIGHT - DAY + timedelta(hours=15), MIDNIGHT - timedelta(hours=2)
    add_attempts(data, 100, since, until)
    known = {row.id for row in rows(data, questions)}

    good = [row for row in rows(data, attempts) if row.question_id in known]
    bad = [row for row in rows(data, attempts) if row.question_id not in known]

    assert all(since <= row.solved_at < until for row in good)
    assert [row.question_id for row in bad] == ["q-7781"]


@pytest.mark.parametrize(("many", "who"), [(1, "u00001"), (300, "u00300"), (420, "u00417")])
def test_the_invalid_attempt_is_of_an_active_user_on_the_last_day(data: Database, many: int, who: str) -> None:
    add_attempts(data, many, MIDNIGHT - DAY, MIDNIGHT)
    add_attempts(data, many, MIDNIGHT, MIDNIGHT + timedelta(minutes=5))

    with data.reading() as db:
        found = db.execute(select(attempts).where(attempts.c.question_id == BAD_QUESTION)).one()
        assert db.execute(select(users.c.active).where(users.c.id == who)).scalar_one()

    assert found.user_id == who
    assert MIDNIGHT <= found.solved_at < MIDNIGHT + timedelta(minutes=5)


def test_the_question_of_the_invalid_attempt_is_missing_until_it_is_imported_and_again_on_the_next_day(
    data: Database,
) -> None:
    def is_missing() -> bool:
        return all(row.id != BAD_QUESTION for row in rows(data, questions))

    assert pack.sample_import is not None
    add_attempts(data, 10, MIDNIGHT - DAY, MIDNIGHT)
    assert is_missing()
    for _ in range(2):
        with data.writing() as db:
            pack.sample_import(db)
    assert not is_missing()
    add_attempts(data, 10, MIDNIGHT - timedelta(hours=1), MIDNIGHT)
    assert not is_missing(), "it is the same day"
    add_attempts(data, 10, MIDNIGHT, MIDNIGHT + timedelta(minutes=5))
    assert is_missing()


def test_no_users_or_an_empty_period_write_nothing(data: Database) -> None:
    add_attempts(data, 0, MIDNIGHT - DAY, MIDNIGHT)
    add_attempts(data, 10, MIDNIGHT, MIDNIGHT)

    assert number_of(data, users) == number_of(data, attempts) == 0


@pytest.mark.soak
def test_memory_does_not_grow_with_the_number_of_users(data: Database, other: Database) -> None:
    def peak(database_: Database, many: int) -> int:
        tracemalloc.start()
        try:
            add_attempts(database_, many, MIDNIGHT - DAY, MIDNIGHT)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(other, 800) < 1.3 * peak(data, 400)


@pytest.mark.parametrize("module", ["attempts/sample.py", "sample_users.py"])
def test_sample_data_reads_no_clock(module: str) -> None:
    tree = ast.parse((JOBS / module).read_text(encoding="utf-8"))
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}

    assert not attributes & {"now", "utcnow", "today", "time", "monotonic", "perf_counter"}
    assert not imported & {"time", "random"}


def test_postgresql_has_the_same_rows(postgres: PrivatePostgres, other: Database) -> None:
    data = database(postgres.new_database())
    try:
        for since in (MIDNIGHT - 2 * DAY, MIDNIGHT - DAY, MIDNIGHT - DAY):
            add_attempts(data, 30, since, since + DAY)
        add_attempts(other, 30, MIDNIGHT - 2 * DAY, MIDNIGHT)

        assert same_data(data, other)
    finally:
        data.close()


# --- filled as the demo does ----------------------------------------------------------------------------------------


def test_an_empty_folder_gets_five_local_days_up_to_now(data: Database) -> None:
    now = MIDNIGHT + timedelta(hours=20)
    progress: list[tuple[str, float]] = []

    fill(data, [pack], 30, now, lambda name, share: progress.append((name, share)))

    moments = [row.solved_at for row in rows(data, attempts)]
    assert {moment.astimezone(KOLKATA).date().isoformat() for moment in moments} == {
        f"2026-03-{day:02}" for day in range(5, 10)
    }
    assert max(moments) < now
    assert progress == [("attempts", share / 5) for share in range(6)]


def test_opening_the_demo_again_continues_the_data(data: Database, other: Database) -> None:
    for hours in (1, 2, 2, 30, 50):
        fill(data, [pack], 30, MIDNIGHT + timedelta(hours=hours))

    add_attempts(other, 30, MIDNIGHT - 4 * DAY, MIDNIGHT + timedelta(hours=50))

    assert same_data(data, other)


def test_after_a_month_only_the_last_days_are_filled(data: Database) -> None:
    fill(data, [pack], 10, MIDNIGHT)
    fill(data, [pack], 10, MIDNIGHT + 30 * DAY)

    dates = {row.solved_at.astimezone(KOLKATA).date() for row in rows(data, attempts)}
    assert max(dates) - min(dates) > timedelta(days=25)
    assert len(dates) <= 10


def test_a_clock_set_back_changes_nothing(data: Database) -> None:
    fill(data, [pack], 10, MIDNIGHT)
    before = rows(data, attempts)

    fill(data, [pack], 10, MIDNIGHT - timedelta(hours=3))

    assert rows(data, attempts) == before
    assert [row.until for row in rows(data, sample_until)] == [MIDNIGHT]


def test_another_number_of_users_is_refused_before_anything_is_written(data: Database) -> None:
    fill(data, [pack], 10, MIDNIGHT)

    with pytest.raises(OtherUsers, match="has sample data for 10 users, not 2,000"):
        fill(data, [pack], 2000, MIDNIGHT + DAY)

    with data.reading() as db:
        assert db.execute(select(func.count()).select_from(users)).scalar_one() == 10


def test_an_interrupted_fill_is_completed_by_the_next(data: Database, other: Database) -> None:
    def cut_off(name: str, share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill(data, [pack], 30, MIDNIGHT, cut_off)
    with pytest.raises(OtherUsers):
        fill(data, [pack], 31, MIDNIGHT)

    fill(data, [pack], 30, MIDNIGHT)

    add_attempts(other, 30, MIDNIGHT - 5 * DAY, MIDNIGHT)
    mine = [row for row in rows(data, attempts) if row.solved_at >= MIDNIGHT - 4 * DAY]
    whole = [row for row in rows(other, attempts) if row.solved_at >= MIDNIGHT - 4 * DAY]
    assert mine == whole


def test_a_pack_without_sample_data_is_skipped(data: Database) -> None:
    fill(data, [Pack("empty", jobs=())], 10, MIDNIGHT)

    assert rows(data, sample_until) == []


def test_missing_periods_end_at_local_midnights() -> None:
    found = missing_ranges(KOLKATA, MIDNIGHT - timedelta(hours=30), MIDNIGHT + timedelta(hours=1), days=5)

    assert found == [
        (MIDNIGHT - timedelta(hours=30), MIDNIGHT - DAY),
        (MIDNIGHT - DAY, MIDNIGHT),
        (MIDNIGHT, MIDNIGHT + timedelta(hours=1)),
    ]


def test_distant_days_are_filled_several_at_once() -> None:
    found = missing_ranges(KOLKATA, None, MIDNIGHT + timedelta(hours=1), days=40)

    assert found[0][0] == MIDNIGHT - 39 * DAY
    assert [end for _, end in found[:-1]] == [since for since, _ in found[1:]]
    assert found[-1][1] == MIDNIGHT + timedelta(hours=1)
    assert len(found) < 10
    assert [until - since for since, until in found[-5:-1]] == [DAY] * 4
