"""Puts tables back to how they were, and says what is in them and in Redis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec
import redis
from sqlalchemy import Table, inspect, select, text

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
"""Columns that differ from one time to the next: stamps, and numbers that are given in turn."""
STREAM = b"events"
LAST_DIGITS = 1.1e-3
"""Seconds: means in the cache are rounded to milliseconds."""

Left = dict[str, Any]


class Kept:
    """Copies of tables as they were, in the same database."""

    def __init__(self, data: Database, tables: Sequence[Table], mark: str) -> None:
        self._data, self._tables, self._mark = data, tables, mark

    def keep(self) -> None:
        """From now on `restore` leads back to this."""
        with self._data.writing() as db:
            for table in self._tables:
                db.execute(text(f"CREATE TABLE {self._mark}_{table.name} AS SELECT * FROM {table.name}"))  # noqa: S608

    def restore(self) -> None:
        """Everything is as it was kept."""
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
        """Lets the database do now what it would otherwise do in the middle of a measurement."""
        if self._data.is_sqlite:
            with self._data.engine.connect() as db:
                db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            return
        with self._data.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            for table in self._tables:
                db.execute(text(f"VACUUM ANALYZE {table.name}"))
            db.execute(text("CHECKPOINT"))

    def drop(self) -> None:
        """Forgets the copies."""
        with self._data.writing() as db:
            for table in self._tables:
                db.execute(text(f"DROP TABLE {self._mark}_{table.name}"))


@contextmanager
def kept(data: Database, tables: Sequence[Table], mark: str) -> Iterator[Kept]:
    """The tables as they are now; they are that again after the block."""
    found = Kept(data, tables, mark)
    found.keep()
    try:
        yield found
    finally:
        found.restore()
        found.drop()


def left(data: Database, tables: Sequence[Table], cache: redis.Redis) -> Left:
    """What is in the tables and in Redis, but for stamps."""
    found: Left = {}
    with data.reading() as db:
        for table in tables:
            said = [column for column in table.c if column.name not in STAMPS.get(table.name, ())]
            rows = db.execute(select(*said).order_by(*table.primary_key)).all()
            found[table.name] = {_key(table, row): tuple(map(_comparable, row)) for row in rows}
    keys: Any
    for keys in cache.scan_iter(count=1000):
        if keys != STREAM:
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


def different(a: Left, b: Left) -> str | None:
    """Where two differ first; None when they are the same."""
    if set(a) != set(b):
        only = sorted(set(a) ^ set(b))
        return f"{len(only)} keys are in one only, such as {only[0]}"
    for name, said in a.items():
        other = b[name]
        if said == other or _same(said, other):
            continue
        if isinstance(said, dict):
            key = next(key for key in (*said, *other) if not _same(said.get(key), other.get(key)))
            return f"{name} {key}: {said.get(key)!r} and {other.get(key)!r}"
        return f"{name}: {said!r} and {other!r}"
    return None


def _same(a: Any, b: Any) -> bool:
    """Whether two values are, up to the last digits of a mean: a database may add up in any order."""
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, abs_tol=LAST_DIGITS)
    if isinstance(a, bytes) and isinstance(b, bytes) and a != b:
        return b"." in a and _same(msgspec.json.decode(a), msgspec.json.decode(b))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(_same(value, b[key]) for key, value in a.items())
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)
