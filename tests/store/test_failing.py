"""Which items failed in how many of a job's last runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from opsconsole.authoring.batch import BatchResult, BatchState, Failure
from opsconsole.authoring.run import RunState, Trigger
from opsconsole.calendar.windows import Window
from opsconsole.store import Store, migrate, runs
from opsconsole.store.batches import Row
from opsconsole.store.failing import failing_items, failures_of_items
from tests import run_records
from tests.rules.ended_runs import JOB

START = datetime(2026, 1, 19, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    migrate.upgrade(made)
    yield made
    made.close()


def ran(
    store: Store, nth: int, outcome: Mapping[str, bool], *, trigger: Trigger = Trigger.HAND, messages: bool = False
) -> int:
    """A run of two batches that has ended, of items that succeeded or not."""
    at = START + nth * MINUTE
    window = Window(at, at, f"w{nth}")
    keys = sorted(outcome)
    with store.writing() as db:
        run = runs.create(db, JOB, window, as_of=at, trigger=trigger, requested_by="asha", at=at)
        run_records.start(db, runs.get(db, run), token=1, host="web1", version="1", at=at)
        parts = [part for part in (keys[::2], keys[1::2]) if part]
        run_records.add_batches(db, run, [Row(seq, part) for seq, part in enumerate(parts, 1)])
        for seq, part in enumerate(parts, 1):
            failed = [key for key in part if not outcome[key]]
            result = BatchResult(run, seq, 1, ok=len(part) - len(failed), failed=failed)
            run_records.close_batch(db, result, BatchState.DONE if result.ok else BatchState.FAILED, None)
            if messages:
                run_records.add_failures(
                    db, run, seq, [Failure(key, "broken", f"{key} broke in {nth}") for key in failed]
                )
        run_records.end(db, run, token=1, state=RunState.PARTIAL, at=at + MINUTE)
    return run


def found(store: Store, *, last: int = 5, least: int = 1, limit: int = 20) -> list[tuple[str, int, int, str | None]]:
    with store.reading() as db:
        items = failing_items(db, JOB.name, last=last, least=least, limit=limit).items
    return [(each.item, each.failed, each.last_run, each.message) for each in items]


def test_the_items_that_failed_most_often_come_first(store: Store) -> None:
    never = dict.fromkeys(["asha", "ben", "chen", "dev", "zoë"], True)
    first = ran(store, 1, never | {"dev": False})  # the sixth, which does not count
    second = ran(store, 2, never | {"chen": False, "zoë": False})
    third = ran(store, 3, dict.fromkeys(never, False), messages=True)
    ran(store, 4, never)
    fifth = ran(store, 5, never | {"chen": False, "asha": False}, messages=True)
    ran(store, 6, {})

    assert found(store) == [
        ("chen", 3, fifth, "chen broke in 5"),
        ("asha", 2, fifth, "asha broke in 5"),
        ("zoë", 2, third, "zoë broke in 3"),
        ("ben", 1, third, "ben broke in 3"),
        ("dev", 1, third, "dev broke in 3"),
    ]
    assert [item for item, *_ in found(store, least=2)] == ["chen", "asha", "zoë"]
    assert [item for item, *_ in found(store, limit=1)] == ["chen"]
    assert found(store, last=4, least=2) == [
        ("asha", 2, fifth, "asha broke in 5"),
        ("chen", 2, fifth, "chen broke in 5"),
    ]
    with store.reading() as db:
        whole = failing_items(db, JOB.name, last=100, least=1, limit=2)
        assert failing_items(db, "no.such_job", last=5, least=1, limit=2).runs == ()
    assert whole.runs[-1] == first
    assert (len(whole.runs), whole.total, len(whole.items)) == (6, 5, 2)
    assert (whole.items[0].item, whole.items[0].failed) == ("chen", 3)
    assert second in whole.runs


def test_backfills_and_open_runs_do_not_count(store: Store) -> None:
    ended = ran(store, 1, {"asha": False, "ben": True})
    ran(store, 2, {"asha": False, "ben": False}, trigger=Trigger.BACKFILL)
    with store.writing() as db:
        window = Window(START, START, "now")
        runs.create(db, JOB, window, as_of=START, trigger=Trigger.HAND, requested_by="asha", at=START + 9 * MINUTE)

    with store.reading() as db:
        assert failing_items(db, JOB.name, last=5, least=1, limit=5).runs == (ended,)
    assert found(store) == [("asha", 1, ended, None)]


def test_no_history_but_the_last_runs_is_read(store: Store) -> None:
    for nth in range(30):
        ran(store, nth, {"asha": False, "ben": nth % 2 == 0})
    statements: list[tuple[str, object]] = []

    def record(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if "FROM ops_" in statement:
            statements.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", record)
    try:
        assert found(store, last=2) == [("asha", 2, 30, None), ("ben", 1, 30, None)]
    finally:
        event.remove(store.engine, "before_cursor_execute", record)

    plans = [_plan(store, statement, parameters) for statement, parameters in statements]
    assert len(plans) == 4
    assert "ix_ops_runs_job_created_at" in plans[0]
    for plan in plans:
        assert not re.search(r"^SCAN|Seq Scan", plan, re.MULTILINE), plan


def _plan(store: Store, statement: str, parameters: Any) -> str:
    """The query plan of a statement, avoiding sequential scans where that is possible."""
    with store.engine.connect() as db:
        if store.is_sqlite:
            rows = db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            return "\n".join(row.detail for row in rows)
        db.exec_driver_sql("SET enable_seqscan = off")
        return "\n".join(db.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())


def test_failures_of_some_items_are_counted_in_the_last_runs(store: Store) -> None:
    for nth, outcome in enumerate([{"asha": False}, {"asha": False, "ben": True}, {"asha": True, "ben": False}]):
        ran(store, nth, outcome)
    ran(store, 3, {"asha": False}, trigger=Trigger.BACKFILL)

    with store.reading() as db:
        assert failures_of_items(db, JOB.name, ["asha", "ben", "chen"], last=5) == (3, {"asha": 2, "ben": 1, "chen": 0})
        assert failures_of_items(db, JOB.name, ["asha"], last=2) == (2, {"asha": 1})
        assert failures_of_items(db, "other.job", ["asha"], last=2) == (0, {"asha": 0})
