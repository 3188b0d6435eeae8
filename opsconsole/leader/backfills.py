"""Executes backfills: surveys windows, starts the planned runs, and records their results."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import TERMINAL, Run, RunState, Stop, Trigger
from opsconsole.calendar.windows import Window
from opsconsole.core.clock import Clock
from opsconsole.core.database import Connection
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.failpoints import Point, reach
from opsconsole.leader.containment import Containment
from opsconsole.rules import actions, backfill as rules
from opsconsole.rules.backfill import NO_RECORD, ActiveStep, Order, Step, StepState, WindowStatus
from opsconsole.rules.backfill_status import Backfill, BackfillState, BackfillStop, BackfillStopReason
from opsconsole.store import Store, backfills, runs, windows
from opsconsole.store.windows import WindowEnd

log = logging.getLogger(__name__)

LOOKAHEAD, NEWEST_LOOKAHEAD = 200, 2000
"""How many pending windows are considered when the next ones are chosen: with the newest first, a month is before its
days.
"""

_STEP_STATES = {
    RunState.SUCCEEDED: StepState.DONE,
    RunState.PARTIAL: StepState.PARTIAL,
    RunState.CANCELLED: StepState.CANCELLED,
}


class UnreadableBackfill(OpsconsoleError):
    """A backfill whose record is damaged."""

    def __init__(self, backfill: Backfill) -> None:
        super().__init__(f"its record cannot be read: {backfill.unreadable}; plan it again")


def survey(
    db: Connection,
    catalog: Catalog,
    job: Job,
    selected: Sequence[Window],
    now: datetime,
    begins: datetime | None = None,
) -> list[WindowStatus]:
    """The current states of these windows of a job, in the same order. `begins` is when its data begins, None if that
    is not known.
    """
    if not selected:
        return []
    records = windows.records(db, job.name, selected[0].start, selected[-1].end)
    open_runs = windows.open_runs(db, job.name)
    cron = catalog.cron(job)
    return [
        WindowStatus(window, rules.state_of(job, cron, window, record, run, now, begins), record, run)
        for window in selected
        for record, run in ((records.get(window.label, NO_RECORD), open_runs.get(window.label)),)
    ]


def window_end(catalog: Catalog, run: Run, parent: Run | None, ended_at: datetime) -> WindowEnd | None:
    """The state in which an ended run leaves its window; `parent` is the run that it retried. None for a run for a
    moment, which has no window.
    """
    if run.job not in catalog or run.window.start == run.window.end:
        return None
    job = catalog.find(run.job)
    complete = run.as_of >= run.window.end or run.as_of >= rules.scheduled_time(job, catalog.cron(job), run.window)
    seconds = (ended_at - (run.started_at or ended_at)).total_seconds()
    result = rules.result_of(run, parent)
    return WindowEnd(run.job, run.window, run.id, result, complete, run.counts.planned, seconds)


def changes(db: Connection, catalog: Catalog, plan: Backfill, now: datetime) -> list[str]:
    """What has changed since the backfill was planned, one sentence each."""
    changed: list[str] = []
    planned = [view.step for view in backfills.steps_of(db, plan.id) if view.step.runs]
    for name in plan.jobs:
        mine = [step for step in planned if step.job == name]
        if name not in catalog:
            changed.append(f"job {name} no longer exists")
        elif mine:
            changed += _changes(db, catalog, catalog.find(name), mine, now)
    changed += [f"backfill {other} also runs {job} {label}" for other, job, label in backfills.overlapping(db, plan.id)]
    return changed


def _changes(db: Connection, catalog: Catalog, job: Job, planned: list[Step], now: datetime) -> Iterator[str]:
    if planned[0].spec != job.spec:
        yield f"the schedule or the window of {job.name} was changed"
        return
    for step, status in zip(planned, survey(db, catalog, job, [step.window for step in planned], now), strict=True):
        if status.record.run != step.before:
            yield f"run {status.record.run} of {job.name} {step.window.label} has ended since"
        elif status.open_run is not None:
            yield f"run {status.open_run} of {job.name} {step.window.label} is active"


# --- commands -------------------------------------------------------------------------------------------------------


def apply(db: Connection, catalog: Catalog, number: int, command: int, at: datetime) -> dict[str, Any]:
    """Starts a planned backfill. Raises Refused with what has changed since it was planned."""
    plan = backfills.get(db, number)
    actions.check_apply_backfill(plan)
    actions.check_plan_is_current(plan, changes(db, catalog, plan, at))
    state = BackfillState.RUNNING if plan.to_run else BackfillState.DONE
    backfills.change_state(db, number, state, at, command=command)
    return {"backfill": number, "windows": plan.to_run}


def pause(db: Connection, number: int, by: str, note: str, at: datetime) -> dict[str, Any]:
    """Starts no further windows; running ones finish. Raises Refused."""
    actions.check_pause_backfill(backfills.get(db, number))
    stop = BackfillStop(BackfillStopReason.PAUSED, by, note)
    backfills.change_state(db, number, BackfillState.PAUSED, at, stop=stop)
    return {"backfill": number}


def resume(db: Connection, number: int, command: int, at: datetime) -> dict[str, Any]:
    """Runs the windows that are not done, failed ones included. Raises Refused."""
    backfill = backfills.get(db, number)
    actions.check_resume_backfill(backfill)
    running = [step.run for step in backfills.active_steps(db, number, limit=0) if step.run is not None]
    remaining = backfills.reopen_steps(db, number) + len(running)
    actions.check_backfill_remainder(backfill, remaining, backfills.overlapping(db, number))
    backfills.change_state(db, number, BackfillState.RUNNING, at, command=command)
    runs.assign_command(db, running, command)  # a process that leads for this command alone continues them too
    return {"backfill": number, "windows": remaining}


def cancel(db: Connection, number: int, stop: Stop, at: datetime) -> dict[str, Any]:
    """Starts no further windows and stops running ones. Raises Refused."""
    actions.check_cancel_backfill(backfills.get(db, number))
    for step in backfills.active_steps(db, number, limit=0):
        if step.run is not None:
            runs.request_stop(db, step.run, stop)
    not_started = backfills.cancel_pending(db, number)
    cancelled = BackfillStop(BackfillStopReason.CANCELLED, stop.by, stop.note)
    backfills.change_state(db, number, BackfillState.CANCELLED, at, stop=cancelled)
    return {"backfill": number, "windows": not_started}


# --- progress -------------------------------------------------------------------------------------------------------


def advance(
    store: Store, catalog: Catalog, token: int, now: Clock, containment: Containment, *, only_command: int | None = None
) -> None:
    """Records windows that have ended and starts the next ones. With `only_command` it starts windows only for that
    command's backfill. A backfill that raises something unexpected is paused. Raises Fenced.
    """
    with store.reading() as db:
        active = [
            each
            for each in backfills.active(db)
            if only_command in (None, each.command) or each.state is not BackfillState.RUNNING
            if not containment.has_set_aside(f"backfill {each.number}")
        ]
    for number, state, command, order in active:
        with containment.around(f"backfill {number}", partial(_pause_broken, store, token, now, number)):
            with store.reading() as db:
                ended, ready, finished = _moves(db, catalog, number, state, order)
            if ended or ready or finished:
                with store.fenced(token) as db:
                    _move(db, catalog, number, state, command, ended, ready, finished=finished, at=now())
                    reach(Point.BACKFILL_WRITTEN)
                reach(Point.BACKFILL_ADVANCED)


def _pause_broken(store: Store, token: int, now: Clock, number: int, cause: str) -> None:
    with store.fenced(token) as db:
        pause(db, number, "the leader", cause, now())


Ended = list[tuple[ActiveStep, StepState]]


def _moves(
    db: Connection, catalog: Catalog, number: int, state: BackfillState, order: Order
) -> tuple[Ended, list[ActiveStep], bool]:
    """The windows that have ended, those to start, and whether none are left."""
    find: Callable[[str], Job | None] = lambda name: catalog.find(name) if name in catalog else None  # noqa: E731
    ended: Ended = []
    unfinished: list[ActiveStep] = []
    limit = NEWEST_LOOKAHEAD if order.newest_first else LOOKAHEAD
    for step in backfills.active_steps(db, number, limit=limit, newest_first=order.newest_first):
        run = runs.get(db, step.run) if step.run is not None else None
        if run is not None and run.state in TERMINAL:
            ended.append((step, _STEP_STATES.get(run.state, StepState.FAILED)))
        else:
            unfinished.append(step)
    ready = rules.startable(unfinished, find, order) if state is BackfillState.RUNNING else []
    return ended, ready, not unfinished and state is BackfillState.RUNNING


def _move(
    db: Connection,
    catalog: Catalog,
    number: int,
    state: BackfillState,
    command: int | None,
    ended: Ended,
    ready: list[ActiveStep],
    *,
    finished: bool,
    at: datetime,
) -> None:
    current = backfills.get(db, number)
    if current.unreadable:
        raise UnreadableBackfill(current)
    if current.state is not state:
        return  # it was paused, resumed or cancelled since it was read
    for step, result in ended:
        backfills.end_step(db, number, step.seq, result)
    failed = [step for step, result in ended if result not in (StepState.DONE, StepState.CANCELLED)]
    if failed and current.stop_on_failure and state is BackfillState.RUNNING:
        stop = BackfillStop(BackfillStopReason.WINDOW_FAILED, job=failed[0].job, window=failed[0].window.label)
        backfills.change_state(db, number, BackfillState.PAUSED, at, stop=stop)
        return
    for step in ready:
        job = catalog.find(step.job)
        run = runs.create(
            db,
            job,
            step.window,
            as_of=min(step.window.end, at),
            trigger=Trigger.BACKFILL,
            requested_by=current.requested_by,
            at=at,
            selection=step.selection,
            command=command,
        )
        backfills.start_step(db, number, step.seq, run)
    if finished:
        backfills.change_state(db, number, BackfillState.DONE, at)
        log.info("backfill %s is done", number)
