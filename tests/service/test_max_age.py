"""The age of a job's data: the time since its last good scheduled run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from opsconsole.authoring.run import RunState, Trigger
from opsconsole.calendar.windows import Window
from opsconsole.store import Store, migrate, runs, statistics
from opsconsole.store.tables import runs as table
from tests.rules.ended_runs import JOB

NOON = datetime(2025, 1, 19, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    migrate.upgrade(made)
    yield made
    made.close()


def add(store: Store, at: datetime, state: RunState, *, ok: int = 10, failed: int = 0, by: Trigger) -> None:
    with store.writing() as db:
        window = Window(at, at, at.isoformat())
        run = runs.create(db, JOB, window, as_of=at, trigger=by, requested_by="asha", at=at)
        ended = {"state": state, "ended_at": at, "ok": ok, "failed": failed}
        db.execute(update(table).where(table.c.id == run).values(ended))


def last_good(store: Store, least: float = 0.9, manual: tuple[str, ...] = ()) -> datetime | None:
    with store.reading() as db:
        return statistics.last_good(db, {JOB.name: least}, manual=manual).get(JOB.name)


@pytest.mark.parametrize(
    ("state", "ok", "failed", "by", "is_good"),
    [
        (RunState.SUCCEEDED, 10, 0, Trigger.SCHEDULE, True),
        (RunState.SUCCEEDED, 0, 0, Trigger.SCHEDULE, True),
        (RunState.SUCCEEDED, 10, 0, Trigger.RETRY, True),
        (RunState.PARTIAL, 90, 10, Trigger.SCHEDULE, True),
        (RunState.PARTIAL, 89, 11, Trigger.SCHEDULE, False),
        (RunState.FAILED, 0, 10, Trigger.SCHEDULE, False),
        (RunState.TIMED_OUT, 99, 0, Trigger.SCHEDULE, False),
        (RunState.SUCCEEDED, 10, 0, Trigger.HAND, False),
        (RunState.SUCCEEDED, 10, 0, Trigger.BACKFILL, False),
    ],
)
def test_only_good_scheduled_runs_reset_the_age_of_a_job(
    store: Store, state: RunState, ok: int, failed: int, by: Trigger, is_good: bool
) -> None:
    add(store, NOON - 5 * HOUR, RunState.SUCCEEDED, by=Trigger.SCHEDULE)

    add(store, NOON, state, ok=ok, failed=failed, by=by)

    assert last_good(store) == (NOON if is_good else NOON - 5 * HOUR)


def test_a_job_that_never_ran_has_no_good_run(store: Store) -> None:
    assert last_good(store) is None


def test_a_run_by_hand_counts_for_a_manual_job(store: Store) -> None:
    add(store, NOON, RunState.SUCCEEDED, by=Trigger.HAND)
    add(store, NOON + HOUR, RunState.SUCCEEDED, by=Trigger.BACKFILL)

    assert last_good(store) is None
    assert last_good(store, manual=(JOB.name,)) == NOON
