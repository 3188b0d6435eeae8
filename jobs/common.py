"""What all packs share: the metadata, the users table, and expressions that keep batches fast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    MetaData,
    String,
    Table,
    TableValuedAlias,
    Text,
    column,
    func,
    literal,
    literal_column,
)
from sqlalchemy.types import TypeEngine

from opsconsole.sql import Json, UtcTime, key_type

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING_CONVENTION)

users = Table(
    "users",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("name", String, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("stream", String, nullable=True),
    Column("grade", String, nullable=True),
    Column("created_at", UtcTime, nullable=False),
)


def sorted_by(key: Column[str]) -> Any:
    """What to order a population by, so that the rows of a batch are close together, and it changes few
    pages. It is an expression, as otherwise SQLite would read the whole table in the order of its keys.
    """
    return key.concat("")


def rows_as_table(table: Table, rows: Sequence[dict[str, Any]]) -> TableValuedAlias:
    """Rows of a table as a PostgreSQL table expression, with one JSON parameter for all."""
    # Texts without a collation, and JSON as JSON: PostgreSQL turns it into what the table's column is.
    columns = (column(each.name, _type_in_document(each.type)) for each in table.c)
    document = literal(msgspec.json.encode(rows).decode(), Text)
    source = func.json_to_recordset(document.op("::")(literal_column("json")))
    return source.table_valued(*columns).render_derived(with_types=True)


def insert_rows(db: Connection, statement: Any, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Executes an INSERT of SQLite, which may have an ON CONFLICT, for each of these rows of the table.

    The statement has no bound values of its own, and each row has a value for every column that it writes: a default
    in Python does not apply. SQLAlchemy would take longer to convert the values of a row than SQLite takes to write it.
    """
    names = list(rows[0])
    compiled = statement.compile(dialect=db.dialect, column_keys=names)
    columns = []
    for name in compiled.positiontup:
        values = [row[name] for row in rows]
        convert = table.c[name].type.dialect_impl(db.dialect).bind_processor(db.dialect)
        columns.append(values if convert is None else _converted(values, convert))
    db.exec_driver_sql(str(compiled), list(zip(*columns, strict=True)))


def _converted(values: list[Any], convert: Callable[[Any], Any]) -> list[Any]:
    """The values as SQLite stores them; one that all rows share, such as a stamp, is converted once."""
    if len(set(map(id, values))) == 1:
        return [convert(values[0])] * len(values)
    return list(map(convert, values))


def _type_in_document(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    if isinstance(type_, Json):
        return JSON()
    return Text() if isinstance(type_, String) else type_
