"""Alerts: findings with a life. At most one of a rule and subject is open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Select, bindparam, insert, or_, select, update

from opsconsole.core.database import Connection
from opsconsole.core.errors import UnknownAlert
from opsconsole.rules.alerts import Acknowledgement, Alert
from opsconsole.rules.findings import FindingKey, FindingKind, Severity
from opsconsole.store.rows import NEVER, NO_VALUES, Stored, read
from opsconsole.store.tables import alerts

_OPEN = select(alerts).where(alerts.c.resolved_at.is_(None)).order_by(alerts.c.id)
_ONE = select(alerts).where(alerts.c.id == bindparam("number"))
_RESOLVED = (
    select(alerts)
    .where(alerts.c.resolved_at >= bindparam("at", type_=alerts.c.resolved_at.type))
    .order_by(alerts.c.resolved_at.desc(), alerts.c.id.desc())
    .limit(bindparam("limit", type_=Integer))
)


def open_alerts(db: Connection) -> list[Alert]:
    """The alerts that are not resolved, oldest first."""
    return _values(db, _OPEN)


def get(db: Connection, number: int) -> Alert:
    """One alert. Raises UnknownAlert."""
    found = _values(db, _ONE, {"number": number})
    if not found:
        raise UnknownAlert(number)
    return found[0]


def newest(db: Connection, *, limit: int, since: datetime | None = None) -> list[Alert]:
    """The newest alerts, open ones first, then those resolved last. With `since`, only those that were open at that
    time or later.
    """
    c = alerts.c
    query = select(alerts).order_by(c.resolved_at.is_not(None), c.resolved_at.desc(), c.id.desc()).limit(limit)
    if since is not None:
        query = query.where(or_(c.resolved_at.is_(None), c.resolved_at >= since))
    return _values(db, query)


def resolved_since(db: Connection, at: datetime, *, limit: int) -> list[Alert]:
    """The alerts that were resolved at `at` or later, newest first."""
    return _values(db, _RESOLVED, {"at": at, "limit": limit})


def earlier(db: Connection, alert: Alert, *, limit: int) -> list[Alert]:
    """The alerts of the same rule and subject before this one, newest first."""
    c = alerts.c
    mine = (c.rule == alert.rule, c.subject == alert.subject, c.id < alert.id)
    return _values(db, select(alerts).where(*mine).order_by(c.id.desc()).limit(limit))


def explained_by(db: Connection, alert: Alert, *, limit: int) -> list[Alert]:
    """The alerts that this one explains, oldest first."""
    c = alerts.c
    return _values(db, select(alerts).where(c.cause_id == alert.id).order_by(c.id).limit(limit))


def add(db: Connection, key: FindingKey, values: Mapping[str, Any]) -> int:
    """Adds an open alert and returns its number. `values` are columns."""
    rule, subject = key
    row = {"rule": rule, "subject": subject, **values}
    number: int = db.execute(insert(alerts).values(row).returning(alerts.c.id)).scalar_one()
    return number


def change(db: Connection, number: int, values: Mapping[str, Any]) -> None:
    """Changes columns of an alert."""
    db.execute(update(alerts).where(alerts.c.id == number).values(dict(values)))


def acknowledge(db: Connection, number: int, given: Acknowledgement) -> None:
    """Records who acknowledged an alert, and until when."""
    change(
        db,
        number,
        {
            "acknowledged_by": given.who,
            "acknowledged_at": given.at,
            "acknowledged_until": given.until,
            "acknowledged_note": given.note,
        },
    )


def set_back(db: Connection, now: datetime) -> None:
    """Moves what a clock that was ahead wrote about open alerts back to `now`: an acknowledgement lasts for as long as
    it was to last.
    """
    c = alerts.c
    is_open = c.resolved_at.is_(None)
    for alert in open_alerts(db):
        if (given := alert.acknowledged) is not None and given.at > now:
            until = None if given.until is None else now + (given.until - given.at)
            acknowledge(db, alert.id, replace(given, at=now, until=until))
    for column in (c.since, c.opened_at, c.worse_at):
        db.execute(update(alerts).where(is_open, column > now).values({column: now}))
    db.execute(update(alerts).where(c.resolved_at > now).values(resolved_at=now))


def unacknowledge(db: Connection, number: int) -> None:
    """Removes the acknowledgement of an alert."""
    columns = ("acknowledged_by", "acknowledged_at", "acknowledged_until", "acknowledged_note")
    change(db, number, dict.fromkeys(columns))


def _values(db: Connection, query: Select[Any], values: Mapping[str, object] = NO_VALUES) -> list[Alert]:
    return [_value(row) for row in read(db, query, alerts, _Row, values)]


def _value(row: _Row) -> Alert:
    acknowledged = None
    if row.acknowledged_at is not None:
        acknowledged = Acknowledgement(
            row.acknowledged_by or "", row.acknowledged_at, row.acknowledged_until, row.acknowledged_note or ""
        )
    return Alert(
        id=row.id,
        rule=row.rule,
        subject=row.subject,
        severity=row.severity,
        since=row.since,
        opened_at=row.opened_at,
        message=row.message,
        worse_at=row.worse_at,
        resolved_at=row.resolved_at,
        job=row.job,
        pack=row.pack,
        run=row.run_id,
        cause=row.cause_id,
        acknowledged=acknowledged,
        evidence=row.evidence,
        baseline=row.baseline,
    )


class _Row(Stored, frozen=True, kw_only=True):
    """An alert whose severity cannot be read is critical; one whose rule cannot be read has no finding, and is resolved
    by the next leader that looks.
    """

    id: int
    rule: FindingKind = FindingKind.CHECK
    subject: str = ""
    severity: Severity = Severity.CRITICAL
    since: datetime = NEVER
    opened_at: datetime = NEVER
    worse_at: datetime | None = None
    resolved_at: datetime | None = NEVER
    message: str = ""
    evidence: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies it
    job: str | None = None
    pack: str | None = None
    run_id: int | None = None
    cause_id: int | None = None
    baseline: int = 1
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_until: datetime | None = None
    acknowledged_note: str | None = None
