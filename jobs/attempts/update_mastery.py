"""Estimates each user's mastery of each topic from the last four weeks."""

from __future__ import annotations

from typing import Any, overload

from sqlalchemy import ColumnElement, Select, case, func, or_, select

from jobs.attempts.tables import Status, attempts, questions, topic_mastery
from jobs.attempts.update_performance import active_users_with_attempts
from jobs.attempts.upserts import invalidate, upsert
from opsconsole import FOUR_WEEKS_BEFORE, Context, Items, Job


def write_mastery(ctx: Context, batch: Items) -> None:
    """Writes one row per topic that a user attempted in the window, where it has changed; rows of other topics stay."""
    with ctx.reading() as db:
        changed = db.execute(_changed(ctx, batch)).all()
    missing = {row.user_id: row.missing for row in changed if row.missing is not None}
    for user, question in missing.items():
        ctx.fail(user, f"question {question} is missing", kind="question_missing")
    subjects = set()
    rows = []
    for user, topic, subject, _, attempted, correct, last_attempt_at in changed:
        if user not in missing:
            subjects.add(subject)
            rows.append(
                {
                    "user_id": user,
                    "topic_id": topic,
                    "mastery": mastery(correct, attempted),
                    "attempts": attempted,
                    "last_attempt_at": last_attempt_at,
                    "updated_at": ctx.now,
                }
            )
    if rows:
        with ctx.writing() as db:
            upsert(db, topic_mastery, rows, stamp="updated_at")
        invalidate(ctx, "topic_mastery", user={row["user_id"] for row in rows}, subject=subjects)
    ctx.count("rows_changed", len(rows))


@overload
def mastery(correct: int, attempted: int) -> float: ...
@overload
def mastery(correct: ColumnElement[int], attempted: ColumnElement[int]) -> ColumnElement[float]: ...
def mastery(correct: Any, attempted: Any) -> Any:
    """The estimated mastery between 0 and 1, of numbers or of columns; 0.5 without attempts."""
    return (correct + 1.0) / (attempted + 2)


def _changed(ctx: Context, batch: Items) -> Select[Any]:
    """The topics whose row is missing or different, and those with a missing question: compared by the database, as
    most rows are as they were when a run is repeated.
    """
    found, old = _by_topic(ctx, batch).cte("found"), topic_mastery.c
    new = found.c
    differs = or_(
        old.user_id.is_(None),
        old.mastery != mastery(new.correct, new.attempts),
        old.attempts != new.attempts,
        old.last_attempt_at != new.last_attempt_at,
        new.missing.is_not(None),
    )
    # Among the batch once more: otherwise PostgreSQL could read the rows of all users.
    same = (old.user_id == new.user_id) & (old.topic_id == new.topic_id) & batch.among(old.user_id)
    return select(found).outerjoin_from(found, topic_mastery, same).where(differs)


def _by_topic(ctx: Context, batch: Items) -> Select[Any]:
    c = attempts.c
    return (
        select(
            c.user_id,
            questions.c.topic_id,
            func.min(questions.c.subject_id).label("subject_id"),
            func.min(case((questions.c.id.is_(None), c.question_id))).label("missing"),
            func.count().label("attempts"),
            func.count(case((c.status == Status.CORRECT, 1))).label("correct"),
            func.max(c.solved_at).label("last_attempt_at"),
        )
        .outerjoin(questions, questions.c.id == c.question_id)
        .where(batch.among(c.user_id), ctx.window.until(ctx.as_of).holds(c.solved_at))
        .group_by(c.user_id, questions.c.topic_id)
    )


update_mastery = Job(
    "attempts.update_mastery",
    active_users_with_attempts,
    write_mastery,
    cron="0 1 * * 0",
    tz="Asia/Kolkata",
    covers=FOUR_WEEKS_BEFORE,
    batch=500,  # measured with 4,000 users on both databases
    workers=8,
    newest_only=True,
    aliases=("updateMastery",),
    description="Estimates each user's mastery of topics",
)
