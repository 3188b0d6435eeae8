"""Runs that were planned take their place among the open ones as if all had been read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from opsconsole.authoring.run import RunState, Trigger
from opsconsole.calendar.windows import Window
from opsconsole.leader.open_runs import OpenRuns
from opsconsole.store import Store, runs, tables
from opsconsole.store.run_rows import scheduled_run
from tests.packs.counting import pack

NOON = datetime(2025, 1, 19, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = Window(NOON - 36 * HOUR, NOON - 12 * HOUR, "2025-01-18")
JOBS = {
    name: replace(pack.jobs[0], name=name, priority=priority, after=after, aliases=())
    for name, priority, after in [("a.first", 0, ()), ("b.second", 0, ("a.first",)), ("c.urgent", 5, ())]
}


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = Store(database_url)
    yield opened
    opened.close()


def add(store: Store, job: str, *, as_of: datetime = NOON, **how: Any) -> None:
    values: dict[str, Any] = {
        "job": job,
        "as_of": as_of,
        "priority": JOBS[job].priority,
        "trigger": Trigger.SCHEDULE,
        "state": RunState.QUEUED,
        "window_label": DAY.label,
        "window_start": DAY.start,
        "window_end": DAY.end,
        "requested_by": "schedule",
        "spec": "spec",
        "created_at": NOON,
        "facts": {},
        "kinds": {},
        "metrics": {},
    }
    with store.writing() as db:
        db.execute(insert(tables.runs).values(values | how))


def test_added_runs_are_in_the_order_in_which_runs_are_read(store: Store) -> None:
    add(store, "b.second")
    add(store, "a.first")
    add(store, "a.first")
    add(store, "c.urgent")
    add(store, "a.first", as_of=NOON - HOUR)
    add(store, "c.urgent", as_of=NOON - 2 * HOUR, trigger=Trigger.BACKFILL)
    add(store, "b.second", as_of=NOON + HOUR, state=RunState.RUNNING, started_at=NOON)
    add(store, "b.second", as_of=NOON - HOUR, trigger=Trigger.BACKFILL, state=RunState.INTERRUPTED, started_at=NOON)
    with store.reading() as db:
        read = runs.unfinished(db)
    open_runs = OpenRuns(JOBS.get)
    open_runs.replace(read[1::2])

    open_runs.add(reversed(read[::2]))

    assert list(open_runs.by_number) == [run.id for run in read] == [7, 8, 5, 4, 2, 3, 1, 6]


def test_a_run_waits_for_one_that_was_planned_with_it() -> None:
    open_runs = OpenRuns(JOBS.get)
    second, first = (
        scheduled_run(number, JOBS[job], DAY, as_of=NOON, at=NOON, occurrence=number)
        for number, job in enumerate(("b.second", "a.first"), 1)
    )

    open_runs.add([second, first])

    assert [run.job for run, _ in open_runs.startable(NOON)] == ["a.first"]
    open_runs.end(first.id)
    assert [run.job for run, _ in open_runs.startable(NOON)] == ["b.second"]
