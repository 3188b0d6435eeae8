"""Events on their way from the outbox to the stream: unpublished ones, and those to publish again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from opsconsole.authoring.outbox import events
from opsconsole.core.database import Connection


@dataclass(frozen=True, slots=True)
class UnpublishedEvent:
    """An event that has not been published yet."""

    id: int
    name: str
    key: str
    payload: Any
    occurred_at: datetime


def unpublished(db: Connection, *, limit: int) -> list[UnpublishedEvent]:
    """The oldest events that have not been published."""
    columns = (events.c.id, events.c.name, events.c.key, events.c.payload, events.c.occurred_at)
    query = select(*columns).where(events.c.published_at.is_(None)).order_by(events.c.id).limit(limit)
    return [UnpublishedEvent(*row) for row in db.execute(query)]


def count_unpublished(db: Connection) -> int:
    """How many events have not been published."""
    return int(db.execute(select(func.count()).where(events.c.published_at.is_(None))).scalar_one())


def mark_published(db: Connection, ids: Sequence[int], at: datetime) -> None:
    """Marks these events as published. `ids` are ascending, with no other unpublished event between them."""
    within = events.c.id.between(ids[0], ids[-1])
    db.execute(update(events).where(within, events.c.published_at.is_(None)).values(published_at=at))


def publish_again(db: Connection, since: datetime) -> int:
    """Marks the events that happened at `since` or later as unpublished; returns how many."""
    published = events.c.published_at.is_not(None) & (events.c.occurred_at >= since)
    return db.execute(update(events).where(published).values(published_at=None)).rowcount
