"""Executes commands: one handler for each verb."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from opsconsole.authoring import parameters
from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, Selection, Stop, StopReason, Trigger
from opsconsole.calendar.windows import Unit
from opsconsole.core.clock import Clock
from opsconsole.core.database import Connection
from opsconsole.core.errors import OpsconsoleError, Refused, UnknownRun
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.supervision import describe, log_failure
from opsconsole.leader import alert_commands, backfills as backfilling, schedule_commands
from opsconsole.leader.containment import ends_leadership
from opsconsole.rules import actions
from opsconsole.rules.actions import BACKGROUND_VERBS, MATCHING, STOPPING_VERBS, Verb
from opsconsole.store import Store, batches, commands, pauses, runs
from opsconsole.store.commands import Command, CommandState

CANCEL_GRACE = timedelta(seconds=10)
"""How long a cancelled run may take to finish its batches in flight."""
LISTED_REFUSALS = 20


class CommandFailed(OpsconsoleError):
    """A command whose execution raised an unexpected exception."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"it could not be executed: {describe(error)[0]}; see the log of the leader")


def execute_commands(
    store: Store, catalog: Catalog, token: int, now: Clock, *, only_command: int | None = None
) -> set[str]:
    """Executes the requested commands, each in its own transaction, and returns their verbs, and those of the commands
    that are executed in the background. With `only_command` it executes the command with that number and those that
    pause or end something. A command that cannot be executed is refused.
    """
    verbs: set[str] = set()
    with store.reading() as db:
        found = commands.open_commands(db)
    for number, verb, state in found:
        if verb in BACKGROUND_VERBS:
            verbs.add(verb)
        elif state == CommandState.REQUESTED and (only_command in (None, number) or verb in STOPPING_VERBS):
            verbs.add(_execute(store, catalog, token, number, now))
    return verbs


def _execute(store: Store, catalog: Catalog, token: int, number: int, now: Clock) -> str:
    verb = ""
    try:
        with store.fenced(token) as db:
            at = now()
            command = commands.get(db, number)
            verb = command.verb
            try:
                actions.check_actor(Verb(command.verb), command.actor)
                outcome = _VERBS[Verb(command.verb)](db, catalog, command, at)
            except OpsconsoleError as error:
                commands.refuse(db, command, error, at)
            else:
                commands.finish(db, command, outcome, at)
            reach(Point.COMMAND_WRITTEN)
    except BaseException as error:  # noqa: BLE001 - raised again, or the reason why the command is refused
        refuse_failed(store, token, number, error, now())
    reach(Point.COMMAND_SETTLED)
    return verb


def refuse_failed(store: Store, token: int, number: int, error: BaseException, at: datetime) -> None:
    """Refuses a command with the unexpected exception that it raised, so that the next one is executed. Raises the
    exception again when the store or the lease is at fault.
    """
    if ends_leadership(error):
        raise error
    log_failure(f"command {number}", error)
    failure = CommandFailed(error)
    try:
        with store.fenced(token) as db:
            commands.refuse(db, commands.get(db, number), failure, at)
    except Exception as refusing:
        if ends_leadership(refusing):
            raise
        # Another program may have written anything into its row.
        with store.fenced(token) as db:
            commands.refuse_unreadable(db, number, failure, at)


def _trigger(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    job = catalog.find(command.target)
    window = actions.trigger_window(job, command.arguments.get("date"), at)
    selection = Selection(command.arguments.get("only", Selection.ALL))
    actions.check_selection(job, selection)
    params = parameters.checked(job, command.arguments.get("params") or {})
    _check_no_active_run(db, job, None if job.covers.unit is Unit.MOMENT else window.label)
    run = runs.create(
        db,
        job,
        window,
        as_of=at,
        trigger=Trigger.BACKFILL if command.arguments.get("backfill") else Trigger.HAND,
        selection=selection,
        requested_by=command.actor.name,
        at=at,
        command=command.id,
        params=params,
    )
    return {"run": run}


def _retry(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    if command.target == MATCHING:
        return _retry_matching(db, catalog, command, at)
    parent = runs.get(db, int(command.target))
    return {"run": _retry_one(db, catalog, parent, command, at), "parent": parent.id}


def _retry_matching(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    queued, refusals = [], []
    for parent in _counted(db, command):
        try:
            queued.append(_retry_one(db, catalog, parent, command, at))
        except OpsconsoleError as error:
            refusals.append(error.sentence)
    if not queued:
        raise Refused(refusals[0]) if refusals else actions.NoRunToRetry()
    return {"runs": queued, "refused": len(refusals), "refusals": refusals[:LISTED_REFUSALS]}


def _counted(db: Connection, command: Command) -> Iterator[Run]:
    """The runs to retry, as they were counted."""
    for number in _numbers(command):
        with suppress(UnknownRun):  # its retention has passed
            yield runs.get(db, number)


def _numbers(command: Command) -> list[int]:
    """The runs of a command about several. Raises MoreRunsMatch, and Refused when it lists none."""
    numbers: list[int] | None = command.arguments.get("runs")
    if numbers is None:  # requested by an earlier version, with a filter
        raise Refused("it does not list its runs; request it again")
    actions.check_counted(len(numbers), command.arguments.get("counted"))
    return numbers


def _retry_one(db: Connection, catalog: Catalog, parent: Run, command: Command, at: datetime) -> int:
    job = catalog.find(parent.job)
    everything = bool(command.arguments.get("all"))
    undone = batches.count_undone(db, parent.id)
    actions.check_retry(parent, everything=everything, unfinished_items=undone)
    actions.check_window_age(job, parent.window, at)
    params = parameters.checked(job, parent.params)
    # Also for a job without windows: runs for many moments may be queued, and they take turns.
    _check_no_active_run(db, job, parent.window.label)
    return runs.create(
        db,
        job,
        parent.window,
        as_of=parent.as_of if job.covers.unit is Unit.MOMENT else at,
        # The retry of a backfill is a backfill too: it has the lowest priority, and health ignores it.
        trigger=Trigger.BACKFILL if parent.trigger is Trigger.BACKFILL else Trigger.RETRY,
        requested_by=command.actor.name,
        at=at,
        parent=parent.id,
        selection=Selection.ALL if everything else Selection.FAILED,
        facts=parent.facts,
        command=command.id,
        params=params,
    )


def _cancel(db: Connection, _catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    if command.target == MATCHING:
        return _cancel_matching(db, command, at)
    run = runs.get(db, int(command.target))
    force = bool(command.arguments.get("force"))
    actions.check_cancel(run)
    runs.request_stop(db, run.id, _stop(command, at, force=force))
    return {"run": run.id, "job": run.job, "before": run.state, "force": force}


def _cancel_matching(db: Connection, command: Command, at: datetime) -> dict[str, Any]:
    force = bool(command.arguments.get("force"))
    stop = _stop(command, at, force=force)
    selected = _numbers(command)
    numbers = [number for number in selected if runs.request_stop(db, number, stop)]
    if not numbers:
        raise actions.NoRunToCancel
    return {"runs": numbers, "refused": len(selected) - len(numbers), "force": force}


def _cancel_clearing(db: Connection, _catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:  # noqa: ARG001
    number = int(command.target)
    clearing = commands.find(db, number)
    if clearing is None or clearing.verb != Verb.CLEAR or not commands.request_stop(db, clearing, command.actor.name):
        raise actions.NoClearing(number)
    return {"command": number, "target": clearing.target}


def _pause(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    target = actions.pause_target(catalog, command.target)
    given = command.arguments.get("until")
    until = datetime.fromisoformat(given) if given else None
    actions.check_pause(target, until, pauses.in_force(db, at), at)
    replaced = pauses.end(db, target, at)
    note = command.arguments.get("note") or ""
    number = pauses.add(db, target, since=at, until=until, who=command.actor.name, note=note)
    return {"pause": number, "target": target, "until": given, "replaced": replaced}


def _resume(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    target = actions.pause_target(catalog, command.target)
    actions.check_resume(target, pauses.in_force(db, at))
    pauses.end(db, target, at)
    return {"target": target}


def _apply_backfill(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    return backfilling.apply(db, catalog, int(command.target), command.id, at)


def _pause_backfill(db: Connection, _catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    note = command.arguments.get("note") or ""
    return backfilling.pause(db, int(command.target), command.actor.name, note, at)


def _resume_backfill(db: Connection, _catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    return backfilling.resume(db, int(command.target), command.id, at)


def _cancel_backfill(db: Connection, _catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    return backfilling.cancel(db, int(command.target), _stop(command, at, force=False), at)


def _stop(command: Command, at: datetime, *, force: bool) -> Stop:
    note = command.arguments.get("note") or ""
    return Stop(command.actor.name, at, at if force else at + CANCEL_GRACE, StopReason.CANCELLED, note)


def _check_no_active_run(db: Connection, job: Job, label: str | None) -> None:
    active = runs.open_run(db, job.name, label)
    actions.check_no_active_run(None if active is None else runs.get(db, active))


_VERBS: dict[Verb, Callable[[Connection, Catalog, Command, datetime], dict[str, Any]]] = {
    Verb.TRIGGER: _trigger,
    Verb.RETRY: _retry,
    Verb.CANCEL: _cancel,
    Verb.CANCEL_CLEARING: _cancel_clearing,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.APPLY_BACKFILL: _apply_backfill,
    Verb.PAUSE_BACKFILL: _pause_backfill,
    Verb.RESUME_BACKFILL: _resume_backfill,
    Verb.CANCEL_BACKFILL: _cancel_backfill,
    Verb.SCHEDULE: schedule_commands.change,
    Verb.RESET_SCHEDULE: schedule_commands.reset,
    Verb.ACKNOWLEDGE: alert_commands.acknowledge,
    Verb.SILENCE: alert_commands.silence,
    Verb.UNACKNOWLEDGE: alert_commands.unacknowledge,
    Verb.UNSILENCE: alert_commands.unsilence,
}
