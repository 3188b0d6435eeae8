"""Registers the jobs of a leader: a new schedule applies from now on, and what is left of the old one is recorded."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import Reason, Registration
from opsconsole.calendar.cron import Cron
from opsconsole.core.database import Connection
from opsconsole.core.errors import OpsconsoleError
from opsconsole.rules.schedule import Interval, Recorded, record_unrun, revise
from opsconsole.store import occurrences, pauses, registrations

log = logging.getLogger(__name__)


def register(db: Connection, jobs: Mapping[str, Job], now: datetime, token: int) -> None:
    """Registers new, removed, restored and rescheduled jobs."""
    registered = registrations.registrations(db)
    for name, old in registered.items():
        if name not in jobs and old.removed_at is None and not old.unreadable:
            _record_remaining(db, old, now, token, Reason.JOB_REMOVED)
            registrations.remove(db, name, now)
    for name, job in jobs.items():
        current = registered.get(name)
        if current is not None and current.unreadable:
            log.error(
                "the schedule of %s is planned from now on: its record cannot be read: %s", name, current.unreadable
            )
            registrations.replace(db, job, now)
        elif current is None or current.removed_at is not None:
            registrations.register(db, job, now)
        elif (current.cron, current.tz) != (job.cron, job.tz):
            _record_remaining(db, current, now, token, Reason.NOT_LEADING)
            registrations.register(db, job, now)
        elif current.spec != job.spec:
            registrations.respecify(db, job)


def recorded(
    db: Connection, job: str, cron: Cron, cursor: datetime, now: datetime, *, has_returned: bool = False
) -> tuple[Recorded, ...]:
    """The times in (cursor, now] that keep their rows. They are removed from the other rows, to be planned again."""
    revision = revise(occurrences.between(db, job, cursor, now), cron, cursor, now, has_returned=has_returned)
    for number, left in revision.shortened.items():
        occurrences.shorten(db, number, left)
    for number in revision.repeated:
        occurrences.record_repetition(db, number)
    return revision.keep


def _record_remaining(db: Connection, old: Registration, now: datetime, token: int, reason: Reason) -> None:
    if old.cron is None:
        return
    try:
        cron = Cron(old.cron, old.tz)
    except OpsconsoleError as error:
        log.warning("the old schedule of %s cannot be read: %s", old.job, error.sentence)
        return
    since = old.planned_until
    paused = [Interval(pause.since, pause.until) for pause in pauses.since(db, since) if pause.applies_to(old.job)]
    kept = recorded(db, old.job, cron, since, now)
    unrun = record_unrun(old.job, old.spec, cron, since, now, paused, reason, kept)
    occurrences.record_all(db, unrun, token=token, at=now)
