"""What runs said: the lines of their logs, in order."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from opsconsole.database import Connection
from opsconsole.store.schema import log


def after(db: Connection, run: int, line: int, *, limit: int) -> list[tuple[int, datetime, str]]:
    """The next lines of a run's log with a number above `line`: (number, when, what)."""
    query = select(log.c.id, log.c.at, log.c.line).where(log.c.run_id == run, log.c.id > line)
    return [(number, at, said) for number, at, said in db.execute(query.order_by(log.c.id).limit(limit))]
