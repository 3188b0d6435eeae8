"""Pauses of a job, a pack, or all jobs. Rows are kept after a pause has ended."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, or_, select, update

from opsconsole.core.database import Connection
from opsconsole.rules.pauses import Pause
from opsconsole.store.tables import pauses


def add(db: Connection, target: str, *, since: datetime, until: datetime | None, who: str, note: str) -> int:
    """Adds a pause and returns its number."""
    values = {"target": target, "since": since, "until": until, "who": who, "note": note}
    number: int = db.execute(insert(pauses).values(values).returning(pauses.c.id)).scalar_one()
    return number


def end(db: Connection, target: str, at: datetime) -> int:
    """Ends the active pauses of exactly that target; returns how many."""
    mine = (pauses.c.target == target) & or_(pauses.c.until.is_(None), pauses.c.until > at)
    return db.execute(update(pauses).where(mine).values(until=at)).rowcount


def in_force(db: Connection, at: datetime) -> list[Pause]:
    """The pauses that are active at `at`, oldest first."""
    return [pause for pause in since(db, at) if pause.since <= at]


def since(db: Connection, at: datetime) -> list[Pause]:
    """The pauses that are active at `at` or later, oldest first."""
    query = select(pauses).where(or_(pauses.c.until.is_(None), pauses.c.until > at)).order_by(pauses.c.id)
    return [Pause(*row) for row in db.execute(query)]
