"""Writes what was worked out, only where it differs from what is there; the cache forgets what was made of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, RowMapping, Table

from opsconsole import Context, Unavailable
from opsconsole.sql import inserting


def differing(
    table: Table, rows: Iterable[dict[str, Any]], there: Iterable[RowMapping], *, stamp: str | None = None
) -> list[dict[str, Any]]:
    """The rows that are not `there` yet as they are to be, whatever their `stamp`, when they were worked out, says."""
    keys = [column.name for column in table.primary_key]
    found = {tuple(row[key] for key in keys): row for row in there}
    return [
        row
        for row in rows
        if (old := found.get(tuple(row[key] for key in keys))) is None
        or any(old[name] != value for name, value in row.items() if name != stamp)
    ]


def upsert(db: Connection, table: Table, rows: list[dict[str, Any]], *, stamp: str | None = None) -> None:
    """Writes rows; one that is there already is replaced, unless its `stamp` is newer."""
    adding = inserting(db, table)
    new = {column.name: adding.excluded[column.name] for column in table.columns if not column.primary_key}
    older = None if stamp is None else table.c[stamp] <= adding.excluded[stamp]
    keys = [column.name for column in table.primary_key]
    db.execute(adding.on_conflict_do_update(index_elements=keys, set_=new, where=older), rows)


def forget(ctx: Context, source: str, **parts: set[str]) -> None:
    """Lets the cache forget what was made from what has changed. When it cannot be reached that is counted: times to
    live bound how long it is old.
    """
    try:
        ctx.count("cache_keys_forgotten", ctx.forget(source, **parts))
    except Unavailable:
        ctx.count("users_not_forgotten", len(parts["user"]))
