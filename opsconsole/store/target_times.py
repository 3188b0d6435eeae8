"""What pauses and silences share: rows that apply to a target from one time until another, or for good."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Table, bindparam, insert, or_, select, update

from opsconsole.core.database import Connection
from opsconsole.rules.alerts import Silence
from opsconsole.rules.pauses import Pause
from opsconsole.store.rows import NEVER, Stored, read

Value = TypeVar("Value", bound=Pause | Silence)


class _Row(Stored, frozen=True, kw_only=True):
    """A row whose times cannot be read applies until somebody ends it."""

    id: int
    target: str = ""
    since: datetime = NEVER
    until: datetime | None = None
    who: str = "unreadable"
    note: str = ""


class TargetTimes(Generic[Value]):
    """The rows of `table`, from which `make` creates values."""

    def __init__(self, table: Table, make: Callable[..., Value]) -> None:
        self._table = table
        self._make: Callable[..., Value] = make
        at = bindparam("at", type_=table.c.until.type)
        self._not_ended = select(table).where(self._ends_after(at)).order_by(table.c.id)

    def add(self, db: Connection, target: str, *, since: datetime, until: datetime | None, who: str, note: str) -> int:
        """Adds a row and returns its number."""
        values = {"target": target, "since": since, "until": until, "who": who, "note": note}
        number: int = db.execute(insert(self._table).values(values).returning(self._table.c.id)).scalar_one()
        return number

    def end(self, db: Connection, target: str, at: datetime) -> int:
        """Ends the active rows of exactly that target; returns how many."""
        mine = (self._table.c.target == target) & self._ends_after(at)
        return db.execute(update(self._table).where(mine).values(until=at)).rowcount

    def since(self, db: Connection, at: datetime) -> list[Value]:
        """The rows that apply at `at` or later, oldest first."""
        rows = read(db, self._not_ended, self._table, _Row, {"at": at})
        return [self._make(row.id, row.target, row.since, row.until, row.who, row.note) for row in rows]

    def set_back(self, db: Connection, now: datetime) -> None:
        """Moves rows that start later to `now`: a clock was ahead. They apply for as long as they were to."""
        for row in self.since(db, now):
            if row.since > now:
                until = None if row.until is None else now + (row.until - row.since)
                db.execute(update(self._table).where(self._table.c.id == row.id).values(since=now, until=until))

    def _ends_after(self, at: Any) -> ColumnElement[bool]:
        return or_(self._table.c.until.is_(None), self._table.c.until > at)
