"""Windows: the ranges of time that runs cover."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from opsconsole.core.errors import BadWindow


def minutes(n: float) -> timedelta:
    """`n` minutes."""
    return timedelta(minutes=n)


def hours(n: float) -> timedelta:
    """`n` hours."""
    return timedelta(hours=n)


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open range of time `[start, end)`, both aware and in UTC; `label` is its identity."""

    start: datetime
    end: datetime
    label: str

    def holds(self, column: Any) -> Any:
        """The SQL condition that a time column is in the window."""
        return (column >= self.start) & (column < self.end)

    def until(self, as_of: datetime) -> Window:
        """The part of the window before `as_of`; the whole window if it has ended by then."""
        return replace(self, end=max(self.start, min(self.end, as_of)))


SATURDAY = 6
WEEK = timedelta(weeks=1)


class Unit(StrEnum):
    """The length of a window."""

    MOMENT = "moment"
    DAY = "day"
    FOUR_WEEKS = "four_weeks"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Covers:
    """Which window a run covers, from its scheduled time.

    `back` is 0 for the unit that contains the scheduled time, 1 for the last one that ended by then. Four weeks end
    with a Saturday, which is their label; they overlap, as there is one window for each Saturday.
    """

    unit: Unit
    back: int = 0

    def at(self, due_at: datetime, zone: ZoneInfo) -> Window:
        """The window of a run scheduled for `due_at`, for a job in `zone`."""
        if self.unit is Unit.MOMENT:
            moment = due_at.astimezone(UTC)
            return Window(moment, moment, moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
        if self.unit is Unit.FOUR_WEEKS:
            today = due_at.astimezone(zone).date()
            saturday = today - timedelta(days=(today.isoweekday() - SATURDAY) % 7)
            return _window(self.unit, saturday if self.back == 0 or saturday < today else saturday - WEEK, zone)
        first = _first_of(self.unit, due_at.astimezone(zone).date())
        for _ in range(self.back):
            first = _first_of(self.unit, first - timedelta(days=1))
            while start_of_day(first, zone) == start_of_day(first + timedelta(days=1), zone):
                first -= timedelta(days=1)  # a date that was skipped when the place moved across the date line
        return _window(self.unit, first, zone)

    def named(self, day: date, zone: ZoneInfo) -> Window:
        """The window that contains `day`: the day itself, its month, or the four weeks that end with its week.

        Raises BadWindow for a job without windows.
        """
        if self.unit is Unit.MOMENT:
            raise BadWindow("this job always processes the current moment and takes no date; run it without one")
        if self.unit is Unit.FOUR_WEEKS:
            return _window(self.unit, day + timedelta(days=(SATURDAY - day.isoweekday()) % 7), zone)
        return _window(self.unit, _first_of(self.unit, day), zone)


MOMENT = Covers(Unit.MOMENT)
DAY = Covers(Unit.DAY)
DAY_BEFORE = Covers(Unit.DAY, back=1)
MONTH_BEFORE = Covers(Unit.MONTH, back=1)
FOUR_WEEKS_BEFORE = Covers(Unit.FOUR_WEEKS, back=1)


@lru_cache(maxsize=8192)  # calendars use the same years repeatedly
def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The start of a local date, in UTC. If clocks skip midnight, it is the end of the gap."""
    midnight = datetime.combine(day, time(), tzinfo=zone)
    as_utc = midnight.astimezone(UTC)
    if as_utc.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return as_utc
    # In a gap, fold=0 uses the offset before it and fold=1 the one after; the clock change is between the two.
    low, high = sorted((as_utc, midnight.replace(fold=1).astimezone(UTC)))
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (low, middle) if middle.astimezone(zone).date() >= day else (middle, high)
    return high.replace(microsecond=0)


def _first_of(unit: Unit, day: date) -> date:
    return day.replace(day=1) if unit is Unit.MONTH else day


def _window(unit: Unit, first: date, zone: ZoneInfo) -> Window:
    if unit is Unit.FOUR_WEEKS:
        end = first + timedelta(days=1)
        return Window(start_of_day(end - 4 * WEEK, zone), start_of_day(end, zone), first.isoformat())
    if unit is Unit.DAY:
        after, label = first + timedelta(days=1), first.isoformat()
    else:
        after, label = (first + timedelta(days=31)).replace(day=1), first.strftime("%Y-%m")
    return Window(start_of_day(first, zone), start_of_day(after, zone), label)
