"""Reads jobs and runs from the store into the values of a Snapshot."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from opsconsole.authoring import parameters
from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import TERMINAL, Run, RunState
from opsconsole.calendar.windows import Unit
from opsconsole.core.database import Connection
from opsconsole.core.humanize import words
from opsconsole.core.problems import Work
from opsconsole.rules.admission import Wait, WaitReason, admissions
from opsconsole.rules.job_history import usual_duration
from opsconsole.rules.schedule import next_run
from opsconsole.service import wording
from opsconsole.service.run_details import BatchCell, Cause, RunPage
from opsconsole.service.snapshot import JobCard, JobHistory, Progress
from opsconsole.store import batches, failing, lease, occurrences, runs
from opsconsole.store.job_runs import LISTED
from opsconsole.store.statistics import Rates

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
    last: Mapping[str, Run],
    known: Collection[JobCard] = (),
) -> tuple[JobCard, ...]:
    """Every job with its next scheduled time and its newest run, of which `last` has those of all jobs. The next times
    of `known`, recent cards, are not found again, and a card that stays the same is the same object.
    """
    ahead = occurrences.ran_ahead(db, now)
    before = {card.name: card for card in known if card.next_at and now < card.next_at and not ahead}
    return tuple(_card(catalog, job, now, last.get(job.name), before.get(job.name), ahead) for job in catalog)


def _card(
    catalog: Catalog,
    job: Job,
    now: datetime,
    last: Run | None,
    before: JobCard | None,
    ahead: Mapping[str, Collection[datetime]],
) -> JobCard:
    if before is not None:
        return before if before.last == last else replace(before, last=last)
    return JobCard(
        name=job.name,
        description=job.description,
        cron=job.cron,
        tz=job.tz,
        words=catalog.describe_schedule(job),
        aliases=job.aliases,
        shift=job.shift,
        next_at=_next_at(catalog, job, now, ahead.get(job.name, ())),
        last=last,
        params=parameters.declared(job),
        changed=_changed(catalog, job),
        has_calendar=job.covers.unit is not Unit.MOMENT and not job.newest_only,
    )


def _changed(catalog: Catalog, job: Job) -> str:
    changed = catalog.changed.get(job.name)
    return wording.changed_schedule(changed, catalog.base(job.name)) if changed is not None else ""


def _next_at(catalog: Catalog, job: Job, now: datetime, ran: Collection[datetime]) -> datetime | None:
    cron = catalog.cron(job)
    due_at = None if cron is None else next_run(cron, now - job.shift, ran)
    return None if due_at is None else due_at + job.shift


def live(db: Connection, catalog: Catalog, now: datetime) -> tuple[Progress, ...]:
    """The active runs."""
    active = runs.unfinished(db)
    waiting = waits(db, catalog, active, now)
    return tuple(replace(_progress(run, catalog, now), waits=waiting.get(run.id)) for run in active)


def waits(db: Connection, catalog: Catalog, active: Sequence[Run], now: datetime) -> dict[int, Wait]:
    """What active runs wait for: queued ones to start, running ones for a worker."""
    decided = admissions(active, lambda name: _job(catalog, name), now)
    found = {run.id: wait for run, wait in decided if wait is not None}
    running = [run for run in active if run.state is RunState.RUNNING]
    held = lease.read(db) if running else None
    lacking = [each for each in held.problems if each.work == Work.WORKERS and each.dependency] if held else []
    return found | {run.id: Wait(WaitReason.WORKERS, detail=lacking[0].reason) for run in running if lacking}


def histories(
    catalog: Catalog,
    rates: Mapping[str, Rates],
    ended: Mapping[str, tuple[Run, ...]],
    before: Collection[JobHistory] = (),
) -> tuple[JobHistory, ...]:
    """The history of every job, from its newest `ended` runs. One that stays as it was `before` is the same object."""
    known = {each.job: each for each in before}
    return tuple(
        _history(job.name, rates.get(job.name, NO_RUNS), ended.get(job.name, ())[:LISTED], known.get(job.name))
        for job in catalog
    )


def _history(job: str, rates: Rates, newest: tuple[Run, ...], before: JobHistory | None) -> JobHistory:
    if before is not None and before.newest == newest:
        return before if before.rates == rates else replace(before, rates=rates)
    usual = usual_duration(newest)
    return JobHistory(job, rates, newest, usual.middle if usual is not None else None)


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
    progress = _progress(run, catalog, now)
    if run.state is RunState.RUNNING:
        progress = replace(progress, waits=waits(db, catalog, [run], now).get(run.id))
    return RunPage(
        at=now,
        progress=progress,
        grid=tuple(BatchCell(*cell) for cell in batches.grid(db, number, limit=MAX_BATCHES)),
        causes=tuple(causes),
        log=tuple(runs.log_lines(db, number, limit=LOG_LINES)),
        retries=tuple(runs.children(db, number)),
        last_runs=last_runs,
        failed_in=failed_in,
        usual=usual_duration(runs.newest(db, limit=LISTED, job=run.job, states=TERMINAL)),
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
