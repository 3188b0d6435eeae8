"""Backs up and restores tables, and compares the contents of tables and Redis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec
import redis
from sqlalchemy import Table, inspect, select, text

from jobs.game.leaderboards import BOARDS, STAMP
from opsconsole.core.database import Database

STAMPS = {
    "suggestions": {"created_at"},
    "topic_mastery": {"updated_at"},
    "daily_financial_reports": {"generated_at"},
    "daily_financial_snapshots": {"generated_at"},
    "monthly_financial_summaries": {"generated_at"},
    "rankings": {"updated_at"},
    "events": {"id", "occurred_at", "published_at"},
}
"""Columns that differ between runs: timestamps and generated numbers."""
OF_JOBS_ONLY = {b"events", *(STAMP.key(board=board).encode() for board in BOARDS)}
"""Keys of Redis that the baselines do not write: the stream, and the stamps of the boards."""
LAST_DIGITS = 1.1e-3
"""Seconds: means in the cache are rounded to milliseconds."""

Contents = dict[str, Any]


class TableBackup:
    """Copies of tables in the same database."""

    def __init__(self, data: Database, tables: Sequence[Table], mark: str) -> None:
        self._data, self._tables, self._mark = data, tables, mark

    def keep(self) -> None:
        """Copies the tables."""
        with self._data.writing() as db:
            for table in self._tables:
                db.execute(text(f"CREATE TABLE {self._mark}_{table.name} AS SELECT * FROM {table.name}"))  # noqa: S608

    def restore(self) -> None:
        """Restores the tables from the copies."""
        emptied = "DELETE FROM" if self._data.is_sqlite else "TRUNCATE"
        with self._data.writing() as db:
            for table in self._tables:
                db.execute(text(f"{emptied} {table.name}"))
                names = ", ".join(column["name"] for column in inspect(db).get_columns(table.name))
                db.execute(
                    text(f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {self._mark}_{table.name}")  # noqa: S608
                )
        self.settle()

    def settle(self) -> None:
        """Runs database maintenance now, so that it does not disturb a measurement."""
        if self._data.is_sqlite:
            with self._data.engine.connect() as db:
                db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            return
        with self._data.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            for table in self._tables:
                db.execute(text(f"VACUUM ANALYZE {table.name}"))
            db.execute(text("CHECKPOINT"))

    def drop(self) -> None:
        with self._data.writing() as db:
            for table in self._tables:
                db.execute(text(f"DROP TABLE {self._mark}_{table.name}"))


@contextmanager
def backed_up(data: Database, tables: Sequence[Table], mark: str) -> Iterator[TableBackup]:
    """Backs the tables up, and restores them after the block."""
    found = TableBackup(data, tables, mark)
    found.keep()
    try:
        yield found
    finally:
        found.restore()
        found.drop()


def contents(data: Database, tables: Sequence[Table], cache: redis.Redis) -> Contents:
    """The contents of the tables and of Redis, without timestamps."""
    found: Contents = {}
    with data.reading() as db:
        for table in tables:
            columns = [column for column in table.c if column.name not in STAMPS.get(table.name, ())]
            rows = db.execute(select(*columns).order_by(*table.primary_key)).all()
            found[table.name] = {_key(table, row): tuple(map(_comparable, row)) for row in rows}
    keys: Any
    for keys in cache.scan_iter(count=1000):
        if keys not in OF_JOBS_ONLY:
            found[f"redis {keys.decode()}"] = _value(cache, keys)
    return found


def _key(table: Table, row: Any) -> tuple[Any, ...]:
    names = ["name", "key"] if table.name == "events" else [column.name for column in table.primary_key]
    return tuple(getattr(row, name) for name in names)


def _comparable(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _value(cache: redis.Redis, key: bytes) -> Any:
    kind: Any = cache.type(key)
    if kind == b"string":
        return cache.get(key)
    return cache.hgetall(key) if kind == b"hash" else cache.zrange(key, 0, -1, withscores=True)


def first_difference(a: Contents, b: Contents) -> str | None:
    """The first difference; None when both are equal."""
    if set(a) != set(b):
        only = sorted(set(a) ^ set(b))
        return f"{len(only)} keys exist in only one of them, such as {only[0]}"
    for name, value in a.items():
        other = b[name]
        if value == other or _same(value, other):
            continue
        if isinstance(value, dict):
            key = next(key for key in (*value, *other) if not _same(value.get(key), other.get(key)))
            return f"{name} {key}: {value.get(key)!r} and {other.get(key)!r}"
        return f"{name}: {value!r} and {other!r}"
    return None


def _same(a: Any, b: Any) -> bool:
    """Compares values, ignoring the last digits of means: the order of summation is not fixed."""
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, abs_tol=LAST_DIGITS)
    if isinstance(a, bytes) and isinstance(b, bytes) and a != b:
        return b"." in a and _same(msgspec.json.decode(a), msgspec.json.decode(b))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(_same(value, b[key]) for key, value in a.items())
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)
