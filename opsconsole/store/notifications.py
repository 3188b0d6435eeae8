"""The outbox of notifications: written in the transaction of the alert's change, and sent afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Select, insert, select

from opsconsole.core.database import Connection
from opsconsole.rules.alerts import AlertEvent
from opsconsole.rules.findings import Severity
from opsconsole.rules.notifications import DeliveryState, Notification
from opsconsole.store.rows import NEVER, Stored, read
from opsconsole.store.tables import notifications


def add(
    db: Connection,
    *,
    alert: int,
    event: AlertEvent,
    channel: str,
    severity: Severity,
    title: str,
    body: str,
    at: datetime,
) -> str:
    """Adds a notification that is due at once, and returns its uid."""
    uid = uuid.uuid4().hex
    values = {
        "uid": uid,
        "alert_id": alert,
        "event": event,
        "channel": channel,
        "severity": severity,
        "title": title,
        "body": body,
        "created_at": at,
        "state": DeliveryState.DUE,
    }
    db.execute(insert(notifications).values(values))
    return uid


def of_alert(db: Connection, alert: int, *, limit: int) -> list[Notification]:
    """The newest notifications about an alert, newest first."""
    c = notifications.c
    return read_values(
        db, select(notifications).where(c.alert_id == alert).order_by(c.created_at.desc(), c.id.desc()).limit(limit)
    )


def channels_of(db: Connection, alert: int, states: Collection[DeliveryState]) -> set[str]:
    """The channels that have a notification about an alert in one of these states."""
    c = notifications.c
    return set(db.execute(select(c.channel).where(c.alert_id == alert, c.state.in_(states)).distinct()).scalars())


def read_values(db: Connection, query: Select[tuple[object, ...]]) -> list[Notification]:
    """The notifications of a query over the table. One whose event, severity or state cannot be read counts as a
    reminder, as critical, and as given up.
    """
    return [
        Notification(
            row.id,
            row.uid,
            row.alert_id,
            row.event,
            row.channel,
            row.severity,
            row.title,
            row.body,
            row.created_at,
            row.state,
            row.attempts,
            row.not_before,
            row.error,
            row.sent_at,
        )
        for row in read(db, query, notifications, _Row)
    ]


class _Row(Stored, frozen=True, kw_only=True):
    id: int
    uid: str = ""
    alert_id: int = 0
    event: AlertEvent = AlertEvent.REMINDER
    channel: str = ""
    severity: Severity = Severity.CRITICAL
    title: str = ""
    body: str = ""
    created_at: datetime = NEVER
    state: DeliveryState = DeliveryState.GIVEN_UP
    attempts: int = 0
    not_before: datetime | None = None
    error: str | None = None
    sent_at: datetime | None = None
