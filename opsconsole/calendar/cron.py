"""Says when a schedule fires: next, previous and every instant between, in any timezone."""

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

from opsconsole.core.errors import BadCron, BadZone

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
TICK = datetime.resolution

LONGEST_GAP = timedelta(hours=12)
"""A longer gap is a date that was skipped, as Samoa's 30 December 2011; seasons move a clock by 3 hours at most."""

BEGINNING, END = datetime(2, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""A year of room on both sides, so that no offset leads out of the calendar."""

ANY_CALENDAR = datetime(2000, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
"""Weekdays and leap years repeat after 28 years: what does not fire in these never does."""

FIELDS = (
    ("minute", "it takes 0-59"),
    ("hour", "it takes 0-23"),
    ("day of month", "it takes 1-31, or L for the last day"),
    ("month", "it takes 1-12 or JAN-DEC"),
    ("day of week", "it takes 0-7 or SUN-SAT (0 and 7 are Sunday), 5#2 for the second Friday, L5 for the last"),
)
FIVE = "give five: minute, hour, day of month, month, day of week"
SHORTHANDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_OFFSET = re.compile(r"(utc|gmt|z)?\s*[+-]?\d", re.IGNORECASE)
_NAME = re.compile(r"\b[a-z]{3}(?=l?\b)", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_RANGE_OF_ONE = re.compile(r"(?<![^,])0*(\d+)-0*\1(/\d+)?(?![^,])", re.ASCII)
_LAST_WEEKDAY = re.compile(r"(?<![^,])([0-7])l(?![^,])", re.ASCII)


def zone(name: str) -> ZoneInfo:
    """The timezone called `name`; raises BadZone for what the zone database does not know."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a folder of zones ("America") is an OSError, a path a ValueError
        if _OFFSET.match(name):
            hint = "an offset does not say when its clocks change; name the place, such as Asia/Kolkata for +05:30"
            raise BadZone(name, hint) from None
        raise BadZone(name) from None


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule: five cron fields (or a shorthand such as `@daily`) read in a timezone.

    Sunday is 0 and 7, Monday is 1. A day of month and a day of week both given mean *or*, unless one of them starts
    with `*`. Where clocks change, a text whose minute or hour starts with `*` follows elapsed time: nothing in
    skipped hours, repeated hours twice. Every other text fires once right after a gap for all that fell into it, and
    only at the first passing of a repeated time.

    Making one raises BadCron or BadZone. Instants come out aware, in UTC; those that go in must be aware.
    """

    text: str
    tz: str = "UTC"

    def __post_init__(self) -> None:
        _read(self.text)
        zone(self.tz)

    def next(self, after: datetime) -> datetime | None:
        """The first instant later than `after`; None only at the end of the calendar."""
        return next(self._walk(_utc(after) + TICK, END), None)

    def previous(self, at_or_before: datetime) -> datetime | None:
        """The newest instant that is not later than `at_or_before`; None only at the beginning of the calendar."""
        return next(self._walk(BEGINNING, _utc(at_or_before) + TICK, -1), None)

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The instants later than `start` and not later than `end`, oldest first, one at a time."""
        return self._walk(_utc(start) + TICK, _utc(end) + TICK)

    def count(self, start: datetime, end: datetime) -> int:
        """How many instants are later than `start` and not later than `end`; years of minutes take milliseconds."""
        wall, begin, close = _read(self.text), _utc(start) + TICK, _utc(end) + TICK
        return sum(wall.number(*piece) for piece in self._pieces(begin, close))

    def newest(self, start: datetime, end: datetime, number: int) -> list[datetime]:
        """The last `number` instants that are later than `start` and not later than `end`, oldest first."""
        found = list(islice(self._walk(_utc(start) + TICK, _utc(end) + TICK, -1), number))
        return found[::-1]

    def describe(self) -> str:
        """The schedule in words, as "At 23:50"; the text itself where no words are known for it."""
        # Imported here: most commands describe nothing, and it takes a third of the time a command has to start.
        from cron_descriptor import FormatError, MissingFieldError, Options, WrongArgumentError, get_description

        fields = _fields(self.text)
        as_written = " ".join(self.text.split())
        options = Options()
        options.locale_code = "en_US"
        options.use_24hour_time_format = True
        try:
            words: str = get_description(" ".join(fields).upper(), options)
        except (FormatError, MissingFieldError, WrongArgumentError):
            return as_written
        _, _, dates, _, weekdays = fields
        if "#" in weekdays and "," in weekdays:
            return as_written  # the describer loses the numbers
        if dates == "*" or weekdays == "*":
            return words
        if _is_either(fields):
            return words if ", or on " in words else as_written  # the describer's words read as "and"
        return words.replace(", or on ", ", but only on ")

    def _walk(self, start: datetime, end: datetime, step: int = 1) -> Iterator[datetime]:
        """The instants of `start <= t < end`, newest first if `step` is -1."""
        wall = _read(self.text)
        for piece in self._pieces(start, end, step):
            yield from wall.instants(*piece, step)

    def _pieces(self, start: datetime, end: datetime, step: int = 1) -> Iterator[tuple[_Stretch, datetime, datetime]]:
        """`start <= t < end` cut where a year ends or the clock changes: each stretch with what of it is asked for."""
        for year in range(max(start.year, BEGINNING.year), min(end.year + 1, END.year))[::step]:
            begin, close = max(start, _new_year(year)), min(end, _new_year(year + 1))
            for stretch in _stretches(self.tz, year)[::step]:
                yield stretch, begin, close


class _Stretch(NamedTuple):
    """Time without a clock change; `shift` is what the clock moved at `start`."""

    start: datetime
    end: datetime
    offset: timedelta
    shift: timedelta


@dataclass(frozen=True, slots=True)
class _Wall:
    """What a text says of a clock on the wall: dates that match, times of day that match.

    What that clock shows is written as if it were UTC, so that `shown = instant + offset`.
    """

    follows_elapsed: bool
    clock: tuple[timedelta, ...]  # since midnight, ascending
    months: frozenset[int]
    dates: frozenset[int]
    last_date: bool
    weekdays: frozenset[int]
    nth_weekdays: frozenset[tuple[int, int | str]]  # (5, 2) is the second Friday, (5, "l") the last
    either: bool  # date or weekday, not both

    def instants(self, stretch: _Stretch, begin: datetime, close: datetime, step: int) -> Iterator[datetime]:
        """The instants of `begin <= t < close` that lie in the stretch."""
        caught_up, since, until = self._shown(stretch, begin, close)
        regular = (time - stretch.offset for time in self.times(since, until, step))
        return chain(caught_up, regular) if step > 0 else chain(regular, caught_up)

    def number(self, stretch: _Stretch, begin: datetime, close: datetime) -> int:
        """How many instants of `begin <= t < close` lie in the stretch."""
        caught_up, since, until = self._shown(stretch, begin, close)
        return len(caught_up) + sum(len(within) for _, within in self._days(since, until, 1))

    def _shown(self, stretch: _Stretch, begin: datetime, close: datetime) -> tuple[list[datetime], datetime, datetime]:
        """What is caught up at the start of the stretch, and from when until when its clock is then followed."""
        start, end, offset, shift = stretch
        fresh = start
        caught_up = []
        if not self.follows_elapsed:
            if shift < timedelta():
                fresh = start - shift  # until then the clock shows times it has shown before
            elif begin <= start < close and shift <= LONGEST_GAP:
                shown = start + offset
                if next(self.times(shown - shift, shown), None):
                    caught_up = [start]
                    fresh = start + TICK  # what regularly falls on it is the same instant, not a second one
        return caught_up, max(fresh, begin) + offset, min(end, close) + offset

    def times(self, begin: datetime, close: datetime, step: int = 1) -> Iterator[datetime]:
        """The wall-clock times of `begin <= t < close` that match."""
        for date, within in self._days(begin, close, step):
            for time in within[::step]:
                yield date + time

    def _days(self, begin: datetime, close: datetime, step: int) -> Iterator[tuple[datetime, tuple[timedelta, ...]]]:
        """The dates of `begin <= t < close` that match, each with its times of day."""
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


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("a schedule is asked with an aware time, not with a naive one")
    # Two times of one zone are compared by the clock on the wall, blind to a repeated hour: compare in UTC.
    return min(instant.astimezone(UTC), END)


def _new_year(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)


def _month(time: datetime) -> int:
    return time.year * 12 + time.month - 1


@lru_cache(maxsize=4096)
def _stretches(tz: str, year: int) -> tuple[_Stretch, ...]:
    """The year (UTC) cut where the clock changes.

    The day before belongs to it too: a fold of the last evening of a year reaches into the next.
    """
    there = zone(tz)

    def offset(at: datetime) -> timedelta:
        return at.astimezone(there).utcoffset() or timedelta()

    def change(day: datetime) -> datetime:
        old = offset(day)

        def is_new(second: int) -> bool:
            return offset(day + second * SECOND) != old

        return day + bisect_left(range(24 * 60 * 60), True, key=is_new) * SECOND

    begin, close = _new_year(year) - DAY, _new_year(year + 1)
    days = [begin + n * DAY for n in range((close - begin).days + 1)]
    offsets = [offset(day) for day in days]
    # No zone has ever changed its clock twice within three days, so a look a day finds every change.
    changes = [change(day) for day, (old, new) in zip(days, pairwise(offsets), strict=False) if old != new]
    edges = sorted({begin, *changes, close})
    return tuple(_Stretch(a, b, offset(a), offset(a) - offset(a - SECOND)) for a, b in pairwise(edges))


def _fields(text: str) -> list[str]:
    """The five fields of a text in lower case, with shorthands, names and odd spellings resolved."""
    lower = text.strip().lower()
    fields = SHORTHANDS.get(lower, lower).split()
    if lower.startswith("@") and len(fields) == 1:
        raise BadCron(text, f"the shorthands are {', '.join(SHORTHANDS)}")
    if len(fields) in (6, 7):
        raise BadCron(text, f"it has {len(fields)} fields, and seconds and years are not known here; {FIVE}")
    if len(fields) != 5:
        raise BadCron(text, f"it has {len(fields)} field{'' if len(fields) == 1 else 's'}; {FIVE}")
    fields[3] = _NAME.sub(lambda name: _number(name[0], _MONTHS, 1), fields[3])
    fields[4] = _NAME.sub(lambda name: _number(name[0], _WEEKDAYS, 0), fields[4])
    fields = [_RANGE_OF_ONE.sub(r"\1", field) for field in fields]  # croniter reads 5-5 as every value
    fields[4] = _LAST_WEEKDAY.sub(r"l\1", fields[4])
    return fields


def _number(name: str, names: Sequence[str], first: int) -> str:
    return str(names.index(name) + first) if name in names else name


def _is_either(fields: Sequence[str]) -> bool:
    """Cron's day rule: date *or* weekday, unless one of them starts with a star."""
    return not any(field.startswith(("*", "?")) for field in (fields[2], fields[4]))


@lru_cache(maxsize=16_384)
def _read(text: str) -> _Wall:
    """Reads a text, or raises BadCron. croniter knows the grammar; its walk through clock changes is not used."""
    # Imported here: it takes 0.1 s, and a command that only prints its help or asks the store needs no schedule.
    from croniter import croniter

    fields = _fields(text)
    if any(field.startswith(("r", "h")) for field in fields):
        raise BadCron(text, "R and H stand for times picked at random; write the time itself")
    if "w" in fields[2]:
        raise BadCron(text, "W (the nearest weekday) is not known here; write days, or L for the last of the month")
    special = ["#" in day or day.startswith("l") for day in fields[4].split(",")]
    if any(special) and not all(special):
        raise BadCron(text, "plain weekdays cannot stand in one list with # or L; make it two schedules")
    try:
        told = croniter(" ".join(fields), 0.0)
    except ValueError:
        raise BadCron(text, _fault(fields, croniter)) from None
    minutes, hours, dates, months, weekdays = told.expanded
    nth = frozenset((day, n) for day, ns in told.nth_weekday_of_month.items() for n in ns)
    wall = _Wall(
        follows_elapsed=fields[0].startswith("*") or fields[1].startswith("*"),
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
        either=_is_either(fields),
    )
    if next(wall.times(*ANY_CALENDAR), None) is None:
        raise BadCron(text, "it never fires, no year has such a date")
    return wall


def _numbers(values: Sequence[int | str], every: range) -> frozenset[int]:
    return frozenset(every if "*" in values else (value for value in values if isinstance(value, int)))


def _fault(fields: Sequence[str], reader: Callable[[str, float], object]) -> str:
    """Says which field cannot be read, found by reading each alone."""
    for at, (field, (name, allowed)) in enumerate(zip(fields, FIELDS, strict=True)):
        try:
            reader(" ".join([*"*" * at, field, *"*" * (4 - at)]), 0.0)
        except ValueError:
            return f"its {name} {field!r} cannot be read, {allowed}"
    return f"its fields cannot be read together; {FIVE}"
