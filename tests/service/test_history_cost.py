"""What the console reads again and again costs the same with a long history as with a short one."""

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
from opsconsole.authoring.run import Trigger
from opsconsole.core import clock
from opsconsole.store import Store, registrations, runs
from tests.conftest import Installing
from tests.installation import Installation

Statement = tuple[str, Any]
GROWING = r"^SCAN ops_(runs|occurrences|log|batches|commands|audit|notifications)\b|Seq Scan on ops_(runs|occurrences)"
"""A plan that reads a whole table, or a whole index, of those that grow with the history."""
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

    selects = {statement: parameters for statement, parameters in statements if statement.lstrip().startswith("SELECT")}
    assert len(selects) > 20
    for statement, parameters in selects.items():
        plan = _plan(place.store, statement, parameters)
        in_order = "LIMIT" in statement.upper() or "max(" in statement  # stops at the first rows, if nothing sorts them
        if not in_order or re.search("Sort|TEMP B-TREE", plan):
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
        return "\n".join(db.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
