"""Writes computed rows only where they differ, and invalidates the cache entries derived from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, select

from jobs.common import insert_rows, rows_as_table
from opsconsole import Context, Unavailable
from opsconsole.sql import inserting


def changed_rows(
    table: Table, rows: Iterable[dict[str, Any]], existing: Iterable[RowMapping], *, stamp: str | None = None
) -> list[dict[str, Any]]:
    """The rows that differ from `existing` in any column but `stamp`, the time of their computation."""
    keys = [column.name for column in table.primary_key]
    by_key = {tuple(row[key] for key in keys): row for row in existing}
    return [
        row
        for row in rows
        if (old := by_key.get(tuple(row[key] for key in keys))) is None
        or any(old[name] != value for name, value in row.items() if name != stamp)
    ]


def upsert(db: Connection, table: Table, rows: list[dict[str, Any]], *, stamp: str | None = None) -> None:
    """Writes rows, replacing existing ones unless their `stamp` is newer."""
    statement = inserting(db, table)
    new = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    older = None if stamp is None else table.c[stamp] <= statement.excluded[stamp]
    keys = [column.name for column in table.primary_key]
    if db.dialect.name == "sqlite":
        insert_rows(db, statement.on_conflict_do_update(index_elements=keys, set_=new, where=older), table, rows)
        return
    # One statement for all rows: PostgreSQL plans each, which takes longer than to write a row.
    source = rows_as_table(table, rows)
    statement = statement.from_select(source.c.keys(), select(source))
    db.execute(statement.on_conflict_do_update(index_elements=keys, set_=new, where=older))


def invalidate(ctx: Context, source: str, **parts: set[str]) -> None:
    """Removes cache entries derived from `source`.

    An unreachable cache is only counted, because TTLs limit how long entries stay out of date.
    """
    try:
        ctx.count("cache_keys_invalidated", ctx.forget(source, **parts))
    except Unavailable:
        ctx.count("users_not_invalidated", len(parts["user"]))
