"""Requests the exams that users lack, and deletes those that are over."""

from __future__ import annotations

from sqlalchemy import Select, or_, select

from jobs.common import users
from jobs.exams.options import settings_of, what_is_missing
from jobs.exams.stock import delete_over, lacks, over, request_missing
from jobs.exams.tables import ExamType, pre_generated_exams
from jobs.exams.work_queue import GENERATED
from opsconsole import Context, Items, Job, Limits, Scope, hours

e = pre_generated_exams.c


def short_of_exams(scope: Scope) -> Select[tuple[str]]:
    """Active users without a valid exam of each type, and users with an exam that is over."""
    lacking = select(users.c.id).where(users.c.active, or_(*(lacks(exam, scope.as_of) for exam in ExamType)))
    found = lacking.union(select(e.user_id).where(over(scope.as_of))).subquery()
    return select(found.c.id)


def generate_exams(ctx: Context, batch: Items) -> None:
    """Deletes what is over, and requests what is missing; where no exam can be made, only says so."""
    missing = what_is_missing(settings_of(ctx.options))
    with ctx.writing() as db:
        deleted = delete_over(db, batch.among(e.user_id), ctx.now)
        requested = [] if missing else request_missing(db, batch.among, ctx.now, GENERATED)
    ctx.count("deleted", deleted)
    ctx.count("requested", len(requested))
    if missing:
        for user in batch:
            ctx.skip(user, missing)


generate = Job(
    "exams.generate",
    short_of_exams,
    generate_exams,
    cron="0 */6 * * *",
    batch=500,
    limits=Limits(max_age=hours(7)),
    aliases=("generate-exams",),
    description="requests the exams that users lack, and deletes those that are over",
)
