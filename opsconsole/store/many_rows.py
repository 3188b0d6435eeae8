"""Executes a statement for many rows: PostgreSQL takes them as one JSON array in one statement, because each further
statement costs more than its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import msgspec
from sqlalchemy import (
    JSON,
    BindParameter,
    Column,
    Insert,
    Integer,
    Table,
    TableValuedAlias,
    Text,
    TypeDecorator,
    Update,
    bindparam,
    cast as sql_cast,
    column,
    func,
    insert,
    select,
)
from sqlalchemy.sql import visitors
from sqlalchemy.types import TypeEngine

from opsconsole.core.database import Connection
from opsconsole.store.job_names import POSTGRESQL

if TYPE_CHECKING:
    from opsconsole.core.postgres import Session

Rows = Sequence[Mapping[str, Any]]
Types = Mapping[str, TypeEngine[Any]]

_PLACE = "place"
_ROWS = "rows"
_NUL = "\\u0000"


def parameter(name: str, of: Column[Any]) -> BindParameter[Any]:
    """A parameter with the type of a column, for the statement of ManyRows."""
    return bindparam(name, type_=of.type)


class ManyRows:
    """An UPDATE with typed parameters, which are given for any number of rows."""

    def __init__(self, statement: Update) -> None:
        self._statement = statement
        parameters = (each for each in visitors.iterate(statement) if isinstance(each, BindParameter))
        self._types: Types = {each.key: each.type for each in parameters if each.required}
        self._at_once = _at_once(statement, self._types)

    def execute(self, db: Connection, rows: Rows) -> None:
        """Executes it for these rows. Does nothing without any. For a naive time it raises StatementError, and for
        several rows on PostgreSQL ValueError.
        """
        if len(rows) > 1 and db.dialect.name == POSTGRESQL:
            db.execute(self._at_once, {_ROWS: _document(db, rows, self._types)})
        elif rows:
            db.execute(self._statement, rows)


def insert_all(db: Connection, table: Table, rows: Rows) -> None:
    """Inserts rows that have values for the same columns, in their order. Raises like `ManyRows.execute`."""
    if len(rows) > 1 and db.dialect.name == POSTGRESQL:
        adding, types = _insert_at_once(table, tuple(rows[0]))
        db.execute(adding, {_ROWS: _document(db, rows, types)})
    elif rows:
        db.execute(_insert(table), rows)


def insert_numbered(db: Connection, table: Table, rows: Rows) -> list[int]:
    """Inserts rows that have values for the same columns, and returns their numbers, in the same order."""
    if len(rows) > 1 and db.dialect.name == POSTGRESQL:
        adding, types = _insert_at_once(table, tuple(rows[0]))
        return sorted(db.execute(adding.returning(table.c.id), {_ROWS: _document(db, rows, types)}).scalars())
    adding = _insert(table).returning(table.c.id, sort_by_parameter_order=True)
    return list(db.execute(adding, rows).scalars()) if rows else []


@lru_cache
def _insert(table: Table) -> Insert:
    return insert(table)


@lru_cache
def _insert_at_once(table: Table, names: tuple[str, ...]) -> tuple[Insert, Types]:
    types = {name: table.c[name].type for name in names}
    given = _given(types)
    in_order = select(*(given.c[name] for name in names)).order_by(given.c[_PLACE])
    return insert(table).from_select(names, in_order), types


def _at_once(statement: Update, types: Types) -> Update:
    """The statement for all rows of a document, whose columns replace its parameters."""
    given = _given(types)

    def replace(element: Any, **_how: Any) -> Any:
        return given.c[element.key] if isinstance(element, BindParameter) and element.key in types else None

    return cast("Update", visitors.replacement_traverse(statement, {}, replace))


def _given(types: Types) -> TableValuedAlias:
    rows = func.json_to_recordset(sql_cast(bindparam(_ROWS, type_=Text()), JSON))
    columns = [column(name, type_) for name, type_ in types.items()]
    return rows.table_valued(*columns, column(_PLACE, Integer), name="given").render_derived(
        name="given", with_types=True
    )


def _document(db: Connection, rows: Rows, types: Types) -> str:
    """The rows as a JSON array."""
    processed = {name: type_.process_bind_param for name, type_ in types.items() if isinstance(type_, TypeDecorator)}
    plain = [{**row, _PLACE: place} for place, row in enumerate(rows)]
    for row in plain:
        for name, process in processed.items():
            row[name] = process(row[name], db.dialect)
    codec = cast("Session", db.connection.driver_connection).text_codec
    try:
        document = msgspec.json.encode(plain).decode()
    except UnicodeEncodeError:  # a lone surrogate
        return _escaped_document(plain, codec)
    has_all_characters = codec == "utf-8" or document.isascii()
    return document if has_all_characters and _NUL not in document else _escaped_document(plain, codec)


def _escaped_document(rows: Rows, codec: str) -> str:
    """The same with escapes for what a text of the database cannot have."""
    from opsconsole.core.postgres import escaped  # psycopg, which SQLite does without

    plain = [{n: escaped(v, codec) if isinstance(v, str) else v for n, v in row.items()} for row in rows]
    return msgspec.json.encode(plain).decode()
