"""The history of an installation before a test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from opsconsole.authoring.batch import BatchResult, BatchState
from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import Occurrence, OccurrenceState, Reason
from opsconsole.authoring.run import Counts, RunState, Trigger
from opsconsole.calendar.cron import TICK
from opsconsole.calendar.windows import Window
from opsconsole.store import occurrences, pauses, registrations, runs
from opsconsole.store.batches import Row
from tests import run_records
from tests.installation import Installation
from tests.schedules import cron_of

NOON = datetime(2026, 1, 19, 12, 0, tzinfo=UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def job(installation: Installation, name: str) -> Job:
    return installation.catalog.find(name)


def register(installation: Installation, name: str, *, since: datetime, until: datetime) -> None:
    """Registers the job at `since`, with its schedule planned up to `until`."""
    with installation.store.writing() as db:
        registrations.register(db, job(installation, name), since)
        registrations.advance(db, {name: until})


def record(
    installation: Installation,
    name: str,
    first: datetime,
    last: datetime | None = None,
    *,
    state: OccurrenceState = OccurrenceState.DUE,
    reason: Reason | None = None,
    blocked_by: int | None = None,
    at: datetime | None = None,
) -> int:
    """Records the scheduled times from `first` to `last` in one row; its number."""
    last = last or first
    count = cron_of(job(installation, name)).count(first - TICK, last)
    row = Occurrence(name, job(installation, name).spec, first, last, count, state, reason, blocked_by)
    with installation.store.writing() as db:
        return occurrences.record(db, row, token=1, at=at or last)


def ran(
    installation: Installation,
    name: str,
    at: datetime,
    state: RunState = RunState.SUCCEEDED,
    *,
    late: timedelta = SECOND,
    failed: Sequence[str] = (),
    ok: Sequence[str] = (),
    log: Sequence[str] = (),
    label: str | None = None,
    scheduled: bool = True,
) -> int:
    """A run that has ended, scheduled or started by hand; its number."""
    occurrence = record(installation, name, at) if scheduled else None
    begun = at + late
    with installation.store.writing() as db:
        number = _queued(db, installation, name, at, occurrence=occurrence, label=label)
        run_records.start(db, runs.get(db, number), token=1, host="web1", version="1", at=begun)
        keys = [*ok, *failed]
        run_records.add_batches(db, number, [Row(1, keys)] if keys else [])
        runs.add_log(db, number, begun, log)
        if failed:
            result = BatchResult(number, 1, 1, ok=len(ok), failed=list(failed))
            run_records.close_batch(db, result, BatchState.DONE if ok else BatchState.FAILED, "out of ink")
        run_records.end(
            db,
            number,
            token=1,
            state=state,
            at=begun + 60 * SECOND,
            counts=Counts(planned=len(keys), ok=len(ok), failed=len(failed)),
            kinds={"out_of_ink": len(failed)} if failed else {},
            batches=1,
            log_lines=len(log),
        )
    return number


def queued(installation: Installation, name: str, at: datetime, *, occurrence: int | None = None) -> int:
    """A queued run; its number."""
    with installation.store.writing() as db:
        return _queued(db, installation, name, at, occurrence=occurrence)


def paused(installation: Installation, target: str, since: datetime, until: datetime | None, note: str = "") -> int:
    with installation.store.writing() as db:
        return pauses.add(db, target, since=since, until=until, who="asha", note=note)


def _queued(
    db: Any, installation: Installation, name: str, at: datetime, *, occurrence: int | None, label: str | None = None
) -> int:
    moment = Window(at, at, label or at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    trigger = Trigger.SCHEDULE if occurrence else Trigger.HAND
    by = "schedule" if occurrence else "asha"
    return runs.create(
        db, job(installation, name), moment, as_of=at, trigger=trigger, requested_by=by, at=at, occurrence=occurrence
    )
