"""A schedule that an operator changed. It applies over code and configuration until it is reset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ChangedSchedule:
    """The schedule of a job since `since`, who changed it and why. `base_cron` and `base_tz` are what code and
    configuration had then; None for a manual job.
    """

    job: str
    cron: str
    tz: str
    who: str
    note: str
    since: datetime
    base_cron: str | None
    base_tz: str
