"""The demo: sample data, and a history made by really running the last days."""

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
from opsconsole.embedded import sample
from opsconsole.leader.engine import Engine
from opsconsole.rules.backfill import Only, StepState

if TYPE_CHECKING:
    from opsconsole.authoring.job import Job
    from opsconsole.service.service import Service

Tell = Callable[[str], None]

PAST_DAYS = 4
LEAD_SECONDS = 20.0
OFTEN = timedelta(days=1)
"""What runs at least so often is run once before the demo opens; a month's end is not brought about."""


@contextmanager
def prepared(service: Service, users: int, *, tell: Tell) -> Iterator[None]:
    """A service whose data is there and whose past days have been run, with an engine that goes on."""
    at = now()
    yesterday = DAY.at(DAY.at(at, zone("UTC")).start - timedelta(microseconds=1), zone("UTC"))
    _fill(service, users, yesterday.start, tell)
    engine = Engine(service.settings, service.store, service.catalog)
    service.use_engine(engine)
    engine.start()
    try:
        today = at.date()
        _run_the_past(service, Unit.DAY, today - timedelta(days=PAST_DAYS), today - timedelta(days=2), tell)
        # What was recorded since about days that have been run: the console is to find it.
        _fill(service, users, at, tell)
        _run_the_past(service, Unit.DAY, today - timedelta(days=1), today - timedelta(days=1), tell)
        last_month = today.replace(day=1) - timedelta(days=1)
        _run_the_past(service, Unit.MONTH, last_month, last_month, tell)
        _run_once(service, at)
        yield
    finally:
        engine.stop()


def opening_job(service: Service) -> str | None:
    """The job that is started when the demo opens, so that there is something to see at once."""
    return next((job.name for job in _past_of(service, Unit.DAY) if not job.covers.back), None)


def _fill(service: Service, users: int, until: datetime, tell: Tell) -> None:
    data = Database(service.settings.data_url.reveal())
    try:
        sample.fill(data, service.catalog.packs, users, until, lambda pack, share: _progress(tell, pack, users, share))
    finally:
        data.close()


def _run_the_past(service: Service, unit: Unit, since: date, until: date, tell: Tell) -> None:
    """Runs what is missing of the days, or the months, from one date to the other."""
    jobs = [job.name for job in _past_of(service, unit)]
    if not jobs:
        return
    number = service.backfills.plan(jobs, since, until, only=Only.MISSING)
    if not service.backfills.get(number).to_run:
        return
    outcome = service.commands.outcome(service.backfills.apply(number), LEAD_SECONDS)
    if outcome is None:
        tell("another process works on this demo; its history is left to it")
        return
    if outcome.refused is not None:
        raise OpsconsoleError(f"the demo's history could not be made: {outcome.refused}")
    while (ended := service.backfills.wait_for(number, LEAD_SECONDS)) is None:
        tell("the days before are being run ...")
    partly = ended.counts.get(StepState.PARTIAL, 0)
    told = f"{since} to {until}" if since != until else f"{until}"
    tell(f"{told}: {ended.to_run} runs of the past" + (f", {partly} of them with failures" if partly else ""))


def _run_once(service: Service, at: datetime) -> None:
    """Starts each job without past windows that runs often, unless it has run before."""
    past = {job.name for unit in (Unit.DAY, Unit.MONTH) for job in _past_of(service, unit)}
    known = {card.name for card in service.queries.jobs() if card.last is not None}
    for job in service.catalog:
        cron = service.catalog.cron(job)
        following = cron.next(at) if cron is not None else None
        often = (following is not None and following <= at + OFTEN) or job.newest_only
        if job.name not in past | known and often:
            service.commands.trigger(job.name)


def _past_of(service: Service, unit: Unit) -> list[Job]:
    return [job for job in service.catalog if job.covers.unit is unit]


def _progress(tell: Tell, pack: str, users: int, share: float) -> None:
    if share in (0, 1):
        tell(f"sample data of {pack} for {users:,} users " + ("is being made ..." if share == 0 else "is there"))
