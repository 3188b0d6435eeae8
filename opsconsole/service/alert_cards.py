"""Alerts as lists and pages show them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from opsconsole.rules.alerts import Acknowledgement, Alert, AlertState, Silence
from opsconsole.rules.findings import Remedy, remedy_of
from opsconsole.rules.notifications import Notification


@dataclass(frozen=True, slots=True)
class AlertCard:
    """An alert as lists show it. `acknowledged` is its acknowledgement while that is in force, `silence` the active
    silence that applies to it; `explains` are the numbers of the open alerts with this one as their likely cause.
    """

    alert: Alert
    state: AlertState
    acknowledged: Acknowledgement | None = None
    silence: Silence | None = None
    explains: tuple[int, ...] = ()

    @property
    def remedy(self) -> Remedy | None:
        """What to do; None if there is nothing to do but wait, or to repair a service."""
        return remedy_of(self.alert.rule) if self.alert.is_open else None


def firing(cards: Iterable[AlertCard]) -> tuple[AlertCard, ...]:
    """Of the current alerts those that fire, and that none of the open ones explains."""
    listed = tuple(cards)
    numbers = {card.alert.id for card in listed if card.alert.is_open}
    return tuple(card for card in listed if card.state is AlertState.FIRING and card.alert.cause not in numbers)


@dataclass(frozen=True, slots=True)
class AlertPage:
    """An alert with its details: the alert that explains it, those that it explains, the `notifications` about it and
    the `earlier` alerts of the same rule and subject; the last two are newest first.
    """

    at: datetime
    card: AlertCard
    cause: AlertCard | None
    explains: tuple[AlertCard, ...]
    notifications: tuple[Notification, ...]
    earlier: tuple[Alert, ...]
