"""Removes what is no longer kept, a few rows at a time, so that no other writer waits for long.

It never takes what is open, what an open alert is about, what a job's health is judged by, or what a retry needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, delete, false, func, or_, select, tuple_, update

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.occurrence import OccurrenceState
from opsconsole.authoring.run import NEEDS_A_LOOK, OPEN, TERMINAL, RunState, Trigger
from opsconsole.core.database import Connection
from opsconsole.rules.backfill_status import ACTIVE
from opsconsole.rules.retention import KEPT_RUNS, Cutoffs
from opsconsole.store.commands import CommandState
from opsconsole.store.tables import (
    alerts,
    backfills,
    batches,
    commands,
    failures,
    health_checks,
    jobs,
    log,
    notifications,
    occurrences,
    runs,
    silences,
    steps,
)

Key = tuple[Any, ...]
"""The primary key of a row."""
Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Kept:
    """Runs that stay at any age: those with these numbers, and of each job those from a number on; None while
    all its runs stay.
    """

    numbers: frozenset[int]
    newest: dict[str, int | None]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a table that are removed for one reason; `condition` is None when they are kept for good."""

    table: Table
    condition: Callable[[Cutoffs, Kept], Condition | None]


def kept_runs(db: Connection) -> Kept:
    """The runs that stay: those that open alerts are about, and of each job the newest ones and the last good ones."""
    c, counts = runs.c, runs.c.trigger != Trigger.BACKFILL
    numbers = set(db.execute(select(alerts.c.run_id).where(alerts.c.resolved_at.is_(None))).scalars())
    newest: dict[str, int | None] = {}
    for job in db.execute(select(jobs.c.job)).scalars():
        mine = select(c.id).where(c.job == job, counts).order_by(c.created_at.desc(), c.id.desc())
        oldest_kept = db.execute(mine.offset(KEPT_RUNS - 1).limit(1)).scalar()
        newest[job] = oldest_kept
        if oldest_kept is not None:
            for state in (RunState.SUCCEEDED, RunState.PARTIAL):
                numbers.add(db.execute(mine.where(c.state == state).limit(1)).scalar())
    return Kept(frozenset(number for number in numbers if number is not None), newest)


def find(db: Connection, table: Table, condition: Condition, *, after: Key | None, limit: int) -> list[Key]:
    """The keys of the next rows to remove, in order, above `after`."""
    columns = list(table.primary_key.columns)
    query = select(*columns).where(condition).order_by(*columns).limit(limit)
    if after is not None:
        query = query.where(tuple_(*columns) > after if len(columns) > 1 else columns[0] > after[0])
    return [tuple(row) for row in db.execute(query)]


def remove(db: Connection, table: Table, condition: Condition, keys: Sequence[Key]) -> int:
    """Removes those rows of `keys` that are still to be removed, and returns their number."""
    columns = list(table.primary_key.columns)
    mine = tuple_(*columns).in_(keys) if len(columns) > 1 else columns[0].in_([key for (key,) in keys])
    removed = db.execute(delete(table).where(mine, condition)).rowcount
    if table is batches and removed:
        of = sorted({run for run, _ in keys})
        db.execute(update(runs).where(runs.c.id.in_(of), ~runs.c.keys_removed).values(keys_removed=True))
    return removed


# --- runs and what belongs to them ----------------------------------------------------------------------------------


def _runs(cutoffs: Cutoffs, kept: Kept) -> Condition | None:
    """Ended runs that are old enough. A retry stays with its parent, which would otherwise seem not to be retried."""
    old = _old(runs, cutoffs)
    if old is None:
        return None
    child, parent = runs.alias(), runs.alias()
    parent_is_old = _old(parent, cutoffs)
    assert parent_is_old is not None  # noqa: S101 - the cutoffs are the same
    return and_(
        old,
        _is_free(runs, kept),
        ~select(child.c.id).where(child.c.parent_id == runs.c.id).exists(),
        ~select(parent.c.id)
        .where(parent.c.id == runs.c.parent_id, ~and_(parent_is_old, _is_free(parent, kept)))
        .exists(),
    )


def _old(table: Any, cutoffs: Cutoffs) -> Condition | None:
    """Whether a run of that (aliased) table ended long enough ago for its outcome."""
    succeeded = (RunState.SUCCEEDED,)
    by_outcome = ((succeeded, cutoffs.successes), (NEEDS_A_LOOK, cutoffs.failures))
    conditions = [
        and_(table.c.state.in_(states), table.c.ended_at < before)
        for states, before in by_outcome
        if before is not None
    ]
    return or_(*conditions) if conditions else None


def _is_free(table: Any, kept: Kept) -> Condition:
    """Whether nothing but its age keeps a run."""
    older = [and_(table.c.job == job, table.c.id < first) for job, first in kept.newest.items() if first is not None]
    is_older = or_(table.c.trigger == Trigger.BACKFILL, table.c.job.not_in(kept.newest), *older, false())
    of_backfill = select(steps.c.run_id).join(backfills, backfills.c.id == steps.c.backfill_id)
    is_in_backfill = of_backfill.where(steps.c.run_id == table.c.id, backfills.c.state.in_(ACTIVE)).exists()
    return and_(table.c.id.not_in(kept.numbers), is_older, ~is_in_backfill)


def _of_runs(table: Table) -> Callable[[Cutoffs, Kept], Condition | None]:
    """The rows of the runs to remove. There are many, so they are removed first."""

    def condition(cutoffs: Cutoffs, kept: Kept) -> Condition | None:
        ended = _runs(cutoffs, kept)
        return None if ended is None else select(runs.c.id).where(runs.c.id == table.c.run_id, ended).exists()

    return condition


def _log(cutoffs: Cutoffs, kept: Kept) -> Condition | None:
    """The lines of runs that have ended."""
    if cutoffs.logs is None:
        return None
    ended = runs.c.state.in_(TERMINAL) & (runs.c.ended_at < cutoffs.logs) & runs.c.id.not_in(kept.numbers)
    return select(runs.c.id).where(runs.c.id == log.c.run_id, ended).exists()


def _keys(cutoffs: Cutoffs, kept: Kept) -> Condition | None:
    """Batches in which nothing failed. The others stay with their run, so that it can be retried."""
    if cutoffs.keys is None:
        return None
    child = runs.alias()
    is_read = select(child.c.id).where(child.c.parent_id == runs.c.id, child.c.state.in_(OPEN)).exists()
    ended = runs.c.state.in_(TERMINAL) & (runs.c.ended_at < cutoffs.keys) & runs.c.id.not_in(kept.numbers)
    of_run = select(runs.c.id).where(runs.c.id == batches.c.run_id, ended, ~is_read).exists()
    return and_(batches.c.failed == 0, batches.c.state != BatchState.NOT_REACHED, of_run)


def _occurrences(cutoffs: Cutoffs, _kept: Kept) -> Condition | None:
    if cutoffs.occurrences is None:
        return None
    c = occurrences.c
    has_run = select(runs.c.id).where(runs.c.occurrence_id == c.id).exists()
    return and_(c.last_due_at < cutoffs.occurrences, c.state != OccurrenceState.DUE, ~has_run)


# --- the rest -------------------------------------------------------------------------------------------------------


def _commands(cutoffs: Cutoffs, _kept: Kept) -> Condition | None:
    if cutoffs.commands is None:
        return None
    c = commands.c
    is_used = or_(
        select(runs.c.id).where(runs.c.command_id == c.id, runs.c.state.in_(OPEN)).exists(),
        select(backfills.c.id).where(backfills.c.command_id == c.id, backfills.c.state.in_(ACTIVE)).exists(),
    )
    return and_(c.state.in_((CommandState.DONE, CommandState.REFUSED)), c.done_at < cutoffs.commands, ~is_used)


def _backfills(cutoffs: Cutoffs, _kept: Kept) -> Condition | None:
    """Those that have ended, and plans that nobody applied."""
    if cutoffs.commands is None:
        return None
    c = backfills.c
    return and_(c.state.not_in(ACTIVE), func.coalesce(c.ended_at, c.created_at) < cutoffs.commands)


def _steps(cutoffs: Cutoffs, kept: Kept) -> Condition | None:
    ended = _backfills(cutoffs, kept)
    return (
        None if ended is None else select(backfills.c.id).where(backfills.c.id == steps.c.backfill_id, ended).exists()
    )


def _notifications(cutoffs: Cutoffs, _kept: Kept) -> Condition | None:
    if cutoffs.notifications is None:
        return None
    c = notifications.c
    is_resolved = select(alerts.c.id).where(alerts.c.id == c.alert_id, alerts.c.resolved_at.is_not(None)).exists()
    return and_(c.created_at < cutoffs.notifications, is_resolved)


def _alerts(cutoffs: Cutoffs, _kept: Kept) -> Condition | None:
    """Those that were resolved, unless they explain an open one."""
    if cutoffs.notifications is None:
        return None
    explained = alerts.alias()
    is_cause = select(explained.c.id).where(explained.c.cause_id == alerts.c.id, explained.c.resolved_at.is_(None))
    return and_(alerts.c.resolved_at < cutoffs.notifications, ~is_cause.exists())


def _silences(cutoffs: Cutoffs, _kept: Kept) -> Condition | None:
    return None if cutoffs.notifications is None else silences.c.until < cutoffs.notifications


def _health_checks(cutoffs: Cutoffs, _kept: Kept) -> Condition | None:
    return None if cutoffs.health is None else health_checks.c.at < cutoffs.health


PARTS = (
    Part(log, _log),
    Part(batches, _keys),
    Part(log, _of_runs(log)),
    Part(failures, _of_runs(failures)),
    Part(batches, _of_runs(batches)),
    Part(runs, _runs),
    Part(occurrences, _occurrences),
    Part(steps, _steps),
    Part(backfills, _backfills),
    Part(commands, _commands),
    Part(notifications, _notifications),
    Part(alerts, _alerts),
    Part(silences, _silences),
    Part(health_checks, _health_checks),
)
"""What is removed, in this order: rows before those that they belong to."""
