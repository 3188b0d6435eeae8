"""Registrations of jobs: the schedule that leaders follow, and how far each job's scheduled times are recorded."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select, update

from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import Registration
from opsconsole.core.database import Connection
from opsconsole.store.tables import jobs


def registrations(db: Connection) -> dict[str, Registration]:
    """Every registration by job, including jobs that were removed."""
    columns = (
        jobs.c.job,
        jobs.c.spec,
        jobs.c.cron,
        jobs.c.tz,
        jobs.c.registered_at,
        jobs.c.planned_until,
        jobs.c.removed_at,
    )
    return {row.job: Registration(*row) for row in db.execute(select(*columns))}


def register(db: Connection, job: Job, at: datetime) -> None:
    """Stores the job's current schedule; its scheduled times count from `at` on."""
    spec = {"spec": job.spec, "cron": job.cron, "tz": job.tz, "planned_until": at, "removed_at": None}
    if db.execute(update(jobs).where(jobs.c.job == job.name).values(spec)).rowcount == 0:
        db.execute(insert(jobs).values(job=job.name, registered_at=at, **spec))


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
    found = dict(db.execute(select(jobs.c.job, jobs.c.planned_until).where(ahead)).all())
    if found:
        for column in (jobs.c.registered_at, jobs.c.removed_at, jobs.c.planned_until):
            db.execute(update(jobs).where(column > now).values({column.name: now}))
    return found


def advance(db: Connection, job: str, until: datetime) -> None:
    """Moves the time up to which the job's scheduled times are recorded; it never moves back."""
    mine = (jobs.c.job == job) & (jobs.c.planned_until < until)
    db.execute(update(jobs).where(mine).values(planned_until=until))
