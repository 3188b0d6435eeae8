"""Dates and windows as operators write them."""

from __future__ import annotations

import re
from datetime import date

from opsconsole.authoring.job import Job
from opsconsole.calendar.cron import zone
from opsconsole.calendar.windows import Window
from opsconsole.core.errors import BadWindow, DateSkipped
from opsconsole.core.times import YEARS

_MONTH = re.compile(r"\d{4}-\d\d", re.ASCII)


def parse_date(text: str) -> date:
    """A date written as 2026-01-19. Raises BadWindow."""
    try:
        found = date.fromisoformat(text)
        if found.year not in YEARS:
            raise ValueError(found.year)
        return found
    except ValueError:
        raise BadWindow(f"{text!r} is not a date; write it as 2026-01-19") from None


def parse_window(text: str) -> date:
    """The first day of a window written as 2026-01-19 or, for a month, 2026-01. Raises BadWindow."""
    try:
        return parse_date(f"{text}-01" if _MONTH.fullmatch(text) else text)
    except BadWindow:
        raise BadWindow(f"{text!r} is not a window; write it as 2026-01-19, or as 2026-01 for a month") from None


def window_on(job: Job, day: date) -> Window:
    """The window of a job that contains this date of its zone. Raises BadWindow, for a job without windows or a date
    that the zone skipped.
    """
    window = job.covers.named(day, zone(job.tz))
    if window.start == window.end:
        raise DateSkipped(day, job.tz)
    return window


def parse_date_range(since: str, until: str) -> tuple[date, date]:
    """Two dates written as 2026-01-19. Raises BadWindow."""
    return parse_date(since), parse_date(until)
