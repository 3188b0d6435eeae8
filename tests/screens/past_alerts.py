"""Hand-made alerts of one evening: an outage that explains others, somebody who takes care, and what is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from opsconsole.rules.alerts import AlertEvent, target_of
from opsconsole.rules.notifications import DeliveryState
from opsconsole.service.snapshot import (
    Acknowledgement,
    Alert,
    AlertCard,
    AlertPage,
    AlertState,
    FindingKind,
    Notification,
    Severity,
    Silence,
)
from tests.screens.samples import BUSY, FAILED, NOW, OVERDUE, TROUBLE, ago

WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL


def alert(
    number: int, rule: FindingKind, subject: str, message: str, since: datetime, severity: Severity, **other: Any
) -> Alert:
    """An alert that was recorded at once."""
    pack, _, name = subject.partition(".")
    own = {"job": subject, "pack": pack} if name else {}
    return Alert(number, rule, subject, severity, since, since, message, **(own | other))


OUTAGE = alert(
    7,
    FindingKind.UNREACHABLE,
    "the data database",
    "is unreachable: connection refused at db.internal:5432",
    ago(minutes=8),
    CRITICAL,
    evidence={"count": 1, "reason": "connection refused"},
)
LATE = alert(
    8,
    FindingKind.OVERDUE,
    "reporting.daily_report",
    "is overdue: its run has not started",
    ago(minutes=4),
    CRITICAL,
    cause=7,
)
ITEMS = alert(
    5,
    FindingKind.FAILED_RUN,
    "attempts.cache_day",
    "3 of 10,000 failed (2026-01-19): unknown question",
    ago(hours=9, minutes=18),
    WARNING,
    run=4811,
    evidence={"count": 3, "numbers": {"planned": 10_000, "ok": 9_997, "failed": 3}, "items": ["u0417", "u1290"]},
    acknowledged=Acknowledgement("ben", ago(hours=9), NOW + timedelta(days=3), "ticket 81"),
)
STALE = alert(
    6,
    FindingKind.INCOMPLETE_WINDOWS,
    "reporting.daily_snapshot",
    "has 1 incomplete window (1 stale): 2026-01-17",
    ago(hours=40),
    WARNING,
)
QUEUE = alert(
    4, FindingKind.CHECK, "exams.queue", "reports: the queue is growing", ago(hours=1), WARNING, job=None, pack="exams"
)
OVER = alert(
    3,
    FindingKind.FAILED_RUN,
    "practice.warm_cache",
    "12 of 1,912 failed (2026-01-19)",
    ago(hours=11, minutes=49),
    WARNING,
    run=4700,
    resolved_at=ago(hours=11, minutes=36),
)
SILENCED = Silence(2, "exams", ago(minutes=50), NOW + timedelta(hours=5), "asha", "the API is migrated")
EXACT = Silence(3, target_of(STALE), ago(minutes=5), NOW + timedelta(hours=2), "asha", "")

CARDS = (
    AlertCard(OUTAGE, AlertState.FIRING, explains=(8,)),
    AlertCard(LATE, AlertState.FIRING),
    AlertCard(STALE, AlertState.FIRING),
    AlertCard(QUEUE, AlertState.SILENCED, silence=SILENCED),
    AlertCard(ITEMS, AlertState.ACKNOWLEDGED, ITEMS.acknowledged),
    AlertCard(OVER, AlertState.RESOLVED),
)


def sent(
    number: int, channel: str, at: datetime, state: DeliveryState = DeliveryState.SENT, **other: Any
) -> Notification:
    """A notification about the outage."""
    done = at + timedelta(seconds=1) if state is DeliveryState.SENT else None
    made = Notification(
        number, f"uid{number}", 7, AlertEvent.FIRED, channel, CRITICAL, "title", "body", at, state, 1, sent_at=done
    )
    return replace(made, **other)


def page_of(card: AlertCard, **other: Any) -> AlertPage:
    """The details of an alert without a history."""
    return replace(AlertPage(NOW, card, None, (), (), ()), **other)


PAGES = (
    page_of(
        CARDS[0],
        explains=(CARDS[1],),
        notifications=(
            sent(3, "phone", ago(minutes=7), DeliveryState.DUE, attempts=4, error="SMTP timeout"),
            sent(2, "team", ago(minutes=8)),
        ),
        earlier=(
            replace(OUTAGE, id=2, since=ago(days=16), resolved_at=ago(days=16) + timedelta(seconds=40)),
            replace(
                OUTAGE,
                id=1,
                since=ago(days=22),
                resolved_at=ago(days=22) + timedelta(minutes=6),
                acknowledged=Acknowledgement("asha", ago(days=22), None, "failover"),
            ),
        ),
    ),
    page_of(CARDS[1], cause=CARDS[0]),
    *(page_of(card) for card in CARDS[2:]),
)

SOME = replace(BUSY, alerts=CARDS, silences=(SILENCED,), findings=(OVERDUE, FAILED))
"""A Snapshot with all of them."""
NONE = replace(BUSY, alerts=())
LOST = replace(TROUBLE, alerts=CARDS, silences=(SILENCED,))
"""The store is unreachable: these are the alerts that it had."""
