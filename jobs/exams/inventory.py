"""Stored exams: which are valid, which users lack one, and handing them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    Connection,
    Row,
    Text,
    and_,
    case,
    cast,
    delete,
    false,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)

from jobs.common import users
from jobs.exams.tables import OPEN, UNFINISHED, ExamType, RequestState, exam_requests, pre_generated_exams
from opsconsole.sql import inserting

LIFETIME = timedelta(days=7)
"""How long an exam is valid after it was stored."""
KEPT_AFTER_USE = timedelta(days=1)
"""How long a used exam stays stored, because its user is taking it."""
EXPIRES_SOON = timedelta(hours=24)

e, r = pre_generated_exams.c, exam_requests.c


def unused() -> Any:
    """The condition that the exam was not handed out yet."""
    return e.used.is_(False)


def valid(now: datetime) -> Any:
    """The condition that an exam may be handed out."""
    return and_(unused(), e.expires_at > now)


def finished(now: datetime) -> Any:
    """The condition that an exam can be deleted: it expired, or it was used a day ago or earlier."""
    return or_(
        and_(unused(), e.expires_at <= now),
        and_(e.used.is_(True), func.coalesce(e.used_at, e.created_at) <= now - KEPT_AFTER_USE),
    )


def lacks(exam: ExamType, now: datetime) -> Any:
    """The condition that a user has neither a valid exam of the type nor an open request for one."""
    has = select(1).where(e.user_id == users.c.id, e.exam_type == exam.value, valid(now))
    requested = select(1).where(r.user_id == users.c.id, r.exam_type == exam.value, UNFINISHED, _is_open())
    return and_(~has.exists(), ~requested.exists())


def _is_open() -> Any:
    return r.state.in_([state.value for state in OPEN])


def request_missing(
    db: Connection,
    user_filter: Callable[[Any], Any],
    now: datetime,
    requested_by: str,
    types: tuple[ExamType, ...] = tuple(ExamType),
    *,
    reopen_failed: bool = True,
) -> list[tuple[str, str]]:
    """Requests the exams that active users lack, among users whose id meets `user_filter`.

    With `reopen_failed` failed requests are reopened. Returns the pairs of user and exam type.
    """
    lacking = union_all(
        *(
            select(users.c.id, literal(exam.value).label("exam_type")).where(
                users.c.active, user_filter(users.c.id), lacks(exam, now)
            )
            for exam in types
        )
    )
    missing = [(user, exam) for user, exam in db.execute(lacking.order_by("id", "exam_type"))]
    if missing:
        rows = [
            {
                "id": uuid4().hex,
                "user_id": user,
                "exam_type": exam,
                "state": RequestState.WAITING.value,
                "attempts": 1,
                "next_attempt_at": now,
                "last_error": None,
                "requested_by": requested_by,
                "created_at": now,
                "updated_at": now,
            }
            for user, exam in missing
        ]
        adding = inserting(db, exam_requests)
        db.execute(
            adding.on_conflict_do_update(
                index_elements=[r.user_id, r.exam_type],
                index_where=UNFINISHED,
                set_={
                    "state": adding.excluded.state,
                    "attempts": r.attempts + 1,
                    "next_attempt_at": adding.excluded.next_attempt_at,
                    "requested_by": adding.excluded.requested_by,
                    "updated_at": adding.excluded.updated_at,
                },
                where=r.state == RequestState.FAILED.value if reopen_failed else false(),
            ),
            rows,
        )
    return missing


def delete_finished(db: Connection, which: Any, now: datetime) -> int:
    """Deletes expired and used exams among those that meet a condition; returns their number."""
    deleted = db.execute(delete(pre_generated_exams).where(which, finished(now)).returning(e.id)).all()
    return len(deleted)


def take_oldest(db: Connection, user: str, exam: str, now: datetime) -> Row[Any] | None:
    """Marks the user's oldest valid exam as used and returns it, with its questions as JSON text; None without one.

    Concurrent callers never get the same exam.
    """
    oldest = (
        select(e.id)
        .where(e.user_id == user, e.exam_type == exam, valid(now))
        .order_by(e.created_at, e.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    taken = update(pre_generated_exams).where(e.id == oldest, unused()).values(used=True, used_at=now)
    columns = (e.id, e.exam_type, e.created_at, e.expires_at, cast(e.questions, Text).label("questions"))
    return db.execute(taken.returning(*columns)).first()


@dataclass(frozen=True, slots=True)
class Analytics:
    """Counts of the stored exams. `with_exams` counts users with any exam, `without` active users with none."""

    total: int
    used: int
    expired: int
    expiring: int
    diagnostic: int
    practice: int
    with_exams: int
    without: int


def analytics(db: Connection, now: datetime) -> Analytics:
    """Counts all exams in one pass over the table."""

    def count_if(condition: Any) -> Any:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    active = select(func.count()).select_from(users).where(users.c.active)
    # Counted by subtraction: no index covers a user's used exams, so NOT EXISTS would read them all for each user.
    served = active.where(users.c.id.in_(select(e.user_id)))
    without = active.scalar_subquery() - served.scalar_subquery()
    soon = and_(valid(now), e.expires_at <= now + EXPIRES_SOON)
    row = db.execute(
        select(
            func.count(e.id),
            count_if(e.used.is_(True)),
            count_if(and_(unused(), e.expires_at <= now)),
            count_if(soon),
            count_if(e.exam_type == ExamType.DIAGNOSTIC.value),
            count_if(e.exam_type == ExamType.PRACTICE.value),
            func.count(e.user_id.distinct()),
            without,
        )
    ).one()
    return Analytics(*map(int, row))
