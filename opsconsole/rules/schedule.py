"""Decides what becomes of scheduled instants: a pure function of schedules, cursors, pauses and the time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from opsconsole.authoring.job import CatchUp, Job, Overlap
from opsconsole.authoring.occurrence import ON_TIME, Occurrence, OccurrenceState, Reason
from opsconsole.calendar.cron import Cron


class Stretch(NamedTuple):
    """Time from `since` until before `until`; open when that is None."""

    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Open:
    """A run of a job's schedule that has not ended. `caught_up` when its instant was over long before it was planned;
    `for_a_slot` when it waits because too much else goes on.
    """

    run: int
    queued: bool = False
    caught_up: bool = False
    for_a_slot: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the planner knows of a job: up to where its instants are accounted for, when it is paused (in any order),
    and which runs of its schedule are open.
    """

    job: Job
    cron: Cron
    cursor: datetime
    paused: tuple[Stretch, ...] = ()
    open: tuple[Open, ...] = ()


def plan(schedules: Iterable[Schedule], now: datetime, *, jumped: bool = False) -> list[Occurrence]:
    """What becomes of every instant after its job's cursor and up to `now`, in the order in which the runs start.

    Each instant is in exactly one of the occurrences, however many there are. `jumped` says that the clock was set
    forward since the last plan: what is not run is then missed for that reason.
    """
    priorities: dict[str, int] = {}
    found: list[Occurrence] = []
    for schedule in schedules:
        priorities[schedule.job.name] = schedule.job.priority
        found += _of(schedule, now, jumped)
    return sorted(found, key=lambda o: (o.due_at, -priorities[o.job], o.job))


def unrun(
    job: str, spec: str, cron: Cron, since: datetime, until: datetime, paused: Sequence[Stretch], reason: Reason
) -> list[Occurrence]:
    """Accounts for every instant later than `since` and not later than `until` without running one of them."""
    return [
        occurrence
        for stretch in _cut(since, until, paused)
        for occurrence in _stretch(job, spec, cron, stretch, Reason.PAUSED if stretch.paused else reason)
    ]


class _Piece(NamedTuple):
    """Time later than `since` and not later than `until`."""

    since: datetime
    until: datetime
    paused: bool


def _of(schedule: Schedule, now: datetime, jumped: bool) -> list[Occurrence]:
    job, cron = schedule.job, schedule.cron
    keep = max(1, job.catch_up.newest)
    oldest = _oldest_to_run(job.catch_up, now)
    reason = _why_not_run(job.catch_up, jumped)
    found: list[Occurrence] = []
    # From the newest back, as the newest are the ones that are run.
    for piece in reversed(_cut(schedule.cursor, now, schedule.paused)):
        if piece.paused:
            found = _stretch(job.name, job.spec, cron, piece, Reason.PAUSED) + found
            continue
        kept = cron.newest(max(piece.since, min(oldest, piece.until)), piece.until, keep) if keep else []
        keep -= len(kept)
        dropped = piece._replace(until=kept[0] - timedelta.resolution if kept else piece.until)
        runs = [_started(schedule, instant) for instant in kept]
        found = _stretch(job.name, job.spec, cron, dropped, reason) + runs + found
    return found


def _oldest_to_run(catch_up: CatchUp, now: datetime) -> datetime:
    """Instants up to this one are not run any more."""
    if catch_up.newest == 0:
        return now - ON_TIME - timedelta.resolution
    return datetime.min.replace(tzinfo=now.tzinfo) if catch_up.within is None else now - catch_up.within


def _why_not_run(catch_up: CatchUp, jumped: bool) -> Reason:
    if jumped:
        return Reason.CLOCK_JUMP
    if catch_up.newest == 0:
        return Reason.NOT_LEADING
    return Reason.SUPERSEDED if catch_up.newest == 1 else Reason.CATCH_UP_LIMIT


def _started(schedule: Schedule, instant: datetime) -> Occurrence:
    """The instant with a run of its own, or skipped for the sake of one of the job's that is open.

    An open run that was caught up blocks nobody: what is due now is not to starve behind what was due long ago.
    """
    job = schedule.job
    due = Occurrence(job.name, job.spec, instant, instant, 1, OccurrenceState.DUE)
    if job.overlap is Overlap.REPLACE:
        ended = tuple(each.run for each in schedule.open)
        return Occurrence(job.name, job.spec, instant, instant, 1, OccurrenceState.DUE, replaces=ended)
    blocking = [each for each in schedule.open if not each.caught_up]
    if job.overlap is Overlap.QUEUE:
        blocking = [each for each in blocking if each.queued]
    if not blocking:
        return due
    reason = Reason.CAPACITY if blocking[0].for_a_slot else Reason.OVERLAP
    state = OccurrenceState.SKIPPED
    return Occurrence(job.name, job.spec, instant, instant, 1, state, reason, blocked_by=blocking[0].run)


def _cut(since: datetime, until: datetime, paused: Sequence[Stretch]) -> list[_Piece]:
    """(since, until] in pieces that are paused or not, oldest first."""
    before = timedelta.resolution  # a pause holds from its first moment, and a piece begins after its `since`
    pieces: list[_Piece] = []
    at = since
    for pause in sorted(paused, key=lambda stretch: stretch.since):
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


def _stretch(job: str, spec: str, cron: Cron, piece: _Piece, reason: Reason) -> list[Occurrence]:
    """The instants of a piece as one occurrence, or as none when there are none."""
    instants = cron.count(piece.since, piece.until) if piece.since < piece.until else 0
    if not instants:
        return []
    first, last = cron.next(piece.since), cron.previous(piece.until)
    assert first is not None  # noqa: S101 - there is at least one
    assert last is not None  # noqa: S101
    state = OccurrenceState.SKIPPED if reason is Reason.PAUSED else OccurrenceState.MISSED
    return [Occurrence(job, spec, first, last, instants, state, reason)]
