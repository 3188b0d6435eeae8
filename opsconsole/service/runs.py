"""Reads jobs and runs from the store into the values of a Snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from statistics import median

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import TERMINAL, Run, RunState
from opsconsole.core.database import Connection
from opsconsole.core.humanize import words
from opsconsole.rules.admission import admissions
from opsconsole.rules.schedule import next_run
from opsconsole.service.snapshot import BatchCell, Cause, JobCard, JobHistory, Progress, RunPage
from opsconsole.store import batches, failing, occurrences, runs, statistics

NEWEST_RUNS = 14
MAX_BATCHES = 2000
LOG_LINES = 200
ITEMS_PER_CAUSE = 8
LAST_RUNS = 5
"""Runs in which the failures of an item are counted."""


def cards(db: Connection, catalog: Catalog, now: datetime) -> tuple[JobCard, ...]:
    """Every job with its next scheduled time and its newest run."""
    ahead = occurrences.ran_ahead(db, now)
    return tuple(
        JobCard(
            name=job.name,
            description=job.description,
            cron=job.cron,
            tz=job.tz,
            words=catalog.describe_schedule(job),
            aliases=job.aliases,
            next_at=next_run(cron, now, ahead.get(job.name, ())) if (cron := catalog.cron(job)) is not None else None,
            last=next(iter(runs.newest(db, limit=1, job=job.name)), None),
        )
        for job in catalog
    )


def live(db: Connection, catalog: Catalog, now: datetime) -> tuple[Progress, ...]:
    """The active runs."""
    active = runs.unfinished(db)
    waiting = {run.id: wait for run, wait in admissions(active, lambda name: _job(catalog, name), now)}
    return tuple(replace(_progress(run, catalog, now), waits=waiting.get(run.id)) for run in active)


def histories(db: Connection, catalog: Catalog, now: datetime) -> tuple[JobHistory, ...]:
    """The history of every job."""
    rates = statistics.rates(db, now)
    newest = statistics.newest_of_each(db, [job.name for job in catalog], each=NEWEST_RUNS)
    no_runs = statistics.Rates(None, None, None)
    return tuple(
        JobHistory(
            job.name,
            rates.get(job.name, no_runs),
            tuple(ended),
            _median_duration(ended),
        )
        for job in catalog
        for ended in (newest[job.name],)
    )


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
    return RunPage(
        at=now,
        progress=_progress(run, catalog, now),
        grid=tuple(BatchCell(*cell) for cell in batches.grid(db, number, limit=MAX_BATCHES)),
        causes=tuple(causes),
        log=tuple(runs.log_lines(db, number, limit=LOG_LINES)),
        retried_by=tuple(runs.children(db, number)),
        last_runs=last_runs,
        failed_in=failed_in,
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


def _median_duration(newest: list[Run]) -> float | None:
    ended = [run.seconds for run in newest if run.state in (RunState.SUCCEEDED, RunState.PARTIAL)]
    durations = [seconds for seconds in ended if seconds is not None]
    return median(durations) if durations else None
