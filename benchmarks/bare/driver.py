"""A connection by the native driver, for SQL that works on both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import psycopg
import redis
from sqlalchemy.engine import make_url

from benchmarks.workload import Workload

Rows = list[tuple[Any, ...]]


class Sql:
    """A connection. `?` marks parameters."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._db: Any
        if self.is_sqlite:
            assert parsed.database
            self._db = sqlite3.connect(parsed.database, timeout=30)
            self._db.execute("PRAGMA synchronous=NORMAL")
        else:
            text = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
            self._db = psycopg.connect(text)
            self._db.execute("SET timezone TO 'UTC'")
            self._db.commit()

    def rows(self, statement: str, *values: Any) -> Rows:
        """Executes a query and returns its rows."""
        found: Rows = self._db.execute(self._text(statement), values).fetchall()
        return found

    def do(self, statement: str, *values: Any) -> None:
        """Executes a statement without a result."""
        self._db.execute(self._text(statement), values)

    def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Executes a statement for each row."""
        self._db.cursor().executemany(self._text(statement), rows)

    def commit(self) -> None:
        """Commits the transaction."""
        self._db.commit()

    def upsert(self, table: str, columns: Mapping[str, str], keys: int, rows: Rows) -> None:
        """Upserts rows of `columns` (name to PostgreSQL type); the first `keys` columns are the key."""
        if not rows:
            return
        names = ", ".join(columns)
        key, new = list(columns)[:keys], list(columns)[keys:]
        tail = f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET " + ", ".join(f"{n} = excluded.{n}" for n in new)
        if self.is_sqlite:
            marks = ", ".join("?" * len(columns))
            self.many(f"INSERT INTO {table} ({names}) VALUES ({marks}) {tail}", rows)  # noqa: S608
            return
        arrays = ", ".join(f"?::{kind}[]" for kind in columns.values())
        statement = f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays}) {tail}"  # noqa: S608
        self.do(statement, *(list(column) for column in zip(*rows, strict=True)))

    def time(self, moment: datetime) -> Any:
        """Converts a time to a parameter."""
        return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") if self.is_sqlite else moment

    def between(self, workload: Workload) -> tuple[Any, Any]:
        """The start of the window and the end of the data."""
        return self.time(workload.window.start), self.time(workload.until)

    def close(self) -> None:
        """Closes the connection."""
        self._db.close()

    def _text(self, statement: str) -> str:
        return statement if self.is_sqlite else statement.replace("?", "%s")


@contextmanager
def opened(workload: Workload) -> Iterator[tuple[Sql, redis.Redis]]:
    """Connections to the database and Redis."""
    sql, cache = Sql(workload.data_url), redis.Redis.from_url(workload.redis_url)
    try:
        yield sql, cache
    finally:
        sql.close()
        cache.close()


def by_first(rows: Rows) -> dict[str, Rows]:
    """Groups ordered rows by their first column."""
    return {key: list(some) for key, some in groupby(rows, itemgetter(0))}


def pages(read: Callable[[str], Rows]) -> Iterator[list[str]]:
    """Yields pages of keys; `read` returns the page after a key."""
    after = ""
    while keys := [row[0] for row in read(after)]:
        yield keys
        after = keys[-1]
