"""Fixtures for the tests of the game pack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import redis
from sqlalchemy import Connection, Table, delete, event, insert, select, text, update

from jobs.common import metadata
from jobs.game import pack
from jobs.game.tables import lives, player_progress, quiz_sessions, ranking_archive, rankings
from opsconsole.authoring import outbox
from opsconsole.authoring.batch import Batch, BatchResult
from opsconsole.authoring.context import Resources
from opsconsole.authoring.job import Job
from opsconsole.authoring.scope import Scope
from opsconsole.calendar.windows import MOMENT
from opsconsole.worker.planning import population
from opsconsole.worker.work import work

JOBS = {job.name.removeprefix("game."): job for job in pack.jobs}
TABLES = (lives, player_progress, quiz_sessions, rankings, ranking_archive)

UTC_ZONE = ZoneInfo("UTC")
MONDAY = datetime(2026, 3, 9, tzinfo=UTC)
NOON = MONDAY + timedelta(hours=12)


class GameFixture:
    """Players in a data database and Redis, and runs of the pack's jobs. `now` is the workers' wall clock."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.now = NOON
        self.tools = Resources(database_url, redis_url, now=lambda: self.now)
        self.data = self.tools.data
        self.redis = redis.Redis.from_url(redis_url, decode_responses=True)
        metadata.create_all(self.data.engine, tables=list(TABLES))
        outbox.metadata.create_all(self.data.engine)

    def add(self, table: Table, *rows: dict[str, Any]) -> None:
        """Inserts rows, each with its own columns."""
        with self.data.writing() as db:
            for row in rows:
                db.execute(insert(table).values(**row))

    def player(self, user: str, **values: Any) -> None:
        """Adds a player; by default one who never played."""
        defaults = {"username": user.title(), "xp": 0, "weekly_xp": 0, "monthly_xp": 0}
        self.add(player_progress, {"user_id": user, "current_streak": 0, "longest_streak": 0, **defaults, **values})

    def change(self, table: Table, user: str, **to: Any) -> None:
        """Changes a user's row."""
        with self.data.writing() as db:
            db.execute(update(table).where(table.c.user_id == user).values(**to))

    def remove(self, table: Table, user: str) -> None:
        """Deletes a user's rows."""
        with self.data.writing() as db:
            db.execute(delete(table).where(table.c.user_id == user))

    def row(self, table: Table, user: str) -> dict[str, Any]:
        """A user's only row."""
        (found,) = (row for row in self.rows(table) if row["user_id"] == user)
        return found

    def rows(self, table: Table) -> list[dict[str, Any]]:
        """All rows of a table, ordered by its key."""
        with self.data.reading() as db:
            return [dict(row) for row in db.execute(select(table).order_by(*table.primary_key)).mappings()]

    def events(self) -> list[tuple[str, str, dict[str, Any]]]:
        """The emitted events, sorted by name and key."""
        with self.data.reading() as db:
            found = db.execute(select(outbox.events.c.name, outbox.events.c.key, outbox.events.c.payload))
            return sorted((row.name, row.key, row.payload) for row in found)

    def everything_in_sql(self) -> dict[str, Any]:
        """The rows of all tables."""
        return {table.name: self.rows(table) for table in (*TABLES, outbox.events)}

    def everything(self) -> dict[str, Any]:
        """The rows of all tables and all keys."""
        return self.everything_in_sql() | {
            "keys": {key: (self.redis.ttl(key), self._value(key)) for key in self.redis.scan_iter()}
        }

    def _value(self, key: str) -> Any:
        if self.redis.type(key) == "zset":
            return self.redis.zrange(key, 0, -1, withscores=True)
        if self.redis.type(key) == "string":
            return self.redis.get(key)
        return self.redis.hgetall(key)

    def query(self, job: str, as_of: datetime) -> Any:
        """The population of a run, a query or a tuple."""
        return population(JOBS[job], Scope(MOMENT.at(as_of, UTC_ZONE), as_of, {}, {}))

    def planned(self, job: str, as_of: datetime) -> list[str]:
        """The items of a run."""
        found = self.query(job, as_of)
        if isinstance(found, tuple):
            return list(found)
        with self.data.reading() as db:
            return [key for (key,) in db.execute(found)]

    def run(self, job: str, as_of: datetime, *, items: list[str] | None = None) -> BatchResult:
        """One run in one batch, over its population or items planned before."""
        return self.work(JOBS[job], self.planned(job, as_of) if items is None else items, as_of)

    def work(self, job: Job, items: list[str], as_of: datetime) -> BatchResult:
        """One batch."""
        batch = Batch(1, 1, 1, job.name, MOMENT.at(as_of, UTC_ZONE), as_of, items, {}, 60.0)
        return work(batch, job, self.tools)

    def shown(self, board: str) -> list[tuple[str, int]]:
        """The users and scores of a board in Redis, first rank first."""
        found: Any = self.redis.zrevrange(f"leaderboard:{board}", 0, -1, withscores=True)
        return [(user, int(score)) for user, score in found]

    def ranked(self, board: str) -> list[tuple[str, int]]:
        """The users and scores of a board in the rankings table, after checking that ranks are consecutive."""
        found = sorted((row for row in self.rows(rankings) if row["board"] == board), key=lambda row: row["rank"])
        assert [row["rank"] for row in found] == list(range(1, len(found) + 1))
        return [(row["user_id"], row["score"]) for row in found]

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """Records the statements of the block."""
        executed: list[str] = []

        def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            executed.append(statement)

        event.listen(self.data.engine, "before_cursor_execute", record)
        yield executed
        event.remove(self.data.engine, "before_cursor_execute", record)

    @contextmanager
    def meanwhile(self, after: str, change: Any) -> Iterator[None]:
        """Makes a change right after each statement that starts with `after`, in the same transaction: what
        PostgreSQL allows other transactions to do between two statements, and SQLite does not.
        """

        def look(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
            if statement.startswith(after):
                connection.execute(change)

        event.listen(self.data.engine, "after_cursor_execute", look)
        yield
        event.remove(self.data.engine, "after_cursor_execute", look)

    def reject_writes(self, table: Table, when: str) -> None:
        """Makes the database reject writes of rows that meet `when`, such as `NEW.user_id = 'chen'`."""
        with self.data.writing() as db:
            for what in ("INSERT", "UPDATE"):
                name = f"reject_{what.lower()}"
                if self.data.is_sqlite:
                    refusing = "BEGIN SELECT RAISE(ABORT, 'rejected row'); END"
                    db.execute(text(f"CREATE TRIGGER {name} BEFORE {what} ON {table.name} WHEN {when} {refusing}"))
                    continue
                db.execute(
                    text(
                        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
                        "$$ BEGIN RAISE EXCEPTION 'rejected row'; END $$"
                    )
                )
                each = f"FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {name}()"
                db.execute(text(f"CREATE TRIGGER {name} BEFORE {what} ON {table.name} {each}"))

    def close(self) -> None:
        """Closes every connection."""
        self.redis.close()
        self.tools.close()
