"""Checks whether a job that skips scheduled times without items has any, in a thread of the leader: counting takes
time, and the scheduler never waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from opsconsole.authoring.job import Job
from opsconsole.calendar.cron import Cron, zone
from opsconsole.core.clock import Clock
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.problems import Work
from opsconsole.core.supervision import Loop
from opsconsole.rules.schedule import Checked
from opsconsole.worker.counting import Counter, request

log = logging.getLogger(__name__)

WAIT_SECONDS = 10.0
"""The thread is woken for each check."""
PATIENCE_SECONDS = 10.0
"""A scheduled time whose check takes longer runs without it."""


class Due(NamedTuple):
    """A job to plan: up to now, or up to where its items were `checked`."""

    job: Job
    cron: Cron
    checked: Checked | None = None

    def until(self, now: datetime) -> datetime:
        """Up to when it is planned."""
        return now if self.checked is None else min(now, self.checked.until)


class EmptyChecks:
    """Checks jobs for items, one after the other. Nothing is recorded before the result: a next leader checks again."""

    def __init__(self, counter: Counter, *, now: Clock) -> None:
        self._counter = counter
        self._lock = threading.Lock()
        self._requested: dict[str, tuple[Job, datetime, float]] = {}
        self._answers: dict[str, Checked] = {}
        self._answered: Callable[[], object] = lambda: None
        self.loop = Loop(Work.EMPTY_CHECKS, self.check, seconds=WAIT_SECONDS, now=now)

    def start(self, *, answered: Callable[[], object]) -> None:
        """Starts the thread, which calls `answered` after each check."""
        self._answered = answered
        self.loop.start()

    def stop(self) -> None:
        """Stops after the current check."""
        self.loop.stop()

    def due(self, job: Job, cron: Cron, now: datetime) -> Due | None:
        """A job as it is to be planned now; None while it is being checked for items."""
        newest = cron.previous(now) if job.skip_when_empty else None
        if newest is None:
            return Due(job, cron)
        checked = self._checked(job, newest)
        return None if checked is None else Due(job, cron, checked)

    def _checked(self, job: Job, due_at: datetime) -> Checked | None:
        """Whether the job has items, as of its scheduled time `due_at` or an earlier one; None while that is being
        checked. When it cannot be checked, it is taken to have some.
        """
        with self._lock:
            answer = self._answers.pop(job.name, None)
            if answer is not None and answer.until <= due_at:
                return answer
            requested = self._requested.get(job.name)
            if requested is None:
                self._requested[job.name] = (job, due_at, time.monotonic())
            elif time.monotonic() - requested[2] > PATIENCE_SECONDS:
                return Checked(due_at, is_empty=False)
        self.loop.wake()
        return None

    def check(self) -> None:
        """Checks the jobs that are due, until there are no more."""
        while not self.loop.is_stopping:
            with self._lock:
                waiting = list(self._requested.values())
            if not waiting:
                return
            for job, due_at, _ in waiting:
                is_empty = self._is_empty(job, due_at)
                self.loop.repeated.progress()
                with self._lock:
                    del self._requested[job.name]
                    self._answers[job.name] = Checked(due_at, is_empty)
                if not self.loop.is_stopping:
                    self._answered()

    def _is_empty(self, job: Job, due_at: datetime) -> bool:
        """Whether there is nothing to do. The run reports why the items of a job cannot be read."""
        window = job.covers.at(due_at, zone(job.tz))
        try:
            return self._counter.count(request(job, window, due_at, at_most=1)) == 0
        except OpsconsoleError as error:
            log.debug("%s runs without a check for items: %s", job.name, error.sentence)
            return False
