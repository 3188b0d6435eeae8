"""Silences of alerts. Rows are kept after a silence has ended."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, insert, or_, select, update

from opsconsole.core.database import Connection
from opsconsole.rules.alerts import Silence
from opsconsole.store.rows import NEVER, Stored, read
from opsconsole.store.tables import silences

_NOT_ENDED = (
    select(silences)
    .where(or_(silences.c.until.is_(None), silences.c.until > bindparam("at", type_=silences.c.until.type)))
    .order_by(silences.c.id)
)


def add(db: Connection, target: str, *, since: datetime, until: datetime | None, who: str, note: str) -> int:
    """Adds a silence and returns its number."""
    values = {"target": target, "since": since, "until": until, "who": who, "note": note}
    number: int = db.execute(insert(silences).values(values).returning(silences.c.id)).scalar_one()
    return number


def end(db: Connection, target: str, at: datetime) -> int:
    """Ends the active silences of exactly that target; returns how many."""
    mine = (silences.c.target == target) & or_(silences.c.until.is_(None), silences.c.until > at)
    return db.execute(update(silences).where(mine).values(until=at)).rowcount


def set_back(db: Connection, now: datetime) -> None:
    """Moves what a clock that was ahead wrote back to `now`: a silence lasts for as long as it was to last."""
    for silence in in_force(db, now):
        if silence.since > now:
            until = None if silence.until is None else now + (silence.until - silence.since)
            db.execute(update(silences).where(silences.c.id == silence.id).values(since=now, until=until))


def in_force(db: Connection, at: datetime) -> list[Silence]:
    """The silences that have not ended at `at`, oldest first. A silence whose end cannot be read has none."""
    rows = read(db, _NOT_ENDED, silences, _Row, {"at": at})
    return [Silence(row.id, row.target, row.since, row.until, row.who, row.note) for row in rows]


class _Row(Stored, frozen=True, kw_only=True):
    id: int
    target: str = ""
    since: datetime = NEVER
    until: datetime | None = None
    who: str = "unreadable"
    note: str = ""
