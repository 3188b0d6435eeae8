"""Alerts as JSON, for the command line and HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from opsconsole.core.times import utc
from opsconsole.rules.alerts import Acknowledgement, Alert, Silence
from opsconsole.service.alert_cards import AlertCard, AlertPage


def alert_document(card: AlertCard, now: datetime) -> dict[str, Any]:
    """An alert with its state. `seconds` is how long it lasted, or has lasted up to now."""
    alert = card.alert
    return {
        "id": alert.id,
        "rule": alert.rule,
        "subject": alert.subject,
        "severity": alert.severity.name.lower(),
        "state": card.state,
        "message": alert.message,
        "since": utc(alert.since),
        "opened_at": utc(alert.opened_at),
        "worse_at": utc(alert.worse_at),
        "resolved_at": utc(alert.resolved_at),
        "seconds": _seconds(alert, now),
        "job": alert.job,
        "pack": alert.pack,
        "run": alert.run,
        "cause": alert.cause,
        "explains": card.explains,
        "acknowledged": _acknowledgement(card.acknowledged),
        "silence": None if card.silence is None else silence_document(card.silence),
        "evidence": dict(alert.evidence),
    }


def page_document(page: AlertPage) -> dict[str, Any]:
    """An alert with what was sent about it, and the earlier alerts of the same rule and subject."""
    return {
        **alert_document(page.card, page.at),
        "notifications": [
            {
                "id": each.uid,
                "event": each.event,
                "channel": each.channel,
                "state": each.state,
                "attempts": each.attempts,
                "created_at": utc(each.created_at),
                "sent_at": utc(each.sent_at),
                "error": each.error,
            }
            for each in page.notifications
        ],
        "earlier": [
            {
                "id": alert.id,
                "severity": alert.severity.name.lower(),
                "message": alert.message,
                "since": utc(alert.since),
                "resolved_at": utc(alert.resolved_at),
                "seconds": _seconds(alert, page.at),
            }
            for alert in page.earlier
        ],
    }


def silence_document(silence: Silence) -> dict[str, Any]:
    """A silence."""
    return {
        "id": silence.id,
        "target": silence.target,
        "since": utc(silence.since),
        "until": utc(silence.until),
        "by": silence.who,
        "note": silence.note,
    }


def _acknowledgement(given: Acknowledgement | None) -> dict[str, Any] | None:
    if given is None:
        return None
    return {"by": given.who, "at": utc(given.at), "until": utc(given.until), "note": given.note}


def _seconds(alert: Alert, now: datetime) -> int:
    return round(((alert.resolved_at or now) - alert.since).total_seconds())
