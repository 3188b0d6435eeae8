"""How large tables and their indexes are, how much of them is dead, and which indexes are used."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, column, func, select, table, text
from sqlalchemy.exc import OperationalError

from opsconsole.core.database import Connection, Database
from opsconsole.rules.storage_health import is_bloated


@dataclass(frozen=True, slots=True)
class IndexSize:
    """An index; `scans` is how often a query used it since the statistics were reset, and `expected_bytes` how large it
    would be if its pages were nearly full; None where that is not known.
    """

    name: str
    bytes: int | None
    scans: int | None
    unique: bool
    expected_bytes: int | None = None

    @property
    def is_unused(self) -> bool:
        """Whether it only costs: no query used it, and it keeps nothing unique."""
        return self.scans == 0 and not self.unique

    @property
    def is_bloated(self) -> bool:
        """Whether it is much larger than its entries need."""
        return is_bloated(self.bytes, self.expected_bytes)


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
# An entry of a B-tree has a pointer (4 bytes), a header (8) and its columns, each aligned to 8. A page has 8,192 bytes,
# of which 40 are its own and a tenth is left free. The width of an expression is in the statistics of the index.
_POSTGRESQL_EXPECTED = text(
    "SELECT i.relname, "
    "CASE WHEN i.reltuples >= 0 AND count(s.avg_width) = count(*) "
    "THEN ceil(i.reltuples * (12 + sum((s.avg_width + 7) / 8 * 8)) / (0.9 * 8152)) * 8192 END "
    "FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid "
    "JOIN pg_namespace n ON n.oid = t.relnamespace JOIN pg_am m ON m.oid = i.relam AND m.amname = 'btree' "
    "JOIN LATERAL unnest(x.indkey::int2[]) WITH ORDINALITY k(key, place) ON k.place <= x.indnkeyatts "
    "JOIN pg_attribute a ON (a.attrelid, a.attnum) = "
    "(CASE WHEN k.key = 0 THEN i.oid ELSE t.oid END, CASE WHEN k.key = 0 THEN k.place ELSE k.key END) "
    "LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.attname = a.attname AND NOT s.inherited "
    "AND s.tablename = CASE WHEN k.key = 0 THEN i.relname ELSE t.relname END "
    "WHERE n.nspname = ANY(current_schemas(false)) AND t.relname = ANY(:names) GROUP BY i.oid, i.relname, i.reltuples"
).bindparams(bindparam("names"))
_SQLITE_PAGES = text("SELECT sum(pgsize) FROM dbstat WHERE aggregate = TRUE AND name = :name")
_SQLITE_FREE = text("SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size")
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
    expected: dict[str, Any] = dict(db.execute(_POSTGRESQL_EXPECTED, {"names": list(names)}).all())
    for of, name, size, scans, unique in db.execute(_POSTGRESQL_INDEXES, {"names": list(names)}):
        least = expected.get(name)
        index = IndexSize(name, size, scans, unique, None if least is None else int(least))
        indexes.setdefault(of, []).append(index)
    return [
        TableSize(name, rows, size, dead, tuple(indexes.get(name, ())))
        for name, rows, dead, size in db.execute(_POSTGRESQL, {"names": list(names)})
    ]


def _sqlite(db: Connection, names: Collection[str]) -> list[TableSize]:
    own: dict[str, list[tuple[str, bool]]] = {}
    for of, name, unique in db.execute(_SQLITE_INDEXES):
        own.setdefault(of, []).append((name, bool(unique)))
    existing = db.execute(text("SELECT name FROM sqlite_schema WHERE type = 'table'")).scalars().all()
    sizes = []
    for name in [name for name in existing if name in names]:
        rows = db.execute(select(func.count()).select_from(table(name, column("rowid")))).scalar_one()
        indexes = tuple(
            IndexSize(index, _sqlite_bytes(db, index), None, unique) for index, unique in sorted(own.get(name, ()))
        )
        size = _sqlite_bytes(db, name)
        total = None if size is None else size + sum(index.bytes or 0 for index in indexes)
        sizes.append(TableSize(name, rows, total, None, indexes))
    return sizes


def _sqlite_bytes(db: Connection, name: str) -> int | None:
    """The bytes of a table or index; None where SQLite was built without that."""
    try:
        found: int | None = db.execute(_SQLITE_PAGES, {"name": name}).scalar()
    except OperationalError:
        return None
    return found


def free_bytes(database: Database) -> int | None:
    """The unused bytes of an SQLite file, because rows were removed; None on PostgreSQL. Raises
    SQLAlchemyError.
    """
    if not database.is_sqlite:
        return None
    with database.reading() as db:
        return int(db.execute(_SQLITE_FREE).scalar_one())
