"""Events that jobs emit: written with the change they tell of, and kept until they have been published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    func,
    select,
    update,
)

from opsconsole.core.database import Connection, Json, UtcTime, inserting, key_type

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("name", String, nullable=False),
    Column("key", key_type(), nullable=False),
    Column("payload", Json, nullable=False),
    Column("occurred_at", UtcTime, nullable=False),
    Column("published_at", UtcTime, nullable=True),
    UniqueConstraint("name", "key"),
    Index(None, "occurred_at"),
)
Index(
    "ix_events_unpublished",
    events.c.id,
    sqlite_where=events.c.published_at.is_(None),
    postgresql_where=events.c.published_at.is_(None),
)

_IN_TURN = 0x6F7073_65_76  # "opsev": one lock for all who write events


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `name` and `key` are its identity."""

    name: str
    key: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that has not been published yet."""

    id: int
    name: str
    key: str
    payload: Any
    occurred_at: datetime


def append(db: Connection, emitted: Sequence[Event], at: datetime) -> None:
    """Writes events in the caller's transaction; one that is there already stays as it is."""
    if db.dialect.name == "postgresql":
        # Numbers are to be committed in their order: who publishes up to the highest would else miss a lower one.
        db.execute(select(func.pg_advisory_xact_lock(_IN_TURN)))
    rows = [{"name": e.name, "key": e.key, "payload": dict(e.payload), "occurred_at": at} for e in emitted]
    db.execute(inserting(db, events).on_conflict_do_nothing(), rows)


def waiting(db: Connection, *, limit: int) -> list[Waiting]:
    """The oldest events that have not been published."""
    columns = (events.c.id, events.c.name, events.c.key, events.c.payload, events.c.occurred_at)
    query = select(*columns).where(events.c.published_at.is_(None)).order_by(events.c.id).limit(limit)
    return [Waiting(*row) for row in db.execute(query)]


def count_waiting(db: Connection) -> int:
    """How many events have not been published."""
    return int(db.execute(select(func.count()).where(events.c.published_at.is_(None))).scalar_one())


def published(db: Connection, numbers: Sequence[int], at: datetime) -> None:
    """These events, a run of numbers without others that wait, have been published."""
    within = events.c.id.between(numbers[0], numbers[-1])
    db.execute(update(events).where(within, events.c.published_at.is_(None)).values(published_at=at))


def publish_again(db: Connection, since: datetime) -> int:
    """Those that happened at `since` or later are published once more; how many these are."""
    again = events.c.published_at.is_not(None) & (events.c.occurred_at >= since)
    return db.execute(update(events).where(again).values(published_at=None)).rowcount
