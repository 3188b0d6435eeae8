"""Row 2: kill -9 at every boundary between two durable steps, and the end is the same as without it."""

from __future__ import annotations

import signal
import time
from datetime import UTC, date, timedelta
from pathlib import Path

import pytest
import redis
from sqlalchemy import select

from opsconsole.authoring.run import Run, RunState
from opsconsole.core import clock
from opsconsole.core.failpoints import Point
from opsconsole.leader.event_relay import STREAM
from opsconsole.rules.alerts import Alert, AlertEvent, target_of
from opsconsole.rules.backfill import StepState
from opsconsole.rules.backfill_status import BackfillState
from opsconsole.rules.findings import FindingKind
from opsconsole.rules.notifications import DeliveryState
from opsconsole.store import alerts, audit, notifications, runs
from opsconsole.store.tables import commands, occurrences
from tests.conftest import Installing
from tests.event_records import unpublished
from tests.faults.conftest import Start
from tests.faults.test_signals import NOTICES_SECONDS
from tests.installation import Installation, is_at_work
from tests.packs import counting
from tests.packs.notes import notes
from tests.receivers import http_receiver, mail_receiver
from tests.waiting import PATIENCE_SECONDS, eventually

DAY = "2025-01-19"
PEOPLE = {f"item{i:02}": "fine" for i in range(25)}

BY_A_RUN = {  # with which passing of the point, by which executor
    Point.LEASE_TAKEN: (1, "inline"),
    Point.COMMAND_WRITTEN: (1, "inline"),
    Point.COMMAND_SETTLED: (1, "inline"),
    Point.RUN_STARTED: (1, "inline"),
    Point.PAGE_PLANNED: (1, "inline"),
    Point.BATCH_SENT: (2, "processes"),
    Point.EFFECT_WRITTEN: (4, "inline"),  # each batch writes twice: that it was tried, and its marks
    Point.EFFECT_COMMITTED: (4, "inline"),
    Point.RESULT_READY: (3, "processes"),
    Point.RESULT_RECEIVED: (2, "processes"),
    Point.RESULT_WRITTEN: (2, "processes"),
    Point.RESULT_RECORDED: (2, "inline"),
    Point.END_WRITTEN: (1, "inline"),
    Point.RUN_ENDED: (1, "inline"),
}
BY_AN_INSTANT = (Point.PLAN_WRITTEN, Point.PLAN_COMMITTED)
BY_ENDING = (Point.RUNS_INTERRUPTED, Point.LEASE_RELEASED)
BY_REQUESTING = (Point.COMMAND_REQUESTED,)
BY_EMITTING = (Point.EVENTS_PUBLISHED,)
BY_BACKFILLING = (Point.BACKFILL_WRITTEN, Point.BACKFILL_ADVANCED)
BY_FAILING = (Point.ALERTS_WRITTEN, Point.ALERTS_COMMITTED)
BY_NOTIFYING = (Point.NOTIFICATION_CLAIMED, Point.NOTIFICATION_SENT)
IN_A_WORKER = (Point.RESULT_READY,)
"""At these points the worker dies, and its leader continues."""


@pytest.fixture
def place(tmp_path: Path, installing: Installing) -> Installation:
    made = installing(
        database_url=f"sqlite:///{tmp_path / 'shared.db'}",
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.counting,tests.packs.clockwork",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    counting.put(made.data, PEOPLE)
    return made


def newest(place: Installation) -> Run | None:
    found = place.service.queries.runs(limit=1)
    return found[0] if found else None


def as_if_nothing_had_happened(place: Installation, ended: Run, job: str = "counting.count") -> None:
    """What must hold after every fault."""
    assert ended.state is RunState.SUCCEEDED
    counts = ended.counts
    assert (counts.planned, counts.ok, counts.failed, counts.skipped, counts.not_reached) == (25, 25, 0, 0, 0)
    assert ended.planning_done
    assert counting.marks(place.data, job) == {(ended.window.label, item): 1 for item in PEOPLE}
    with place.store.reading() as db:
        assert runs.unfinished(db) == []
        checked = audit.verify(db)
        requested = db.execute(select(commands.c.id, commands.c.state)).all()
        of_commands = sum(entry.command is not None for entry in audit.newest(db, limit=checked.rows + 1))
    assert checked.broken is None
    assert of_commands == 2 * len(requested), "one row for the request, one for the outcome"
    assert {state for _, state in requested} <= {"done"}


def test_every_boundary_has_a_test() -> None:
    by_other_means = (*BY_AN_INSTANT, *BY_ENDING, *BY_REQUESTING, *BY_EMITTING, *BY_BACKFILLING, *BY_FAILING)
    assert {*BY_A_RUN, *by_other_means, *BY_NOTIFYING} == set(Point)


@pytest.mark.parametrize("point", BY_A_RUN)
def test_row_2_killed_during_a_run(point: Point, place: Installation, start: Start) -> None:
    number, executor = BY_A_RUN[point]
    command = place.service.commands.trigger("counting.count", DAY)

    leader = start(place, "headless", point=f"{point}:{number}:kill", executor=executor)
    if point not in IN_A_WORKER:
        assert leader.wait(timeout=PATIENCE_SECONDS) == -signal.SIGKILL
    else:
        eventually(lambda: (found := newest(place)) is not None and found.ended_at is not None, "it has ended")
        leader.terminate()
        leader.wait(timeout=PATIENCE_SECONDS)

    with place.leading():
        outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)
        assert outcome is not None
        assert outcome.run is not None
        ended = place.service.commands.wait_for_run(outcome.run, PATIENCE_SECONDS)
    assert ended is not None
    as_if_nothing_had_happened(place, ended)
    assert len(place.service.queries.runs(limit=9)) == 1


@pytest.mark.parametrize("point", BY_AN_INSTANT)
def test_row_2_killed_while_a_scheduled_time_is_planned(point: Point, place: Installation, start: Start) -> None:
    with place.leading() as engine:
        eventually(lambda: is_at_work(engine), "the jobs are registered")
    at = clock.now()
    hour = at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    ahead = (hour - at).total_seconds() + 0.5

    leader = start(place, "headless", point=f"{point}:1:kill", ahead=ahead)
    assert leader.wait(timeout=PATIENCE_SECONDS) == -signal.SIGKILL
    start(place, "headless", ahead=ahead)
    eventually(lambda: ended_run(place) is not None, "the next leader runs it")

    ended = ended_run(place)
    assert ended is not None
    as_if_nothing_had_happened(place, ended, "clockwork.hourly")
    with place.store.reading() as db:
        mine = occurrences.c.job == "clockwork.hourly"
        found = [
            (due.astimezone(UTC), n, state)
            for due, n, state in db.execute(
                select(occurrences.c.due_at, occurrences.c.instants, occurrences.c.state).where(mine)
            )
        ]
    assert found == [(hour, 1, "ran")]


def ended_run(place: Installation) -> Run | None:
    found = place.service.queries.runs(limit=5, job="clockwork.hourly")
    everything = place.service.queries.runs(limit=50)
    return found[0] if len(found) == 1 and all(run.ended_at for run in everything) else None


@pytest.mark.parametrize("point", BY_ENDING)
def test_row_2_killed_while_it_ends(point: Point, place: Installation, start: Start) -> None:
    counting.put(place.data, {"item03a": "lingers"})
    command = place.service.commands.trigger("counting.count", DAY)
    leader = start(place, "headless", point=f"{point}:1:kill")
    eventually(lambda: len(counting.tried(place.data)) >= 1, "the first batch is under way")

    leader.terminate()
    time.sleep(NOTICES_SECONDS)
    counting.change(place.data, "item03a", "fine")
    assert leader.wait(timeout=PATIENCE_SECONDS) == -signal.SIGKILL
    with place.leading() as engine:
        eventually(lambda: is_at_work(engine), "the next one leads")
        outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)
        assert outcome is not None
        assert outcome.run is not None
        ended = place.service.commands.wait_for_run(outcome.run, PATIENCE_SECONDS)

    assert ended is not None
    assert (ended.state, ended.counts.ok, ended.attempt, ended.recoveries) == (RunState.SUCCEEDED, 26, 2, 0)
    assert len(counting.marks(place.data)) == 26


@pytest.mark.parametrize("point", BY_REQUESTING)
def test_row_2_killed_after_a_request(point: Point, place: Installation, start: Start) -> None:
    requesting = start(place, "run", "counting.count", "--date", DAY, point=f"{point}:1:kill")

    assert requesting.wait(timeout=PATIENCE_SECONDS) == -signal.SIGKILL
    with place.leading():
        eventually(lambda: (found := newest(place)) is not None and found.ended_at is not None, "it is executed")
    found = newest(place)
    assert found is not None
    as_if_nothing_had_happened(place, found)


@pytest.mark.parametrize("point", BY_EMITTING)
def test_row_2_killed_while_events_are_published(
    point: Point, tmp_path: Path, installing: Installing, redis_url: str, start: Start
) -> None:
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'notes.db'}", redis_url=redis_url, packs="tests.packs.notes"
    )
    with place.data.writing() as db:
        db.execute(notes.insert(), [{"id": f"n{i}", "text": "good"} for i in range(3)])
    place.service.commands.trigger("notes.copy", DAY)

    leader = start(place, "headless", point=f"{point}:1:kill")
    assert leader.wait(timeout=PATIENCE_SECONDS) == -signal.SIGKILL
    with place.leading():
        eventually(lambda: unpublished(place.data) == 0, "the next leader publishes what is not marked")

    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        keys = [fields["key"] for _, fields in client.xrange(STREAM)]
    assert keys == [f"n{i}:good" for i in range(3)] * 2, "at least once, in order"


@pytest.mark.parametrize(
    ("point", "passing"),  # as the first window begins, the second, and when all are done
    [
        (Point.BACKFILL_WRITTEN, 1),
        (Point.BACKFILL_WRITTEN, 2),
        (Point.BACKFILL_WRITTEN, 3),
        (Point.BACKFILL_ADVANCED, 2),
    ],
)
def test_row_2_killed_while_a_backfill_moves_on(point: Point, passing: int, place: Installation, start: Start) -> None:
    number = place.service.backfills.plan(["counting.count"], date(2025, 1, 18), date(2025, 1, 19))
    command = place.service.backfills.apply(number)

    leader = start(place, "headless", point=f"{point}:{passing}:kill")
    assert leader.wait(timeout=PATIENCE_SECONDS) == -signal.SIGKILL
    with place.leading():
        ended = place.service.backfills.wait_for(number, PATIENCE_SECONDS)

    assert ended is not None
    assert (ended.state, ended.counts) == (BackfillState.DONE, {StepState.DONE: 2})
    made = place.service.queries.runs(limit=9)
    assert [(run.window.label, run.state, run.command) for run in reversed(made)] == [
        ("2025-01-18", RunState.SUCCEEDED, command),
        (DAY, RunState.SUCCEEDED, command),
    ]
    assert counting.marks(place.data) == {(day, item): 1 for day in ("2025-01-18", DAY) for item in PEOPLE}
    with place.store.reading() as db:
        assert runs.unfinished(db) == []
        assert audit.verify(db).broken is None


@pytest.mark.parametrize("point", [Point.RUN_ENDED, *BY_FAILING])
def test_row_54_killed_between_a_failure_its_alert_and_its_notification(
    point: Point, tmp_path: Path, installing: Installing, redis_url: str, start: Start
) -> None:
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'shared.db'}",
        redis_url=redis_url,
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline", "OPSCONSOLE_NOTIFY__TEAM__URL": "json://127.0.0.1:9/"},
    )
    counting.put(place.data, {"anna": "raises", "ben": "fine"})
    place.service.commands.trigger("counting.count")

    leader = start(place, "headless", point=f"{point}:1:kill")
    assert leader.wait(timeout=PATIENCE_SECONDS) == -signal.SIGKILL
    with place.leading():
        eventually(lambda: bool(failed_runs(place)), "the alert is raised")

    (alert,) = failed_runs(place)
    with place.store.reading() as db:
        written = notifications.of_alert(db, alert.id, limit=10)
        entries = [entry for entry in audit.newest(db, limit=50) if entry.target == target_of(alert)]
        assert audit.verify(db).broken is None
    assert [(each.event, each.channel) for each in written] == [(AlertEvent.FIRED, "team")]
    assert [entry.outcome for entry in entries] == ["fired"]


def failed_runs(place: Installation) -> list[Alert]:
    with place.store.reading() as db:
        return [alert for alert in alerts.newest(db, limit=50) if alert.rule is FindingKind.FAILED_RUN]


@pytest.mark.parametrize("point", BY_NOTIFYING)
def test_row_54_killed_while_notifications_are_sent(
    point: Point, tmp_path: Path, installing: Installing, redis_url: str, start: Start
) -> None:
    with http_receiver() as web, mail_receiver() as mail:
        place = installing(
            database_url=f"sqlite:///{tmp_path / 'shared.db'}",
            redis_url=redis_url,
            packs="tests.packs.counting",
            environ={
                "OPSCONSOLE_ENGINE__EXECUTOR": "inline",
                "OPSCONSOLE_NOTIFY__WEB__URL": web.channel_url,
                "OPSCONSOLE_NOTIFY__MAIL__URL": mail.channel_url,
            },
        )
        counting.put(place.data, {"anna": "raises", "ben": "fine"})
        place.service.commands.trigger("counting.count")

        leader = start(place, "headless", point=f"{point}:1:kill")
        assert leader.wait(timeout=PATIENCE_SECONDS) == -signal.SIGKILL
        start(place, "headless", ahead=60)  # past the wait after the first attempt
        eventually(lambda: is_delivered(place), "the next leader delivers")

    with place.store.reading() as db:
        uids = {each.channel: each.uid for each in notifications.of_alert(db, failed_runs(place)[0].id, limit=10)}
    mailed = [str(mail.get_body(("plain",))) for mail in mail.mails]
    assert uids["web"] in web.ids
    assert any(f"id: {uids['mail']}" in text for text in mailed)


def is_delivered(place: Installation) -> bool:
    with place.store.reading() as db:
        sent = [each for alert in failed_runs(place) for each in notifications.of_alert(db, alert.id, limit=10)]
    return {each.channel for each in sent if each.state is DeliveryState.SENT} == {"web", "mail"}
