"""The outbox: events that jobs emit, written in the same transaction as the change they describe."""

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

_EVENT_LOCK = 0x6F7073_65_76  # "opsev"


@dataclass(frozen=True, slots=True)
class Event:
    """An event; `name` and `key` are its identity."""

    name: str
    key: str
    payload: Mapping[str, Any]


def append(db: Connection, emitted: Sequence[Event], at: datetime) -> None:
    """Writes events in the caller's transaction; one that exists already is not changed."""
    if db.dialect.name == "postgresql":
        # Ids must be committed in order, otherwise the relay could skip an event with a lower id.
        db.execute(select(func.pg_advisory_xact_lock(_EVENT_LOCK)))
    rows = [{"name": e.name, "key": e.key, "payload": dict(e.payload), "occurred_at": at} for e in emitted]
    db.execute(inserting(db, events).on_conflict_do_nothing(), rows)
