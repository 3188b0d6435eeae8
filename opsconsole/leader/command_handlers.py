"""What each verb of a command does, when the leader carries it out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import OPEN, Run, Selection, Stop, Trigger
from opsconsole.calendar.cron import zone
from opsconsole.calendar.windows import Unit, Window
from opsconsole.core.clock import Clock
from opsconsole.core.database import Connection
from opsconsole.core.errors import BadWindow, CannotTellStale, NotAllowed, OpsconsoleError, Refused
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.settings import Role
from opsconsole.leader import backfills as backfilling
from opsconsole.rules.pauses import ALL
from opsconsole.store import Store, batches, commands, pauses, runs
from opsconsole.store.commands import Command, CommandState

CANCEL_GRACE = timedelta(seconds=10)
"""So long a run that is cancelled may finish the batches that are in flight."""
MATCHING = "matching"
"""The target of a retry of all runs that a filter finds."""
TOLD_REFUSALS = 20
RETRIES_A_PAGE = 500


class Verb(StrEnum):
    """What can be asked for."""

    TRIGGER = "trigger"
    RETRY = "retry"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    APPLY_BACKFILL = "apply_backfill"
    PAUSE_BACKFILL = "pause_backfill"
    RESUME_BACKFILL = "resume_backfill"
    CANCEL_BACKFILL = "cancel_backfill"
    CLEAR = "clear"
    REPLAY = "replay"


STOPPING_VERBS = (Verb.CANCEL, Verb.PAUSE, Verb.PAUSE_BACKFILL, Verb.CANCEL_BACKFILL)
"""What holds something up or ends it: to be heeded by whoever leads, if only for one command of its own."""
BACKGROUND_VERBS = (Verb.CLEAR, Verb.REPLAY)
"""What is not carried out here, in the store's transaction, but step by step elsewhere."""


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
                if command.actor.role is not Role.OPERATOR:
                    raise NotAllowed(command.verb)
                outcome = _VERBS[Verb(command.verb)](db, catalog, command, at)
            except OpsconsoleError as error:
                refused = {"why": error.sentence, "exit_code": int(error.exit_code)}
                commands.settle(db, command, CommandState.REFUSED, refused, at)
            else:
                commands.settle(db, command, CommandState.DONE, outcome, at)
            reach(Point.COMMAND_WRITTEN)
        reach(Point.COMMAND_SETTLED)


def target_of(catalog: Catalog, name: str) -> str:
    """What a pause is about: a job by name or alias, a pack, or all. Raises UnknownJob."""
    if name == ALL or any(name == pack.name for pack in catalog.packs):
        return name
    return catalog.find(name).name


def window_of(job: Job, day: str | None, at: datetime) -> Window:
    """The window of a run by hand: the one that `day` (YYYY-MM-DD) names, else that of the moment `at`.

    Raises BadWindow for a date that is none, that has not begun, or that is too old for a job whose results have none.
    """
    place = zone(job.tz)
    if day is None:
        return job.covers.at(at, place)
    try:
        named = date.fromisoformat(day)
    except ValueError:
        raise BadWindow(f"{day!r} is not a date; write it as 2026-01-19") from None
    window = job.covers.named(named, place)
    if window.start > at:
        raise BadWindow(f"{window.label} has not begun in {job.tz}; choose a date up to today")
    _refuse_old(job, window, at)
    return window


def _refuse_old(job: Job, window: Window, at: datetime) -> None:
    newest = job.covers.at(at, zone(job.tz))
    if job.newest_only and window.label != newest.label:
        raise BadWindow(
            f"{job.name} keeps no result of {window.label} beside newer ones; only {newest.label} can be run"
        )


def _trigger(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    job = catalog.find(command.target)
    window = window_of(job, command.arguments.get("date"), at)
    selection = Selection(command.arguments.get("only", Selection.ALL))
    if selection is Selection.STALE and job.stale is None:
        raise CannotTellStale(job.name)
    _refuse_beside_another(db, job, window, None if job.covers.unit is Unit.MOMENT else window.label)
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
        raise Refused(refused[0] if refused else "no run matches that has something to retry")
    done = f"{len(made):,} runs are queued" + (f", {len(refused):,} were refused" if refused else "")
    return {"runs": made, "refused": refused[:TOLD_REFUSALS], "done": done}


def _retry_one(db: Connection, catalog: Catalog, parent: Run, command: Command, at: datetime) -> int:
    job = catalog.find(parent.job)
    if parent.state in OPEN:
        raise Refused(f"run {parent.id} is still {parent.state}; retry it when it has ended")
    everything = bool(command.arguments.get("all"))
    undone = next(batches.undone_keys(db, parent.id), None)
    if not everything and parent.planning_done and not undone:
        raise Refused(f"run {parent.id} has nothing to retry: no item failed; add --all to run it whole")
    _refuse_old(job, parent.window, at)
    # Also of a moment's job: many moments may be asked for at once, and have their turn one after the other.
    _refuse_beside_another(db, job, parent.window, parent.window.label)
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
    if not runs.ask_to_stop(db, run.id, _stop(command, at, force=force)):
        raise Refused(f"run {run.id} has ended already, as {run.state}")
    how = "at once" if force else "when its batches in flight are done"
    return {"run": run.id, "before": run.state, "done": f"run {run.id} of {run.job} ends {how}"}


def _pause(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    target = target_of(catalog, command.target)
    given = command.arguments.get("until")
    until = datetime.fromisoformat(given) if given else None
    if until is not None and until <= at:
        raise Refused(f"a pause until {until:%Y-%m-%d %H:%M} UTC is over already")
    before = pauses.end(db, target, at)
    note = command.arguments.get("note") or ""
    number = pauses.add(db, target, since=at, until=until, who=command.actor.name, note=note)
    how = f"until {until:%Y-%m-%d %H:%M} UTC" if until else "until somebody resumes it"
    return {"pause": number, "replaced": before, "done": f"{target} is paused {how}"}


def _resume(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    target = target_of(catalog, command.target)
    if not pauses.end(db, target, at):
        also = [pause.target for pause in pauses.in_force(db, at)]
        hint = f"; paused are {', '.join(also)}" if also else ""
        raise Refused(f"{target} is not paused{hint}")
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


def _refuse_beside_another(db: Connection, job: Job, window: Window, label: str | None) -> None:
    beside = runs.open_run(db, job.name, label)
    if beside is not None:
        raise Refused(f"{job.name} {window.label} is already asked for: run {beside} is {runs.get(db, beside).state}")


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
