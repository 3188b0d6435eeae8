"""Deletes expired and used exams, and, on request, requests that are stuck."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, delete, or_, select

from jobs.exams.inventory import delete_finished, finished
from jobs.exams.tables import OPEN, RequestState, exam_chunks, exam_requests, pre_generated_exams
from opsconsole import Context, Items, Job, Scope

STUCK_AFTER = timedelta(days=2)
"""A message batch takes a day at most, so a request that waits for two days is stuck."""

e, r = pre_generated_exams.c, exam_requests.c


def finished_exams(scope: Scope) -> Select[tuple[str]]:
    """Exams that expired unused, and those that were used a day ago or earlier."""
    return select(e.id).where(finished(scope.as_of))


def delete_exams(ctx: Context, exams: Items) -> None:
    """Deletes those of the batch that are still expired or used."""
    with ctx.writing() as db:
        ctx.count("deleted", delete_finished(db, exams.among(e.id), ctx.now))


def is_stuck(as_of: datetime) -> Any:
    """The condition that a request failed or has waited without progress for two days."""
    waits = and_(r.state.in_([state.value for state in OPEN]), r.updated_at <= as_of - STUCK_AFTER)
    return or_(r.state == RequestState.FAILED.value, waits)


def stuck_requests(scope: Scope) -> Select[tuple[str]]:
    """All stuck requests."""
    return select(r.id).where(is_stuck(scope.as_of))


def clear_requests(ctx: Context, requests: Items) -> None:
    """Deletes those of the batch that are still stuck, with the stored parts of their exams."""
    with ctx.writing() as db:
        deleted = db.execute(
            delete(exam_requests).where(requests.among(r.id), is_stuck(ctx.as_of)).returning(r.id)
        ).all()
        kept = select(1).where(r.id == exam_chunks.c.exam_key).exists()
        db.execute(delete(exam_chunks).where(requests.among(exam_chunks.c.exam_key), ~kept))
    ctx.count("cleared", len(deleted))


cleanup = Job(
    "exams.cleanup",
    finished_exams,
    delete_exams,
    cron=None,
    batch=500,
    description="Deletes expired and used exams, as exams.generate does too",
)

clear_stuck = Job(
    "exams.clear_stuck",
    stuck_requests,
    clear_requests,
    cron=None,
    batch=500,
    description="Deletes requests that failed or are stuck, with the paid parts of their exams",
)
