"""The log lines of runs, in order."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select

from opsconsole.core.database import Connection
from opsconsole.store.tables import log


class LogLine(NamedTuple):
    """A line of a run's log; numbers grow, with lines of other runs in between."""

    number: int
    at: datetime
    line: str


def after(db: Connection, run: int, number: int, *, limit: int) -> list[LogLine]:
    """The next lines of a run's log with a number above `number`."""
    query = select(log.c.id, log.c.at, log.c.line).where(log.c.run_id == run, log.c.id > number)
    return [LogLine(*row) for row in db.execute(query.order_by(log.c.id).limit(limit))]
