"""An APScheduler trigger for the scheduled times of all jobs.

It is not in cron.py, because importing APScheduler takes a quarter of a command's start-up time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from apscheduler.triggers.base import BaseTrigger


class NextDue(BaseTrigger):  # type: ignore[misc]
    """Fires when the next job is due according to `next_due`: one tick plans all jobs of a scheduled time.

    Missed times are not replayed: the planner records them, and after a long downtime there may be very many.
    """

    __slots__ = ("next_due",)

    def __init__(self, next_due: Callable[[datetime], datetime | None]) -> None:
        self.next_due = next_due

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first scheduled time, in UTC, later than both `now` and the previous one."""
        return self.next_due(max(now, previous_fire_time or now))

    def __str__(self) -> str:
        return "due"
