"""HTTP routes: fetch an exam, request one, and analytics."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import select

from jobs.common import users
from jobs.exams.checks import lacking
from jobs.exams.inventory import Analytics, analytics, request_missing, take_oldest, valid
from jobs.exams.options import read_options
from jobs.exams.tables import ExamType, exam_requests, pre_generated_exams
from opsconsole.extensions import ExtensionContext, Reply, Request, Route, StartRun

MAX_ID_LENGTH = 200
REQUESTED_BY_HTTP = "http"
"""`requested_by` of requests made through these routes."""

e, r = pre_generated_exams.c, exam_requests.c


def get_exam(ctx: ExtensionContext, request: Request) -> Reply:
    """Returns the oldest valid exam and marks it used. Without one it requests an exam and returns 404.

    Raises Unavailable.
    """
    target = _target(request.query)
    if isinstance(target, Reply):
        return target
    user, exam = target
    with ctx.writing() as db:
        row = take_oldest(db, user, exam.value, ctx.now)
        # Encoded before the exam counts as used: an answer that cannot be made must not cost the user an exam.
        reply = _exam_reply(row) if row is not None else None
    if reply is None and lacking(ctx, read_options(ctx.options)) is None:
        with ctx.writing() as db:
            # A client that polls must not reopen, and pay for, a failed request with every poll.
            request_missing(db, lambda column: column == user, ctx.now, REQUESTED_BY_HTTP, (exam,), reopen_failed=False)
    return reply or Reply.error(404, "no_exam", "this user has no valid exam of this type")


def _exam_reply(row: Any) -> Reply:
    msgspec.json.decode(row.questions)
    body = {
        "id": row.id,
        "examType": row.exam_type,
        "questions": msgspec.Raw(row.questions.encode()),
        "createdAt": _iso(row.created_at),
        "expiresAt": _iso(row.expires_at),
    }
    return Reply({"success": True, "exam": body})


def request_exam(ctx: ExtensionContext, request: Request) -> Reply:
    """Requests an exam: 202, also when one is already requested.

    200 when a valid exam exists, 404 for an inactive user, 503 when exams are not configured. Raises Unavailable.
    """
    target = _target(request.body)
    if isinstance(target, Reply):
        return target
    user, exam = target
    of_user = (e.user_id == user, e.exam_type == exam.value)
    problem = lacking(ctx, read_options(ctx.options))
    with ctx.writing() as db:
        if db.execute(select(users.c.id).where(users.c.id == user, users.c.active)).first() is None:
            return Reply.error(404, "not_found", "there is no active user with this id", "userId")
        valid_exam = db.execute(select(e.id).where(*of_user, valid(ctx.now)).limit(1)).scalar()
        if valid_exam is not None:
            return Reply({"success": True, "state": "ready", "examId": valid_exam})
        if problem is not None:
            return Reply.error(503, "not_configured", problem)
        request_missing(db, lambda column: column == user, ctx.now, REQUESTED_BY_HTTP, (exam,))
        newest = select(r.id).where(r.user_id == user, r.exam_type == exam.value).order_by(r.created_at.desc()).limit(1)
        request_id = db.execute(newest).scalar_one()
    return Reply({"success": True, "state": "requested", "requestId": request_id}, 202)


def pre_gen_analytics(ctx: ExtensionContext, request: Request) -> Reply:
    """Counts of all stored exams. Raises Unavailable."""
    now = ctx.now
    with ctx.reading() as db:
        counts = analytics(db, now)
    return Reply({"success": True, "stats": _stats(counts, now)})


def _stats(counts: Analytics, now: datetime) -> dict[str, Any]:
    mean = round(counts.total / counts.with_exams, 1) if counts.with_exams else 0
    return {
        "totalGenerated": counts.total,
        "totalUsed": counts.used,
        "totalUnused": counts.total - counts.used,
        "totalExpired": counts.expired,
        "averageExamsPerUser": mean,
        "diagnosticCount": counts.diagnostic,
        "practiceCount": counts.practice,
        "usedPercentage": round(100 * counts.used / counts.total) if counts.total else 0,
        "expiringWithin24h": counts.expiring,
        "userStats": {
            "usersWithPreGen": counts.with_exams,
            "usersWithoutPreGen": counts.without,
            "avgPreGenPerUser": mean,
        },
        "timestamp": _iso(now),
    }


def _target(parameters: Any) -> tuple[str, ExamType] | Reply:
    """The user and the exam type of a request, or the error response when one is missing or invalid."""
    fields = parameters if hasattr(parameters, "get") else {}
    user, exam = fields.get("userId"), fields.get("examType")
    if not isinstance(user, str) or not 0 < len(user) <= MAX_ID_LENGTH or not user.isprintable():
        return Reply.error(400, "bad_field", "userId must be a non-empty string", "userId")
    if exam not in tuple(ExamType):
        return Reply.error(400, "bad_field", f"examType must be {' or '.join(ExamType)}", "examType")
    return user, ExamType(exam)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


ROUTES = (
    Route("GET", "/api/get-pre-generated-exam", get_exam, changes=True),
    Route("POST", "/api/pre-generate-exam", request_exam),
    Route("GET", "/api/pre-gen-analytics", pre_gen_analytics),
    Route("GET", "/api/cron/generate-exams", StartRun("exams.generate")),
    Route("POST", "/api/cron/generate-exams", StartRun("exams.generate")),
)
