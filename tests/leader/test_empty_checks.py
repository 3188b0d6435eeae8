"""Jobs that make no run at scheduled times without items."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from opsconsole.authoring.occurrence import OccurrenceFilter, OccurrenceState, Reason
from opsconsole.authoring.run import RunState
from opsconsole.leader import empty_checks
from opsconsole.leader.empty_checks import EmptyChecks
from opsconsole.leader.engine import Engine
from opsconsole.rules.schedule import Checked
from opsconsole.store import job_facts, occurrence_lists, runs, tables
from opsconsole.worker.messages import Counting
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import counting, sparse
from tests.schedules import cron_of
from tests.soak import postgresql_in_soak
from tests.waiting import eventually, signalled

pytestmark = postgresql_in_soak

NOON = datetime(2026, 3, 2, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class ManualClock:
    at: datetime

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def place(database_url: str, installing: Installing) -> Installation:
    return installing(
        database_url=database_url,
        redis_url="redis://127.0.0.1:1",
        packs="tests.packs.sparse",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


@contextmanager
def leading(place: Installation, clock: ManualClock) -> Iterator[Engine]:
    engine = Engine(place.settings, place.store, place.catalog, now=clock)
    engine.start()
    try:
        eventually(lambda: planned_until(place) is not None, "the jobs are registered")
        yield engine
    finally:
        engine.stop(grace_seconds=1)


def planned_until(place: Installation, job: str = "sparse.queue") -> datetime | None:
    with place.store.reading() as db:
        return db.execute(select(tables.jobs.c.planned_until).where(tables.jobs.c.job == job)).scalar()


def pass_minutes(place: Installation, clock: ManualClock, minutes: int) -> None:
    """Waits until the current minute is planned, and then for each of the next ones."""
    for passed in range(minutes + 1):
        clock.at += MINUTE if passed else timedelta(0)
        due = clock.at.replace(second=0)
        eventually(lambda due=due: is_planned(place, due), f"{due} is planned")  # type: ignore[misc]


def is_planned(place: Installation, due: datetime) -> bool:
    until = planned_until(place)
    return until is not None and until >= due


def rows(place: Installation, job: str = "sparse.queue") -> list[tuple[str, int, OccurrenceState, Reason | None]]:
    with place.store.reading() as db:
        found = occurrence_lists.newest(db, OccurrenceFilter(job=job), limit=100)
    return [(f"{row.due_at:%H:%M}", row.instants, row.state, row.reason) for row in reversed(found)]


SKIPPED = OccurrenceState.SKIPPED, Reason.NOTHING_TO_DO


def test_times_without_items_make_no_run_and_share_a_row(place: Installation) -> None:
    clock = ManualClock(NOON)
    with leading(place, clock):
        pass_minutes(place, clock, 3)
        counting.put(place.data, {"anna": "fine"})
        pass_minutes(place, clock, 1)
        eventually(lambda: states(place) == [RunState.SUCCEEDED], "its run has ended")
        counting.change(place.data, "anna", "gone")
        with place.data.writing() as db:
            db.execute(counting.things.delete())
        pass_minutes(place, clock, 2)

    assert rows(place) == [
        ("12:01", 3, *SKIPPED),
        ("12:04", 1, OccurrenceState.RAN, None),
        ("12:05", 2, *SKIPPED),
    ]
    explanation = place.service.queries.why("sparse.queue", "2026-03-02T12:02:00Z").answers[0].explanation
    assert explanation[:2] == (
        "it was skipped because there was nothing to do: the job had no items",
        "the same applies to all 3 scheduled times from 2026-03-02 12:01 UTC to 2026-03-02 12:03 UTC",
    )
    assert explanation[2].startswith("it was recorded one by one, the last time at 2026-03-02 12:03")


def states(place: Installation) -> list[RunState]:
    with place.store.reading() as db:
        return [run.state for run in runs.newest(db, limit=10, job="sparse.queue")]


def test_the_next_leader_continues_in_a_row_of_its_own(place: Installation) -> None:
    clock = ManualClock(NOON)
    for _ in range(2):
        with leading(place, clock):
            pass_minutes(place, clock, 2)

    assert rows(place) == [("12:01", 2, *SKIPPED), ("12:03", 2, *SKIPPED)]


def test_each_day_has_its_row(place: Installation) -> None:
    clock = ManualClock(NOON.replace(hour=23, minute=57))
    with leading(place, clock):
        pass_minutes(place, clock, 4)

    assert rows(place) == [("23:58", 2, *SKIPPED), ("00:00", 2, *SKIPPED)]


def test_nothing_to_do_after_downtime_leaves_the_older_times_missed(place: Installation) -> None:
    clock = ManualClock(NOON)
    with leading(place, clock):
        pass_minutes(place, clock, 1)
    clock.at += 9 * MINUTE
    with leading(place, clock):
        pass_minutes(place, clock, 1)

    assert rows(place) == [
        ("12:01", 1, *SKIPPED),
        ("12:02", 8, OccurrenceState.MISSED, Reason.SUPERSEDED),
        ("12:10", 2, *SKIPPED),
    ]


def test_a_job_that_cannot_be_checked_runs(place: Installation) -> None:
    clock = ManualClock(NOON)
    with leading(place, clock):
        clock.at += timedelta(hours=1)
        eventually(lambda: len(rows(place, "sparse.unclear")) == 1, "its scheduled time is planned")
        eventually(lambda: place.service.queries.runs(limit=1, job="sparse.unclear") != [], "it has a run")

    assert [row[2:] for row in rows(place, "sparse.unclear")] != [SKIPPED]


def test_a_job_with_nothing_to_do_is_healthy(place: Installation) -> None:
    clock = ManualClock(NOON)
    with leading(place, clock):
        pass_minutes(place, clock, 2)

    with place.store.reading() as db:
        found, _ = job_facts.read(db, place.catalog, clock.at)
        later, _ = job_facts.read(db, place.catalog, clock.at + timedelta(hours=1))

    assert {each.job.name: each.last_good for each in found}["sparse.queue"] == clock.at.replace(second=0)
    assert {each.job.name: each.last_good for each in later}["sparse.queue"] is None


class HangingCounter:
    """A counter that answers when it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def count(self, _counting: Counting) -> int:
        signalled(self.released, "the test releases it")
        return 0

    def close(self) -> None:
        """Does nothing."""


def test_a_check_that_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    counter, cron = HangingCounter(), cron_of(sparse.queue)
    checks = EmptyChecks(counter, now=lambda: NOON)
    answered = threading.Event()
    checks.start(answered=answered.set)
    due_at = NOON.replace(second=0)

    pending = checks.due(sparse.queue, cron, NOON)
    monkeypatch.setattr(empty_checks, "PATIENCE_SECONDS", 0.0)
    impatient = checks.due(sparse.queue, cron, NOON)
    counter.released.set()
    signalled(answered, "it is answered")
    late = checks.due(sparse.queue, cron, NOON + MINUTE)
    checks.stop()

    assert pending is None
    assert impatient is not None
    assert impatient.checked == Checked(due_at, is_empty=False)
    assert late is not None
    assert (late.checked, late.until(NOON + MINUTE)) == (Checked(due_at, is_empty=True), due_at)
