"""Reads events as their readers do."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from opsconsole.authoring.outbox import events


def count_unpublished(db: Connection) -> int:
    """How many events have not been published."""
    return int(db.execute(select(func.count()).where(events.c.published_at.is_(None))).scalar_one())
