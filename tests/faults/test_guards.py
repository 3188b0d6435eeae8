"""What keeps a schedule whole when everything else has failed: the store itself refuses what would double or lose."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from opsconsole.authoring.occurrence import Occurrence, OccurrenceState
from opsconsole.core.database import Database
from opsconsole.leader.engine import Engine
from opsconsole.store import Store, migrate, occurrences, tables as schema
from tests.conftest import Installing
from tests.installation import Installation
from tests.waiting import eventually, finished

NOON = datetime(2025, 1, 19, 12, 10, tzinfo=UTC)
HOURLY = "clockwork.hourly"


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    migrate.upgrade(made)
    yield made
    made.close()


def test_a_scheduled_time_has_one_row_whichever_process_writes_it(store: Store) -> None:
    due = Occurrence(HOURLY, "spec", NOON, NOON, 1, OccurrenceState.DUE)
    with store.writing() as db:
        occurrences.record(db, due, token=1, at=NOON)

    with pytest.raises(IntegrityError), store.writing() as db:
        occurrences.record(db, due, token=2, at=NOON)


def test_a_write_transaction_on_sqlite_takes_the_lock_at_once(tmp_path: Path) -> None:
    anna, ben = (Database(f"sqlite:///{tmp_path / 'shared.db'}") for _ in range(2))
    written = threading.Event()

    def write() -> None:
        with ben.writing() as db:
            db.execute(text("CREATE TABLE bens (id INTEGER)"))
        written.set()

    other = threading.Thread(target=write)
    with anna.writing() as db:
        other.start()
        assert not written.wait(0.3), "what anna reads stays as it is until she has written"
        db.execute(text("CREATE TABLE annas (id INTEGER)"))
    finished(other)
    for database in (anna, ben):
        database.close()

    assert written.is_set()


@pytest.fixture
def place(installing: Installing, tmp_path: Path) -> Installation:
    return installing(
        database_url=f"sqlite:///{tmp_path / 'shared.db'}",
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.clockwork",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


@pytest.fixture
def an_hour_later(place: Installation, caplog: pytest.LogCaptureFixture) -> Callable[[str], None]:
    """Lets a leader come to the next hour, with a trigger in the store that refuses one kind of write."""
    shown = [NOON]

    def go_on(refusing: str) -> None:
        engine = Engine(place.settings, place.store, place.catalog, now=lambda: shown[0])
        engine.start()
        try:
            eventually(lambda: cursor(place) is not None, "the jobs are known to the store")
            with place.store.writing() as db:
                refused = f"CREATE TRIGGER no BEFORE {refusing} BEGIN SELECT RAISE(ABORT, 'not now'); END"
                db.execute(text(refused))
            shown[0] += timedelta(hours=1)
            eventually(lambda: "not now" in caplog.text, "the plan was tried")
        finally:
            engine.stop(grace_seconds=1)

    return go_on


def cursor(place: Installation) -> datetime | None:
    """Up to where the hourly job's instants are accounted for."""
    with place.store.reading() as db:
        return db.execute(select(schema.jobs.c.planned_until).where(schema.jobs.c.job == HOURLY)).scalar()


def written(place: Installation) -> tuple[int, int]:
    """How many instants and how many runs the store has."""
    with place.store.reading() as db:
        tables = schema.occurrences, schema.runs
        instants, made = (db.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)
    return instants, made


def test_a_plan_whose_cursor_cannot_be_moved_is_not_written(
    place: Installation, an_hour_later: Callable[[str], None]
) -> None:
    an_hour_later("UPDATE OF planned_until ON ops_jobs")

    assert written(place) == (0, 0)
    assert cursor(place) == NOON


def test_a_cursor_does_not_move_when_its_plan_cannot_be_written(
    place: Installation, an_hour_later: Callable[[str], None]
) -> None:
    an_hour_later("INSERT ON ops_occurrences")

    assert written(place) == (0, 0)
    assert cursor(place) == NOON
