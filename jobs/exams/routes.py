"""What exams answer other programs: an exam to take, a request for one, and how many there are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import select

from jobs.common import users
from jobs.exams.options import settings_of, what_is_missing
from jobs.exams.stock import Analytics, analytics, hand_out, request_missing, valid
from jobs.exams.tables import ExamType, exam_requests, pre_generated_exams
from opsconsole.extensions import ExtensionContext, Reply, Request, Route, StartRun

LONGEST_ID = 200
BY_HAND = "http"
"""Who requested what another program asked for, and what nobody had when it was wanted."""

e, r = pre_generated_exams.c, exam_requests.c


def get_exam(serving: ExtensionContext, request: Request) -> Reply:
    """Hands out the oldest valid exam and marks it used; 404 when there is none, and one is requested. Raises
    Unavailable.
    """
    said, problem = _said(request.query)
    if problem is not None:
        return problem
    user, exam = said
    with serving.writing() as db:
        found = hand_out(db, user, exam.value, serving.now)
        if found is None and what_is_missing(settings_of(serving.options)) is None:
            # Who asks every second is not to have what failed tried, and paid for, every second.
            request_missing(db, lambda column: column == user, serving.now, BY_HAND, (exam,), failed_too=False)
    if found is None:
        return Reply.error(404, "no_exam", "this user has no exam of this type now")
    told = {
        "id": found.id,
        "examType": found.exam_type,
        "questions": msgspec.Raw(found.questions.encode()),
        "createdAt": _iso(found.created_at),
        "expiresAt": _iso(found.expires_at),
    }
    return Reply({"success": True, "exam": told})


def request_exam(serving: ExtensionContext, request: Request) -> Reply:
    """Requests an exam: 202, also when that was asked before; 200 when a valid one is there already, 404 for a user
    who is not active, 503 where none can be made. Raises Unavailable.
    """
    said, problem = _said(request.body)
    if problem is not None:
        return problem
    user, exam = said
    mine = (e.user_id == user, e.exam_type == exam.value)
    with serving.writing() as db:
        if db.execute(select(users.c.id).where(users.c.id == user, users.c.active)).first() is None:
            return Reply.error(404, "not_found", "there is no active user with this id", "userId")
        there = db.execute(select(e.id).where(*mine, valid(serving.now)).limit(1)).scalar()
        if there is not None:
            return Reply({"success": True, "state": "ready", "examId": there})
        missing = what_is_missing(settings_of(serving.options))
        if missing is not None:
            return Reply.error(503, "not_configured", missing)
        request_missing(db, lambda column: column == user, serving.now, BY_HAND, (exam,))
        newest = select(r.id).where(r.user_id == user, r.exam_type == exam.value).order_by(r.created_at.desc()).limit(1)
        number = db.execute(newest).scalar_one()
    return Reply({"success": True, "state": "requested", "requestId": number}, 202)


def pre_gen_analytics(serving: ExtensionContext, request: Request) -> Reply:
    """Counts of all exams. Raises Unavailable."""
    now = serving.now
    with serving.reading() as db:
        found = analytics(db, now)
    return Reply({"success": True, "stats": _stats(found, now)})


def _stats(found: Analytics, now: datetime) -> dict[str, Any]:
    mean = round(found.total / found.with_exams, 1) if found.with_exams else 0
    return {
        "totalGenerated": found.total,
        "totalUsed": found.used,
        "totalUnused": found.total - found.used,
        "totalExpired": found.expired,
        "averageExamsPerUser": mean,
        "diagnosticCount": found.diagnostic,
        "practiceCount": found.practice,
        "usedPercentage": round(100 * found.used / found.total) if found.total else 0,
        "expiringWithin24h": found.expiring,
        "userStats": {
            "usersWithPreGen": found.with_exams,
            "usersWithoutPreGen": found.without,
            "avgPreGenPerUser": mean,
        },
        "timestamp": _iso(now),
    }


def _said(given: Any) -> tuple[tuple[str, ExamType], Reply | None]:
    """The user and the type that are named; an answer instead when one is not, or cannot be."""
    nothing = ("", ExamType.DIAGNOSTIC)
    fields = given if hasattr(given, "get") else {}
    user, exam = fields.get("userId"), fields.get("examType")
    if not isinstance(user, str) or not 0 < len(user) <= LONGEST_ID or not user.isprintable():
        return nothing, Reply.error(400, "bad_field", "say whose exam it is: userId is a text", "userId")
    if exam not in tuple(ExamType):
        types = " or ".join(ExamType)
        return nothing, Reply.error(400, "bad_field", f"say which exam: examType is {types}", "examType")
    return (user, ExamType(exam)), None


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


ROUTES = (
    Route("GET", "/api/get-pre-generated-exam", get_exam),
    Route("POST", "/api/pre-generate-exam", request_exam),
    Route("GET", "/api/pre-gen-analytics", pre_gen_analytics),
    Route("GET", "/api/cron/generate-exams", StartRun("exams.generate")),
    Route("POST", "/api/cron/generate-exams", StartRun("exams.generate")),
)
