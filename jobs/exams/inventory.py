"""Which exams there are and who lacks one: the conditions that jobs, routes and panels share."""

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
    delete,
    false,
    func,
    literal,
    or_,
    select,
    type_coerce,
    union_all,
    update,
)

from jobs.common import users
from jobs.exams.tables import OPEN, UNFINISHED, ExamType, RequestState, exam_requests, pre_generated_exams
from opsconsole.sql import inserting

LIVES = timedelta(days=7)
"""An exam is offered for so long after it was stored."""
KEPT_AFTER_USE = timedelta(days=1)
"""Whoever takes an exam has it for so long."""
EXPIRES_SOON = timedelta(hours=24)

e, r = pre_generated_exams.c, exam_requests.c


def unused() -> Any:
    """The condition that nobody has been given the exam."""
    return e.used.is_(False)


def valid(now: datetime) -> Any:
    """The condition that an exam may be handed out."""
    return and_(unused(), e.expires_at > now)


def over(now: datetime) -> Any:
    """The condition that an exam is to be deleted; one that is being taken is not."""
    return or_(
        and_(unused(), e.expires_at <= now),
        and_(e.used.is_(True), func.coalesce(e.used_at, e.created_at) <= now - KEPT_AFTER_USE),
    )


def lacks(exam: ExamType, now: datetime) -> Any:
    """The condition that a user has no valid exam of the type, and none is on the way."""
    has = select(1).where(e.user_id == users.c.id, e.exam_type == exam.value, valid(now))
    asked = select(1).where(r.user_id == users.c.id, r.exam_type == exam.value, UNFINISHED, _is_open())
    return and_(~has.exists(), ~asked.exists())


def _is_open() -> Any:
    return r.state.in_([state.value for state in OPEN])


def request_missing(
    db: Connection,
    who: Callable[[Any], Any],
    now: datetime,
    by: str,
    types: tuple[ExamType, ...] = tuple(ExamType),
    *,
    failed_too: bool = True,
) -> list[tuple[str, str]]:
    """Requests the exams that active users lack, of those whose id meets `who`; with `failed_too` a request that failed
    is taken up again. Who lacks which.
    """
    lacking = union_all(
        *(
            select(users.c.id, literal(exam.value).label("exam_type")).where(
                users.c.active, who(users.c.id), lacks(exam, now)
            )
            for exam in types
        )
    )
    found = [(user, exam) for user, exam in db.execute(lacking.order_by("id", "exam_type"))]
    if found:
        rows = [
            {
                "id": uuid4().hex,
                "user_id": user,
                "exam_type": exam,
                "state": RequestState.WAITING.value,
                "attempts": 1,
                "next_attempt_at": now,
                "last_error": None,
                "requested_by": by,
                "created_at": now,
                "updated_at": now,
            }
            for user, exam in found
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
                where=r.state == RequestState.FAILED.value if failed_too else false(),
            ),
            rows,
        )
    return found


def delete_over(db: Connection, which: Any, now: datetime) -> int:
    """Deletes the exams that are over, of those that meet a condition; how many."""
    gone = db.execute(delete(pre_generated_exams).where(which, over(now)).returning(e.id)).all()
    return len(gone)


def hand_out(db: Connection, user: str, exam: str, now: datetime) -> Row[Any] | None:
    """Marks the user's oldest valid exam as used and gives it, with its questions as the JSON text they are stored as;
    None when there is none. Whoever asks at the same time gets another one.
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
    columns = (e.id, e.exam_type, e.created_at, e.expires_at, type_coerce(e.questions, Text).label("questions"))
    return db.execute(taken.returning(*columns)).first()


@dataclass(frozen=True, slots=True)
class Analytics:
    """Counts of the exams that are in the table now. `unused` includes the expired ones; `with_exams` are users who
    have any, `without` active users who have none.
    """

    total: int
    used: int
    expired: int
    expiring: int
    diagnostic: int
    practice: int
    with_exams: int
    without: int


def analytics(db: Connection, now: datetime) -> Analytics:
    """Counts all exams in one pass."""

    def those(condition: Any) -> Any:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    active = select(func.count()).select_from(users).where(users.c.active)
    # Not users without one: no index has the exams of a user that were taken, and each user would read them all.
    served = active.where(users.c.id.in_(select(e.user_id)))
    without = active.scalar_subquery() - served.scalar_subquery()
    soon = and_(valid(now), e.expires_at <= now + EXPIRES_SOON)
    row = db.execute(
        select(
            func.count(e.id),
            those(e.used.is_(True)),
            those(and_(unused(), e.expires_at <= now)),
            those(soon),
            those(e.exam_type == ExamType.DIAGNOSTIC.value),
            those(e.exam_type == ExamType.PRACTICE.value),
            func.count(e.user_id.distinct()),
            without,
        )
    ).one()
    return Analytics(*map(int, row))
