"""What all packs share: the metadata, the users table, and expressions that keep batches fast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
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


def _type_in_document(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    if isinstance(type_, Json):
        return JSON()
    return Text() if isinstance(type_, String) else type_
