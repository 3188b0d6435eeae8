"""Which rows no longer tell what the transactions do, and how they are replaced."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    FunctionElement,
    String,
    Table,
    TableValuedAlias,
    Text,
    column,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.ext.compiler import compiles

from jobs.reporting.tables import transactions
from opsconsole import Context, Window
from opsconsole.sql import UtcTime, inserting

Rows = list[dict[str, Any]]


class MinuteBefore(FunctionElement[datetime]):
    """The instant a minute before the one in a time column.

    What is recorded in that minute may have been committed only after the row was worked out.
    """

    type = UtcTime()
    inherit_cache = True


@compiles(MinuteBefore)
def _interval(element: MinuteBefore, compiler: Any, **how: Any) -> str:
    return f"({compiler.process(element.clauses, **how)} - INTERVAL '1 minute')"


@compiles(MinuteBefore, "sqlite")
def _text(element: MinuteBefore, compiler: Any, **how: Any) -> str:
    # SQLite reckons in milliseconds; the microseconds are carried over as text.
    time = compiler.process(element.clauses, **how)
    return f"(strftime('%Y-%m-%d %H:%M:%S', substr({time}, 1, 19), '-60 seconds') || substr({time}, 20))"


def came_late(table: Table, before: datetime) -> Any:
    """The SQL condition that a transaction of before that instant was recorded too late for a row of the table.

    One of an earlier day counts as well: it moves the balances of every day after it.
    """
    t = transactions.c
    # Of one constant: SQLite then sees that an index holds all it needs, and takes that one.
    of_the_user = select(literal(1)).where(
        t.user_id == table.c.user_id,
        t.recorded_at > MinuteBefore(table.c.generated_at),
        t.occurred_at < before,
    )
    return of_the_user.exists()


def how_many(user: Any, window: Window) -> Any:
    """How many transactions a user has in the window, as an SQL expression."""
    t = transactions.c
    counted = select(func.count()).select_from(transactions).where(t.user_id == user, window.holds(t.occurred_at))
    return counted.correlate_except(transactions).scalar_subquery()


def to_write(ctx: Context, db: Connection, table: Table, rows: Rows, outdated: Any) -> Rows:
    """Those of the rows, all of one period, that are new or say something else than what is there, and those for whom
    the SQL condition `outdated` holds: what is right already is not written again.
    """
    if not rows:
        return []
    period = table.primary_key.columns.values()[1]
    users = [row["user_id"] for row in rows]
    said = [column for column in table.c if column.name != "generated_at"]
    there = db.execute(
        select(*said, outdated.label("outdated")).where(
            period == rows[0][period.name], ctx.among(table.c.user_id, users)
        )
    ).mappings()
    known = {row["user_id"]: row for row in there}
    names = [column.name for column in said]
    return [
        row
        for row in rows
        if (old := known.get(row["user_id"])) is None or old["outdated"] or any(old[n] != row[n] for n in names)
    ]


def write(db: Connection, table: Table, rows: Rows) -> None:
    """Writes the rows, each unless a newer one is there."""
    if not rows:
        return
    adding = inserting(db, table)
    new = adding.excluded
    is_newer = table.c.generated_at < new.generated_at
    if "through" in table.c:
        is_newer &= table.c.through <= new.through
    keys = [column.name for column in table.primary_key]
    values = {column.name: new[column.name] for column in table.c if column.name not in keys}
    if db.dialect.name == "sqlite":
        db.execute(adding.on_conflict_do_update(index_elements=keys, set_=values, where=is_newer), rows)
        return
    # One parameter with all rows; measured, a whole run is done in three quarters of the time of a statement a row.
    listed = _listed(table, rows)
    adding = adding.from_select(listed.c.keys(), select(listed))
    db.execute(adding.on_conflict_do_update(index_elements=keys, set_=values, where=is_newer))


def _listed(table: Table, rows: Rows) -> TableValuedAlias:
    """The rows as a table of PostgreSQL's."""
    texts = {column.name: Text() for column in table.c if isinstance(column.type, String)}  # of no alphabet
    columns = (column(each.name, texts.get(each.name, each.type)) for each in table.c)
    document = literal(msgspec.json.encode(rows).decode(), Text)
    listed = func.json_to_recordset(document.op("::")(literal_column("json")))
    return listed.table_valued(*columns).render_derived(with_types=True)
