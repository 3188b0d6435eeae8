"""Presence: the consoles, headless processes and workers that are attached."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, insert, select, update

from opsconsole.core.database import Connection
from opsconsole.store.rows import NEVER, Stored, read, without_note
from opsconsole.store.tables import presence

BEAT = timedelta(seconds=5)
GONE_AFTER = timedelta(seconds=20)
"""A process without a heartbeat for this long is not shown; a killed one cannot remove its row."""

# Built once: every attached process writes it all the time.
_BEAT = (
    update(presence)
    .where(presence.c.owner == bindparam("mine"))
    .values(screen=bindparam("page"), seen_at=bindparam("at"))
)


@dataclass(frozen=True, slots=True)
class Attached:
    """An attached process. `interface` is `console`, `headless` or `worker`; `screen` is the open page, or what a
    worker does.
    """

    owner: str
    who: str
    origin: str
    host: str
    pid: int
    interface: str
    screen: str
    since: datetime
    seen_at: datetime


def announce(db: Connection, me: Attached) -> None:
    """Writes the heartbeat of a process."""
    if db.execute(_BEAT, {"mine": me.owner, "page": me.screen, "at": me.seen_at}).rowcount == 0:
        values = {"owner": me.owner, "who": me.who, "origin": me.origin, "host": me.host, "pid": me.pid}
        db.execute(
            insert(presence).values(
                **values, interface=me.interface, since=me.since, screen=me.screen, seen_at=me.seen_at
            )
        )
        db.execute(delete(presence).where(presence.c.seen_at < me.seen_at - 100 * GONE_AFTER))


def leave(db: Connection, owner: str) -> None:
    """Removes the row of a process that ends."""
    db.execute(delete(presence).where(presence.c.owner == owner))


def attached(db: Connection, now: datetime) -> list[Attached]:
    """The attached processes, oldest first."""
    # A stamp far ahead is from a process that ended before the clock was set back.
    is_recent = presence.c.seen_at.between(now - GONE_AFTER, now + GONE_AFTER)
    query = select(presence).where(is_recent).order_by(presence.c.since)
    return [Attached(**without_note(row)) for row in read(db, query, presence, _Row)]


class _Row(Stored, frozen=True, kw_only=True):
    owner: str
    who: str = "unreadable"
    origin: str = ""
    host: str = ""
    pid: int = 0
    interface: str = ""
    screen: str = ""
    since: datetime = NEVER
    seen_at: datetime = NEVER
