"""Reads jobs and runs from the store into the values of a Snapshot."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from opsconsole.authoring import parameters
from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import OPEN, TERMINAL, Run, RunState
from opsconsole.core.database import Connection
from opsconsole.core.humanize import words
from opsconsole.rules.admission import admissions
from opsconsole.rules.job_history import usual_duration
from opsconsole.rules.schedule import next_run
from opsconsole.service.snapshot import BatchCell, Cause, JobCard, JobHistory, Progress, RunPage
from opsconsole.store import batches, failing, occurrences, runs
from opsconsole.store.statistics import Rates

NEWEST_RUNS = 14
MAX_BATCHES = 2000
LOG_LINES = 200
ITEMS_PER_CAUSE = 8
NO_RUNS = Rates(None, None, None)
LAST_RUNS = 5
"""Runs in which the failures of an item are counted."""


def cards(
    db: Connection,
    catalog: Catalog,
    now: datetime,
    kept: Mapping[str, Run | None] | None = None,
    known: Collection[JobCard] = (),
) -> tuple[JobCard, ...]:
    """Every job with its next scheduled time and its newest run. What is in `kept`, the newest run of each job that has
    not run since, and in `known`, recent cards, is not found again.
    """
    ahead = occurrences.ran_ahead(db, now)
    last = _last_runs(db, [job.name for job in catalog], kept or {})
    next_times = {card.name: card.next_at for card in known if card.next_at and now < card.next_at and not ahead}
    return tuple(
        JobCard(
            name=job.name,
            description=job.description,
            cron=job.cron,
            tz=job.tz,
            words=catalog.describe_schedule(job),
            aliases=job.aliases,
            next_at=next_times.get(job.name) or _next_at(catalog, job, now, ahead.get(job.name, ())),
            last=last[job.name],
            shift=job.shift,
            params=parameters.declared(job),
        )
        for job in catalog
    )


def _next_at(catalog: Catalog, job: Job, now: datetime, ran: Collection[datetime]) -> datetime | None:
    cron = catalog.cron(job)
    due_at = None if cron is None else next_run(cron, now - job.shift, ran)
    return None if due_at is None else due_at + job.shift


def _last_runs(db: Connection, jobs: Collection[str], kept: Mapping[str, Run | None]) -> dict[str, Run | None]:
    """The newest run of each job: one that is open is read again."""
    found: dict[str, Run | None] = {}
    for job in jobs:
        run = kept.get(job)
        if job not in kept or (run is not None and run.state in OPEN):
            run = next(iter(runs.newest(db, limit=1, job=job)), None)
        found[job] = run
    return found


def live(db: Connection, catalog: Catalog, now: datetime) -> tuple[Progress, ...]:
    """The active runs."""
    active = runs.unfinished(db)
    waiting = {run.id: wait for run, wait in admissions(active, lambda name: _job(catalog, name), now)}
    return tuple(replace(_progress(run, catalog, now), waits=waiting.get(run.id)) for run in active)


def histories(
    db: Connection,
    catalog: Catalog,
    rates: Mapping[str, Rates],
    before: Collection[JobHistory] = (),
    ran: Collection[str] | None = None,
) -> tuple[JobHistory, ...]:
    """The history of every job. Of those `before`, the jobs that `ran` since are read again; all if that is None."""
    kept = {} if ran is None else {each.job: each for each in before if each.job not in ran}
    return tuple(
        replace(kept[job.name], rates=found) if job.name in kept else _history(db, job.name, found)
        for job in catalog
        for found in (rates.get(job.name, NO_RUNS),)
    )


def _history(db: Connection, job: str, rates: Rates) -> JobHistory:
    ended = runs.newest(db, limit=NEWEST_RUNS, job=job, states=TERMINAL)
    usual = usual_duration(ended)
    return JobHistory(job, rates, tuple(ended), usual.middle if usual is not None else None)


def page(db: Connection, catalog: Catalog, number: int, now: datetime) -> RunPage:
    """A run with its batches, its failures by cause and its log. Raises UnknownRun."""
    run = runs.get(db, number)
    failures = runs.failures_of(db, number)
    messages = {kind: message for _, kind, message in reversed(failures)}
    causes = [
        Cause(
            kind,
            messages.get(kind, words(kind)),
            count,
            tuple(item for item, of, _ in failures if of == kind)[:ITEMS_PER_CAUSE],
        )
        for kind, count in sorted(run.kinds.items(), key=lambda each: -each[1])
    ]
    last_runs, failed_in = 0, dict[str, int]()
    if causes and run.state in TERMINAL:  # not again and again while it runs: it reads all keys that failed
        items = [item for cause in causes for item in cause.items]
        last_runs, failed_in = failing.failures_of_items(db, run.job, items, last=LAST_RUNS)
    job = _job(catalog, run.job)
    return RunPage(
        at=now,
        progress=_progress(run, catalog, now),
        grid=tuple(BatchCell(*cell) for cell in batches.grid(db, number, limit=MAX_BATCHES)),
        causes=tuple(causes),
        log=tuple(runs.log_lines(db, number, limit=LOG_LINES)),
        retries=tuple(runs.children(db, number)),
        last_runs=last_runs,
        failed_in=failed_in,
        usual=usual_duration(runs.newest(db, limit=NEWEST_RUNS, job=run.job, states=TERMINAL)),
        workers=job.workers if job is not None else None,
        batch=job.batch if job is not None else None,
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
