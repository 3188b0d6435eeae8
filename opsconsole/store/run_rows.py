"""The rows of runs, and the runs that they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Select

from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Counts, Run, RunState, Selection, Stop, Trigger
from opsconsole.calendar.windows import Window
from opsconsole.core.database import Connection
from opsconsole.store.rows import NEVER, NO_VALUES, Stored, read
from opsconsole.store.tables import runs

SCHEDULE = "schedule"
"""Who has requested a scheduled run."""


class _Row(Stored, frozen=True, kw_only=True):
    id: int
    job: str = ""
    window_label: str = ""
    window_start: datetime = NEVER
    window_end: datetime = NEVER
    as_of: datetime = NEVER
    trigger: Trigger = Trigger.HAND
    state: RunState = RunState.FAILED
    attempt: int = 0
    parent_id: int | None = None
    selection: Selection = Selection.ALL
    command_id: int | None = None
    requested_by: str = ""
    host: str | None = None
    created_at: datetime = NEVER
    started_at: datetime | None = None
    ended_at: datetime | None = None
    planned: int = 0
    ok: int = 0
    failed: int = 0
    skipped: int = 0
    not_reached: int = 0
    planning_done: bool = False
    batches: int = 0
    batches_done: int = 0
    kinds: dict[str, int] = msgspec.field(default_factory=dict)
    metrics: dict[str, int | float] = msgspec.field(default_factory=dict)
    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    error: str | None = None
    log_lines: int = 0
    stop: Stop | None = None
    recoveries: int = 0
    occurrence_id: int | None = None
    keys_removed: bool = False
    params: dict[str, Any] | None = None


RUN_COLUMNS = tuple(field.name for field in msgspec.structs.fields(_Row) if field.name in runs.c)
"""The columns that a run is made of."""


def read_runs(db: Connection, query: Select[Any], values: Mapping[str, object] = NO_VALUES) -> list[Run]:
    """The runs of a query over the whole table, with these `values` for its parameters."""
    return [_value(row) for row in read(db, query, runs, _Row, values)]


def scheduled_run(number: int, job: Job, window: Window, *, as_of: datetime, at: datetime, occurrence: int) -> Run:
    """A run that was just queued for its scheduled time `as_of`, as it would be read."""
    return _value(
        _Row(
            id=number,
            job=job.name,
            window_label=window.label,
            window_start=window.start,
            window_end=window.end,
            as_of=as_of,
            trigger=Trigger.SCHEDULE,
            state=RunState.QUEUED,
            requested_by=SCHEDULE,
            created_at=at,
            occurrence_id=occurrence,
        )
    )


def _value(row: _Row) -> Run:
    return Run(
        id=row.id,
        job=row.job,
        window=Window(row.window_start, row.window_end, row.window_label),
        as_of=row.as_of,
        trigger=row.trigger,
        state=row.state,
        attempt=row.attempt,
        parent=row.parent_id,
        selection=row.selection,
        command=row.command_id,
        requested_by=row.requested_by,
        host=row.host,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        counts=Counts(row.planned, row.ok, row.failed, row.skipped, row.not_reached),
        planning_done=row.planning_done,
        batches=row.batches,
        batches_done=row.batches_done,
        kinds=row.kinds,
        metrics=row.metrics,
        facts=row.facts,
        error=row.error or (f"its record cannot be read: {row.unreadable}" if row.unreadable else None),
        log_lines=row.log_lines,
        stop=row.stop,
        recoveries=row.recoveries,
        occurrence=row.occurrence_id,
        keys_removed=row.keys_removed,
        unreadable=row.unreadable,
        params=row.params or {},
    )
