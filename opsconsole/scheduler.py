"""The tick: APScheduler wakes the planner at each instant, and what it decides is written in one transaction."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.catalog import Catalog
from opsconsole.clock import Clock
from opsconsole.cron import Cron, zone
from opsconsole.database import reason
from opsconsole.errors import Fenced
from opsconsole.model import Job, Trigger
from opsconsole.planner import plan
from opsconsole.store import Store, occurrences, runs
from opsconsole.trigger import CronTrigger

log = logging.getLogger(__name__)


class Scheduler:
    """Plans while this process leads with `token`; `planned` is called when runs were queued."""

    def __init__(self, store: Store, catalog: Catalog, token: int, *, planned: Callable[[], None], now: Clock) -> None:
        self._store, self._catalog, self._token = store, catalog, token
        self._planned, self._now = planned, now
        self._crons = {job.name: (job, catalog.cron(job)) for job in catalog}
        self._cursors: dict[str, datetime] = {}
        self._due: dict[str, datetime] = {}
        self._lock = threading.Lock()
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
            for job in self._catalog:
                occurrences.register(db, job, now)
            known = occurrences.cursors(db)
        self._cursors = {name: known[name] for name in self._crons}
        self._look_ahead(self._cursors)
        for name, (_, cron) in self._crons.items():
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
            now = self._now()
            due = [self._crons[name] for name, instant in self._due.items() if instant <= now]
            if not due:
                return
            try:
                queued = self._write(due, now)
            except Fenced as error:
                log.warning("%s", error.sentence)
                return
            except SQLAlchemyError as error:
                log.warning("the store did not take the plan: %s", reason(error))
                return
        if queued:
            self._planned()

    def _write(self, due: list[tuple[Job, Cron]], now: datetime) -> int:
        queued = 0
        with self._store.fenced(self._token) as db:
            planned = plan(due, self._cursors, runs.open_scheduled(db), now)
            for occurrence in planned:
                number = occurrences.record(db, occurrence, token=self._token, at=now)
                if occurrence.runs:
                    job = occurrence.job
                    runs.create(
                        db,
                        job,
                        job.covers.at(occurrence.due_at, zone(job.tz)),
                        as_of=occurrence.due_at,
                        trigger=Trigger.SCHEDULE,
                        asked_by="schedule",
                        at=now,
                        occurrence=number,
                    )
                    queued += 1
            # In the order of due_at, so that a job's last word is its newest instant.
            ends = {occurrence.job.name: occurrence.last_due_at for occurrence in planned}
            for name, until in ends.items():
                occurrences.advance(db, name, until)
        self._cursors.update(ends)
        self._look_ahead(ends)
        return queued

    def _look_ahead(self, cursors: dict[str, datetime]) -> None:
        for name, cursor in cursors.items():
            instant = self._crons[name][1].next(cursor)
            if instant is None:
                self._due.pop(name, None)
            else:
                self._due[name] = instant
