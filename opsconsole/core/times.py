"""Reads times and durations as people write them, and writes times for JSON."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from opsconsole.core.errors import Exit, OpsconsoleError

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(min|[smhdw])", re.ASCII)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?", re.ASCII)
LONGEST = timedelta(days=3660)
"""The longest duration that is accepted; added to a time, a shorter one cannot leave the calendar."""
YEARS = range(1970, 9000)
"""Times in other years can leave the calendar when they are converted to another zone."""


class BadTime(OpsconsoleError):
    """A text that is not a time, or not a duration."""

    exit_code = Exit.USAGE


def parse_duration(text: str) -> timedelta:
    """A duration such as `2h`, `90m` or `1d 12h`. Raises BadTime."""
    parts = _PART.findall(text.lower())
    if not parts or _PART.sub("", text.lower()).strip():
        raise BadTime(f"{text!r} is not a duration; write it as 45m, 2h or 1d12h")
    seconds = sum(float(n) * _SECONDS[unit] for n, unit in parts)
    if not 0 < seconds <= LONGEST.total_seconds():
        raise BadTime(f"{text!r} is out of range; a duration is longer than 0 s and shorter than 10 years")
    return timedelta(seconds=seconds)


def parse_time(text: str, place: ZoneInfo, now: datetime) -> datetime:
    """A time in ISO 8601, `HH:MM` for today in `place`, or `now`. A time without a zone is returned without one, as a
    wall-clock time in `place`. Raises BadTime.
    """
    written = text.strip()
    if written == "now":
        return now
    try:
        if _CLOCK.fullmatch(written):
            clock = datetime.strptime(written.zfill(5), "%H:%M" if written.count(":") == 1 else "%H:%M:%S")  # noqa: DTZ007 - a wall-clock time has no zone
            return datetime.combine(now.astimezone(place).date(), clock.time())
        at = datetime.fromisoformat(written)
        if at.year not in YEARS:
            raise ValueError(at.year)
        return at
    except ValueError:
        examples = "write it as 2026-01-19T18:20:00Z, as 2026-01-19 23:50, or as 23:50 for today"
        raise BadTime(f"{text!r} is not a time; {examples}") from None


def parse_past_time(text: str, place: ZoneInfo, now: datetime) -> datetime:
    """A time as in `parse_time`, or a duration before now (`2h`), in `place` if it has no zone. Raises BadTime."""
    if _PART.sub("", text.lower()).strip() == "" and text.strip():
        return now - parse_duration(text)
    try:
        at = parse_time(text, place, now)
    except BadTime as error:
        raise BadTime(f"{error.sentence}; 2h means two hours ago") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=place)


def parse_future_time(text: str, place: ZoneInfo, now: datetime) -> datetime:
    """A time as in `parse_time`, except that `HH:MM` is the next such time. A time without a zone is in `place`. Raises
    BadTime.
    """
    at = parse_time(text, place, now)
    if at.tzinfo is None:
        at = at.replace(tzinfo=place)
    if at <= now and _CLOCK.fullmatch(text.strip()):
        return at + timedelta(days=1)  # a day of wall-clock time, because `at` is in `place`
    return at


def utc(at: datetime | None) -> str | None:
    """A time in JSON: ISO 8601 in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
