"""What a clock wrote that was ahead, after it was set back: nothing waits until that time comes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from opsconsole import DAY, Job
from opsconsole.authoring.run import RunState, Stop, Trigger
from opsconsole.calendar.windows import Window
from opsconsole.core.settings import Actor
from opsconsole.leader.live_run import LiveRun
from opsconsole.rules.actions import Verb
from opsconsole.rules.alerts import Acknowledgement, AlertEvent, acknowledgement_of
from opsconsole.rules.backfill import WindowState
from opsconsole.rules.findings import FindingKind, Severity
from opsconsole.store import (
    Store,
    alerts,
    commands,
    migrate,
    notifications,
    pauses,
    presence,
    runs,
    silences,
    windows,
)
from opsconsole.store.batches import Row
from opsconsole.store.presence import Attached
from tests import run_records
from tests.packs import counting

NOW = datetime(2025, 1, 19, 12, 0, tzinfo=UTC)
AHEAD = NOW + timedelta(days=1)
MINUTE = timedelta(minutes=1)
ANNA = Actor("anna", "here")
JOB = Job("books.close", counting.names, counting.do_nothing, cron="0 * * * *", covers=DAY)
TODAY = Window(NOW.replace(hour=0), AHEAD.replace(hour=0), "2025-01-19")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    migrate.upgrade(made)
    yield made
    made.close()


def new_run(store: Store, at: datetime) -> int:
    with store.writing() as db:
        return runs.create(db, JOB, TODAY, as_of=at, trigger=Trigger.SCHEDULE, requested_by="schedule", at=at)


# --- runs ---------------------------------------------------------------------------------------------------------


def test_an_open_run_waits_and_lasts_from_now_on(store: Store) -> None:
    queued, running = new_run(store, AHEAD), new_run(store, AHEAD)
    with store.writing() as db:
        run_records.start(db, runs.get(db, running), token=1, host="here", version="1", at=AHEAD)
        runs.set_back(db, NOW)
        assert runs.get(db, queued).created_at == NOW
        assert runs.get(db, running).started_at == NOW


def test_an_ended_run_keeps_its_stamps(store: Store) -> None:
    number = new_run(store, AHEAD)
    with store.writing() as db:
        run_records.start(db, runs.get(db, number), token=1, host="here", version="1", at=AHEAD)
        run_records.end(db, number, token=1, state=RunState.SUCCEEDED, at=AHEAD)
        before = runs.get(db, number)
        runs.set_back(db, NOW)
        assert runs.get(db, number) == before


def live_run(store: Store, started_at: datetime) -> LiveRun:
    number = new_run(store, started_at)
    with store.writing() as db:
        run = run_records.start(db, runs.get(db, number), token=1, host="here", version="1", at=started_at)
        run_records.add_batches(db, number, [Row(1, ["anna"], 2, 0, started_at + MINUTE)])
    return LiveRun(run, JOB, last_seq=1, waiting=1, at=NOW)


def test_a_retry_waits_no_longer_than_its_longest_delay(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    steady = [0.0]
    monkeypatch.setattr("opsconsole.leader.batch_queue.steady", lambda: steady[0])
    live = live_run(store, AHEAD)
    with store.reading() as db:
        live.load(db, NOW)

    assert live.next_batch() is None
    steady[0] += JOB.retry.longest.total_seconds()
    assert live.next_batch() is not None


def test_a_run_with_a_batch_in_flight_is_ended_after_the_grace_of_its_cancellation(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = [0.0]
    monkeypatch.setattr("opsconsole.leader.live_run.steady", lambda: steady[0])
    live = live_run(store, NOW - 2 * MINUTE)
    with store.reading() as db:
        live.load(db, NOW)
    assert live.next_batch() is not None
    live.request_stop(Stop("anna", AHEAD, AHEAD + MINUTE), NOW)

    live.check_limits(0.0)
    assert live.ending is None
    steady[0] += 60
    live.check_limits(0.0)
    assert live.ending is not None


# --- pauses -------------------------------------------------------------------------------------------------------


def command(store: Store, verb: Verb, at: datetime) -> None:
    with store.writing() as db:
        number = commands.request(db, verb, "books", {}, ANNA, at)
        commands.finish(db, commands.get(db, number), {}, at)


def in_force(store: Store, at: datetime) -> list[tuple[datetime, datetime | None]]:
    with store.writing() as db:
        pauses.set_back(db, NOW)
        return [(pause.since, pause.until) for pause in pauses.in_force(db, at)]


@pytest.mark.parametrize("lasts", [None, timedelta(hours=2)])
def test_a_pause_of_a_clock_that_was_ahead_is_in_force_and_lasts_as_long(store: Store, lasts: timedelta | None) -> None:
    with store.writing() as db:
        pauses.add(db, "books", since=AHEAD, until=AHEAD + lasts if lasts else None, who="anna", note="")

    assert in_force(store, NOW) == [(NOW, NOW + lasts if lasts else None)]


def test_a_pause_that_was_ended_by_a_clock_that_was_ahead_has_ended(store: Store) -> None:
    with store.writing() as db:
        pauses.add(db, "books", since=NOW - MINUTE, until=None, who="anna", note="")
        pauses.end(db, "books", AHEAD)
    command(store, Verb.RESUME, AHEAD)

    assert in_force(store, NOW) == []


def test_a_pause_until_tomorrow_stays(store: Store) -> None:
    with store.writing() as db:
        pauses.add(db, "books", since=NOW - MINUTE, until=AHEAD, who="anna", note="")
    command(store, Verb.PAUSE, NOW - MINUTE)

    assert in_force(store, NOW) == [(NOW - MINUTE, AHEAD)]


# --- windows and presence -----------------------------------------------------------------------------------------


def test_a_window_that_was_checked_ahead_is_checked_again(store: Store) -> None:
    number = new_run(store, NOW)
    with store.writing() as db:
        run_records.end_window(db, runs.get(db, number), WindowState.FRESH)
        windows.record_check(db, JOB.name, TODAY, 0, AHEAD)
        assert windows.next_to_check(db, [JOB.name], NOW) is None
        windows.set_back(db, NOW)
        assert windows.next_to_check(db, [JOB.name], NOW) == (JOB.name, TODAY.label)


@pytest.mark.parametrize(("as_of", "complete"), [(AHEAD, False), (NOW, True)])
def test_a_window_is_not_complete_before_it_has_ended(store: Store, as_of: datetime, complete: bool) -> None:
    number = new_run(store, as_of)
    with store.writing() as db:
        run_records.end_window(db, runs.get(db, number), WindowState.FRESH)
        windows.set_back(db, NOW)
        assert windows.records(db, JOB.name, TODAY.start, TODAY.end)[TODAY.label].complete is complete


def test_a_process_that_ended_while_the_clock_was_ahead_is_not_shown(store: Store) -> None:
    with store.writing() as db:
        for owner, at in (("gone", AHEAD), ("here", NOW)):
            presence.announce(db, Attached(owner, "anna", "here", "web1", 1, "console", "", at, at))
        assert [each.owner for each in presence.attached(db, NOW)] == ["here"]


# --- alerts -------------------------------------------------------------------------------------------------------


def test_alerts_silences_and_notifications_count_from_now_on(store: Store) -> None:
    values = {"severity": Severity.WARNING, "since": AHEAD, "opened_at": AHEAD, "message": "failed", "evidence": {}}
    with store.writing() as db:
        number = alerts.add(db, (FindingKind.FAILED_RUN, JOB.name), {**values, "worse_at": AHEAD})
        over = alerts.add(db, (FindingKind.LATE, JOB.name), {**values, "resolved_at": AHEAD})
        alerts.acknowledge(db, number, Acknowledgement("anna", AHEAD, AHEAD + MINUTE, ""))
        silences.add(db, JOB.name, since=AHEAD, until=AHEAD + MINUTE, who="anna", note="")
        silences.add(db, "books", since=NOW, until=AHEAD, who="anna", note="")
        notifications.add(
            db,
            alert=number,
            event=AlertEvent.FIRED,
            channel="team",
            severity=Severity.WARNING,
            title="",
            body="",
            at=AHEAD,
        )
        due = notifications.next_due(db, "team", AHEAD)
        assert due is not None
        assert notifications.claim(db, due, AHEAD + MINUTE)

        for each in (alerts, silences, notifications):
            each.set_back(db, NOW)

        found = alerts.get(db, number)
        assert (found.since, found.opened_at, found.worse_at) == (NOW, NOW, NOW)
        assert found.acknowledged == Acknowledgement("anna", NOW, NOW + MINUTE, "")
        assert acknowledgement_of(found, NOW) is not None
        assert alerts.get(db, over).resolved_at == NOW
        assert [(each.target, each.until) for each in silences.in_force(db, NOW)] == [
            (JOB.name, NOW + MINUTE),
            ("books", AHEAD),
        ]
        assert notifications.next_due(db, "team", NOW) is not None
        assert notifications.latest(db, [number])[number]["team"].at == NOW
