"""Runs that were created or were open since an earlier call: the only ones that can have changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from sqlalchemy import func, select

from opsconsole.authoring.run import OPEN, Run
from opsconsole.core.database import Connection
from opsconsole.store.run_rows import read_runs
from opsconsole.store.tables import runs

PAGE = 500

_COLUMNS = [column for column in runs.c if column.name != "facts"]  # the largest, and no reader of changes needs it


def newest_number(db: Connection) -> int:
    """The number of the newest run; 0 without runs."""
    return db.execute(select(func.max(runs.c.id))).scalar() or 0


def open_runs(db: Connection) -> list[Run]:
    """The runs that have not ended, without their facts."""
    return read_runs(db, select(*_COLUMNS).where(runs.c.state.in_(OPEN)).order_by(runs.c.id))


def among(db: Connection, numbers: Collection[int]) -> Iterator[Run]:
    """The runs with these numbers, without their facts. Those that no longer exist are left out."""
    left = iter(sorted(numbers))
    while page := list(islice(left, PAGE)):
        yield from read_runs(db, select(*_COLUMNS).where(runs.c.id.in_(page)))


def created_after(db: Connection, number: int) -> Iterator[Run]:
    """The runs with greater numbers, oldest first, without their facts."""
    while page := read_runs(db, select(*_COLUMNS).where(runs.c.id > number).order_by(runs.c.id).limit(PAGE)):
        yield from page
        number = page[-1].id
