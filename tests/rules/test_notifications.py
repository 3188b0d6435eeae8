"""What is sent about an alert follows from the alert and from what was sent before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from opsconsole.core.settings import Channel, Secret
from opsconsole.rules.alerts import Acknowledgement, Alert, AlertEvent, Silence
from opsconsole.rules.findings import FindingKind, Severity
from opsconsole.rules.notification_text import MAX_EXPLAINED, MAX_TITLE, message
from opsconsole.rules.notifications import (
    FLAPPING,
    UNDELIVERED_AFTER,
    Delivery,
    DeliveryState,
    LastMessage,
    channels_for,
    due_events,
    filter_problems,
    is_quiet,
    undelivered,
)
from opsconsole.rules.pauses import Pause

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
REMINDER = 4 * HOUR


def channel(name: str = "ops", severity: Literal["warning", "critical"] = "warning", **filters: Any) -> Channel:
    return Channel(name, Secret("json://127.0.0.1"), severity, **filters)


def failed(**values: Any) -> Alert:
    alert = Alert(
        7,
        FindingKind.FAILED_RUN,
        "game.lives",
        Severity.CRITICAL,
        NOON,
        NOON,
        "12 of 40 failed",
        job="game.lives",
        pack="game",
        run=41,
    )
    return replace(alert, **values)


def sent(event: AlertEvent = AlertEvent.FIRED, at: datetime = NOON, state: DeliveryState = DeliveryState.SENT) -> Any:
    return {"ops": LastMessage(event, at, state)}


def events(alert: Alert, history: Mapping[str, LastMessage], now: datetime = NOON, **values: Any) -> list[AlertEvent]:
    found = due_events(alert, [channel()], history, now=now, reminder=REMINDER, **values)
    return [event for _, event in found]


@pytest.mark.parametrize(
    ("chosen", "severity", "jobs", "is_sent"),
    [
        (channel(), Severity.WARNING, ["game.lives"], True),
        (channel(), Severity.WARNING, [], True),
        (channel(severity="critical"), Severity.WARNING, ["game.lives"], False),
        (channel(severity="critical"), Severity.CRITICAL, ["game.lives"], True),
        (channel(jobs=("game.lives",)), Severity.WARNING, ["game.lives"], True),
        (channel(jobs=("game.lives",)), Severity.WARNING, ["game.lives_again"], False),
        (channel(packs=("game",)), Severity.WARNING, ["game.lives"], True),
        (channel(packs=("exams",)), Severity.WARNING, ["game.lives"], False),
        (channel(packs=("exams",), jobs=("game.lives",)), Severity.WARNING, ["game.lives"], True),
        (channel(packs=("exams",)), Severity.WARNING, [], False),
    ],
)
def test_filters_choose_by_severity_job_and_pack(
    chosen: Channel, severity: Severity, jobs: list[str], is_sent: bool
) -> None:
    assert bool(channels_for([chosen], severity, jobs)) is is_sent


def test_a_channel_of_a_pack_hears_of_what_explains_its_failures() -> None:
    redis = failed(rule=FindingKind.UNREACHABLE, subject="redis", job=None, pack=None)
    of_game = channel(packs=("game",))

    assert list(due_events(redis, [of_game], {}, now=NOON)) == []
    assert list(due_events(redis, [of_game], {}, now=NOON, jobs=["game.lives"])) == [(of_game, AlertEvent.FIRED)]


def test_an_alert_is_sent_once_then_when_it_is_worse_and_when_it_is_resolved() -> None:
    later = NOON + HOUR

    assert events(failed(), {}) == [AlertEvent.FIRED]
    assert events(failed(), sent()) == []
    assert events(failed(worse_at=later), sent(), later) == [AlertEvent.WORSE]
    assert events(failed(worse_at=later), sent(AlertEvent.WORSE, later), later) == []
    assert events(failed(resolved_at=later), sent(), later) == [AlertEvent.RESOLVED]
    assert events(failed(resolved_at=later), sent(AlertEvent.RESOLVED, later), later) == []


def test_the_end_of_an_alert_that_nobody_heard_of_is_not_sent() -> None:
    ended = failed(resolved_at=NOON)

    assert events(ended, {}) == []
    assert events(ended, sent(state=DeliveryState.GIVEN_UP)) == []
    assert events(ended, sent(state=DeliveryState.DUE)) == [AlertEvent.RESOLVED], "it is delivered before its end"


def test_reminders_are_sent_until_somebody_acknowledges() -> None:
    late = NOON + REMINDER
    known = Acknowledgement("asha", NOON, None, "")

    assert events(failed(), sent(), late - timedelta(seconds=1)) == []
    assert events(failed(), sent(), late) == [AlertEvent.REMINDER]
    assert events(failed(), sent(state=DeliveryState.DUE), late) == [], "no reminder of what has not arrived"
    assert events(failed(acknowledged=known), sent(), late) == []
    assert events(failed(acknowledged=replace(known, until=late)), sent(), late) == [AlertEvent.REMINDER]
    assert list(due_events(failed(), [channel()], sent(), now=late, reminder=None)) == []


def test_what_another_alert_explains_is_not_sent() -> None:
    assert events(failed(cause=3), {}) == []
    assert events(failed(cause=3), sent(), NOON + REMINDER) == []
    assert events(failed(cause=3, resolved_at=NOON), sent()) == [AlertEvent.RESOLVED]


def test_an_alert_that_comes_and_goes_is_sent_when_it_lasts() -> None:
    before = NOON - timedelta(minutes=1)

    assert events(failed(), {}, resolved_before=before) == []
    assert events(failed(), {}, before + FLAPPING, resolved_before=before) == [AlertEvent.FIRED]
    assert events(failed(worse_at=NOON), {}, resolved_before=before) == [AlertEvent.FIRED]


def test_a_channel_gets_no_message_about_itself() -> None:
    dead = failed(rule=FindingKind.NOTIFICATIONS, subject="ops", job=None, pack=None)

    assert [c.name for c, _ in due_events(dead, [channel(), channel("mail")], {}, now=NOON)] == ["mail"]


@pytest.mark.parametrize("target", ["game.lives", "game", "failed_run", "failed_run game.lives"])
def test_a_silence_keeps_everything_back(target: str) -> None:
    silence = Silence(1, target, NOON, NOON + HOUR, "asha", "")

    assert is_quiet(failed(), [silence], [], NOON)
    assert not is_quiet(failed(), [], [], NOON), "when it has ended"
    other = failed(subject="exams.x", job="exams.x", pack="exams", rule=FindingKind.LATE)
    assert not is_quiet(other, [silence], [], NOON)
    assert events(failed(), {}, quiet=True) == []
    assert events(failed(resolved_at=NOON), sent(), quiet=True) == []


def test_a_pause_keeps_alerts_of_its_jobs_back() -> None:
    pause = Pause(1, "game", NOON, NOON + HOUR, "asha", "upgrade")

    assert is_quiet(failed(), [], [pause], NOON)
    assert not is_quiet(failed(), [], [pause], NOON + HOUR)
    assert not is_quiet(failed(resolved_at=NOON), [], [pause], NOON), "that it is over is worth a message"
    assert not is_quiet(failed(subject="redis", job=None), [], [pause], NOON)
    assert not is_quiet(failed(subject="redis"), [], [pause], NOON), "critical, and not about the job"
    assert is_quiet(failed(subject="redis", severity=Severity.WARNING), [], [pause], NOON)


def test_a_channel_that_does_not_deliver_is_a_finding() -> None:
    delivery = Delivery("ops", NOON, 3, 5, "HTTP 503")

    assert list(undelivered([delivery], NOON + UNDELIVERED_AFTER / 2)) == []
    [finding] = undelivered([delivery], NOON + UNDELIVERED_AFTER)
    assert (finding.key, finding.reason, finding.count) == ((FindingKind.NOTIFICATIONS, "ops"), "HTTP 503", 5)


def test_filters_that_match_nothing_are_problems() -> None:
    chosen = channel(jobs=("game.lifes", "x"), packs=("gam",))

    assert list(filter_problems([chosen], ["game.lives"], ["game"])) == [
        "notify.ops.jobs: there is no job game.lifes; did you mean game.lives?",
        "notify.ops.jobs: there is no job x",
        "notify.ops.packs: there is no pack gam; did you mean game?",
    ]


def test_a_message_has_what_an_operator_needs() -> None:
    explained = failed(id=8, rule=FindingKind.LATE, subject="game.ranks", message="is late")

    text = message(failed(), AlertEvent.FIRED, now=NOON + HOUR, explained=[explained], environment="production")

    assert text.title == "[production] critical: game.lives 12 of 40 failed"
    assert text.body.splitlines() == [
        "game.lives 12 of 40 failed",
        "Since 2026-03-08 12:00 UTC, for 60 min.",
        "It probably explains 1 more alert:",
        "- game.ranks is late",
        "Run: opsconsole show 41",
        "Runbook: docs/runbook.md#failed_run",
        "Acknowledge: opsconsole ack 7",
    ]


@pytest.mark.parametrize(
    ("event", "title"),
    [
        (AlertEvent.WORSE, "worse, critical: game.lives 12 of 40 failed"),
        (AlertEvent.REMINDER, "still critical: game.lives 12 of 40 failed"),
        (AlertEvent.RESOLVED, "resolved: game.lives 12 of 40 failed"),
    ],
)
def test_the_title_names_the_event(event: AlertEvent, title: str) -> None:
    assert message(failed(resolved_at=NOON + HOUR), event, now=NOON + HOUR).title == title


def test_the_end_has_how_long_it_lasted() -> None:
    text = message(failed(resolved_at=NOON + HOUR), AlertEvent.RESOLVED, now=NOON + HOUR)

    assert "Resolved at 2026-03-08 13:00 UTC, after 60 min." in text.body
    assert "ack" not in text.body


def test_text_from_data_is_bounded_and_visible() -> None:
    hostile = "\x1b[2J\u202e\r\nSubject: x" + "a" * 10_000
    many = [failed(id=n, message=hostile) for n in range(3 * MAX_EXPLAINED)]

    text = message(failed(message=hostile), AlertEvent.FIRED, now=NOON, explained=many)

    assert len(text.title) <= MAX_TITLE
    assert len(text.body) < 10_000
    assert "\\x1b[2J\\u202e\\x0d\\x0aSubject" in text.title
    assert text.body.replace("\n", "").isprintable()
    assert "- and 20 others" in text.body
