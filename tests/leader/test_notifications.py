"""Notifications reach their channels at least once, however the channels, the store and the leader fail."""

from __future__ import annotations

import html
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from opsconsole.core.settings import Channel, Secret
from opsconsole.core.supervision import Supervisor
from opsconsole.leader import notifications as notifier_module
from opsconsole.leader.channels import url_problem
from opsconsole.leader.notifications import GIVE_UP_AFTER, LEAST_ATTEMPTS, Notifier, wait_after
from opsconsole.rules.alerts import AlertEvent
from opsconsole.rules.findings import FindingKind, Severity
from opsconsole.rules.leadership import Identity
from opsconsole.rules.notifications import DeliveryState, Notification
from opsconsole.store import Store, alerts, lease, notifications
from opsconsole.store.tables import alerts as alert_rows, notifications as outbox
from tests.conftest import Installing
from tests.packs import counting
from tests.receivers import http_receiver, mail_receiver, silent_port
from tests.services import free_port
from tests.soak import postgresql_in_soak
from tests.waiting import eventually

pytestmark = postgresql_in_soak

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
ME = Identity("me", "here", 1, "1", "a/b/c", "asha")


class Place:
    """A store whose lease is held, with a clock that the test moves."""

    def __init__(self, url: str) -> None:
        self.store = Store(url)
        self.at = NOON
        with self.store.writing() as db:
            token = lease.take(db, None, ME, NOON)
        assert token is not None
        self.token = token
        with self.store.writing() as db:
            values = {"severity": Severity.CRITICAL, "since": NOON, "opened_at": NOON, "message": "failed"}
            self.alert = alerts.add(db, (FindingKind.FAILED_RUN, "counting.count"), values | {"evidence": {}})

    def add(self, channel: str = "ops", event: AlertEvent = AlertEvent.FIRED, body: str = "12 of 40 failed") -> str:
        with self.store.writing() as db:
            return notifications.add(
                db,
                alert=self.alert,
                event=event,
                channel=channel,
                severity=Severity.CRITICAL,
                title="critical: counting.count failed",
                body=body,
                at=self.at,
            )

    def all(self) -> list[Notification]:
        with self.store.reading() as db:
            return notifications.of_alert(db, self.alert, limit=1000)[::-1]

    def states(self) -> list[DeliveryState]:
        return [each.state for each in self.all()]

    def has_failed(self, attempts: int = 1) -> bool:
        return any(each.attempts >= attempts and each.error for each in self.all())

    def advance(self, step: timedelta = timedelta(hours=1)) -> None:
        self.at += step

    @contextmanager
    def sending(self, *channels: Channel, seconds: float = 20.0) -> Iterator[Supervisor]:
        supervisor = Supervisor(lambda: self.at)
        made = Notifier(
            self.store,
            channels,
            self.token,
            supervisor=supervisor,
            may_start_work=lambda: True,
            now=lambda: self.at,
            send_seconds=seconds,
        )
        made.drop_others()
        made.start()
        self.wake = made.wake
        try:
            yield supervisor
        finally:
            made.stop()


@pytest.fixture(scope="module", autouse=True)
def _apprise() -> None:
    """Imports Apprise, so that its import is not part of a short time limit."""
    assert url_problem(ops("json://127.0.0.1")) is None


@pytest.fixture
def place(database_url: str) -> Iterator[Place]:
    made = Place(database_url)
    yield made
    made.store.close()


def ops(url: str, name: str = "ops") -> Channel:
    return Channel(name, Secret(url))


def is_sent(place: Place, count: int = 1) -> bool:
    return place.states().count(DeliveryState.SENT) == count


def test_a_message_is_posted_with_its_id_and_marked(place: Place) -> None:
    uid = place.add()
    with http_receiver() as receiver, place.sending(ops(receiver.channel_url)):
        eventually(lambda: is_sent(place), "it is sent")

    [note] = receiver.notes
    assert note["title"] == "critical: counting.count failed"
    assert note["message"] == f"12 of 40 failed\nid: {uid}"
    assert note["type"] == "failure"
    [sent] = place.all()
    assert (sent.attempts, sent.sent_at, sent.error) == (1, NOON, None)


def test_a_mail_has_its_id_and_no_markup_of_data(place: Place) -> None:
    uid = place.add(body="<b>Asha</b> & \\x1b[2J\n.\nBen")
    with mail_receiver() as receiver, place.sending(ops(receiver.channel_url)):
        eventually(lambda: is_sent(place), "it is sent")

    [mail] = receiver.mails
    assert mail["Subject"] == "critical: counting.count failed"
    assert mail["To"] == "ops@example.com"
    parts = [part for part in mail.walk() if part.get_content_maintype() == "text"]
    assert parts
    for part in parts:
        is_html, text = part.get_content_subtype() == "html", part.get_content()
        assert f"id: {uid}" in text
        assert "<b>Asha</b> & \\x1b[2J" in (html.unescape(text) if is_html else text)
        assert not is_html or "<b>" not in text


def test_a_receiver_that_is_down_gets_it_when_it_is_up(place: Place) -> None:
    port = free_port()
    uid = place.add()
    with place.sending(ops(f"json://127.0.0.1:{port}")):
        eventually(place.has_failed, "an attempt has failed")
        with http_receiver(port) as receiver:
            place.advance()
            place.wake()
            eventually(lambda: is_sent(place), "it is sent")

    assert receiver.ids == [uid]


def test_what_is_not_accepted_is_tried_again_later_and_in_order(place: Place) -> None:
    first, second = place.add(), place.add(event=AlertEvent.RESOLVED)
    with http_receiver() as receiver:
        receiver.status = 500
        with place.sending(ops(receiver.channel_url)) as supervisor:
            eventually(place.has_failed, "an attempt has failed")
            [one, other] = place.all()
            assert one.error is not None
            assert "500" in one.error
            assert one.not_before is not None
            assert one.not_before > place.at
            assert other.attempts == 0, "the end of an alert waits for its beginning"
            assert supervisor.problems() == (), "the loop itself works"
            receiver.status = 200
            place.advance()
            place.wake()
            eventually(lambda: is_sent(place, 2), "both are sent")

    assert receiver.ids == [first, second]


def test_the_waits_grow_to_a_quarter_of_an_hour_with_jitter() -> None:
    assert timedelta(seconds=3) < wait_after(1) < timedelta(seconds=7)
    assert timedelta(seconds=7) < wait_after(2) < timedelta(seconds=13)
    assert timedelta(minutes=11) < wait_after(50) < timedelta(minutes=19)
    assert len({wait_after(3) for _ in range(9)}) > 1


def test_a_channel_that_hangs_delays_no_other_and_no_stop(place: Place) -> None:
    place.add("slow")
    uid = place.add("ops")
    before = threading.active_count()
    with http_receiver() as slow, http_receiver() as receiver:
        slow.hangs = True
        channels = ops(slow.channel_url, "slow"), ops(receiver.channel_url)
        with place.sending(*channels, seconds=0.3) as supervisor:
            eventually(lambda: is_sent(place), "the other channel delivers")
            eventually(place.has_failed, "the attempt was given up")
            failed = next(each for each in place.all() if each.channel == "slow")
            assert failed.error == "no answer within 0.3 s"
            for attempt in (2, 3, 4, 5):
                place.advance()
                place.wake()
                eventually(partial(place.has_failed, attempt), "it is tried again")
            assert next(each for each in place.all() if each.channel == "slow").error == "3 earlier attempts still hang"
            assert threading.active_count() < before + 20
            assert supervisor.problems() == ()
    assert receiver.ids == [uid]


def test_a_server_that_never_answers_is_a_failed_attempt(place: Place) -> None:
    place.add()
    with silent_port() as port, place.sending(ops(f"json://127.0.0.1:{port}"), seconds=0.3):
        eventually(place.has_failed, "an attempt has failed")


def test_it_is_given_up_after_a_day_of_attempts(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    uid = place.add()
    with caplog.at_level(logging.INFO, "opsconsole"), place.sending(ops(f"json://127.0.0.1:{free_port()}")):
        for attempt in range(1, LEAST_ATTEMPTS + 1):
            eventually(partial(place.has_failed, attempt), f"attempt {attempt} has failed")
            place.advance(GIVE_UP_AFTER)
            place.wake()
        eventually(lambda: place.states() == [DeliveryState.GIVEN_UP], "it is given up")

    assert uid in caplog.text
    assert caplog.text.count("channel ops does not deliver") == 1, "one kind of failure is logged once"


def test_what_waits_for_a_channel_that_no_longer_exists_is_dropped(place: Place) -> None:
    place.add("gone")
    with http_receiver() as receiver, place.sending(ops(receiver.channel_url)):
        assert place.states() == [DeliveryState.DROPPED]
    assert receiver.requests == []


def test_no_secret_of_a_url_is_logged_or_stored(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.add()
    url = f"json://asha:canary7@127.0.0.1:{free_port()}/canary7/plain?token=canary7"
    with caplog.at_level(logging.DEBUG), place.sending(ops(url)):
        eventually(place.has_failed, "an attempt has failed")

    [failed] = place.all()
    assert "canary7" not in str(failed.error)
    assert "127.0.0.1" not in str(failed.error)
    # pytest listens to loggers that do not pass their records on to the program's log, as Apprise's.
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("opsconsole")]
    assert any("channel ops does not deliver" in line for line in logged)
    assert not [line for line in logged if "canary7" in line]


def test_it_is_sent_twice_with_one_id_if_the_lease_is_lost_in_between(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = place.add()

    def lose(_: str) -> None:
        with place.store.writing() as db:
            current = lease.read(db)
            other = Identity("other", "there", 2, "2", "a/b/c", "ben")
            place.token = lease.take(db, current, other, NOON) or 0

    with http_receiver() as receiver:
        with monkeypatch.context() as patched:
            patched.setattr(notifier_module, "reach", lambda point: lose(point) if "sent" in point else None)
            with place.sending(ops(receiver.channel_url)):
                eventually(lambda: len(receiver.requests) == 1, "it is sent")
        assert place.states() == [DeliveryState.DUE], "the leader that lost the lease marks nothing"
        place.advance()
        with place.sending(ops(receiver.channel_url)):
            eventually(lambda: is_sent(place), "the next leader sends it")

    assert receiver.ids == [uid, uid]


def test_mentions_in_data_call_nobody(place: Place) -> None:
    place.add(body="@everyone <!channel> <@U1> asha@example.com")
    with http_receiver() as receiver, place.sending(ops(receiver.channel_url)):
        eventually(lambda: is_sent(place), "it is sent")

    assert receiver.notes[0]["message"].startswith("@ everyone < !channel> < @U1> asha@example.com")


def test_a_new_message_is_sent_before_those_that_failed(place: Place) -> None:
    place.add()
    with http_receiver() as receiver:
        receiver.status = 503
        with place.sending(ops(receiver.channel_url)):
            eventually(place.has_failed, "an attempt has failed")
        receiver.status = 200
        place.advance()
        with place.store.writing() as db:
            values = {"severity": Severity.WARNING, "since": NOON, "opened_at": NOON, "message": "is late"}
            place.alert = alerts.add(db, (FindingKind.LATE, "counting.count"), values | {"evidence": {}})
        newer = place.add()
        with place.sending(ops(receiver.channel_url)):
            eventually(lambda: len(receiver.requests) == 2, "both are sent")

    assert receiver.ids[0] == newer


def test_a_channel_that_is_configured_later_gets_what_still_fires(
    tmp_path: Path, installing: Installing, redis_url: str
) -> None:
    made = installing(
        database_url=f"sqlite:///{tmp_path / 'shared.db'}",
        redis_url=redis_url,
        packs="tests.packs.counting",
        environ={
            "OPSCONSOLE_ENGINE__EXECUTOR": "inline",
            "OPSCONSOLE_NOTIFY__DOWN__URL": f"json://127.0.0.1:{free_port()}",
        },
    )
    counting.put(made.data, {"asha": "raises"})

    def states() -> dict[str, DeliveryState]:
        with made.store.reading() as db:
            query = select(outbox.c.channel, outbox.c.state).join(alert_rows, alert_rows.c.id == outbox.c.alert_id)
            return {name: DeliveryState(state) for name, state in db.execute(query.where(alert_rows.c.rule == rule))}

    rule = FindingKind.FAILED_RUN
    with http_receiver() as receiver, made.leading() as engine:
        made.run("counting.count", "2025-01-19")
        eventually(lambda: states() == {"down": DeliveryState.DUE}, "the alert has a message")
        engine.reload(replace(made.settings, channels=(ops(receiver.channel_url),)), made.catalog)
        expected = {"down": DeliveryState.DROPPED, "ops": DeliveryState.SENT}
        eventually(lambda: states() == expected, "the new channel gets it")
