"""Lists of runs: what a filter finds, in pages, by an index."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert

from opsconsole.authoring.run import OPEN, RunState, Selection, Trigger
from opsconsole.core.errors import UnknownRun
from opsconsole.rules.run_search import FAILED, RunSearch, Segment, parse
from opsconsole.store import Store, migrate, run_lists
from opsconsole.store.tables import failures, runs as runs_table

NOW = datetime(2026, 1, 19, 18, 50, tzinfo=UTC)
JOBS = {"attempts.cache_day": "Asia/Kolkata", "game.life_regen": "UTC", "reporting.daily_report": "UTC"}


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    migrate.upgrade(made)
    yield made
    made.close()


def a_row(number: int, **other: Any) -> dict[str, Any]:
    at = other.pop("created_at", NOW - timedelta(minutes=1000 - number))
    row = {
        "id": number,
        "job": "game.life_regen",
        "window_label": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "window_start": at,
        "window_end": at,
        "as_of": at,
        "trigger": Trigger.SCHEDULE,
        "selection": Selection.ALL,
        "requested_by": "schedule",
        "spec": "s",
        "state": RunState.SUCCEEDED,
        "created_at": at,
        "facts": {},
        "kinds": {},
        "metrics": {},
        "error": None,
    }
    return row | other


def add(store: Store, *rows: dict[str, Any]) -> None:
    with store.writing() as db:
        db.execute(insert(runs_table), list(rows))


def found(store: Store, search: RunSearch | str, **page: Any) -> list[int]:
    if isinstance(search, str):
        search = parse(search, JOBS, NOW, me="asha")
    with store.reading() as db:
        shown = run_lists.page(db, search, **{"before": None, "limit": 100, **page})
        assert run_lists.total(db, search, limit=1000).runs >= len(shown.runs)
    return [run.id for run in shown.runs]


def an_evening(store: Store) -> None:
    add(
        store,
        a_row(1, job="attempts.cache_day", window_label="2026-01-13", created_at=NOW - timedelta(days=6)),
        a_row(
            2,
            job="attempts.cache_day",
            window_label="2026-01-13",
            trigger=Trigger.BACKFILL,
            requested_by="asha",
            state=RunState.PARTIAL,
        ),
        a_row(3, state=RunState.FAILED, error="Redis is unreachable: 100% of tries"),
        a_row(4, trigger=Trigger.HAND, requested_by="ben", state=RunState.TIMED_OUT),
        a_row(5, job="reporting.daily_report", window_label="2026-01-18", state=RunState.RUNNING),
        a_row(6, job="reporting.daily_report", window_label="2026-01", created_at=NOW - timedelta(days=400)),
        a_row(7, trigger=Trigger.RETRY, parent_id=2, requested_by="asha", state=RunState.QUEUED),
    )
    with store.writing() as db:
        failure = {"run_id": 2, "seq": 1, "item": "u0417", "kind": "key_error", "message": "question q-7781 is missing"}
        db.execute(insert(failures).values(failure))


FOUND = {
    "": [7, 5, 4, 3, 2, 1, 6],
    "cache_day": [2, 1],
    "cache_day last tue": [2, 1],
    "last tue": [2, 1],
    "today": [7, 5, 4, 3, 2],
    "2026-01": [7, 5, 4, 3, 2, 1, 6],
    "2026-01-01": [],
    "failed": [4, 3],
    "failed by ben": [4],
    "by ben cache_day": [],
    "me": [7, 2],
    "running": [7, 5],
    "running daily": [5],
    "partial cache": [2],
    "ok cache": [1],
    "backfill": [2],
    "hand retry": [7, 4],
    "schedule failed": [3],
    "#4": [4],
    "#4 cache": [],
    "before 2026-01-18": [1, 6],
    "since 7d before 2026-01-18": [1],
    "unreachable": [3],
    "Q-7781": [2],
    "u0417 ok": [],
    '"100%"': [3],
    '"1%0"': [],
    "attempts regen": [],
}


def test_a_filter_finds_runs_newest_first(store: Store) -> None:
    an_evening(store)
    assert {typed: found(store, typed) for typed in FOUND} == FOUND


@pytest.mark.postgresql_in_soak
def test_many_jobs_are_not_looked_up_one_by_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lists, "MAX_STREAMS", 0)
    an_evening(store)
    assert {typed: found(store, typed) for typed in FOUND} == FOUND


@pytest.mark.postgresql_in_soak
def test_segments(store: Store) -> None:
    an_evening(store)
    every = RunSearch()
    assert found(store, every.within(Segment.FAILED, "asha")) == [4, 3]
    assert found(store, every.within(Segment.MINE, "asha")) == [7, 2]
    assert found(store, replace(every, states=(RunState.PARTIAL,)).within(Segment.FAILED, "asha")) == []


@pytest.mark.postgresql_in_soak
def test_pages_follow_each_other_without_gaps(store: Store) -> None:
    same_time = {"created_at": NOW - timedelta(hours=1)}
    add(store, *(a_row(n, job=list(JOBS)[n % 3], **(same_time if n < 9 else {})) for n in range(1, 20)))
    for search in (RunSearch(), RunSearch(jobs=tuple(JOBS))):
        numbers, before = [], None
        while True:
            with store.reading() as db:
                rows = run_lists.page(db, search, before=before, limit=4)
            numbers += [run.id for run in rows.runs]
            before = rows.next_before
            if before is None:
                break
        assert sorted(numbers) == list(range(1, 20))
        assert len(set(numbers)) == 19
    with store.reading() as db, pytest.raises(UnknownRun):
        run_lists.page(db, RunSearch(), before=99, limit=4)


@pytest.mark.postgresql_in_soak
def test_a_search_gives_up_after_some_rows_and_continues_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lists, "MAX_SCANNED", 5)
    add(store, *(a_row(n, trigger=Trigger.HAND, requested_by="ben") for n in range(1, 20)), a_row(30))
    search = RunSearch(person="ben", states=(RunState.SUCCEEDED,), jobs=("no.job",))

    with store.reading() as db:
        first = run_lists.page(db, search, before=None, limit=4)
        second = run_lists.page(db, search, before=first.next_before, limit=4)
        counted = run_lists.total(db, search, limit=10)

    assert (first.runs, first.more, first.searched_to) == ((), False, 14)
    assert second.searched_to == 8
    assert (counted.runs, counted.more) == (0, True)


@pytest.mark.postgresql_in_soak
def test_totals_are_bounded(store: Store) -> None:
    add(store, *(a_row(n) for n in range(1, 20)))
    with store.reading() as db:
        assert run_lists.total(db, RunSearch(), limit=10) == run_lists.Total(10, more=True)
        assert run_lists.total(db, RunSearch(), limit=19) == run_lists.Total(19, more=False)


@pytest.mark.postgresql_in_soak
def test_a_row_that_cannot_be_read_hides_no_other(store: Store) -> None:
    add(store, *(a_row(n) for n in range(1, 4)))
    with store.writing() as db:
        db.exec_driver_sql("UPDATE ops_runs SET state = 'melted' WHERE id = 2")
    assert found(store, RunSearch()) == [3, 2, 1]


WHOLE_TABLE = re.compile(r"SCAN ops_(?!runs USING (COVERING )?INDEX)|Seq Scan on ops_")
"""But for one that follows the index of its order, and ends with the page."""
DAYS = parse("last tue", JOBS, NOW, me="asha")
SEARCHES = {
    "all": (RunSearch(), "ix_ops_runs_created_at"),
    "job": (RunSearch(jobs=("game.life_regen",)), "ix_ops_runs_job_created_at"),
    "jobs": (RunSearch(jobs=tuple(JOBS)), "ix_ops_runs_job_created_at"),
    "failed": (RunSearch(states=FAILED), "ix_ops_runs_not_succeeded"),
    "running": (RunSearch(states=OPEN), "ix_ops_runs_not_succeeded"),
    "job failed": (RunSearch(jobs=("game.life_regen",), states=FAILED), "ix_ops_runs_job_attention"),
    "person": (RunSearch(person="asha"), "ix_ops_runs_requested_by"),
    "trigger": (RunSearch(triggers=(Trigger.RETRY,)), "ix_ops_runs_trigger"),
    "since": (RunSearch(since=NOW - timedelta(days=1)), "ix_ops_runs_created_at"),
    "days": (DAYS, "ix_ops_runs_window_label_created_at"),
    "job and days": (replace(DAYS, jobs=("game.life_regen",)), "ix_ops_runs_job_created_at"),
    "words": (RunSearch(words=("redis",)), "ix_ops_runs_not_succeeded"),
}


def test_no_filter_reads_the_whole_history(store: Store) -> None:
    an_evening(store)
    add(store, *(a_row(n) for n in range(100, 400)))
    for name, (search, index) in SEARCHES.items():
        plans = _plans(store, search)
        # With so few rows, PostgreSQL prefers any index that it has started to use.
        assert not store.is_sqlite or any(index in plan for plan in plans), (name, plans)
        for plan in plans:
            assert not WHOLE_TABLE.search(plan), (name, plan)


def _plans(store: Store, search: RunSearch) -> list[str]:
    """The query plans of the statements that read a page and its total."""
    statements: list[tuple[str, Any]] = []

    def record(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if "FROM ops_runs" in statement:
            statements.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", record)
    try:
        with store.reading() as db:
            run_lists.page(db, search, before=5, limit=50)
            run_lists.total(db, search, limit=1000)
    finally:
        event.remove(store.engine, "before_cursor_execute", record)

    return [_plan(store, *each) for each in statements]


def _plan(store: Store, statement: str, parameters: Any) -> str:
    """The query plan of a statement, avoiding sequential scans and sorts where that is possible."""
    with store.engine.connect() as db:
        if store.is_sqlite:
            rows = db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            return "\n".join(row.detail for row in rows)
        db.exec_driver_sql("SET enable_seqscan = off")
        db.exec_driver_sql("SET enable_bitmapscan = off")
        return "\n".join(db.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
