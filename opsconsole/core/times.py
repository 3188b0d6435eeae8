"""Reads times and durations as people write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from opsconsole.core.errors import Exit, OpsconsoleError

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(min|[smhdw])", re.ASCII)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?", re.ASCII)
LONGEST = timedelta(days=3660)
"""No length of time that anybody means is longer, and no sum with a shorter one leads out of the calendar."""
YEARS = range(1970, 9000)
"""Times of other years lead out of the calendar in one zone or another."""


class BadTime(OpsconsoleError):
    """A text that is no time, or no length of time."""

    exit_code = Exit.USAGE


def parse_duration(text: str) -> timedelta:
    """A length of time such as `2h`, `90m` or `1d 12h`. Raises BadTime."""
    parts = _PART.findall(text.lower())
    if not parts or _PART.sub("", text.lower()).strip():
        raise BadTime(f"{text!r} is no length of time; write it as 45m, 2h or 1d12h")
    seconds = sum(float(n) * _SECONDS[unit] for n, unit in parts)
    if not 0 < seconds <= LONGEST.total_seconds():
        raise BadTime(f"{text!r} is no length of time that can be meant; give more than nothing and less than 10 years")
    return timedelta(seconds=seconds)


def parse_time(text: str, place: ZoneInfo, now: datetime) -> datetime:
    """A time in ISO 8601, `HH:MM` for today in `place`, or `now`. One that is written without a zone comes back without
    one: it is what a clock in `place` shows. Raises BadTime.
    """
    written = text.strip()
    if written == "now":
        return now
    try:
        if _CLOCK.fullmatch(written):
            clock = datetime.strptime(written.zfill(5), "%H:%M" if written.count(":") == 1 else "%H:%M:%S")  # noqa: DTZ007 - a clock on the wall has no zone
            return datetime.combine(now.astimezone(place).date(), clock.time())
        at = datetime.fromisoformat(written)
        if at.year not in YEARS:
            raise ValueError(at.year)
        return at
    except ValueError:
        wanted = "write it as 2026-01-19T18:20:00Z, as 2026-01-19 23:50, or as 23:50 for today"
        raise BadTime(f"{text!r} is not a time; {wanted}") from None


def parse_past_time(text: str, place: ZoneInfo, now: datetime) -> datetime:
    """A time as `parse_time` takes it, or a length of time ago (`2h`); what is written without a zone is read in
    `place`. Raises BadTime.
    """
    if _PART.sub("", text.lower()).strip() == "" and text.strip():
        return now - parse_duration(text)
    at = parse_time(text, place, now)
    return at if at.tzinfo is not None else at.replace(tzinfo=place)


def parse_future_time(text: str, place: ZoneInfo, now: datetime) -> datetime:
    """A time to come: as `parse_time` takes it, read in `place` when it is written without a zone, and a mere `HH:MM` is
    the next such time. Raises BadTime.
    """
    at = parse_time(text, place, now)
    if at.tzinfo is None:
        at = at.replace(tzinfo=place)
    if at <= now and _CLOCK.fullmatch(text.strip()):
        return at + timedelta(days=1)  # of the clock on the wall, as `at` is in `place`
    return at
