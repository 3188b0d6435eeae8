"""The last known state of each window of a job's data. Rows outlive the runs they were derived from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, text, update

from opsconsole.authoring.run import OPEN
from opsconsole.calendar.windows import Window
from opsconsole.core.database import Connection, inserting
from opsconsole.rules.backfill import WindowRecord, WindowState
from opsconsole.store.rows import NEVER, Stored, read
from opsconsole.store.tables import NOT_FRESH_SQL, runs, windows

LONGEST_WINDOW = timedelta(days=32)
FEW_JOBS = 50
"""For more jobs, the windows of all jobs are read: few of them are not fresh."""


@dataclass(frozen=True, slots=True)
class WindowEnd:
    """The result of a window's newest run, which processed `items` in `seconds`."""

    job: str
    window: Window
    run: int
    result: WindowState
    complete: bool
    items: int
    seconds: float


def record_ends(db: Connection, ends: Sequence[WindowEnd]) -> None:
    """Writes the results. After a success, stale items are unknown until the next check."""
    for is_fresh, values in ((False, _RESULT), (True, (*_RESULT, "stale", "checked_at"))):
        rows = [_row_of(end, values) for end in ends if (end.result is WindowState.FRESH) is is_fresh]
        if rows:
            adding = inserting(db, windows)
            replaced = {name: adding.excluded[name] for name in values}
            db.execute(adding.on_conflict_do_update(index_elements=["job", "label"], set_=replaced), rows)


_RESULT = ("start", "end", "run_id", "result", "complete", "items", "seconds")


def _row_of(end: WindowEnd, values: Sequence[str]) -> dict[str, object]:
    row: dict[str, object] = {
        "start": end.window.start,
        "end": end.window.end,
        "run_id": end.run,
        "result": end.result,
        "complete": end.complete,
        "items": end.items,
        "seconds": end.seconds,
    }
    return {"job": end.job, "label": end.window.label, **{name: row.get(name) for name in values}}


def record_failed_check(db: Connection, job: str, label: str, at: datetime) -> None:
    """Writes that the stale items of a window could not be counted."""
    mine = (windows.c.job == job) & (windows.c.label == label)
    db.execute(update(windows).where(mine).values(stale=None, checked_at=at))


def record_check(db: Connection, job: str, window: Window, stale: int, at: datetime) -> None:
    """Writes how many items of a window are stale, whether it has had a run or not."""
    row = {"start": window.start, "end": window.end, "stale": stale, "checked_at": at}
    no_run = {"result": WindowState.MISSING, "complete": True, "items": 0}
    adding = inserting(db, windows).values(job=job, label=window.label, **row, **no_run)
    db.execute(adding.on_conflict_do_update(index_elements=["job", "label"], set_={"stale": stale, "checked_at": at}))


def set_back(db: Connection, now: datetime) -> None:
    """Checks windows again that were checked by a clock that was ahead, and takes back that they are complete if their
    run saw less time pass than it thought.
    """
    db.execute(update(windows).where(windows.c.checked_at > now).values(checked_at=None))
    ahead = (runs.c.created_at > now, runs.c.as_of > now)  # a run is never created before its time, and has an index
    too_early = select(runs.c.id).where(runs.c.id == windows.c.run_id, *ahead)
    db.execute(update(windows).where(windows.c.complete, too_early.exists()).values(complete=False))


def next_to_check(db: Connection, jobs: Sequence[str], before: datetime) -> tuple[str, str] | None:
    """Of these jobs' windows that have had a run, the one with the oldest check, if before `before`: the job and
    the label. A window that was never checked comes first, the newest of them.
    """
    c = windows.c
    query = select(c.job, c.label).where(c.job.in_(jobs), c.run_id.is_not(None)).limit(1)
    for oldest in (
        query.where(c.checked_at.is_(None)).order_by(c.start.desc()),
        query.where(c.checked_at < before).order_by(c.checked_at, c.start.desc()),
    ):
        if (row := db.execute(oldest).one_or_none()) is not None:
            return row.job, row.label
    return None


def get(db: Connection, job: str, label: str) -> Window:
    """A window that has a record. Raises what an unreadable one raises."""
    c = windows.c
    row = db.execute(select(c.start, c.end).where(c.job == job, c.label == label)).one()
    return Window(row.start, row.end, label)


def records(db: Connection, job: str, since: datetime, until: datetime) -> dict[str, WindowRecord]:
    """The records of the job's windows that start in [since, until), by label."""
    c = windows.c
    rows = read(db, select(windows).where(c.job == job, c.start >= since, c.start < until), windows, _Row)
    return {row.label: _record(row) for row in rows}


def not_fresh(
    db: Connection, jobs: Collection[str], since: datetime, until: datetime
) -> dict[str, list[tuple[Window, WindowRecord]]]:
    """The windows of these jobs that end after `since` and start before `until`, and whose record is not of a complete
    success without stale items.
    """
    c = windows.c
    longest = since - LONGEST_WINDOW  # bounds what is read: the index is by start
    condition = (text(NOT_FRESH_SQL), c.start >= longest, c.start < until, c.end > since)
    query = select(windows).where(*condition)
    if len(jobs) <= FEW_JOBS:
        query = query.where(c.job.in_(jobs))
    found: dict[str, list[tuple[Window, WindowRecord]]] = {}
    for row in read(db, query, windows, _Row):
        if row.job in jobs:
            found.setdefault(row.job, []).append((Window(row.start, row.end, row.label), _record(row)))
    return found


def recorded(db: Connection, sought: Mapping[tuple[str, str], Window]) -> frozenset[tuple[str, str]]:
    """Which of these windows, by job and label, have a record."""
    c, starts = windows.c, [window.start for window in sought.values()]
    jobs = {job for job, _ in sought}
    query = select(c.job, c.label).where(c.job.in_(jobs), c.start >= min(starts), c.start <= max(starts))
    return frozenset((job, label) for job, label in db.execute(query)) & sought.keys()


def _record(row: _Row) -> WindowRecord:
    return WindowRecord(row.run_id, row.result, row.complete, row.items, row.seconds, row.stale, row.checked_at)


class _Row(Stored, frozen=True, kw_only=True):
    job: str
    label: str
    start: datetime = NEVER
    end: datetime = NEVER
    run_id: int | None = None
    result: WindowState = WindowState.FAILED
    complete: bool = False
    items: int = 0
    seconds: float | None = None
    stale: int | None = None
    checked_at: datetime | None = None


def open_runs(db: Connection, job: str) -> dict[str, int]:
    """The open runs of a job, by the label of their window."""
    query = select(runs.c.window_label, runs.c.id).where(runs.c.job == job, runs.c.state.in_(OPEN))
    return dict(db.execute(query.order_by(runs.c.id.desc())).all())
