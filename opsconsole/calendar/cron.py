"""Cron expressions: their next, previous and intermediate scheduled times in any timezone."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain, islice, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from opsconsole.calendar.clock_changes import DAY, LONGEST_GAP, SECOND, ClockChange, clock_changes, offset
from opsconsole.calendar.cron_text import FIELDS, FIVE, fields_of, in_words, matches_either_day
from opsconsole.core.errors import BadCron, BadZone

TICK = datetime.resolution

BEGINNING, END = datetime(2, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""A year of margin on both sides keeps every offset within datetime's range."""

ANY_CALENDAR = datetime(2000, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
"""Weekdays and leap years repeat after 28 years: an expression without a match in these never fires."""

_OFFSET = re.compile(r"(utc|gmt|z)?\s*[+-]?\d", re.IGNORECASE)


def zone(name: str) -> ZoneInfo:
    """The timezone called `name`. Raises BadZone if the timezone database does not have it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a folder of zones ("America") is an OSError, a path a ValueError
        if _OFFSET.match(name):
            hint = "an offset does not define clock changes; use a place name, such as Asia/Kolkata for +05:30"
            raise BadZone(name, hint) from None
        raise BadZone(name) from None


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule: five cron fields (or a shorthand such as `@daily`) in a timezone.

    Sunday is 0 and 7, Monday is 1. If both day of month and day of week are given, either may match, unless one of them
    starts with `*`. At clock changes, an expression whose minute or hour starts with `*` follows elapsed time: it does
    not fire in skipped hours and fires in both passes of repeated hours. Any other expression fires once right after a
    gap for all skipped times, and only in the first pass of a repeated time.

    The constructor raises BadCron or BadZone. Returned times are aware and in UTC; arguments must be aware.
    """

    text: str
    tz: str = "UTC"

    def __post_init__(self) -> None:
        _parse(self.text)
        zone(self.tz)

    def next(self, after: datetime) -> datetime | None:
        """The first scheduled time later than `after`; None only at the end of the calendar."""
        return _next(self, _utc(after))

    def previous(self, at_or_before: datetime) -> datetime | None:
        """The latest scheduled time not later than `at_or_before`; None only at the beginning of the calendar."""
        return _previous(self, _utc(at_or_before))

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Iterates over the scheduled times later than `start` and not later than `end`, oldest first."""
        return self._walk(_utc(start) + TICK, _utc(end) + TICK)

    def count(self, start: datetime, end: datetime) -> int:
        """The number of scheduled times later than `start` and not later than `end`; fast even for years of minutes."""
        wall, begin, close = _parse(self.text), _utc(start) + TICK, _utc(end) + TICK
        return sum(wall.count(*piece) for piece in self._pieces(begin, close))

    def newest(self, start: datetime, end: datetime, number: int) -> list[datetime]:
        """The latest `number` scheduled times later than `start` and not later than `end`, oldest first."""
        last = self.previous(end)
        if last is None or last <= start:
            return []
        if number == 1:
            return [last]
        found = list(islice(self._walk(_utc(start) + TICK, _utc(end) + TICK, -1), number))
        return found[::-1]

    @property
    def follows_elapsed_time(self) -> bool:
        """Whether it counts elapsed time through a clock change: its minute or hour starts with `*`."""
        return _parse(self.text).follows_elapsed_time

    def times_affected_by(self, change: ClockChange) -> list[datetime]:
        """The wall-clock times (naive) that match among those that a clock change skips or repeats."""
        # UTC has no clock changes, so that it gives every time that the expression matches.
        first, last = (side.replace(tzinfo=UTC) for side in sorted((change.before, change.after)))
        return [time.replace(tzinfo=None) for time in Cron(self.text).between(first - TICK, last - TICK)]

    def describe(self) -> str:
        """The schedule in words, such as "At 23:50"; the expression itself if it cannot be described correctly."""
        return in_words(self.text)

    def _walk(self, start: datetime, end: datetime, step: int = 1) -> Iterator[datetime]:
        """The scheduled times in `start <= t < end`, newest first if `step` is -1."""
        wall = _parse(self.text)
        for piece in self._pieces(start, end, step):
            yield from wall.matches(*piece, step)

    def _pieces(self, start: datetime, end: datetime, step: int = 1) -> Iterator[tuple[_Segment, datetime, datetime]]:
        """`start <= t < end` cut at new year and at clock changes: each segment with the requested part of it."""
        for year in range(max(start.year, BEGINNING.year), min(end.year + 1, END.year))[::step]:
            begin, close = max(start, _new_year(year)), min(end, _new_year(year + 1))
            for segment in _segments(self.tz, year)[::step]:
                yield segment, begin, close


# Many jobs share a schedule, and are planned for the same time.
@lru_cache(maxsize=1024)
def _next(cron: Cron, after: datetime) -> datetime | None:
    return next(cron._walk(after + TICK, END), None)


@lru_cache(maxsize=1024)
def _previous(cron: Cron, at_or_before: datetime) -> datetime | None:
    return next(cron._walk(BEGINNING, at_or_before + TICK, -1), None)


class _Segment(NamedTuple):
    """Time between two clock changes; `shift` is how far the clock moved at `start`."""

    start: datetime
    end: datetime
    offset: timedelta
    shift: timedelta


@dataclass(frozen=True, slots=True)
class _Wall:
    """A parsed expression: which dates and times of day of a wall clock match.

    Wall-clock times are written as if they were UTC, so that `wall = time + offset`.
    """

    follows_elapsed_time: bool
    clock: tuple[timedelta, ...]  # since midnight, ascending
    months: frozenset[int]
    dates: frozenset[int]
    last_date: bool
    weekdays: frozenset[int]
    nth_weekdays: frozenset[tuple[int, int | str]]  # (5, 2) is the second Friday, (5, "l") the last
    either: bool  # date or weekday, not both

    def matches(self, segment: _Segment, begin: datetime, close: datetime, step: int) -> Iterator[datetime]:
        """The scheduled times in `begin <= t < close` within the segment."""
        made_up, since, until = self._wall_range(segment, begin, close)
        regular = (time - segment.offset for time in self.times(since, until, step))
        return chain(made_up, regular) if step > 0 else chain(regular, made_up)

    def count(self, segment: _Segment, begin: datetime, close: datetime) -> int:
        """The number of scheduled times in `begin <= t < close` within the segment."""
        made_up, since, until = self._wall_range(segment, begin, close)
        return len(made_up) + sum(len(within) for _, within in self._days(since, until, 1))

    def _wall_range(
        self, segment: _Segment, begin: datetime, close: datetime
    ) -> tuple[list[datetime], datetime, datetime]:
        """Times made up for at the start of the segment, and the wall-clock range that is matched after them."""
        start, end, offset, shift = segment
        fresh = start
        made_up = []
        if not self.follows_elapsed_time:
            if shift < timedelta():
                fresh = start - shift  # until then the clock repeats times
            elif begin <= start < close and shift <= LONGEST_GAP:
                wall = start + offset
                if next(self.times(wall - shift, wall), None):
                    made_up = [start]
                    fresh = start + TICK  # a regular match at `start` is the same scheduled time, not a second one
        return made_up, max(fresh, begin) + offset, min(end, close) + offset

    def times(self, begin: datetime, close: datetime, step: int = 1) -> Iterator[datetime]:
        """The matching wall-clock times in `begin <= t < close`."""
        for date, within in self._days(begin, close, step):
            for time in within[::step]:
                yield date + time

    def _days(self, begin: datetime, close: datetime, step: int) -> Iterator[tuple[datetime, tuple[timedelta, ...]]]:
        """The matching dates in `begin <= t < close`, each with its times of day."""
        if begin >= close:
            return
        clock = self.clock
        for month in range(_month(begin), _month(close) + 1)[::step]:
            for date in self._dates(month // 12, month % 12 + 1)[::step]:
                yield date, clock[bisect_left(clock, begin - date) : bisect_left(clock, close - date)]

    def _dates(self, year: int, month: int) -> list[datetime]:
        if month not in self.months:
            return []
        first = datetime(year, month, 1, tzinfo=UTC)
        length = ((first + 31 * DAY).replace(day=1) - first).days
        weekday_before = first.weekday()  # cron counts Sunday as 0, Python Monday
        dates = []
        for day in range(1, length + 1):
            weekday = (weekday_before + day) % 7
            by_date = day in self.dates or (self.last_date and day == length)
            by_weekday = weekday in self.weekdays
            if self.nth_weekdays and not by_weekday:
                by_weekday = (weekday, (day + 6) // 7) in self.nth_weekdays
                by_weekday |= day + 7 > length and (weekday, "l") in self.nth_weekdays
            if by_date or by_weekday if self.either else by_date and by_weekday:
                dates.append(first.replace(day=day))
        return dates


def schedule(text: str | None, tz: str) -> Cron | None:
    """The schedule of a job; None for a manual job. Raises BadCron or BadZone."""
    if text is None:
        zone(tz)
        return None
    return Cron(text, tz)


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a schedule takes aware times, not naive ones")
    # Times of one zone compare by wall clock and ignore `fold`, so that repeated hours need a comparison in UTC.
    return min(at.astimezone(UTC), END)


def _new_year(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)


def _month(time: datetime) -> int:
    return time.year * 12 + time.month - 1


@lru_cache(maxsize=4096)
def _segments(tz: str, year: int) -> tuple[_Segment, ...]:
    """The year (UTC) cut at clock changes, with the day before: a fold of its evening can reach into the year."""
    place = zone(tz)
    begin, close = _new_year(year) - DAY, _new_year(year + 1)
    edges = sorted({begin, *(change.at for change in clock_changes(place, begin, close)), close})
    return tuple(
        _Segment(start, end, offset(start, place), offset(start, place) - offset(start - SECOND, place))
        for start, end in pairwise(edges)
    )


@lru_cache(maxsize=16_384)
def _parse(text: str) -> _Wall:
    """Parses an expression. Raises BadCron. croniter parses the grammar; its handling of clock changes is not used."""
    # Imported here: it takes 0.1 s, and commands that print help or query the store need no schedule.
    from croniter import croniter

    fields = fields_of(text)
    if any(field.startswith(("r", "h")) for field in fields):
        raise BadCron(text, "R and H mean random times; write the time itself")
    if "w" in fields[2]:
        raise BadCron(text, "W (the nearest weekday) is not supported; write days, or L for the last day of the month")
    special = ["#" in day or day.startswith("l") for day in fields[4].split(",")]
    if any(special) and not all(special):
        raise BadCron(text, "plain weekdays cannot be combined with # or L; use two jobs")
    try:
        parsed = croniter(" ".join(fields), 0.0)
    except ValueError:
        raise BadCron(text, _fault(fields, croniter)) from None
    minutes, hours, dates, months, weekdays = parsed.expanded
    nth = frozenset((day, n) for day, ns in parsed.nth_weekday_of_month.items() for n in ns)
    wall = _Wall(
        follows_elapsed_time=fields[0].startswith("*") or fields[1].startswith("*"),
        clock=tuple(
            timedelta(hours=hour, minutes=minute)
            for hour in sorted(_numbers(hours, range(24)))
            for minute in sorted(_numbers(minutes, range(60)))
        ),
        months=_numbers(months, range(1, 13)),
        dates=_numbers(dates, range(1, 32)),
        last_date="l" in dates,
        weekdays=frozenset() if nth else _numbers(weekdays, range(7)),
        nth_weekdays=nth,
        either=matches_either_day(fields),
    )
    if next(wall.times(*ANY_CALENDAR), None) is None:
        raise BadCron(text, "it never fires because no year has such a date")
    return wall


def _numbers(values: Sequence[int | str], every: range) -> frozenset[int]:
    return frozenset(every if "*" in values else (value for value in values if isinstance(value, int)))


def _fault(fields: Sequence[str], reader: Callable[[str, float], object]) -> str:
    """Names the field that cannot be parsed, found by parsing each alone."""
    for at, (field, (name, allowed)) in enumerate(zip(fields, FIELDS, strict=True)):
        try:
            reader(" ".join([*"*" * at, field, *"*" * (4 - at)]), 0.0)
        except ValueError:
            return f"its {name} {field!r} is invalid; {allowed}"
    return f"its fields are invalid together; {FIVE}"
