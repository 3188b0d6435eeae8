"""The demo: sample data, a history of real runs for the last days, and three problems."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from opsconsole.calendar.cron import zone
from opsconsole.calendar.windows import DAY, Unit
from opsconsole.core.clock import now
from opsconsole.core.database import Database
from opsconsole.core.errors import OpsconsoleError
from opsconsole.embedded import sample
from opsconsole.embedded.late_import import LateImport
from opsconsole.leader.engine import GRACE_SECONDS, Engine
from opsconsole.rules.backfill import Only

if TYPE_CHECKING:
    from opsconsole.authoring.job import Job
    from opsconsole.service.service import Service

Report = Callable[[float, str], None]
"""Called with the share that is done, from 0 to 1, and the current step."""
Step = Callable[[str], None]
"""The same within one step."""

PAST_DAYS = 4
LEAD_SECONDS = 20.0
FREQUENT = timedelta(days=1)
"""Jobs that run at least this often are run once before the demo opens."""
SHORT_GRACE_SECONDS = 1.0
"""What still runs when the history is complete continues after the demo has opened."""
POLL_SECONDS = 0.5
"""The time between two reports while runs are waited for."""
FILLED, RUN_BEFORE, ADDED_LATE, RUN_ALL, RUN_USUALLY = 0.42, 0.57, 0.72, 0.82, 0.95
"""The shares that are done after each step."""
USUAL_RUNS = 10
"""With fewer runs before it, no run is slower than usual."""


@contextmanager
def prepared(service: Service, users: int, *, slow_job: str | None = None, report: Report) -> Iterator[None]:
    """Creates the sample data, runs the past days, and keeps an engine running until the end of the block. What
    `report` raises ends it.

    The first time, `slow_job` is run often enough to know how long it usually takes, and once more while an import
    holds the write lock of the data database.
    """
    at = now()
    today = at.date()
    usual = slow_job if slow_job in {job.name for job in _jobs_with(service, Unit.DAY)} else None
    if usual is not None and len(service.queries.runs(limit=USUAL_RUNS, job=usual)) == USUAL_RUNS:
        usual = None  # not the first time
    yesterday = DAY.at(DAY.at(at, zone("UTC")).start - timedelta(microseconds=1), zone("UTC"))
    _fill(service, users, yesterday.start, (0.0, FILLED), report)
    with _leading(service, alerting=False, grace_seconds=SHORT_GRACE_SECONDS):
        past = [job for job in _jobs_with(service, Unit.DAY) if job.name != usual]
        run_days = partial(report, FILLED)
        _run_missing(service, past, today - timedelta(days=PAST_DAYS), today - timedelta(days=2), run_days)
        # Adds late data for days that have been run, so that one of them is stale.
        _fill(service, users, at, (RUN_BEFORE, ADDED_LATE), report)
        run_days = partial(report, ADDED_LATE)
        _run_missing(service, past, today - timedelta(days=1), today - timedelta(days=1), run_days)
        last_month = today.replace(day=1) - timedelta(days=1)
        _run_missing(service, _jobs_with(service, Unit.MONTH), last_month, last_month, run_days)
        _update_all_but_one(service, today - timedelta(days=PAST_DAYS), today - timedelta(days=2), run_days)
        if usual is not None:
            _run_usually(service, usual, today, partial(report, RUN_ALL))
        _run_once(service, at, partial(report, RUN_USUALLY))
    with _leading(service), LateImport(service, opening_job(service), usual):
        yield


@contextmanager
def _leading(service: Service, *, alerting: bool = True, grace_seconds: float = GRACE_SECONDS) -> Iterator[None]:
    """Keeps an engine running until the end of the block."""
    engine = Engine(service.settings, service.store, service.catalog, alerting=alerting)
    service.use_engine(engine)
    engine.start()
    try:
        yield
    finally:
        engine.stop(grace_seconds)


def opening_job(service: Service) -> str | None:
    """The job to start when the demo opens, so that a run is visible at once."""
    return next((job.name for job in _jobs_with(service, Unit.DAY) if not job.covers.back), None)


def _fill(service: Service, users: int, until: datetime, shares: tuple[float, float], report: Report) -> None:
    data = Database(service.settings.data_url.reveal())
    packs = service.catalog.packs
    names = [pack.name for pack in packs if pack.sample is not None]
    first, last = shares

    def created(pack: str, share: float) -> None:
        done = (names.index(pack) + share) / len(names)
        report(first + done * (last - first), f"creating sample data of {pack} for {users:,} users")

    try:
        sample.fill(data, packs, users, until, created)
    finally:
        data.close()


def _run_missing(service: Service, jobs: Sequence[Job], since: date, until: date, report: Step) -> None:
    """Runs the missing days or months between two dates."""
    _backfill(service, [job.name for job in jobs], since, until, Only.MISSING, report)


def _update_all_but_one(service: Service, since: date, last: date, report: Step) -> None:
    """Updates the days for which data was recorded late, but for the last one, and counts what is stale on that."""
    jobs = [job.name for job in _jobs_with(service, Unit.DAY) if job.stale is not None]
    if jobs:
        _backfill(service, jobs, since, last - timedelta(days=1), Only.STALE, report)
        service.backfills.plan(jobs, since, last, only=Only.STALE)


def _backfill(service: Service, jobs: Sequence[str], since: date, until: date, only: Only, report: Step) -> None:
    if not jobs:
        return
    range_ = f"{since} to {until}" if since != until else f"{until}"
    report(f"running {range_}")
    number = service.backfills.plan(jobs, since, until, only=only)
    if not service.backfills.get(number).to_run:
        return
    outcome = service.commands.outcome(service.backfills.apply(number), LEAD_SECONDS)
    if outcome is None:
        report("another process is using this demo; it creates the history")
        return
    if outcome.refused is not None:
        raise OpsconsoleError(f"the demo's history could not be created: {outcome.refused}")
    while service.backfills.wait_for(number, POLL_SECONDS) is None:
        report(f"running {range_}")


def _run_usually(service: Service, job: str, today: date, report: Step) -> None:
    """Runs the last days of a job again and again, by hand: backfills are no measure of what is usual."""
    days = [today - timedelta(days=back) for back in range(PAST_DAYS, 1, -1)]  # yesterday is left for the slow run
    runs = 0
    while runs < USUAL_RUNS:
        commands = [service.commands.trigger(job, str(day)) for day in days]
        ended = [_wait_for(service, each, f"running {job}", report) for each in commands]
        if not all(ended):
            return
        runs += len(ended)


def _wait_for(service: Service, command: int, step: str, report: Step) -> bool:
    """Waits for the end of the run that a command starts; False when there is none within a while."""
    report(step)
    outcome = service.commands.outcome(command, LEAD_SECONDS)
    if outcome is None or outcome.run is None:
        return False
    until = time.monotonic() + LEAD_SECONDS
    while service.commands.wait_for_run(outcome.run, POLL_SECONDS) is None:
        report(step)
        if time.monotonic() > until:
            return False
    return True


def _run_once(service: Service, at: datetime, report: Step) -> None:
    """Runs each frequent job without past windows, unless it has run before, or runs when it has work."""
    past = {job.name for unit in (Unit.DAY, Unit.MONTH) for job in _jobs_with(service, unit)}
    has_run = {card.name for card in service.queries.jobs() if card.last is not None}
    commands = []
    for job in service.catalog:
        cron = service.catalog.cron(job)
        following = cron.next(at) if cron is not None else None
        frequent = (following is not None and following <= at + FREQUENT) or job.newest_only
        if job.name not in past | has_run and frequent and not job.skip_when_empty:
            commands.append(service.commands.trigger(job.name))
    for command in commands:
        _wait_for(service, command, "running each frequent job once", report)


def _jobs_with(service: Service, unit: Unit) -> list[Job]:
    return [job for job in service.catalog if job.covers.unit is unit]
