"""A write monitor inside the store's database: records which process wrote what, independently of the program.

Triggers note each change of the lease's token and of a run's state, and every write to what only the leader may write
by a process that does not hold the lease at that moment. A process signs its connections with its number.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import event, text
from sqlalchemy.pool import Pool

from opsconsole.core.database import Connection
from opsconsole.store import Store

GUARDED = ("ops_jobs", "ops_occurrences", "ops_runs", "ops_batches", "ops_failures", "ops_log")
"""What only the leader may write."""

_TABLES = """
CREATE TABLE monitor_tokens (
    id {serial}, before BIGINT, token BIGINT NOT NULL, pid INTEGER, writer INTEGER, at DOUBLE PRECISION NOT NULL);
CREATE TABLE monitor_states (
    id {serial}, run BIGINT NOT NULL, before TEXT, state TEXT NOT NULL, token BIGINT, writer INTEGER);
CREATE TABLE monitor_violations (id {serial}, what TEXT NOT NULL, writer INTEGER, leader INTEGER, token BIGINT)
"""

_HOLDER = "(SELECT pid FROM ops_lease WHERE owner IS NOT NULL)"
_TOKEN = "(SELECT token FROM ops_lease)"

_SQLITE_NOW = "(julianday('now') - 2440587.5) * 86400.0"


@dataclass(frozen=True, slots=True)
class TokenChange:
    """A change of the lease's token: the previous one, its process, and when, in seconds since 1970."""

    before: int | None
    token: int
    pid: int
    at: float


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a run's state, written while `token` was the lease's."""

    run: int
    before: str | None
    state: str
    token: int | None


def sign_connections() -> None:
    """Makes this process, and those that it forks, sign their connections; on PostgreSQL PGAPPNAME does."""

    def sign(connection: object, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.create_function("writer", 0, os.getpid)

    event.listen(Pool, "connect", sign)


def install(store: Store) -> None:
    """Adds the monitor to a store that has its tables."""
    with store.writing() as db:
        for statement in _sqlite() if store.is_sqlite else _postgresql():
            db.exec_driver_sql(statement)


def tokens(db: Connection) -> list[TokenChange]:
    """Every change of the token, in order."""
    return [
        TokenChange(*row) for row in db.execute(text("SELECT before, token, pid, at FROM monitor_tokens ORDER BY id"))
    ]


def states(db: Connection) -> list[Transition]:
    """Every change of a run's state, in order."""
    return [
        Transition(*row) for row in db.execute(text("SELECT run, before, state, token FROM monitor_states ORDER BY id"))
    ]


def wrong_writes(db: Connection) -> list[str]:
    """The writes by processes that did not lead, as sentences."""
    query = text(
        "SELECT what, writer, leader, token, count(*) FROM monitor_violations GROUP BY 1, 2, 3, 4 ORDER BY 1, 2"
    )
    return [
        f"{what} by process {writer} while process {leader} contents token {token} ({n} times)"
        for what, writer, leader, token, n in db.execute(query)
    ]


def _sqlite() -> Sequence[str]:
    made = [*_TABLES.format(serial="INTEGER PRIMARY KEY").split(";")]
    for what, before in (("INSERT", "NULL"), ("UPDATE", "OLD.token")):
        changed = "" if what == "INSERT" else "WHEN OLD.token <> NEW.token "
        made.append(
            f"CREATE TRIGGER monitor_token_{what} AFTER {what} ON ops_lease {changed}BEGIN "
            "INSERT INTO monitor_tokens (before, token, pid, writer, at) "
            f"VALUES ({before}, NEW.token, NEW.pid, writer(), {_SQLITE_NOW}); END"
        )
    for what, before in (("INSERT", "NULL"), ("UPDATE", "OLD.state")):
        changed = "" if what == "INSERT" else "WHEN OLD.state <> NEW.state "
        made.append(
            f"CREATE TRIGGER monitor_state_{what} AFTER {what} ON ops_runs {changed}BEGIN "
            "INSERT INTO monitor_states (run, before, state, token, writer) "
            f"VALUES (NEW.id, {before}, NEW.state, {_TOKEN}, writer()); END"
        )
    noted = "INSERT INTO monitor_violations (what, writer, leader, token) VALUES"
    for table in GUARDED:
        made += [
            f"CREATE TRIGGER monitor_{table}_{what} AFTER {what} ON {table} WHEN writer() IS NOT {_HOLDER} BEGIN "
            f"{noted} ('{what} on {table}', writer(), {_HOLDER}, {_TOKEN}); END"
            for what in ("INSERT", "UPDATE", "DELETE")
        ]
    made.append(
        "CREATE TRIGGER monitor_cursor AFTER UPDATE ON ops_jobs WHEN NEW.planned_until < OLD.planned_until BEGIN "
        f"{noted} ('a cursor moved back', writer(), {_HOLDER}, {_TOKEN}); END"
    )
    return made


def _postgresql() -> Sequence[str]:
    writer = "nullif(current_setting('application_name'), '')::integer"
    made = [*_TABLES.format(serial="BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY").split(";")]
    bodies = {
        "token": (
            "IF TG_OP = 'INSERT' OR OLD.token <> NEW.token THEN "
            "INSERT INTO monitor_tokens (before, token, pid, writer, at) "
            "VALUES (CASE TG_OP WHEN 'UPDATE' THEN OLD.token END, NEW.token, NEW.pid, "
            f"{writer}, extract(epoch FROM clock_timestamp())); END IF;"
        ),
        "state": (
            "IF TG_OP = 'INSERT' OR OLD.state <> NEW.state THEN "
            "INSERT INTO monitor_states (run, before, state, token, writer) "
            f"VALUES (NEW.id, CASE TG_OP WHEN 'UPDATE' THEN OLD.state END, NEW.state, {_TOKEN}, {writer}); END IF;"
        ),
        "leader": (
            f"IF {writer} IS DISTINCT FROM {_HOLDER} THEN "
            "INSERT INTO monitor_violations (what, writer, leader, token) "
            f"VALUES (TG_OP || ' on ' || TG_TABLE_NAME, {writer}, {_HOLDER}, {_TOKEN}); END IF;"
        ),
        "cursor": (
            "IF NEW.planned_until < OLD.planned_until THEN "
            "INSERT INTO monitor_violations (what, writer, leader, token) "
            f"VALUES ('a cursor moved back', {writer}, {_HOLDER}, {_TOKEN}); END IF;"
        ),
    }
    made += [
        f"CREATE FUNCTION monitor_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$"
        for name, body in bodies.items()
    ]
    where = [
        ("token", "INSERT OR UPDATE", "ops_lease", "ROW"),
        ("state", "INSERT OR UPDATE", "ops_runs", "ROW"),
        ("cursor", "UPDATE", "ops_jobs", "ROW"),
        *(("leader", "INSERT OR UPDATE OR DELETE", table, "STATEMENT") for table in GUARDED),
    ]
    made += [
        f"CREATE TRIGGER monitor_{name} AFTER {what} ON {table} FOR EACH {each} EXECUTE FUNCTION monitor_{name}()"
        for name, what, table, each in where
    ]
    return made
