"""Carries backfills out: surveys the windows, does exactly what was planned, and nothing after it was called off."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import TERMINAL, Run, RunState, Stop, Trigger
from opsconsole.calendar.windows import Window
from opsconsole.core.clock import Clock
from opsconsole.core.database import Connection
from opsconsole.core.failpoints import Point, reach
from opsconsole.rules import actions, backfill
from opsconsole.rules.backfill import NO_RECORD, ActiveStep, Step, StepState, WindowStatus
from opsconsole.rules.backfill_status import Backfill, BackfillState
from opsconsole.store import Store, backfills, runs, windows

log = logging.getLogger(__name__)

AHEAD = 200
"""So many of the windows that wait are looked at when the next ones are chosen."""

_CAME_TO = {
    RunState.SUCCEEDED: StepState.DONE,
    RunState.PARTIAL: StepState.PARTIAL,
    RunState.CANCELLED: StepState.CANCELLED,
}


def survey(db: Connection, catalog: Catalog, job: Job, wanted: Sequence[Window], now: datetime) -> list[WindowStatus]:
    """How these windows of a job are now, in their order."""
    if not wanted:
        return []
    known = windows.known(db, job.name, wanted[0].start, wanted[-1].end)
    open_runs = windows.open_runs(db, job.name)
    cron = catalog.cron(job)
    return [
        WindowStatus(window, backfill.state_of(job, cron, window, about, run, now), about, run)
        for window in wanted
        for about, run in ((known.get(window.label, NO_RECORD), open_runs.get(window.label)),)
    ]


def remember(db: Connection, catalog: Catalog, run: Run, ended_at: datetime) -> None:
    """Keeps what an ended run leaves its window in; a moment has none."""
    if run.job not in catalog or run.window.start == run.window.end:
        return
    job = catalog.find(run.job)
    parent = runs.get(db, run.parent) if run.parent is not None else None
    reached = run.as_of >= run.window.end or run.as_of >= backfill.due_instant(job, catalog.cron(job), run.window)
    seconds = (ended_at - (run.started_at or ended_at)).total_seconds()
    windows.ended(db, run, backfill.result_of(run, parent), whole=reached, seconds=seconds)


def changes(db: Connection, catalog: Catalog, about: Backfill, now: datetime) -> list[str]:
    """What is no longer as it was when the backfill was planned, one sentence each."""
    found: list[str] = []
    planned = [view.step for view in backfills.steps_of(db, about.id) if view.step.runs]
    for name in about.jobs:
        mine = [step for step in planned if step.job == name]
        if name not in catalog:
            found.append(f"there is no job {name} any more")
        elif mine:
            found += _changes(db, catalog, catalog.find(name), mine, now)
    found += [
        f"backfill {other} is about {job} {label} as well" for other, job, label in backfills.overlapping(db, about.id)
    ]
    return found


def _changes(db: Connection, catalog: Catalog, job: Job, planned: list[Step], now: datetime) -> Iterator[str]:
    if planned[0].spec != job.spec:
        yield f"the schedule or the window of {job.name} was changed"
        return
    for step, seen in zip(planned, survey(db, catalog, job, [step.window for step in planned], now), strict=True):
        if seen.known.run != step.before:
            yield f"run {seen.known.run} has been about {job.name} {step.window.label} since"
        elif seen.open_run is not None:
            yield f"run {seen.open_run} of {job.name} is about {step.window.label}"


# --- what is asked for ----------------------------------------------------------------------------------------------


def apply(db: Connection, catalog: Catalog, number: int, command: int, at: datetime) -> dict[str, Any]:
    """Begins what was planned. Raises Refused, naming what changed since."""
    about = backfills.get(db, number)
    actions.check_apply_backfill(about)
    actions.check_plan_is_current(about, changes(db, catalog, about, at))
    state = BackfillState.RUNNING if about.to_run else BackfillState.DONE
    backfills.turn(db, number, state, at, command=command)
    return {"backfill": number, "done": f"backfill {number} begins: {_windows(about.to_run)}"}


def pause(db: Connection, number: int, note: str, at: datetime) -> dict[str, Any]:
    """No further window begins; those that go on end. Raises Refused."""
    about = backfills.get(db, number)
    actions.check_pause_backfill(about)
    backfills.turn(db, number, BackfillState.PAUSED, at, note=note)
    return {"backfill": number, "done": f"backfill {number} is paused; a window that goes on is finished"}


def resume(db: Connection, number: int, command: int, at: datetime) -> dict[str, Any]:
    """What is not done is done, windows that failed included. Raises Refused."""
    about = backfills.get(db, number)
    actions.check_resume_backfill(about)
    running = [step.run for step in backfills.going(db, number, limit=0) if step.run is not None]
    again = backfills.open_again(db, number)
    actions.check_backfill_remainder(about, again + len(running), backfills.overlapping(db, number))
    backfills.turn(db, number, BackfillState.RUNNING, at, command=command)
    runs.belong(db, running, command)  # a window cut off goes on with the others, whoever leads
    return {"backfill": number, "done": f"backfill {number} goes on: {_windows(again + len(running))} left"}


def cancel(db: Connection, number: int, stop: Stop, at: datetime) -> dict[str, Any]:
    """Nothing of it is begun any more, and what goes on is stopped. Raises Refused."""
    about = backfills.get(db, number)
    actions.check_cancel_backfill(about)
    for step in backfills.going(db, number, limit=0):
        if step.run is not None:
            runs.ask_to_stop(db, step.run, stop)
    left = backfills.close_pending(db, number)
    backfills.turn(db, number, BackfillState.CANCELLED, at, note=stop.why)
    return {"backfill": number, "done": f"backfill {number} is cancelled: {_windows(left)} not begun"}


def _windows(n: int) -> str:
    return "1 window" if n == 1 else f"{n:,} windows"


# --- what the leader does -------------------------------------------------------------------------------------------


def advance(store: Store, catalog: Catalog, token: int, now: Clock, *, only: int | None = None) -> None:
    """Takes note of windows that have ended and begins the next ones, of every backfill or of the one that the command
    `only` is about and those of which no window begins. Raises Fenced.
    """
    with store.reading() as db:
        active = [
            (number, state, command)
            for number, state, command in backfills.active(db)
            if only in (None, command) or state is not BackfillState.RUNNING
        ]
        moves = [(number, state, command, _moves(db, catalog, number, state)) for number, state, command in active]
    for number, state, command, (ended, begin, finished) in moves:
        if ended or begin or finished:
            with store.fenced(token) as db:
                _move(db, catalog, number, state, command, ended, begin, finished=finished, at=now())
                reach(Point.BACKFILL_WRITTEN)
            reach(Point.BACKFILL_MOVED)


Ended = list[tuple[ActiveStep, StepState]]


def _moves(db: Connection, catalog: Catalog, number: int, state: BackfillState) -> tuple[Ended, list[ActiveStep], bool]:
    """The windows that have ended, those to begin, and whether that was all."""
    find: Callable[[str], Job | None] = lambda name: catalog.find(name) if name in catalog else None  # noqa: E731
    ended: Ended = []
    going: list[ActiveStep] = []
    for step in backfills.going(db, number, limit=AHEAD):
        run = runs.get(db, step.run) if step.run is not None else None
        if run is not None and run.state in TERMINAL:
            ended.append((step, _CAME_TO.get(run.state, StepState.FAILED)))
        else:
            going.append(step)
    begin = backfill.to_begin(going, find) if state is BackfillState.RUNNING else []
    return ended, begin, not going and state is BackfillState.RUNNING


def _move(
    db: Connection,
    catalog: Catalog,
    number: int,
    state: BackfillState,
    command: int | None,
    ended: Ended,
    begin: list[ActiveStep],
    *,
    finished: bool,
    at: datetime,
) -> None:
    about = backfills.get(db, number)
    if about.state is not state:
        return  # somebody paused, resumed or cancelled it since it was read
    for step, came_to in ended:
        backfills.settle(db, number, step.seq, came_to)
    failed = [step for step, came_to in ended if came_to not in (StepState.DONE, StepState.CANCELLED)]
    if failed and about.stops and state is BackfillState.RUNNING:
        why = f"{failed[0].job} {failed[0].window.label} failed"
        backfills.turn(db, number, BackfillState.PAUSED, at, note=why)
        return
    for step in begin:
        job = catalog.find(step.job)
        run = runs.create(
            db,
            job,
            step.window,
            as_of=min(step.window.end, at),
            trigger=Trigger.BACKFILL,
            asked_by=about.asked_by,
            at=at,
            selection=step.selection,
            command=command,
        )
        backfills.begun(db, number, step.seq, run)
    if finished:
        backfills.turn(db, number, BackfillState.DONE, at)
        log.info("backfill %s is done", number)
