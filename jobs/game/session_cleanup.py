"""Closes quiz sessions nobody came back to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, select, update

from jobs.game.tables import quiz_sessions
from opsconsole import Context, Items, Job, Limits, Scope, minutes


def over(as_of: datetime) -> Any:
    """The condition that a session is still open though its time was over at `as_of`."""
    return and_(quiz_sessions.c.status == "active", quiz_sessions.c.expires_at <= as_of)


def abandoned_sessions(scope: Scope) -> Select[tuple[str]]:
    """Every session that nobody finished in time."""
    return select(quiz_sessions.c.id).where(over(scope.as_of))


def close_sessions(ctx: Context, sessions: Items) -> None:
    """Closes those of the batch that are still open, and tells of each."""
    with ctx.writing() as db:
        closed = db.execute(
            update(quiz_sessions)
            .where(sessions.among(quiz_sessions.c.id), over(ctx.as_of))
            .values(status="expired", completed_at=ctx.as_of)
            .returning(quiz_sessions.c.id, quiz_sessions.c.user_id)
        ).all()
        for session in closed:
            ctx.emit("QuizAbandoned", session.id, {"session_id": session.id, "user_id": session.user_id})
    ctx.count("closed", len(closed))


session_cleanup = Job(
    "game.session_cleanup",
    abandoned_sessions,
    close_sessions,
    cron="0 * * * *",
    batch=1000,
    workers=4,
    limits=Limits(max_age=minutes(65)),
    aliases=("SessionCleanup",),
    description="closes quiz sessions nobody came back to",
)
