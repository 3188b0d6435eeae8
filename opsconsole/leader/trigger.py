"""Lets APScheduler tick at the instants of a schedule.

Apart from cron.py because APScheduler takes a quarter of the time a command has to start; only a scheduler needs it.
"""

from __future__ import annotations

from datetime import datetime

from apscheduler.triggers.base import BaseTrigger

from opsconsole.calendar.cron import Cron


class CronTrigger(BaseTrigger):  # type: ignore[misc]
    """Fires at the next instant of `cron`, and only there.

    Instants that passed while nobody looked are not replayed: the planner accounts for them, and after a long absence
    there may be very many.
    """

    __slots__ = ("cron",)

    def __init__(self, cron: Cron) -> None:
        self.cron = cron

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first instant, in UTC, later than both `now` and the last time it fired."""
        return self.cron.next(max(now, previous_fire_time or now))

    def __str__(self) -> str:
        return f"cron[{self.cron.text} {self.cron.tz}]"
