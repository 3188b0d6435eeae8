"""Lists of runs, newest first, in pages. Each query follows an index, and gives up after a number of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, and_, exists, func, literal_column, not_, or_, select, union_all

from opsconsole.authoring.run import LIVE, NEEDS_A_LOOK, OPEN, Run, RunState, Trigger
from opsconsole.core.database import Connection
from opsconsole.core.errors import UnknownRun
from opsconsole.rules.date_phrases import Days
from opsconsole.rules.run_search import RunSearch
from opsconsole.store.run_rows import read_runs
from opsconsole.store.tables import NEEDS_ATTENTION_SQL, NOT_SCHEDULED_SQL, NOT_SUCCEEDED_SQL, failures, runs

MAX_SCANNED = 10_000
"""Rows that one page looks at, where an index finds more runs than match."""
MAX_STREAMS = 16
"""Jobs that are looked up one by one, each in its index. With more of them, a run of one is soon found among all."""

Condition = ColumnElement[bool]

# As in the indexes: a database uses a partial one only for the same words.
NEEDS_ATTENTION: Condition = literal_column(NEEDS_ATTENTION_SQL)
NOT_SUCCEEDED: Condition = literal_column(NOT_SUCCEEDED_SQL)
NOT_SCHEDULED: Condition = literal_column(NOT_SCHEDULED_SQL)
_OTHER = runs.alias()


@dataclass(frozen=True, slots=True)
class RunRows:
    """A page of a list. Without `more`, it ends with the oldest run that matches. `searched_to` is the run at which the
    search gave up, so that older ones may match, too; the next page starts there.
    """

    runs: tuple[Run, ...]
    more: bool
    searched_to: int | None

    @property
    def next_before(self) -> int | None:
        """The run that the next page starts before; None after the last page."""
        if self.more:
            return self.runs[-1].id
        return self.searched_to


@dataclass(frozen=True, slots=True)
class Total:
    """The number of runs that match; of `more` than these when it is not exact."""

    runs: int
    more: bool


def page(db: Connection, search: RunSearch, *, before: int | None, limit: int) -> RunRows:
    """The newest `limit` runs that match, created before the run `before`. Raises UnknownRun when that is gone."""
    if before is not None and db.execute(select(runs.c.id).where(runs.c.id == before)).first() is None:
        raise UnknownRun(before)
    query, floor = _matching(db, search, before, limit + 1)
    if query is None:
        return RunRows((), more=False, searched_to=None)
    numbers: list[int] = list(db.execute(query).scalars())
    shown = numbers[:limit]
    found = read_runs(db, _newest_first(select(runs).where(runs.c.id.in_(shown))))
    place: dict[int, int] = {number: i for i, number in enumerate(shown)}
    more = len(numbers) > limit
    return RunRows(tuple(sorted(found, key=lambda run: place[run.id])), more=more, searched_to=None if more else floor)


def total(db: Connection, search: RunSearch, *, limit: int) -> Total:
    """How many runs match, counted up to `limit`."""
    query, floor = _matching(db, search, None, limit + 1)
    if query is None:
        return Total(0, more=False)
    found = db.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    return Total(min(found, limit), more=found > limit or floor is not None)


def _matching(
    db: Connection, search: RunSearch, before: int | None, limit: int
) -> tuple[Select[Any] | None, int | None]:
    """A query for the numbers of the runs that match, and at which run it gives up, if it does."""
    if () in (search.jobs, search.triggers, _states(search)):
        return None, None
    conditions = dict(_conditions(search))
    found = _streams(search, conditions)
    within = [*_created(search), *([_older_than(before)] if before is not None else [])]
    streams = [[*stream, *within] for stream in found.streams]
    others = [condition for name, condition in conditions.items() if name not in found.conditions]
    floor = _floor(db, streams) if others else None
    if floor is not None:
        within.append(_newer_than(floor))
        streams = [[*stream, _newer_than(floor)] for stream in streams]
    streams = [[*stream, *others] for stream in streams]
    if search.days is not None and search.created is not None:
        start, end = search.created
        in_days = and_(runs.c.created_at >= start, runs.c.created_at < end)
        late = [_begins_on(search.days), not_(in_days), *within, *conditions.values()]
        streams = [*([*stream, in_days] for stream in streams), late]
    return _newest_of(streams, limit), floor


@dataclass(frozen=True, slots=True)
class _Streams:
    """Conditions of which each list is the start of an index that is ordered by `created_at`, and the names of those
    that they stand for.
    """

    streams: list[list[Condition]]
    conditions: tuple[str, ...]


def _streams(search: RunSearch, conditions: Mapping[str, Condition]) -> _Streams:
    states = set(_states(search) or ())
    attention = [NEEDS_ATTENTION] if states and states <= set(NEEDS_A_LOOK) else []
    if "number" in conditions:
        return _Streams([[conditions["number"]]], ("number",))
    if search.person is not None:
        return _Streams([[runs.c.requested_by == search.person, NOT_SCHEDULED]], ("person",))
    is_rare, has_open = bool(states) and RunState.SUCCEEDED not in states, bool(states & set(OPEN))
    if is_rare and has_open:
        return _Streams([[runs.c.state == state, NOT_SUCCEEDED] for state in states], ("states",))
    if search.jobs is not None and len(search.jobs) <= MAX_STREAMS:
        return _Streams([[runs.c.job == job, *attention] for job in search.jobs], ("jobs",))
    if search.triggers is not None and Trigger.SCHEDULE not in search.triggers:
        return _Streams([[runs.c.trigger == trigger, NOT_SCHEDULED] for trigger in search.triggers], ("triggers",))
    if is_rare:
        return _Streams([[runs.c.state == state, NOT_SUCCEEDED] for state in states], ("states",))
    return _Streams([[]], ())


def _conditions(search: RunSearch) -> Iterator[tuple[str, Condition]]:
    """The conditions by name, but for those about times. Without statistics, SQLite would use an index for one of them,
    and sort all of its rows: none can.
    """
    states = _states(search)
    if search.numbers is not None:
        yield "number", runs.c.id.in_(search.numbers)
    if search.person is not None:
        yield "person", _unindexed(runs.c.requested_by) == search.person
    if search.jobs is not None:
        yield "jobs", _unindexed(runs.c.job).in_(search.jobs)
    if search.triggers is not None:
        yield "triggers", _unindexed(runs.c.trigger).in_(search.triggers)
    if states is not None:
        yield "states", _unindexed(runs.c.state).in_(states)
    for i, word in enumerate(search.words):
        yield f"word {i}", _mentions(word)


def _unindexed(column: Column[str]) -> ColumnElement[str]:
    return func.coalesce(column, "")


def _states(search: RunSearch) -> tuple[RunState, ...] | None:
    """Words are found in errors and failures, which a run that succeeded has not."""
    if not search.words:
        return search.states
    return tuple(state for state in (*LIVE, *NEEDS_A_LOOK) if search.states is None or state in search.states)


def _mentions(word: str) -> Condition:
    mentioned = [failures.c.item.icontains(word, autoescape=True), failures.c.message.icontains(word, autoescape=True)]
    return or_(
        runs.c.error.icontains(word, autoescape=True),
        exists().where(failures.c.run_id == runs.c.id, or_(*mentioned)),
    )


def _created(search: RunSearch) -> Iterator[Condition]:
    if search.since is not None:
        yield runs.c.created_at >= search.since
    if search.until is not None:
        yield runs.c.created_at < search.until


def _begins_on(days: Days) -> Condition:
    """Whether a window begins on one of these days, in the zone of its job: its label starts with that day, or is a
    month that the days include.
    """
    whole_month = days.first.day == 1 and (days.first + timedelta(days=31)).replace(day=1) <= days.end
    first = f"{days.first:%Y-%m}" if whole_month else days.first.isoformat()
    end = f"{days.end:%Y-%m}" if days.end.day == 1 else days.end.isoformat()
    return and_(runs.c.window_label >= first, runs.c.window_label < end)


def _newest_of(streams: Sequence[Sequence[Condition]], limit: int) -> Select[Any]:
    newest = [_newest_first(select(runs.c.id, runs.c.created_at).where(*stream)).limit(limit) for stream in streams]
    if len(newest) == 1:
        return newest[0].with_only_columns(runs.c.id)
    merged = union_all(*(select(*each.subquery().c) for each in newest)).subquery()
    return select(merged.c.id).order_by(merged.c.created_at.desc(), merged.c.id.desc()).limit(limit)


def _floor(db: Connection, streams: Sequence[Sequence[Condition]]) -> int | None:
    """The run at which the search gives up: the newest of those that are too far down in a stream."""
    queries = [_newest_first(select(runs.c.id).where(*each)).offset(MAX_SCANNED).limit(1) for each in streams]
    reached = [number for query in queries if (number := db.execute(query).scalar()) is not None]
    if not reached:
        return None
    return db.execute(_newest_first(select(runs.c.id).where(runs.c.id.in_(reached))).limit(1)).scalar()


def _older_than(number: int) -> Condition:
    at = select(_OTHER.c.created_at).where(_OTHER.c.id == number).scalar_subquery()
    return and_(runs.c.created_at <= at, or_(runs.c.created_at < at, runs.c.id < number))


def _newer_than(number: int) -> Condition:
    """Newer than a run, or this run."""
    at = select(_OTHER.c.created_at).where(_OTHER.c.id == number).scalar_subquery()
    return and_(runs.c.created_at >= at, or_(runs.c.created_at > at, runs.c.id >= number))


def _newest_first(query: Select[Any]) -> Select[Any]:
    return query.order_by(runs.c.created_at.desc(), runs.c.id.desc())
