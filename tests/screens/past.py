"""Hand-made windows, plans and backfills of the past year."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from opsconsole.authoring.run import Selection
from opsconsole.calendar.windows import Unit, Window
from opsconsole.rules.backfill import Only, Step, StepReason, StepState, WindowRecord, WindowState, WindowStatus
from opsconsole.rules.backfill_status import Backfill, BackfillState, StepView
from opsconsole.service.backfills import WindowedJob
from tests.screens import samples

REPORT, SNAPSHOT, SUMMARY = "reporting.daily_report", "reporting.daily_snapshot", "reporting.monthly_summary"


MASTERY = "attempts.update_mastery"


CALENDARS = (
    WindowedJob(MASTERY, "Asia/Kolkata", Unit.FOUR_WEEKS, newest_only=True),
    WindowedJob(REPORT, "UTC", Unit.DAY, finds_stale=True),
    WindowedJob(SNAPSHOT, "UTC", Unit.DAY, after=(REPORT,)),
    WindowedJob(SUMMARY, "UTC", Unit.MONTH, after=(SNAPSHOT,), finds_stale=True),
)


def utc_day(day_: date) -> Window:
    """A day in UTC."""
    start = datetime(day_.year, day_.month, day_.day, tzinfo=UTC)
    return Window(start, start + timedelta(days=1), day_.isoformat())


def a_window(window: Window, state: WindowState = WindowState.FRESH, **other: Any) -> WindowStatus:
    """A window covered by a run, unless it is missing."""
    if state in (WindowState.MISSING, WindowState.NOT_DUE):
        return WindowStatus(window, state, WindowRecord(**other))
    record = {"run": 4000, "result": state, "items": 1203, "seconds": 2.1, **other}
    return WindowStatus(window, state, WindowRecord(**record), 4900 if state is WindowState.RUNNING else None)


def _state_of(n: int) -> WindowState:
    """The state of the day `n` days ago."""
    states = {0: WindowState.NOT_DUE, 33: WindowState.FAILED, 100: WindowState.PARTIAL}
    missing, stale = range(48, 52), range(200, 208)
    return states.get(n) or (
        WindowState.MISSING if n in missing else WindowState.STALE if n in stale else WindowState.FRESH
    )


A_YEAR = tuple(
    a_window(
        utc_day(samples.NOW.date() - timedelta(days=n)),
        _state_of(n),
        checked_at=samples.ago(minutes=5),
        stale=12 * (200 <= n < 208),
    )
    for n in range(380, -1, -1)
)


MONTHS = tuple(
    a_window(
        Window(datetime(y, m, 1, tzinfo=UTC), datetime(y + m // 12, m % 12 + 1, 1, tzinfo=UTC), f"{y}-{m:02}"),
        WindowState.MISSING if (y, m) < (2024, 6) else WindowState.FRESH,
    )
    for y in (2024, 2025)
    for m in range(1, 13)
)


def a_step(seq: int, day_: date, state: StepState = StepState.PENDING, job: str = REPORT, **other: Any) -> StepView:
    """A missing window of a plan."""
    made = Step(job, utc_day(day_), True, StepReason.MISSING, Selection.ALL, 1203, 0.5, False, None, "spec")
    run = None if state in (StepState.PENDING, StepState.SKIPPED) else 4900 + seq
    return StepView(seq, replace(made, runs=state is not StepState.SKIPPED, **other), state, run)


def a_backfill(number: int, state: BackfillState = BackfillState.DONE, **other: Any) -> Backfill:
    """A backfill of last December by ben, this morning."""
    made = Backfill(
        id=number,
        state=state,
        jobs=(REPORT,),
        since="2025-12-01",
        until="2025-12-31",
        only=Only.MISSING,
        stop_on_failure=False,
        requested_by="ben",
        created_at=samples.ago(hours=8, minutes=17),
        command=17,
        started_at=samples.ago(hours=8, minutes=16),
        ended_at=samples.ago(hours=8, minutes=16) + timedelta(seconds=22) if state is BackfillState.DONE else None,
        stop=None,
        counts={StepState.DONE: 31},
        items=37_293,
        seconds=15.0,
    )
    return replace(made, **other)


_FOUR = [date(2025, 12, n) for n in range(1, 6)]


PLAN_STEPS: Sequence[StepView] = (
    *(a_step(n, day_) for n, day_ in enumerate(_FOUR[:4], 1)),
    a_step(5, _FOUR[4], StepState.SKIPPED, reason=StepReason.FRESH, items=0),
)


PLAN = a_backfill(
    12,
    BackfillState.PLANNED,
    since="2025-12-01",
    until="2025-12-05",
    requested_by="asha",
    started_at=None,
    counts={StepState.PENDING: 4, StepState.SKIPPED: 1},
    items=4812,
    seconds=2.0,
)


PAST_BACKFILLS = [
    a_backfill(11),
    a_backfill(
        10,
        jobs=(REPORT, SNAPSHOT),
        since="2025-10-30",
        counts={StepState.DONE: 120, StepState.PARTIAL: 1, StepState.FAILED: 3},
    ),
    a_backfill(9, BackfillState.PLANNED, started_at=None),
]


ACTIVE_BACKFILL = a_backfill(
    12,
    BackfillState.RUNNING,
    since="2025-12-01",
    until="2026-01-18",
    requested_by="asha",
    started_at=samples.ago(seconds=20),
    counts={StepState.DONE: 19, StepState.FAILED: 1, StepState.RUNNING: 1, StepState.PENDING: 27},
)
