"""One job in detail: its schedule, its newest runs, and what its runs wait for; and what another schedule would do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import TERMINAL, Run
from opsconsole.calendar.cron import END, Cron
from opsconsole.core.database import Connection
from opsconsole.rules.job_history import Usual, usual_duration
from opsconsole.rules.lint import lint_job, lint_schedule
from opsconsole.rules.lint_warning import LintWarning
from opsconsole.service.runs import live
from opsconsole.service.snapshot import Progress
from opsconsole.store import failing, occurrences, runs
from opsconsole.store.failing import FailingItems

SCHEDULED_TIMES = 10
NEWEST_RUNS = 60
LAST_RUNS, LEAST_FAILURES, MOST_ITEMS = 5, 2, 20
NO_ITEMS = FailingItems((), 0, ())
NO_JOB = "this schedule"


@dataclass(frozen=True, slots=True)
class JobPage:
    """A job with its details. `words` is its schedule in words, `scheduled` are the next ten scheduled times, fewer at
    the end of the calendar, none for a manual job. `newest` are its newest 60 ended runs, newest first, and `open` its
    open ones with what they wait for, in the order in which they start. `excludes` are the other jobs with its
    `exclusive` name, `followers` those that run after it. `failing` are the items that failed in two or more of its
    last five runs.
    """

    at: datetime
    job: Job
    words: str
    scheduled: tuple[datetime, ...] = ()
    newest: tuple[Run, ...] = ()
    usual: Usual | None = None
    open: tuple[Progress, ...] = ()
    excludes: tuple[str, ...] = ()
    followers: tuple[str, ...] = ()
    failing: FailingItems = NO_ITEMS


@dataclass(frozen=True, slots=True)
class ScheduleTrial:
    """What a cron expression means in a zone: in words, its next scheduled times, and probable mistakes."""

    cron: str
    tz: str
    words: str
    scheduled: tuple[datetime, ...]
    warnings: tuple[LintWarning, ...]


def read(db: Connection, catalog: Catalog, name: str, now: datetime) -> JobPage:
    """A job in detail. Raises UnknownJob."""
    job = catalog.find(name)
    newest = tuple(runs.newest(db, limit=NEWEST_RUNS, job=job.name, states=TERMINAL))
    items = failing.failing_items(db, job.name, last=LAST_RUNS, least=LEAST_FAILURES, limit=MOST_ITEMS)
    shares = [each.name for each in catalog if job.exclusive is not None and each.exclusive == job.exclusive]
    cron = catalog.cron(job)
    return JobPage(
        at=now,
        job=job,
        words=catalog.describe_schedule(job),
        scheduled=_scheduled(cron, now, occurrences.ran_ahead(db, now).get(job.name, ())) if cron is not None else (),
        newest=newest,
        usual=usual_duration(newest),
        open=tuple(progress for progress in live(db, catalog, now) if progress.run.job == job.name),
        excludes=tuple(each for each in shares if each != job.name),
        followers=tuple(each.name for each in catalog if job.name in each.after),
        failing=items,
    )


def try_schedule(catalog: Catalog, text: str, tz: str, job: str | None, now: datetime) -> ScheduleTrial:
    """What a cron expression means, and for a job, what would be wrong with it. Raises BadCron, BadZone, UnknownJob."""
    cron = Cron(text, tz)
    found = catalog.find(job) if job is not None else None
    warnings = list(lint_schedule(found.name if found is not None else NO_JOB, cron, now))
    if found is not None:
        warnings += lint_job(catalog, found, cron, now)
    return ScheduleTrial(cron.text, cron.tz, cron.describe(), _scheduled(cron, now, ()), tuple(warnings))


def _scheduled(cron: Cron, now: datetime, ran: tuple[datetime, ...]) -> tuple[datetime, ...]:
    """The next scheduled times, without those that ran before the clock was set back."""
    return tuple(islice((at for at in cron.between(now, END) if at not in ran), SCHEDULED_TIMES))
