"""HTTP routes: fetch an exam, request one, and analytics."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field
from sqlalchemy import select

from jobs.common import users
from jobs.exams.checks import lacking
from jobs.exams.inventory import Analytics, analytics, request_missing, take_oldest, valid
from jobs.exams.options import read_options
from jobs.exams.tables import ExamType, exam_requests, pre_generated_exams
from opsconsole.extensions import Answer, ExtensionContext, Reply, Request, Route, StartRun

REQUESTED_BY_HTTP = "http"
"""`requested_by` of requests made through these routes."""

Timestamp = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]

e, r = pre_generated_exams.c, exam_requests.c


class ExamRequest(Struct, frozen=True, rename="camel"):
    """A user, and a type of exam."""

    user_id: Annotated[str, Meta(min_length=1, max_length=200)]
    exam_type: ExamType


class Exam(Struct, frozen=True, rename="camel"):
    """A stored exam."""

    id: str
    exam_type: ExamType
    questions: msgspec.Raw
    created_at: Timestamp
    expires_at: Timestamp


class ExamAnswer(Answer, frozen=True, kw_only=True):
    """An exam, which now counts as used."""

    exam: Exam


class ExamReadyAnswer(Answer, frozen=True, kw_only=True, rename="camel"):
    """The user has an exam that can be fetched."""

    state: Literal["ready"] = "ready"
    exam_id: str


class ExamRequestedAnswer(Answer, frozen=True, kw_only=True, rename="camel"):
    """The exam is being made."""

    state: Literal["requested"] = "requested"
    request_id: str


class UserStats(Struct, frozen=True):
    """Users with and without exams, and how many exams a user has on average."""

    with_exams: int = field(name="usersWithPreGen")
    without: int = field(name="usersWithoutPreGen")
    mean: float = field(name="avgPreGenPerUser")


class ExamStats(Struct, frozen=True, rename="camel"):
    """Counts of all stored exams."""

    total_generated: int
    total_used: int
    total_unused: int
    total_expired: int
    average_exams_per_user: float
    diagnostic_count: int
    practice_count: int
    used_percentage: int
    expiring_within_24h: int = field(name="expiringWithin24h")
    user_stats: UserStats
    timestamp: Timestamp


class ExamStatsAnswer(Answer, frozen=True, kw_only=True):
    """Counts of all stored exams."""

    stats: ExamStats


def get_exam(ctx: ExtensionContext, request: ExamRequest) -> Reply:
    """Returns the oldest valid exam and marks it used. Without one it requests an exam and returns 404.

    Raises Unavailable.
    """
    user, exam = request.user_id, request.exam_type
    if not user.isprintable():
        return _BAD_USER
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
    found = Exam(
        id=row.id,
        exam_type=row.exam_type,
        questions=msgspec.Raw(row.questions.encode()),
        created_at=_iso(row.created_at),
        expires_at=_iso(row.expires_at),
    )
    return Reply(ExamAnswer(exam=found))


def request_exam(ctx: ExtensionContext, request: ExamRequest) -> Reply:
    """Requests an exam: 202, also when one is already requested.

    200 when a valid exam exists, 404 for an inactive user, 503 when exams are not configured. Raises Unavailable.
    """
    user, exam = request.user_id, request.exam_type
    if not user.isprintable():
        return _BAD_USER
    of_user = (e.user_id == user, e.exam_type == exam.value)
    problem = lacking(ctx, read_options(ctx.options))
    with ctx.writing() as db:
        if db.execute(select(users.c.id).where(users.c.id == user, users.c.active)).first() is None:
            return Reply.error(404, "not_found", "there is no active user with this id", "userId")
        valid_exam = db.execute(select(e.id).where(*of_user, valid(ctx.now)).limit(1)).scalar()
        if valid_exam is not None:
            return Reply(ExamReadyAnswer(exam_id=valid_exam))
        if problem is not None:
            return Reply.error(503, "not_configured", problem)
        request_missing(db, lambda column: column == user, ctx.now, REQUESTED_BY_HTTP, (exam,))
        newest = select(r.id).where(r.user_id == user, r.exam_type == exam.value).order_by(r.created_at.desc()).limit(1)
        request_id = db.execute(newest).scalar_one()
    return Reply(ExamRequestedAnswer(request_id=request_id), 202)


def pre_gen_analytics(ctx: ExtensionContext, request: Request) -> Reply:
    """Counts of all stored exams. Raises Unavailable."""
    now = ctx.now
    with ctx.reading() as db:
        counts = analytics(db, now)
    return Reply(ExamStatsAnswer(stats=_stats(counts, now)))


def _stats(counts: Analytics, now: datetime) -> ExamStats:
    mean = round(counts.total / counts.with_exams, 1) if counts.with_exams else 0
    return ExamStats(
        total_generated=counts.total,
        total_used=counts.used,
        total_unused=counts.total - counts.used,
        total_expired=counts.expired,
        average_exams_per_user=mean,
        diagnostic_count=counts.diagnostic,
        practice_count=counts.practice,
        used_percentage=round(100 * counts.used / counts.total) if counts.total else 0,
        expiring_within_24h=counts.expiring,
        user_stats=UserStats(with_exams=counts.with_exams, without=counts.without, mean=mean),
        timestamp=_iso(now),
    )


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_BAD_USER = Reply.error(400, "bad_field", "userId must be a string of printable characters", "userId")

ROUTES = (
    Route(
        "GET",
        "/api/get-pre-generated-exam",
        get_exam,
        changes=True,
        fields=ExamRequest,
        answers={200: ExamAnswer},
    ),
    Route(
        "POST",
        "/api/pre-generate-exam",
        request_exam,
        fields=ExamRequest,
        answers={200: ExamReadyAnswer, 202: ExamRequestedAnswer},
    ),
    Route("GET", "/api/pre-gen-analytics", pre_gen_analytics, answers={200: ExamStatsAnswer}),
    Route("GET", "/api/cron/generate-exams", StartRun("exams.generate")),
    Route("POST", "/api/cron/generate-exams", StartRun("exams.generate")),
)
