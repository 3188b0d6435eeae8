"""Deletes exams that are over, and, when somebody says so, requests that are stuck."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, delete, or_, select

from jobs.exams.stock import delete_over, over
from jobs.exams.tables import OPEN, RequestState, exam_chunks, exam_requests, pre_generated_exams
from opsconsole import Context, Items, Job, Scope
from opsconsole.authoring.job import BY_HAND

STUCK_AFTER = timedelta(days=2)
"""A message batch takes a day at most; what waits for longer than two has been forgotten by everybody."""

e, r = pre_generated_exams.c, exam_requests.c


def exams_over(scope: Scope) -> Select[tuple[str]]:
    """Exams nobody took in time, and those that were taken a day ago or earlier."""
    return select(e.id).where(over(scope.as_of))


def delete_exams(ctx: Context, exams: Items) -> None:
    """Deletes those of the batch that are over."""
    with ctx.writing() as db:
        ctx.count("deleted", delete_over(db, exams.among(e.id), ctx.now))


def stuck(as_of: datetime) -> Any:
    """The condition that a request goes nowhere: it failed, or nothing has come of it for two days."""
    waits = and_(r.state.in_([state.value for state in OPEN]), r.updated_at <= as_of - STUCK_AFTER)
    return or_(r.state == RequestState.FAILED.value, waits)


def stuck_requests(scope: Scope) -> Select[tuple[str]]:
    """Every request that goes nowhere."""
    return select(r.id).where(stuck(scope.as_of))


def clear_requests(ctx: Context, requests: Items) -> None:
    """Deletes those of the batch that are still stuck, with what was made of their exams."""
    with ctx.writing() as db:
        gone = db.execute(delete(exam_requests).where(requests.among(r.id), stuck(ctx.as_of)).returning(r.id)).all()
        left = select(1).where(r.id == exam_chunks.c.exam_key).exists()
        db.execute(delete(exam_chunks).where(requests.among(exam_chunks.c.exam_key), ~left))
    ctx.count("cleared", len(gone))


cleanup = Job(
    "exams.cleanup",
    exams_over,
    delete_exams,
    cron=BY_HAND,
    batch=500,
    description="deletes exams that are over; exams.generate does it too",
)

clear_stuck = Job(
    "exams.clear_stuck",
    stuck_requests,
    clear_requests,
    cron=BY_HAND,
    batch=500,
    description="deletes requests that failed or have waited for two days, with what was paid for of their exams",
)
