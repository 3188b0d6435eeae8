"""Which moments a time means for a schedule, and how clock changes affect it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from opsconsole.calendar.clock_changes import ClockChange, change_affecting, change_at, moments, wall_clock
from opsconsole.calendar.cron import TICK, Cron, zone
from opsconsole.core.humanize import local_time

LISTED = 5
"""How many skipped times a sentence lists."""


class ClockEffect(StrEnum):
    """How a clock change affects a time of a schedule."""

    DATE_SKIPPED = "date_skipped"
    SKIPPED = "skipped"  # the schedule follows elapsed time and does not fire
    SKIPPED_NO_MATCH = "skipped_no_match"
    MOVED_AFTER_GAP = "moved_after_gap"
    ENDS_GAP = "ends_gap"  # the moment at which skipped times fire
    REPEATED_NO_MATCH = "repeated_no_match"
    FIRES_TWICE = "fires_twice"
    FIRES_FIRST = "fires_first"
    REPEAT_SKIPPED = "repeat_skipped"


@dataclass(frozen=True, slots=True)
class ClockNote:
    """An effect of `change` on the wall-clock time `wall`. `moments` are when a wall clock shows it, in UTC; `skipped`
    are the schedule's times in a gap.
    """

    effect: ClockEffect
    change: ClockChange
    wall: datetime
    moments: tuple[datetime, ...] = ()
    skipped: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeReading:
    """What a time means: the moments to explain, and how clock changes affect it. `near` is where to search for
    scheduled times nearby.
    """

    near: datetime
    moments: tuple[datetime, ...]
    notes: tuple[ClockNote, ...] = ()


def read_time(requested: datetime, tz: str, cron: Cron | None) -> TimeReading:
    """The moments that a time means. An aware time is one moment; a naive one is wall-clock time in `tz`."""
    place = zone(tz)
    if requested.tzinfo is not None:
        at = requested.astimezone(UTC)
        return TimeReading(at, (at,), _notes_at(at, cron, place))
    found, change = moments(requested, place), change_affecting(requested, place)
    if change is None:
        return TimeReading(found[0], found, _notes_at(found[0], cron, place))
    return _repeated(requested, change, found, cron) if found else _skipped(requested, change, cron)


def _skipped(wall: datetime, change: ClockChange, cron: Cron | None) -> TimeReading:
    if change.skips_date:
        effect = ClockEffect.DATE_SKIPPED
    elif cron is None or (not cron.follows_elapsed_time and wall not in cron.times_affected_by(change)):
        effect = ClockEffect.SKIPPED_NO_MATCH
    elif cron.follows_elapsed_time:
        effect = ClockEffect.SKIPPED
    else:
        effect = ClockEffect.MOVED_AFTER_GAP
    found = (change.at,) if effect is ClockEffect.MOVED_AFTER_GAP else ()
    return TimeReading(change.at, found, (ClockNote(effect, change, wall),))


def _repeated(wall: datetime, change: ClockChange, found: tuple[datetime, ...], cron: Cron | None) -> TimeReading:
    if cron is None or wall not in cron.times_affected_by(change):
        effect = ClockEffect.REPEATED_NO_MATCH
    else:
        effect = ClockEffect.FIRES_TWICE if cron.follows_elapsed_time else ClockEffect.FIRES_FIRST
    meant = found if effect is ClockEffect.FIRES_TWICE else found[:1]
    return TimeReading(found[0], meant, (ClockNote(effect, change, wall, found),))


def _notes_at(at: datetime, cron: Cron | None, place: ZoneInfo) -> tuple[ClockNote, ...]:
    """How clock changes affect a moment that exists."""
    if cron is None or cron.follows_elapsed_time:
        return ()
    wall = wall_clock(at, place)
    notes = []
    gap = change_at(at, place)
    if gap is not None and gap.is_gap and not gap.skips_date and (skipped := cron.times_affected_by(gap)):
        notes.append(ClockNote(ClockEffect.ENDS_GAP, gap, wall, skipped=tuple(skipped)))
    fold = change_affecting(wall, place)
    if fold is not None and not fold.is_gap and at >= fold.at and wall in cron.times_affected_by(fold):
        notes.append(ClockNote(ClockEffect.REPEAT_SKIPPED, fold, wall, moments(wall, place)))
    return tuple(notes)


# --- wording ------------------------------------------------------------------------------------------------------


def describe(note: ClockNote, tz: str, cron: Cron | None) -> tuple[str, ...]:
    """The note in sentences."""
    wall, change = note.wall, note.change
    jump = f"from {change.before:%H:%M} to {change.after:%H:%M}"
    gap = f"{wall:%H:%M} does not exist on {wall:%Y-%m-%d} in {tz}: clocks went {jump}"
    match note.effect:
        case ClockEffect.DATE_SKIPPED:
            before, after = f"{change.before - TICK:%Y-%m-%d}", f"{change.after:%Y-%m-%d}"
            return (f"{wall:%Y-%m-%d} does not exist in {tz}: {before} was followed by {after}",)
        case ClockEffect.SKIPPED:
            return (gap, "a schedule whose minute or hour starts with * follows elapsed time and skips this hour")
        case ClockEffect.SKIPPED_NO_MATCH:
            return (gap, f"the schedule {cron.text!r} does not match it either") if cron is not None else (gap,)
        case ClockEffect.MOVED_AFTER_GAP:
            return (gap, f"skipped times fire once, right after the gap: at {local_time(change.at, tz)}")
        case ClockEffect.ENDS_GAP:
            times = ", ".join(f"{time:%H:%M}" for time in note.skipped[:LISTED])
            more = "..." if len(note.skipped) > LISTED else ""
            return (f"clocks went {jump} at this time: the skipped times ({times}{more}) fire once, now",)
        case ClockEffect.REPEAT_SKIPPED:
            first = local_time(note.moments[0], tz)
            second = f"{wall:%H:%M} occurs for the second time, because clocks went back {jump}"
            return (f"{second}; a fixed time fires only the first time, at {first}",)
        case ClockEffect.FIRES_TWICE:
            effect = "a schedule whose minute or hour starts with * follows elapsed time and fires both times"
            return (_repeats(note, tz), effect)
        case ClockEffect.FIRES_FIRST:
            return (_repeats(note, tz), "a fixed time fires only the first time")
        case ClockEffect.REPEATED_NO_MATCH:
            return (_repeats(note, tz),)


def _repeats(note: ClockNote, tz: str) -> str:
    wall, change = note.wall, note.change
    first, last = (local_time(at, "UTC") for at in note.moments)
    clocks = f"clocks go back from {change.before:%H:%M} to {change.after:%H:%M}"
    return f"{wall:%H:%M} occurs twice on {wall:%Y-%m-%d} in {tz}, where {clocks}: at {first} and {last}"
