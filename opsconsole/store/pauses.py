"""Pauses of a job, a pack, or all jobs. Rows are kept after a pause has ended."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, insert, or_, select, update

from opsconsole.core.database import Connection
from opsconsole.rules.actions import Verb
from opsconsole.rules.pauses import Pause
from opsconsole.store.rows import NEVER, Stored, read
from opsconsole.store.tables import commands, pauses

_NOT_ENDED = (
    select(pauses)
    .where(or_(pauses.c.until.is_(None), pauses.c.until > bindparam("at", type_=pauses.c.until.type)))
    .order_by(pauses.c.id)
)


def add(db: Connection, target: str, *, since: datetime, until: datetime | None, who: str, note: str) -> int:
    """Adds a pause and returns its number."""
    values = {"target": target, "since": since, "until": until, "who": who, "note": note}
    number: int = db.execute(insert(pauses).values(values).returning(pauses.c.id)).scalar_one()
    return number


def end(db: Connection, target: str, at: datetime) -> int:
    """Ends the active pauses of exactly that target; returns how many."""
    mine = (pauses.c.target == target) & or_(pauses.c.until.is_(None), pauses.c.until > at)
    return db.execute(update(pauses).where(mine).values(until=at)).rowcount


def set_back(db: Connection, now: datetime) -> None:
    """Moves what a clock that was ahead wrote back to `now`: a pause that had begun is in force for as long as it was
    to last, and one that an operator had ended has ended.
    """
    ended = select(commands.c.done_at).where(commands.c.verb.in_((Verb.PAUSE, Verb.RESUME)), commands.c.done_at > now)
    db.execute(update(pauses).where(pauses.c.until > now, pauses.c.until.in_(ended)).values(until=now))
    for pause in since(db, now):
        if pause.since > now:
            until = None if pause.until is None else now + (pause.until - pause.since)
            db.execute(update(pauses).where(pauses.c.id == pause.id).values(since=now, until=until))
    db.execute(update(pauses).where(pauses.c.since > now).values(since=now))


def in_force(db: Connection, at: datetime) -> list[Pause]:
    """The pauses that are active at `at`, oldest first."""
    return [pause for pause in since(db, at) if pause.since <= at]


def since(db: Connection, at: datetime) -> list[Pause]:
    """The pauses that are active at `at` or later, oldest first."""
    rows = read(db, _NOT_ENDED, pauses, _Row, {"at": at})
    return [Pause(row.id, row.target, row.since, row.until, row.who, row.note) for row in rows]


class _Row(Stored, frozen=True, kw_only=True):
    """A pause whose times cannot be read is in force until somebody resumes what it pauses."""

    id: int
    target: str = ""
    since: datetime = NEVER
    until: datetime | None = None
    who: str = "unreadable"
    note: str = ""
