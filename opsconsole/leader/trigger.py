"""An APScheduler trigger for cron expressions.

It is not in cron.py, because importing APScheduler takes a quarter of a command's start-up time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from apscheduler.triggers.base import BaseTrigger

from opsconsole.calendar.cron import Cron

NO_SHIFT = timedelta(0)


class CronTrigger(BaseTrigger):  # type: ignore[misc]
    """Fires at the next scheduled time of `cron`, or `shift` after it.

    Missed times are not replayed: the planner records them, and after a long downtime there may be very many.
    """

    __slots__ = ("cron", "shift")

    def __init__(self, cron: Cron, shift: timedelta = NO_SHIFT) -> None:
        self.cron, self.shift = cron, shift

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first time to fire, in UTC, later than both `now` and the previous one."""
        due_at = self.cron.next(max(now, previous_fire_time or now) - self.shift)
        return None if due_at is None else due_at + self.shift

    def __str__(self) -> str:
        return f"cron[{self.cron.text} {self.cron.tz}]"
