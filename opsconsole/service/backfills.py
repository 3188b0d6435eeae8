"""Windows of jobs, and backfills: plans for past windows, and requests to carry them out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta

from opsconsole.authoring.job import Job
from opsconsole.authoring.run import RunState, Selection
from opsconsole.calendar.cron import zone
from opsconsole.calendar.windows import Unit, Window
from opsconsole.core.database import Connection
from opsconsole.core.errors import Unavailable
from opsconsole.core.settings import Actor
from opsconsole.core.text import safe
from opsconsole.leader import backfills as backfilling
from opsconsole.rules import backfill
from opsconsole.rules.actions import Verb
from opsconsole.rules.backfill import OLDEST_FIRST, Only, Order, Pace, Step, StepState, WindowState, WindowStatus
from opsconsole.rules.backfill_status import Backfill, BackfillState, StepView
from opsconsole.rules.dates import parse_window
from opsconsole.service.backend import Backend
from opsconsole.service.commands import POLL_SECONDS, Commands
from opsconsole.service.oldest_data import OldestData
from opsconsole.service.wording import short_lived_results
from opsconsole.store import backfills, runs, windows
from opsconsole.worker import counting
from opsconsole.worker.counting import CannotCount

PlanProgress = Callable[[str, int, int], None]
"""Called with a job's name, how many of its windows have been checked for stale items, and out of how many."""

MAX_TARGET = 200
"""Characters of the names of the jobs of a plan, in the audit trail. Its arguments have them all."""
MANY_WINDOWS = 7
"""A backfill of more windows than this is worth a warning when their results expire."""
PACE_RUNS = 10
"""The newest runs that the pace of a job is estimated from."""
COMPLETED = (RunState.SUCCEEDED, RunState.PARTIAL)


@dataclass(frozen=True, slots=True)
class WindowedJob:
    """A job that has windows: their length and timezone, and the jobs that it runs after. A job with `newest_only`
    cannot be backfilled; `finds_stale` means that it can find its stale items; `manual` that it has no schedule.
    """

    job: str
    tz: str
    unit: Unit
    after: tuple[str, ...] = ()
    newest_only: bool = False
    finds_stale: bool = False
    manual: bool = False


class Backfills:
    """Plans backfills of past windows, and requests that plans are applied. Requests return the number of their
    command.
    """

    def __init__(self, backend: Backend, commands: Commands) -> None:
        self._backend, self._commands = backend, commands
        self._oldest = OldestData(backend)

    def by(self, actor: Actor, key: str | None = None) -> Backfills:
        """The same, for requests of someone other than this process's user; see `Commands.by`."""
        return Backfills(self._backend, self._commands.by(actor, key))

    # --- reading ------------------------------------------------------------------------------------------------

    def windowed_jobs(self) -> tuple[WindowedJob, ...]:
        """The jobs that have windows, by name. Does no I/O."""
        return tuple(
            WindowedJob(
                job.name,
                job.tz,
                job.covers.unit,
                job.after,
                job.newest_only,
                finds_stale=job.stale is not None,
                manual=job.cron is None,
            )
            for job in sorted(self._backend.catalog, key=lambda job: job.name)
            if job.covers.unit is not Unit.MOMENT
        )

    def windows(self, job: str, since: date | None = None, until: date | None = None) -> list[WindowStatus]:
        """The states of a job's windows in a range of dates; of the last 53 weeks by default. Raises UnknownJob,
        NotBackfillable, BadWindow, Unavailable.
        """
        found, now = self._backend.catalog.find(job), self._backend.now()
        today = now.astimezone(zone(found.tz)).date()
        selected = backfill.windows(found, since or today - timedelta(weeks=53), until or today, now)
        begins = self._oldest.begins(found)
        with self._backend.reading() as db:
            return self._survey(db, found, selected, now, begins)

    def window(self, job: str, label: str) -> WindowStatus:
        """The state of the window with this label, or of the one that holds this date. Raises UnknownJob,
        NotBackfillable, BadWindow, Unavailable, also where only the data shows whether the window is missing.
        """
        day, found = parse_window(label), self._backend.catalog.find(job)
        status = self.windows(job, day, day)[0]
        if status.state is WindowState.MISSING and found.oldest is not None and self._oldest.begins(found) is None:
            raise Unavailable("data", f"the oldest data of {found.name} cannot be read")
        return status

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
        catalog = self._backend.catalog
        planned = [view.step for view in self.steps(number)]
        found = []
        for job in (catalog.find(name) for name in dict.fromkeys(step.job for step in planned) if name in catalog):
            count = sum(step.job == job.name and step.runs for step in planned)
            if job.results_ttl is not None and count > MANY_WINDOWS:
                found.append(short_lived_results(job.name, job.results_ttl, count))
        return found

    def newest(self, *, limit: int) -> list[Backfill]:
        """Backfills, newest first, including plans that were never applied."""
        with self._backend.reading() as db:
            return backfills.newest(db, limit=limit)

    def wait_for(self, number: int, seconds: float) -> Backfill | None:
        """The backfill once none of its windows is running; None when one still is after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.get(number)
            if found.state is not BackfillState.RUNNING and not found.counts.get(StepState.RUNNING, 0):
                return found
            if time.monotonic() > deadline:
                return None
            time.sleep(POLL_SECONDS)

    # --- planning -----------------------------------------------------------------------------------------------

    def plan(
        self,
        jobs: Sequence[str],
        since: date,
        until: date,
        *,
        only: Only = Only.ALL,
        stop_on_failure: bool = False,
        order: Order = OLDEST_FIRST,
        progress: PlanProgress | None = None,
    ) -> int:
        """Stores a plan for these jobs' windows between two dates, both included; returns its number. With
        `stop_on_failure` a failed window pauses the rest; `order` is part of the plan. A repeated request with the same
        key returns the earlier plan. Raises UnknownJob, NotBackfillable, BadWindow, Unavailable, CannotCount, KeyUsed,
        or NotAllowed for an actor who may only view, which is recorded.
        """
        dates = {"from": since.isoformat(), "to": until.isoformat()}
        options = {"only": str(only), "stop_on_failure": stop_on_failure, **asdict(order)}
        request = Verb.PLAN_BACKFILL, safe(", ".join(jobs), MAX_TARGET), {"jobs": list(jobs), **dates, **options}
        earlier = self._commands.performed(*request)
        if earlier is not None:
            return int(earlier["backfill"])
        catalog, now = self._backend.catalog, self._backend.now()
        ordered = backfill.in_order({catalog.find(name).name: catalog.find(name) for name in jobs}.values())
        planned: list[tuple[float, int, Step]] = []
        direction = -1 if order.newest_first else 1
        for place, job in enumerate(ordered):
            selected = backfill.windows(job, since, until, now)
            begins = self._oldest.begins(job, fresh=True)
            self._count_stale(job, selected, only, now, begins, progress)
            with self._backend.reading() as db:
                surveyed = self._survey(db, job, selected, now, begins)
                pace = self._pace(db, job)
            if not pace.items and selected:
                pace = replace(pace, items=self._count_items(job, selected[-1], now))
            steps = backfill.decide(job, surveyed, only, pace)
            planned += [(direction * step.window.end.timestamp(), place, step) for step in steps]

        def store(db: Connection) -> dict[str, int]:
            number = backfills.add(
                db,
                [step for _, _, step in sorted(planned, key=lambda each: each[:2])],
                jobs=[job.name for job in ordered],
                since=since.isoformat(),
                until=until.isoformat(),
                only=only,
                stop_on_failure=stop_on_failure,
                order=order,
                requested_by=self._commands.actor.name,
                at=now,
            )
            return {"backfill": number}

        return int(self._commands.perform(*request, store)["backfill"])

    def _survey(
        self, db: Connection, job: Job, selected: Sequence[Window], now: datetime, begins: datetime | None
    ) -> list[WindowStatus]:
        return backfilling.survey(db, self._backend.catalog, job, selected, now, begins)

    def _count_stale(
        self,
        job: Job,
        selected: Sequence[Window],
        only: Only,
        now: datetime,
        begins: datetime | None,
        progress: PlanProgress | None,
    ) -> None:
        """Counts the stale items of each window that was never checked, and stores the counts. Where they decide what a
        plan runs or overwrites, all are counted again: a check in the background may be ten minutes old.
        """
        if job.stale is None:
            return
        with self._backend.reading() as db:
            surveyed = self._survey(db, job, selected, now, begins)
        with_data = (WindowState.FRESH, WindowState.STALE, WindowState.MISSING)
        to_count = [
            each.window
            for each in surveyed
            if each.state in with_data and (only & (Only.STALE | Only.ALL) or each.record.checked_at is None)
        ]
        for n, window in enumerate(to_count, 1):
            stale = self._backend.counter.count(counting.request(job, window, min(window.end, now), stale=True))
            with self._backend.writing() as db:
                windows.record_check(db, job.name, window, stale, now)
            if progress is not None:
                progress(job.name, n, len(to_count))

    @staticmethod
    def _pace(db: Connection, job: Job) -> Pace:
        newest = runs.newest(db, limit=PACE_RUNS, job=job.name, states=COMPLETED, selection=Selection.ALL)
        return backfill.pace(newest)

    def _count_items(self, job: Job, window: Window, now: datetime) -> int:
        try:
            return self._backend.counter.count(counting.request(job, window, min(window.end, now)))
        except (CannotCount, Unavailable):
            return 0  # only an estimate; the run will report the problem

    # --- requests -----------------------------------------------------------------------------------------------

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

    def _send(self, verb: Verb, number: int, **arguments: str) -> int:
        self.get(number)
        return self._commands.send(verb, str(number), arguments)
