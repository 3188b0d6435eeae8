"""Reads the store into the values that faces are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from statistics import median

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, RunState, Trigger
from opsconsole.core.database import Connection
from opsconsole.core.humanize import words
from opsconsole.rules.admission import admissions
from opsconsole.rules.health import JobFacts
from opsconsole.service.snapshot import BatchCell, Cause, JobCard, Leader, Progress, RunPage, Success
from opsconsole.store import batches, lease, pauses, runs, statistics
from opsconsole.store.registrations import registrations

LAST_RUNS = 14
GRID = 2000
LOG_LINES = 200
ITEMS_A_CAUSE = 8


def leader(db: Connection, own: str | None) -> Leader | None:
    """Who leads; `own` is this process's name in the lease."""
    held = lease.read(db)
    if held is None or held.holder is None or held.since is None:
        return None
    holder = held.holder
    return Leader(holder.owner == own, holder.who, holder.host, holder.pid, held.since)


def cards(db: Connection, catalog: Catalog, now: datetime) -> tuple[JobCard, ...]:
    """Every job with its next instant and its newest run."""
    return tuple(
        JobCard(
            name=job.name,
            description=job.description,
            cron=job.cron,
            tz=job.tz,
            words=catalog.describe_schedule(job),
            aliases=job.aliases,
            next_at=cron.next(now) if (cron := catalog.cron(job)) is not None else None,
            last=next(iter(runs.newest(db, limit=1, job=job.name)), None),
        )
        for job in catalog
    )


def live(db: Connection, catalog: Catalog, now: datetime) -> tuple[Progress, ...]:
    """The runs that are queued or go on."""
    found = runs.unfinished(db)
    waiting = {run.id: wait for run, wait in admissions(found, lambda name: _job(catalog, name), now)}
    return tuple(replace(_progress(run, catalog, now), waits=waiting.get(run.id)) for run in found)


def success(db: Connection, catalog: Catalog, now: datetime) -> tuple[Success, ...]:
    """How every job has been doing."""
    rates = statistics.rates(db, now)
    newest = statistics.newest_of_each(db, [job.name for job in catalog], each=LAST_RUNS)
    nothing = statistics.Rates(None, None, None)
    return tuple(
        Success(job.name, rates.get(job.name, nothing), tuple(found), _usual(found), _judged(db, job, found))
        for job in catalog
        for found in (newest[job.name],)
    )


def job_facts(db: Connection, catalog: Catalog, done: tuple[Success, ...], now: datetime) -> list[JobFacts]:
    """What the rules of health need to know of every job."""
    registered = registrations(db)
    aging = {job.name: job.limits for job in catalog if job.limits.max_age is not None}
    good = statistics.last_good(
        db,
        {name: limits.critical_below for name, limits in aging.items()},
        manual=[job.name for job in catalog if job.cron is None],
    )
    ages = [limits.max_age for limits in aging.values() if limits.max_age is not None]
    held = pauses.since(db, now - max(ages, default=timedelta(0)))
    judged = {each.job: each.judged for each in done}
    unfinished = {run.job: run for run in reversed(runs.unfinished(db)) if run.trigger is not Trigger.BACKFILL}
    return [
        JobFacts(
            job=job,
            due=cron.previous(now) if (cron := catalog.cron(job)) is not None else None,
            accounted_until=known.planned_until if known else None,
            registered_at=known.registered_at if known else None,
            newest=judged.get(job.name, ()),
            open=unfinished.get(job.name),
            last_good=good.get(job.name),
            paused=any(pause.skips(job.name, now) for pause in held),
            resumed_at=max(
                (p.until for p in held if p.until and p.until <= now and p.applies_to(job.name)), default=None
            ),
        )
        for job in catalog
        for known in (registered.get(job.name),)
    ]


def page(db: Connection, catalog: Catalog, number: int, now: datetime) -> RunPage:
    """A run with its batches, its failures by cause and its log. Raises UnknownRun."""
    run = runs.get(db, number)
    kept = runs.failures_of(db, number)
    messages = {kind: message for _, kind, message in reversed(kept)}
    causes = [
        Cause(
            kind,
            messages.get(kind, words(kind)),
            count,
            tuple(item for item, of, _ in kept if of == kind)[:ITEMS_A_CAUSE],
        )
        for kind, count in sorted(run.kinds.items(), key=lambda found: -found[1])
    ]
    return RunPage(
        at=now,
        progress=_progress(run, catalog, now),
        grid=tuple(BatchCell(*cell) for cell in batches.grid(db, number, limit=GRID)),
        causes=tuple(causes),
        log=tuple(runs.log_lines(db, number, limit=LOG_LINES)),
        retried_by=tuple(runs.children(db, number)),
    )


def _job(catalog: Catalog, name: str) -> Job | None:
    return catalog.find(name) if name in catalog else None


def _progress(run: Run, catalog: Catalog, now: datetime) -> Progress:
    tz = catalog.find(run.job).tz if run.job in catalog else "UTC"
    if run.started_at is None or run.state is not RunState.RUNNING:
        return Progress(run, tz, None, None)
    seconds = (now - run.started_at).total_seconds()
    rate = run.counts.tried / seconds if seconds > 0 and run.counts.tried else None
    left = (run.counts.planned - run.counts.tried) / rate if rate and run.planning_done else None
    return Progress(run, tz, rate, left)


def _judged(db: Connection, job: Job, newest: list[Run]) -> tuple[Run, ...]:
    kept = [run for run in newest if run.trigger is not Trigger.BACKFILL]
    if len(kept) < len(newest) == LAST_RUNS:
        kept = statistics.newest_judged(db, job.name, limit=LAST_RUNS)
    return tuple(kept)


def _usual(newest: list[Run]) -> float | None:
    durations = [run.seconds for run in newest if run.state in (RunState.SUCCEEDED, RunState.PARTIAL)]
    known = [seconds for seconds in durations if seconds is not None]
    return median(known) if known else None
