"""Scheduled instants: what became of each, and how far every job's schedule has been worked out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import insert, select, update

from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import Occurrence, OccurrenceState
from opsconsole.core.database import Connection
from opsconsole.store.tables import jobs, occurrences


@dataclass(frozen=True, slots=True)
class Registered:
    """A job's schedule as it was when its instants up to `planned_until` were worked out. `removed_at` is when no pack
    had the job any more.
    """

    job: str
    spec: str
    cron: str
    tz: str
    planned_until: datetime
    removed_at: datetime | None


def registered(db: Connection) -> dict[str, Registered]:
    """Every job that the store knows."""
    query = select(jobs.c.job, jobs.c.spec, jobs.c.cron, jobs.c.tz, jobs.c.planned_until, jobs.c.removed_at)
    return {row.job: Registered(*row) for row in db.execute(query)}


def register(db: Connection, job: Job, at: datetime) -> None:
    """Remembers a job, whose instants count from `at` on."""
    spec = {"spec": job.spec, "cron": job.cron, "tz": job.tz, "planned_until": at, "removed_at": None}
    if db.execute(update(jobs).where(jobs.c.job == job.name).values(spec)).rowcount == 0:
        db.execute(insert(jobs).values(job=job.name, registered_at=at, **spec))


def respecify(db: Connection, job: Job) -> None:
    """Remembers that a job keeps its instants and treats them in another way."""
    db.execute(update(jobs).where(jobs.c.job == job.name).values(spec=job.spec))


def remove(db: Connection, job: str, at: datetime) -> None:
    """Remembers that no pack has the job any more: it has no instants after `at`."""
    db.execute(update(jobs).where(jobs.c.job == job).values(removed_at=at, planned_until=at))


def record(db: Connection, occurrence: Occurrence, *, token: int, at: datetime) -> int:
    """Writes what became of an instant, or of a stretch of them, and returns its number."""
    values = {
        "job": occurrence.job,
        "due_at": occurrence.due_at,
        "last_due_at": occurrence.last_due_at,
        "instants": occurrence.instants,
        "state": occurrence.state,
        "reason": occurrence.reason,
        "blocked_by": occurrence.blocked_by,
        "spec": occurrence.spec,
        "token": token,
        "recorded_at": at,
    }
    made: int = db.execute(insert(occurrences).values(values).returning(occurrences.c.id)).scalar_one()
    return made


def started(db: Connection, number: int, at: datetime, *, on_time: timedelta) -> None:
    """The run of a due instant has begun, or has ended before it could: the instant ran, late or not."""
    mine = (occurrences.c.id == number) & (occurrences.c.state == OccurrenceState.DUE)
    due = db.execute(select(occurrences.c.due_at).where(mine)).scalar()
    if due is not None:
        state = OccurrenceState.LATE if at - due > on_time else OccurrenceState.RAN
        db.execute(update(occurrences).where(mine).values(state=state, started_at=at))


def advance(db: Connection, job: str, until: datetime) -> None:
    """Moves a job's cursor; it never moves back."""
    mine = (jobs.c.job == job) & (jobs.c.planned_until < until)
    db.execute(update(jobs).where(mine).values(planned_until=until))
