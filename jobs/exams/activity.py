"""Who is likely to sit an exam soon: users who practise, and new ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, and_, column, or_, select, table, true

from jobs.common import users
from jobs.exams.options import MAX_ACTIVE_DAYS, Options
from opsconsole.sql import UtcTime

attempts = table("attempts", column("user_id", String), column("solved_at", UtcTime))
"""The attempts at questions that another pack stores. Read only when `active_within_days` is set."""


def likely_to_sit_one(options: Options, as_of: datetime) -> Any:
    """The condition that a user joined or attempted a question in the last `active_within_days`; true without it."""
    if options.active_within_days is None:
        return true()
    since = as_of - timedelta(days=min(max(options.active_within_days, 0), MAX_ACTIVE_DAYS))
    c = attempts.c
    attempted = select(1).where(c.user_id == users.c.id, c.solved_at >= since, c.solved_at < as_of)
    return or_(and_(users.c.created_at >= since, users.c.created_at < as_of), attempted.exists())
