"""Rows 14, 15, 21, 22 and 23: clocks that jump, days without a leader, schedules that change."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from msgspec.structs import replace
from sqlalchemy import select

from opsconsole.authoring.occurrence import Reason
from opsconsole.authoring.run import RunState
from opsconsole.core import clock
from opsconsole.leader.engine import Engine
from opsconsole.rules.findings import FindingKind, Severity
from opsconsole.service.service import Service
from opsconsole.store import runs
from opsconsole.store.tables import jobs, occurrences
from tests.conftest import Installing
from tests.faults.conftest import Start
from tests.faults.fast_clock import starting_at
from tests.faults.fork_server import ForkServer
from tests.installation import Installation, is_at_work
from tests.leader.test_scheduler import ManualClock
from tests.packs import counting
from tests.schedules import cron_of
from tests.soak import postgresql_in_soak
from tests.waiting import PATIENCE_SECONDS, eventually

HOURLY = "clockwork.hourly"
START = datetime(2025, 1, 16, 12, 10, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SCALE = 30.0
"""A minute takes two seconds."""
DAY_SECONDS = 86_400


def install(
    installing: Installing, url: str, *, packs: str = "tests.packs.clockwork", config: str = ""
) -> Installation:
    return installing(
        database_url=url,
        redis_url="unix:///nowhere/redis.sock",
        packs=packs,
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
        config=config,
    )


@pytest.fixture
def place(database_url: str, installing: Installing) -> Installation:
    made = install(installing, database_url)
    counting.put(made.data, {"anna": "fine"})
    return made


@contextmanager
def leading(place: Installation, at: ManualClock) -> Iterator[Engine]:
    engine = Engine(place.settings, place.store, place.catalog, now=at)
    engine.start()
    eventually(lambda: is_at_work(engine), "it leads")
    eventually(lambda: is_registered(place), "the jobs are registered")
    try:
        yield engine
    finally:
        engine.stop(grace_seconds=1)


def is_registered(place: Installation) -> bool:
    expected = {job.name: job.cron for job in place.catalog}
    with place.store.reading() as db:
        found = dict(db.execute(select(jobs.c.job, jobs.c.cron)).all())
    return {name: found.get(name) for name in expected} == expected


def recorded(place: Installation, job: str = HOURLY) -> list[tuple[datetime, int, str, str | None]]:
    with place.store.reading() as db:
        query = select(occurrences.c.due_at, occurrences.c.instants, occurrences.c.state, occurrences.c.reason).where(
            occurrences.c.job == job
        )
        return [(due, n, state, why) for due, n, state, why in db.execute(query.order_by(occurrences.c.due_at))]


def instants(place: Installation, job: str = HOURLY) -> int:
    return sum(n for _, n, _, _ in recorded(place, job))


def all_ended(place: Installation) -> bool:
    with place.store.reading() as db:
        return runs.unfinished(db) == []


@pytest.mark.parametrize("days", [1, 3650])
def test_row_14_a_clock_set_forward_starts_no_burst(place: Installation, days: int) -> None:
    at = ManualClock(START)
    with leading(place, at):
        at.at = START + timedelta(days=days)
        eventually(lambda: instants(place) == 24 * days, "every hour is accounted for")
        eventually(lambda: all_ended(place), "what is caught up with has ended")
        hourly = len(place.service.queries.runs(limit=99, job=HOURLY))

    assert hourly == 1
    missed, ran = recorded(place)
    assert missed[1:] == (24 * days - 1, "missed", "clock_jump")
    assert ran[1:] == (1, "late", None)
    assert len(place.service.queries.runs(limit=99)) <= 1 + 1 + 2, "one each, two of the job that catches up with two"


def cursor(place: Installation, job: str = HOURLY) -> datetime:
    with place.store.reading() as db:
        found: datetime = db.execute(select(jobs.c.planned_until).where(jobs.c.job == job)).scalar_one()
        return found


@contextmanager
def service_at(place: Installation, at: ManualClock) -> Iterator[Service]:
    service = Service(place.settings, place.store, place.catalog, now=at)
    yield service
    service.close()


def clock_findings(place: Installation, at: ManualClock) -> list[tuple[Severity, tuple[str, ...]]]:
    with service_at(place, at) as service:
        found = service.snapshot().findings
    return [(each.severity, each.jobs) for each in found if each.kind is FindingKind.CLOCK_AHEAD]


@postgresql_in_soak
@pytest.mark.parametrize("restarts", [False, True], ids=["while it leads", "before it leads"])
@pytest.mark.parametrize("days", [pytest.param(1, marks=pytest.mark.soak), 3650])
def test_row_14_a_clock_that_was_ahead_stops_no_schedule_and_repeats_nothing(
    place: Installation, days: int, restarts: bool
) -> None:
    ahead, at = START + timedelta(days=days), ManualClock(START)
    with leading(place, at):
        at.at = ahead
        eventually(lambda: instants(place) == 24 * days, "every hour is accounted for")
        eventually(lambda: all_ended(place), "what is caught up with has ended")
        if not restarts:
            at.at = START + timedelta(seconds=4)
            eventually(lambda: cursor(place) <= at.at, "the schedule is planned from now on")
    at.at = START + timedelta(seconds=4)
    if restarts:
        ((severity, names),) = clock_findings(place, at)
        assert severity is Severity.CRITICAL
        assert HOURLY in names
    ran_ahead = ahead.replace(minute=0)
    hours = [START + n * HOUR + 50 * MINUTE for n in range(3)]
    with leading(place, at):
        eventually(lambda: cursor(place) <= at.at, "the schedule is planned from now on")
        ((severity, names),) = clock_findings(place, at)
        assert severity is Severity.WARNING
        assert HOURLY in names
        for hour in hours:
            at.at = hour
            eventually(lambda: times_run(place)[-2:-1] == [at.at] and all_ended(place), "the hour has run")
        at.at = ran_ahead
        eventually(lambda: cursor(place) == at.at and all_ended(place), "the time that ran has come again")

    ran = times_run(place)
    assert ran[:3] == hours
    assert ran[-1] == ran_ahead
    assert len(ran) == len(set(ran)) <= 5, "no time ran twice, and there was no burst"
    assert len(place.service.queries.runs(limit=99, job=HOURLY)) == len(ran)
    assert instants(place) == 24 * days
    with service_at(place, at) as service:
        answer = service.queries.why(HOURLY, ran_ahead.isoformat()).answers[0]
    assert answer.reason is Reason.CLOCK_SET_BACK
    assert "came twice" in answer.explanation[0]


def times_run(place: Installation, job: str = HOURLY) -> list[datetime]:
    return [due for due, _, state, _ in recorded(place, job) if state in ("ran", "late")]


@postgresql_in_soak
def test_row_14_a_process_whose_clock_is_ahead_for_a_moment_misses_no_minute(
    database_url: str, installing: Installing, start: Start, tmp_path: Path
) -> None:
    place = install(installing, database_url, config=f'[jobs."{HOURLY}"]\ncron = "* * * * *"\n')
    setting = tmp_path / "clock"
    setting.write_text("0")
    shown = replace(starting_at(clock.now(), scale=SCALE), set_by=str(setting))
    process = start(place, "--config", str(place.settings.source), "headless", clock=shown)
    eventually(lambda: len(times_run(place)) >= 1, "a minute has run")
    here = shown.now()

    put(setting, DAY_SECONDS)
    eventually(lambda: times_run(place)[-1] > here + 12 * HOUR, "a minute of tomorrow has run")
    put(setting, 0)
    back = shown.now()
    eventually(lambda: len(since(place, back)) >= 3, "three minutes have run since")
    process.terminate()
    assert process.wait(timeout=PATIENCE_SECONDS) == 143

    first, *rest = since(place, back)
    assert first - back < 5 * MINUTE, "one of the next minutes, not the next day"
    assert rest == [first + n * MINUTE for n in range(1, len(rest) + 1)], "each of them"
    assert b"the clock was ahead, or is behind" in start.log.read_bytes()


def put(setting: Path, seconds: float) -> None:
    """Sets the clock, without a moment in which the file is empty."""
    following = setting.with_name("next")
    following.write_text(str(seconds))
    following.replace(setting)


def since(place: Installation, at: datetime) -> list[datetime]:
    """The times that ran in the hours after a moment."""
    return [due for due in times_run(place) if at < due < at + 12 * HOUR]


@pytest.mark.parametrize("back", [HOUR, 2 * MINUTE])
def test_row_15_a_clock_set_back_repeats_nothing_and_delays_nothing(place: Installation, back: timedelta) -> None:
    at = ManualClock(START + 50 * MINUTE - timedelta(seconds=1))
    with leading(place, at):
        at.at = START + 50 * MINUTE
        eventually(lambda: instants(place) == 1 and all_ended(place), "one o'clock has run")
        at.at -= back
        time.sleep(1.5)
        assert instants(place) == 1
        at.at = START + 110 * MINUTE
        eventually(lambda: instants(place) == 2, "two o'clock is planned")
        eventually(lambda: all_ended(place), "it has run")

    assert [n for _, n, _, _ in recorded(place)] == [1, 1]
    assert len(place.service.queries.runs(limit=9, job=HOURLY)) == 2


def test_row_22_what_an_edited_schedule_still_owed_is_accounted_for(
    place: Installation, database_url: str, installing: Installing
) -> None:
    with leading(place, ManualClock(START)):
        pass
    edited = install(installing, database_url, config=f'[jobs."{HOURLY}"]\ncron = "*/20 * * * *"\n')
    at = ManualClock(START + 5 * HOUR)
    with leading(edited, at):
        time.sleep(1.2)
        assert recorded(edited) == [(START + 50 * MINUTE, 5, "missed", "not_leading")], "it does not fire at once"
        at.at = START + 5 * HOUR + 10 * MINUTE
        eventually(lambda: instants(edited) == 6 and all_ended(edited), "the new schedule fires")

    assert recorded(edited)[-1] == (START + 5 * HOUR + 10 * MINUTE, 1, "ran", None)
    with edited.store.reading() as db:
        specs = db.execute(select(occurrences.c.spec).where(occurrences.c.job == HOURLY).order_by(occurrences.c.id))
        assert [spec == edited.catalog.find(HOURLY).spec for (spec,) in specs] == [False, True]


def test_row_22_a_removed_job_owes_nothing_when_it_comes_back(
    place: Installation, database_url: str, installing: Installing
) -> None:
    with leading(place, ManualClock(START)):
        pass
    without = install(installing, database_url, packs="tests.packs.counting")
    with leading(without, ManualClock(START + 5 * HOUR)):
        eventually(lambda: instants(place) == 5, "what it owed is accounted for")
    with leading(place, ManualClock(START + 50 * HOUR)):
        time.sleep(1.2)

    assert recorded(place) == [(START + 50 * MINUTE, 5, "missed", "job_removed")]


def test_row_23_starting_exactly_at_a_scheduled_time_runs_it_once(place: Installation) -> None:
    with leading(place, ManualClock(START)):
        pass
    at = ManualClock(START + 50 * MINUTE)
    for _ in range(2):
        with leading(place, at):
            eventually(lambda: instants(place) == 1 and all_ended(place), "one o'clock has run")

    assert [(n, state) for _, n, state, _ in recorded(place)] == [(1, "ran")]
    assert len(place.service.queries.runs(limit=9, job=HOURLY)) == 1


def test_row_21_after_three_days_without_a_leader_every_scheduled_time_has_a_row(
    fork_server: ForkServer, place: Installation, start: Start, tmp_path: Path
) -> None:
    began = clock.now()
    first = start(place, "headless")
    eventually(lambda: is_registered(place), "the jobs are registered")
    first.terminate()
    assert first.wait(timeout=PATIENCE_SECONDS) == 143
    # Away from the full hour, so that nothing comes due while it is looked at.
    ahead = timedelta(days=3) + (timedelta(minutes=30) - timedelta(minutes=(began.minute + 5) % 60))
    second = start(place, "headless", ahead=ahead.total_seconds())
    eventually(lambda: len(place.service.queries.runs(limit=9, job="clockwork.nightly")) == 2, "it catches up")
    eventually(lambda: all_ended(place), "and has caught up")
    with place.store.reading() as db:
        registered = dict(db.execute(select(jobs.c.job, jobs.c.registered_at)).all())
    until = clock.now() + ahead

    def counted(job: str) -> int:
        environ = os.environ | place.environ
        words = ["occurrences", "--job", job, "--json", "--since", registered[job].isoformat()]
        result = fork_server.run(words, environ, folder=tmp_path)
        assert result.returncode == 0, result.stderr
        return sum(each["count"] for each in json.loads(result.stdout)["totals"])

    for name in (HOURLY, "clockwork.nightly", "clockwork.forgetful"):
        job = place.catalog.find(name)
        expected = 0
        for instant in CronSim(cron_of(job).text, registered[name].astimezone(ZoneInfo(job.tz))):
            if instant > until:
                break
            expected += 1
        assert counted(name) == expected, name
    nightly = place.service.queries.runs(limit=9, job="clockwork.nightly")
    assert [run.state for run in nightly] == [RunState.SUCCEEDED] * 2
    assert nightly[1].as_of < nightly[0].as_of
    assert nightly[1].ended_at is not None
    assert nightly[0].started_at is not None
    assert nightly[1].ended_at <= nightly[0].started_at, "in order, one after the other"
    assert len(place.service.queries.runs(limit=9, job=HOURLY)) == 1, "no burst"
    assert place.service.queries.runs(limit=9, job="clockwork.forgetful") == []
    second.terminate()
    assert second.wait(timeout=PATIENCE_SECONDS) == 143
