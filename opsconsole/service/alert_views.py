"""Reads alerts from the store into the values of a Snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from opsconsole.core.database import Connection
from opsconsole.core.errors import UnknownAlert
from opsconsole.rules.alerts import Alert, Silence, acknowledgement_of, causes_first, silence_of, state_of
from opsconsole.service.alert_cards import AlertCard, AlertPage
from opsconsole.store import alerts, notifications, silences

RECENTLY, MAX_RESOLVED = timedelta(days=1), 50
MAX_EARLIER = 10
MAX_NOTIFICATIONS = 50
MAX_EXPLAINED = 200


def current(db: Connection, silenced: Sequence[Silence], now: datetime) -> tuple[AlertCard, ...]:
    """The open alerts, worst first, each followed by those that it explains, and those resolved in the last day."""
    resolved = alerts.resolved_since(db, now - RECENTLY, limit=MAX_RESOLVED)
    return cards([*causes_first(alerts.open_alerts(db)), *resolved], silenced, now)


def cards(found: Iterable[Alert], silenced: Sequence[Silence], now: datetime) -> tuple[AlertCard, ...]:
    """Alerts as lists show them, in the same order."""
    listed = list(found)
    explains: dict[int, list[int]] = {}
    for alert in listed:
        if alert.cause is not None and alert.is_open:
            explains.setdefault(alert.cause, []).append(alert.id)
    return tuple(_card(alert, silenced, tuple(explains.get(alert.id, ())), now) for alert in listed)


def page(db: Connection, number: int, now: datetime) -> AlertPage:
    """An alert with its details. Raises UnknownAlert."""
    silenced = silences.in_force(db, now)
    alert = alerts.get(db, number)
    explained = alerts.explained_by(db, alert, limit=MAX_EXPLAINED)
    is_open = [each.id for each in explained if each.is_open]
    cause = None
    if alert.cause is not None:
        with suppress(UnknownAlert):  # it was pruned
            cause = alerts.get(db, alert.cause)
    return AlertPage(
        at=now,
        card=_card(alert, silenced, tuple(is_open), now),
        cause=None if cause is None else _card(cause, silenced, (alert.id,) if alert.is_open else (), now),
        explains=tuple(_card(each, silenced, (), now) for each in explained),
        notifications=tuple(notifications.of_alert(db, number, limit=MAX_NOTIFICATIONS)),
        earlier=tuple(alerts.earlier(db, alert, limit=MAX_EARLIER)),
    )


def _card(alert: Alert, silenced: Sequence[Silence], explains: tuple[int, ...], now: datetime) -> AlertCard:
    return AlertCard(
        alert,
        state_of(alert, silenced, now),
        acknowledgement_of(alert, now) if alert.is_open else None,
        silence_of(alert, silenced),
        explains,
    )
