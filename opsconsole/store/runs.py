"""Runs: queued, found, started, advanced and ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Integer, Select, Text, bindparam, func, insert, select, type_coerce, update

from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import ON_TIME
from opsconsole.authoring.run import (
    NO_PARAMS,
    OPEN,
    Run,
    RunState,
    Selection,
    Stop,
    Trigger,
)
from opsconsole.calendar.windows import Window
from opsconsole.core.bounds import MAX_ID
from opsconsole.core.database import Connection
from opsconsole.core.errors import UnknownRun
from opsconsole.store import occurrences
from opsconsole.store.job_names import is_of
from opsconsole.store.many_rows import insert_numbered
from opsconsole.store.run_rows import SCHEDULE, read_runs, scheduled_run
from opsconsole.store.tables import failures, log, runs

_ADD_LOG = insert(log)
_CREATE = insert(runs).returning(runs.c.id)
_ONE = select(runs).where(runs.c.id == bindparam("run"))
_CHILDREN = select(runs).where(runs.c.parent_id == bindparam("run")).order_by(runs.c.id)
_LOG_LINES = (
    select(log.c.at, log.c.line)
    .where(log.c.run_id == bindparam("run"))
    .order_by(log.c.id.desc())
    .limit(bindparam("limit", type_=Integer))
)
_FAILURES = (
    select(failures.c.item, failures.c.kind, failures.c.message)
    .where(failures.c.run_id == bindparam("run"))
    .order_by(failures.c.id)
)
IDS_A_PAGE = 500


def create(
    db: Connection,
    job: Job,
    window: Window,
    *,
    as_of: datetime,
    trigger: Trigger,
    requested_by: str,
    at: datetime,
    occurrence: int | None = None,
    parent: int | None = None,
    selection: Selection = Selection.ALL,
    facts: Mapping[str, Any] | None = None,
    command: int | None = None,
    params: Mapping[str, Any] = NO_PARAMS,
) -> int:
    """Queues a run and returns its number."""
    more: dict[str, Any] = {"occurrence_id": occurrence, "parent_id": parent, "selection": selection}
    more |= {"command_id": command, "facts": dict(facts or {}), "params": dict(params) or None}
    row = _row(job, window, as_of=as_of, trigger=trigger, requested_by=requested_by, at=at) | more
    number: int = db.execute(_CREATE, row).scalar_one()
    return number


def create_scheduled(db: Connection, due: Sequence[tuple[Job, Window, datetime, int]], at: datetime) -> list[Run]:
    """Queues runs that are due, each with its window, its scheduled time and the number of that occurrence; returns
    them in the same order.
    """
    rows = [
        _row(job, window, as_of=as_of, trigger=Trigger.SCHEDULE, requested_by=SCHEDULE, at=at)
        | {"occurrence_id": occurrence}
        for job, window, as_of, occurrence in due
    ]
    numbers = insert_numbered(db, runs, rows)
    return [
        scheduled_run(number, job, window, as_of=as_of, at=at, occurrence=occurrence)
        for number, (job, window, as_of, occurrence) in zip(numbers, due, strict=True)
    ]


def _row(
    job: Job, window: Window, *, as_of: datetime, trigger: Trigger, requested_by: str, at: datetime
) -> dict[str, Any]:
    return {
        "job": job.name,
        "window_label": window.label,
        "window_start": window.start,
        "window_end": window.end,
        "as_of": as_of,
        "trigger": trigger,
        "requested_by": requested_by,
        "priority": job.priority,
        "spec": job.spec,
        "state": RunState.QUEUED,
        "created_at": at,
        "facts": {},
        "params": None,
        "kinds": {},
        "metrics": {},
    }


def get(db: Connection, run: int) -> Run:
    """One run. Raises UnknownRun."""
    found = read_runs(db, _ONE, {"run": run}) if 0 < run <= MAX_ID else []
    if not found:
        raise UnknownRun(run)
    return found[0]


def newest(
    db: Connection,
    *,
    limit: int,
    job: str | None = None,
    states: Sequence[RunState] | None = None,
    selection: Selection | None = None,
    without: Trigger | None = None,
) -> list[Run]:
    """Runs, newest first."""
    chosen = None if states is None else tuple(states)
    query = _newest(db.dialect.name, job is not None, chosen, selection, without)
    return read_runs(db, query, {"limit": limit} if job is None else {"limit": limit, "job": job})


@lru_cache
def _newest(
    dialect: str,
    of_job: bool,
    states: tuple[RunState, ...] | None,
    selection: Selection | None,
    without: Trigger | None,
) -> Select[Any]:
    query = select(runs).order_by(*((runs.c.job.desc(),) if of_job else ()), runs.c.id.desc())
    if of_job:
        query = query.where(is_of(dialect, runs.c.job, bindparam("job", type_=runs.c.job.type)))
    if states is not None:
        query = query.where(runs.c.state.in_(states))
    if selection is not None:
        query = query.where(runs.c.selection == selection)
    if without is not None:
        query = query.where(runs.c.trigger != without)
    return query.limit(bindparam("limit", type_=Integer))


# Open runs in the order in which they start.
_UNFINISHED = runs.c.state.in_(OPEN)
_ORDER = (
    runs.c.started_at.is_(None),
    runs.c.trigger == Trigger.BACKFILL,
    runs.c.as_of,
    runs.c.priority.desc(),
    runs.c.job,
    runs.c.id,
)

_ALL_UNFINISHED = select(runs).where(_UNFINISHED).order_by(*_ORDER)
_STOP = type_coerce(runs.c.stop, Text)  # may be any JSON if another program has written it
_OUTLINES = select(runs.c.id, runs.c.state, runs.c.command_id, _STOP).where(_UNFINISHED).order_by(*_ORDER)
_THESE = select(runs).where(runs.c.id.in_(bindparam("numbers", expanding=True)))


def unfinished(db: Connection) -> list[Run]:
    """Every open run in the order in which they start: running ones, then by scheduled time, priority and job;
    backfills last.
    """
    return read_runs(db, _ALL_UNFINISHED)


def unfinished_since(db: Connection, known: Mapping[int, Run]) -> list[Run]:
    """The same, without reading again the runs in `known`, unless they are to be stopped or their state or command has
    changed.
    """
    found: dict[int, Run | None] = {}
    for number, state, command, stop_request in db.execute(_OUTLINES):
        run = known.get(number)
        is_same = run is not None and (run.state, run.command, run.stop) == (state, command, stop_request)
        found[number] = run if is_same else None
    changed = [number for number, run in found.items() if run is None]
    for at in range(0, len(changed), _PAGE):
        page = read_runs(db, _THESE, {"numbers": changed[at : at + _PAGE]})
        found |= {run.id: run for run in page}
    return [run for run in found.values() if run is not None]


_PAGE = 500


def open_run(db: Connection, job: str, label: str | None = None) -> int | None:
    """An open run of that job (and window)."""
    if label is None:
        return db.execute(_OPEN_RUN, {"of_job": job}).scalar()
    return db.execute(_OPEN_RUN.where(runs.c.window_label == label), {"of_job": job}).scalar()


_OPEN_RUN = select(func.min(runs.c.id)).where(runs.c.job == bindparam("of_job"), runs.c.state.in_(OPEN))


def without_retry(db: Connection, numbers: Sequence[int]) -> list[int]:
    """The runs among these that were not retried, in the same order."""
    retried: set[int] = set()
    for start in range(0, len(numbers), IDS_A_PAGE):
        mine = runs.c.parent_id.in_(numbers[start : start + IDS_A_PAGE])
        retried.update(db.execute(select(runs.c.parent_id).where(mine)).scalars())
    return [number for number in numbers if number not in retried]


def children(db: Connection, run: int) -> list[Run]:
    """The runs that retried this one, oldest first."""
    return read_runs(db, _CHILDREN, {"run": run})


def interrupt(db: Connection, token: int) -> None:
    """Marks the running runs of `token` as interrupted."""
    db.execute(
        update(runs).where(runs.c.state == RunState.RUNNING, runs.c.token == token).values(state=RunState.INTERRUPTED)
    )


def interrupt_others(db: Connection, token: int, *, recovered: bool) -> None:
    """Marks the running runs of other tokens as interrupted, and with `recovered` counts a recovery for each."""
    recoveries = runs.c.recoveries + 1 if recovered else runs.c.recoveries
    interrupted = {"state": RunState.INTERRUPTED, "recoveries": recoveries}
    db.execute(update(runs).where(runs.c.state == RunState.RUNNING, runs.c.token != token).values(interrupted))


def set_back(db: Connection, now: datetime) -> None:
    """Moves the stamps of open runs that are later than `now` back to it: what waits or lasts is measured from them."""
    for column in (runs.c.created_at, runs.c.started_at):
        db.execute(update(runs).where(runs.c.state.in_(OPEN), column > now).values({column.name: now}))


def request_stop(db: Connection, run: int, stop: Stop) -> bool:
    """Requests that a run ends; False when it has ended. An earlier request stays, unless this one is sooner."""
    found = read_runs(db, select(runs).where(runs.c.id == run, runs.c.state.in_(OPEN)))
    if not found:
        return False
    before = found[0].stop
    if before is None or stop.force_at < before.force_at:
        db.execute(update(runs).where(runs.c.id == run).values(stop=msgspec.to_builtins(stop)))
    return True


def assign_command(db: Connection, numbers: Sequence[int], command: int) -> None:
    """Makes these runs part of another command."""
    db.execute(update(runs).where(runs.c.id.in_(numbers)).values(command_id=command))


def end_now(
    db: Connection, run: Run, *, token: int, state: RunState, at: datetime, error: str, not_reached: int
) -> None:
    """Gives an open run its terminal state, in any state of its work; `not_reached` are its remaining items. `error` is
    safe to store.
    """
    if run.occurrence is not None and run.state is RunState.QUEUED:
        occurrences.record_start(db, run.occurrence, at, on_time=ON_TIME)
    added = {"not_reached": runs.c.not_reached + not_reached, "log_lines": runs.c.log_lines + 1}
    db.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.state.in_(OPEN))
        .values(state=state, token=token, ended_at=at, error=error, **added)
    )
    add_log(db, run.id, at, [f"[{run.job}] {state}: {error}"])


def add_log(db: Connection, run: int, at: datetime, lines: Sequence[str]) -> None:
    """Appends lines to a run's log."""
    if lines:
        db.execute(_ADD_LOG, [{"run_id": run, "at": at, "line": line} for line in lines])


def log_lines(db: Connection, run: int, *, limit: int) -> list[tuple[datetime, str]]:
    """The newest lines of a run's log, oldest first."""
    return [(at, line) for at, line in reversed(db.execute(_LOG_LINES, {"run": run, "limit": limit}).all())]


def failures_of(db: Connection, run: int) -> list[tuple[str, str, str]]:
    """The failures that were stored with their messages: (item, kind, message)."""
    return [(item, kind, message) for item, kind, message in db.execute(_FAILURES, {"run": run})]
