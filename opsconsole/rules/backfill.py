"""What a backfill would do and what it does next: decisions over values, nothing read and nothing written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from graphlib import TopologicalSorter
from statistics import median

from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, RunState, Selection
from opsconsole.calendar.cron import Cron, zone
from opsconsole.calendar.windows import Unit, Window
from opsconsole.core.errors import BadWindow, NotBackfillable

SOON = timedelta(days=3)
"""The schedule is asked only of windows that end this close to now whether they are due: asking it costs a moment."""
MOST_WINDOWS = 5000
"""So many windows may be planned at once: thirteen years of days."""


class WindowState(StrEnum):
    """How a window's data is."""

    FRESH = "fresh"
    STALE = "stale"
    PARTIAL = "partial"
    FAILED = "failed"
    MISSING = "missing"
    RUNNING = "running"
    NOT_DUE = "not due"


class Only(StrEnum):
    """Which windows of a range are wanted; `failed` are those that failed, wholly or in part."""

    MISSING = "missing"
    STALE = "stale"
    FAILED = "failed"
    ALL = "all"


STATES_FOR: Mapping[Only, frozenset[WindowState]] = {
    Only.MISSING: frozenset({WindowState.MISSING}),
    Only.STALE: frozenset({WindowState.STALE}),
    Only.FAILED: frozenset({WindowState.FAILED, WindowState.PARTIAL}),
    Only.ALL: frozenset(WindowState) - {WindowState.RUNNING, WindowState.NOT_DUE},
}


@dataclass(frozen=True, slots=True)
class WindowRecord:
    """What the store keeps of a window: its newest ended run and what that came to, how many items it was about and how
    long it took; whether its data reached as far as the schedule's own run does; and how many of its items were out of
    date at the last look, None before the first.
    """

    run: int | None = None
    result: WindowState = WindowState.MISSING
    whole: bool = True
    items: int = 0
    seconds: float | None = None
    stale: int | None = None
    looked_at: datetime | None = None


NO_RECORD = WindowRecord()


@dataclass(frozen=True, slots=True)
class WindowStatus:
    """A window as it is now; `open_run` is the run that waits or goes on for it."""

    window: Window
    state: WindowState
    known: WindowRecord
    open_run: int | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """What is to be expected of a window of a job: its items, and the items a second of its usual runs."""

    items: int
    rate: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """One window of a plan. `why` says why it is skipped, or in which state it is to be run; `before` is the window's
    newest run when it was planned.
    """

    job: str
    window: Window
    runs: bool
    why: str
    selection: Selection
    items: int
    seconds: float | None
    overwrites: bool
    before: int | None
    spec: str


class StepState(StrEnum):
    """How far a window of a backfill is."""

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
    """A window of a backfill that is carried out."""

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

    Raises NotBackfillable, or BadWindow when the range is empty, very long, or reaches into the future.
    """
    check_backfillable(job.name, has_windows=job.covers.unit is not Unit.MOMENT, newest_only=job.newest_only)
    if since > until:
        raise BadWindow(f"the range ends on {until}, before it begins on {since}; turn it around")
    if (until - since).days >= MOST_WINDOWS:
        raise BadWindow(f"{since} to {until} are over {MOST_WINDOWS:,} days; take a shorter range")
    place = zone(job.tz)
    found = {job.covers.named(since + timedelta(days=n), place): None for n in range((until - since).days + 1)}
    if (last := max(found, key=lambda window: window.start)).start > now:
        raise BadWindow(f"{last.label} has not begun in {job.tz}; choose dates up to today")
    return [window for window in found if window.start < window.end]


def due_instant(job: Job, cron: Cron | None, window: Window) -> datetime:
    """When the schedule runs the job for this window; the window's end when it never does."""
    if cron is None:
        return window.end
    if job.covers.back:
        found = cron.next(window.end - timedelta(microseconds=1))
    else:
        found = cron.previous(window.end - timedelta(microseconds=1))
    return found if found is not None and job.covers.at(found, zone(job.tz)) == window else window.end


def state_of(
    job: Job, cron: Cron | None, window: Window, known: WindowRecord, open_run: int | None, now: datetime
) -> WindowState:
    """How a window is, judged from what the store keeps of it."""
    if open_run is not None:
        return WindowState.RUNNING
    if now - window.end < SOON and now < due_instant(job, cron, window):
        return WindowState.NOT_DUE
    if known.result is WindowState.MISSING:
        return WindowState.FRESH if known.stale == 0 else WindowState.MISSING
    if known.result is WindowState.FRESH and (known.stale or not known.whole):
        return WindowState.STALE
    return known.result


def result_of(run: Run, parent: Run | None) -> WindowState:
    """What an ended run leaves its window in."""
    if run.state is RunState.SUCCEEDED:
        return WindowState.FRESH
    done_before = parent.counts.ok if parent is not None and run.selection is Selection.FAILED else 0
    return WindowState.PARTIAL if run.counts.ok + done_before else WindowState.FAILED


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """Jobs so that each comes after those that it waits for; else as they were given."""
    given = {job.name: job for job in jobs}
    graph = {name: [before for before in job.after if before in given] for name, job in given.items()}
    return [given[name] for name in TopologicalSorter(graph).static_order()]


def decide(job: Job, seen: Iterable[WindowStatus], only: Only, pace: Pace) -> Iterator[Step]:
    """What a backfill does with each of these windows."""
    for each in seen:
        runs = each.state in STATES_FOR[only]
        some = only is Only.STALE and job.stale is not None and each.known.run is not None and each.known.whole
        items = (each.known.stale or 0) if some else each.known.items or pace.items
        yield Step(
            job=job.name,
            window=each.window,
            runs=runs,
            why=_why(each),
            selection=Selection.STALE if some else Selection.ALL,
            items=items if runs else 0,
            seconds=items / pace.rate if runs and pace.rate else None,
            overwrites=runs and each.state is not WindowState.MISSING,
            before=each.known.run,
            spec=job.spec,
        )


def _why(seen: WindowStatus) -> str:
    if seen.state is WindowState.RUNNING:
        return f"run {seen.open_run} is about it"
    if seen.state is WindowState.NOT_DUE:
        return "it is not due yet"
    if seen.state is WindowState.STALE and seen.known.stale:
        return f"{seen.known.stale:,} items are stale"
    if seen.state is WindowState.STALE:
        return "its data ends before the window does"
    return f"it is {seen.state}"


def pace(newest: Sequence[Run]) -> Pace:
    """What the newest runs of a job, which were about all of its items, let one expect."""
    whole = [run for run in newest if run.selection is Selection.ALL and run.counts.planned]
    rates = [run.counts.tried / run.seconds for run in whole if run.seconds and run.counts.tried]
    return Pace(whole[0].counts.planned if whole else 0, median(rates) if rates else None)


def to_begin(steps: Sequence[ActiveStep], find: Callable[[str], Job | None]) -> list[ActiveStep]:
    """Which windows may begin now, oldest first: as many of each job as it may have at once, none before the windows of
    the jobs it waits for that end by its own end.
    """
    unended = [step for step in steps if step.state in (StepState.PENDING, StepState.RUNNING)]
    free = {
        name: job.parallel - sum(step.job == name and step.state is StepState.RUNNING for step in unended)
        for name in {step.job for step in unended}
        if (job := find(name)) is not None
    }
    first_end: dict[str, datetime] = {}
    for step in unended:
        first_end[step.job] = min(first_end.get(step.job, step.window.end), step.window.end)
    found: list[ActiveStep] = []
    for step in sorted(unended, key=lambda step: (step.window.end, step.seq)):
        job = find(step.job)
        if step.state is not StepState.PENDING or job is None or free.get(step.job, 0) < 1:
            continue
        if any(first_end[before] <= step.window.end for before in job.after if before in first_end):
            continue
        free[step.job] -= 1
        found.append(step)
    return found
