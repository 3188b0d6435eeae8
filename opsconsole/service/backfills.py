"""The windows of jobs, and plans to fill them: what the faces ask before anything is backfilled."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Resources, how_many
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import RunState, Selection
from opsconsole.authoring.scope import Scope
from opsconsole.calendar.cron import zone
from opsconsole.calendar.windows import Unit, Window
from opsconsole.core.database import Connection
from opsconsole.core.errors import BadWindow, Unavailable
from opsconsole.leader import backfills as backfilling
from opsconsole.rules import backfill
from opsconsole.rules.actions import Verb
from opsconsole.rules.backfill import Only, Pace, Step, StepState, WindowState, WindowStatus
from opsconsole.rules.backfill_status import Backfill, BackfillState, StepView
from opsconsole.service.backend import Backend, reading
from opsconsole.service.commands import POLL_SECONDS, Commands
from opsconsole.store import Store, backfills, runs, windows
from opsconsole.worker import staleness
from opsconsole.worker.work import BadPopulation, population

Looking = Callable[[str, int, int], None]
"""Told a job's name, how many of its windows have been looked at, and of how many."""

MANY_WINDOWS = 7
"""Results that go by themselves are not worth filling more windows with than so many, or so one is warned."""
USUAL_RUNS = 10
GOOD = (RunState.SUCCEEDED, RunState.PARTIAL)


@dataclass(frozen=True, slots=True)
class Calendar:
    """A job that has windows: how long they are, in which zone, and which jobs it comes after. With `newest_only` there
    is nothing to fill; `tells_stale` says whether its pack can tell what is out of date. `manual`: no schedule.
    """

    job: str
    tz: str
    unit: Unit
    after: tuple[str, ...] = ()
    newest_only: bool = False
    tells_stale: bool = False
    manual: bool = False


class Backfills:
    """Plans past windows, and requests that plans are applied. Requests return the number of their command."""

    def __init__(self, backend: Backend, commands: Commands) -> None:
        self._backend, self._commands = backend, commands

    def calendars(self) -> tuple[Calendar, ...]:
        """The jobs that have windows. Does no I/O."""
        return calendars(self._backend.catalog)

    def windows(self, job: str, since: date | None = None, until: date | None = None) -> list[WindowStatus]:
        """The states of a job's windows in a range of dates; of the last 53 weeks by default. Raises UnknownJob,
        NotBackfillable, BadWindow.
        """
        backend = self._backend
        found, now = backend.catalog.find(job), backend.now()
        first, last = year(found, now)
        return survey(backend.store, backend.catalog, found, since or first, until or last, now)

    def plan(
        self,
        jobs: Sequence[str],
        since: date,
        until: date,
        *,
        only: Only = Only.ALL,
        stop_on_failure: bool = False,
        looking: Looking | None = None,
    ) -> int:
        """Stores a plan for these jobs' windows between two dates, both included; returns its number. With `stop_on_failure` a
        failed window pauses the rest. Raises UnknownJob, NotBackfillable, BadWindow, Unavailable.
        """
        return plan(
            self._backend.store,
            self._backend.tools,
            self._backend.catalog,
            jobs,
            since,
            until,
            only=only,
            stop_on_failure=stop_on_failure,
            requested_by=self._backend.settings.actor.name,
            now=self._backend.now(),
            looking=looking,
        )

    def get(self, number: int) -> Backfill:
        """One backfill, even if only planned. Raises UnknownBackfill."""
        with self._backend.reading() as db:
            return backfills.get(db, number)

    def steps(self, number: int) -> list[StepView]:
        """The windows of a backfill, in the order of its plan."""
        with self._backend.reading() as db:
            return backfills.steps_of(db, number)

    def warnings(self, number: int) -> list[str]:
        """What to know before a plan is applied, one sentence each."""
        return warnings(self._backend.catalog, [view.step for view in self.steps(number)])

    def newest(self, *, limit: int) -> list[Backfill]:
        """Backfills, newest first, including plans that were never applied."""
        with self._backend.reading() as db:
            return backfills.newest(db, limit=limit)

    def apply(self, number: int) -> int:
        """Requests exactly what was planned. Raises UnknownBackfill."""
        return self._send(Verb.APPLY_BACKFILL, number)

    def pause(self, number: int, *, note: str = "") -> int:
        """Requests that no further window of a backfill starts. Raises UnknownBackfill."""
        return self._send(Verb.PAUSE_BACKFILL, number, note=note)

    def resume(self, number: int) -> int:
        """Requests the windows a backfill has not done, failed ones included. Raises UnknownBackfill."""
        return self._send(Verb.RESUME_BACKFILL, number)

    def cancel(self, number: int, *, note: str = "") -> int:
        """Requests the end of a backfill and of its active runs. Raises UnknownBackfill."""
        return self._send(Verb.CANCEL_BACKFILL, number, note=note)

    def wait_for(self, number: int, seconds: float) -> Backfill | None:
        """The backfill once none of its windows is running; None when that is not so within `seconds`."""
        end = time.monotonic() + seconds
        while True:
            found = self.get(number)
            if found.state is not BackfillState.RUNNING and not found.counts.get(StepState.RUNNING, 0):
                return found
            if time.monotonic() > end:
                return None
            time.sleep(POLL_SECONDS)

    def _send(self, verb: Verb, number: int, **arguments: str) -> int:
        self.get(number)
        return self._commands.send(verb, str(number), arguments)


def calendars(catalog: Catalog) -> tuple[Calendar, ...]:
    """The jobs that have windows, by name."""
    return tuple(
        Calendar(
            job.name,
            job.tz,
            job.covers.unit,
            job.after,
            job.newest_only,
            job.stale is not None,
            manual=job.cron is None,
        )
        for job in sorted(catalog, key=lambda job: job.name)
        if job.covers.unit is not Unit.MOMENT
    )


def dates(since: str, until: str) -> tuple[date, date]:
    """A range of dates as somebody wrote it. Raises BadWindow."""
    found = []
    for text in (since, until):
        try:
            found.append(date.fromisoformat(text))
        except ValueError:
            raise BadWindow(f"{text!r} is not a date; write it as 2026-01-19") from None
    return found[0], found[1]


def year(job: Job, now: datetime) -> tuple[date, date]:
    """The last 53 weeks up to the day that it is now in the job's zone."""
    today = now.astimezone(zone(job.tz)).date()
    return today - timedelta(weeks=53), today


def survey(store: Store, catalog: Catalog, job: Job, since: date, until: date, now: datetime) -> list[WindowStatus]:
    """How the job's windows of a range are. Raises NotBackfillable, BadWindow, Unavailable."""
    wanted = backfill.windows(job, since, until, now)
    with reading(store) as db:
        return backfilling.survey(db, catalog, job, wanted, now)


def plan(
    store: Store,
    tools: Resources,
    catalog: Catalog,
    names: Sequence[str],
    since: date,
    until: date,
    *,
    only: Only,
    stop_on_failure: bool,
    requested_by: str,
    now: datetime,
    looking: Looking | None = None,
) -> int:
    """Keeps what a backfill of these jobs would do, and returns its number.

    Raises UnknownJob, NotBackfillable, BadWindow, Unavailable.
    """
    jobs = backfill.in_order({catalog.find(name).name: catalog.find(name) for name in names}.values())
    planned: list[tuple[datetime, int, Step]] = []
    for place, job in enumerate(jobs):
        wanted = backfill.windows(job, since, until, now)
        _look(store, tools, catalog, job, wanted, now, looking)
        with reading(store) as db:
            seen = backfilling.survey(db, catalog, job, wanted, now)
            pace = _pace(db, job)
        if not pace.items:
            pace = replace(pace, items=_items(tools, catalog, job, wanted[-1], now) if wanted else 0)
        planned += [(step.window.end, place, step) for step in backfill.decide(job, seen, only, pace)]
    steps = [step for _, _, step in sorted(planned, key=lambda each: each[:2])]
    with reading(store), store.writing() as db:
        return backfills.add(
            db,
            steps,
            jobs=[job.name for job in jobs],
            since=since.isoformat(),
            until=until.isoformat(),
            only=only,
            stop_on_failure=stop_on_failure,
            requested_by=requested_by,
            at=now,
        )


def warnings(catalog: Catalog, steps: Sequence[Step]) -> list[str]:
    """What somebody should know before a plan is applied, one sentence each."""
    found = []
    for job in (catalog.find(name) for name in dict.fromkeys(step.job for step in steps) if name in catalog):
        many = sum(step.job == job.name and step.runs for step in steps)
        if job.results_last is not None and many > MANY_WINDOWS:
            hours = job.results_last.total_seconds() / 3600
            found.append(f"the results of {job.name} go by themselves after {hours:g} h; this makes {many:,} windows")
    return found


def _look(
    store: Store,
    tools: Resources,
    catalog: Catalog,
    job: Job,
    wanted: Sequence[Window],
    now: datetime,
    looking: Looking | None,
) -> None:
    """Works out what is stale of the windows that nobody has looked at yet."""
    if job.stale is None:
        return
    with reading(store) as db:
        seen = backfilling.survey(db, catalog, job, wanted, now)
    looked_at = (WindowState.FRESH, WindowState.STALE, WindowState.MISSING)
    unknown = [each.window for each in seen if each.record.checked_at is None and each.state in looked_at]
    for n, window in enumerate(unknown, 1):
        stale = staleness.count(tools.data, catalog, job, window, now)
        with reading(store), store.writing() as db:
            windows.record_check(db, job.name, window, stale, now)
        if looking is not None:
            looking(job.name, n, len(unknown))


def _pace(db: Connection, job: Job) -> Pace:
    return backfill.pace(runs.newest(db, limit=USUAL_RUNS, job=job.name, states=GOOD, selection=Selection.ALL))


def _items(tools: Resources, catalog: Catalog, job: Job, window: Window, now: datetime) -> int:
    try:
        return how_many(tools.data, population(job, Scope(window, min(window.end, now), {}, catalog.options(job))))
    except (BadPopulation, Unavailable):
        return 0  # an estimate; whatever is wrong, the run will say
