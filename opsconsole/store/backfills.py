"""Backfills: what was planned, and how far each window is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, case, func, insert, or_, select, update

from opsconsole.authoring.run import Selection
from opsconsole.calendar.windows import Window
from opsconsole.core.database import Connection
from opsconsole.core.errors import UnknownBackfill
from opsconsole.rules.backfill import UNDONE, ActiveStep, Only, Step, StepState
from opsconsole.rules.backfill_status import ACTIVE, Backfill, BackfillState, StepView
from opsconsole.store.tables import backfills, steps


def add(
    db: Connection,
    planned: Sequence[Step],
    *,
    jobs: Sequence[str],
    since: str,
    until: str,
    only: Only,
    stops: bool,
    asked_by: str,
    at: datetime,
) -> int:
    """Keeps a plan; its number."""
    values = {
        "state": BackfillState.PLANNED,
        "jobs": list(jobs),
        "since": since,
        "until": until,
        "only": only,
        "stops": stops,
        "asked_by": asked_by,
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
            "why": step.why,
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
    found = _some(db, [number])
    if not found:
        raise UnknownBackfill(number)
    return found[0]


def newest(db: Connection, *, limit: int, active_only: bool = False) -> list[Backfill]:
    """The newest backfills first."""
    query = select(backfills.c.id).order_by(backfills.c.id.desc()).limit(limit)
    if active_only:
        query = query.where(backfills.c.state.in_(ACTIVE))
    return _some(db, list(db.execute(query).scalars()))


def active(db: Connection) -> list[tuple[int, BackfillState, int | None]]:
    """The backfills that go on or have a window that does: number, state, newest command. Oldest first."""
    has_running = select(1).where(steps.c.backfill_id == backfills.c.id, steps.c.state == StepState.RUNNING).exists()
    begun = (BackfillState.PAUSED, BackfillState.CANCELLED)
    goes_on = or_(backfills.c.state == BackfillState.RUNNING, backfills.c.state.in_(begun) & has_running)
    query = select(backfills.c.id, backfills.c.state, backfills.c.command_id).where(goes_on).order_by(backfills.c.id)
    return [(number, BackfillState(state), command) for number, state, command in db.execute(query)]


def steps_of(db: Connection, number: int) -> list[StepView]:
    """All windows of a backfill, in the order of the plan."""
    query = select(steps).where(steps.c.backfill_id == number).order_by(steps.c.seq)
    return [_view(row) for row in db.execute(query)]


def going(db: Connection, number: int, *, limit: int) -> list[ActiveStep]:
    """The windows that go on, and the oldest that wait."""
    query = select(steps).where(steps.c.backfill_id == number)
    running = db.execute(query.where(steps.c.state == StepState.RUNNING)).all()
    pending = db.execute(
        query.where(steps.c.state == StepState.PENDING).order_by(steps.c.end, steps.c.seq).limit(limit)
    )
    return [
        ActiveStep(row.seq, row.job, _window(row), StepState(row.state), Selection(row.selection), row.run_id)
        for row in (*running, *pending)
    ]


def begun(db: Connection, number: int, seq: int, run: int) -> None:
    """A window has a run."""
    mine = (steps.c.backfill_id == number) & (steps.c.seq == seq)
    db.execute(update(steps).where(mine).values(state=StepState.RUNNING, run_id=run))


def settle(db: Connection, number: int, seq: int, state: StepState) -> None:
    """A window's run has ended."""
    db.execute(update(steps).where(steps.c.backfill_id == number, steps.c.seq == seq).values(state=state))


def open_again(db: Connection, number: int) -> int:
    """What is not done waits once more; how many windows that are."""
    again = (steps.c.backfill_id == number) & steps.c.state.in_(UNDONE)
    return db.execute(update(steps).where(again).values(state=StepState.PENDING, run_id=None)).rowcount


def close_pending(db: Connection, number: int) -> int:
    """What waits is cancelled; how many windows that are."""
    mine = (steps.c.backfill_id == number) & (steps.c.state == StepState.PENDING)
    return db.execute(update(steps).where(mine).values(state=StepState.CANCELLED)).rowcount


def turn(
    db: Connection, number: int, state: BackfillState, at: datetime, *, command: int | None = None, note: str = ""
) -> None:
    """Gives a backfill another state."""
    said: dict[str, Any] = {"state": state, "note": note}
    if command is not None:
        said["command_id"] = command
    if state is BackfillState.RUNNING:
        said |= {"began_at": func.coalesce(backfills.c.began_at, at), "ended_at": None}
    elif state not in ACTIVE:
        said["ended_at"] = at
    db.execute(update(backfills).where(backfills.c.id == number).values(said))


def overlapping(db: Connection, number: int) -> list[tuple[int, str, str]]:
    """Windows of this backfill that another one that goes on is to run as well: its number, the job, the label."""
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
    return [(found, job, label) for found, job, label in db.execute(query)]


def _some(db: Connection, numbers: Iterable[int]) -> list[Backfill]:
    wanted = list(numbers)
    runs = steps.c.state != StepState.SKIPPED
    counts: dict[int, dict[StepState, int]] = {}
    items: dict[int, int] = dict.fromkeys(wanted, 0)
    seconds: dict[int, float | None] = dict.fromkeys(wanted, 0.0)
    counted = (
        select(
            steps.c.backfill_id,
            steps.c.state,
            func.count(),
            func.sum(case((runs, steps.c["items"]), else_=0)),
            func.sum(case((runs, steps.c.seconds), else_=0.0)),
            func.sum(case((runs & steps.c.seconds.is_(None), 1), else_=0)),
        )
        .where(steps.c.backfill_id.in_(wanted))
        .group_by(steps.c.backfill_id, steps.c.state)
    )
    for number, state, n, its_items, its_seconds, unknown in db.execute(counted):
        counts.setdefault(number, {})[StepState(state)] = n
        items[number] += int(its_items or 0)
        so_far = seconds[number]
        seconds[number] = None if unknown or so_far is None else so_far + float(its_seconds or 0.0)
    found = db.execute(select(backfills).where(backfills.c.id.in_(wanted)).order_by(backfills.c.id.desc()))
    return [_value(row, counts.get(row.id, {}), items[row.id], seconds[row.id]) for row in found]


def _value(row: Row[Any], counts: dict[StepState, int], items: int, seconds: float | None) -> Backfill:
    return Backfill(
        id=row.id,
        state=BackfillState(row.state),
        jobs=tuple(row.jobs),
        since=row.since,
        until=row.until,
        only=Only(row.only),
        stops=row.stops,
        asked_by=row.asked_by,
        created_at=row.created_at,
        command=row.command_id,
        began_at=row.began_at,
        ended_at=row.ended_at,
        note=row.note,
        counts=counts,
        items=items,
        seconds=seconds,
    )


def _view(row: Row[Any]) -> StepView:
    state = StepState(row.state)
    step = Step(
        job=row.job,
        window=_window(row),
        runs=state is not StepState.SKIPPED,
        why=row.why,
        selection=Selection(row.selection),
        items=row.items,
        seconds=row.seconds,
        overwrites=row.overwrites,
        before=row.before,
        spec=row.spec,
    )
    return StepView(row.seq, step, state, row.run_id)


def _window(row: Row[Any]) -> Window:
    return Window(row.start, row.end, row.label)
