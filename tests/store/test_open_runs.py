"""Reading the open runs again, without those that have not changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from opsconsole import DAY, Job
from opsconsole.authoring.occurrence import Occurrence, OccurrenceState
from opsconsole.authoring.run import RunState, Stop, Trigger
from opsconsole.calendar.cron import zone
from opsconsole.calendar.windows import Window
from opsconsole.store import Store, migrate, occurrences, runs
from tests import run_records
from tests.packs.counting import do_nothing, names

NOON = datetime(2025, 1, 19, 12, tzinfo=UTC)
JOB = Job("a.daily", names, do_nothing, cron="0 0 * * *", covers=DAY)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    migrate.upgrade(made)
    yield made
    made.close()


def queue(store: Store, day: int) -> int:
    start = datetime(2025, 1, day, tzinfo=UTC)
    window = Window(start, start + timedelta(days=1), f"2025-01-{day:02}")
    with store.writing() as db:
        return runs.create(db, JOB, window, as_of=start, trigger=Trigger.HAND, requested_by="asha", at=NOON)


def test_a_scheduled_run_is_what_is_read_of_it(store: Store) -> None:
    window = JOB.covers.at(NOON, zone("Europe/Berlin"))
    times = [NOON, NOON + timedelta(days=1)]
    planned = [Occurrence(JOB.name, JOB.spec, at, at, 1, OccurrenceState.DUE) for at in times]
    with store.writing() as db:
        numbers = occurrences.record_all(db, planned, token=1, at=NOON)
        due = [(JOB, window, at, number) for at, number in zip(times, numbers, strict=True)]
        created = runs.create_scheduled(db, due, NOON)
        read = runs.unfinished(db)

    assert created == read


def test_only_new_and_changed_runs_are_read(store: Store) -> None:
    numbers = [queue(store, day) for day in (3, 1, 2)]
    with store.reading() as db:
        everything = runs.unfinished(db)
        known = {run.id: run for run in everything}
        executed: list[str] = []
        event.listen(db, "before_cursor_execute", lambda *given: executed.append(given[2]))
        again = runs.unfinished_since(db, known)

    assert [run.id for run in again] == [numbers[1], numbers[2], numbers[0]]
    assert again == everything
    assert len(executed) == 1

    new = queue(store, 4)
    with store.writing() as db:
        runs.request_stop(db, numbers[0], Stop("asha", NOON, NOON))
        run_records.start(db, runs.get(db, numbers[1]), token=1, host="web1", version="1", at=NOON)
        run_records.start(db, runs.get(db, numbers[2]), token=1, host="web1", version="1", at=NOON)
        run_records.end(db, numbers[2], token=1, state=RunState.SUCCEEDED, at=NOON)
    with store.reading() as db:
        found = runs.unfinished_since(db, known)
        assert found == runs.unfinished(db)

    assert [(run.id, run.state, run.stop is not None) for run in found] == [
        (numbers[1], RunState.RUNNING, False),
        (numbers[0], RunState.QUEUED, True),
        (new, RunState.QUEUED, False),
    ]
