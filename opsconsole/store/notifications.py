"""The outbox of notifications: written in the transaction of the alert's change, and sent afterwards.

The leader has a thread for each channel that claims them, sends them, and marks them as sent. After a crash in between
they are sent again, with the same uid.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, exists, func, insert, select, update

from opsconsole.core.database import Connection
from opsconsole.rules.alerts import AlertEvent
from opsconsole.rules.findings import Severity
from opsconsole.rules.notifications import Delivery, DeliveryState, LastMessage, Notification
from opsconsole.store.rows import NEVER, Stored, read
from opsconsole.store.tables import notifications

_n = notifications.c


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


def latest(db: Connection, alerts: Collection[int]) -> Mapping[int, Mapping[str, LastMessage]]:
    """The newest message about each of these alerts, by channel."""
    newest = select(func.max(_n.id)).where(_n.alert_id.in_(alerts)).group_by(_n.alert_id, _n.channel)
    found: dict[int, dict[str, LastMessage]] = {}
    for each in read_values(db, select(notifications).where(_n.id.in_(newest))):
        found.setdefault(each.alert, {})[each.channel] = LastMessage(each.event, each.created_at, each.state)
    return found


def next_due(db: Connection, channel: str, now: datetime) -> Notification | None:
    """The next notification for a channel: one that was never tried first, and the messages about one alert in their
    order.
    """
    older = notifications.alias()
    is_behind = exists().where(
        older.c.alert_id == _n.alert_id, older.c.channel == _n.channel, _is_due(older.c.state), older.c.id < _n.id
    )
    query = select(notifications).where(_is_due(_n.state), _n.channel == channel, ~is_behind)
    query = query.where(_n.not_before.is_(None) | (_n.not_before <= now)).order_by(_n.attempts, _n.id).limit(1)
    return next(iter(read_values(db, query)), None)


def claim(db: Connection, notification: Notification, not_before: datetime) -> bool:
    """Records that an attempt begins; nobody begins another one before `not_before`. False if it is no longer due."""
    mine = and_(_n.id == notification.id, _is_due(_n.state), _n.attempts == notification.attempts)
    values = {"attempts": notification.attempts + 1, "not_before": not_before}
    return db.execute(update(notifications).where(mine).values(values)).rowcount == 1


def mark_sent(db: Connection, notification: Notification, at: datetime) -> None:
    """Marks it as delivered."""
    _set(db, _n.id == notification.id, state=DeliveryState.SENT, sent_at=at, error=None)


def record_failure(db: Connection, notification: Notification, error: str) -> None:
    """Records why an attempt failed."""
    _set(db, _n.id == notification.id, error=error)


def give_up(db: Connection, notification: Notification, error: str) -> None:
    """Marks it as not deliverable."""
    _set(db, _n.id == notification.id, state=DeliveryState.GIVEN_UP, error=error)


def drop_others(db: Connection, channels: Sequence[str]) -> int:
    """Drops what is due for channels other than these; returns how many."""
    values = {"state": DeliveryState.DROPPED, "error": "its channel is no longer configured"}
    others = _is_due(_n.state) & _n.channel.not_in(channels)
    return db.execute(update(notifications).where(others).values(values)).rowcount


def set_back(db: Connection, now: datetime) -> None:
    """Moves what a clock that was ahead wrote back to `now`: what is due is tried at once, and reminders follow."""
    db.execute(update(notifications).where(_is_due(_n.state), _n.created_at > now).values(not_before=None))
    db.execute(update(notifications).where(_n.created_at > now).values(created_at=now))


def deliveries(db: Connection) -> list[Delivery]:
    """The channels whose messages wait because attempts have failed, by name."""
    query = select(_n.channel, func.min(_n.created_at), func.max(_n.attempts), func.count(), func.max(_n.error))
    failing = _is_due(_n.state) & (_n.attempts > 0) & _n.error.is_not(None)
    query = query.where(failing).group_by(_n.channel).order_by(_n.channel)
    return [Delivery(*row) for row in db.execute(query)]


def _is_due(state: ColumnElement[str]) -> ColumnElement[bool]:
    return state == DeliveryState.DUE


def _set(db: Connection, which: ColumnElement[bool], **values: object) -> None:
    db.execute(update(notifications).where(which, _is_due(_n.state)).values(values))


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
