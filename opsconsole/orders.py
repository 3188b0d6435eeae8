"""What each verb of a command does, when the leader carries it out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from opsconsole.catalog import Catalog
from opsconsole.clock import Clock
from opsconsole.cron import zone
from opsconsole.database import Connection
from opsconsole.errors import BadWindow, OpsconsoleError, Refused
from opsconsole.model import OPEN, Job, Trigger
from opsconsole.store import Store, batches, commands, runs
from opsconsole.store.commands import Command, CommandState
from opsconsole.windows import Unit, Window

TRIGGER = "trigger"
RETRY = "retry"


def carry_out(store: Store, catalog: Catalog, token: int, now: Clock, *, only: int | None = None) -> None:
    """Carries out every command that waits, or the one numbered `only`, each in a transaction of its own."""
    with store.reading() as db:
        waiting = [command for command in commands.asked(db) if only in (None, command.id)]
    for command in waiting:
        with store.fenced(token) as db:
            at = now()
            try:
                outcome = _VERBS[command.verb](db, catalog, command, at)
            except OpsconsoleError as error:
                refused = {"why": error.sentence, "exit_code": int(error.exit_code)}
                commands.settle(db, command, CommandState.REFUSED, refused, at)
            else:
                commands.settle(db, command, CommandState.DONE, outcome, at)


def window_of(job: Job, day: str | None, at: datetime) -> Window:
    """The window of a run by hand: the one that `day` (YYYY-MM-DD) names, else that of the moment `at`.

    Raises BadWindow for a date that is none, or that has not begun.
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
    return window


def _trigger(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    job = catalog.find(command.target)
    window = window_of(job, command.arguments.get("date"), at)
    _refuse_beside_another(db, job, window)
    run = runs.create(
        db,
        job,
        window,
        as_of=at,
        trigger=Trigger.BACKFILL if command.arguments.get("backfill") else Trigger.HAND,
        asked_by=command.actor.name,
        at=at,
        command=command.id,
    )
    return {"run": run}


def _retry(db: Connection, catalog: Catalog, command: Command, at: datetime) -> dict[str, Any]:
    parent = runs.get(db, int(command.target))
    job = catalog.find(parent.job)
    if parent.state in OPEN:
        raise Refused(f"run {parent.id} is still {parent.state}; retry it when it has ended")
    everything = bool(command.arguments.get("all"))
    undone = next(batches.undone_keys(db, parent.id), None)
    if not everything and parent.planning_done and not undone:
        raise Refused(f"run {parent.id} has nothing to retry: no item failed; add --all to run it whole")
    _refuse_beside_another(db, job, parent.window)
    run = runs.create(
        db,
        job,
        parent.window,
        as_of=parent.as_of if job.covers.unit is Unit.MOMENT else at,
        trigger=Trigger.RETRY,
        asked_by=command.actor.name,
        at=at,
        parent=parent.id,
        retry_of="all" if everything else "failed",
        facts=parent.facts,
        command=command.id,
    )
    return {"run": run, "parent": parent.id}


def _refuse_beside_another(db: Connection, job: Job, window: Window) -> None:
    label = None if job.covers.unit is Unit.MOMENT else window.label
    beside = runs.open_run(db, job.name, label)
    if beside is not None:
        raise Refused(f"{job.name} {window.label} is already asked for: run {beside} is {runs.get(db, beside).state}")


_VERBS: dict[str, Callable[[Connection, Catalog, Command, datetime], dict[str, Any]]] = {
    TRIGGER: _trigger,
    RETRY: _retry,
}
