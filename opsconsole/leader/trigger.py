"""An APScheduler trigger for cron expressions.

It is not in cron.py, because importing APScheduler takes a quarter of a command's start-up time.
"""

from __future__ import annotations

from datetime import datetime

from apscheduler.triggers.base import BaseTrigger

from opsconsole.calendar.cron import Cron


class CronTrigger(BaseTrigger):  # type: ignore[misc]
    """Fires at the next scheduled time of `cron`.

    Missed times are not replayed: the planner records them, and after a long downtime there may be very many.
    """

    __slots__ = ("cron",)

    def __init__(self, cron: Cron) -> None:
        self.cron = cron

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first scheduled time, in UTC, later than both `now` and the previous one."""
        return self.cron.next(max(now, previous_fire_time or now))

    def __str__(self) -> str:
        return f"cron[{self.cron.text} {self.cron.tz}]"
