"""Fixtures for the tests of the attempts pack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Table, event, insert, select

from jobs.attempts import pack
from jobs.attempts.options import Options
from jobs.attempts.tables import attempts, question_subtopics, questions, subjects, subtopics, topics
from jobs.common import metadata, users
from opsconsole.authoring.batch import Batch, BatchResult
from opsconsole.authoring.context import Resources
from opsconsole.authoring.job import Job
from opsconsole.authoring.scope import Scope
from opsconsole.cache.families import Family
from opsconsole.core.database import Database
from opsconsole.worker.planning import prepared
from opsconsole.worker.work import work

KOLKATA = ZoneInfo("Asia/Kolkata")
DAY = "2025-01-19"
"""A Sunday."""
MIDNIGHT = datetime(2025, 1, 18, 18, 30, tzinfo=UTC)
"""The start of the 19th in Kolkata."""
NOON = MIDNIGHT + timedelta(hours=12)
TEN_TO_TWELVE = MIDNIGHT + timedelta(hours=23, minutes=50)
NEXT_MIDNIGHT = MIDNIGHT + timedelta(days=1)
NOW = datetime(2025, 1, 20, 3, 4, 5, tzinfo=UTC)
"""The default wall clock of workers."""


class AttemptsFixture:
    """A data database with a small catalogue of questions, users and attempts."""

    def __init__(self, data: Database) -> None:
        self.data = data
        self._made = 0
        self._add(subjects, {"id": "math", "name": "Mathematics"}, {"id": "hin", "name": "हिन्दी"})
        self._add(
            topics,
            {"id": "alg", "subject_id": "math", "name": "Algebra"},
            {"id": "vya", "subject_id": "hin", "name": "व्याकरण"},
        )
        self._add(
            subtopics,
            {"id": "s2", "topic_id": "alg", "name": "Roots"},
            {"id": "s10", "topic_id": "alg", "name": 'The "quadratic" formula'},
            {"id": "S3", "topic_id": "alg", "name": "Signs"},
        )
        self._add(
            questions,
            {
                "id": "q1",
                "subject_id": "math",
                "topic_id": "alg",
                "difficulty": 3,
                "categories": ["exam", "naïve"],
            },
            {"id": "q2", "subject_id": "hin", "topic_id": "vya", "difficulty": None, "categories": []},
        )
        self._add(question_subtopics, *({"question_id": "q1", "subtopic_id": id_} for id_ in ("s2", "s10", "S3")))

    def enrol(self, *names: str, active: bool = True) -> None:
        """Adds users."""
        born = datetime(2024, 6, 1, tzinfo=UTC)
        self._add(users, *({"id": name, "name": name, "active": active, "created_at": born} for name in names))

    def solve(self, user: str, solved_at: datetime, id_: str | None = None, **values: Any) -> None:
        """Adds an attempt; `values` override the defaults."""
        self._made += 1
        defaults = {
            "question_id": "q1",
            "type": "mcq",
            "answer": "B",
            "mistake": None,
            "timing": 12.5,
            "reaction_time": 1.0,
            "status": "correct",
            "hints_used": False,
        }
        mine = {"id": id_ or f"a{self._made:04}", "user_id": user, "solved_at": solved_at}
        self._add(attempts, {**defaults, **mine, **values})

    def _add(self, table: Table, *rows: dict[str, Any]) -> None:
        with self.data.writing() as db:
            db.execute(insert(table), list(rows))


_numbers = count(1)


@contextmanager
def tools_for(
    database_url: str,
    redis_url: str,
    *,
    families: tuple[Family, ...] = pack.families,
    now: Callable[[], datetime] = lambda: NOW,
) -> Iterator[Resources]:
    """The resources of a process, on a database with the tables."""
    tools = Resources(database_url, redis_url, families=families, now=now)
    try:
        metadata.create_all(tools.data.engine)
        yield tools
    finally:
        tools.close()


def run_batch(
    tools: Resources, job: Job, instant: datetime, names: list[str], options: Mapping[str, Any] | None = None
) -> BatchResult:
    """Runs one batch for a scheduled time, prepared as the engine does."""
    settled = msgspec.structs.asdict(Options()) | dict(options or {})
    window, run = job.covers.at(instant, KOLKATA), next(_numbers)
    facts = prepared(job, Scope(window, instant, {}, settled), tools, run) if job.prepare else {}
    return work(Batch(run, 1, 1, job.name, window, instant, names, facts, 60.0), job, tools, settled)


def items_of(tools: Resources, job: Job, instant: datetime) -> list[str]:
    """The population of a run for a scheduled time, sorted."""
    found = job.population(Scope(job.covers.at(instant, KOLKATA), instant, {}, {}))
    assert not isinstance(found, tuple)
    with tools.data.reading() as db:
        return sorted(str(row[0]) for row in db.execute(found))


def rows_of(tools: Resources, table: Table) -> list[dict[str, Any]]:
    """All rows of a table, ordered by its key."""
    with tools.data.reading() as db:
        return [dict(row) for row in db.execute(select(table).order_by(*table.primary_key)).mappings()]


@contextmanager
def statements(tools: Resources) -> Iterator[list[tuple[str, Any]]]:
    """Records the statements of the block with their parameters, without those that begin or end a transaction."""
    executed: list[tuple[str, Any]] = []

    def record(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        edges = ("BEGIN", "COMMIT", "ROLLBACK", "SHOW transaction_read_only", "SELECT pg_is_in_recovery()")
        if not statement.startswith(edges):
            executed.append((statement, parameters))

    event.listen(tools.data.engine, "before_cursor_execute", record)
    try:
        yield executed
    finally:
        event.remove(tools.data.engine, "before_cursor_execute", record)


def plan_of(tools: Resources, statement: str, parameters: Any) -> str:
    """The query plan of a statement, avoiding sequential scans."""
    with tools.data.reading() as db:
        if tools.data.is_sqlite:
            rows = db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            return "\n".join(row.detail for row in rows)
        db.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return "\n".join(db.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
