"""The scheduler: APScheduler wakes the planner at each scheduled time, and its plan is written in one transaction."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import ON_TIME, Occurrence, Reason
from opsconsole.authoring.run import Run, RunState, Stop, StopReason, Trigger
from opsconsole.calendar.cron import TICK, zone
from opsconsole.core.clock import Clock, steady
from opsconsole.core.database import Connection
from opsconsole.core.database_errors import reason
from opsconsole.core.errors import Fenced
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.humanize import count, duration
from opsconsole.leader.clock_watch import JUMP, STEP, ClockWatch
from opsconsole.leader.containment import Containment, ends_leadership
from opsconsole.leader.empty_checks import Due, EmptyChecks
from opsconsole.leader.planned_runs import PlannedRuns
from opsconsole.leader.registering import recorded, register
from opsconsole.leader.trigger import NextDue
from opsconsole.rules.admission import WaitReason, admissions
from opsconsole.rules.schedule import Interval, OpenRun, Schedule, plan
from opsconsole.store import (
    Store,
    alerts,
    notifications,
    occurrences,
    pauses,
    registrations,
    runs,
    schedules,
    silences,
    windows,
)

log = logging.getLogger(__name__)

DRIFT_SECONDS, WAKE_SECONDS = 0.005, 60.0
"""How far the clock may move against the one that waits before APScheduler looks at it again, and the longest wait
without that."""
REPLACED_GRACE = timedelta(seconds=10)
RETRY_SECONDS = 60.0
"""The time between two tries to plan a job whose plan raises something unexpected."""


class Scheduler:
    """Plans while this process leads with `token`, and adds the runs that it queues to `planned`."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        token: int,
        *,
        planned: PlannedRuns,
        now: Clock,
        containment: Containment,
        empty_checks: EmptyChecks,
    ) -> None:
        self._store, self._catalog, self._token = store, catalog, token
        self._containment, self._empty_checks = containment, empty_checks
        self._not_before: dict[str, float] = {}
        self._planned, self._now = planned, now
        self._jobs = {job.name: job for job in catalog}
        self._crons = {job.name: cron for job in catalog if (cron := catalog.cron(job)) is not None}
        self._cursors: dict[str, datetime] = {}
        self._beyond: dict[str, datetime] = {}
        """The last recorded time of the jobs that have rows later than their cursor: see `_set_back`."""
        self._due: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._clock = ClockWatch()
        self._ahead = self._woken = 0.0
        # One thread, so that plans follow each other; in memory, because the store knows what was planned.
        self._ticker = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=UTC,
        )

    def start(self) -> None:
        """Registers the jobs, catches up with what was missed, and ticks from now on.

        Raises Fenced when this process no longer leads.
        """
        now = self._now()
        self._clock.start(now)  # a clock set between the registration and the first tick has jumped, too
        with self._store.fenced(self._token) as db:
            self._take_jobs(db)
            self._set_back(db, now)
            register(db, self._jobs, now, self._token)
            self._read_cursors(db)
        self._await_next_due()
        self.tick()
        self._ticker.start()

    def reload(self) -> None:
        """Applies the schedules that operators changed, from now on: nothing runs at once. Raises Fenced."""
        with self._lock:
            now = self._now()
            with self._store.fenced(self._token) as db:
                self._take_jobs(db)
                register(db, self._jobs, now, self._token)
                self._read_cursors(db)
        self._await_next_due()

    def _take_jobs(self, db: Connection) -> None:
        self._catalog.apply(schedules.changed(db))
        self._jobs = {job.name: job for job in self._catalog}
        self._crons = {job.name: cron for job in self._catalog if (cron := self._catalog.cron(job)) is not None}
        self._due = {name: due_at for name, due_at in self._due.items() if name in self._crons}

    def stop(self) -> None:
        """Stops; no tick starts afterwards."""
        if self._ticker.running:
            self._ticker.shutdown(wait=True)

    def _next_due(self, after: datetime) -> datetime | None:
        """The first scheduled time of any job later than `after`. APScheduler calls it before what is due is
        planned, and must not wait for that.
        """
        jobs, crons = self._jobs, self._crons
        ahead = []
        for name, due_at in list(self._due.items()):
            if due_at > after:
                ahead.append(due_at)
            elif name in crons and (following := crons[name].next(after - jobs[name].shift)) is not None:
                ahead.append(following + jobs[name].shift)
        return min(ahead, default=None)

    def _await_next_due(self) -> None:
        self._ticker.add_job(self.tick, NextDue(self._next_due), id="tick", replace_existing=True)

    def heartbeat(self) -> None:
        """Call it about once a second: after a clock jump APScheduler would wait for the old time."""
        waited = time.monotonic()  # the clock by which APScheduler waits
        ahead = self._now().timestamp() - waited
        if abs(ahead - self._ahead) > DRIFT_SECONDS or waited - self._woken > WAKE_SECONDS:
            self._ahead, self._woken = ahead, waited
            self._ticker.wakeup()
        self._tick()

    def tick(self) -> None:
        """Plans the due times of all jobs. A plan that cannot be written is made again at the next heartbeat."""
        try:
            self._tick()
        except Fenced as error:
            log.warning("%s", error.sentence)
        except SQLAlchemyError as error:
            log.warning("the plan could not be written: %s", reason(error))

    def _tick(self) -> None:
        with self._lock:
            now = self._now()
            with self._clock.looking(now) as gained:
                if gained < -STEP or any(cursor > now for cursor in self._cursors.values()):
                    with self._store.fenced(self._token) as db:
                        self._set_back(db, now)
                        self._read_cursors(db)
                if due := list(self._due_jobs(now)):
                    self._plan(due, now, gained > JUMP)
            reach(Point.PLAN_COMMITTED)

    def _due_jobs(self, now: datetime) -> Iterator[Due]:
        """The jobs to plan now: without those whose items are still being checked."""
        for name, due_at in self._due.items():
            if due_at <= now and self._not_before.get(name, 0.0) <= steady():
                due = self._empty_checks.due(self._jobs[name], self._crons[name], now - self._jobs[name].shift)
                if due is not None:
                    yield due

    def _set_back(self, db: Connection, now: datetime) -> None:
        """Repairs what a clock wrote that was ahead, or is behind now: cursors and pending stamps later than `now`.

        The rows of scheduled times later than `now` stay until their time comes: a time that ran does not run again,
        and any other is planned again.
        """
        for store in (runs, pauses, windows, alerts, silences, notifications):
            store.set_back(db, now)
        cursors = registrations.set_back(db, now)
        ahead = max(cursors.values(), default=now) - now
        if ahead > ON_TIME:
            log.warning(
                "the schedules of %s were planned up to %s from now: the clock was ahead, or is behind; "
                "they are planned from now on, and no time that ran runs again",
                count(len(cursors), "job"),
                duration(ahead),
            )

    def _read_cursors(self, db: Connection) -> None:
        registered = registrations.registrations(db)
        self._cursors = {name: registered[name].planned_until for name in self._crons}
        self._beyond = occurrences.beyond_cursors(db)
        self._look_ahead(self._cursors)

    def _plan(self, due: list[Due], now: datetime, jumped: bool) -> None:
        """Plans all due jobs in one transaction; if that raises, each in its own, so that a job whose plan is at fault
        does not stop the others.
        """
        try:
            self._write(due, now, jumped)
            return
        except Exception as error:
            if ends_leadership(error):
                raise
            log.warning("the due jobs are planned one by one: %s", reason(error))
        for one in due:
            name = one.job.name
            with self._containment.around(f"the schedule of {name}", partial(self._postpone, name)):
                self._write([one], now, jumped)
                self._containment.take_back(f"the schedule of {name}")

    def _postpone(self, name: str, cause: str) -> None:
        self._not_before[name] = steady() + RETRY_SECONDS
        self._containment.set_aside(f"the schedule of {name}", cause)

    # --- planning -----------------------------------------------------------------------------------------------

    def _write(self, due: list[Due], now: datetime, jumped: bool) -> None:
        ends = {
            each.job.name: until
            for each in due
            if (until := each.cron.previous(each.until(now - each.job.shift))) is not None
        }
        with ExitStack() as after, self._store.fenced(self._token) as db:
            planned = plan(self._schedules(db, due, now, jumped=jumped), now, jumped=jumped)
            recorded = [each for each in planned if each.reason is not Reason.NOTHING_TO_DO]
            numbers = occurrences.record_all(db, recorded, token=self._token, at=now)
            queued = [each for each in zip(recorded, numbers, strict=True) if each[0].runs]
            created = self._queue(db, queued, now)
            for occurrence in planned:
                if occurrence.reason is Reason.NOTHING_TO_DO:
                    before = self._crons[occurrence.job].previous(occurrence.due_at - TICK)
                    occurrences.record_nothing_to_do(db, occurrence, before, token=self._token, at=now)
            registrations.advance(db, ends)
            reach(Point.PLAN_WRITTEN)
            replace_others = any(occurrence.replaces for occurrence in recorded)
            after.enter_context(self._planned.adding(created, replace_others=replace_others))
        self._cursors.update(ends)
        self._beyond = {name: last for name, last in self._beyond.items() if last > self._cursors.get(name, now)}
        self._look_ahead(ends)

    def _schedules(self, db: Connection, due: list[Due], now: datetime, *, jumped: bool) -> list[Schedule]:
        open_runs = runs.unfinished(db)
        waiting_for_slot = {
            run.id
            for run, wait in admissions(open_runs, self._job, now)
            if wait is not None and wait.reason is WaitReason.CAPACITY
        }
        scheduled = defaultdict(list)
        for run in open_runs:
            if run.trigger is Trigger.SCHEDULE:
                caught_up = run.created_at - run.as_of - self._shift(run.job) > ON_TIME
                is_queued, for_a_slot = run.state is RunState.QUEUED, run.id in waiting_for_slot
                scheduled[run.job].append(OpenRun(run.id, is_queued, caught_up, for_a_slot))
        paused = pauses.since(db, min((self._cursors[each.job.name] for each in due), default=now))
        return [
            Schedule(
                job,
                cron,
                self._cursors[job.name],
                tuple(Interval(pause.since, pause.until) for pause in paused if pause.applies_to(job.name)),
                tuple(scheduled[job.name]),
                recorded(
                    db,
                    job.name,
                    cron,
                    self._cursors[job.name],
                    now - job.shift,
                    has_returned=jumped and now - job.shift >= beyond,
                )
                if (beyond := self._beyond.get(job.name)) is not None
                else (),
                checked,
            )
            for job, cron, checked in due
        ]

    def _queue(self, db: Connection, due: list[tuple[Occurrence, int]], now: datetime) -> list[Run]:
        """Queues the runs of these occurrences, which have these numbers."""
        rows = []
        for occurrence, number in due:
            job = self._jobs[occurrence.job]
            rows.append((job, job.covers.at(occurrence.due_at, zone(job.tz)), occurrence.due_at, number))
        created = runs.create_scheduled(db, rows, now)
        for (occurrence, _), run in zip(due, created, strict=True):
            for replaced in occurrence.replaces:
                stop = Stop("schedule", now, now + REPLACED_GRACE, StopReason.REPLACED, run=run.id)
                runs.request_stop(db, replaced, stop)
        return created

    def _job(self, name: str) -> Job | None:
        return self._jobs.get(name)

    def _shift(self, name: str) -> timedelta:
        """How long after their scheduled times the runs of a job start."""
        job = self._jobs.get(name)
        return timedelta(0) if job is None else job.shift

    def _look_ahead(self, cursors: dict[str, datetime]) -> None:
        for name, cursor in cursors.items():
            due_at = self._crons[name].next(cursor)
            if due_at is None:
                self._due.pop(name, None)
            else:
                self._due[name] = due_at + self._jobs[name].shift
