"""Registrations of jobs: the schedule that leaders follow, and how far each job's scheduled times are recorded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
from sqlalchemy import insert, select, update

from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import Registration
from opsconsole.core.database import Connection
from opsconsole.store.many_rows import ManyRows, parameter
from opsconsole.store.rows import NEVER, Stored, read
from opsconsole.store.tables import jobs

_ALL = select(jobs)


def registrations(db: Connection) -> dict[str, Registration]:
    """Every registration by job, including jobs that were removed."""
    return {row.job: Registration(**msgspec.structs.asdict(row)) for row in read(db, _ALL, jobs, _Row)}


def register(db: Connection, job: Job, at: datetime) -> None:
    """Stores the job's current schedule; its scheduled times count from `at` on."""
    spec = {"spec": job.spec, "cron": job.cron, "tz": job.tz, "planned_until": at, "removed_at": None}
    if db.execute(update(jobs).where(jobs.c.job == job.name).values(spec)).rowcount == 0:
        db.execute(insert(jobs).values(job=job.name, registered_at=at, **spec))


def replace(db: Connection, job: Job, at: datetime) -> None:
    """Replaces the registration of a job that cannot be read."""
    db.execute(update(jobs).where(jobs.c.job == job.name).values(registered_at=at))
    register(db, job, at)


def respecify(db: Connection, job: Job) -> None:
    """Stores a new fingerprint for a job whose scheduled times stay the same."""
    db.execute(update(jobs).where(jobs.c.job == job.name).values(spec=job.spec))


def remove(db: Connection, job: str, at: datetime) -> None:
    """Marks a job that no pack defines any more; it has no scheduled times after `at`."""
    db.execute(update(jobs).where(jobs.c.job == job).values(removed_at=at, planned_until=at))


def set_back(db: Connection, now: datetime) -> dict[str, datetime]:
    """Moves the cursors that are later than `now` back to it, and returns where they were, by job. The clock has been
    set back since they were written.
    """
    ahead = jobs.c.planned_until > now
    found = {row.job: row.planned_until for row in read(db, select(jobs).where(ahead), jobs, _Row)}
    if found:
        for column in (jobs.c.registered_at, jobs.c.removed_at, jobs.c.planned_until):
            db.execute(update(jobs).where(column > now).values({column.name: now}))
    return found


def advance(db: Connection, cursors: Mapping[str, datetime]) -> None:
    """Moves the times up to which the scheduled times of jobs are recorded; none moves back."""
    _ADVANCE.execute(db, [{"name": job, "until": until} for job, until in cursors.items()])


_UNTIL = parameter("until", jobs.c.planned_until)
_ADVANCE = ManyRows(
    update(jobs)
    .where(jobs.c.job == parameter("name", jobs.c.job), jobs.c.planned_until < _UNTIL)
    .values(planned_until=_UNTIL)
)


class _Row(Stored, frozen=True, kw_only=True):
    job: str
    spec: str = ""
    cron: str | None = None
    tz: str = "UTC"
    registered_at: datetime = NEVER
    planned_until: datetime = NEVER
    removed_at: datetime | None = None
