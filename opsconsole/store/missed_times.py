"""Scheduled times without a run, and the windows that were left out of date by that."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import OccurrenceRecord, Reason, Registration
from opsconsole.calendar.cron import Cron, zone
from opsconsole.calendar.windows import Unit, Window
from opsconsole.core.database import Connection
from opsconsole.rules import backfill
from opsconsole.rules.backfill import NO_RECORD, WindowRecord, WindowState, WindowStatus
from opsconsole.rules.health import Unrun
from opsconsole.store import occurrences, windows

UNRUN_WITHIN = timedelta(days=1)
WINDOWS_WITHIN = timedelta(days=31)

NOT_RUN = (Reason.CAPACITY, Reason.CATCH_UP_LIMIT, Reason.CLOCK_JUMP, Reason.NOT_LEADING)
"""The reasons of scheduled times that were missed. The others were replaced by a later run, or not to run."""
WINDOW_NOT_RUN = (*NOT_RUN, Reason.OVERLAP, Reason.SUPERSEDED)
"""The reasons that leave a window without its run."""
NOT_DONE = (WindowState.PARTIAL, WindowState.FAILED, WindowState.MISSING)


@dataclass(frozen=True, slots=True)
class MissedTimes:
    """The scheduled times of the last day that did not run, and those of the last month that left a window without a
    run, by job and oldest first; `newest` is the number of the last occurrence.
    """

    newest: int
    unrun: Mapping[str, tuple[Unrun, ...]]
    of_windows: Mapping[str, tuple[Unrun, ...]]


def read(db: Connection, catalog: Catalog, now: datetime, kept: MissedTimes | None = None) -> MissedTimes:
    """The scheduled times without a run. They are `kept` unless one has been recorded since."""
    newest = occurrences.newest_number(db)
    if kept is not None and (newest == kept.newest or not occurrences.has_unrun(db, WINDOW_NOT_RUN, kept.newest)):
        return MissedTimes(newest, kept.unrun, kept.of_windows)
    windowed = [job.name for job in catalog if keeps_windows(job)]
    return MissedTimes(
        newest,
        _unrun(db, catalog, [job.name for job in catalog], now - UNRUN_WITHIN, now, NOT_RUN),
        _unrun(db, catalog, windowed, now - WINDOWS_WITHIN, now, WINDOW_NOT_RUN) if windowed else {},
    )


def incomplete(
    db: Connection,
    catalog: Catalog,
    jobs: Iterable[Job],
    registered: Mapping[str, Registration],
    missed: MissedTimes,
    now: datetime,
) -> dict[str, tuple[WindowStatus, ...]]:
    """The windows of these jobs that are out of date, and of those that should have run, those that did not or failed;
    oldest first. One that runs now keeps its state until the run has ended.
    """
    windowed = {job.name: job for job in jobs if keeps_windows(job)}
    if not windowed:
        return {}
    since = now - WINDOWS_WITHIN
    records = windows.not_fresh(db, windowed, since, now)
    for name, window in _without_record(db, catalog, windowed, missed):
        records.setdefault(name, []).append((window, NO_RECORD))
    found = {}
    for name, of_job in records.items():
        job, cron = windowed[name], catalog.cron(windowed[name])
        statuses = list(_incomplete(job, cron, registered.get(name), of_job, since, now))
        if statuses:
            found[name] = tuple(sorted(statuses, key=lambda each: each.window.start))
    return found


def keeps_windows(job: Job) -> bool:
    """Whether older windows matter: not if only the newest can run, or if results expire."""
    return job.covers.unit is not Unit.MOMENT and not job.newest_only and job.results_ttl is None


def _incomplete(
    job: Job,
    cron: Cron | None,
    registration: Registration | None,
    records: Iterable[tuple[Window, WindowRecord]],
    since: datetime,
    now: datetime,
) -> Iterator[WindowStatus]:
    for window, record in records:
        if window.end <= since:
            continue
        state = backfill.state_of(job, cron, window, record, None, now)
        if state is WindowState.STALE or (state in NOT_DONE and _was_scheduled(job, cron, registration, window)):
            yield WindowStatus(window, state, record)


def _without_record(
    db: Connection, catalog: Catalog, jobs: Mapping[str, Job], missed: MissedTimes
) -> Iterator[tuple[str, Window]]:
    """The windows of scheduled times that did not run, of which nothing is recorded."""
    found = {
        (name, window.label): window
        for name, job in jobs.items()
        for window in _windows_of(job, catalog.cron(job), missed.of_windows.get(name, ()))
    }
    recorded = windows.recorded(db, found) if found else frozenset()
    return ((name, window) for (name, label), window in found.items() if (name, label) not in recorded)


def _was_scheduled(job: Job, cron: Cron | None, registration: Registration | None, window: Window) -> bool:
    """Whether its scheduled time came after the job's registration. Otherwise it is an operator's backfill."""
    if cron is None or registration is None:
        return False
    from_registration = window.end - registration.registered_at
    if abs(from_registration) > backfill.SOON:
        return from_registration > timedelta(0)
    return backfill.scheduled_time(job, cron, window) > registration.registered_at


def _windows_of(job: Job, cron: Cron | None, unrun: Iterable[Unrun]) -> Iterable[Window]:
    for each in unrun:
        at: datetime | None = each.first
        while cron is not None and at is not None and at <= each.last:
            yield job.covers.at(at, zone(job.tz))
            at = cron.next(at)


def _unrun(
    db: Connection,
    catalog: Catalog,
    names: Collection[str],
    since: datetime,
    now: datetime,
    reasons: Collection[Reason],
) -> dict[str, tuple[Unrun, ...]]:
    found: dict[str, list[Unrun]] = {}
    for record in occurrences.without_run(db, names, since, reasons):
        job = catalog.find(record.job)
        is_replaced = record.reason is Reason.CLOCK_JUMP and job.catch_up.newest == 1
        part = _part(record, catalog.cron(job), since)
        if part is not None and part.first <= now and not (is_replaced and Reason.SUPERSEDED not in reasons):
            found.setdefault(record.job, []).append(part)
    return {name: tuple(parts) for name, parts in found.items()}


def _part(record: OccurrenceRecord, cron: Cron | None, since: datetime) -> Unrun | None:
    """The part of a record that is not older than `since`."""
    reason = record.reason or Reason.NOT_LEADING
    if record.due_at >= since or cron is None:
        return Unrun(record.due_at, record.last_due_at, record.instants, reason)
    before = since - timedelta.resolution
    first = cron.next(before)
    if first is None or first > record.last_due_at:
        return None
    return Unrun(first, record.last_due_at, cron.count(before, record.last_due_at), reason)
