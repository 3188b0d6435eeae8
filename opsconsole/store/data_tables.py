"""The tables of packs and the outbox in the data database: created where missing, checked, never altered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import (
    JSON,
    UUID,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    inspect,
    literal_column,
    select,
)
from sqlalchemy.types import TypeEngine

from opsconsole.authoring import outbox
from opsconsole.authoring.pack import Pack
from opsconsole.core.database import Database, Json, UtcTime

_KINDS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (Json, "json"),
    (JSON, "json"),
    (UUID, "uuid"),
    (Enum, "enum"),
    (Boolean, "boolean"),
    (Integer, "integer"),
    (Float, "number"),
    (Numeric, "decimal"),
    (UtcTime, "time"),
    (DateTime, "time"),
    (Date, "date"),
    (String, "text"),
)
"""The kinds of column types; the first that applies counts, as an Enum is a String and a Float is a Numeric."""
_ACCEPTED = {"json": ("json", "text"), "number": ("number", "integer")}
"""The kinds that a column of a pack may have besides its own."""

_TIME_FORM = "'____-__-__ __:__:__.______'"


def create_missing(data: Database, packs: Iterable[Pack]) -> list[str]:
    """Creates missing tables and indexes; returns what was created, one line each."""
    created: list[str] = []
    with data.writing() as db:
        for table in tables(packs):
            present = inspect(db)
            if not present.has_table(table.name):
                table.create(db)
                created.append(f"table {table.name} created")
                continue
            columns = {column["name"] for column in present.get_columns(table.name)}
            indexes = {index["name"] for index in present.get_indexes(table.name)}
            for index in table.indexes:
                if index.name not in indexes and {column.name for column in index.columns} <= columns:
                    index.create(db)
                    created.append(f"index {index.name} created")
    return created


def differences(data: Database, packs: Iterable[Pack]) -> list[str]:
    """The differences to what the packs need, one sentence each."""
    with data.reading() as db:
        return [line for table in tables(packs) for line in _differences(db, table, sqlite=data.is_sqlite)]


def _differences(db: Connection, table: Table, *, sqlite: bool) -> Iterator[str]:
    present = inspect(db)
    if not present.has_table(table.name):
        yield f"table {table.name} is missing; run `opsconsole migrate --data`"
        return
    columns = {column["name"]: column["type"] for column in present.get_columns(table.name)}
    for column in table.columns:
        if column.name not in columns:
            yield f"column {table.name}.{column.name} is missing; add it, opsconsole does not alter tables"
        elif not sqlite:
            yield from _type_difference(db, column, columns[column.name])
        elif isinstance(column.type, UtcTime):
            other_form = column.is_not(None) & literal_column(f'"{column.name}" NOT LIKE {_TIME_FORM}')
            if db.execute(select(1).select_from(table).where(other_form).limit(1)).scalar():
                yield (
                    f"{table.name}.{column.name} has times that are not written as 2026-01-18 18:45:00.000000; "
                    "rewrite them"
                )
    indexes = {index["name"] for index in present.get_indexes(table.name)}
    for index in table.indexes:
        if index.name not in indexes:
            yield f"index {index.name} is missing and queries may be slow; run `opsconsole migrate --data`"


def _type_difference(db: Connection, column: Column[Any], present: TypeEngine[Any]) -> Iterator[str]:
    """A column whose type in the database cannot be read or compared as the pack does. SQLite has no such types."""
    needed, found = _kind(column.type), _kind(present)
    if found in _ACCEPTED.get(needed, (needed,)):
        return
    name, wanted = f"{column.table.name}.{column.name}", column.type.compile(db.dialect).partition(" COLLATE")[0]
    value = f"{column.name} <> 0" if (needed, found) == ("boolean", "integer") else f"{column.name}::{wanted}"
    mend = f"ALTER TABLE {column.table.name} ALTER COLUMN {column.name} TYPE {wanted} USING {value}"
    yield f"column {name} is {present.compile(db.dialect)}, but jobs need {wanted}; run: {mend}"


def _kind(type_: TypeEngine[Any]) -> str:
    return next((kind for class_, kind in _KINDS if isinstance(type_, class_)), type(type_).__name__.lower())


def lacks_tables(data: Database, packs: Iterable[Pack]) -> bool:
    """Whether a table of the packs or the outbox is missing."""
    with data.reading() as db:
        present = inspect(db)
        return not all(present.has_table(table.name) for table in tables(packs))


def tables(packs: Iterable[Pack]) -> list[Table]:
    """The tables of the packs, and the outbox."""
    collected: list[MetaData] = [outbox.metadata]
    for pack in packs:
        if pack.metadata is not None and pack.metadata not in collected:
            collected.append(pack.metadata)
    return [table for metadata in collected for table in metadata.sorted_tables]
