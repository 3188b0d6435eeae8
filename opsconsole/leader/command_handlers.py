"""What each verb of a command does, when the leader carries it out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, Selection, Stop, Trigger
from opsconsole.calendar.windows import Unit
from opsconsole.core.clock import Clock
from opsconsole.core.database import Connection
from opsconsole.core.errors import OpsconsoleError, Refused
from opsconsole.core.failpoints import Point, reach
from opsconsole.leader import backfills as backfilling
from opsconsole.rules import actions
from opsconsole.rules.actions import BACKGROUND_VERBS, MATCHING, STOPPING_VERBS, Verb
from opsconsole.store import Store, batches, commands, pauses, runs
from opsconsole.store.commands import Command, CommandState

CANCEL_GRACE = timedelta(seconds=10)
"""So long a run that is cancelled may finish the batches that are in flight."""
TOLD_REFUSALS = 20
RETRIES_A_PAGE = 500


def carry_out(store: Store, catalog: Catalog, token: int, now: Clock, *, only: int | None = None) -> None:
    """Carries out every command that waits, each in a transaction of its own; with `only`, the one with that number and
    those that begin nothing.
    """
    with store.reading() as db:
        waiting = [
            command
            for command in commands.asked(db)
            if (only in (None, command.id) or command.verb in STOPPING_VERBS) and command.verb not in BACKGROUND_VERBS
        ]
    for command in waiting:
        with store.fenced(token) as db:
            at = now()
            try:
                actions.check_actor(Verb(command.verb), command.actor)
                outcome = _VERBS[Verb(command.verb)](db, catalog, command, at)
            except OpsconsoleError as error:
                refused = {"why": error.sentence, "exit_code": int(error.exit_code)}
                commands.settle(db, command, CommandState.REFUSED, refused, at)
            else:
                commands.settle(db, command, CommandState.DONE, outcome, at)
            reach(Point.COMMAND_WRITTEN)
        reach(Point.COMMAND_SETTLED)


def _trigger(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    job = catalog.find(command.target)
    window = actions.trigger_window(job, command.arguments.get("date"), at)
    selection = Selection(command.arguments.get("only", Selection.ALL))
    actions.check_selection(job, selection)
    _check_no_active_run(db, job, None if job.covers.unit is Unit.MOMENT else window.label)
    run = runs.create(
        db,
        job,
        window,
        as_of=at,
        trigger=Trigger.BACKFILL if command.arguments.get("backfill") else Trigger.HAND,
        selection=selection,
        asked_by=command.actor.name,
        at=at,
        command=command.id,
    )
    return {"run": run}


def _retry(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    if command.target == MATCHING:
        return _retry_matching(db, catalog, command, at)
    parent = runs.get(db, int(command.target))
    return {"run": _retry_one(db, catalog, parent, command, at), "parent": parent.id}


def _retry_matching(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    wanted = msgspec.convert(command.arguments["filter"], runs.RunFilter, strict=False)
    made, refused, after = [], [], 0
    while found := runs.undone(db, wanted, after=after, limit=RETRIES_A_PAGE):
        after = found[-1].id
        for parent in found:
            try:
                made.append(_retry_one(db, catalog, parent, command, at))
            except OpsconsoleError as error:
                refused.append(error.sentence)
    if not made:
        raise Refused(refused[0]) if refused else actions.NoRunToRetry()
    done = f"{len(made):,} runs are queued" + (f", {len(refused):,} were refused" if refused else "")
    return {"runs": made, "refused": refused[:TOLD_REFUSALS], "done": done}


def _retry_one(db: Connection, catalog: Catalog, parent: Run, command: Command, at: datetime) -> int:
    job = catalog.find(parent.job)
    everything = bool(command.arguments.get("all"))
    undone = next(batches.undone_keys(db, parent.id), None)
    actions.check_retry(parent, everything=everything, unfinished_items=bool(undone))
    actions.check_window_age(job, parent.window, at)
    # Also of a moment's job: many moments may be asked for at once, and have their turn one after the other.
    _check_no_active_run(db, job, parent.window.label)
    return runs.create(
        db,
        job,
        parent.window,
        as_of=parent.as_of if job.covers.unit is Unit.MOMENT else at,
        # A retry of what fills an old window fills it too: it goes last, and health does not look at it.
        trigger=Trigger.BACKFILL if parent.trigger is Trigger.BACKFILL else Trigger.RETRY,
        asked_by=command.actor.name,
        at=at,
        parent=parent.id,
        selection=Selection.ALL if everything else Selection.FAILED,
        facts=parent.facts,
        command=command.id,
    )


def _cancel(db: Connection, _catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    run = runs.get(db, int(command.target))
    force = bool(command.arguments.get("force"))
    actions.check_cancel(run)
    runs.ask_to_stop(db, run.id, _stop(command, at, force=force))
    how = "at once" if force else "when its batches in flight are done"
    return {"run": run.id, "before": run.state, "done": f"run {run.id} of {run.job} ends {how}"}


def _pause(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    target = actions.pause_target(catalog, command.target)
    given = command.arguments.get("until")
    until = datetime.fromisoformat(given) if given else None
    actions.check_pause(until, at)
    before = pauses.end(db, target, at)
    note = command.arguments.get("note") or ""
    number = pauses.add(db, target, since=at, until=until, who=command.actor.name, note=note)
    how = f"until {until:%Y-%m-%d %H:%M} UTC" if until else "until somebody resumes it"
    return {"pause": number, "replaced": before, "done": f"{target} is paused {how}"}


def _resume(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    target = actions.pause_target(catalog, command.target)
    actions.check_resume(target, pauses.in_force(db, at))
    pauses.end(db, target, at)
    return {"done": f"{target} goes on"}


def _apply_backfill(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    return backfilling.apply(db, catalog, int(command.target), command.id, at)


def _pause_backfill(db: Connection, _catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    note = command.arguments.get("note") or ""
    why = f"paused by {command.actor.name}" + (f": {note}" if note else "")
    return backfilling.pause(db, int(command.target), why, at)


def _resume_backfill(db: Connection, _catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    return backfilling.resume(db, int(command.target), command.id, at)


def _cancel_backfill(db: Connection, _catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    return backfilling.cancel(db, int(command.target), _stop(command, at, force=False), at)


def _stop(command: Command, at: datetime, *, force: bool) -> Stop:
    note = command.arguments.get("note") or ""
    why = f"cancelled by {command.actor.name}" + (f": {note}" if note else "")
    return Stop(command.actor.name, at, at if force else at + CANCEL_GRACE, why)


def _check_no_active_run(db: Connection, job: Job, label: str | None) -> None:
    active = runs.open_run(db, job.name, label)
    actions.check_no_active_run(None if active is None else runs.get(db, active))


_VERBS: dict[Verb, Callable[[Connection, Catalog, Command, datetime], dict[str, Any]]] = {
    Verb.TRIGGER: _trigger,
    Verb.RETRY: _retry,
    Verb.CANCEL: _cancel,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.APPLY_BACKFILL: _apply_backfill,
    Verb.PAUSE_BACKFILL: _pause_backfill,
    Verb.RESUME_BACKFILL: _resume_backfill,
    Verb.CANCEL_BACKFILL: _cancel_backfill,
}
