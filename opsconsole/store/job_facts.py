"""The facts about jobs that the health rules need. What rarely changes is kept between two looks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import OccurrenceRecord, Reason, Registration
from opsconsole.authoring.run import TERMINAL, Run, RunState, Trigger
from opsconsole.calendar.cron import Cron, zone
from opsconsole.calendar.windows import Unit, Window, minutes
from opsconsole.core.database import Connection
from opsconsole.rules import backfill
from opsconsole.rules.admission import admissions
from opsconsole.rules.backfill import NO_RECORD, WindowState, WindowStatus
from opsconsole.rules.health import JUDGED_WINDOWS, JobFacts, RepeatedFailures, Unrun
from opsconsole.rules.window_health import WindowHealth, judged
from opsconsole.store import changes, failing, occurrences, pauses, runs as run_store, statistics, windows
from opsconsole.store.changes import Watermark
from opsconsole.store.registrations import registrations
from opsconsole.store.run_rows import read_runs
from opsconsole.store.tables import occurrences as occurrence_table, runs

RUNS = 40
"""The newest runs of a job that are judged."""
KEPT_FOR = minutes(1)
"""What changes without a run, such as the number of stale items, is read again after this time."""
UNRUN_WITHIN = timedelta(days=1)
WINDOWS_WITHIN = timedelta(days=31)
LEAST_FAILURES, NAMED_ITEMS = 2, 10
MOST_FAILED = 10_000
"""With more failures than this in a window, the items are not the cause."""

NOT_RUN = (Reason.CAPACITY, Reason.CATCH_UP_LIMIT, Reason.CLOCK_JUMP, Reason.NOT_LEADING)
"""The reasons of scheduled times that were missed. The others were replaced by a later run, or not to run."""
WINDOW_NOT_RUN = (*NOT_RUN, Reason.OVERLAP, Reason.SUPERSEDED)
"""The reasons that leave a window without its run."""
NOT_DONE = (WindowState.PARTIAL, WindowState.FAILED, WindowState.MISSING)


@dataclass(frozen=True, slots=True)
class _History:
    """What is kept of a job, for as long as none of its runs starts or ends."""

    newest: tuple[Run, ...]
    last_good: datetime | None
    incomplete: tuple[WindowStatus, ...]
    repeated: RepeatedFailures | None


@dataclass(frozen=True, slots=True)
class Histories:
    """What is kept between two reads. `mark` is the watermark of the runs, `newest_occurrence` is the last number, and
    `windows_unrun` are the scheduled times that left a window without a run.
    """

    read_at: datetime
    mark: Watermark | None
    newest_occurrence: int
    unrun: Mapping[str, tuple[Unrun, ...]]
    windows_unrun: Mapping[str, tuple[Unrun, ...]]
    jobs: Mapping[str, _History]


def read(
    db: Connection, catalog: Catalog, now: datetime, kept: Histories | None = None
) -> tuple[list[JobFacts], Histories]:
    """The facts about every job, and what to pass as `kept` the next time. Without a change since then, this is a few
    short queries.
    """
    active, registered = run_store.unfinished(db), registrations(db)
    histories = _histories(db, catalog, registered, now, kept)
    ahead = occurrences.ran_ahead(db, now)
    ages = [job.limits.max_age for job in catalog if job.limits.max_age is not None]
    held = pauses.since(db, now - max([WINDOWS_WITHIN, *ages]))
    unfinished = {run.job: run for run in reversed(active) if run.trigger is not Trigger.BACKFILL}
    waits = {run.id: wait.reason for run, wait in admissions(active, lambda name: _job(catalog, name), now) if wait}
    empty = occurrences.last_empty(
        db, {job.name: now - job.limits.max_age for job in catalog if job.skip_when_empty and job.limits.max_age}
    )
    found = []
    for job in catalog:
        cron, registration = catalog.cron(job), registered.get(job.name)
        history, run = histories.jobs[job.name], unfinished.get(job.name)
        ended = [p.until for p in held if p.until and p.until <= now and p.applies_to(job.name)]
        found.append(
            JobFacts(
                job=job,
                due=cron.previous(now - job.shift) if cron is not None else None,
                accounted_until=registration.planned_until if registration else None,
                registered_at=registration.registered_at if registration else None,
                newest=history.newest,
                open=run,
                last_good=max(filter(None, (history.last_good, empty.get(job.name))), default=None),
                paused=any(pause.skips(job.name, now) for pause in held),
                resumed_at=max(ended, default=None),
                ran_ahead=ahead.get(job.name, ()),
                waits=waits.get(run.id) if run is not None else None,
                unrun=histories.unrun.get(job.name, ()),
                incomplete=history.incomplete,
                repeated=history.repeated,
            )
        )
    return found, histories


def _histories(
    db: Connection,
    catalog: Catalog,
    registered: Mapping[str, Registration],
    now: datetime,
    kept: Histories | None,
) -> Histories:
    """What has changed is read again: each run that starts or ends is a new one, or no longer an open one."""
    mark = changes.watermark(db)
    newest_occurrence = db.execute(select(func.max(occurrence_table.c.id))).scalar() or 0
    names = {job.name for job in catalog}
    ran = None if kept is None else changes.changed(db, kept.mark, mark)
    if kept is None or ran is None or not timedelta(0) <= now - kept.read_at < KEPT_FOR:
        kept, ran = Histories(now, None, 0, {}, {}, {}), frozenset(names)
    unrun, windows_unrun = kept.unrun, kept.windows_unrun
    again = names - kept.jobs.keys() | names & ran
    if newest_occurrence != kept.newest_occurrence or not kept.jobs:
        windowed = [job.name for job in catalog if _keeps_windows(job)]
        unrun = _unrun(db, catalog, names, now - UNRUN_WITHIN, now, NOT_RUN)
        windows_unrun = _unrun(db, catalog, windowed, now - WINDOWS_WITHIN, now, WINDOW_NOT_RUN)
        again |= {name for name in names if windows_unrun.get(name) != kept.windows_unrun.get(name)}
    read_again = {
        job.name: _history(db, job, catalog.cron(job), registered.get(job.name), windows_unrun.get(job.name, ()), now)
        for job in catalog
        if job.name in again
    }
    return Histories(kept.read_at, mark, newest_occurrence, unrun, windows_unrun, {**kept.jobs, **read_again})


def _history(
    db: Connection,
    job: Job,
    cron: Cron | None,
    registration: Registration | None,
    unrun: Iterable[Unrun],
    now: datetime,
) -> _History:
    newest = _newest(db, job.name)
    incomplete: tuple[WindowStatus, ...] = ()
    if _keeps_windows(job):
        incomplete = _incomplete(db, job, cron, registration, unrun, now)
    return _History(newest, _last_good(db, job, newest, now), incomplete, _repeated(db, judged(newest, now)))


def _newest(db: Connection, job: str) -> tuple[Run, ...]:
    columns = [column for column in runs.c if column.name != "facts"]  # the largest, and no rule reads it
    mine = (runs.c.job == job, runs.c.state.in_(TERMINAL), runs.c.trigger != Trigger.BACKFILL)
    return tuple(read_runs(db, select(*columns).where(*mine).order_by(runs.c.id.desc()).limit(RUNS)))


def _last_good(db: Connection, job: Job, newest: Collection[Run], now: datetime) -> datetime | None:
    """When its last good run ended: the store is read only if none of the newest ones is good."""
    if job.limits.max_age is None:
        return None
    triggers = (Trigger.SCHEDULE, Trigger.RETRY, *([Trigger.HAND] if job.cron is None else []))
    good = [
        run.ended_at
        for run in newest
        if run.trigger in triggers and run.ended_at is not None and run.ended_at <= now and _is_good(job, run)
    ]
    if good or len(newest) < RUNS:
        return max(good, default=None)
    manual = [job.name] if job.cron is None else []
    return statistics.last_good(db, {job.name: job.limits.critical_below}, manual=manual, now=now).get(job.name)


def _is_good(job: Job, run: Run) -> bool:
    tried = run.counts.ok + run.counts.failed
    partly = run.state is RunState.PARTIAL and run.counts.ok >= tried * job.limits.critical_below
    return run.state is RunState.SUCCEEDED or partly


def _repeated(db: Connection, judged_windows: Collection[WindowHealth]) -> RepeatedFailures | None:
    last = list(judged_windows)[:JUDGED_WINDOWS]
    numbers = [each.to_retry.id for each in last if 0 < each.failed <= MOST_FAILED]
    if len(numbers) < LEAST_FAILURES:
        return None
    total, items = failing.repeated_items(db, numbers, least=LEAST_FAILURES, limit=NAMED_ITEMS)
    return RepeatedFailures(total, items) if total else None


def _keeps_windows(job: Job) -> bool:
    """Whether older windows matter: not if only the newest can run, or if results expire."""
    return job.covers.unit is not Unit.MOMENT and not job.newest_only and job.results_ttl is None


def _incomplete(
    db: Connection,
    job: Job,
    cron: Cron | None,
    registration: Registration | None,
    unrun: Iterable[Unrun],
    now: datetime,
) -> tuple[WindowStatus, ...]:
    """The windows that are out of date, and of those that should have run, those that did not or failed. One that runs
    now keeps its state until the run has ended.
    """
    since = now - WINDOWS_WITHIN
    records = windows.newest(db, job.name, since, now)
    for window in _windows_of(job, cron, unrun):
        records.setdefault(window.label, (window, NO_RECORD))
    statuses = [
        WindowStatus(window, backfill.state_of(job, cron, window, record, None, now), record)
        for window, record in records.values()
        if window.end > since
    ]
    found = [
        each
        for each in statuses
        if each.state is WindowState.STALE
        or (each.state in NOT_DONE and _was_scheduled(job, cron, registration, each.window))
    ]
    return tuple(sorted(found, key=lambda each: each.window.start))


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
    found: dict[str, tuple[Unrun, ...]] = {}
    for record in occurrences.without_run(db, names, since, reasons):
        job = catalog.find(record.job)
        is_replaced = record.reason is Reason.CLOCK_JUMP and job.catch_up.newest == 1
        part = _part(record, catalog.cron(job), since)
        if part is not None and part.first <= now and not (is_replaced and Reason.SUPERSEDED not in reasons):
            found[record.job] = (*found.get(record.job, ()), part)
    return found


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


def _job(catalog: Catalog, name: str) -> Job | None:
    return catalog.find(name) if name in catalog else None
