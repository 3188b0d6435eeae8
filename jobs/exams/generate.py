"""Requests the exams that users lack, and deletes expired and used ones."""

from __future__ import annotations

from sqlalchemy import Select, and_, or_, select

from jobs.common import users
from jobs.exams.activity import likely_to_sit_one
from jobs.exams.inventory import delete_finished, finished, lacks, request_missing
from jobs.exams.options import configuration_problem, read_options
from jobs.exams.tables import ExamType, pre_generated_exams
from jobs.exams.work_queue import REQUESTED_BY_JOB
from opsconsole import Context, Items, Job, Limits, Scope, hours

e = pre_generated_exams.c


def users_lacking_exams(scope: Scope) -> Select[tuple[str]]:
    """Active users without a valid exam of each type who are likely to sit one, and users with an exam to delete."""
    likely = likely_to_sit_one(read_options(scope.options), scope.as_of)
    lacking = select(users.c.id).where(users.c.active, likely, or_(*(lacks(exam, scope.as_of) for exam in ExamType)))
    affected = lacking.union(select(e.user_id).where(finished(scope.as_of))).subquery()
    return select(affected.c.id)


def request_exams(ctx: Context, batch: Items) -> None:
    """Deletes expired and used exams and requests missing ones; skips the users when exams are not configured."""
    options = read_options(ctx.options)
    problem = configuration_problem(options)
    likely = likely_to_sit_one(options, ctx.as_of)
    with ctx.writing() as db:
        deleted = delete_finished(db, batch.among(e.user_id), ctx.now)
        requested = []
        if not problem:
            requested = request_missing(db, lambda column: and_(batch.among(column), likely), ctx.now, REQUESTED_BY_JOB)
    ctx.count("deleted", deleted)
    ctx.count("requested", len(requested))
    if problem:
        for user in batch:
            ctx.skip(user, problem)


generate = Job(
    "exams.generate",
    users_lacking_exams,
    request_exams,
    cron="0 */6 * * *",
    batch=500,
    limits=Limits(max_age=hours(7)),
    aliases=("generate-exams",),
    description="Requests the exams that users lack, and deletes expired and used ones",
)
