"""What a backfill would do, decided over plain values: states of windows, plans, and which window is next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from opsconsole import DAY, DAY_BEFORE, MOMENT, MONTH_BEFORE, Job
from opsconsole.authoring.run import Selection
from opsconsole.calendar.windows import Covers, Window
from opsconsole.core.errors import BadWindow, DateSkipped, NotBackfillable
from opsconsole.rules.backfill import (
    NO_RECORD,
    OLDEST_FIRST,
    ActiveStep,
    BadSelection,
    Only,
    Order,
    Pace,
    StepReason,
    StepState,
    WindowRecord,
    WindowState,
    WindowStatus,
    decide,
    in_order,
    scheduled_time,
    startable,
    state_of,
    windows,
)
from tests.packs import counting
from tests.schedules import cron_of

NOW = datetime(2025, 3, 10, 12, tzinfo=UTC)
CHECKED = WindowRecord(run=7, result=WindowState.FRESH, items=100, stale=0, checked_at=NOW)


def job(name: str = "books.close", cron: str = "59 23 * * *", covers: Covers = DAY, **more: object) -> Job:
    return Job(name, counting.names, counting.do_nothing, cron=cron, covers=covers, **more)  # type: ignore[arg-type]


def day(text: str, of: Job) -> Window:
    return windows(of, date.fromisoformat(text), date.fromisoformat(text), NOW)[0]


def test_a_range_contains_each_of_its_windows_once() -> None:
    days = windows(job(), date(2025, 2, 27), date(2025, 3, 2), NOW)
    months = windows(job(covers=MONTH_BEFORE), date(2024, 12, 31), date(2025, 2, 1), NOW)

    assert [window.label for window in days] == ["2025-02-27", "2025-02-28", "2025-03-01", "2025-03-02"]
    assert [window.label for window in months] == ["2024-12", "2025-01", "2025-02"]


@pytest.mark.parametrize(
    ("of", "since", "until", "error"),
    [
        (job(covers=MOMENT), "2025-03-01", "2025-03-02", NotBackfillable),
        (job(newest_only=True), "2025-03-01", "2025-03-02", NotBackfillable),
        (job(), "2025-03-02", "2025-03-01", BadWindow),
        (job(), "2025-03-09", "2025-03-11", BadWindow),  # tomorrow
        (job(), "1990-01-01", "2025-03-01", BadWindow),
    ],
)
def test_an_invalid_range_is_refused(of: Job, since: str, until: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        windows(of, date.fromisoformat(since), date.fromisoformat(until), NOW)


@pytest.mark.parametrize(
    ("of", "label", "due"),
    [
        (job(), "2025-03-09", datetime(2025, 3, 9, 23, 59, tzinfo=UTC)),
        (job(cron="0 0 * * *", covers=DAY_BEFORE), "2025-03-09", datetime(2025, 3, 10, tzinfo=UTC)),
        (job(cron="1 0 1 * *", covers=MONTH_BEFORE), "2025-02-09", datetime(2025, 3, 1, 0, 1, tzinfo=UTC)),
        (job(cron="0 0 29 2 *"), "2025-03-09", datetime(2025, 3, 10, tzinfo=UTC)),  # never fires for this day
    ],
)
def test_a_window_is_due_at_its_scheduled_time(of: Job, label: str, due: datetime) -> None:
    assert scheduled_time(of, cron_of(of), day(label, of)) == due


@pytest.mark.parametrize(
    ("label", "record", "open_run", "state"),
    [
        ("2025-03-01", NO_RECORD, None, WindowState.MISSING),
        ("2025-03-01", replace(NO_RECORD, stale=0, checked_at=NOW), None, WindowState.FRESH),  # rows of another origin
        ("2025-03-01", replace(NO_RECORD, stale=5, checked_at=NOW), None, WindowState.MISSING),
        ("2025-03-01", CHECKED, None, WindowState.FRESH),
        ("2025-03-01", replace(CHECKED, stale=None), None, WindowState.FRESH),
        ("2025-03-01", replace(CHECKED, stale=3), None, WindowState.STALE),
        ("2025-03-01", replace(CHECKED, complete=False), None, WindowState.STALE),
        ("2025-03-01", replace(CHECKED, result=WindowState.PARTIAL), None, WindowState.PARTIAL),
        ("2025-03-01", replace(CHECKED, result=WindowState.FAILED, stale=3), None, WindowState.FAILED),
        ("2025-03-01", CHECKED, 9, WindowState.RUNNING),
        ("2025-03-10", NO_RECORD, None, WindowState.NOT_DUE),
        ("2025-03-10", CHECKED, None, WindowState.NOT_DUE),
        ("2025-03-09", NO_RECORD, None, WindowState.MISSING),
    ],
)
def test_the_state_of_a_window(label: str, record: WindowRecord, open_run: int | None, state: WindowState) -> None:
    of = job()

    assert state_of(of, cron_of(of), day(label, of), record, open_run, NOW) is state


def status(label: str, state: WindowState, record: WindowRecord = CHECKED) -> WindowStatus:
    return WindowStatus(day(label, job()), state, record, open_run=9 if state is WindowState.RUNNING else None)


RANGE = [
    status("2025-03-01", WindowState.FRESH),
    status("2025-03-02", WindowState.STALE, replace(CHECKED, stale=3)),
    status("2025-03-03", WindowState.PARTIAL),
    status("2025-03-04", WindowState.FAILED),
    status("2025-03-05", WindowState.MISSING, NO_RECORD),
    status("2025-03-06", WindowState.RUNNING),
    status("2025-03-07", WindowState.NOT_DUE),
]


@pytest.mark.parametrize(
    ("only", "days"),
    [
        (Only.MISSING, "5"),
        (Only.STALE, "2"),
        (Only.FAILED, "34"),
        (Only.MISSING | Only.FAILED, "345"),
        (Only.ALL, "12345"),
    ],
)
def test_a_plan_runs_selected_windows_and_gives_reasons_for_the_others(only: Only, days: str) -> None:
    steps = list(decide(job(), RANGE, only, Pace(100, 50.0)))

    assert [step.window.label[-1] for step in steps if step.runs] == list(days)
    skipped = {step.window.label[-1]: (step.reason, step.open_run) for step in steps if not step.runs}
    assert (skipped["6"], skipped["7"]) == ((StepReason.RUNNING, 9), (StepReason.NOT_DUE, None))
    assert [step.overwrites for step in steps] == [step.runs and step.window.label != "2025-03-05" for step in steps]
    assert all(step.seconds == step.items / 50 for step in steps if step.runs)


def test_a_stale_window_runs_only_its_stale_items_if_the_job_has_stale() -> None:
    with_stale = job(stale=counting.names)

    (step,) = [step for step in decide(with_stale, RANGE, Only.STALE, Pace(100, 50.0)) if step.runs]
    (whole,) = [step for step in decide(job(), RANGE, Only.STALE, Pace(100, 50.0)) if step.runs]

    assert (step.selection, step.items, step.reason, step.stale) == (Selection.STALE, 3, StepReason.STALE, 3)
    assert (whole.selection, whole.items) == (Selection.ALL, 100)


def test_several_kinds_of_windows_are_written_with_commas() -> None:
    assert Only.parse("missing, FAILED") == Only.MISSING | Only.FAILED
    assert str(Only.MISSING | Only.FAILED) == "missing,failed"
    assert Only.parse("all,stale") is Only.ALL
    with pytest.raises(
        BadSelection, match="'fresh' does not select windows; use missing, stale, failed, all, or several"
    ):
        Only.parse("missing,fresh")


def test_jobs_are_sorted_after_those_they_wait_for() -> None:
    a, b, c = job("p.a", after=("p.b",)), job("p.b", after=("p.c", "p.other")), job("p.c")

    assert [found.name for found in in_order([a, b, c])] == ["p.c", "p.b", "p.a"]


# --- the next window ----------------------------------------------------------------------------------------------

REPORT = job("p.report")
SNAPSHOT = job("p.snapshot", after=("p.report",))
WIDE = job("p.wide", parallel=3)
JOBS = {found.name: found for found in (REPORT, SNAPSHOT, WIDE)}


def active(of: Job, label: str, state: StepState = StepState.PENDING) -> ActiveStep:
    return ActiveStep(int(label[-2:]), of.name, day(label, of), state, Selection.ALL, None)


def next_ones(*steps: ActiveStep, order: Order = OLDEST_FIRST) -> list[tuple[str, str]]:
    return [(step.job, step.window.label[-2:]) for step in startable(steps, JOBS.get, order)]


def test_the_oldest_window_starts_first() -> None:
    assert next_ones(active(REPORT, "2025-03-03"), active(REPORT, "2025-03-01"), active(REPORT, "2025-03-02")) == [
        ("p.report", "01")
    ]


def test_the_newest_window_starts_first_when_it_is_planned_so() -> None:
    first, second, third = (active(REPORT, f"2025-03-0{n}") for n in (1, 2, 3))
    snapshots = [active(SNAPSHOT, f"2025-03-0{n}") for n in (1, 2, 3)]
    newest = Order(newest_first=True)

    assert next_ones(first, third, second, *snapshots, order=newest) == [("p.report", "03")]
    assert next_ones(first, second, *snapshots, order=newest) == [("p.snapshot", "03"), ("p.report", "02")]


def test_a_cap_holds_over_all_jobs_of_a_backfill() -> None:
    days = [active(WIDE, f"2025-03-0{n}") for n in range(1, 6)]
    running = replace(active(REPORT, "2025-03-01"), state=StepState.RUNNING)

    assert next_ones(running, *days, order=Order(at_once=2)) == [("p.wide", "01")]
    assert next_ones(running, *days, order=Order(at_once=1)) == []


def test_at_most_parallel_windows_of_a_job_run_at_once() -> None:
    days = [active(WIDE, f"2025-03-0{n}") for n in range(1, 6)]

    assert next_ones(*days) == [("p.wide", "01"), ("p.wide", "02"), ("p.wide", "03")]
    assert next_ones(replace(days[0], state=StepState.RUNNING), *days[1:]) == [("p.wide", "02"), ("p.wide", "03")]


def test_a_window_waits_for_earlier_windows_of_its_predecessors() -> None:
    first, second = active(REPORT, "2025-03-01"), active(REPORT, "2025-03-02")
    snapshots = active(SNAPSHOT, "2025-03-01"), active(SNAPSHOT, "2025-03-02")
    running = replace(first, state=StepState.RUNNING)

    assert next_ones(first, second, *snapshots) == [("p.report", "01")]
    assert next_ones(running, second, *snapshots) == []
    assert next_ones(second, *snapshots) == [("p.snapshot", "01"), ("p.report", "02")]
    assert next_ones(*snapshots) == [("p.snapshot", "01")]


def test_a_removed_job_starts_no_window() -> None:
    assert startable([active(job("p.removed"), "2025-03-01")], JOBS.get) == []


def test_the_schedule_is_not_checked_for_old_windows() -> None:
    of = job(cron="0 0 29 2 *")

    assert state_of(of, cron_of(of), day("2025-03-01", of), NO_RECORD, None, NOW) is WindowState.MISSING
    assert NOW - day("2025-03-01", of).end > timedelta(days=3)


# --- month ends, leap days and clock changes ----------------------------------------------------------------------


@pytest.mark.parametrize("tz", ["UTC", "Asia/Kolkata", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe"])
def test_days_of_a_range_follow_the_calendar_without_gaps(tz: str) -> None:
    found = windows(job(tz=tz), date(2015, 12, 30), date(2020, 3, 1), NOW)

    expected = [date(2015, 12, 30) + timedelta(days=n) for n in range((date(2020, 3, 1) - date(2015, 12, 30)).days + 1)]
    assert [window.label for window in found] == [day.isoformat() for day in expected]
    assert all(before.end == after.start for before, after in pairwise(found))


def test_months_of_a_range_are_complete_across_years_and_leap_days() -> None:
    found = windows(job(covers=MONTH_BEFORE, tz="Europe/Berlin"), date(2023, 11, 30), date(2024, 3, 1), NOW)

    assert [window.label for window in found] == ["2023-11", "2023-12", "2024-01", "2024-02", "2024-03"]
    assert found[3].end - found[3].start == timedelta(days=29)
    assert all(before.end == after.start for before, after in pairwise(found))


def test_a_day_skipped_by_its_zone_is_no_window() -> None:
    found = windows(job(tz="Pacific/Apia"), date(2011, 12, 29), date(2011, 12, 31), NOW)

    assert [window.label for window in found] == ["2011-12-29", "2011-12-31"]
    with pytest.raises(DateSkipped, match="2011-12-30 does not exist in Pacific/Apia, which skipped it"):
        windows(job(tz="Pacific/Apia"), date(2011, 12, 30), date(2011, 12, 30), NOW)


def test_a_window_before_the_first_data_is_not_missing() -> None:
    of = job()
    window = day("2025-01-10", of)

    def state(record: WindowRecord, begins: datetime | None) -> WindowState:
        return state_of(of, cron_of(of), window, record, None, NOW, begins)

    assert state(NO_RECORD, None) is WindowState.MISSING
    assert state(NO_RECORD, window.end - timedelta(seconds=1)) is WindowState.MISSING
    assert state(NO_RECORD, window.end) is WindowState.NO_DATA
    assert state(replace(NO_RECORD, stale=0), window.end) is WindowState.NO_DATA
    assert state(CHECKED, window.end) is WindowState.FRESH
    for only in Only:
        (step,) = decide(of, [WindowStatus(window, WindowState.NO_DATA, NO_RECORD)], only, Pace(9, 1.0))
        assert (step.runs, step.reason) == (False, StepReason.NO_DATA)
