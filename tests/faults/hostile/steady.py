"""Two ordinary minutely jobs. Each first checks that it found its process as a job may expect it, then writes to its
table, and one of them to Redis.
"""

from __future__ import annotations

import decimal
import json
import locale
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from sqlalchemy import Column, MetaData, Select, String, Table, insert, select, text

from opsconsole import Context, Items, Job, Pack, Scope
from opsconsole.cache import Family
from opsconsole.core.database import Connection, Database, inserting
from opsconsole.sql import UtcTime, key_type

ITEMS = 40
BATCH = 20
ROUNDED = decimal.Decimal(1) / decimal.Decimal(3)

metadata = MetaData()

things = Table("steady_things", metadata, Column("id", key_type(), primary_key=True))

marks = Table(
    "steady_marks",
    metadata,
    Column("job", String, primary_key=True),
    Column("as_of", UtcTime, primary_key=True),
    Column("item", key_type(), primary_key=True),
)

MARKS = Family("steady.marks", "steady:mark:{item}", ttl=timedelta(hours=1), of=("item",))


class NotAsExpected(Exception):
    """Another job changed what this one depends on."""


def put(data: Database) -> None:
    """Adds the items."""
    with data.writing() as db:
        db.execute(insert(things), [{"id": f"thing-{n:02}"} for n in range(ITEMS)])


def everything(scope: Scope) -> Select[tuple[str]]:
    """All items."""
    return select(things.c.id).order_by(things.c.id)


def to_table(job: str) -> Callable[[Context, Items], None]:
    """Writes a mark for each item."""

    def apply(ctx: Context, items: Items) -> None:
        _check(ctx)
        with ctx.writing() as db:
            _check_session(db)
            rows = [{"job": job, "as_of": ctx.as_of, "item": item} for item in items]
            db.execute(inserting(db, marks).on_conflict_do_nothing(), rows)
        ctx.count("marks", len(items))

    return apply


def to_redis(job: str) -> Callable[[Context, Items], None]:
    """Writes a mark for each item, then a value to Redis."""
    write = to_table(job)

    def apply(ctx: Context, items: Items) -> None:
        write(ctx, items)
        stamp = ctx.as_of.isoformat().encode()
        refused = ctx.cache.replace(MARKS, dict.fromkeys(items, stamp), by="item")
        if refused or ctx.cache.read(MARKS, items, by="item") != dict.fromkeys(items, stamp):
            raise NotAsExpected(f"Redis refused {len(refused)} values, or returned others")

    return apply


def _check(ctx: Context) -> None:
    wrong = [name for name, holds in _expectations(ctx) if not holds]
    if wrong:
        raise NotAsExpected(", ".join(wrong))


def _expectations(ctx: Context) -> Iterator[tuple[str, bool]]:
    """What a job may depend on, whatever ran before it."""
    yield "folder", Path.cwd().exists()
    yield "environment", "PATH" in os.environ
    yield "time zone", time.localtime(0).tm_hour == datetime.fromtimestamp(0, UTC).hour
    yield "locale", locale.localeconv()["decimal_point"] == "."
    yield "clock", abs(time.time() - datetime.now(UTC).timestamp()) < 60 and time.monotonic() > 0
    yield "umask", _umask() == 0o077
    yield "signals", signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    yield "alarm", signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    yield "import path", bool(sys.path) and "opsconsole" in sys.modules
    yield "standard output", not sys.stdout.closed and not sys.stderr.closed
    yield "recursion", sys.getrecursionlimit() >= 1_000
    yield "decimals", decimal.Decimal(1) / decimal.Decimal(3) == ROUNDED
    yield "sockets", socket.getdefaulttimeout() is None
    yield "threads", not any(thread.name.startswith("Thread-") for thread in threading.enumerate())
    yield "traces", sys.getprofile() is None and threading.getprofile() is None
    yield "JSON", json.loads(json.dumps([1])) == [1] and msgspec.json.decode(msgspec.json.encode([1])) == [1]
    yield "memory of the run", not ctx.memory
    yield "files", Path(os.devnull).read_bytes() == b""


def _umask() -> int:
    found = os.umask(0o077)
    os.umask(found)
    return found


def _check_session(db: Connection) -> None:
    if db.dialect.name == "postgresql":
        found = [db.execute(text(f"SHOW {name}")).scalar() for name in ("search_path", "timezone", "statement_timeout")]
        if found[0] != '"$user", public' or str(found[1]).lower() not in ("utc", "etc/utc") or found[2] == "1ms":
            raise NotAsExpected(f"session {found}")
    elif db.execute(text("PRAGMA query_only")).scalar():
        raise NotAsExpected("session query_only")


JOBS = (
    Job(
        "steady.table",
        everything,
        to_table("steady.table"),
        cron="* * * * *",
        batch=BATCH,
        batch_timeout=timedelta(seconds=20),
    ),
    Job(
        "steady.redis",
        everything,
        to_redis("steady.redis"),
        cron="* * * * *",
        batch=BATCH,
        batch_timeout=timedelta(seconds=20),
    ),
)

pack = Pack("steady", jobs=JOBS, families=(MARKS,), metadata=metadata)
