"""Lists of scheduled times by filter, and their totals. Each query is made once for the conditions of a filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, false, func, or_, select, text

from opsconsole.authoring.occurrence import OccurrenceFilter, OccurrenceRecord, OccurrenceState, Reason
from opsconsole.core.database import Connection
from opsconsole.store.occurrences import read_records, with_runs
from opsconsole.store.tables import RANGE_SQL, occurrences


@dataclass(frozen=True, slots=True)
class OccurrenceCount:
    """How many scheduled times of a job have the same state and reason."""

    job: str
    state: OccurrenceState
    reason: Reason | None
    instants: int


def newest(db: Connection, selected: OccurrenceFilter, *, limit: int) -> list[OccurrenceRecord]:
    """The selected rows, newest first."""
    shape, given = _shape(selected), _given(selected) | {"limit": limit}
    # First those that begin in the range: the index has them in this order. Few began before it.
    begun = read_records(db, _newest(shape), given)
    if selected.since is not None and len(begun) < limit:
        begun += read_records(db, _newest_of_before(shape), given)
    return begun[:limit]


def sums(db: Connection, selected: OccurrenceFilter) -> list[OccurrenceCount]:
    """The counts of the rows that lie completely in the selected range, by job, state and reason."""
    return [
        OccurrenceCount(row.job, OccurrenceState(row.state), Reason(row.reason) if row.reason else None, int(row[3]))
        for row in db.execute(_sums(_shape(selected)), _given(selected))
    ]


def straddling(db: Connection, selected: OccurrenceFilter) -> list[OccurrenceRecord]:
    """The rows that lie partly in the selected range: at most two for each job."""
    if selected.since is None and selected.until is None:
        return []
    found = read_records(db, _straddling_rows(_shape(selected)), _given(selected))
    return sorted(found, key=lambda each: (each.job, each.due_at))  # the index has them by time


class _Shape(NamedTuple):
    """The conditions of a filter without their values: queries are made once for each."""

    has_job: bool
    states: tuple[OccurrenceState, ...]
    has_since: bool
    has_until: bool


def _shape(selected: OccurrenceFilter) -> _Shape:
    has_since, has_until = selected.since is not None, selected.until is not None
    return _Shape(selected.job is not None, tuple(selected.states), has_since, has_until)


def _given(selected: OccurrenceFilter) -> dict[str, object]:
    values = {"of_job": selected.job, "since": selected.since, "until": selected.until}
    return {name: value for name, value in values.items() if value is not None}


_SINCE, _UNTIL = (bindparam(name, type_=occurrences.c.due_at.type) for name in ("since", "until"))


@lru_cache
def _newest(shape: _Shape) -> Select[Any]:
    query = _newest_first(shape)
    return query.where(occurrences.c.due_at >= _SINCE) if shape.has_since else query


@lru_cache
def _newest_of_before(shape: _Shape) -> Select[Any]:
    return _newest_first(shape).where(text(RANGE_SQL), occurrences.c.due_at < _SINCE)


def _newest_first(shape: _Shape) -> Select[Any]:
    query = with_runs().where(*_overlapping(shape)).order_by(occurrences.c.due_at.desc(), occurrences.c.id.desc())
    return query.limit(bindparam("limit", type_=Integer))


@lru_cache
def _sums(shape: _Shape) -> Select[Any]:
    state, reason = occurrences.c.state, occurrences.c.reason
    by = (occurrences.c.job, state, reason)
    is_known = state.in_(list(OccurrenceState)) & (reason.is_(None) | reason.in_(list(Reason)))
    query = select(*by, func.sum(occurrences.c.instants))
    return query.where(*_overlapping(shape), ~_straddling(shape), is_known).group_by(*by).order_by(*by)


@lru_cache
def _straddling_rows(shape: _Shape) -> Select[Any]:
    return with_runs().where(*_overlapping(shape), _straddling(shape))


def _overlapping(shape: _Shape) -> Sequence[ColumnElement[bool]]:
    conditions = []
    if shape.has_job:
        conditions.append(occurrences.c.job == bindparam("of_job"))
    if shape.states:
        conditions.append(occurrences.c.state.in_(shape.states))
    if shape.has_since:
        conditions.append(occurrences.c.last_due_at >= _SINCE)
    if shape.has_until:
        conditions.append(occurrences.c.due_at < _UNTIL)
    return conditions


def _straddling(shape: _Shape) -> ColumnElement[bool]:
    sides = [
        and_(occurrences.c.due_at < side, occurrences.c.last_due_at >= side)
        for side, is_given in ((_SINCE, shape.has_since), (_UNTIL, shape.has_until))
        if is_given
    ]
    return and_(text(RANGE_SQL), or_(*sides)) if sides else false()
