"""Durations, times, counts and sizes as people read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Not from strftime, which depends on the locale."""


@lru_cache(maxsize=64)
def zone(name: str) -> tzinfo:
    """The timezone of that name; UTC if it is unknown, which times then show."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def duration(length: timedelta | float) -> str:
    """A duration, or seconds, in its two largest units: `1.3 s`, `9 min 53 s`, `2 h`, `3 d 4 h`."""
    seconds = max(0.0, length.total_seconds() if isinstance(length, timedelta) else length)
    if seconds < 10:
        return f"{round(seconds, 1):g} s"
    days, rest = divmod(round(seconds), _DAY)
    hours, rest = divmod(rest, _HOUR)
    units = [(days, "d"), (hours, "h"), (rest // _MINUTE, "min"), (rest % _MINUTE, "s")]
    first = next(n for n, (amount, _) in enumerate(units) if amount)
    return " ".join(f"{amount} {unit}" for amount, unit in units[first : first + 2] if amount)


def padded_duration(seconds: float) -> str:
    """A duration in whole seconds and two units, the second one padded so that columns align: `9 min 53 s`."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:>2} s"
    if whole < 2 * _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:>2} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR:>2} h"


def countdown(seconds: float) -> str:
    """The time until an event, 14 cells wide: `in  9 min 53 s`. From ten minutes on it changes once a minute."""
    if seconds < 0.5:
        return "           now"
    whole = int(seconds + 0.5)
    shown = f"{whole // _MINUTE} min" if 10 * _MINUTE <= whole < _HOUR else padded_duration(whole)
    return f"in {shown:>11}"


def age(length: timedelta) -> str:
    """The time since an event in one unit, so that it rarely changes: `4 min`."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < 2 * _HOUR:
        return f"{seconds // _MINUTE} min"
    return f"{seconds // _HOUR} h" if seconds < 2 * _DAY else f"{seconds // _DAY} d"


def elapsed(seconds: float | None) -> str:
    """The time that something took: `90 ms`, `1.3 s`, `2 min 5 s`."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < _MINUTE else duration(seconds)


def short_duration(seconds: float | None) -> str:
    """A duration in one unit and at most six cells: `90 ms`, `1.3 s`, `65 s`, `12 min`, `3.5 h`."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < 2 * _HOUR else f"{seconds / _HOUR:.1f} h"


def rate(per_second: float | None) -> str:
    """Items per second: `7.4k/s`; per minute or hour where that is less than one in ten seconds: `2.2/min`."""
    if per_second is None:
        return "-/s"
    if per_second >= 1000:
        return f"{per_second / 1000:.1f}k/s"
    if per_second >= 0.1 or per_second == 0:
        return f"{per_second:.0f}/s" if per_second >= 10 else f"{per_second:.1f}/s"
    return f"{per_second * 60:.1f}/min" if per_second * 60 >= 0.1 else f"{per_second * 3600:.1f}/h"


def percent(share: float | None) -> str:
    """A share of 1 as a percentage; less than 1 is never shown as 100.0."""
    if share is None:
        return "-"
    return f"{min(share * 100, 99.9 if share < 1 else 100.0):.1f}"


def megabytes(count: float) -> str:
    """Bytes in MB, or in GB from 10,000 MB: `54 MB`."""
    mb = count / 1024 / 1024
    if mb >= 10_000:
        return f"{mb / 1024:.1f} GB"
    return f"{mb:.0f} MB" if mb >= 10 else f"{mb:.1f} MB"


def growth(count: float, days: int) -> str:
    """By how many bytes something grew in some days: `+12 MB in 7 d`."""
    return f"{'-' if count < 0 else '+'}{megabytes(abs(count))} in {days} d"


def clock(at: datetime, zone_name: str = "UTC", seconds: bool = False) -> str:
    """A time of day with its zone: `23:50 IST`."""
    local = at.astimezone(zone(zone_name))
    return f"{local:%H:%M:%S} {_abbreviation(local)}" if seconds else f"{local:%H:%M} {_abbreviation(local)}"


def date_and_time(at: datetime, now: datetime, zone_name: str = "UTC") -> str:
    """A time of day, with the date if it is not today: `20 Jan 23:50 IST`."""
    place = zone(zone_name)
    local, today = at.astimezone(place), now.astimezone(place)
    return (
        clock(at, zone_name) if local.date() == today.date() else f"{short_date(local, today)} {clock(at, zone_name)}"
    )


def upcoming_time(at: datetime, now: datetime, zone_name: str = "UTC") -> str:
    """A future time of day, with the date if it is more than a day away."""
    if (at - now).total_seconds() <= _DAY:
        return clock(at, zone_name)
    place = zone(zone_name)
    return f"{short_date(at.astimezone(place), now.astimezone(place))} {clock(at, zone_name)}"


def local_time(at: datetime, tz: str) -> str:
    """A date and time with its zone, and seconds if not zero: `2026-01-19 23:50 IST`."""
    there = at.astimezone(zone(tz))
    return f"{there:%Y-%m-%d %H:%M:%S %Z}" if there.second or there.microsecond else f"{there:%Y-%m-%d %H:%M %Z}"


def timestamp(at: datetime | None, tz: str = "UTC") -> str:
    """A date and time with seconds and zone: `2026-01-19 23:50:00 IST`; `-` for None."""
    return f"{at.astimezone(zone(tz)):%Y-%m-%d %H:%M:%S %Z}" if at else "-"


def relative_time(at: datetime, now: datetime) -> str:
    """A time relative to now: `in 2 h 5 min`, `3 d ago`, `now`."""
    seconds = round((at - now).total_seconds())
    if seconds == 0:
        return "now"
    return f"in {duration(seconds)}" if seconds > 0 else f"{duration(-seconds)} ago"


def short_date(local: datetime, today: datetime) -> str:
    """A date, with the year if it is not the current one."""
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local.day} {_MONTHS[local.month - 1]}{year}"


def window_label(label: str, now: datetime, zone_name: str = "UTC", *, named: bool = True) -> str:
    """A shorter window label: `19 Jan`, `Jan 2026`, `18:30 UTC`; without `named`, at most seven characters: `2026-01`,
    `18:30`. Other labels are returned unchanged.
    """
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", label):
            return short_date(datetime.fromisoformat(label).replace(tzinfo=UTC), now.astimezone(zone(zone_name)))
        if re.fullmatch(r"\d{4}-\d\d", label):
            return f"{_MONTHS[int(label[5:]) - 1]} {label[:4]}" if named else label
        if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", label):
            local, today = (at.astimezone(zone(zone_name)) for at in (datetime.fromisoformat(label), now))
            is_today = local.date() == today.date()
            if is_today:
                return clock(local, zone_name) if named else f"{local:%H:%M}"
            return f"{short_date(local, today)} {local:%H:%M}" if named else short_date(local, today)
    except (ValueError, IndexError):
        pass
    return label


def count(number: int, thing: str, plural: str | None = None) -> str:
    """A number with its noun: `1 item`, `3 items`, `2 batches`."""
    return f"{number:,} {thing if number == 1 else plural or thing + 's'}"


def alternatives(names: Sequence[str]) -> str:
    """Names to choose from: `a`, `a or b`, `a, b or c`."""
    return " or ".join([", ".join(names[:-1]), *names[-1:]]) if len(names) > 1 else "".join(names)


def words(token: str) -> str:
    """A token as words: `not_due` as `not due`."""
    return token.replace("_", " ")


def _abbreviation(local: datetime) -> str:
    name = local.tzname() or "UTC"
    return f"UTC{name}" if name[:1] in "+-" else name
