"""The demo: sample data, a history of real runs for the last days, and three problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from opsconsole.embedded.late_import import LateImport
from opsconsole.leader.engine import GRACE_SECONDS, Engine
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
SHORT_GRACE_SECONDS = 1.0
"""What still runs when the history is complete continues after the demo has opened."""
USUAL_RUNS = 10
"""With fewer runs before it, no run is slower than usual."""


@contextmanager
def prepared(service: Service, users: int, *, slow_job: str | None = None, report: Report) -> Iterator[None]:
    """Creates the sample data, runs the past days, and keeps an engine running until the end of the block.

    The first time, `slow_job` is run often enough to know how long it usually takes, and once more while an import
    holds the write lock of the data database.
    """
    at = now()
    today = at.date()
    is_new = all(card.last is None for card in service.queries.jobs())
    usual = slow_job if is_new and slow_job in {job.name for job in _jobs_with(service, Unit.DAY)} else None
    yesterday = DAY.at(DAY.at(at, zone("UTC")).start - timedelta(microseconds=1), zone("UTC"))
    _fill(service, users, yesterday.start, report)
    with _leading(service, alerting=False, grace_seconds=SHORT_GRACE_SECONDS):
        past = [job for job in _jobs_with(service, Unit.DAY) if job.name != usual]
        _run_missing(service, past, today - timedelta(days=PAST_DAYS), today - timedelta(days=2), report)
        # Adds late data for days that have been run, so that one of them is stale.
        _fill(service, users, at, report)
        _run_missing(service, past, today - timedelta(days=1), today - timedelta(days=1), report)
        last_month = today.replace(day=1) - timedelta(days=1)
        _run_missing(service, _jobs_with(service, Unit.MONTH), last_month, last_month, report)
        _update_all_but_one(service, today - timedelta(days=PAST_DAYS), today - timedelta(days=2), report)
        if usual is not None:
            _run_usually(service, usual, today, report)
        _run_once(service, at)
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


def _fill(service: Service, users: int, until: datetime, report: Report) -> None:
    data = Database(service.settings.data_url.reveal())
    try:
        packs = service.catalog.packs
        sample.fill(data, packs, users, until, lambda pack, share: _report_share(report, pack, users, share))
    finally:
        data.close()


def _run_missing(service: Service, jobs: Sequence[Job], since: date, until: date, report: Report) -> None:
    """Runs the missing days or months between two dates."""
    _backfill(service, [job.name for job in jobs], since, until, Only.MISSING, report)


def _update_all_but_one(service: Service, since: date, last: date, report: Report) -> None:
    """Updates the days for which data was recorded late, but for the last one, and counts what is stale on that."""
    jobs = [job.name for job in _jobs_with(service, Unit.DAY) if job.stale is not None]
    if jobs:
        _backfill(service, jobs, since, last - timedelta(days=1), Only.STALE, report)
        service.backfills.plan(jobs, since, last, only=Only.STALE)


def _backfill(service: Service, jobs: Sequence[str], since: date, until: date, only: Only, report: Report) -> None:
    if not jobs:
        return
    number = service.backfills.plan(jobs, since, until, only=only)
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


def _run_usually(service: Service, job: str, today: date, report: Report) -> None:
    """Runs the last days of a job again and again, by hand: backfills are no measure of what is usual."""
    days = [today - timedelta(days=back) for back in range(PAST_DAYS, 1, -1)]  # yesterday is left for the slow run
    runs = 0
    while runs < USUAL_RUNS:
        ended = [_wait_for(service, each) for each in [service.commands.trigger(job, str(day)) for day in days]]
        if not all(ended):
            return
        runs += len(ended)
    report(f"{job}: {count(runs, 'run')}")


def _wait_for(service: Service, command: int) -> bool:
    """Waits for the end of the run that a command starts; False when there is none within a while."""
    outcome = service.commands.outcome(command, LEAD_SECONDS)
    if outcome is None or outcome.run is None:
        return False
    return service.commands.wait_for_run(outcome.run, LEAD_SECONDS) is not None


def _run_once(service: Service, at: datetime) -> None:
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
        _wait_for(service, command)


def _jobs_with(service: Service, unit: Unit) -> list[Job]:
    return [job for job in service.catalog if job.covers.unit is unit]


def _report_share(report: Report, pack: str, users: int, share: float) -> None:
    if share in (0, 1):
        report(f"{'creating' if share == 0 else 'created'} sample data of {pack} for {users:,} users")
