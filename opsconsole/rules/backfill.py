"""Decides what a backfill does: which windows to run, in which order, and why the others are skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Flag, StrEnum, auto
from graphlib import TopologicalSorter
from statistics import median

from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, RunState, Selection
from opsconsole.calendar.cron import Cron, zone
from opsconsole.calendar.windows import Unit, Window
from opsconsole.core.bounds import shown
from opsconsole.core.errors import BadWindow, DateSkipped, Exit, NotBackfillable, OpsconsoleError

SOON = timedelta(days=3)
"""Only windows that end this close to now are checked against the schedule: the check is slow."""
MOST_WINDOWS = 5000
"""The most windows in one plan: thirteen years of days."""


class WindowState(StrEnum):
    """The state of a window's data."""

    FRESH = "fresh"
    STALE = "stale"
    PARTIAL = "partial"
    FAILED = "failed"
    MISSING = "missing"
    RUNNING = "running"
    NOT_DUE = "not_due"
    NO_DATA = "no_data"  # it ended before the job's data begins


class Only(Flag):
    """Which windows of a range are selected, such as `Only.MISSING | Only.FAILED`; `failed` includes those that failed
    in part, `all` also those that are fresh. As a text, `missing,failed`.
    """

    MISSING = auto()
    STALE = auto()
    FAILED = auto()
    ALL = auto()

    @classmethod
    def parse(cls, text: str) -> Only:
        """The selection that a text such as `missing,failed` names. Raises BadSelection."""
        words = [word.strip() for word in text.lower().split(",")]
        found = cls(0)
        for word in words:
            member = cls.__members__.get(word.upper())
            if member is None:
                names = ", ".join(str(each) for each in cls)
                raise BadSelection(f"{shown(word)} does not select windows; use {names}, or several with commas")
            found |= member
        return cls.ALL if cls.ALL in found else found

    def __str__(self) -> str:
        return ",".join((each.name or "").lower() for each in self)


class BadSelection(OpsconsoleError):
    """A text that selects no windows."""

    exit_code = Exit.USAGE


@dataclass(frozen=True, slots=True)
class Order:
    """In which order the windows of a backfill run, and at most how many at once; None for as many as each job
    allows."""

    newest_first: bool = False
    at_once: int | None = None


OLDEST_FIRST = Order()


STATES_FOR: Mapping[Only, frozenset[WindowState]] = {
    Only.MISSING: frozenset({WindowState.MISSING}),
    Only.STALE: frozenset({WindowState.STALE}),
    Only.FAILED: frozenset({WindowState.FAILED, WindowState.PARTIAL}),
    Only.ALL: frozenset(WindowState) - {WindowState.RUNNING, WindowState.NOT_DUE, WindowState.NO_DATA},
}


def states_for(only: Only) -> frozenset[WindowState]:
    """The states of the windows that are selected."""
    return frozenset().union(*(STATES_FOR[each] for each in only))


@dataclass(frozen=True, slots=True)
class WindowRecord:
    """What the store has about a window: its newest ended run with that run's result, item count and duration;
    `complete` when the data reached as far as the scheduled run's does; `stale` items at the last check, None before
    the first.
    """

    run: int | None = None
    result: WindowState = WindowState.MISSING
    complete: bool = True
    items: int = 0
    seconds: float | None = None
    stale: int | None = None
    checked_at: datetime | None = None


NO_RECORD = WindowRecord()


@dataclass(frozen=True, slots=True)
class WindowStatus:
    """The current state of a window; `open_run` is a queued or running run for it."""

    window: Window
    state: WindowState
    record: WindowRecord
    open_run: int | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """The expected items of a window, and the items a second of the job's usual runs."""

    items: int
    rate: float | None


class StepReason(StrEnum):
    """Why a window is skipped, or which state it was in when it was planned; `incomplete` when its data ends before the
    window does.
    """

    FRESH = "fresh"
    STALE = "stale"
    INCOMPLETE = "incomplete"
    PARTIAL = "partial"
    FAILED = "failed"
    MISSING = "missing"
    RUNNING = "running"
    NOT_DUE = "not_due"
    NO_DATA = "no_data"


@dataclass(frozen=True, slots=True)
class Step:
    """One window of a plan. `before` is the window's newest run when it was planned, `stale` its stale items where that
    is the reason, `open_run` the run that makes it `running`.
    """

    job: str
    window: Window
    runs: bool
    reason: StepReason
    selection: Selection
    items: int
    seconds: float | None
    overwrites: bool
    before: int | None
    spec: str
    stale: int | None = None
    open_run: int | None = None


class StepState(StrEnum):
    """The state of a window in a backfill."""

    SKIPPED = "skipped"
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNDONE = (StepState.PENDING, StepState.PARTIAL, StepState.FAILED, StepState.CANCELLED)


@dataclass(frozen=True, slots=True)
class ActiveStep:
    """A window of an active backfill that is pending or running."""

    seq: int
    job: str
    window: Window
    state: StepState
    selection: Selection
    run: int | None


def check_backfillable(job: str, *, has_windows: bool, newest_only: bool) -> None:
    """Raises NotBackfillable."""
    if not has_windows:
        raise NotBackfillable(job, "always processes the current moment")
    if newest_only:
        raise NotBackfillable(job, "keeps only its newest result")


def windows(job: Job, since: date, until: date, now: datetime) -> list[Window]:
    """The job's windows from the one that holds `since` to the one that holds `until`, both dates of its zone.

    Raises NotBackfillable, or BadWindow when the range is empty, very long, reaches into the future, or is a date that
    the zone skipped.
    """
    check_backfillable(job.name, has_windows=job.covers.unit is not Unit.MOMENT, newest_only=job.newest_only)
    if since > until:
        raise BadWindow(f"the range ends on {until}, before it starts on {since}; swap the dates")
    if (until - since).days >= MOST_WINDOWS:
        raise BadWindow(f"{since} to {until} is more than {MOST_WINDOWS:,} days; choose a shorter range")
    place = zone(job.tz)
    named = {job.covers.named(since + timedelta(days=n), place): None for n in range((until - since).days + 1)}
    if (last := max(named, key=lambda window: window.start)).start > now:
        raise BadWindow(f"{last.label} has not started in {job.tz}; choose dates up to today")
    existing = [window for window in named if window.start < window.end]
    if not existing:
        raise DateSkipped(since, job.tz)
    return existing


def scheduled_time(job: Job, cron: Cron | None, window: Window) -> datetime:
    """When the schedule runs the job for this window; the window's end when it never does."""
    if cron is None:
        return window.end
    if job.covers.back:
        found = cron.next(window.end - timedelta(microseconds=1))
    else:
        found = cron.previous(window.end - timedelta(microseconds=1))
    return found if found is not None and job.covers.at(found, zone(job.tz)) == window else window.end


def state_of(
    job: Job,
    cron: Cron | None,
    window: Window,
    record: WindowRecord,
    open_run: int | None,
    now: datetime,
    begins: datetime | None = None,
) -> WindowState:
    """The state of a window, from its record in the store. `begins` is when the job's data begins, None if that is not
    known.
    """
    if open_run is not None:
        return WindowState.RUNNING
    if now - window.end < SOON and now < scheduled_time(job, cron, window) + job.shift:
        return WindowState.NOT_DUE
    if record.result is WindowState.MISSING and begins is not None and window.end <= begins:
        return WindowState.NO_DATA
    if record.result is WindowState.MISSING:
        return WindowState.FRESH if record.stale == 0 else WindowState.MISSING
    if record.result is WindowState.FRESH and (record.stale or not record.complete):
        return WindowState.STALE
    return record.result


def result_of(run: Run, parent: Run | None) -> WindowState:
    """The result of an ended run for its window."""
    if run.state is RunState.SUCCEEDED:
        return WindowState.FRESH
    done_before = parent.counts.ok if parent is not None and run.selection is Selection.FAILED else 0
    return WindowState.PARTIAL if run.counts.ok + done_before else WindowState.FAILED


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """The jobs sorted so that each follows those it waits for, otherwise in the given order."""
    given = {job.name: job for job in jobs}
    graph = {name: [before for before in job.after if before in given] for name, job in given.items()}
    return [given[name] for name in TopologicalSorter(graph).static_order()]


def decide(job: Job, statuses: Iterable[WindowStatus], only: Only, pace: Pace) -> Iterator[Step]:
    """The plan for each of these windows. Of a stale one only the stale items are run, unless all windows are."""
    selected = states_for(only)
    for each in statuses:
        runs = each.state in selected
        record = each.record
        finds_stale = job.stale is not None and record.run is not None and record.complete
        stale_only = each.state is WindowState.STALE and Only.ALL not in only and finds_stale
        items = (record.stale or 0) if stale_only else record.items or pace.items
        yield Step(
            job=job.name,
            window=each.window,
            runs=runs,
            reason=_reason(each),
            selection=Selection.STALE if stale_only else Selection.ALL,
            items=items if runs else 0,
            seconds=items / pace.rate if runs and pace.rate else None,
            overwrites=runs and each.state is not WindowState.MISSING,
            before=record.run,
            spec=job.spec,
            stale=record.stale if each.state is WindowState.STALE else None,
            open_run=each.open_run,
        )


def _reason(status: WindowStatus) -> StepReason:
    if status.state is WindowState.STALE and not status.record.stale:
        return StepReason.INCOMPLETE
    return StepReason(status.state.value)


def pace(newest: Sequence[Run]) -> Pace:
    """The expected pace of a job, from its newest runs over all of its items."""
    full = [run for run in newest if run.selection is Selection.ALL and run.counts.planned]
    rates = [run.counts.tried / run.seconds for run in full if run.seconds and run.counts.tried]
    return Pace(full[0].counts.planned if full else 0, median(rates) if rates else None)


def startable(
    steps: Sequence[ActiveStep], find: Callable[[str], Job | None], order: Order = OLDEST_FIRST
) -> list[ActiveStep]:
    """The windows that may start now, in their order: at most `parallel` of each job, and none before the windows of
    the jobs it waits for that end by then; with the newest first, before those that end within it.
    """
    unfinished = [step for step in steps if step.state in (StepState.PENDING, StepState.RUNNING)]
    free = {
        name: job.parallel - sum(step.job == name and step.state is StepState.RUNNING for step in unfinished)
        for name in {step.job for step in unfinished}
        if (job := find(name)) is not None
    }
    ends: dict[str, list[datetime]] = {}
    for step in unfinished:
        ends.setdefault(step.job, []).append(step.window.end)
    left = (
        len(unfinished)
        if order.at_once is None
        else order.at_once - sum(step.state is StepState.RUNNING for step in unfinished)
    )
    ready: list[ActiveStep] = []
    direction = -1 if order.newest_first else 1
    for step in sorted(unfinished, key=lambda step: (direction * step.window.end.timestamp(), step.seq)):
        if len(ready) >= left:
            break
        job = find(step.job)
        if step.state is not StepState.PENDING or job is None or free.get(step.job, 0) < 1:
            continue
        since = step.window.start if order.newest_first else datetime.min.replace(tzinfo=UTC)
        if any(since < end <= step.window.end for before in job.after for end in ends.get(before, ())):
            continue
        free[step.job] -= 1
        ready.append(step)
    return ready
