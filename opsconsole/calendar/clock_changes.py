"""Clock changes of a timezone: when they happen, and which wall-clock times they skip or repeat."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)

LONGEST_GAP = timedelta(hours=12)
"""A longer gap is a skipped date, such as Samoa's 30 December 2011; daylight saving shifts are 3 hours at most."""

NEAR = 2 * DAY
"""A wall-clock time is less than a day from the same reading in UTC; the rest leaves room for a skipped date."""


class ClockChange(NamedTuple):
    """The moment `at` when a wall clock that would show `before` is set to `after` (both naive)."""

    at: datetime
    before: datetime
    after: datetime

    @property
    def is_gap(self) -> bool:
        """Whether it skips times; otherwise it repeats them."""
        return self.after > self.before

    @property
    def skips_date(self) -> bool:
        """Whether it skips a whole date, as when a place moves across the date line."""
        return self.after - self.before > LONGEST_GAP

    def affects(self, wall: datetime) -> bool:
        """Whether it skips or repeats a wall-clock time."""
        return min(self.before, self.after) <= wall < max(self.before, self.after)


def clock_changes(place: ZoneInfo, start: datetime, end: datetime) -> list[ClockChange]:
    """The changes in `start < at <= end`, oldest first."""
    first = start.astimezone(UTC).replace(microsecond=0)
    days = [first + n * DAY for n in range((end - first) // DAY + 2)]
    offsets = [offset(day, place) for day in days]
    found = []
    # No zone has ever changed its clock twice within three days, so that comparing days finds every change.
    for day, (old, new) in zip(days, pairwise(offsets), strict=False):
        if old == new:
            continue
        seconds = range(int(DAY / SECOND) + 1)
        at = day + bisect_left(seconds, True, key=lambda n: offset(day + n * SECOND, place) != old) * SECOND
        if start < at <= end:
            utc = at.replace(tzinfo=None)
            found.append(ClockChange(at, utc + old, utc + new))
    return found


def offset(at: datetime, place: ZoneInfo) -> timedelta:
    """The difference between wall clock and UTC at a moment."""
    return at.astimezone(place).utcoffset() or timedelta()


def moments(wall: datetime, place: ZoneInfo) -> tuple[datetime, ...]:
    """When a wall clock shows `wall` (naive), in UTC: never for a skipped time, twice for a repeated one."""
    candidates = {wall.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return tuple(sorted(at for at in candidates if wall_clock(at, place) == wall))


def wall_clock(at: datetime, place: ZoneInfo) -> datetime:
    """What a wall clock shows at a moment, naive."""
    return at.astimezone(place).replace(tzinfo=None, fold=0)


def change_affecting(wall: datetime, place: ZoneInfo) -> ClockChange | None:
    """The change that skips or repeats a wall-clock time."""
    near = wall.replace(tzinfo=UTC)
    nearby = clock_changes(place, near - NEAR, near + NEAR)
    return next((change for change in nearby if change.affects(wall)), None)


def change_at(at: datetime, place: ZoneInfo) -> ClockChange | None:
    """The change that happens at exactly that moment."""
    return next(iter(clock_changes(place, at - SECOND, at)), None)
