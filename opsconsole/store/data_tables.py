"""The tables of packs and the outbox in the data database: created where missing, checked, never altered."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    ARRAY,
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
)
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.types import TypeEngine

from opsconsole.authoring import outbox
from opsconsole.authoring.pack import Pack
from opsconsole.core.column_types import Json, UtcTime
from opsconsole.core.database import Database
from opsconsole.store import foreign_names

PROGRESS_STEPS = 10_000
"""Steps of SQLite's machine, a few milliseconds, between two looks at the time."""

_KINDS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (Json, "json"),
    (JSON, "json"),
    (ARRAY, "array"),
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

_TIME_FORM, _DATE_FORM = "____-__-__ __:__:__.______", "____-__-__"
_AS_TIME, _AS_DATE = "strftime('%Y-%m-%d %H:%M:%f000', {0})", "date({0})"
_MILLISECONDS = "{0} / 1000.0, 'unixepoch'"


def _rewritten(function: str) -> str:
    """The expression that rewrites a text, or a number of milliseconds as Prisma writes it."""
    return f"CASE typeof({{0}}) WHEN 'text' THEN {function} ELSE {function.format(_MILLISECONDS)} END"


_OTHER_FORMS = {
    "time": (
        f"{{0}} NOT LIKE '{_TIME_FORM}'",
        "times that are not written as 2026-01-18 18:45:00.000000",
        _rewritten(_AS_TIME),
    ),
    "date": (f"{{0}} NOT LIKE '{_DATE_FORM}'", "dates that are not written as 2026-01-18", _rewritten(_AS_DATE)),
    "boolean": ("typeof({0}) <> 'integer'", "booleans that are not 0 or 1", "lower({0}) IN ('true', 't', 'yes', '1')"),
    "json": ("typeof({0}) = 'blob'", "JSON in binary form", "json({0})"),
    "integer": ("typeof({0}) = 'text'", "numbers that are text", "CAST({0} AS INTEGER)"),
    "number": ("typeof({0}) = 'text'", "numbers that are text", "CAST({0} AS REAL)"),
    "text": ("typeof({0}) <> 'text'", "values that are no text", "CAST({0} AS TEXT)"),
}
"""What SQLite takes in a column and a pack cannot read: the condition, its description, and the value that it can."""


def create_missing(data: Database, packs: Iterable[Pack]) -> list[str]:
    """Creates missing tables and indexes; returns what was created, one line each."""
    created: list[str] = []
    expected = tables(packs)
    if data.is_sqlite and _exist(data, expected):
        return created
    with data.writing() as db:
        for table in expected:
            present = inspect(db)
            if not present.has_table(table.name):
                table.create(db)
                created.append(f"table {table.name} created")
                continue
            if table.name not in present.get_table_names():  # a view
                continue
            columns = {column["name"] for column in present.get_columns(table.name)}
            indexes = {index["name"] for index in present.get_indexes(table.name)}
            for index in table.indexes:
                if index.name not in indexes and {column.name for column in index.columns} <= columns:
                    index.create(db)
                    created.append(f"index {index.name} created")
    return created


def _exist(data: Database, expected: Iterable[Table]) -> bool:
    """Whether an SQLite file has all tables and indexes: one query instead of the inspection of each table."""
    with data.reading() as db:
        names = set(db.exec_driver_sql("SELECT name FROM sqlite_master").scalars())
    return names.issuperset(name for table in expected for name in (table.name, *(each.name for each in table.indexes)))


def differences(data: Database, packs: Iterable[Pack]) -> list[str]:
    """The differences to what the packs need, one sentence each."""
    return list(each_difference(data, packs))


def each_difference(data: Database, packs: Iterable[Pack], *, within: float | None = None) -> Iterator[str]:
    """The differences, as they are found. Raises SQLAlchemyError, also when reading the values of an SQLite file takes
    longer than `within` seconds.
    """
    with data.reading() as db, _limited(db, within if data.is_sqlite else None):
        names = inspect(db).get_table_names()
        for table in tables(packs):
            yield from _differences(db, table, names, sqlite=data.is_sqlite)


@contextmanager
def _limited(db: Connection, seconds: float | None) -> Iterator[None]:
    """Has SQLite interrupt a statement of the block that is still running after `seconds`."""
    connection: Any = db.connection.driver_connection
    if seconds is None:
        yield
        return
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, PROGRESS_STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def _differences(db: Connection, table: Table, names: Sequence[str], *, sqlite: bool) -> Iterator[str]:
    present = inspect(db)
    if not present.has_table(table.name):
        other = foreign_names.similar(table.name, names)
        if other is None:
            yield f"table {table.name} is missing; run `opsconsole migrate --data`"
            return
        yield foreign_names.table_sentence(db, table, other)
    else:
        other = table.name
    columns = {column["name"]: column for column in present.get_columns(other)}
    renamed = foreign_names.renamed_columns(table, columns)
    for column in table.columns:
        if column.name in renamed:
            yield foreign_names.column_sentence(db, table, column.name, renamed[column.name])
        elif column.name not in columns:
            yield f"column {table.name}.{column.name} is missing; add it, opsconsole does not alter tables"
        if not sqlite and (name := renamed.get(column.name, column.name)) in columns:
            yield from _type_difference(db, column, columns[name])
    if other != table.name or renamed:
        schema = present.default_schema_name or "public"
        if all(renamed.get(column.name, column.name) in columns for column in table.columns):
            yield from foreign_names.view_sentence(db, schema, table, other, renamed)
        return  # its values and indexes are compared under their new names
    if sqlite:
        yield from _value_differences(db, table, columns)
    if table.name not in names:  # a view, which has the indexes of its table
        return
    indexes = {index["name"] for index in present.get_indexes(table.name)}
    for index in table.indexes:
        if index.name not in indexes:
            yield f"index {index.name} is missing and queries may be slow; run `opsconsole migrate --data`"


def _value_differences(db: Connection, table: Table, present: Mapping[str, ReflectedColumn]) -> Iterator[str]:
    """The columns with values in another form than the pack's, found by reading the table once: SQLite."""
    quoted = db.dialect.identifier_preparer.quote
    forms = {}
    for column in (column for column in table.columns if column.name in present):
        kind, declared = _kind(column.type), present[column.name]["type"]
        if kind == "text" and _kind(declared) in ("integer", "number", "decimal"):
            yield (
                f"column {table.name}.{column.name} is {declared.compile(db.dialect)}, but jobs need TEXT, and SQLite "
                "cannot change it; create the table again with TEXT, and copy its rows"
            )
        else:
            forms[quoted(column.name)] = _OTHER_FORMS.get(kind)
    tests = {name: form[0].format(name) for name, form in forms.items() if form is not None}
    if not tests:
        return
    every = ", ".join(f"coalesce(max({name} IS NOT NULL AND {test}), 0)" for name, test in tests.items())
    found = db.exec_driver_sql(f"SELECT {every} FROM {quoted(table.name)}").one()  # noqa: S608 - names of the pack
    for (name, test), has_others in zip(tests.items(), found, strict=True):
        form = forms[name]
        if has_others and form is not None:
            _, what, value = form
            where = f"{name} IS NOT NULL AND {test} AND {value.format(name)} IS NOT NULL"
            mend = f"UPDATE {quoted(table.name)} SET {name} = {value.format(name)} WHERE {where}"  # noqa: S608
            yield f"column {table.name}.{name.strip(chr(34))} has {what}; run: {mend}"


def _type_difference(db: Connection, column: Column[Any], present: ReflectedColumn) -> Iterator[str]:
    """A column whose type in the database cannot be read or compared as the pack does. SQLite has no such types."""
    needed, found = _kind(column.type), _kind(present["type"])
    if found in _ACCEPTED.get(needed, (needed,)):
        return
    table, name = (db.dialect.identifier_preparer.quote(each) for each in (column.table.name, column.name))
    required = column.type.compile(db.dialect).partition(" COLLATE")[0]
    value = f"{name}::{required}"
    if (needed, found) == ("boolean", "integer"):
        value = f"{name} <> 0"
    elif (needed, found) == ("json", "array"):
        required, value = "JSONB", f"to_jsonb({name})"
    steps = [f"ALTER COLUMN {name} TYPE {required} USING {value}"]
    default = present.get("default")
    if present.get("identity"):
        steps.insert(0, f"ALTER COLUMN {name} DROP IDENTITY")
    elif default is not None:
        # A default is not converted with its column.
        converted = value.replace(name, f"({default})", 1)
        steps = [f"ALTER COLUMN {name} DROP DEFAULT", *steps, f"ALTER COLUMN {name} SET DEFAULT {converted}"]
    has_type = present["type"].compile(db.dialect)
    mend = f"ALTER TABLE {table} {', '.join(steps)}"
    yield f"column {column.table.name}.{column.name} is {has_type}, but jobs need {required}; run: {mend}"


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
