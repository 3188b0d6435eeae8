"""Reads events as their readers do."""

from __future__ import annotations

from sqlalchemy import func, select

from opsconsole.authoring.outbox import events
from opsconsole.core.database import Database


def unpublished(data: Database) -> int:
    """The number of events that still have to be published, or marked as published."""
    with data.reading() as db:
        return int(db.execute(select(func.count()).where(events.c.published_at.is_(None))).scalar_one())
