"""The facts about jobs: what is read of the store, and what is kept between two looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, insert

from opsconsole.authoring import catalog
from opsconsole.authoring.batch import BatchResult, BatchState
from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import Occurrence, OccurrenceState, Reason
from opsconsole.authoring.run import Counts, RunState, Trigger
from opsconsole.calendar.cron import zone
from opsconsole.calendar.windows import Window
from opsconsole.rules.backfill import WindowState
from opsconsole.rules.health import JobFacts, RepeatedFailures
from opsconsole.store import Store, job_facts, migrate, occurrences, pauses, registrations, runs, windows
from opsconsole.store.batches import Row
from opsconsole.store.changes import Watermark
from opsconsole.store.job_facts import ReadState
from opsconsole.store.job_runs import JUDGED
from opsconsole.store.tables import runs as run_table
from tests import run_records
from tests.packs import judged

NOON = datetime(2025, 1, 19, 12, 0, 5, tzinfo=UTC)
HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)
CATALOG = catalog.load(("tests.packs.judged",), {}, {})
HOURLY, FORGETFUL, NIGHTLY = judged.hourly, judged.forgetful, judged.nightly


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    migrate.upgrade(made)
    with made.writing() as db:
        for job in CATALOG:
            registrations.register(db, job, NOON - 20 * DAY)
    yield made
    made.close()


def look(store: Store, kept: ReadState | None = None, at: datetime = NOON) -> tuple[dict[str, JobFacts], ReadState]:
    with store.reading() as db:
        facts, kept_now = job_facts.read(db, CATALOG, at, kept)
    return {each.job.name: each for each in facts}, kept_now


def statements(store: Store, kept: ReadState) -> int:
    """How many statements a look a second later takes."""
    executed: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        executed.append(statement)

    with store.reading() as db:
        event.listen(db.engine, "before_cursor_execute", count)
        try:
            job_facts.read(db, CATALOG, NOON + SECOND, kept)
        finally:
            event.remove(db.engine, "before_cursor_execute", count)
    return len(executed)


def window_of(job: Job, at: datetime) -> Window:
    return job.covers.at(at, zone(job.tz))


def begun(store: Store, job: Job, at: datetime, *, trigger: Trigger = Trigger.SCHEDULE) -> int:
    with store.writing() as db:
        number = runs.create(db, job, window_of(job, at), as_of=at, trigger=trigger, requested_by="asha", at=at)
        run_records.start(db, runs.get(db, number), token=1, host="web1", version="1", at=at)
    return number


def ended(
    store: Store,
    number: int,
    keys: str = "abc",
    failed: str = "",
    *,
    at: datetime = NOON,
    state: RunState | None = None,
) -> None:
    state = state or (RunState.SUCCEEDED if not failed else RunState.PARTIAL)
    counts = Counts(len(keys), len(keys) - len(failed), len(failed))
    with store.writing() as db:
        run_records.add_batches(db, number, [Row(1, list(keys))])
        run_records.close_batch(db, BatchResult(number, 1, 1, ok=counts.ok, failed=list(failed)), BatchState.DONE, None)
        kinds = {"out_of_ink": len(failed)} if failed else {}
        run_records.end(db, number, token=1, state=state, at=at, counts=counts, kinds=kinds, batches=1)


def ran(store: Store, job: Job, at: datetime, keys: str = "abc", failed: str = "", **other: Trigger) -> int:
    number = begun(store, job, at, **other)
    ended(store, number, keys, failed, at=at)
    return number


def unrun(store: Store, job: Job, first: datetime, last: datetime, count: int, reason: Reason) -> None:
    state = OccurrenceState.SKIPPED if reason in (Reason.PAUSED, Reason.CAPACITY) else OccurrenceState.MISSED
    with store.writing() as db:
        occurrences.record(db, Occurrence(job.name, job.spec, first, last, count, state, reason), token=1, at=last)


def test_a_job_that_never_ran(store: Store) -> None:
    facts = look(store)[0][HOURLY.name]

    assert (facts.newest, facts.open, facts.last_good, facts.unrun, facts.incomplete, facts.repeated) == (
        (),
        None,
        None,
        (),
        (),
        None,
    )
    assert (facts.due, facts.registered_at) == (NOON - 5 * SECOND, NOON - 20 * DAY)


def test_runs_that_start_and_end_are_read_again_and_nothing_else(store: Store) -> None:
    before, kept = look(store)
    quiet = statements(store, kept)
    number = begun(store, HOURLY, NOON)

    started, kept = look(store, kept)
    assert started[HOURLY.name].open is not None
    assert started[HOURLY.name].newest == ()
    ended(store, number)
    assert statements(store, kept) < quiet + 4
    over, kept = look(store, kept)
    assert (over[HOURLY.name].open, [run.id for run in over[HOURLY.name].newest]) == (None, [number])
    assert over[HOURLY.name].last_good == NOON
    assert over[NIGHTLY.name] == before[NIGHTLY.name]

    at_once = ran(store, HOURLY, NOON)  # began and ended between two looks
    assert [run.id for run in look(store, kept)[0][HOURLY.name].newest] == [at_once, number]
    assert statements(store, look(store, kept)[1]) == quiet <= 9


def test_backfills_are_not_among_the_runs(store: Store) -> None:
    ran(store, NIGHTLY, NOON, trigger=Trigger.BACKFILL)
    begun(store, NIGHTLY, NOON - DAY, trigger=Trigger.BACKFILL)

    facts = look(store)[0][NIGHTLY.name]

    assert (facts.newest, facts.open) == ((), None)


def test_the_last_good_run_may_be_older_than_the_runs_that_are_judged(store: Store) -> None:
    good = ran(store, HOURLY, NOON - 50 * HOUR)
    with store.writing() as db:
        (row,) = db.execute(run_table.select().where(run_table.c.id == good)).mappings()
        for n in range(1, JUDGED + 5):
            at = NOON - (50 - n) * HOUR
            failed = {"state": RunState.FAILED, "ok": 0, "failed": 3, "created_at": at, "ended_at": at, "as_of": at}
            db.execute(insert(run_table).values({**row, **failed, "id": good + n, "window_label": str(n)}))

    facts = look(store)[0][HOURLY.name]

    assert len(facts.newest) == JUDGED
    assert facts.last_good == NOON - 50 * HOUR


def test_items_that_failed_in_two_of_the_last_five_windows(store: Store) -> None:
    def repeated() -> RepeatedFailures | None:
        return look(store)[0][HOURLY.name].repeated

    ran(store, HOURLY, NOON - 6 * HOUR, failed="a")
    ran(store, HOURLY, NOON - 5 * HOUR, failed="ab")
    assert repeated() == RepeatedFailures(1, ("a",))
    for hour in (4, 3, 2):
        ran(store, HOURLY, NOON - hour * HOUR)
    assert repeated() == RepeatedFailures(1, ("a",))
    last = ran(store, HOURLY, NOON - HOUR, failed="bc")
    assert repeated() == RepeatedFailures(1, ("b",))

    with store.writing() as db:
        parent = runs.get(db, last)
        retry = runs.create(
            db, HOURLY, parent.window, as_of=parent.as_of, trigger=Trigger.RETRY, requested_by="asha", at=NOON
        )
        run_records.start(db, runs.get(db, retry), token=1, host="web1", version="1", at=NOON)
    ended(store, retry, "bc", "bc", state=RunState.FAILED)
    assert repeated() == RepeatedFailures(1, ("b",))  # the same window


def test_scheduled_times_of_the_last_day_that_did_not_run(store: Store) -> None:
    hour = NOON.replace(minute=0, second=0) - 30 * HOUR
    unrun(store, HOURLY, hour, hour + 10 * HOUR, 11, Reason.CATCH_UP_LIMIT)
    unrun(store, HOURLY, hour + 20 * HOUR, hour + 20 * HOUR, 1, Reason.CAPACITY)
    for n, reason in enumerate((Reason.PAUSED, Reason.SUPERSEDED, Reason.OVERLAP, Reason.JOB_REMOVED)):
        unrun(store, HOURLY, hour + (21 + n) * HOUR, hour + (21 + n) * HOUR, 1, reason)

    facts, kept = look(store)
    found = facts[HOURLY.name].unrun

    assert [(each.first, each.count, each.reason) for each in found] == [
        (hour + 7 * HOUR, 4, Reason.CATCH_UP_LIMIT),  # within a day
        (hour + 20 * HOUR, 1, Reason.CAPACITY),
    ]
    unrun(store, FORGETFUL, NOON - HOUR, NOON - HOUR, 1, Reason.NOT_LEADING)
    assert len(look(store, kept)[0][FORGETFUL.name].unrun) == 1
    later, _ = look(store, kept, NOON + 25 * HOUR)
    assert [later[job.name].unrun for job in (HOURLY, FORGETFUL)] == [(), ()]


def test_incomplete_windows(store: Store) -> None:
    night = NOON.replace(hour=1, minute=30, second=0)  # 02:30 in Berlin
    unrun(store, NIGHTLY, night - 5 * DAY, night - 4 * DAY, 2, Reason.SUPERSEDED)
    unrun(store, NIGHTLY, night - 3 * DAY, night - 3 * DAY, 1, Reason.PAUSED)
    with store.writing() as db:
        windows.record_check(db, NIGHTLY.name, window_of(NIGHTLY, night - 25 * DAY), stale=3, at=NOON)
    stale = window_of(NIGHTLY, night - 2 * DAY)
    for at in (night - 2 * DAY, night - 26 * DAY, night - 10 * DAY, night - 40 * DAY):
        run = begun(store, NIGHTLY, at)
        with store.writing() as db:
            result = WindowState.FRESH if at == night - 2 * DAY else WindowState.PARTIAL
            run_records.end_window(db, runs.get(db, run), result)
        ended(store, run)
    with store.writing() as db:
        windows.record_check(db, NIGHTLY.name, stale, stale=2, at=NOON)

    facts, _ = look(store)

    assert [(each.window.label, each.state) for each in facts[NIGHTLY.name].incomplete] == [
        ("2025-01-08", WindowState.PARTIAL),  # not the one before the job was registered, nor the one before December
        ("2025-01-13", WindowState.MISSING),
        ("2025-01-14", WindowState.MISSING),
        ("2025-01-16", WindowState.STALE),
    ]


def test_a_pause_and_its_end(store: Store) -> None:
    with store.writing() as db:
        pauses.add(db, "judged", since=NOON - 3 * HOUR, until=NOON - HOUR, who="asha", note="")
        pauses.add(db, NIGHTLY.name, since=NOON - HOUR, until=None, who="asha", note="")

    facts, _ = look(store)

    assert (facts[HOURLY.name].paused, facts[HOURLY.name].resumed_at) == (False, NOON - HOUR)
    assert (facts[NIGHTLY.name].paused, facts[NIGHTLY.name].resumed_at) == (True, NOON - HOUR)


def test_what_is_kept_is_read_again_when_the_clock_or_the_store_goes_back(store: Store) -> None:
    ran(store, HOURLY, NOON)
    facts, kept = look(store)

    assert look(store, kept, NOON + SECOND)[0][HOURLY.name] is facts[HOURLY.name]
    assert look(store, kept, NOON - HOUR)[0][HOURLY.name] is not facts[HOURLY.name]
    newer = replace(kept, runs=replace(kept.runs, mark=Watermark(99, {})))
    assert look(store, newer, NOON + SECOND)[0][HOURLY.name] is not facts[HOURLY.name]
