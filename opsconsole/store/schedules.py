"""Schedules that operators changed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, insert, select

from opsconsole.authoring.changed_schedule import ChangedSchedule
from opsconsole.core.database import Connection
from opsconsole.store.rows import NEVER, Stored, read, without_note
from opsconsole.store.tables import schedules

_ALL = select(schedules)


def changed(db: Connection) -> dict[str, ChangedSchedule]:
    """The changed schedules by job."""
    return {row.job: ChangedSchedule(**without_note(row)) for row in read(db, _ALL, schedules, _Row)}


def change(db: Connection, new: ChangedSchedule) -> None:
    """Stores a schedule in place of an earlier one of the job."""
    reset(db, new.job)
    values = {name: getattr(new, name) for name in ChangedSchedule.__slots__}
    db.execute(insert(schedules).values(values))


def reset(db: Connection, job: str) -> bool:
    """Removes the changed schedule of a job; False when there is none."""
    return db.execute(delete(schedules).where(schedules.c.job == job)).rowcount == 1


class _Row(Stored, frozen=True, kw_only=True):
    job: str
    cron: str = ""
    tz: str = "UTC"
    who: str = "unreadable"
    note: str = ""
    since: datetime = NEVER
    base_cron: str | None = None
    base_tz: str = "UTC"
