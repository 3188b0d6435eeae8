"""The outbox: events that jobs emit, written in the same transaction as the change they describe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Enum,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    and_,
    case,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
)

from opsconsole.core.bounds import MAX_JSON_BYTES, MAX_KEY, shown
from opsconsole.core.column_types import Json, UtcTime, key_type
from opsconsole.core.database import Connection, inserting
from opsconsole.core.errors import BadValue
from opsconsole.core.indexes import partial_index

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
partial_index("ix_events_unpublished", events.c.id, where=events.c.published_at.is_(None))

_EVENT_LOCK = 0x6F7073_65_76  # "opsev"
_STATEMENT_BYTES = 4 << 20

# One statement for all events of a batch: executed for each event, it took most of the time of a batch.
_INSERT_ROW = "INSERT INTO events (name, key, payload, occurred_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
# The payload becomes what its column is, also one of json or jsonb of another program.
_INSERT_ROWS = text(
    "INSERT INTO events (name, key, payload, occurred_at) SELECT e.name, e.key, e.payload, :at "
    "FROM json_populate_recordset(NULL::events, CAST(:rows AS json)) e ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Event:
    """An event; `name` and `key` are its identity."""

    name: str
    key: str
    payload: Mapping[str, Any]


def append(db: Connection, emitted: Sequence[Event], at: datetime) -> None:
    """Writes events in the caller's transaction; one that exists already is not changed."""
    if db.dialect.name == "sqlite":
        stamp = events.c.occurred_at.type.dialect_impl(db.dialect).bind_processor(db.dialect)
        assert stamp is not None  # noqa: S101 - SQLite has no type for times
        db.exec_driver_sql(
            _INSERT_ROW, [(e.name, e.key, msgspec.json.encode(e.payload).decode(), stamp(at)) for e in emitted]
        )
        return
    # Ids must be committed in order, otherwise the relay could skip an event with a lower id.
    db.execute(select(func.pg_advisory_xact_lock(_EVENT_LOCK)))
    rows = [msgspec.json.encode({"name": e.name, "key": e.key, "payload": e.payload}) for e in emitted]
    for some in _chunks(rows):
        db.execute(_INSERT_ROWS, {"rows": f"[{b','.join(some).decode()}]", "at": at})


def columns_problem(changes: Any) -> str | None:
    """Of a statement for the events of its rows: RETURNING with the key first, and columns whose values become the same
    JSON on both databases.
    """
    columns = list(changes.exported_columns)
    if not columns:
        return "must have RETURNING with the key of the event as its first column"
    key, *parts = columns
    if not _has_type(key, String):
        return f"must return a text as the key, not {key.name}, which is of type {type(key.type).__name__}"
    part = next((part for part in parts if not _has_type(part, String, Integer, Boolean)), None)
    if part is None:
        return None
    return (
        f"must return only texts, whole numbers and booleans, not {part.name}, which is of type "
        f"{type(part.type).__name__}; cast it"
    )


def _has_type(column: Any, *types: type) -> bool:
    return isinstance(column.type, types) and not isinstance(column.type, Enum)


def values_problem(payload: Mapping[str, Any]) -> str | None:
    """Of a row on SQLite, whose columns accept values of any type."""
    for name, value in payload.items():
        if value is not None and type(value) not in (str, int, bool):
            return f"must have only texts, whole numbers and booleans, not {shown(value)} in {name}"
    return None


def append_for_rows(db: Connection, name: str, changes: Any, at: datetime) -> tuple[int, int]:
    """Executes a statement of PostgreSQL with RETURNING and writes an event for each row that it returns: the first
    column is its key, NULL for no event, the others are its payload. Returns the number of rows and of events. Raises
    BadValue for a key or a payload that is too long; the transaction must then be rolled back.
    """
    changed = changes.cte("changed")
    key, *parts = changed.c
    rows = select(key.label("key"), case((key.is_not(None), _document(parts))).label("payload")).cte("found")
    length, size = func.char_length(rows.c.key), func.octet_length(func.convert_to(rows.c.payload, "UTF8"))
    counts = select(
        func.count().label("changed"),
        func.count(rows.c.key).label("emitted"),
        func.coalesce(func.max(length), 0).label("length"),
        func.coalesce(func.max(size), 0).label("size"),
    ).subquery()
    # All rows are changed when the lock is taken: other writers of events wait for the INSERT alone.
    lock = case((counts.c.emitted > 0, func.pg_advisory_xact_lock(_EVENT_LOCK)))
    locked = select(lock.label("lock"), counts).cte("locked").prefix_with("MATERIALIZED")
    payload = rows.c.payload.op("::")(literal_column("json"))
    source = select(literal(name), rows.c.key, payload, literal(at, UtcTime)).join_from(rows, locked, true())
    is_short = and_(locked.c.length <= MAX_KEY, locked.c.size <= MAX_JSON_BYTES)
    statement = inserting(db, events).from_select(
        ["name", "key", "payload", "occurred_at"],
        source.where(rows.c.key.is_not(None), is_short),
        include_defaults=False,
    )
    emitted = statement.on_conflict_do_nothing().cte("emitted")
    c = locked.c
    row = db.execute(select(c.changed, c.emitted, c.length, c.size).add_cte(emitted)).one()
    if row.length > MAX_KEY:
        raise BadValue(f"the key of an event must have at most {MAX_KEY:,} characters, not {row.length:,}")
    if row.size > MAX_JSON_BYTES:
        raise BadValue(f"the payload of an event must have at most {MAX_JSON_BYTES:,} bytes as JSON, not {row.size:,}")
    return row.changed, row.emitted


def _document(columns: Sequence[Any]) -> Any:
    """The text of a JSON object with the values of these columns, as `append` would write it."""
    parts: list[Any] = []
    for n, column in enumerate(columns):
        parts += [f"{',' if n else ''}{msgspec.json.encode(str(column.name)).decode()}:"]
        parts += [func.coalesce(func.to_json(column), literal_column("'null'::json"))]
    return func.concat("{", *parts, "}")


def _chunks(rows: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The rows in parts that one statement can take."""
    first, size = 0, 0
    for n, row in enumerate(rows):
        if n > first and size + len(row) > _STATEMENT_BYTES:
            yield rows[first:n]
            first, size = n, 0
        size += len(row)
    yield rows[first:]
