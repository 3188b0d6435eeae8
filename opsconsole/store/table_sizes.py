"""How large tables and their indexes are, how much of them is dead, and which indexes are used."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import bindparam, column, func, select, table, text
from sqlalchemy.exc import OperationalError

from opsconsole.core.database import Connection, Database


@dataclass(frozen=True, slots=True)
class IndexSize:
    """An index; `scans` is how often a query used it since the statistics were reset, None where that is not known."""

    name: str
    bytes: int | None
    scans: int | None
    unique: bool

    @property
    def is_unused(self) -> bool:
        """Whether it only costs: no query used it, and it keeps nothing unique."""
        return self.scans == 0 and not self.unique


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table. `rows` is an estimate on PostgreSQL; `bytes` includes its indexes; `dead_rows` are deleted or replaced
    ones that still take space, None where there are none or they are not known.
    """

    name: str
    rows: int
    bytes: int | None
    dead_rows: int | None
    indexes: tuple[IndexSize, ...]

    @property
    def dead_share(self) -> float | None:
        """Dead rows as a share of all."""
        if self.dead_rows is None or not self.rows + self.dead_rows:
            return None
        return self.dead_rows / (self.rows + self.dead_rows)


_POSTGRESQL = text(
    "SELECT t.relname, t.n_live_tup, t.n_dead_tup, pg_total_relation_size(t.relid) "
    "FROM pg_stat_user_tables t WHERE t.schemaname = ANY(current_schemas(false)) AND t.relname = ANY(:names)"
).bindparams(bindparam("names"))
_POSTGRESQL_INDEXES = text(
    "SELECT i.relname, i.indexrelname, pg_relation_size(i.indexrelid), i.idx_scan, x.indisunique "
    "FROM pg_stat_user_indexes i JOIN pg_index x ON x.indexrelid = i.indexrelid "
    "WHERE i.schemaname = ANY(current_schemas(false)) AND i.relname = ANY(:names) ORDER BY i.indexrelname"
).bindparams(bindparam("names"))
_SQLITE_PAGES = text("SELECT name, sum(pgsize) FROM dbstat WHERE aggregate = TRUE GROUP BY name")
_SQLITE_INDEXES = text(
    "SELECT m.name, l.name, l.\"unique\" FROM sqlite_schema m, pragma_index_list(m.name) l WHERE m.type = 'table'"
)


def table_sizes(database: Database, names: Collection[str]) -> list[TableSize]:
    """The existing tables of these names, the largest first. Raises SQLAlchemyError."""
    with database.reading() as db:
        found = _sqlite(db, names) if database.is_sqlite else _postgresql(db, names)
    return sorted(found, key=lambda each: (-(each.bytes or 0), -each.rows, each.name))


def _postgresql(db: Connection, names: Collection[str]) -> list[TableSize]:
    indexes: dict[str, list[IndexSize]] = {}
    for of, name, size, scans, unique in db.execute(_POSTGRESQL_INDEXES, {"names": list(names)}):
        indexes.setdefault(of, []).append(IndexSize(name, size, scans, unique))
    return [
        TableSize(name, rows, size, dead, tuple(indexes.get(name, ())))
        for name, rows, dead, size in db.execute(_POSTGRESQL, {"names": list(names)})
    ]


def _sqlite(db: Connection, names: Collection[str]) -> list[TableSize]:
    pages = _sqlite_pages(db)
    indexes: dict[str, list[IndexSize]] = {}
    for of, name, unique in db.execute(_SQLITE_INDEXES):
        indexes.setdefault(of, []).append(IndexSize(name, pages.get(name), None, bool(unique)))
    existing = db.execute(text("SELECT name FROM sqlite_schema WHERE type = 'table'")).scalars().all()
    sizes = []
    for name in [name for name in existing if name in names]:
        rows = db.execute(select(func.count()).select_from(table(name, column("rowid")))).scalar_one()
        own = tuple(sorted(indexes.get(name, ()), key=lambda index: index.name))
        total = pages[name] + sum(index.bytes or 0 for index in own) if name in pages else None
        sizes.append(TableSize(name, rows, total, None, own))
    return sizes


def _sqlite_pages(db: Connection) -> dict[str, int]:
    """Bytes of each table and index; empty where SQLite was built without that."""
    try:
        return dict(db.execute(_SQLITE_PAGES).all())
    except OperationalError:
        return {}
