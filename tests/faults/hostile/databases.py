"""Jobs that misuse the data database and Redis."""

from __future__ import annotations

import contextlib
import time
from datetime import timedelta
from typing import Any

import redis
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, insert, text

from opsconsole.authoring.run import RunState
from opsconsole.cache import Family
from tests.faults.hostile import damage
from tests.faults.hostile.cases import ENDLESS_RUN_SECONDS, Cases, three_items
from tests.faults.hostile.values import NASTY

FAILED, PARTIAL, SUCCEEDED, TIMED_OUT = RunState.FAILED, RunState.PARTIAL, RunState.SUCCEEDED, RunState.TIMED_OUT
TIMEOUT = "batch_timeout"
POSTGRESQL, SQLITE = "postgresql", "sqlite"

cases = Cases()

metadata = MetaData()

odd = Table(
    "hostile_odd",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(8), nullable=False),
)

VALUES = Family("hostile.values", "hostile:value:{item}", ttl=timedelta(hours=1), of=("item",))


# --- transactions and connections ---------------------------------------------------------------------------------


@cases.apply(SUCCEEDED, quick=True)
def leaves_a_transaction(ctx: Any, items: Any) -> None:
    """Begins a write transaction and never ends it."""
    damage.begin_and_leave(ctx)


@cases.apply(SUCCEEDED)
def leaves_many_transactions(ctx: Any, items: Any) -> None:
    """Begins as many read transactions as there are connections, and never ends them."""
    for _ in range(5):
        reading = ctx.reading()
        reading.__enter__().execute(text("SELECT 1"))
        damage.keep(reading)


@cases.apply(FAILED, TIMEOUT)
def begins_many_transactions(ctx: Any, items: Any) -> None:
    """Begins more read transactions at once than there are connections."""
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(ctx.reading())


@cases.apply(FAILED, "runtime_error")
def nests_transactions(ctx: Any, items: Any) -> None:
    """Begins a write transaction within another."""
    with ctx.writing(), ctx.writing():
        pass


@cases.apply(FAILED, TIMEOUT)
def holds_the_write_lock(ctx: Any, items: Any) -> None:
    """Sleeps for a day in a write transaction."""
    with ctx.writing() as db:
        db.execute(insert(odd).values(name="held"))
        time.sleep(86_400)


@cases.apply(FAILED, TIMEOUT, database=POSTGRESQL)
def locks_a_table(ctx: Any, items: Any) -> None:
    """Locks the table of events and sleeps for a day."""
    with ctx.writing() as db:
        db.execute(text("LOCK TABLE events"))
        time.sleep(86_400)


@cases.apply(SUCCEEDED)
def closes_its_connections(ctx: Any, items: Any) -> None:
    """Closes the connections of its process to both databases."""
    with ctx.reading() as db:
        db.execute(text("SELECT 1"))
    ctx._tools.close()


@cases.apply(TIMED_OUT, "it took longer than", seconds=ENDLESS_RUN_SECONDS, database=POSTGRESQL)
def kills_its_connection(ctx: Any, items: Any) -> None:
    """Ends its own connection to PostgreSQL."""
    with ctx.writing() as db:
        db.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


@cases.apply(SUCCEEDED, database=POSTGRESQL)
def kills_all_connections(ctx: Any, items: Any) -> None:
    """Ends every other connection to the database, those of the leader too."""
    with ctx.writing() as db:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        db.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))  # noqa: S608


@cases.apply(SUCCEEDED, database=POSTGRESQL, quick=True)
def changes_its_session(ctx: Any, items: Any) -> None:
    """Sets the search path, the time zone and a statement timeout of a millisecond for its session."""
    for setting in ("search_path = nowhere", "timezone = 'Pacific/Kiritimati'", "statement_timeout = 1"):
        with contextlib.suppress(Exception), ctx.writing() as db:
            db.execute(text(f"SET {setting}"))


@cases.apply(SUCCEEDED, database=SQLITE, quick=True)
def changes_its_pragmas(ctx: Any, items: Any) -> None:
    """Makes its connection to SQLite read-only and exclusive."""
    with ctx.reading() as db:
        raw = db.connection.driver_connection
        raw.commit()
        raw.execute("PRAGMA query_only = ON")
        raw.execute("PRAGMA locking_mode = EXCLUSIVE")


@cases.apply(FAILED, "operational_error", "retries_exhausted", "data_unreachable", "memory_error", TIMEOUT, seconds=180)
def opens_all_connections(ctx: Any, items: Any) -> None:
    """Opens connections to the data database until one is refused, and keeps them for a second."""
    url = ctx._tools.data.engine.url
    opened = []
    try:
        for _ in range(500):
            opened.append(create_engine(url).connect())
            opened[-1].execute(text("SELECT 1"))
        raise MemoryError
    finally:
        time.sleep(1)


# --- tables and rows ----------------------------------------------------------------------------------------------


@cases.apply(FAILED, "sqlite_error", "undefined_table")
def drops_its_table(ctx: Any, items: Any) -> None:
    """Drops a table and reads from it."""
    with ctx.writing() as db:
        db.execute(text("DROP TABLE IF EXISTS hostile_dropped"))
    with ctx.reading() as db:
        db.execute(text("SELECT * FROM hostile_dropped"))


@cases.apply(FAILED, "sqlite_error", "undefined_column")
def renames_its_column(ctx: Any, items: Any) -> None:
    """Renames a column and reads it by its old name."""
    with ctx.writing() as db:
        db.execute(text("DROP TABLE IF EXISTS hostile_renamed"))
        db.execute(text("CREATE TABLE hostile_renamed (name TEXT)"))
        db.execute(text("ALTER TABLE hostile_renamed RENAME COLUMN name TO other"))
    with ctx.reading() as db:
        db.execute(text("SELECT name FROM hostile_renamed"))


@cases.apply(FAILED, "value_error", "data_error", "unicode_encode_error", "sqlite_error", "untranslatable_character")
def writes_odd_text(ctx: Any, items: Any) -> None:
    """Writes a text with a lone surrogate and NUL."""
    with ctx.writing() as db:
        db.execute(insert(odd).values(name=NASTY))


@cases.apply(FAILED, "integrity_error", "sqlite_constraint_notnull", "not_null_violation")
def breaks_a_constraint(ctx: Any, items: Any) -> None:
    """Writes NULL where none is allowed."""
    with ctx.writing() as db:
        db.execute(insert(odd).values(name=None))


@cases.apply(SUCCEEDED, quick=True)
def poisons_the_outbox(ctx: Any, items: Any) -> None:
    """Writes an event whose payload is no JSON into the outbox, past `emit`."""
    with ctx.writing() as db:
        values = "('hostile.poison', 'run ' || :run, '{not json', '2026-01-01 00:00:00.000000')"
        query = f"INSERT INTO events (name, key, payload, occurred_at) VALUES {values}"  # noqa: S608
        db.execute(text(f"{query} ON CONFLICT DO NOTHING"), {"run": str(ctx.run)})


@cases.apply(SUCCEEDED)
def emits_while_poisoned(ctx: Any, items: Any) -> None:
    """Emits an ordinary event, which must be published although others are odd."""
    with ctx.writing() as db:
        db.execute(insert(odd).values(name="event"))
        ctx.emit("hostile.event", f"run {ctx.run}", {"fine": True})


# --- Redis --------------------------------------------------------------------------------------------------------


@cases.apply(SUCCEEDED)
def writes_garbage_to_its_family(ctx: Any, items: Any) -> None:
    """Writes values of other types under the keys of its family, and reads them."""
    key = VALUES.key(item="one")
    ctx.cache.client.unlink(key)
    ctx.cache.client.rpush(key, b"\xff\x00")
    ctx.cache.read(VALUES, items, by="item")


@cases.apply(FAILED, "bad_key", "its_id_cannot_be_part_of_a_cache_key", population=lambda scope: ("a*b:c d",))
def writes_under_an_odd_key(ctx: Any, items: Any) -> None:
    """Makes a key of an item with a pattern's characters."""
    for item in items:
        VALUES.key(item=item)


@cases.apply(PARTIAL, "response_error", population=three_items)
def sends_an_unknown_command(ctx: Any, items: Any) -> None:
    """Sends a command to Redis that it does not know, for one of three items."""
    if "two" in items:
        ctx.cache.client.execute_command("NONSENSE", NASTY.encode("utf-8", "replace"))


@cases.apply(SUCCEEDED)
def changes_its_redis_client(ctx: Any, items: Any) -> None:
    """Changes the settings of the client for Redis, and the database and name of its connection."""
    client = ctx.cache.client
    connection = client.connection_pool.get_connection()
    connection.send_command("SELECT", 9)
    connection.read_response()
    client.connection_pool.release(connection)
    client.connection_pool.connection_kwargs.update(decode_responses=True, socket_timeout=0.000_001, db=15)


@cases.apply(SUCCEEDED)
def subscribes_and_leaves(ctx: Any, items: Any) -> None:
    """Leaves connections that subscribe, and that began a transaction, in the pool."""
    pool = ctx.cache.client.connection_pool
    for words in (("SUBSCRIBE", "hostile"), ("MULTI",)):
        connection = pool.get_connection()
        connection.send_command(*words)
        pool.release(connection)


@cases.apply(FAILED, TIMEOUT)
def waits_for_redis(ctx: Any, items: Any) -> None:
    """Waits for an element of a list that never comes."""
    client = redis.Redis.from_url(ctx._tools._redis_url, socket_timeout=None)
    client.blpop(["hostile:never"])


@cases.apply(SUCCEEDED)
def replaces_the_stream(ctx: Any, items: Any) -> None:
    """Replaces the stream of events by a text."""
    ctx.cache.client.set("events", NASTY.encode("utf-8", "replace"))


@cases.apply(SUCCEEDED)
def deletes_the_stream(ctx: Any, items: Any) -> None:
    """Deletes the stream of events."""
    ctx.cache.client.delete("events")


@cases.apply(SUCCEEDED)
def flushes_redis(ctx: Any, items: Any) -> None:
    """Deletes every key of Redis."""
    ctx.cache.client.flushdb()


@cases.apply(SUCCEEDED)
def kills_all_redis_connections(ctx: Any, items: Any) -> None:
    """Ends every connection to Redis, those of the leader too."""
    ctx.cache.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
