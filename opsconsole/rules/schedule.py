"""The planner: decides the outcome of scheduled times from schedules, cursors, pauses and the time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from opsconsole.authoring.job import CatchUp, Job, Overlap
from opsconsole.authoring.occurrence import ON_TIME, Occurrence, OccurrenceState, Reason
from opsconsole.calendar.cron import Cron


class Interval(NamedTuple):
    """The range of time [since, until); `until` is None for an open end."""

    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A scheduled run that has not ended. `caught_up` if it was planned long after its scheduled time, `for_a_slot` if
    it waits for a free slot.
    """

    run: int
    queued: bool = False
    caught_up: bool = False
    for_a_slot: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """The planner's input for a job: up to when its scheduled times are recorded (`cursor`), when it is paused (in any
    order), and its open scheduled runs.
    """

    job: Job
    cron: Cron
    cursor: datetime
    paused: tuple[Interval, ...] = ()
    open: tuple[OpenRun, ...] = ()


def plan(schedules: Iterable[Schedule], now: datetime, *, jumped: bool = False) -> list[Occurrence]:
    """The outcome of all scheduled times after their job's cursor and up to `now`, in the order the runs start in.

    Each scheduled time is in exactly one occurrence. If the clock was set forward since the last plan (`jumped`), that
    is the reason for times that do not run.
    """
    priorities: dict[str, int] = {}
    found: list[Occurrence] = []
    for schedule in schedules:
        priorities[schedule.job.name] = schedule.job.priority
        found += _of(schedule, now, jumped)
    return sorted(found, key=lambda o: (o.due_at, -priorities[o.job], o.job))


def record_unrun(
    job: str, spec: str, cron: Cron, since: datetime, until: datetime, paused: Sequence[Interval], reason: Reason
) -> list[Occurrence]:
    """Records all scheduled times later than `since` and not later than `until` without running them."""
    return [
        occurrence
        for piece in _cut(since, until, paused)
        for occurrence in _unrun(job, spec, cron, piece, Reason.PAUSED if piece.paused else reason)
    ]


class _Piece(NamedTuple):
    """The range of time (since, until]."""

    since: datetime
    until: datetime
    paused: bool


def _of(schedule: Schedule, now: datetime, jumped: bool) -> list[Occurrence]:
    job, cron = schedule.job, schedule.cron
    keep = max(1, job.catch_up.newest)
    oldest = _oldest_to_run(job.catch_up, now)
    reason = _why_not_run(job.catch_up, jumped)
    found: list[Occurrence] = []
    # From the newest back, because the newest ones run.
    for piece in reversed(_cut(schedule.cursor, now, schedule.paused)):
        if piece.paused:
            found = _unrun(job.name, job.spec, cron, piece, Reason.PAUSED) + found
            continue
        kept = cron.newest(max(piece.since, min(oldest, piece.until)), piece.until, keep) if keep else []
        keep -= len(kept)
        dropped = piece._replace(until=kept[0] - timedelta.resolution if kept else piece.until)
        runs = [_started(schedule, due_at) for due_at in kept]
        found = _unrun(job.name, job.spec, cron, dropped, reason) + runs + found
    return found


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


def _started(schedule: Schedule, due_at: datetime) -> Occurrence:
    """A scheduled time with a run, or skipped because of an open run of the job.

    A caught-up run does not block: a time that is due now must not wait for one that was due long ago.
    """
    job = schedule.job
    due = Occurrence(job.name, job.spec, due_at, due_at, 1, OccurrenceState.DUE)
    if job.overlap is Overlap.REPLACE:
        ended = tuple(each.run for each in schedule.open)
        return Occurrence(job.name, job.spec, due_at, due_at, 1, OccurrenceState.DUE, replaces=ended)
    blocking = [each for each in schedule.open if not each.caught_up]
    if job.overlap is Overlap.QUEUE:
        blocking = [each for each in blocking if each.queued]
    if not blocking:
        return due
    reason = Reason.CAPACITY if blocking[0].for_a_slot else Reason.OVERLAP
    state = OccurrenceState.SKIPPED
    return Occurrence(job.name, job.spec, due_at, due_at, 1, state, reason, blocked_by=blocking[0].run)


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


def _unrun(job: str, spec: str, cron: Cron, piece: _Piece, reason: Reason) -> list[Occurrence]:
    """The scheduled times of a piece as one occurrence; empty if it has none."""
    instants = cron.count(piece.since, piece.until) if piece.since < piece.until else 0
    if not instants:
        return []
    first, last = cron.next(piece.since), cron.previous(piece.until)
    assert first is not None  # noqa: S101 - there is at least one
    assert last is not None  # noqa: S101
    state = OccurrenceState.SKIPPED if reason is Reason.PAUSED else OccurrenceState.MISSED
    return [Occurrence(job, spec, first, last, instants, state, reason)]
