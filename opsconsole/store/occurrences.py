"""Scheduled instants: what became of each, and how far every job's schedule has been worked out."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select, update

from opsconsole.database import Connection
from opsconsole.model import Job, Occurrence
from opsconsole.store.schema import jobs, occurrences


def cursors(db: Connection) -> dict[str, datetime]:
    """Up to when each registered job's instants are accounted for."""
    return dict(db.execute(select(jobs.c.job, jobs.c.planned_until)).all())


def register(db: Connection, job: Job, at: datetime) -> None:
    """Remembers a job, whose instants count from `at` on; so does a schedule that is another one now."""
    spec = {"spec": job.spec, "cron": job.cron, "tz": job.tz, "planned_until": at}
    known = db.execute(select(jobs.c.spec).where(jobs.c.job == job.name)).scalar()
    if known is None:
        db.execute(insert(jobs).values(job=job.name, registered_at=at, **spec))
    elif known != job.spec:
        db.execute(update(jobs).where(jobs.c.job == job.name).values(**spec))


def record(db: Connection, occurrence: Occurrence, *, token: int, at: datetime) -> int:
    """Writes what became of an instant, or of a stretch of them, and returns its number."""
    values = {
        "job": occurrence.job.name,
        "due_at": occurrence.due_at,
        "last_due_at": occurrence.last_due_at,
        "instants": occurrence.instants,
        "state": occurrence.state,
        "reason": occurrence.reason,
        "blocked_by": occurrence.blocked_by,
        "spec": occurrence.job.spec,
        "token": token,
        "recorded_at": at,
    }
    made: int = db.execute(insert(occurrences).values(values).returning(occurrences.c.id)).scalar_one()
    return made


def advance(db: Connection, job: str, until: datetime) -> None:
    """Moves a job's cursor; it never moves back."""
    mine = (jobs.c.job == job) & (jobs.c.planned_until < until)
    db.execute(update(jobs).where(mine).values(planned_until=until))
