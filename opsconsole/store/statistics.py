"""Statistics over past runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, false, func, or_, select

from opsconsole.authoring.run import TERMINAL, Run, RunState, Trigger
from opsconsole.core.database import Connection
from opsconsole.store import runs as run_store
from opsconsole.store.tables import runs

SPANS = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}


@dataclass(frozen=True, slots=True)
class Rates:
    """The success rate, ok / (ok + failed), over the last 24 hours, 7 and 30 days; None without items."""

    day: float | None
    week: float | None
    month: float | None


def rates(db: Connection, now: datetime) -> dict[str, Rates]:
    """The success rates of every job that ran in the last 30 days."""
    sums = [
        func.sum(case((runs.c.ended_at >= now - span, column), else_=0))
        for span in SPANS.values()
        for column in (runs.c.ok, runs.c.failed)
    ]
    query = select(runs.c.job, *sums).where(runs.c.ended_at >= now - SPANS["month"]).group_by(runs.c.job)
    return {
        job: Rates(*(_rate(int(ok), int(failed)) for ok, failed in zip(counts[::2], counts[1::2], strict=True)))
        for job, *counts in db.execute(query)
    }


def newest_of_each(db: Connection, jobs: list[str], *, each: int) -> dict[str, list[Run]]:
    """The newest ended runs of every job, newest first."""
    return {job: run_store.newest(db, limit=each, job=job, states=TERMINAL) for job in jobs}


def last_good(
    db: Connection, least_rates: Mapping[str, float], *, manual: Collection[str] = (), now: datetime | None = None
) -> dict[str, datetime]:
    """When each of these jobs last had a good run: one that succeeded, or whose success rate was not below the job's.
    One that ended later than `now`, by a clock that was ahead, proves nothing yet.

    Only scheduled runs and retries count, and for `manual` jobs those that operators started.
    """
    tried = runs.c.ok + runs.c.failed
    partly = (runs.c.state == RunState.PARTIAL) & or_(
        false(), *((runs.c.job == job) & (runs.c.ok >= tried * least) for job, least in least_rates.items())
    )
    counted = runs.c.trigger.in_((Trigger.SCHEDULE, Trigger.RETRY))
    by_hand = (runs.c.trigger == Trigger.HAND) & runs.c.job.in_(manual)
    query = select(runs.c.job, func.max(runs.c.ended_at)).where(
        runs.c.job.in_(least_rates),
        counted | by_hand,
        or_(runs.c.state == RunState.SUCCEEDED, partly),
    )
    if now is not None:
        query = query.where(runs.c.ended_at <= now)
    return dict(db.execute(query.group_by(runs.c.job)).all())


def _rate(ok: int, failed: int) -> float | None:
    return ok / (ok + failed) if ok + failed else None
