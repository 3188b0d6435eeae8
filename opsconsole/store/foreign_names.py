"""Tables and columns of other programs under names of another style: `userId` for `user_id`, `User` for `users`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import Connection, Table

VIEWS = "opsconsole_views"
"""The schema for views with the names that opsconsole needs; no role has this name, whose search path would have it."""


def similar(name: str, present: Iterable[str]) -> str | None:
    """The name among `present` that differs in style only; None without one, or when it is not clear which."""
    found = [each for each in present if _bare(each) == _bare(name)]
    return found[0] if len(found) == 1 else None


def renamed_columns(table: Table, present: Iterable[str]) -> dict[str, str]:
    """The columns of a table that it has under another name: the needed name, and the present one."""
    needed, present = {column.name for column in table.columns}, set(present)
    others = present - needed
    found = {name: similar(name, others) for name in needed - present}
    return {name: other for name, other in sorted(found.items()) if other is not None}


def column_sentence(db: Connection, table: Table, name: str, other: str) -> str:
    """What to do about a column that has another name."""
    quote = db.dialect.identifier_preparer.quote
    return (
        f"column {table.name}.{name} is missing, but there is {quote(other)}; "
        f"run: ALTER TABLE {quote(table.name)} RENAME COLUMN {quote(other)} TO {quote(name)}"
    )


def table_sentence(db: Connection, table: Table, other: str) -> str:
    """What to do about a table that has another name."""
    quote = db.dialect.identifier_preparer.quote
    return (
        f"table {table.name} is missing, but there is {quote(other)}; "
        f"run: ALTER TABLE {quote(other)} RENAME TO {quote(table.name)}"
    )


def view_sentence(db: Connection, schema: str, table: Table, other: str, columns: Mapping[str, str]) -> Iterator[str]:
    """How to keep the names of another program: only PostgreSQL can write through a view. `other` is the table's name,
    `columns` has the present name of each column that has another one.
    """
    if db.dialect.name != "postgresql":
        return
    quote = db.dialect.identifier_preparer.quote
    names = (
        f"{quote(columns[column.name])} AS {quote(column.name)}" if column.name in columns else quote(column.name)
        for column in table.columns
    )
    selection = f"SELECT {', '.join(names)} FROM {quote(schema)}.{quote(other)}"  # noqa: S608 - for people to run
    yield (
        f"if another program needs the names that table {quote(other)} has, give opsconsole a view instead: "
        f"CREATE SCHEMA IF NOT EXISTS {VIEWS}; CREATE VIEW {VIEWS}.{quote(table.name)} AS {selection}; "
        f"and add ?options=-csearch_path%3D{VIEWS},{schema} to data.url"
    )


def _bare(name: str) -> str:
    return name.replace("_", "").lower().removesuffix("s")
