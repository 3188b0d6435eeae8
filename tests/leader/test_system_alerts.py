"""What is wrong with the leader, its workers, its clock and its parts, and what checks of packs find, are alerts while
that lasts.
"""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from opsconsole.authoring import outbox
from opsconsole.authoring.outbox import Event
from opsconsole.authoring.run import TERMINAL
from opsconsole.core.problems import Work
from opsconsole.embedded.redis import EmbeddedRedis
from opsconsole.extensions import Condition, Severity
from opsconsole.leader import notifications, pack_checks
from opsconsole.rules.findings import CLOCK, LEADER, FindingKind as K
from opsconsole.rules.notifications import UNDELIVERED_AFTER
from opsconsole.rules.system_health import (
    JUMP_SHOWN,
    JUMP_TOLERANCE,
    LOSSES_COUNTED,
    NOT_LEADING_AFTER,
    TAKEOVER_SHOWN,
    WORKERS,
)
from opsconsole.service import health
from tests import templates
from tests.conftest import Installing
from tests.faults.fork_server import ForkServer
from tests.installation import Installation
from tests.leader.alert_rows import NOON, Watched
from tests.leader.test_scheduler import is_registered
from tests.packs import checks, counting
from tests.receivers import http_receiver
from tests.services import free_port
from tests.waiting import PATIENCE_SECONDS, eventually

INLINE = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return templates.copy_sqlite(tmp_path / "database.db")


# --- leaders and workers ------------------------------------------------------------------------------------------


def test_a_killed_leader_is_an_alert_of_the_next_one(
    installing: Installing, sqlite_url: str, redis_url: str, fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = installing(database_url=sqlite_url, redis_url=redis_url, packs="tests.packs.counting", environ=INLINE)
    watched = Watched(place, monkeypatch)
    killed = leader_that_ends(place, fork_server, signal.SIGKILL)
    with watched.leading():
        lost = watched.fires(K.LEADER_LOST, LEADER)
        watched.clocks.let_pass(TAKEOVER_SHOWN)
        resolved = watched.resolves(K.LEADER_LOST, LEADER)
    leader_that_ends(place, fork_server, signal.SIGTERM)
    with watched.leading() as engine:
        watched.looks(engine)

    assert (lost.severity, lost.since) == (Severity.WARNING, NOON)
    assert lost.evidence["reason"].startswith(f"process {killed} on ")
    assert resolved.resolved_at == NOON + TAKEOVER_SHOWN
    assert watched.rows == [(K.LEADER_LOST, LEADER)], "one that was stopped is not lost"


def leader_that_ends(place: Installation, fork_server: ForkServer, how: signal.Signals) -> int:
    """Lets another process lead, and ends it; its number."""
    process = fork_server.start(
        ["headless"], {"PATH": "", **place.environ, "XDG_DATA_HOME": str(place.settings.folder)}
    )
    eventually(lambda: leader_of(place) == process.pid, "it is leading")
    process.send_signal(how)
    process.wait()
    return process.pid


def leader_of(place: Installation) -> int | None:
    leader = place.service.snapshot().leader
    return None if leader is None else leader.pid


def test_a_job_that_kills_its_workers_is_an_alert_but_not_one_that_fails_or_is_cancelled(
    installing: Installing, sqlite_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = installing(
        database_url=sqlite_url,
        redis_url=redis_url,
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "processes", "OPSCONSOLE_ENGINE__WORKERS": "1"},
    )
    watched = Watched(place, monkeypatch)
    counting.put(place.data, {"anna": "raises"})
    with watched.leading() as engine:
        place.run("counting.count", "2026-03-01")
        counting.change(place.data, "anna", "hangs")
        cancelled = place.begin("counting.count", "2026-03-02")
        eventually(lambda: len(counting.tried(place.data)) == 2, "it is being processed")
        place.service.commands.cancel(cancelled, force=True)
        eventually(lambda: place.service.queries.run(cancelled).state in TERMINAL, "it is cancelled")
        watched.looks(engine)
        assert (K.WORKER_LOST, WORKERS) not in watched.rows, "an operator has ended its worker"

        counting.change(place.data, "anna", "dies")
        place.run("counting.count", "2026-03-03")
        lost = watched.fires(K.WORKER_LOST, WORKERS)
        watched.clocks.let_pass(LOSSES_COUNTED)
        watched.resolves(K.WORKER_LOST, WORKERS)

    assert lost.severity is Severity.WARNING
    assert set(lost.evidence["numbers"]) == {"worker_died"}
    assert watched.rows.count((K.WORKER_LOST, WORKERS)) == 1


def test_nobody_leads_is_what_an_observer_finds_until_somebody_does(
    installing: Installing, sqlite_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = installing(database_url=sqlite_url, redis_url=redis_url, packs="tests.packs.clockwork", environ=INLINE)
    by_hand = installing(database_url=sqlite_url, redis_url=redis_url, packs="tests.packs.manual", environ=INLINE)
    watched = Watched(place, monkeypatch)

    def observed(what: Installation = place) -> bool:
        settings = what.settings
        role, seconds = settings.actor.role, settings.engine.lease_seconds
        report = health.report(place.store, what.catalog, watched.clocks.wall, role=role, lease_seconds=seconds)
        return (K.NOT_LEADING, LEADER) in {(item.rule, item.subject) for item in report.items}

    assert observed(), "nobody has ever led"
    with watched.leading() as engine:
        watched.looks(engine)
        assert not observed()
    watched.clocks.let_pass(NOT_LEADING_AFTER)
    assert not observed(), "a restart may take this long"
    watched.clocks.let_pass(SECOND)
    assert observed()
    assert not observed(by_hand), "without a schedule nobody needs to lead"
    with watched.leading() as engine:
        watched.looks(engine)
        assert not observed()
    assert (K.LEADER_LOST, LEADER) not in watched.rows


# --- clocks -------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_is_an_alert_but_not_one_that_a_machine_slept_through(
    installing: Installing, sqlite_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = installing(database_url=sqlite_url, redis_url=redis_url, packs="tests.packs.clockwork", environ=INLINE)
    counting.put(place.data, {"anna": "fine"})
    watched = Watched(place, monkeypatch)
    watched.clocks.wall += 10 * MINUTE
    with watched.leading() as engine:
        eventually(lambda: is_registered(place), "the schedules begin")
        watched.looks(engine)
        watched.clocks.let_pass(2 * HOUR)
        eventually(lambda: bool(place.service.queries.runs(limit=1, job="clockwork.hourly")), "it runs at 14:00")
        watched.clocks.set_by(JUMP_TOLERANCE)
        watched.looks(engine)
        watched.clocks.set_by(-JUMP_TOLERANCE)
        watched.looks(engine)
        assert not clock_alerts(watched)

        watched.clocks.set_by(-2 * HOUR)
        jump, ahead = watched.fires(K.CLOCK_JUMP, CLOCK), watched.fires(K.CLOCK_AHEAD, CLOCK)
        watched.clocks.let_pass(JUMP_SHOWN)
        watched.resolves(K.CLOCK_JUMP, CLOCK)
        assert watched.is_open(K.CLOCK_AHEAD, CLOCK), "until the time of what has run"
        watched.clocks.let_pass(2 * HOUR)
        watched.resolves(K.CLOCK_AHEAD, CLOCK)

    assert jump.evidence["numbers"]["seconds"] == -7200
    assert set(ahead.evidence["jobs"]) >= {"clockwork.hourly"}
    assert clock_alerts(watched) == {K.CLOCK_JUMP, K.CLOCK_AHEAD}


def clock_alerts(watched: Watched) -> set[K]:
    return {rule for rule, subject in watched.rows if subject == CLOCK}


# --- parts of the leader ------------------------------------------------------------------------------------------


def test_what_is_set_aside_is_an_alert_until_it_is_processed(
    installing: Installing, sqlite_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = installing(database_url=sqlite_url, redis_url=redis_url, packs="tests.packs.counting", environ=INLINE)
    watched = Watched(place, monkeypatch)
    append(place, "good")
    with watched.leading() as engine:
        eventually(lambda: waiting(place) == 0, "it is published")
        watched.looks(engine, Work.EVENT_RELAY)
        assert watched.rows == []

        append(place, "poison", payload="{oops")
        subject = "event 2 (Noted poison)"
        aside = watched.fires(K.SET_ASIDE, subject)
        append(place, "later")
        eventually(lambda: waiting(place) == 1, "the next one is published")
        with place.data.writing() as db:
            db.execute(text("UPDATE events SET payload = '{}'"))
        command = place.service.commands.replay_events(NOON)
        assert place.service.commands.outcome(command, PATIENCE_SECONDS) is not None
        watched.resolves(K.SET_ASIDE, subject)

    assert aside.severity is Severity.WARNING
    assert watched.rows == [(K.SET_ASIDE, subject)]


def append(place: Installation, key: str, payload: str | None = None) -> None:
    with place.data.writing() as db:
        outbox.append(db, [Event("Noted", key, {"n": key})], NOON)
        if payload is not None:
            db.execute(text("UPDATE events SET payload = :payload WHERE key = :key"), {"payload": payload, "key": key})


def waiting(place: Installation) -> int:
    with place.data.reading() as db:
        return int(db.execute(text("SELECT count(*) FROM events WHERE published_at IS NULL")).scalar_one())


def test_a_channel_that_does_not_deliver_is_an_alert_until_it_does(
    installing: Installing, sqlite_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "POLL_SECONDS", 0.05)
    port = free_port()
    place = installing(
        database_url=sqlite_url,
        redis_url=redis_url,
        packs="tests.packs.counting",
        environ=INLINE,
        config=f'[notify.team]\nurl = "json://127.0.0.1:{port}/"\n',
    )
    watched = Watched(place, monkeypatch)
    counting.put(place.data, {"anna": "raises"})
    with watched.leading() as engine:
        place.run("counting.count", "2026-03-01")
        eventually(lambda: has_failed(place), "a message could not be delivered")
        watched.clocks.let_pass(UNDELIVERED_AFTER - SECOND)
        watched.looks(engine, Work.DISK_SPACE)
        assert (K.NOTIFICATIONS, "team") not in watched.rows, "a short outage of a service is no alert"

        watched.clocks.let_pass(SECOND)
        failing = watched.fires(K.NOTIFICATIONS, "team")
        with http_receiver(port) as receiver:
            watched.clocks.let_pass(HOUR)
            watched.resolves(K.NOTIFICATIONS, "team")

    assert (failing.severity, failing.since) == (Severity.WARNING, NOON)
    assert receiver.notes, "the message has arrived"


def has_failed(place: Installation) -> bool:
    with place.store.reading() as db:
        return bool(db.execute(text("SELECT count(*) FROM ops_notifications WHERE error IS NOT NULL")).scalar_one())


# --- checks of packs ----------------------------------------------------------------------------------------------


def test_a_check_is_an_alert_while_it_finds_something_or_does_not_return(
    installing: Installing, database_url: str, own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = installing(database_url=database_url, redis_url=own_redis.url, packs="tests.packs.checks", environ=INLINE)
    watched = Watched(place, monkeypatch)
    monkeypatch.setattr(pack_checks, "ANSWER_SECONDS", 0.5)
    checks.RAISED.clear()
    checks.HANGING.clear()
    checks.FOUND.clear()
    with watched.leading():
        watched.fires(K.CHECK, "checks.hangs")
        assert (K.CHECK, "checks.shelf") not in watched.rows
        checks.FOUND["shelf"] = [Condition(Severity.CRITICAL, "it falls")]
        falls = watched.fires(K.CHECK, "checks.shelf")
        own_redis.stop()
        checks.FOUND.clear()
        checks.HANGING.set()
        watched.resolves(K.CHECK, "checks.shelf")
        watched.resolves(K.CHECK, "checks.hangs")

    assert (falls.severity, falls.pack, falls.message) == (Severity.CRITICAL, "checks", "reports: it falls")
