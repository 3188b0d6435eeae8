"""How large tables and indexes were on each day, and how often indexes were used until then."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sqlalchemy import delete, select

from opsconsole.core.database import Connection, inserting
from opsconsole.rules.storage_health import SizeOnDay
from opsconsole.store.table_sizes import TableSize
from opsconsole.store.tables import table_days

_KEY = ("day", "database", "table", "index")


def record(db: Connection, day: date, database: str, sizes: Iterable[TableSize]) -> None:
    """Records sizes as those of a day, in place of what was recorded earlier that day."""
    rows = [row for size in sizes for row in _rows(day, database, size)]
    if not rows:
        return
    adding = inserting(db, table_days)
    new = {name: adding.excluded[name] for name in ("rows", "bytes", "scans")}
    db.execute(adding.on_conflict_do_update(index_elements=_KEY, set_=new), rows)


def since(db: Connection, day: date) -> list[SizeOnDay]:
    """What was recorded on a day and later, oldest first."""
    c = table_days.c
    query = select(table_days).where(c.day >= day.isoformat()).order_by(c.day)
    return [SizeOnDay(date.fromisoformat(on), *others) for on, *others in db.execute(query)]


def forget_before(db: Connection, day: date) -> None:
    """Removes what was recorded before a day."""
    db.execute(delete(table_days).where(table_days.c.day < day.isoformat()))


def _rows(day: date, database: str, size: TableSize) -> Iterable[dict[str, object]]:
    key = {"day": day.isoformat(), "database": database, "table": size.name}
    yield {**key, "index": "", "rows": size.rows, "bytes": size.bytes, "scans": None}
    for each in size.indexes:
        yield {**key, "index": each.name, "rows": None, "bytes": each.bytes, "scans": each.scans}
