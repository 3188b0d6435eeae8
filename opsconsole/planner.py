"""Decides what becomes of scheduled instants: a pure function of schedules, cursors and the time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from opsconsole.cron import Cron
from opsconsole.model import Job, Occurrence, OccurrenceState, Overlap, Reason

ON_TIME = timedelta(minutes=1)
"""A start within this time of its instant is not late."""


def plan(
    jobs: Iterable[tuple[Job, Cron]], cursors: Mapping[str, datetime], busy: Mapping[str, int], now: datetime
) -> list[Occurrence]:
    """What becomes of every instant after its job's cursor and up to `now`, in the order in which the runs start.

    `busy` names the open scheduled run of jobs that have one. Each instant is in exactly one of the occurrences.
    """
    found = [
        occurrence
        for job, cron in jobs
        if job.name in cursors
        for occurrence in _of(job, cron, cursors[job.name], busy.get(job.name), now)
    ]
    return sorted(found, key=lambda o: (o.due_at, -o.job.priority, o.job.name))


def _of(job: Job, cron: Cron, cursor: datetime, busy: int | None, now: datetime) -> Iterable[Occurrence]:
    kept: deque[datetime] = deque(maxlen=max(1, job.catch_up.newest))
    first, last_dropped, dropped = None, None, 0
    for instant in cron.between(cursor, now):
        if len(kept) == kept.maxlen:
            first = first or kept[0]
            last_dropped, dropped = kept[0], dropped + 1
        kept.append(instant)
    reason = Reason.SUPERSEDED if job.catch_up.newest == 1 else Reason.CATCH_UP_LIMIT
    if first is not None and last_dropped is not None:
        yield Occurrence(job, first, last_dropped, dropped, OccurrenceState.MISSED, reason)
    for instant in kept:
        late = now - instant > ON_TIME
        if late and job.catch_up.newest == 0:
            yield Occurrence(job, instant, instant, 1, OccurrenceState.MISSED, Reason.CATCH_UP_LIMIT)
        elif busy is not None and job.overlap is Overlap.SKIP:
            yield Occurrence(job, instant, instant, 1, OccurrenceState.SKIPPED, Reason.OVERLAP, busy)
        else:
            yield Occurrence(job, instant, instant, 1, OccurrenceState.LATE if late else OccurrenceState.RAN)
