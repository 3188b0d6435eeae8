"""The demo: sample data, and a history of real runs for the last days."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from opsconsole.calendar.cron import zone
from opsconsole.calendar.windows import DAY, Unit
from opsconsole.core.clock import now
from opsconsole.core.database import Database
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.humanize import count
from opsconsole.embedded import sample
from opsconsole.leader.engine import Engine
from opsconsole.rules.backfill import Only, StepState

if TYPE_CHECKING:
    from opsconsole.authoring.job import Job
    from opsconsole.service.service import Service

Report = Callable[[str], None]
"""Called with a line about the progress."""

PAST_DAYS = 4
LEAD_SECONDS = 20.0
FREQUENT = timedelta(days=1)
"""Jobs that run at least this often are run once before the demo opens."""


@contextmanager
def prepared(service: Service, users: int, *, report: Report) -> Iterator[None]:
    """Creates the sample data, runs the past days, and keeps an engine running until the end of the block."""
    at = now()
    yesterday = DAY.at(DAY.at(at, zone("UTC")).start - timedelta(microseconds=1), zone("UTC"))
    _fill(service, users, yesterday.start, report)
    engine = Engine(service.settings, service.store, service.catalog)
    service.use_engine(engine)
    engine.start()
    try:
        today = at.date()
        _run_past_windows(service, Unit.DAY, today - timedelta(days=PAST_DAYS), today - timedelta(days=2), report)
        # Adds late data for days that have been run, so that the console finds stale windows.
        _fill(service, users, at, report)
        _run_past_windows(service, Unit.DAY, today - timedelta(days=1), today - timedelta(days=1), report)
        last_month = today.replace(day=1) - timedelta(days=1)
        _run_past_windows(service, Unit.MONTH, last_month, last_month, report)
        _run_once(service, at)
        yield
    finally:
        engine.stop()


def opening_job(service: Service) -> str | None:
    """The job to start when the demo opens, so that a run is visible at once."""
    return next((job.name for job in _jobs_with(service, Unit.DAY) if not job.covers.back), None)


def _fill(service: Service, users: int, until: datetime, report: Report) -> None:
    data = Database(service.settings.data_url.reveal())
    try:
        packs = service.catalog.packs
        sample.fill(data, packs, users, until, lambda pack, share: _report_share(report, pack, users, share))
    finally:
        data.close()


def _run_past_windows(service: Service, unit: Unit, since: date, until: date, report: Report) -> None:
    """Runs the missing days or months between two dates."""
    jobs = [job.name for job in _jobs_with(service, unit)]
    if not jobs:
        return
    number = service.backfills.plan(jobs, since, until, only=Only.MISSING)
    if not service.backfills.get(number).to_run:
        return
    outcome = service.commands.outcome(service.backfills.apply(number), LEAD_SECONDS)
    if outcome is None:
        report("another process is using this demo; it creates the history")
        return
    if outcome.refused is not None:
        raise OpsconsoleError(f"the demo's history could not be created: {outcome.refused}")
    while (ended := service.backfills.wait_for(number, LEAD_SECONDS)) is None:
        report("running past days ...")
    partial = ended.counts.get(StepState.PARTIAL, 0)
    range_ = f"{since} to {until}" if since != until else f"{until}"
    report(f"{range_}: {count(ended.to_run, 'run')}" + (f", {partial} with failures" if partial else ""))


def _run_once(service: Service, at: datetime) -> None:
    """Starts each frequent job without past windows, unless it has run before."""
    past = {job.name for unit in (Unit.DAY, Unit.MONTH) for job in _jobs_with(service, unit)}
    has_run = {card.name for card in service.queries.jobs() if card.last is not None}
    for job in service.catalog:
        cron = service.catalog.cron(job)
        following = cron.next(at) if cron is not None else None
        frequent = (following is not None and following <= at + FREQUENT) or job.newest_only
        if job.name not in past | has_run and frequent:
            service.commands.trigger(job.name)


def _jobs_with(service: Service, unit: Unit) -> list[Job]:
    return [job for job in service.catalog if job.covers.unit is unit]


def _report_share(report: Report, pack: str, users: int, share: float) -> None:
    if share in (0, 1):
        report(f"{'creating' if share == 0 else 'created'} sample data of {pack} for {users:,} users")
