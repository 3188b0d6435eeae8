"""Alerts as JSON, for the command line and HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import structs

from opsconsole.core.times import utc
from opsconsole.rules.alerts import Acknowledgement, Alert, AlertEvent, AlertState, Silence
from opsconsole.rules.findings import FindingKind, Severity
from opsconsole.rules.notifications import DeliveryState
from opsconsole.service.alert_cards import AlertCard, AlertPage
from opsconsole.service.documents import Document, Time

SeverityName = Literal["warning", "critical"]


class AcknowledgementDocument(Document, frozen=True, kw_only=True):
    """Who acknowledged an alert, and until when: null until it is resolved."""

    by: str
    at: Time | None
    until: Time | None
    note: str


class SilenceDocument(Document, frozen=True, kw_only=True):
    """A silence of an alert, a job, a pack or a rule; `until` is null for one without an end."""

    id: int
    target: str
    since: Time | None
    until: Time | None
    by: str
    note: str


class AlertDocument(Document, frozen=True, kw_only=True):
    """An alert. `seconds` is how long it lasted, or has lasted up to now; `cause` is the alert that explains it, and
    `explains` are those that it explains.
    """

    id: int
    rule: FindingKind
    subject: str
    severity: SeverityName
    state: AlertState
    message: str
    since: Time | None
    opened_at: Time | None
    worse_at: Time | None
    resolved_at: Time | None
    seconds: int
    job: str | None
    pack: str | None
    run: int | None
    cause: int | None
    explains: tuple[int, ...]
    acknowledged: AcknowledgementDocument | None
    silence: SilenceDocument | None
    evidence: dict[str, Any]


class NotificationDocument(Document, frozen=True, kw_only=True):
    """A message about an alert, and whether it was sent."""

    id: str
    event: AlertEvent
    channel: str
    state: DeliveryState
    attempts: int
    created_at: Time | None
    sent_at: Time | None
    error: str | None


class EarlierAlertDocument(Document, frozen=True, kw_only=True):
    """An earlier alert of the same rule and subject."""

    id: int
    severity: SeverityName
    message: str
    since: Time | None
    resolved_at: Time | None
    seconds: int


class AlertDetails(AlertDocument, frozen=True, kw_only=True):
    """An alert with what was sent about it, and the earlier alerts of the same rule and subject."""

    notifications: tuple[NotificationDocument, ...]
    earlier: tuple[EarlierAlertDocument, ...]


def alert_document(card: AlertCard, now: datetime) -> AlertDocument:
    """An alert with its state."""
    alert = card.alert
    return AlertDocument(
        id=alert.id,
        rule=alert.rule,
        subject=alert.subject,
        severity=severity_name(alert.severity),
        state=card.state,
        message=alert.message,
        since=utc(alert.since),
        opened_at=utc(alert.opened_at),
        worse_at=utc(alert.worse_at),
        resolved_at=utc(alert.resolved_at),
        seconds=_seconds(alert, now),
        job=alert.job,
        pack=alert.pack,
        run=alert.run,
        cause=alert.cause,
        explains=card.explains,
        acknowledged=_acknowledgement(card.acknowledged),
        silence=None if card.silence is None else silence_document(card.silence),
        evidence=dict(alert.evidence),
    )


def page_document(page: AlertPage) -> AlertDetails:
    """An alert with its details."""
    return AlertDetails(
        **structs.asdict(alert_document(page.card, page.at)),
        notifications=tuple(
            NotificationDocument(
                id=each.uid,
                event=each.event,
                channel=each.channel,
                state=each.state,
                attempts=each.attempts,
                created_at=utc(each.created_at),
                sent_at=utc(each.sent_at),
                error=each.error,
            )
            for each in page.notifications
        ),
        earlier=tuple(
            EarlierAlertDocument(
                id=alert.id,
                severity=severity_name(alert.severity),
                message=alert.message,
                since=utc(alert.since),
                resolved_at=utc(alert.resolved_at),
                seconds=_seconds(alert, page.at),
            )
            for alert in page.earlier
        ),
    )


def silence_document(silence: Silence) -> SilenceDocument:
    return SilenceDocument(
        id=silence.id,
        target=silence.target,
        since=utc(silence.since),
        until=utc(silence.until),
        by=silence.who,
        note=silence.note,
    )


def severity_name(severity: Severity) -> SeverityName:
    """A severity as JSON has it."""
    return "critical" if severity is Severity.CRITICAL else "warning"


def _acknowledgement(given: Acknowledgement | None) -> AcknowledgementDocument | None:
    if given is None:
        return None
    return AcknowledgementDocument(by=given.who, at=utc(given.at), until=utc(given.until), note=given.note)


def _seconds(alert: Alert, now: datetime) -> int:
    return round(((alert.resolved_at or now) - alert.since).total_seconds())
