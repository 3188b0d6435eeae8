"""The planner: decides the outcome of scheduled times from schedules, cursors, pauses and the time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from opsconsole.authoring.job import MOST_QUEUED, CatchUp, Job, Overlap
from opsconsole.authoring.occurrence import (
    ON_TIME,
    Occurrence,
    OccurrenceRecord,
    OccurrenceState,
    Reason,
)
from opsconsole.calendar.cron import TICK, Cron
from opsconsole.rules.explain import matches


class Interval(NamedTuple):
    """The range of time [since, until); `until` is None for an open end."""

    since: datetime
    until: datetime | None


class Recorded(NamedTuple):
    """The scheduled times [first, last] that have a row already."""

    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A scheduled run that has not ended. `caught_up` if it was planned long after its scheduled time, `for_a_slot` if
    it waits for a free slot.
    """

    run: int
    queued: bool = False
    caught_up: bool = False
    for_a_slot: bool = False


class Checked(NamedTuple):
    """Whether a job that skips times without items has any, as of its scheduled time `until`."""

    until: datetime
    is_empty: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """The planner's input for a job: up to when its scheduled times are recorded (`cursor`), when it is paused (in any
    order), its open scheduled runs, and the times after the cursor that are recorded all the same, in order, because
    the clock was set back. If it was `checked`, it is planned up to there.
    """

    job: Job
    cron: Cron
    cursor: datetime
    paused: tuple[Interval, ...] = ()
    open: tuple[OpenRun, ...] = ()
    recorded: tuple[Recorded, ...] = ()
    checked: Checked | None = None


def plan(schedules: Iterable[Schedule], now: datetime, *, jumped: bool = False) -> list[Occurrence]:
    """The outcome of all scheduled times after their job's cursor and up to `now`, in the order the runs start in. The
    times of a job with jitter are due later, by its shift.

    Each scheduled time without a row is in exactly one occurrence. If the clock was set forward since the last plan
    (`jumped`), that is the reason for times that do not run.
    """
    priorities: dict[str, int] = {}
    found: list[Occurrence] = []
    for schedule in schedules:
        priorities[schedule.job.name] = schedule.job.priority
        found += _of(schedule, now, jumped)
    return sorted(found, key=lambda o: (o.due_at, -priorities[o.job], o.job))


def record_unrun(
    job: str,
    spec: str,
    cron: Cron,
    since: datetime,
    until: datetime,
    paused: Sequence[Interval],
    reason: Reason,
    recorded: Sequence[Recorded] = (),
) -> list[Occurrence]:
    """Records all scheduled times later than `since` and not later than `until` without running them, except for those
    that are `recorded`.
    """
    return [
        occurrence
        for piece in _cut(since, until, paused)
        for part in _unrecorded(piece, recorded)
        for occurrence in _unrun(job, spec, cron, part, Reason.PAUSED if part.paused else reason)
    ]


class _Piece(NamedTuple):
    """The range of time (since, until]."""

    since: datetime
    until: datetime
    paused: bool


def _of(schedule: Schedule, now: datetime, jumped: bool) -> list[Occurrence]:
    job, cron, spec = schedule.job, schedule.cron, schedule.job.spec
    now -= job.shift
    if schedule.checked is not None:
        now = min(now, schedule.checked.until)
    keep = max(1, job.catch_up.newest)
    oldest = _oldest_to_run(job.catch_up, now)
    reason = _why_not_run(job.catch_up, jumped)
    found: list[Occurrence] = []
    # From the newest back, because the newest ones run.
    pieces = [
        part
        for piece in _cut(schedule.cursor, now, _earlier(schedule))
        for part in _unrecorded(piece, schedule.recorded)
    ]
    for piece in reversed(pieces):
        if piece.paused:
            found = _unrun(job.name, spec, cron, piece, Reason.PAUSED) + found
            continue
        kept = cron.newest(max(piece.since, min(oldest, piece.until)), piece.until, keep) if keep else []
        keep -= len(kept)
        dropped = piece._replace(until=kept[0] - timedelta.resolution if kept else piece.until)
        runs = [_started(schedule, spec, due_at, before) for before, due_at in enumerate(kept)]
        found = _unrun(job.name, spec, cron, dropped, reason) + runs + found
    return found


def next_run(cron: Cron, now: datetime, ran: Collection[datetime]) -> datetime | None:
    """The next scheduled time that will run: without those that ran before the clock was set back to `now`."""
    due_at = cron.next(now)
    while due_at is not None and due_at in ran:
        due_at = cron.next(due_at)
    return due_at


def _earlier(schedule: Schedule) -> list[Interval]:
    """The pauses as scheduled times see them: what counts is whether the job is paused when its run would start."""
    shift = schedule.job.shift
    return [Interval(since - shift, until and until - shift) for since, until in schedule.paused]


class Shortened(NamedTuple):
    """A row without a run that covers fewer times than before, of the same schedule."""

    id: int
    due_at: datetime
    last_due_at: datetime
    instants: int


class Revision(NamedTuple):
    """What becomes of rows whose times come again: the times that `keep` their rows, what is left of each row that
    loses times (None for nothing), and the rows with a run whose time came twice.
    """

    keep: tuple[Recorded, ...]
    shortened: dict[int, Shortened | None]
    repeated: tuple[int, ...]


def revise(
    records: Iterable[OccurrenceRecord], cron: Cron, cursor: datetime, now: datetime, *, has_returned: bool
) -> Revision:
    """Decides about the rows with times in (cursor, now], in order, which were written before the clock was set back.

    A time that ran does not run again. The others are planned again, unless the clock `has_returned` past all of them
    with a jump: it was right when it wrote them, and was behind meanwhile.
    """
    records = list(records)
    kept = [each for each in records if each.has_run or has_returned]
    return Revision(
        tuple(Recorded(each.due_at, each.last_due_at) for each in kept),
        {each.id: _shorten(each, cron, cursor, now) for each in records if each not in kept},
        tuple(each.id for each in kept if each.has_run),
    )


def _shorten(record: OccurrenceRecord, cron: Cron, cursor: datetime, now: datetime) -> Shortened | None:
    """What is left of a row without its times in (cursor, now]: those up to the cursor, or else those after `now`.

    A row of another schedule stays as it is if it began before the cursor, and otherwise disappears.
    """
    first, last = record.due_at, record.last_due_at
    if not matches(record, cron):
        return Shortened(record.id, first, last, record.instants) if first <= cursor else None
    start, end = (first - TICK, cursor) if first <= cursor else (now, last)
    instants = cron.count(start, end) if start < end else 0
    new_first, new_last = cron.next(start), cron.previous(end)
    if not instants or new_first is None or new_last is None:
        return None
    return Shortened(record.id, new_first, new_last, instants)


def _oldest_to_run(catch_up: CatchUp, now: datetime) -> datetime:
    """Scheduled times up to this one no longer run."""
    if catch_up.newest == 0:
        return now - ON_TIME - timedelta.resolution
    return datetime.min.replace(tzinfo=now.tzinfo) if catch_up.within is None else now - catch_up.within


def _why_not_run(catch_up: CatchUp, jumped: bool) -> Reason:
    if jumped:
        return Reason.CLOCK_JUMP
    if catch_up.newest == 0:
        return Reason.NOT_LEADING
    return Reason.SUPERSEDED if catch_up.newest == 1 else Reason.CATCH_UP_LIMIT


def _started(schedule: Schedule, spec: str, due_at: datetime, before: int) -> Occurrence:
    """A scheduled time with a run, or skipped because of an open run of the job, or because there is nothing to do.
    `before` is the number of earlier times that are planned with it.

    A caught-up run does not block: a time that is due now must not wait for one that was due long ago. Neither does the
    only run that waits for a free slot: many jobs may be due at once, and what they wait for is not the job.
    """
    job = schedule.job
    shift = int(job.shift.total_seconds())
    due = Occurrence(job.name, spec, due_at, due_at, 1, OccurrenceState.DUE, shift_seconds=shift)
    is_empty = schedule.checked is not None and schedule.checked.is_empty
    nothing = Occurrence(job.name, spec, due_at, due_at, 1, OccurrenceState.SKIPPED, Reason.NOTHING_TO_DO)
    if job.overlap is Overlap.REPLACE:
        if is_empty:
            return nothing
        ended = tuple(each.run for each in schedule.open)
        return replace(due, replaces=ended)
    blocking = [each for each in schedule.open if not each.caught_up]
    if job.overlap is Overlap.QUEUE:
        blocking = [each for each in blocking if each.queued]
    elif job.overlap is Overlap.QUEUE_ALL:
        waiting = [each for each in schedule.open if each.queued]
        blocking = waiting[-1:] if len(waiting) + before >= MOST_QUEUED else []
    if len(schedule.open) == 1 and schedule.open[0].for_a_slot:
        blocking = []
    if not blocking:
        return nothing if is_empty else due
    reason = Reason.CAPACITY if blocking[0].for_a_slot else Reason.OVERLAP
    state = OccurrenceState.SKIPPED
    return Occurrence(job.name, spec, due_at, due_at, 1, state, reason, blocked_by=blocking[0].run)


def _cut(since: datetime, until: datetime, paused: Sequence[Interval]) -> list[_Piece]:
    """(since, until] in pieces that are paused or not, oldest first."""
    before = timedelta.resolution  # a pause includes its first moment, a piece does not include its `since`
    pieces: list[_Piece] = []
    at = since
    for pause in sorted(paused, key=lambda interval: interval.since):
        first = max(at, pause.since - before)
        last = until if pause.until is None else min(until, pause.until - before)
        if first >= last:
            continue
        if at < first:
            pieces.append(_Piece(at, first, paused=False))
        if pieces and pieces[-1].paused and pieces[-1].until == first:
            first = pieces.pop().since
        pieces.append(_Piece(first, last, paused=True))
        at = last
    if at < until:
        pieces.append(_Piece(at, until, paused=False))
    return pieces


def _unrecorded(piece: _Piece, recorded: Iterable[Recorded]) -> Iterator[_Piece]:
    """The parts of a piece without the times that have a row."""
    since = piece.since
    for first, last in recorded:
        until = min(first - timedelta.resolution, piece.until)
        if since < until:
            yield piece._replace(since=since, until=until)
        since = max(since, min(last, piece.until))
    if since < piece.until:
        yield piece._replace(since=since)


def _unrun(job: str, spec: str, cron: Cron, piece: _Piece, reason: Reason) -> list[Occurrence]:
    """The scheduled times of a piece as one occurrence; empty if it has none."""
    first, last = cron.next(piece.since), cron.previous(piece.until)
    if first is None or last is None or first > piece.until:
        return []
    instants = cron.count(piece.since, piece.until)
    state = OccurrenceState.SKIPPED if reason is Reason.PAUSED else OccurrenceState.MISSED
    return [Occurrence(job, spec, first, last, instants, state, reason)]
