"""Estimates each user's mastery of each topic from the last four weeks."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, case, func, select

from jobs.attempts.tables import Status, attempts, questions, topic_mastery
from jobs.attempts.update_performance import active_users_with_attempts
from jobs.attempts.upserts import changed_rows, invalidate, upsert
from opsconsole import FOUR_WEEKS_BEFORE, Context, Items, Job


def write_mastery(ctx: Context, batch: Items) -> None:
    """Writes one row per topic that a user attempted in the window; rows of other topics stay."""
    with ctx.reading() as db:
        by_topic = db.execute(_by_topic(ctx, batch)).all()
        existing = db.execute(select(topic_mastery).where(batch.among(topic_mastery.c.user_id))).mappings().all()
    missing = {row.user_id: row.missing for row in by_topic if row.missing is not None}
    for user, question in missing.items():
        ctx.fail(user, f"question {question} is missing", kind="question_missing")
    rows = [
        {
            "user_id": row.user_id,
            "topic_id": row.topic_id,
            "mastery": mastery(row.correct, row.attempts),
            "attempts": row.attempts,
            "last_attempt_at": row.last_attempt_at,
            "updated_at": ctx.now,
        }
        for row in by_topic
        if row.user_id not in missing
    ]
    changed = changed_rows(topic_mastery, rows, existing, stamp="updated_at")
    if changed:
        with ctx.writing() as db:
            upsert(db, topic_mastery, changed, stamp="updated_at")
        topics = {(row["user_id"], row["topic_id"]) for row in changed}
        subjects = {row.subject_id for row in by_topic if (row.user_id, row.topic_id) in topics}
        invalidate(ctx, "topic_mastery", user={user for user, _ in topics}, subject=subjects)
    ctx.count("rows", len(rows))
    ctx.count("rows_changed", len(changed))


def mastery(correct: int, attempted: int) -> float:
    """The estimated mastery between 0 and 1; 0.5 without attempts."""
    return (correct + 1) / (attempted + 2)


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
    batch=250,
    workers=8,
    newest_only=True,
    aliases=("updateMastery",),
    description="Estimates each user's mastery of topics",
)
