"""Backfills: their plans, and the state of each window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, case, func, insert, or_, select, update

from opsconsole.authoring.run import Selection
from opsconsole.calendar.windows import Window
from opsconsole.core.bounds import MAX_ID
from opsconsole.core.database import Connection
from opsconsole.core.errors import UnknownBackfill
from opsconsole.rules.backfill import UNDONE, ActiveStep, BadSelection, Only, Order, Step, StepReason, StepState
from opsconsole.rules.backfill_status import ACTIVE, Backfill, BackfillState, BackfillStop, StepView
from opsconsole.store.rows import NEVER, Stored, read
from opsconsole.store.tables import backfills, steps


def add(
    db: Connection,
    planned: Sequence[Step],
    *,
    jobs: Sequence[str],
    since: str,
    until: str,
    only: Only,
    stop_on_failure: bool,
    order: Order,
    requested_by: str,
    at: datetime,
) -> int:
    """Stores a plan and returns its number."""
    values = {
        "state": BackfillState.PLANNED,
        "jobs": list(jobs),
        "since": since,
        "until": until,
        "only": str(only),
        "stop_on_failure": stop_on_failure,
        "newest_first": order.newest_first,
        "at_once": order.at_once,
        "requested_by": requested_by,
        "created_at": at,
    }
    number: int = db.execute(insert(backfills).values(values).returning(backfills.c.id)).scalar_one()
    rows = [
        {
            "backfill_id": number,
            "seq": seq,
            "job": step.job,
            "label": step.window.label,
            "start": step.window.start,
            "end": step.window.end,
            "reason": step.reason,
            "stale": step.stale,
            "open_run": step.open_run,
            "selection": step.selection,
            "items": step.items,
            "seconds": step.seconds,
            "overwrites": step.overwrites,
            "before": step.before,
            "spec": step.spec,
            "state": StepState.PENDING if step.runs else StepState.SKIPPED,
        }
        for seq, step in enumerate(planned, 1)
    ]
    if rows:
        db.execute(insert(steps), rows)
    return number


def get(db: Connection, number: int) -> Backfill:
    """One backfill. Raises UnknownBackfill."""
    backfill = next(iter(_load(db, [number])), None) if 0 < number <= MAX_ID else None
    if backfill is None:
        raise UnknownBackfill(number)
    return backfill


def newest(db: Connection, *, limit: int) -> list[Backfill]:
    """Backfills, newest first."""
    query = select(backfills.c.id).order_by(backfills.c.id.desc()).limit(limit)
    return _load(db, list(db.execute(query).scalars()))


class Active(NamedTuple):
    """A backfill that is running or has a running window, with its newest command."""

    number: int
    state: BackfillState
    command: int | None
    order: Order


def active(db: Connection) -> list[Active]:
    """Backfills that are running or have a running window, oldest first."""
    has_running = select(1).where(steps.c.backfill_id == backfills.c.id, steps.c.state == StepState.RUNNING).exists()
    stopped = (BackfillState.PAUSED, BackfillState.CANCELLED)
    is_active = or_(backfills.c.state == BackfillState.RUNNING, backfills.c.state.in_(stopped) & has_running)
    b = backfills.c
    query = select(b.id, b.state, b.command_id, b.newest_first, b.at_once).where(is_active).order_by(b.id)
    return [
        Active(number, BackfillState(state), command, Order(newest_first, at_once))
        for number, state, command, newest_first, at_once in db.execute(query)
    ]


def steps_of(db: Connection, number: int) -> list[StepView]:
    """The windows of a backfill, in the order of its plan."""
    query = select(steps).where(steps.c.backfill_id == number).order_by(steps.c.seq)
    return [_view(row) for row in db.execute(query)]


def active_steps(db: Connection, number: int, *, limit: int, newest_first: bool = False) -> list[ActiveStep]:
    """The running windows, and the `limit` oldest or newest pending ones."""
    first = steps.c.end.desc() if newest_first else steps.c.end
    query = select(steps).where(steps.c.backfill_id == number)
    running = db.execute(query.where(steps.c.state == StepState.RUNNING)).all()
    pending = db.execute(query.where(steps.c.state == StepState.PENDING).order_by(first, steps.c.seq).limit(limit))
    return [
        ActiveStep(row.seq, row.job, _window(row), StepState(row.state), Selection(row.selection), row.run_id)
        for row in (*running, *pending)
    ]


def start_step(db: Connection, number: int, seq: int, run: int) -> None:
    """Marks a window as running, with its run."""
    mine = (steps.c.backfill_id == number) & (steps.c.seq == seq)
    db.execute(update(steps).where(mine).values(state=StepState.RUNNING, run_id=run))


def end_step(db: Connection, number: int, seq: int, state: StepState) -> None:
    """Writes the state of a window whose run has ended."""
    db.execute(update(steps).where(steps.c.backfill_id == number, steps.c.seq == seq).values(state=state))


def reopen_steps(db: Connection, number: int) -> int:
    """Makes every window that is not done pending again; returns how many."""
    again = (steps.c.backfill_id == number) & steps.c.state.in_(UNDONE)
    return db.execute(update(steps).where(again).values(state=StepState.PENDING, run_id=None)).rowcount


def cancel_pending(db: Connection, number: int) -> int:
    """Cancels the pending windows; returns how many."""
    mine = (steps.c.backfill_id == number) & (steps.c.state == StepState.PENDING)
    return db.execute(update(steps).where(mine).values(state=StepState.CANCELLED)).rowcount


def change_state(
    db: Connection,
    number: int,
    state: BackfillState,
    at: datetime,
    *,
    command: int | None = None,
    stop: BackfillStop | None = None,
) -> None:
    """Gives a backfill another state."""
    values: dict[str, Any] = {"state": state, "stop": msgspec.to_builtins(stop)}
    if command is not None:
        values["command_id"] = command
    if state is BackfillState.RUNNING:
        values |= {"started_at": func.coalesce(backfills.c.started_at, at), "ended_at": None}
    elif state not in ACTIVE:
        values["ended_at"] = at
    db.execute(update(backfills).where(backfills.c.id == number).values(values))


def overlapping(db: Connection, number: int) -> list[tuple[int, str, str]]:
    """Pending windows that another active backfill runs too: its number, the job, the window's label."""
    mine, other = steps.alias(), steps.alias()
    query = (
        select(other.c.backfill_id, mine.c.job, mine.c.label)
        .join(other, (other.c.job == mine.c.job) & (other.c.label == mine.c.label))
        .join(backfills, backfills.c.id == other.c.backfill_id)
        .where(
            mine.c.backfill_id == number,
            mine.c.state == StepState.PENDING,
            other.c.backfill_id != number,
            other.c.state.in_((StepState.PENDING, StepState.RUNNING)),
            backfills.c.state.in_(ACTIVE),
        )
        .order_by(mine.c.seq)
    )
    return [(other_number, job, label) for other_number, job, label in db.execute(query)]


def _load(db: Connection, numbers: Iterable[int]) -> list[Backfill]:
    selected = list(numbers)
    runs = steps.c.state != StepState.SKIPPED
    counts: dict[int, dict[StepState, int]] = {}
    items: dict[int, int] = dict.fromkeys(selected, 0)
    seconds: dict[int, float | None] = dict.fromkeys(selected, 0.0)
    counted = (
        select(
            steps.c.backfill_id,
            steps.c.state,
            func.count(),
            func.sum(case((runs, steps.c["items"]), else_=0)),
            func.sum(case((runs, steps.c.seconds), else_=0.0)),
            func.sum(case((runs & steps.c.seconds.is_(None), 1), else_=0)),
        )
        .where(steps.c.backfill_id.in_(selected))
        .group_by(steps.c.backfill_id, steps.c.state)
    )
    for number, state, n, its_items, its_seconds, unknown in db.execute(counted):
        counts.setdefault(number, {})[StepState(state)] = n
        items[number] += int(its_items or 0)
        sum_before = seconds[number]
        seconds[number] = None if unknown or sum_before is None else sum_before + float(its_seconds or 0.0)
    query = select(backfills).where(backfills.c.id.in_(selected)).order_by(backfills.c.id.desc())
    rows = read(db, query, backfills, _Row)
    return [_value(row, counts.get(row.id, {}), items[row.id], seconds[row.id]) for row in rows]


class _Row(Stored, frozen=True, kw_only=True):
    id: int
    state: BackfillState = BackfillState.PAUSED
    jobs: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    only: str = str(Only.MISSING)
    stop_on_failure: bool = True
    newest_first: bool = False
    at_once: int | None = None
    requested_by: str = ""
    created_at: datetime = NEVER
    command_id: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    stop: BackfillStop | None = None


def _value(row: _Row, counts: dict[StepState, int], items: int, seconds: float | None) -> Backfill:
    try:
        only, unreadable = Only.parse(row.only), row.unreadable
    except BadSelection as error:
        only, unreadable = Only.MISSING, f"only ({error.sentence})"
    return Backfill(
        id=row.id,
        state=row.state,
        jobs=row.jobs,
        since=row.since,
        until=row.until,
        only=only,
        stop_on_failure=row.stop_on_failure,
        requested_by=row.requested_by,
        created_at=row.created_at,
        command=row.command_id,
        started_at=row.started_at,
        ended_at=row.ended_at,
        stop=row.stop,
        counts=counts,
        items=items,
        seconds=seconds,
        unreadable=unreadable,
        order=Order(row.newest_first, row.at_once),
    )


def _view(row: Row[Any]) -> StepView:
    state = StepState(row.state)
    step = Step(
        job=row.job,
        window=_window(row),
        runs=state is not StepState.SKIPPED,
        reason=StepReason(row.reason),
        selection=Selection(row.selection),
        items=row.items,
        seconds=row.seconds,
        overwrites=row.overwrites,
        before=row.before,
        spec=row.spec,
        stale=row.stale,
        open_run=row.open_run,
    )
    return StepView(row.seq, step, state, row.run_id)


def _window(row: Row[Any]) -> Window:
    return Window(row.start, row.end, row.label)
