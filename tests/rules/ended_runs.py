"""Runs that have ended, for the rules that judge them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from opsconsole import DAY, Job, Limits, hours, minutes
from opsconsole.authoring.run import Counts, Run, RunState, Selection, Stop, StopReason, Trigger
from opsconsole.calendar.windows import Window
from tests.packs import counting

NOW = datetime(2025, 1, 19, 12, 0, tzinfo=UTC)
"""A Sunday."""
JOB = Job(
    "books.close",
    counting.names,
    counting.do_nothing,
    cron="0 * * * *",
    covers=DAY,
    limits=Limits(max_age=hours(25), longest=minutes(10)),
)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def day(days_ago: int) -> Window:
    """The day that began this many days before today."""
    start = NOW.replace(hour=0) - timedelta(days=days_ago)
    return Window(start, start + timedelta(days=1), start.date().isoformat())


def moment(at: datetime) -> Window:
    return Window(at, at, f"{at:%Y-%m-%dT%H:%M:%SZ}")


def ended(
    number: int,
    window: Window,
    ok: int = 0,
    failed: int = 0,
    *,
    kind: str = "out_of_ink",
    state: RunState | None = None,
    trigger: Trigger = Trigger.SCHEDULE,
    selection: Selection = Selection.ALL,
    seconds: float = 60,
    at: datetime | None = None,
    not_reached: int = 0,
    planned: bool = True,
    error: str | None = None,
    stop: StopReason | None = None,
    parent: int | None = None,
) -> Run:
    """A run that ended at `at`, by default an hour after its window; its state follows from its counts."""
    at = at or window.end + timedelta(hours=1)
    if state is None:
        state = RunState.SUCCEEDED if not failed else RunState.PARTIAL if ok else RunState.FAILED
    return Run(
        id=number,
        job=JOB.name,
        window=window,
        as_of=window.end,
        trigger=trigger,
        state=state,
        attempt=1,
        parent=parent,
        selection=selection,
        command=None,
        requested_by="schedule",
        host="here",
        created_at=at - timedelta(seconds=seconds),
        started_at=at - timedelta(seconds=seconds),
        ended_at=at,
        counts=Counts(planned=ok + failed + not_reached, ok=ok, failed=failed, not_reached=not_reached),
        planning_done=planned,
        batches=1,
        batches_done=1,
        kinds={kind: failed} if failed else {},
        metrics={},
        facts={},
        error=error,
        log_lines=0,
        stop=None if stop is None else Stop("asha", at, at, stop),
    )


def retried(number: int, window: Window, ok: int = 0, failed: int = 0, **other: object) -> Run:
    """A retry of the failed items."""
    return ended(number, window, ok, failed, trigger=Trigger.RETRY, selection=Selection.FAILED, **other)  # type: ignore[arg-type]
