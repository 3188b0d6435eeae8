"""The oldest attempt: days before it have nothing to process."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Select, func, select

from jobs.attempts.tables import attempts


def first_attempt() -> Select[tuple[datetime]]:
    """When the first question was solved."""
    return select(func.min(attempts.c.solved_at))
