"""Reads many rows in pages, at flat memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select
from sqlalchemy.exc import DBAPIError

Row = tuple[Any, ...]


def row_pages(db: Connection, query: Select[Any], size: int) -> Iterator[list[Row]]:
    """The rows of a query in lists of up to `size`, from one snapshot. The connection executes nothing else meanwhile.
    Raises SQLAlchemyError.
    """
    if db.dialect.name != "sqlite":
        found = db.execution_options(stream_results=True, max_row_buffer=size).execute(query)
        yield from ([tuple(row) for row in page] for page in found.partitions(size))
        return
    # From the driver itself: SQLAlchemy takes as long for a row of a large result as SQLite does.
    result = db.execute(query)
    cursor: Any = result.cursor
    convert = [each.type.dialect_impl(db.dialect).result_processor(db.dialect, None) for each in query.selected_columns]
    try:
        while page := cursor.fetchmany(size):
            yield page if not any(convert) else [_converted(row, convert) for row in page]
    except sqlite3.Error as error:
        raise DBAPIError.instance(str(query), None, error, sqlite3.Error, dialect=db.dialect) from error
    finally:
        result.close()


def _converted(row: Row, convert: list[Any]) -> Row:
    return tuple(value if each is None else each(value) for value, each in zip(row, convert, strict=True))
