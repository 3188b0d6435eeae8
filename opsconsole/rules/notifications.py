"""Notifications: what is sent about an alert, and how far it got."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from opsconsole.rules.alerts import AlertEvent
from opsconsole.rules.findings import Severity


class DeliveryState(StrEnum):
    """How far a notification got."""

    DUE = "due"
    SENT = "sent"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Notification:
    """A message for one channel. `uid` goes with it, so that its receivers can recognise a duplicate; `error` is why
    the last attempt failed; it is not tried again before `not_before`.
    """

    id: int
    uid: str
    alert: int
    event: AlertEvent
    channel: str
    severity: Severity
    title: str
    body: str
    created_at: datetime
    state: DeliveryState
    attempts: int = 0
    not_before: datetime | None = None
    error: str | None = None
    sent_at: datetime | None = None
