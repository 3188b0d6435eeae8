"""The tick: APScheduler wakes the planner at each instant, and what it decides is written in one transaction."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import ON_TIME, Occurrence, Reason, Registration
from opsconsole.authoring.run import RunState, Stop, StopReason, Trigger
from opsconsole.calendar.cron import Cron, zone
from opsconsole.core.clock import Clock, steady
from opsconsole.core.database import Connection, reason
from opsconsole.core.errors import Fenced, OpsconsoleError
from opsconsole.core.failpoints import Point, reach
from opsconsole.leader.trigger import CronTrigger
from opsconsole.rules.admission import WaitReason, admissions
from opsconsole.rules.schedule import Open, Schedule, Stretch, plan, unrun
from opsconsole.store import Store, occurrences, pauses, registrations, runs

log = logging.getLogger(__name__)

JUMP = timedelta(minutes=5)
"""A clock that gained so much on a steady one since the last look was set forward."""
REPLACED_GRACE = timedelta(seconds=10)


class Scheduler:
    """Plans while this process leads with `token`; `planned` is called when runs were queued."""

    def __init__(self, store: Store, catalog: Catalog, token: int, *, planned: Callable[[], None], now: Clock) -> None:
        self._store, self._catalog, self._token = store, catalog, token
        self._planned, self._now = planned, now
        self._jobs = {job.name: job for job in catalog}
        self._crons = {job.name: cron for job in catalog if (cron := catalog.cron(job)) is not None}
        self._cursors: dict[str, datetime] = {}
        self._due: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._looked: tuple[datetime, float] | None = None
        # One thread: plans follow each other. In memory: the store, not APScheduler, knows what was planned.
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
        with self._store.fenced(self._token) as db:
            self._register(db, now)
            known = registrations.registrations(db)
        self._cursors = {name: known[name].planned_until for name in self._crons}
        self._look_ahead(self._cursors)
        for name, cron in self._crons.items():
            self._ticker.add_job(self.tick, CronTrigger(cron), id=name)
        self.tick()
        self._ticker.start()

    def stop(self) -> None:
        """No tick begins after this."""
        if self._ticker.running:
            self._ticker.shutdown(wait=True)

    def heartbeat(self) -> None:
        """To be called about each second: a clock that jumped would leave APScheduler waiting for the old time."""
        self._ticker.wakeup()
        self.tick()

    def tick(self) -> None:
        """Plans what is due; costs nothing when nothing is. What cannot be written is planned again at the next."""
        with self._lock:
            now, looked = self._now(), self._looked
            jumped = self._has_jumped(now)
            due = [(self._jobs[name], self._crons[name]) for name, instant in self._due.items() if instant <= now]
            if not due:
                return
            try:
                queued = self._plan(due, now, jumped)
            except Fenced as error:
                log.warning("%s", error.sentence)
                return
            except SQLAlchemyError as error:
                log.warning("the store did not take the plan: %s", reason(error))
                self._looked = looked
                return
            reach(Point.PLAN_COMMITTED)
        if queued:
            self._planned()

    def _plan(self, due: list[tuple[Job, Cron]], now: datetime, jumped: bool) -> int:
        """Plans all that is due at once; when a row of one is refused, the others without it."""
        try:
            return self._write(due, now, jumped)
        except IntegrityError:
            if len(due) == 1:
                raise
        queued = 0
        for one in due:
            try:
                queued += self._write([one], now, jumped)
            except IntegrityError as error:
                log.error("the plan of %s is refused: %s", one[0].name, reason(error))
        return queued

    # --- registering --------------------------------------------------------------------------------------------

    def _register(self, db: Connection, now: datetime) -> None:
        """Takes note of jobs that are new, gone, back, or scheduled otherwise. A new schedule fires from now on; what
        the old one still owed is accounted for as it was.
        """
        known = registrations.registrations(db)
        for name, before in known.items():
            if name not in self._jobs and before.removed_at is None:
                self._account(db, before, now, Reason.JOB_REMOVED)
                registrations.remove(db, name, max(now, before.planned_until))
        for name, job in self._jobs.items():
            found = known.get(name)
            # A clock may have been set back behind what is accounted for: no instant comes twice.
            since = max(now, found.planned_until) if found else now
            if found is None or found.removed_at is not None:
                registrations.register(db, job, since)
            elif (found.cron, found.tz) != (job.cron, job.tz):
                self._account(db, found, now, Reason.NOT_LEADING)
                registrations.register(db, job, since)
            elif found.spec != job.spec:
                registrations.respecify(db, job)

    def _account(self, db: Connection, before: Registration, now: datetime, why: Reason) -> None:
        if before.cron is None:
            return
        try:
            cron = Cron(before.cron, before.tz)
        except OpsconsoleError as error:
            log.warning("the instants that %s had are not known any more: %s", before.job, error.sentence)
            return
        paused = [
            Stretch(pause.since, pause.until)
            for pause in pauses.since(db, before.planned_until)
            if pause.applies_to(before.job)
        ]
        for occurrence in unrun(before.job, before.spec, cron, before.planned_until, now, paused, why):
            occurrences.record(db, occurrence, token=self._token, at=now)

    # --- planning -----------------------------------------------------------------------------------------------

    def _write(self, due: list[tuple[Job, Cron]], now: datetime, jumped: bool) -> int:
        queued = 0
        with self._store.fenced(self._token) as db:
            planned = plan(self._schedules(db, due, now), now, jumped=jumped)
            for occurrence in planned:
                number = occurrences.record(db, occurrence, token=self._token, at=now)
                if occurrence.runs:
                    self._queue(db, occurrence, number, now)
                    queued += 1
            # In the order of due_at, so that a job's last word is its newest instant.
            ends = {occurrence.job: occurrence.last_due_at for occurrence in planned}
            for name, until in ends.items():
                registrations.advance(db, name, until)
            reach(Point.PLAN_WRITTEN)
        self._cursors.update(ends)
        self._look_ahead(ends)
        return queued

    def _schedules(self, db: Connection, due: list[tuple[Job, Cron]], now: datetime) -> list[Schedule]:
        open_runs = runs.unfinished(db)
        for_a_slot = {
            run.id
            for run, wait in admissions(open_runs, self._job, now)
            if wait is not None and wait.reason is WaitReason.CAPACITY
        }
        scheduled = defaultdict(list)
        for run in open_runs:
            if run.trigger is Trigger.SCHEDULE:
                caught_up = run.created_at - run.as_of > ON_TIME
                scheduled[run.job].append(Open(run.id, run.state is RunState.QUEUED, caught_up, run.id in for_a_slot))
        paused = pauses.since(db, min((self._cursors[job.name] for job, _ in due), default=now))
        return [
            Schedule(
                job,
                cron,
                self._cursors[job.name],
                tuple(Stretch(pause.since, pause.until) for pause in paused if pause.applies_to(job.name)),
                tuple(scheduled[job.name]),
            )
            for job, cron in due
        ]

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

    def _has_jumped(self, now: datetime) -> bool:
        before, self._looked = self._looked, (now, steady())
        if before is None:
            return False
        gained = (now - before[0]) - timedelta(seconds=self._looked[1] - before[1])
        if abs(gained) > JUMP:
            log.warning("the clock was set %s by %s", "forward" if gained > JUMP else "back", abs(gained))
        return gained > JUMP

    def _look_ahead(self, cursors: dict[str, datetime]) -> None:
        for name, cursor in cursors.items():
            instant = self._crons[name].next(cursor)
            if instant is None:
                self._due.pop(name, None)
            else:
                self._due[name] = instant
