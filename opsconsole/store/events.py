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


def unpublished(db: Connection, *, limit: int, size: int) -> list[int]:
    """The ids of the oldest events that have not been published: at most `limit`, and after the first one only while
    their payloads have at most `size` characters together.
    """
    columns = (events.c.id, func.length(events.c.payload))
    query = select(*columns).where(events.c.published_at.is_(None)).order_by(events.c.id).limit(limit)
    ids: list[int] = []
    for number, length in db.execute(query):
        size -= length or 0
        if ids and size < 0:
            break
        ids.append(number)
    return ids


def length(db: Connection, number: int) -> int:
    """The length of an event's payload, in characters."""
    return int(db.execute(select(func.length(events.c.payload)).where(events.c.id == number)).scalar_one())


def read(db: Connection, ids: Sequence[int]) -> list[UnpublishedEvent]:
    """These events in the order of their ids. May raise anything for a row that another program has written."""
    columns = (events.c.id, events.c.name, events.c.key, events.c.payload, events.c.occurred_at)
    query = select(*columns).where(events.c.id.in_(ids)).order_by(events.c.id)
    return [UnpublishedEvent(*row) for row in db.execute(query)]


def name(db: Connection, number: int) -> str:
    """An event's name and key. May raise anything, as `read`."""
    return " ".join(db.execute(select(events.c.name, events.c.key).where(events.c.id == number)).one())


def requeued(db: Connection, ids: Sequence[int]) -> list[int]:
    """Which of these events are to be published."""
    query = select(events.c.id).where(events.c.id.in_(ids), events.c.published_at.is_(None))
    return list(db.execute(query).scalars())


def mark_published(db: Connection, ids: Sequence[int], at: datetime) -> None:
    """Marks these events as published. `ids` are ascending, with no other unpublished event between them."""
    within = events.c.id.between(ids[0], ids[-1])
    db.execute(update(events).where(within, events.c.published_at.is_(None)).values(published_at=at))


def publish_again(db: Connection, since: datetime) -> int:
    """Marks the events that happened at `since` or later as unpublished; returns how many."""
    published = events.c.published_at.is_not(None) & (events.c.occurred_at >= since)
    return db.execute(update(events).where(published).values(published_at=None)).rowcount
