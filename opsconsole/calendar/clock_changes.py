"""Where the clocks of a place are changed, and what becomes there of the times of day that a schedule names."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from opsconsole.calendar.cron import DAY, LONGEST_GAP, SECOND, SHORTHANDS, TICK, Cron, zone
from opsconsole.core.humanize import local_time

NEAR = 2 * DAY
"""What a clock on the wall shows is less than a day from the same reading in UTC; with room for a lost date."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a time means where a job is scheduled: the moments to explain, and what clock changes have to do with it.
    `about` is where to look for instants nearby.
    """

    about: datetime
    moments: tuple[datetime, ...]
    says: tuple[str, ...] = ()


class Change(NamedTuple):
    """The moment `at` when a clock on the wall, about to show `before`, is set to show `after` (both without zone)."""

    at: datetime
    before: datetime
    after: datetime

    @property
    def is_gap(self) -> bool:
        """Whether it leaves times out; else it shows them twice."""
        return self.after > self.before

    @property
    def is_lost_date(self) -> bool:
        """Whether it leaves a whole date out, as where a place moves over the date line."""
        return self.after - self.before > LONGEST_GAP

    def concerns(self, wall: datetime) -> bool:
        """Whether a wall-clock time is left out by it, or shown twice."""
        return min(self.before, self.after) <= wall < max(self.before, self.after)


def changes(place: ZoneInfo, start: datetime, end: datetime) -> list[Change]:
    """The changes of `start < at <= end`, oldest first."""

    def offset(at: datetime) -> timedelta:
        return at.astimezone(place).utcoffset() or timedelta()

    def first_of_the_new(day: datetime, old: timedelta) -> datetime:
        seconds = range(int(DAY / SECOND) + 1)
        return day + bisect_left(seconds, True, key=lambda n: offset(day + n * SECOND) != old) * SECOND

    first = start.astimezone(UTC).replace(microsecond=0)
    days = [first + n * DAY for n in range((end - first) // DAY + 2)]
    found = []
    # No zone has ever changed its clock twice within three days, so a look a day finds every change.
    for day, after in pairwise(days):
        old, new = offset(day), offset(after)
        if old == new:
            continue
        at = first_of_the_new(day, old)
        if start < at <= end:
            shown = at.replace(tzinfo=None)
            found.append(Change(at, shown + old, shown + new))
    return found


def moments(wall: datetime, place: ZoneInfo) -> tuple[datetime, ...]:
    """When a clock on the wall shows `wall` (without zone), in UTC: never in a gap, twice in a fold."""
    read = {wall.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return tuple(sorted(at for at in read if shown(at, place) == wall))


def shown(at: datetime, place: ZoneInfo) -> datetime:
    """What a clock on the wall shows at a moment, without zone."""
    return at.astimezone(place).replace(tzinfo=None, fold=0)


def change_of(wall: datetime, place: ZoneInfo) -> Change | None:
    """The change that leaves a wall-clock time out or shows it twice."""
    about = wall.replace(tzinfo=UTC)
    return next((change for change in changes(place, about - NEAR, about + NEAR) if change.concerns(wall)), None)


def change_at(at: datetime, place: ZoneInfo) -> Change | None:
    """The change that happens at exactly that moment."""
    return next(iter(changes(place, at - SECOND, at)), None)


def follows_elapsed(text: str) -> bool:
    """Whether a schedule counts elapsed time through a change: its minute or hour starts with `*`."""
    fields = SHORTHANDS.get(text.strip().lower(), text).split()
    return fields[0].startswith("*") or fields[1].startswith("*")


def named_in(cron: Cron, change: Change) -> list[datetime]:
    """The wall-clock times, without zone, that a schedule names among those that are left out or shown twice."""
    # UTC has no changes: read there, a text says what it names on a clock that nobody sets.
    first, last = (side.replace(tzinfo=UTC) for side in sorted((change.before, change.after)))
    return [time.replace(tzinfo=None) for time in Cron(cron.text).between(first - TICK, last - TICK)]


# --- what a time means --------------------------------------------------------------------------------------------


def read(asked: datetime, cron: Cron) -> Reading:
    """Which moments are meant by a time: a moment when it has a zone, else what a clock shows in the job's zone."""
    place = zone(cron.tz)
    if asked.tzinfo is not None:
        at = asked.astimezone(UTC)
        return Reading(at, (at,), tuple(_at_a_change(at, cron, place)))
    found, change = moments(asked, place), change_of(asked, place)
    if change is None:
        return Reading(found[0], found, tuple(_at_a_change(found[0], cron, place)))
    return _passing_twice(asked, change, found, cron) if found else _left_out(asked, change, cron)


def _left_out(wall: datetime, change: Change, cron: Cron) -> Reading:
    named = wall in named_in(cron, change)
    if change.is_lost_date:
        lost = f"{wall:%Y-%m-%d} does not exist in {cron.tz}: after {change.before - TICK:%Y-%m-%d} came "
        says = f"{lost}{change.after:%Y-%m-%d}; a date that does not exist has no instants"
        return Reading(change.at, (), (says,))
    gap = f"{wall:%H:%M} does not exist on {wall:%Y-%m-%d} in {cron.tz}: clocks went from {change.before:%H:%M} to "
    gap += f"{change.after:%H:%M}"
    if follows_elapsed(cron.text):
        why = "a schedule whose minute or hour starts with * counts elapsed time, and has nothing in a skipped hour"
        return Reading(change.at, (), (gap, why))
    if not named:
        return Reading(change.at, (), (gap, f"the schedule {cron.text!r} does not name it either"))
    moved = f"what a schedule names in a gap fires once, right after it: at {local_time(change.at, cron.tz)}"
    return Reading(change.at, (change.at,), (gap, moved))


def _passing_twice(wall: datetime, change: Change, found: tuple[datetime, ...], cron: Cron) -> Reading:
    first, second = found
    twice = f"{wall:%H:%M} passes twice on {wall:%Y-%m-%d} in {cron.tz}, where clocks go back from "
    twice += f"{change.before:%H:%M} to {change.after:%H:%M}: at {local_time(first, 'UTC')} and at {local_time(second, 'UTC')}"
    if wall not in named_in(cron, change):
        return Reading(first, (first,), (twice,))
    if follows_elapsed(cron.text):
        why = "a schedule whose minute or hour starts with * counts elapsed time: both are instants"
        return Reading(first, found, (twice, why))
    return Reading(first, (first,), (twice, "a fixed time fires at the first passing only; the second is no instant"))


def _at_a_change(at: datetime, cron: Cron, place: ZoneInfo) -> Iterator[str]:
    """What a change has to do with a moment that there is."""
    if follows_elapsed(cron.text):
        return
    ended = change_at(at, place)
    if ended is not None and ended.is_gap and not ended.is_lost_date and (named := named_in(cron, ended)):
        times = ", ".join(f"{time:%H:%M}" for time in named[:5]) + ("..." if len(named) > 5 else "")
        yield (
            f"clocks went from {ended.before:%H:%M} to {ended.after:%H:%M} then: what the schedule names in that gap "
            f"({times}) fires once, right after it"
        )
    wall = shown(at, place)
    change = change_of(wall, place)
    if change is not None and not change.is_gap and at >= change.at and wall in named_in(cron, change):
        first = moments(wall, place)[0]
        yield (
            f"{wall:%H:%M} passes for the second time then, as clocks went back from {change.before:%H:%M} to "
            f"{change.after:%H:%M}; a fixed time fires at the first passing only, at {local_time(first, cron.tz)}"
        )
