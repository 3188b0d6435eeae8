"""Presence: which consoles and headless processes are attached to the store, since when, and where their people are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update

from opsconsole.core.database import Connection
from opsconsole.store.tables import presence

BEAT = timedelta(seconds=5)
GONE_AFTER = timedelta(seconds=20)
"""Whoever has not been seen for so long is not shown; a killed process cannot say goodbye."""


@dataclass(frozen=True, slots=True)
class Attached:
    """Somebody who looks, or a process without a screen. `interface` is `console` or `headless`."""

    owner: str
    who: str
    origin: str
    host: str
    pid: int
    interface: str
    screen: str
    since: datetime
    seen_at: datetime


def say(db: Connection, me: Attached) -> None:
    """Writes that this process is there."""
    mine = presence.c.owner == me.owner
    seen = {"screen": me.screen, "seen_at": me.seen_at}
    if db.execute(update(presence).where(mine).values(seen)).rowcount == 0:
        values = {"owner": me.owner, "who": me.who, "origin": me.origin, "host": me.host, "pid": me.pid}
        db.execute(insert(presence).values(**values, interface=me.interface, since=me.since, **seen))
        db.execute(delete(presence).where(presence.c.seen_at < me.seen_at - 100 * GONE_AFTER))


def leave(db: Connection, owner: str) -> None:
    """This process is going."""
    db.execute(delete(presence).where(presence.c.owner == owner))


def attached(db: Connection, now: datetime) -> list[Attached]:
    """Who is there, longest first."""
    query = select(presence).where(presence.c.seen_at > now - GONE_AFTER).order_by(presence.c.since)
    return [Attached(*row) for row in db.execute(query)]
