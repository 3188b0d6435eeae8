"""Reads rows of which some values cannot be read, as a damaged file or another program left them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar, cast

import msgspec
from sqlalchemy import Select, Table, tuple_
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from opsconsole.core.database import Connection
from opsconsole.core.database_errors import ErrorKind, error_kind, reason

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for a time that cannot be read."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A row: its fields are columns with their types. A field's default stands for a value that cannot be read;
    `unreadable` names these columns, and why.
    """

    unreadable: str = ""


S = TypeVar("S", bound=Stored)
NO_VALUES: Mapping[str, object] = MappingProxyType({})
Key = tuple[Any, ...]


def read(
    db: Connection, query: Select[Any], table: Table, shape: type[S], values: Mapping[str, object] = NO_VALUES
) -> list[S]:
    """The rows of a query over `table` with these `values` for its parameters. A value that cannot be read, or has
    another type, hides no other value.
    """
    try:
        return _read_all(db, query, shape, values)
    except Exception as error:
        if not _is_about_values(error):
            raise
    query = query.params(values)
    keys = db.execute(query.with_only_columns(*table.primary_key.columns)).all()
    return _read_halves(db, query.limit(None), table, [tuple(key) for key in keys], shape)


def _is_about_values(error: BaseException) -> bool:
    """Whether a value could not be understood here. What the server itself reports is about the statement, and ends the
    transaction on PostgreSQL.
    """
    if not isinstance(error, DBAPIError):
        return not isinstance(error, SQLAlchemyError)
    code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorcode", None)
    return code is None and error_kind(error) is ErrorKind.STATEMENT


def _read_all(db: Connection, query: Select[Any], shape: type[S], values: Mapping[str, object] = NO_VALUES) -> list[S]:
    result = db.execute(query, values)
    rows = [tuple(row) for row in result.all()]
    # Its instances have the same fields as those of `shape`.
    return cast("list[S]", msgspec.convert(rows, list[_in_order(shape, tuple(map(str, result.keys())))]))  # type: ignore[misc]


@cache
def _in_order(shape: type[Stored], names: tuple[str, ...]) -> type[msgspec.Struct]:
    """The shape with the columns of a row first, in their order. To convert a tuple takes a third of the time."""
    fields = {field.name: field for field in msgspec.structs.fields(shape)}
    columns = [(name, fields[name].type if name in fields else Any) for name in names]
    others = [(name, each.type, _default(each)) for name, each in fields.items() if name not in names]
    return msgspec.defstruct(shape.__name__, [*columns, *others], array_like=True, frozen=True)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    is_made = field.default_factory is not msgspec.NODEFAULT
    return msgspec.field(default_factory=field.default_factory) if is_made else field.default


def _read_halves(db: Connection, query: Select[Any], table: Table, keys: list[Key], shape: type[S]) -> list[S]:
    """Reads the rows with these keys in halves, down to those that cannot be read."""
    if not keys:
        return []
    mine = query.where(tuple_(*table.primary_key.columns).in_(keys))
    try:
        return _read_all(db, mine, shape)
    except Exception as error:
        if not _is_about_values(error):
            raise
    if len(keys) == 1:
        return [_read_one(db, mine, shape)]
    half = len(keys) // 2
    return [row for part in (keys[:half], keys[half:]) for row in _read_halves(db, query, table, part, shape)]


def _read_one(db: Connection, query: Select[Any], shape: type[S]) -> S:
    values: dict[str, Any] = {}
    unreadable: list[str] = []
    for field in msgspec.structs.fields(shape):
        column = query.selected_columns.get(field.name)
        if column is None:
            continue
        try:
            value = db.execute(query.with_only_columns(column)).scalar_one()
            values[field.name] = msgspec.convert(value, field.type)
        except Exception as error:
            if not _is_about_values(error) or field.required:
                raise
            unreadable.append(f"{field.name} ({reason(error)})")
    return shape(**values, unreadable=", ".join(unreadable))


def without_note(row: Stored) -> Mapping[str, Any]:
    """The columns of a row by name."""
    return {name: value for name, value in msgspec.structs.asdict(row).items() if name != "unreadable"}
