"""What is known of each window of a job's data; it outlives the runs that it is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from opsconsole.authoring.run import OPEN, Run
from opsconsole.calendar.windows import Window
from opsconsole.core.database import Connection, inserting
from opsconsole.rules.backfill import WindowRecord, WindowState
from opsconsole.store.tables import runs, windows


def ended(db: Connection, run: Run, result: WindowState, *, whole: bool, seconds: float) -> None:
    """A run about a window has ended. What was out of date is worked out anew, and is nothing until then when it went
    well.
    """
    said = {
        "start": run.window.start,
        "end": run.window.end,
        "run_id": run.id,
        "result": result,
        "whole": whole,
        "items": run.counts.planned,
        "seconds": seconds,
    }
    if result is WindowState.FRESH:
        said |= {"stale": None, "looked_at": None}
    _put(db, run.job, run.window.label, said)


def looked(db: Connection, job: str, window: Window, stale: int, at: datetime) -> None:
    """So many items of a window are out of date, whether a run was about it or not."""
    row = {"start": window.start, "end": window.end, "stale": stale, "looked_at": at}
    nothing = {"result": WindowState.MISSING, "whole": True, "items": 0}
    adding = inserting(db, windows).values(job=job, label=window.label, **row, **nothing)
    db.execute(adding.on_conflict_do_update(index_elements=["job", "label"], set_={"stale": stale, "looked_at": at}))


def oldest_look(db: Connection, jobs: Sequence[str], before: datetime) -> tuple[str, Window] | None:
    """Of the windows of these jobs that a run was about, the one whose last look is longest ago, if that is before
    `before`; the newest of those that were never looked at first.
    """
    c = windows.c
    due = c.job.in_(jobs) & c.run_id.is_not(None) & (c.looked_at.is_(None) | (c.looked_at < before))
    query = select(windows).where(due).order_by(c.looked_at.nulls_first(), c.start.desc()).limit(1)
    row = db.execute(query).one_or_none()
    return None if row is None else (row.job, Window(row.start, row.end, row.label))


def known(db: Connection, job: str, since: datetime, until: datetime) -> dict[str, WindowRecord]:
    """What is known of the job's windows that begin in [since, until), by label."""
    c = windows.c
    found = db.execute(select(windows).where(c.job == job, c.start >= since, c.start < until))
    return {
        row.label: WindowRecord(
            row.run_id, WindowState(row.result), row.whole, row.items, row.seconds, row.stale, row.looked_at
        )
        for row in found
    }


def open_runs(db: Connection, job: str) -> dict[str, int]:
    """The runs of a job that have not ended, by their window's label."""
    query = select(runs.c.window_label, runs.c.id).where(runs.c.job == job, runs.c.state.in_(OPEN))
    return dict(db.execute(query.order_by(runs.c.id.desc())).all())


def _put(db: Connection, job: str, label: str, said: dict[str, object]) -> None:
    adding = inserting(db, windows).values(job=job, label=label, **said)
    db.execute(adding.on_conflict_do_update(index_elements=["job", "label"], set_=said))
