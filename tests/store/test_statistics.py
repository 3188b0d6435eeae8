"""Success rates and last good runs: read from little, and the same as from the whole history."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert

from opsconsole.authoring.run import RunState, Trigger
from opsconsole.store import Store, changes, migrate, runs, statistics
from opsconsole.store.tables import runs as table

NOW = datetime(2025, 3, 9, 0, 40, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STATES = (*[RunState.SUCCEEDED] * 2, RunState.PARTIAL, *[RunState.FAILED] * 4, RunState.RUNNING)
JOBS = ("a.one", "a.two", "b.three")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    migrate.upgrade(made)
    yield made
    made.close()


def add(
    store: Store, number: int, seed: int = 7, *, until: datetime = NOW, span: timedelta = 40 * DAY
) -> list[dict[str, Any]]:
    """Random runs that ended in the time before, and some that ended later by a clock that was ahead."""
    chance = random.Random(seed)
    rows = []
    for _ in range(number):
        state = chance.choice(STATES)
        at = until - chance.random() * span + (2 * DAY if chance.random() < 0.05 else timedelta(0))
        ok, failed = chance.choice([(0, 0), (9, 1), (8, 2), (5, 0), (0, 3)])
        row: dict[str, Any] = {
            "job": chance.choice(JOBS),
            "trigger": chance.choice(list(Trigger)),
            "state": state,
            "ended_at": None if state is RunState.RUNNING else at,
            "ok": ok,
            "failed": failed,
            **dict.fromkeys(("window_start", "window_end", "as_of", "created_at"), at),
            **dict.fromkeys(("window_label", "requested_by", "spec"), "-"),
            **{name: {} for name in ("facts", "kinds", "metrics")},
        }
        rows.append(row)
    with store.writing() as db:
        db.execute(insert(table), rows)
    return rows


def expected(rows: list[dict[str, Any]], now: datetime) -> dict[str, tuple[float | None, ...]]:
    """The rates by definition."""
    found: dict[str, list[float | None]] = {}
    for span in (DAY, 7 * DAY, 30 * DAY):
        ok, failed = Counter[str](), Counter[str]()
        for row in rows:
            if row["ended_at"] is not None and row["ended_at"] >= now - span:
                ok[row["job"]] += row["ok"]
                failed[row["job"]] += row["failed"]
        for job in JOBS:
            tried = ok[job] + failed[job]
            found.setdefault(job, []).append(ok[job] / tried if tried else None)
    return {job: tuple(rates) for job, rates in found.items()}


def test_rates_are_those_of_the_whole_history_at_any_time_of_day(store: Store) -> None:
    rows = add(store, 900)
    kept = None
    for later in (timedelta(0), MINUTE, 15 * MINUTE, 25 * MINUTE, HOUR, 9 * HOUR, 25 * HOUR, 50 * HOUR):
        now = NOW + later
        rows += add(store, 20, int(later.total_seconds()), until=now, span=HOUR / 2)
        with store.reading() as db:
            fresh, _ = statistics.rates(db, now)
            again, kept = statistics.rates(db, now, kept)
        found = {job: (rates.day, rates.week, rates.month) for job, rates in fresh.items()}
        assert again == fresh
        assert found == {job: rates for job, rates in expected(rows, now).items() if job in found}


def test_a_run_that_ends_now_counts_at_once_and_past_days_are_not_read_again(store: Store) -> None:
    rows = add(store, 200)
    with store.reading() as db:
        before, kept = statistics.rates(db, NOW)
    later = {**rows[0], "ended_at": NOW + MINUTE, "ok": 1000, "failed": 0, "state": RunState.SUCCEEDED}
    with store.writing() as db:
        db.execute(insert(table), [later])
    executed: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *given: executed.append(given[2]))
    with store.reading() as db:
        after, _ = statistics.rates(db, NOW + 2 * MINUTE, kept)

    assert {job for job in after if after[job] != before[job]} == {rows[0]["job"]}
    assert len([each for each in executed if "ops_runs" in each]) == 4  # today, and where each span begins


def test_the_last_good_run_is_the_one_of_the_whole_history(store: Store) -> None:
    for seed in range(12):
        rows = add(store, 40, seed)
        with store.writing() as db:
            least, manual = {"a.one": 0.9, "a.two": 0.8, "none": 0.5}, ["a.two"] if seed % 2 else []
            found = statistics.last_good(db, least, manual=manual, now=NOW)
            db.execute(table.delete())
        good: dict[str, datetime] = {}
        for row in rows:
            job, at, tried = str(row["job"]), row["ended_at"], row["ok"] + row["failed"]
            counted = {Trigger.SCHEDULE, Trigger.RETRY, *([Trigger.HAND] if job in manual else [])}
            is_good = row["state"] is RunState.SUCCEEDED or (
                row["state"] is RunState.PARTIAL and row["ok"] >= tried * least.get(job, 2)
            )
            if isinstance(at, datetime) and at <= NOW and job in least and row["trigger"] in counted and is_good:
                good[job] = max(at, good.get(job, at))
        assert found == good


def test_only_jobs_of_which_a_run_started_or_ended_have_changed(store: Store) -> None:
    add(store, 60)
    with store.reading() as db:
        before = changes.watermark(db)
        assert changes.changed(db, None, before) is None
        assert changes.changed(db, before, before) == frozenset()
    with store.writing() as db:
        number = next(iter(before.open["a.two"]))
        db.execute(table.update().where(table.c.id == number).values(state=RunState.FAILED, ended_at=NOW))
    new = str(add(store, 1)[0]["job"])
    with store.reading() as db:
        after = changes.watermark(db)
        assert changes.changed(db, before, after) == frozenset({"a.two", new})
        assert changes.changed(db, after, before) is None  # another store, or an older copy of this one
        assert set(after.open["a.one"]) == {run.id for run in runs.unfinished(db) if run.job == "a.one"}
