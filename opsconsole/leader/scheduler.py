"""The scheduler: APScheduler wakes the planner at each scheduled time, and its plan is written in one transaction."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import ON_TIME, Occurrence, Reason, Registration
from opsconsole.authoring.run import RunState, Stop, StopReason, Trigger
from opsconsole.calendar.cron import TICK, Cron, zone
from opsconsole.core.clock import Clock, steady
from opsconsole.core.database import Connection, reason
from opsconsole.core.errors import Fenced, OpsconsoleError
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.humanize import count, duration
from opsconsole.leader.containment import Containment, ends_leadership
from opsconsole.leader.empty_checks import Due, EmptyChecks
from opsconsole.leader.trigger import CronTrigger
from opsconsole.rules.admission import WaitReason, admissions
from opsconsole.rules.schedule import Interval, OpenRun, Recorded, Schedule, plan, record_unrun, revise
from opsconsole.store import Store, alerts, notifications, occurrences, pauses, registrations, runs, silences, windows

log = logging.getLogger(__name__)

JUMP = timedelta(minutes=5)
"""A clock that gained this much on the steady clock since the last tick was set forward."""
STEP = timedelta(seconds=1)
"""A clock that lost this much on the steady clock since the last tick was set back."""
REPLACED_GRACE = timedelta(seconds=10)
RETRY_SECONDS = 60.0
"""The time between two tries to plan a job whose plan raises something unexpected."""


class Scheduler:
    """Plans while this process leads with `token`. Calls `planned` after it has queued runs."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        token: int,
        *,
        planned: Callable[[], None],
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
        self._last_tick: tuple[datetime, float] | None = None
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
        self._last_tick = now, steady()  # a clock set between the registration and the first tick has jumped, too
        with self._store.fenced(self._token) as db:
            self._set_back(db, now)
            self._register(db, now)
            self._read_cursors(db)
        for name, cron in self._crons.items():
            self._ticker.add_job(self.tick, CronTrigger(cron, self._jobs[name].shift), id=name)
        self.tick()
        self._ticker.start()

    def stop(self) -> None:
        """Stops; no tick starts afterwards."""
        if self._ticker.running:
            self._ticker.shutdown(wait=True)

    def heartbeat(self) -> None:
        """Call it about once a second: after a clock jump APScheduler would wait for the old time."""
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
            now, last_tick = self._now(), self._last_tick
            gained = self._gained(now)
            try:
                if gained < -STEP or any(cursor > now for cursor in self._cursors.values()):
                    with self._store.fenced(self._token) as db:
                        self._set_back(db, now)
                        self._read_cursors(db)
                due = list(self._due_jobs(now))
                queued = self._plan(due, now, gained > JUMP) if due else 0
            except Exception:
                self._last_tick = last_tick
                raise
            reach(Point.PLAN_COMMITTED)
        if queued:
            self._planned()

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
        and any other is planned anew.
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

    def _plan(self, due: list[Due], now: datetime, jumped: bool) -> int:
        """Plans all due jobs in one transaction; if that raises, each in its own, so that a job whose plan is at fault
        does not stop the others.
        """
        try:
            return self._write(due, now, jumped)
        except Exception as error:
            if ends_leadership(error):
                raise
            log.warning("the due jobs are planned one by one: %s", reason(error))
        queued = 0
        for one in due:
            name = one.job.name
            with self._containment.around(f"the schedule of {name}", partial(self._postpone, name)):
                queued += self._write([one], now, jumped)
                self._containment.take_back(f"the schedule of {name}")
        return queued

    def _postpone(self, name: str, cause: str) -> None:
        self._not_before[name] = steady() + RETRY_SECONDS
        self._containment.set_aside(f"the schedule of {name}", cause)

    # --- registering --------------------------------------------------------------------------------------------

    def _register(self, db: Connection, now: datetime) -> None:
        """Registers new, removed, restored and rescheduled jobs. A new schedule applies from now on; the remaining
        times of the old one are recorded without a run.
        """
        registered = registrations.registrations(db)
        for name, old in registered.items():
            if name not in self._jobs and old.removed_at is None and not old.unreadable:
                self._record_remaining(db, old, now, Reason.JOB_REMOVED)
                registrations.remove(db, name, now)
        for name, job in self._jobs.items():
            current = registered.get(name)
            if current is not None and current.unreadable:
                log.error(
                    "the schedule of %s is planned from now on: its record cannot be read: %s", name, current.unreadable
                )
                registrations.replace(db, job, now)
            elif current is None or current.removed_at is not None:
                registrations.register(db, job, now)
            elif (current.cron, current.tz) != (job.cron, job.tz):
                self._record_remaining(db, current, now, Reason.NOT_LEADING)
                registrations.register(db, job, now)
            elif current.spec != job.spec:
                registrations.respecify(db, job)

    def _record_remaining(self, db: Connection, old: Registration, now: datetime, reason: Reason) -> None:
        if old.cron is None:
            return
        try:
            cron = Cron(old.cron, old.tz)
        except OpsconsoleError as error:
            log.warning("the old schedule of %s cannot be read: %s", old.job, error.sentence)
            return
        paused = [
            Interval(pause.since, pause.until)
            for pause in pauses.since(db, old.planned_until)
            if pause.applies_to(old.job)
        ]
        recorded = self._recorded(db, old.job, cron, old.planned_until, now)
        since = old.planned_until
        for occurrence in record_unrun(old.job, old.spec, cron, since, now, paused, reason, recorded):
            occurrences.record(db, occurrence, token=self._token, at=now)

    # --- planning -----------------------------------------------------------------------------------------------

    def _write(self, due: list[Due], now: datetime, jumped: bool) -> int:
        queued = 0
        with self._store.fenced(self._token) as db:
            planned = plan(self._schedules(db, due, now, jumped=jumped), now, jumped=jumped)
            for occurrence in planned:
                if occurrence.reason is Reason.NOTHING_TO_DO:
                    before = self._crons[occurrence.job].previous(occurrence.due_at - TICK)
                    occurrences.record_nothing_to_do(db, occurrence, before, token=self._token, at=now)
                    continue
                number = occurrences.record(db, occurrence, token=self._token, at=now)
                if occurrence.runs:
                    self._queue(db, occurrence, number, now)
                    queued += 1
            ends = {
                each.job.name: until
                for each in due
                if (until := each.cron.previous(each.until(now - each.job.shift))) is not None
            }
            for name, until in ends.items():
                registrations.advance(db, name, until)
            reach(Point.PLAN_WRITTEN)
        self._cursors.update(ends)
        self._beyond = {name: last for name, last in self._beyond.items() if last > self._cursors.get(name, now)}
        self._look_ahead(ends)
        return queued

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
                self._recorded(db, job.name, cron, self._cursors[job.name], now - job.shift, jumped=jumped)
                if job.name in self._beyond
                else (),
                checked,
            )
            for job, cron, checked in due
        ]

    def _recorded(
        self, db: Connection, job: str, cron: Cron, cursor: datetime, now: datetime, *, jumped: bool = False
    ) -> tuple[Recorded, ...]:
        """The times in (cursor, now] that keep their rows. The other rows lose them, to be planned anew."""
        has_returned = jumped and now >= self._beyond.get(job, now)
        revision = revise(occurrences.between(db, job, cursor, now), cron, cursor, now, has_returned=has_returned)
        for number, left in revision.shortened.items():
            occurrences.shorten(db, number, left)
        for number in revision.repeated:
            occurrences.record_repetition(db, number)
        return revision.keep

    def _queue(self, db: Connection, occurrence: Occurrence, number: int, now: datetime) -> None:
        job, cron = self._jobs[occurrence.job], self._crons[occurrence.job]
        run = runs.create(
            db,
            job,
            job.covers.at(occurrence.due_at, zone(cron.tz)),
            as_of=occurrence.due_at,
            trigger=Trigger.SCHEDULE,
            requested_by="schedule",
            at=now,
            occurrence=number,
        )
        for replaced in occurrence.replaces:
            stop = Stop("schedule", now, now + REPLACED_GRACE, StopReason.REPLACED, run=run)
            runs.request_stop(db, replaced, stop)

    def _job(self, name: str) -> Job | None:
        return self._jobs.get(name)

    def _shift(self, name: str) -> timedelta:
        """How long after their scheduled times the runs of a job start."""
        job = self._jobs.get(name)
        return timedelta(0) if job is None else job.shift

    def _gained(self, now: datetime) -> timedelta:
        """How far the clock was set forward since the last tick; negative when it was set back."""
        before, self._last_tick = self._last_tick, (now, steady())
        if before is None:
            return timedelta(0)
        gained = (now - before[0]) - timedelta(seconds=self._last_tick[1] - before[1])
        if abs(gained) > JUMP:
            log.warning("the clock was set %s by %s", "forward" if gained > JUMP else "back", duration(abs(gained)))
        return gained

    def _look_ahead(self, cursors: dict[str, datetime]) -> None:
        for name, cursor in cursors.items():
            due_at = self._crons[name].next(cursor)
            if due_at is None:
                self._due.pop(name, None)
            else:
                self._due[name] = due_at + self._jobs[name].shift
