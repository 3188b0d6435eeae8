"""Recorded scheduled times: rows, and totals of any range."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st

from opsconsole import Job, Pack
from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.occurrence import Occurrence, OccurrenceFilter, OccurrenceRecord, OccurrenceState, Reason
from opsconsole.authoring.run import Trigger
from opsconsole.calendar.cron import TICK
from opsconsole.calendar.windows import Window
from opsconsole.core.errors import UnknownJob
from opsconsole.service import occurrences as history
from opsconsole.service.occurrence_details import Occurrences
from opsconsole.store import Store, migrate, occurrences, registrations, runs
from tests.packs import counting
from tests.schedules import cron_of

CLOSE = Job("books.close", counting.names, counting.do_nothing, cron="*/10 * * * *", tz="Europe/Berlin")
CRON = cron_of(CLOSE)
CATALOG = Catalog((Pack("books", jobs=(CLOSE,)),), {CLOSE.name: CLOSE}, {})
START = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DUE, RAN, SKIPPED, MISSED = (
    OccurrenceState.DUE,
    OccurrenceState.RAN,
    OccurrenceState.SKIPPED,
    OccurrenceState.MISSED,
)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    migrate.upgrade(made)
    yield made
    made.close()


def put(store: Store, first: datetime, last: datetime, state: OccurrenceState, reason: Reason | None = None) -> int:
    """Records the scheduled times from `first` to `last` in one row."""
    count = CRON.count(first - TICK, last)
    row = Occurrence(CLOSE.name, CLOSE.spec, first, last, count, state, reason)
    with store.writing() as db:
        return occurrences.record(db, row, token=1, at=last)


def record_hours(store: Store, hours: int, cuts: list[int]) -> None:
    """Records the scheduled times of some hours: after each cut, one row for the first time and one for the rest."""
    with store.writing() as db:
        registrations.register(db, CLOSE, START)
        times = list(CRON.between(START, START + hours * HOUR))
        edges = sorted({0, *(cut % len(times) for cut in cuts), len(times)})
        for one, two in pairwise(edges):
            stretch = times[one:two]
            single = Occurrence(CLOSE.name, CLOSE.spec, stretch[0], stretch[0], 1, RAN)
            occurrences.record(db, single, token=1, at=START)
            if rest := stretch[1:]:
                range_of = Occurrence(CLOSE.name, CLOSE.spec, rest[0], rest[-1], len(rest), SKIPPED, Reason.PAUSED)
                occurrences.record(db, range_of, token=1, at=START)
        registrations.advance(db, {CLOSE.name: START + hours * HOUR})


def query(store: Store, **selected: object) -> Occurrences:
    with store.reading() as db:
        return history.occurrences(db, CATALOG, OccurrenceFilter(**selected), limit=1000)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with a day and a half in which Berlin's clocks are put forward, recorded in a few rows."""
    made = Store(f"sqlite:///{Path(tmp_path_factory.mktemp('night')) / 'store.db'}")
    migrate.upgrade(made)
    record_hours(made, 36, [20, 77, 78, 150])
    yield made
    made.close()


@given(since=st.integers(-200, 2400), minutes=st.integers(0, 2600), seconds=st.sampled_from([0, 1, 30]))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_totals_of_any_range_match_the_schedule(night: Store, since: int, minutes: int, seconds: int) -> None:
    first = START + since * MINUTE + timedelta(seconds=seconds)
    after = first + minutes * MINUTE

    found = query(night, since=first, until=after)

    start, end = max(first, START + TICK), min(after, START + 36 * HOUR + TICK)
    expected = CRON.count(start - TICK, end - TICK) if start < end else 0
    assert sum(total.instants for total in found.totals) == expected
    assert sum(row.instants for row in found.rows) == expected
    assert all(total.exact for total in found.totals)


def test_totals_of_consecutive_ranges_add_up(night: Store) -> None:
    edges = [START + n * 37 * MINUTE for n in range(59)]

    parts = [query(night, since=one, until=two).totals for one, two in pairwise(edges)]

    assert sum(total.instants for part in parts for total in part) == CRON.count(START, edges[-1] - TICK)


def test_rows_are_listed_newest_first_and_totals_include_all(store: Store) -> None:
    with store.writing() as db:
        registrations.register(db, CLOSE, START)
    put(store, START + 10 * MINUTE, START + 10 * MINUTE, RAN)
    put(store, START + 20 * MINUTE, START + 50 * MINUTE, MISSED, Reason.SUPERSEDED)
    last = put(store, START + HOUR, START + HOUR, RAN)

    with store.reading() as db:
        found = history.occurrences(db, CATALOG, OccurrenceFilter(), limit=1)

    assert [(row.record.id, row.tz) for row in found.rows] == [(last, "Europe/Berlin")]
    assert [(total.state, total.reason, total.instants) for total in found.totals] == [
        (MISSED, Reason.SUPERSEDED, 4),
        (RAN, None, 2),
    ]
    assert [total.instants for total in query(store, states=(RAN,)).totals] == [2]
    assert [total.instants for total in query(store, since=START + 25 * MINUTE, states=(MISSED,)).totals] == [3]


def test_a_row_has_its_run_and_is_found_by_a_time_in_its_range(store: Store) -> None:
    with store.writing() as db:
        registrations.register(db, CLOSE, START)
    first = put(store, START + 10 * MINUTE, START + 50 * MINUTE, MISSED, Reason.SUPERSEDED)
    second = put(store, START + HOUR, START + HOUR, DUE)
    with store.writing() as db:
        window = Window(START, START, "x")
        run = runs.create(
            db,
            CLOSE,
            window,
            as_of=START,
            trigger=Trigger.SCHEDULE,
            requested_by="schedule",
            at=START,
            occurrence=second,
        )

    with store.reading() as db:

        def number(found: OccurrenceRecord | None) -> int | None:
            return None if found is None else found.id

        assert number(occurrences.covering(db, CLOSE.name, START)) is None
        assert number(occurrences.covering(db, CLOSE.name, START + 35 * MINUTE)) == first
        assert number(occurrences.covering(db, CLOSE.name, START + 50 * MINUTE)) == first
        assert number(occurrences.covering(db, CLOSE.name, START + 55 * MINUTE)) is None
        assert number(occurrences.before(db, CLOSE.name, START + 55 * MINUTE)) == first
        instead = occurrences.next_run(db, CLOSE.name, START + 50 * MINUTE)
        assert instead is not None
        assert (instead.id, instead.run) == (second, run)


def test_a_range_of_an_unknown_schedule_is_counted_by_its_share_of_time(store: Store) -> None:
    with store.writing() as db:
        registrations.register(db, CLOSE, START)
        old = Occurrence(CLOSE.name, "old", START, START + 9 * HOUR, 10, MISSED, Reason.NOT_LEADING)
        occurrences.record(db, old, token=1, at=START)

    (whole,) = query(store).totals
    (part,) = query(store, since=START + 4 * HOUR + 30 * MINUTE).totals

    assert (whole.instants, whole.exact) == (10, True)
    assert (part.instants, part.exact) == (5, False)


def test_a_removed_job_still_has_its_occurrences(store: Store) -> None:
    with store.writing() as db:
        registrations.register(db, CLOSE, START)
        registrations.remove(db, CLOSE.name, START + HOUR)
    put(store, START + 10 * MINUTE, START + 10 * MINUTE, RAN)
    empty = Catalog((), {}, {})

    with store.reading() as db:
        found = history.occurrences(db, empty, OccurrenceFilter(job=CLOSE.name), limit=5)
        removed = history.why(db, empty, CLOSE.name, "2026-03-28T14:00:00Z", START + 4 * HOUR)
        assert [total.instants for total in found.totals] == [1]
        assert str(history.zone_of(db, empty, CLOSE.name)) == "Europe/Berlin"
        assert str(history.zone_of(db, empty, "books")) == "UTC"
        with pytest.raises(UnknownJob):
            history.occurrences(db, empty, OccurrenceFilter(job="books.nothing"), limit=5)

    assert removed.answers[0].explanation[0].startswith("no pack has defined the job since 2026-03-28 14:00 CET")
