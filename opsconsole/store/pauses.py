"""Pauses of a job, a pack, or all jobs. Rows are kept after a pause has ended."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from opsconsole.core.database import Connection
from opsconsole.rules.actions import Verb
from opsconsole.rules.pauses import Pause
from opsconsole.store.tables import commands, pauses
from opsconsole.store.target_times import TargetTimes

_rows = TargetTimes(pauses, Pause)
add, end, since = _rows.add, _rows.end, _rows.since


def set_back(db: Connection, now: datetime) -> None:
    """Moves what a clock that was ahead wrote back to `now`: a pause that had begun is in force for as long as it was
    to last, and one that an operator had ended has ended.
    """
    ended = select(commands.c.done_at).where(commands.c.verb.in_((Verb.PAUSE, Verb.RESUME)), commands.c.done_at > now)
    db.execute(update(pauses).where(pauses.c.until > now, pauses.c.until.in_(ended)).values(until=now))
    _rows.set_back(db, now)
    db.execute(update(pauses).where(pauses.c.since > now).values(since=now))


def in_force(db: Connection, at: datetime) -> list[Pause]:
    """The pauses that are active at `at`, oldest first."""
    return [pause for pause in since(db, at) if pause.since <= at]
