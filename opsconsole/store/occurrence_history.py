"""What became of scheduled instants, read back: rows, sums of them, and what stands around one instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select

from opsconsole.authoring.occurrence import OccurrenceRecord, OccurrenceState, Reason
from opsconsole.core.database import Connection
from opsconsole.store.tables import occurrences, runs

RAN_ITSELF = (OccurrenceState.DUE, OccurrenceState.RAN, OccurrenceState.LATE)


class OccurrenceFilter(msgspec.Struct, frozen=True):
    """Which instants are meant: those of a job, in one of these states, in [since, until)."""

    job: str | None = None
    states: tuple[OccurrenceState, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class OccurrenceCount:
    """How many instants of a job came to the same."""

    job: str
    state: OccurrenceState
    reason: Reason | None
    instants: int


def newest(db: Connection, wanted: OccurrenceFilter, *, limit: int) -> list[OccurrenceRecord]:
    """The newest rows with an instant that is meant, newest first."""
    query = _rows().where(*_touching(wanted)).order_by(occurrences.c.due_at.desc(), occurrences.c.id.desc())
    return [_value(row) for row in db.execute(query.limit(limit))]


def sums(db: Connection, wanted: OccurrenceFilter) -> list[OccurrenceCount]:
    """The instants of the rows that lie wholly in the stretch, by job and by what they came to."""
    by = (occurrences.c.job, occurrences.c.state, occurrences.c.reason)
    query = (
        select(*by, func.sum(occurrences.c.instants))
        .where(*_touching(wanted), ~_straddling(wanted))
        .group_by(*by)
        .order_by(*by)
    )
    return [
        OccurrenceCount(job, OccurrenceState(state), _reason(reason), int(instants))
        for job, state, reason, instants in db.execute(query)
    ]


def straddling(db: Connection, wanted: OccurrenceFilter) -> list[OccurrenceRecord]:
    """The rows that lie partly in the stretch: at most two a job."""
    query = _rows().where(*_touching(wanted), _straddling(wanted)).order_by(occurrences.c.job, occurrences.c.due_at)
    return [_value(row) for row in db.execute(query)]


def covering(db: Connection, job: str, at: datetime) -> OccurrenceRecord | None:
    """The row that a moment lies in: that of the instant itself, or of a stretch."""
    mine = (occurrences.c.job == job, occurrences.c.due_at <= at, occurrences.c.last_due_at >= at)
    return _first(db, _rows().where(*mine).order_by(occurrences.c.due_at.desc()))


def before(db: Connection, job: str, at: datetime) -> OccurrenceRecord | None:
    """The last row that ends before a moment."""
    mine = (occurrences.c.job == job, occurrences.c.last_due_at < at)
    return _first(db, _rows().where(*mine).order_by(occurrences.c.last_due_at.desc()))


def next_run(db: Connection, job: str, after: datetime) -> OccurrenceRecord | None:
    """The first row of a later instant that has a run of its own."""
    mine = (occurrences.c.job == job, occurrences.c.due_at > after, occurrences.c.state.in_(RAN_ITSELF))
    return _first(db, _rows().where(*mine).order_by(occurrences.c.due_at))


def host_of(db: Connection, job: str, token: int) -> str | None:
    """Where the leader with that token was, if it carried out a run of the job."""
    return db.execute(select(func.max(runs.c.host)).where(runs.c.job == job, runs.c.token == token)).scalar()


def _rows() -> Select[Any]:
    return select(occurrences, runs.c.id.label("run")).outerjoin(runs, runs.c.occurrence_id == occurrences.c.id)


def _touching(wanted: OccurrenceFilter) -> Sequence[ColumnElement[bool]]:
    found = []
    if wanted.job is not None:
        found.append(occurrences.c.job == wanted.job)
    if wanted.states:
        found.append(occurrences.c.state.in_(wanted.states))
    if wanted.since is not None:
        found.append(occurrences.c.last_due_at >= wanted.since)
    if wanted.until is not None:
        found.append(occurrences.c.due_at < wanted.until)
    return found


def _straddling(wanted: OccurrenceFilter) -> ColumnElement[bool]:
    sides = [
        and_(occurrences.c.due_at < side, occurrences.c.last_due_at >= side)
        for side in (wanted.since, wanted.until)
        if side is not None
    ]
    return or_(occurrences.c.id.is_(None), *sides)


def _first(db: Connection, query: Select[Any]) -> OccurrenceRecord | None:
    row = db.execute(query.limit(1)).one_or_none()
    return None if row is None else _value(row)


def _value(row: Row[Any]) -> OccurrenceRecord:
    return OccurrenceRecord(
        id=row.id,
        job=row.job,
        due_at=row.due_at,
        last_due_at=row.last_due_at,
        instants=row.instants,
        state=OccurrenceState(row.state),
        reason=_reason(row.reason),
        blocked_by=row.blocked_by,
        spec=row.spec,
        token=row.token,
        recorded_at=row.recorded_at,
        started_at=row.started_at,
        run=row.run,
    )


def _reason(text: str | None) -> Reason | None:
    return None if text is None else Reason(text)
