"""Scheduled times after a downtime: which ones run late, which are missed, and what is recorded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Resources
from opsconsole.authoring.occurrence import Registration
from opsconsole.authoring.run import RunState, Trigger
from opsconsole.core.humanize import duration
from opsconsole.leader.containment import Containment
from opsconsole.leader.empty_checks import EmptyChecks
from opsconsole.leader.engine import Engine
from opsconsole.leader.planned_runs import PlannedRuns
from opsconsole.leader.scheduler import Scheduler
from opsconsole.rules.leadership import Identity
from opsconsole.service.occurrences import why
from opsconsole.store import lease, runs
from opsconsole.store.registrations import registrations
from opsconsole.store.tables import jobs, occurrences
from opsconsole.worker.counting import InlineCounter
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import clockwork, counting
from tests.packs.clockwork import spread
from tests.soak import postgresql_in_soak
from tests.waiting import eventually

pytestmark = postgresql_in_soak

THURSDAY = datetime(2025, 1, 16, 12, 10, tzinfo=UTC)
SUNDAY = datetime(2025, 1, 19, 12, 40, tzinfo=UTC)
HOUR = timedelta(hours=1)
NO_REDIS = "unix:///nowhere/redis.sock"
ME = Identity("uuid", "web1", 812, "1", "boot", "asha")


@dataclass
class ManualClock:
    """A clock that shows the time it was set to."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def executor() -> str:
    return "inline"


@pytest.fixture
def place(database_url: str, installing: Installing, executor: str) -> Installation:
    made = installing(
        database_url=database_url,
        redis_url=NO_REDIS,
        packs="tests.packs.clockwork",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": executor},
    )
    counting.put(made.data, {"anna": "fine"})
    return made


@contextmanager
def leading(place: Installation, clock: ManualClock) -> Iterator[Engine]:
    engine = Engine(place.settings, place.store, place.catalog, now=clock)
    engine.start()
    eventually(lambda: is_registered(place), "the jobs are registered")
    try:
        yield engine
    finally:
        engine.stop(grace_seconds=1)


def is_registered(place: Installation) -> bool:
    with place.store.reading() as db:
        return len(db.execute(select(jobs.c.job)).all()) == len(clockwork.pack.jobs)


def occurrence_rows(place: Installation, job: str) -> list[tuple[str, str, int, str, str | None]]:
    """A job's recorded scheduled times: (first, last, count, state, reason)."""
    with place.store.reading() as db:
        rows = db.execute(select(occurrences).where(occurrences.c.job == job).order_by(occurrences.c.due_at)).all()
    return [
        (f"{row.due_at:%d %H:%M}", f"{row.last_due_at:%d %H:%M}", row.instants, row.state, row.reason) for row in rows
    ]


def windows_of(place: Installation, job: str) -> list[tuple[str, RunState]]:
    return [(run.window.label, run.state) for run in reversed(place.service.queries.runs(limit=100, job=job))]


def all_ended(place: Installation) -> bool:
    with place.store.reading() as db:
        return runs.unfinished(db) == [] and runs.newest(db, limit=1) != []


def test_after_three_days_of_downtime_every_time_is_recorded_and_few_run(place: Installation) -> None:
    with leading(place, ManualClock(THURSDAY)):
        pass
    clock = ManualClock(SUNDAY)
    with leading(place, clock):
        eventually(lambda: all_ended(place), "all missed times are caught up")
        clock.at = SUNDAY + timedelta(minutes=20, seconds=5)
        eventually(lambda: len(occurrence_rows(place, "clockwork.hourly")) == 3, "the next hour is planned")
        eventually(lambda: all_ended(place), "the next hour's run has ended")

    assert occurrence_rows(place, "clockwork.hourly") == [
        ("16 13:00", "19 11:00", 71, "missed", "superseded"),
        ("19 12:00", "19 12:00", 1, "late", None),
        ("19 13:00", "19 13:00", 1, "ran", None),
    ]
    assert occurrence_rows(place, "clockwork.forgetful") == [
        ("16 12:15", "19 12:15", 73, "missed", "not_leading"),
    ]
    assert occurrence_rows(place, "clockwork.nightly") == [
        ("16 19:00", "16 19:00", 1, "missed", "catch_up_limit"),
        ("17 19:00", "17 19:00", 1, "late", None),
        ("18 19:00", "18 19:00", 1, "late", None),
    ]
    assert windows_of(place, "clockwork.nightly") == [
        ("2025-01-17", RunState.SUCCEEDED),
        ("2025-01-18", RunState.SUCCEEDED),
    ]
    assert windows_of(place, "clockwork.hourly") == [
        ("2025-01-19T12:00:00Z", RunState.SUCCEEDED),
        ("2025-01-19T13:00:00Z", RunState.SUCCEEDED),
    ]
    found = place.service.queries.runs(limit=100, job="clockwork.hourly")
    assert {(run.trigger, run.requested_by) for run in found} == {(Trigger.SCHEDULE, "schedule")}
    assert found[0].as_of == datetime(2025, 1, 19, 13, 0, tzinfo=UTC)


def test_a_job_with_jitter_starts_later_and_is_on_time_then(place: Installation) -> None:
    clock, start = ManualClock(THURSDAY), THURSDAY.replace(hour=13, minute=0) + spread.shift

    with leading(place, clock):
        clock.at = start - timedelta(seconds=5)
        eventually(lambda: occurrence_rows(place, "clockwork.hourly") != [], "jobs without jitter are planned")
        assert occurrence_rows(place, "clockwork.spread") == []
        with place.store.reading() as db:
            later = why(db, place.service.catalog, "clockwork.spread", "13:00", clock()).answers[0].explanation
        clock.at = start + timedelta(seconds=5)
        eventually(lambda: occurrence_rows(place, "clockwork.spread") != [], "its run is queued")
        eventually(lambda: all_ended(place), "all runs have ended")

    assert any(f"its run starts {duration(spread.shift)} later, in 5 s" in each for each in later)
    assert occurrence_rows(place, "clockwork.spread") == [("16 13:00", "16 13:00", 1, "ran", None)]
    (run,) = place.service.queries.runs(limit=1, job="clockwork.spread")
    assert run.as_of == datetime(2025, 1, 16, 13, 0, tzinfo=UTC)


def test_a_restart_does_not_run_a_time_twice(place: Installation) -> None:
    clock = ManualClock(THURSDAY)
    with leading(place, clock):
        clock.at = THURSDAY + HOUR
        eventually(
            lambda: len(occurrence_rows(place, "clockwork.hourly")) == 1 and all_ended(place),
            "the hour's run has ended",
        )
    before = len(place.service.queries.runs(limit=100))

    clock.at = THURSDAY - HOUR  # an operator sets the clock back ...
    with leading(place, clock):
        clock.at = THURSDAY + HOUR + timedelta(minutes=1)  # ... and forward again
        time.sleep(1.2)

    assert len(place.service.queries.runs(limit=100)) == before
    assert len(occurrence_rows(place, "clockwork.hourly")) == 1


@pytest.mark.parametrize("executor", ["processes"])
def test_a_time_during_the_previous_run_is_skipped_or_queued(place: Installation) -> None:
    both = ("clockwork.hourly", "clockwork.patient")
    counting.put(place.data, {"ben": "lingers"})
    clock = ManualClock(THURSDAY)

    with leading(place, clock):
        clock.at = one = THURSDAY + timedelta(minutes=50)
        eventually(lambda: all(len(windows_of(place, job)) == 1 for job in both), "both jobs have a run")
        blocking = place.service.queries.runs(limit=1, job="clockwork.hourly")[0].id
        clock.at = one + HOUR
        eventually(lambda: all(len(occurrence_rows(place, job)) == 2 for job in both), "the next hour is planned")
        clock.at = one + HOUR + timedelta(minutes=7)
        counting.change(place.data, "ben", "fine")
        eventually(lambda: len(windows_of(place, "clockwork.patient")) == 2, "the run that waited has started")
        eventually(lambda: all_ended(place), "all runs have ended")

    assert occurrence_rows(place, "clockwork.hourly")[1] == ("16 14:00", "16 14:00", 1, "skipped", "overlap")
    with place.store.reading() as db:
        mine = (occurrences.c.job == "clockwork.hourly") & (occurrences.c.state == "skipped")
        assert db.execute(select(occurrences.c.blocked_by).where(mine)).scalar() == blocking
    assert occurrence_rows(place, "clockwork.patient")[1] == ("16 14:00", "16 14:00", 1, "late", None)
    assert len(windows_of(place, "clockwork.hourly")) == 1
    first, second = windows_of(place, "clockwork.patient")
    assert (first[1], second[1]) == (RunState.SUCCEEDED, RunState.SUCCEEDED)
    a, b = reversed(place.service.queries.runs(limit=2, job="clockwork.patient"))
    assert a.ended_at is not None
    assert b.started_at is not None
    assert a.ended_at <= b.started_at, "a job without windows has one run at a time"


def test_with_queue_all_every_time_waits_its_turn_across_a_restart(installing: Installing, tmp_path: Path) -> None:
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=NO_REDIS,
        packs="tests.packs.clockwork",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "processes"},
        config='[jobs."clockwork.hourly"]\noverlap = "queue_all"\ntimeout = 36000\n',
    )
    counting.put(place.data, {"anna": "fine", "ben": "lingers"})
    job, clock, one = "clockwork.hourly", ManualClock(THURSDAY), THURSDAY + timedelta(minutes=50)

    with leading(place, clock):
        for hour in range(3):
            clock.at = one + hour * HOUR
            eventually(lambda: len(occurrence_rows(place, job)) == hour + 1, "the next hour is planned")  # noqa: B023
        eventually(lambda: windows_of(place, job)[0][1] is RunState.RUNNING, "the first run has started")
        assert [state for _, state in windows_of(place, job)[1:]] == [RunState.QUEUED] * 2
    with leading(place, clock):
        clock.at = one + 3 * HOUR
        eventually(lambda: len(occurrence_rows(place, job)) == 4, "an hour after the restart is planned")
        counting.change(place.data, "ben", "fine")
        eventually(lambda: all_ended(place), "all runs have ended")

    assert windows_of(place, job) == [(f"2025-01-16T{13 + n}:00:00Z", RunState.SUCCEEDED) for n in range(4)]
    in_order = list(reversed(place.service.queries.runs(limit=100, job=job)))
    for earlier, later in pairwise(in_order):
        assert earlier.ended_at is not None
        assert later.started_at is not None
        assert earlier.ended_at <= later.started_at


def test_a_conflicting_plan_does_not_affect_other_jobs(place: Installation) -> None:
    with leading(place, ManualClock(THURSDAY)):
        pass
    one = THURSDAY + timedelta(minutes=50)
    with place.store.writing() as db:  # as if another leader had already recorded one o'clock
        row = {"job": "clockwork.hourly", "due_at": one, "last_due_at": one, "instants": 1, "state": "missed"}
        db.execute(occurrences.insert().values(**row, spec="x", token=1, recorded_at=one))

    with leading(place, ManualClock(one)):
        eventually(lambda: len(occurrence_rows(place, "clockwork.patient")) == 1, "the other hourly job is planned")

    assert len(occurrence_rows(place, "clockwork.hourly")) == 1


# --- manual jobs --------------------------------------------------------------------------------------------------


def plan_once(place: Installation, at: datetime, catalog: Catalog | None = None) -> None:
    """Registers and plans the jobs, as a new leader does."""
    with place.store.writing() as db:
        token = lease.take(db, lease.read(db), ME, at)
    assert token is not None
    scheduler = Scheduler(
        place.store,
        catalog or place.catalog,
        token,
        planned=PlannedRuns(lambda: None),
        now=ManualClock(at),
        containment=Containment(ManualClock(at)),
        empty_checks=EmptyChecks(InlineCounter(place.catalog, Resources("sqlite://", NO_REDIS)), now=ManualClock(at)),
    )
    scheduler.start()
    scheduler.stop()


def registration(place: Installation, job: str) -> Registration:
    with place.store.reading() as db:
        return registrations(db)[job]


def test_a_manual_job_is_registered_and_never_fires(database_url: str, installing: Installing) -> None:
    place = installing(
        database_url=database_url,
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.clockwork,tests.packs.manual",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    plan_once(place, THURSDAY)
    plan_once(place, THURSDAY + timedelta(days=5 * 366))

    assert occurrence_rows(place, "manual.tidy") == []
    assert occurrence_rows(place, "clockwork.hourly") != []
    assert registration(place, "manual.tidy").cron is None


def test_a_job_that_becomes_manual_records_the_rest_of_its_schedule(place: Installation) -> None:
    plan_once(place, THURSDAY)
    manual = Catalog((), {"clockwork.hourly": replace(clockwork.hourly, cron=None)}, {})

    plan_once(place, THURSDAY + 2 * HOUR, manual)
    plan_once(place, THURSDAY + 9 * HOUR, manual)

    assert occurrence_rows(place, "clockwork.hourly") == [("16 13:00", "16 14:00", 2, "missed", "not_leading")]
    assert registration(place, "clockwork.hourly").cron is None


def test_a_manual_job_that_gets_a_schedule_fires_from_then_on(place: Installation) -> None:
    manual = Catalog((), {"clockwork.hourly": replace(clockwork.hourly, cron=None)}, {})
    plan_once(place, THURSDAY, manual)

    plan_once(place, THURSDAY + 2 * HOUR)
    plan_once(place, THURSDAY + 3 * HOUR)

    assert occurrence_rows(place, "clockwork.hourly") == [("16 15:00", "16 15:00", 1, "due", None)]
