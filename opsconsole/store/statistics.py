"""Statistics over past runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import func, literal_column, select

from opsconsole.authoring.run import RunState, Trigger
from opsconsole.core.database import Connection
from opsconsole.store.tables import runs

DAY = timedelta(days=1)
SPANS = {"day": DAY, "week": 7 * DAY, "month": 30 * DAY}
SETTLED = timedelta(hours=1)
"""How long after midnight the day before may still gain runs, whose records waited for the store."""

# Not the column: SQLite would rather read all runs in the order of an index that begins with it.
_JOB = func.coalesce(runs.c.job, literal_column("''")).label("of_job")


@dataclass(frozen=True, slots=True)
class Rates:
    """The success rate, ok / (ok + failed), over the last 24 hours, 7 and 30 days; None without items."""

    day: float | None
    week: float | None
    month: float | None


@dataclass(frozen=True, slots=True)
class Totals:
    """The items of the runs that ended in some time, by job. A job with runs without items has 0."""

    ok: Counter[str]
    failed: Counter[str]

    def __add__(self, other: Totals) -> Totals:
        sums = Counter[str](), Counter[str]()
        for both, parts in zip(sums, ((self.ok, other.ok), (self.failed, other.failed)), strict=True):
            for part in parts:
                both.update(part)  # unlike `+`, keeps the zeros
        return Totals(*sums)

    def rate(self, job: str) -> float | None:
        """The success rate of a job."""
        ok, failed = self.ok[job], self.failed[job]
        return ok / (ok + failed) if ok + failed else None


@dataclass(frozen=True, slots=True)
class PastDays:
    """The totals of whole days in UTC before `today`, which no longer change."""

    today: date
    days: Mapping[date, Totals]


def rates(db: Connection, now: datetime, kept: PastDays | None = None) -> tuple[dict[str, Rates], PastDays]:
    """The success rates of every job that ran in the last 30 days, and what to pass as `kept` the next time: then only
    the runs of today, and of the days in which a span begins, are read.
    """
    today = (now - SETTLED).astimezone(UTC).date()
    starts = {name: (now - span).astimezone(UTC) for name, span in SPANS.items()}
    if kept is None or kept.today != today:
        first = starts["month"].date() + DAY
        whole = [first + n * DAY for n in range((today - first).days)]
        kept = PastDays(today, {day: _totals(db, _midnight(day), _midnight(day + DAY)) for day in whole})
    since_today = _totals(db, _midnight(today))
    sums = {name: _since(db, start, kept, since_today) for name, start in starts.items()}
    return {job: Rates(**{name: totals.rate(job) for name, totals in sums.items()}) for job in sums["month"].ok}, kept


def last_good(
    db: Connection, least_rates: Mapping[str, float], *, manual: Collection[str] = (), now: datetime | None = None
) -> dict[str, datetime]:
    """When each of these jobs last had a good run: one that succeeded, or whose success rate was not below the job's.
    One that ended later than `now`, by a clock that was ahead, proves nothing yet.

    Only scheduled runs and retries count, and for `manual` jobs those that operators started.
    """
    found = {}
    for job, least in least_rates.items():
        triggers = (Trigger.SCHEDULE, Trigger.RETRY, *([Trigger.HAND] if job in manual else []))
        if (at := _last_good(db, job, least, triggers, now)) is not None:
            found[job] = at
    return found


def _last_good(
    db: Connection, job: str, least: float, triggers: Collection[Trigger], now: datetime | None
) -> datetime | None:
    c = runs.c
    ended = select(c.ended_at).where(c.job == job, c.trigger.in_(triggers), c.ended_at.is_not(None))
    if now is not None:
        ended = ended.where(c.ended_at <= now)
    newest = ended.order_by(c.ended_at.desc()).limit(1)
    succeeded: datetime | None = db.execute(newest.where(c.state == RunState.SUCCEEDED)).scalar()
    partly = newest.where(c.state == RunState.PARTIAL, c.ok >= (c.ok + c.failed) * least)
    if succeeded is not None:
        partly = partly.where(c.ended_at > succeeded)
    return db.execute(partly).scalar() or succeeded


def _since(db: Connection, start: datetime, past: PastDays, since_today: Totals) -> Totals:
    """The totals of what ended at `start` or later."""
    if start.date() >= past.today:
        return _totals(db, start)
    next_day = start.date() + DAY
    total = _totals(db, start, _midnight(next_day)) + since_today
    for day, totals in past.days.items():
        if day >= next_day:
            total += totals
    return total


def _totals(db: Connection, start: datetime, end: datetime | None = None) -> Totals:
    query = select(_JOB, func.sum(runs.c.ok), func.sum(runs.c.failed)).where(runs.c.ended_at >= start).group_by(_JOB)
    if end is not None:
        query = query.where(runs.c.ended_at < end)
    rows = db.execute(query).all()
    return Totals(Counter({job: int(ok) for job, ok, _ in rows}), Counter({job: int(n) for job, _, n in rows}))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
