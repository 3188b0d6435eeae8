"""What screens, commands and the leader read again and again costs the same with a long history as with a short one."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from benchmarks import history
from opsconsole.authoring.occurrence import OccurrenceFilter
from opsconsole.authoring.run import TERMINAL, RunState, Trigger
from opsconsole.core import clock
from opsconsole.leader.engine import Engine
from opsconsole.rules.run_search import Segment
from opsconsole.store import Store, registrations, runs
from tests.conftest import Installing
from tests.installation import Installation
from tests.waiting import PATIENCE_SECONDS, eventually

Statement = tuple[str, Any]
GROWING = r"^SCAN ops_(runs|occurrences|log|batches|commands|audit|notifications)\b|Seq Scan on ops_(runs|occurrences)"
"""A plan that reads a whole table, or a whole index, of those that grow with the history."""
SORTED = r"(?<!Incremental )Sort  \(|TEMP B-TREE(?! FOR LAST)"
FEW = 1_500


@pytest.fixture
def place(installing: Installing, database_url: str, redis_url: str) -> Installation:
    packs, environ = "tests.packs.counting", {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
    made = installing(database_url=database_url, redis_url=redis_url, packs=packs, environ=environ)
    register(made)
    return made


def register(place: Installation) -> None:
    with place.store.writing() as db:
        for job in place.catalog:
            registrations.register(db, job, clock.now())


def fill(place: Installation, number: int, span: timedelta = history.YEAR) -> None:
    history.fill(place.store, [job.name for job in place.catalog], number, clock.now(), span=span)


@contextmanager
def recorded(store: Store) -> Iterator[list[Statement]]:
    statements: list[Statement] = []

    def record(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        statements.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(store.engine, "before_cursor_execute", record)


def looks(place: Installation) -> list[Callable[[], object]]:
    """What the Dashboard reads: the first time, again, and after a run has started."""

    def begin() -> None:
        job = next(iter(place.catalog))
        with place.store.writing() as db:
            at = clock.now()
            window = job.covers.at(at, at.tzinfo)  # type: ignore[arg-type]
            runs.create(db, job, window, as_of=at, trigger=Trigger.HAND, requested_by="asha", at=at)

    return [place.service.snapshot, place.service.snapshot, begin, place.service.snapshot]


def test_no_plan_of_the_dashboard_reads_a_history(place: Installation) -> None:
    fill(place, 5_000)
    with recorded(place.store) as statements:
        for look in looks(place):
            look()

    assert_bounded(place.store, statements, least=20)


def test_no_plan_of_a_command_or_page_reads_a_history(place: Installation) -> None:
    fill(place, 5_000)
    queries, history_of, now = place.service.queries, place.service.history, clock.now()
    job = next(iter(place.catalog)).name
    day_ago = now - timedelta(days=1)
    reads: list[Callable[[], object]] = [
        queries.jobs,
        lambda: queries.job_page(job),
        lambda: queries.runs(limit=20),
        lambda: queries.runs(limit=20, job=job),
        lambda: queries.runs(limit=20, states=(RunState.FAILED,)),
        lambda: queries.run_page(4_000),
        lambda: queries.why(job),
        lambda: queries.why(job, f"{day_ago:%Y-%m-%dT%H:%M:%SZ}"),
        lambda: queries.occurrences(OccurrenceFilter(since=day_ago), limit=50),
        lambda: queries.occurrences(OccurrenceFilter(job, since=day_ago), limit=50),
        lambda: queries.failing_items(job, last=5, least=2, limit=10),
        *(lambda segment=segment: history_of.find("", segment) for segment in Segment),
        lambda: place.service.audit.find("", limit=50),
        lambda: place.service.alerts.history(day_ago),
        place.service.alerts.current,
    ]
    figures, events = place.service.figure_reader(), place.service.live_events()
    reads += [figures.read, figures.read, events.read, events.read]
    with recorded(place.store) as statements:
        for read in reads:
            read()

    assert_bounded(place.store, statements, least=20)


def test_no_plan_of_the_leader_reads_a_history(place: Installation) -> None:
    fill(place, 5_000)
    engine = Engine(place.settings, place.store, place.catalog)
    place.service.use_engine(engine)

    def run() -> None:
        command = place.service.commands.trigger(next(iter(place.catalog)).name, None)
        outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)
        assert outcome is not None
        number = outcome.run
        assert number is not None
        eventually(lambda: place.service.queries.run(number).state in TERMINAL, "the run has ended")

    engine.start()
    try:
        run()  # it has begun to lead, which happens once
        with recorded(place.store) as statements:
            run()
            eventually(lambda: any("ops_alerts" in each for each, _ in statements), "the alerts are judged")
    finally:
        engine.stop(grace_seconds=1)
        place.service.use_engine(None)

    assert_bounded(place.store, statements, least=15)


def assert_bounded(store: Store, statements: list[Statement], *, least: int) -> None:
    """No plan reads a whole table that grows with the history, or sorts much of one."""
    planned = {
        statement: parameters
        for statement, parameters in statements
        if re.match(r"\s*(SELECT|UPDATE|DELETE)", statement) and not isinstance(parameters, list)
    }
    assert len(planned) >= least
    for statement, parameters in planned.items():
        plan = _plan(store, statement, parameters)
        in_order = "LIMIT" in statement.upper() or "max(" in statement  # stops at the first rows, if nothing sorts them
        if not in_order or re.search(SORTED, plan):
            assert not re.search(GROWING, plan, re.MULTILINE), f"{statement}\n\n{plan}"
            assert max([0, *map(int, re.findall(r"rows=(\d+)", plan))]) < FEW, f"{statement}\n\n{plan}"


def test_a_snapshot_takes_as_many_steps_with_ten_times_the_history(installing: Installing, redis_url: str) -> None:
    taken = []
    for days in (40, 400):
        place = installing(database_url=None, redis_url=redis_url, packs="tests.packs.counting")
        register(place)
        fill(place, 15 * days, timedelta(days=days))
        first, *others = looks(place)
        first()
        taken.append(_steps(place.store, lambda others=others: [look() for look in others]))  # type: ignore[misc]
    assert taken[1] < 1.2 * taken[0], taken


def _steps(store: Store, call: Callable[[], object]) -> int:
    """How many tens of steps SQLite's machine takes."""
    counted = [0]

    def count() -> int:
        counted[0] += 1
        return 0

    def watch(connection: Any, *_: object) -> None:
        raw = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.set_progress_handler(count, 10)

    event.listen(store.engine, "begin", watch)
    try:
        call()
    finally:
        event.remove(store.engine, "begin", watch)
    return counted[0]


def _plan(store: Store, statement: str, parameters: Any) -> str:
    with store.engine.connect() as db:
        if store.is_sqlite:
            rows = db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            return "\n".join(row.detail for row in rows)
        for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin", "sort"):
            # What it would use for so few rows. With many, it has to have another way.
            db.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        return "\n".join(db.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
