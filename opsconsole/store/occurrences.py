"""Occurrences: what happened at each scheduled time of a job. A row covers one time, or a range of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import (
    Select,
    bindparam,
    delete,
    func,
    select,
    update,
)

from opsconsole.authoring.occurrence import (
    RUN_STATES,
    Occurrence,
    OccurrenceRecord,
    OccurrenceState,
    Reason,
)
from opsconsole.core.database import Connection
from opsconsole.rules.schedule import Shortened
from opsconsole.store import job_names
from opsconsole.store.many_rows import insert_numbered
from opsconsole.store.rows import NEVER, NO_VALUES, Stored, read, without_note
from opsconsole.store.tables import jobs, occurrences, runs

NEAR = 100
"""How many runs before and after a row are searched for the host of its leader."""


def record(db: Connection, occurrence: Occurrence, *, token: int, at: datetime) -> int:
    """Writes a row and returns its number."""
    return record_all(db, [occurrence], token=token, at=at)[0]


def record_all(db: Connection, planned: Sequence[Occurrence], *, token: int, at: datetime) -> list[int]:
    """Writes rows and returns their numbers, in the same order."""
    rows = [
        {
            "job": occurrence.job,
            "due_at": occurrence.due_at,
            "last_due_at": occurrence.last_due_at,
            "instants": occurrence.instants,
            "state": occurrence.state,
            "reason": occurrence.reason,
            "blocked_by": occurrence.blocked_by,
            "spec": occurrence.spec,
            "shift_seconds": occurrence.shift_seconds,
            "token": token,
            "recorded_at": at,
        }
        for occurrence in planned
    ]
    return insert_numbered(db, occurrences, rows)


def record_nothing_to_do(
    db: Connection, occurrence: Occurrence, before: datetime | None, *, token: int, at: datetime
) -> None:
    """Writes a scheduled time without items. It joins the row of the scheduled time `before` if that has none either,
    of the same day and leader, so that a job that is due every minute has few rows.
    """
    o, due_at = occurrences.c, occurrence.due_at
    if before is not None and before.date() == due_at.date():
        last = select(func.max(o.due_at)).where(o.job == occurrence.job, o.due_at < due_at).scalar_subquery()
        same = (o.state == occurrence.state, o.reason == occurrence.reason, o.spec == occurrence.spec, o.token == token)
        mine = (o.job == occurrence.job, o.due_at == last, o.last_due_at == before, *same)
        longer = {"last_due_at": due_at, "instants": o.instants + 1, "recorded_at": at}
        if db.execute(update(occurrences).where(*mine).values(longer)).rowcount:
            return
    record(db, occurrence, token=token, at=at)


def last_empty(db: Connection, since: Mapping[str, datetime]) -> dict[str, datetime]:
    """The last scheduled time of each of these jobs, not earlier than its `since`, that had nothing to do."""
    if not since:
        return {}
    dialect, earliest = db.dialect.name, min(since.values()) - timedelta(days=1)
    o, of = occurrences.c, job_names.names(dialect)
    mine = (o.job == of.c.job, o.due_at >= earliest, o.reason == Reason.NOTHING_TO_DO)
    last = select(o.last_due_at).where(*mine).order_by(o.due_at.desc()).limit(1).scalar_subquery()
    rows = db.execute(select(of.c.job, last), job_names.values(dialect, since)).all()
    return {job: at for job, at in rows if at is not None and at >= since[job]}


def record_start(db: Connection, number: int, at: datetime, *, on_time: timedelta) -> None:
    """Marks a due occurrence as ran or late, when its run starts or ends without starting. Late counts from when the
    run was to start: with jitter, that is after the scheduled time.
    """
    mine = (occurrences.c.id == number) & (occurrences.c.state == OccurrenceState.DUE)
    for due in read(
        db, select(occurrences.c.id, occurrences.c.due_at, occurrences.c.shift_seconds).where(mine), occurrences, _Due
    ):
        state = (
            OccurrenceState.LATE
            if at - due.due_at - timedelta(seconds=due.shift_seconds) > on_time
            else OccurrenceState.RAN
        )
        db.execute(update(occurrences).where(mine).values(state=state, started_at=at))


def delays(db: Connection, numbers: Sequence[int]) -> Iterator[tuple[int, timedelta]]:
    """How long after the times that they were due, jitter included, the runs of these occurrences started; those that
    did not are left out.
    """
    o, left = occurrences.c, iter(numbers)
    while page := list(islice(left, 500)):
        started = (o.id.in_(page), o.started_at.is_not(None))
        query = select(o.id, o.due_at, o.shift_seconds, o.started_at).where(*started)
        for number, due_at, shift_seconds, started_at in db.execute(query):
            yield number, started_at - due_at - timedelta(seconds=shift_seconds)


def beyond_cursors(db: Connection) -> dict[str, datetime]:
    """The last recorded time of each job that has rows later than its cursor: the clock was set back since."""
    of_job = select(occurrences.c.last_due_at).where(occurrences.c.job == jobs.c.job)
    last = of_job.order_by(occurrences.c.due_at.desc()).limit(1).scalar_subquery().label("last")
    found = read(db, select(jobs.c.job, jobs.c.planned_until, last), jobs, _Cursor)
    return {row.job: row.last for row in found if row.last is not None and row.last > row.planned_until}


def ran_ahead(db: Connection, now: datetime) -> dict[str, tuple[datetime, ...]]:
    """The scheduled times later than `now` that ran already, of each job that has any: the clock was set back since."""
    found: dict[str, tuple[datetime, ...]] = {}
    for row in read(db, _RAN_AFTER, occurrences, _Due, {"now": now}):
        if row.due_at > now:
            found[row.job] = (*found.get(row.job, ()), row.due_at)
    return found


_NOW = bindparam("now", type_=occurrences.c.due_at.type)
_RAN_AFTER = (
    select(occurrences.c.id, occurrences.c.job, occurrences.c.due_at)
    .where(
        occurrences.c.state.in_(RUN_STATES),
        occurrences.c.last_due_at > _NOW,
        occurrences.c.due_at > _NOW,
        occurrences.c.job.in_(select(jobs.c.job)),
    )
    .order_by(occurrences.c.due_at)
)


def between(db: Connection, job: str, after: datetime, until: datetime) -> list[OccurrenceRecord]:
    """The rows with times in (after, until], oldest first."""
    earlier = select(func.max(occurrences.c.due_at)).where(occurrences.c.job == job, occurrences.c.due_at <= after)
    begins = occurrences.c.due_at.between(func.coalesce(earlier.scalar_subquery(), after), until)
    mine = (occurrences.c.job == job, begins, occurrences.c.last_due_at > after)
    return read_records(db, with_runs().where(*mine).order_by(occurrences.c.due_at))


def shorten(db: Connection, number: int, left: Shortened | None) -> None:
    """Takes times away from a row without a run; with None, the whole row."""
    mine = occurrences.c.id == number
    if left is None:
        db.execute(delete(occurrences).where(mine))
    else:
        db.execute(update(occurrences).where(mine).values(left._asdict()))


def record_repetition(db: Connection, number: int) -> None:
    """Marks an occurrence that ran as one whose time came again after the clock was set back."""
    values = {"reason": Reason.CLOCK_SET_BACK}
    db.execute(update(occurrences).where(occurrences.c.id == number).values(values))


def covering(db: Connection, job: str, at: datetime) -> OccurrenceRecord | None:
    """The row that covers a moment."""
    found = _last_begun(db, job, at)
    return found if found is not None and found.last_due_at >= at else None


def before(db: Connection, job: str, at: datetime) -> OccurrenceRecord | None:
    """The last row before a moment that no row covers."""
    return _last_begun(db, job, at)


def next_run(db: Connection, job: str, after: datetime) -> OccurrenceRecord | None:
    """The first later row that has a run."""
    mine = (occurrences.c.job == job, occurrences.c.due_at > after, occurrences.c.state.in_(RUN_STATES))
    return _first(db, with_runs().where(*mine).order_by(occurrences.c.due_at))


def without_run(
    db: Connection, names: Collection[str], since: datetime, reasons: Collection[Reason]
) -> list[OccurrenceRecord]:
    """The rows of these jobs with times since `since` that did not run for one of these reasons, oldest first."""
    o = occurrences.c
    query = select(occurrences).where(
        o.state.in_((OccurrenceState.SKIPPED, OccurrenceState.MISSED)),
        o.last_due_at >= since,
        o.reason.in_(reasons),
        o.job.in_(select(jobs.c.job).where(jobs.c.job.in_(names))),
    )
    return read_records(db, query.order_by(o.due_at))


def newest_number(db: Connection) -> int:
    """The number of the last row; 0 without any."""
    return db.execute(select(func.max(occurrences.c.id))).scalar() or 0


def has_unrun(db: Connection, reasons: Collection[Reason], after: int) -> bool:
    """Whether a row with a number above `after` did not run for one of these reasons."""
    o = occurrences.c
    return db.execute(select(o.id).where(o.id > after, o.reason.in_(reasons)).limit(1)).scalar() is not None


def host_of(db: Connection, record: OccurrenceRecord) -> str | None:
    """The host of the leader that wrote a row, if it executed one of the job's runs about that time."""
    near = select(runs.c.host, runs.c.token).where(runs.c.job == record.job)
    earlier = near.where(runs.c.created_at <= record.recorded_at).order_by(runs.c.created_at.desc()).limit(NEAR)
    later = near.where(runs.c.created_at > record.recorded_at).order_by(runs.c.created_at).limit(NEAR)
    for query in (earlier, later):
        hosts: list[str] = [host for host, token in db.execute(query) if token == record.token and host is not None]
        if hosts:
            return max(hosts)
    return None


def _last_begun(db: Connection, job: str, at: datetime) -> OccurrenceRecord | None:
    """The row with the last scheduled time up to a moment: the rows of a job do not overlap."""
    mine = (occurrences.c.job == job, occurrences.c.due_at <= at)
    return _first(db, with_runs().where(*mine).order_by(occurrences.c.due_at.desc()))


def with_runs() -> Select[Any]:
    """Selects whole rows, each with the number of its run."""
    return select(occurrences, runs.c.id.label("run")).outerjoin(runs, runs.c.occurrence_id == occurrences.c.id)


def _first(db: Connection, query: Select[Any]) -> OccurrenceRecord | None:
    return next(iter(read_records(db, query.limit(1))), None)


class _Row(Stored, frozen=True, kw_only=True):
    id: int
    job: str = ""
    due_at: datetime = NEVER
    last_due_at: datetime = NEVER
    instants: int = 1
    state: OccurrenceState = OccurrenceState.MISSED
    reason: Reason | None = None
    blocked_by: int | None = None
    spec: str = ""
    token: int = 0
    recorded_at: datetime = NEVER
    started_at: datetime | None = None
    shift_seconds: int = 0
    run: int | None = None


class _Due(Stored, frozen=True, kw_only=True):
    id: int
    job: str = ""
    due_at: datetime = NEVER
    shift_seconds: int = 0


class _Cursor(Stored, frozen=True, kw_only=True):
    job: str
    planned_until: datetime = NEVER
    last: datetime | None = None


def read_records(
    db: Connection, query: Select[Any], values: Mapping[str, object] = NO_VALUES
) -> list[OccurrenceRecord]:
    """The records of a query of `with_runs` with these `values` for its parameters."""
    return [OccurrenceRecord(**without_note(row)) for row in read(db, query, occurrences, _Row, values)]
