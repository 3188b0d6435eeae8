"""Schedules and the planner in all zones, mostly near clock changes, compared with a walk through all minutes."""

from __future__ import annotations

import tracemalloc
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, reject, strategies as st

from opsconsole import LATEST, NONE, Job, all_of, hours
from opsconsole.authoring.job import CatchUp
from opsconsole.authoring.occurrence import Occurrence, OccurrenceState, Reason
from opsconsole.calendar.cron import Cron
from opsconsole.core.errors import BadCron
from opsconsole.rules.schedule import Interval, Schedule, plan
from tests.exploring import explored
from tests.packs import counting

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
ZONES = sorted(available_timezones() - {"Factory", "localtime"})
YEARS = range(1973, 2037)  # until 1972 Liberia had an offset with seconds

# --- grammar ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expression:
    """A cron expression and the meaning of its fields: minutes, hours, dates, months, weekdays (Sunday is 0)."""

    text: str
    means: tuple[frozenset[int], ...]

    def matches(self, shown: datetime) -> bool:
        """Whether a wall-clock time matches."""
        minutes, hours_, dates, months, weekdays = self.means
        if shown.minute not in minutes or shown.hour not in hours_ or shown.month not in months:
            return False
        date, weekday = shown.day in dates, shown.isoweekday() % 7 in weekdays
        either = "*" not in (self.field(2)[0], self.field(4)[0])
        return date or weekday if either else date and weekday

    def field(self, at: int) -> str:
        return self.text.split()[at]

    @property
    def follows_elapsed_time(self) -> bool:
        return "*" in (self.field(0)[0], self.field(1)[0])


@st.composite
def parts(draw: st.DrawFn, low: int, high: int) -> tuple[str, frozenset[int]]:
    first = draw(st.integers(low, high))
    last = draw(st.integers(first, high))
    step = draw(st.integers(2, 9))
    kind = draw(st.sampled_from("nnrs"))
    if kind == "n" or first == last:
        return str(first), frozenset({first})
    if kind == "r":
        return f"{first}-{last}", frozenset(range(first, last + 1))
    return f"{first}-{last}/{step}", frozenset(range(first, last + 1, step))


@st.composite
def fields(draw: st.DrawFn, low: int, high: int, stars: int) -> tuple[str, frozenset[int]]:
    """A field; a star in `stars` of ten cases."""
    if draw(st.integers(1, 10)) <= stars:
        step = draw(st.sampled_from([1, 1, 2, 3, 7, 15]))
        return ("*" if step == 1 else f"*/{step}"), frozenset(range(low, high + 1, step))
    found = draw(st.lists(parts(low, high), min_size=1, max_size=2))
    return ",".join(text for text, _ in found), frozenset().union(*(values for _, values in found))


@st.composite
def crons(draw: st.DrawFn) -> Expression:
    drawn = [
        draw(fields(0, 59, 2)),
        draw(st.one_of(fields(0, 23, 4), fields(0, 4, 0))),  # most clock changes are in the early morning
        draw(fields(1, 31, 8)),
        draw(fields(1, 12, 9)),
        draw(fields(0, 6, 8)),
    ]
    return Expression(" ".join(text for text, _ in drawn), tuple(values for _, values in drawn))


# --- zones and their clock changes --------------------------------------------------------------------------------


@cache
def changes(tz: str) -> tuple[datetime, ...]:
    """Days in UTC on which, or on the day after which, the zone's clock changes."""
    there = ZoneInfo(tz)
    first = datetime(YEARS[0], 1, 1, tzinfo=UTC)
    days = [first + n * DAY for n in range((datetime(YEARS[-1], 1, 1, tzinfo=UTC) - first).days)]
    offsets = [day.astimezone(there).utcoffset() for day in days]
    return tuple(day for day, old, new in zip(days, offsets, offsets[1:], strict=False) if old != new)


@st.composite
def windows(draw: st.DrawFn, count: int = 2) -> tuple[str, list[datetime]]:
    """A zone and `count` times in order, mostly near a clock change."""
    tz = draw(st.sampled_from(ZONES))
    near = changes(tz) or (datetime(2025, 1, 19, tzinfo=UTC),)
    day = draw(st.sampled_from(near))
    seconds = st.one_of(st.integers(-2 * 86_400, 3 * 86_400), st.integers(-48, 72).map(lambda hour: hour * 3600))
    return tz, [day + timedelta(seconds=s) for s in sorted(draw(st.lists(seconds, min_size=count, max_size=count)))]


def read(expression: Expression, tz: str) -> Cron:
    try:
        return Cron(expression.text, tz)
    except BadCron as refused:
        if "never fires" not in refused.sentence:
            raise
    reject()


def walked(expression: Expression, tz: str, after: datetime, until: datetime) -> list[datetime]:
    """Every scheduled time in (after, until], found by testing the wall clock at each minute.

    A text that does not follow elapsed time fires when the wall shows a time for the first time, and right after a gap
    of some hours once for all that was left out.
    """
    there = ZoneInfo(tz)
    at = after.replace(second=0, microsecond=0) - DAY - hours(6)
    before = newest = at.astimezone(there).replace(tzinfo=None)
    found = []
    while at + MINUTE <= until:
        at += MINUTE
        shown = at.astimezone(there).replace(tzinfo=None)
        fires = expression.matches(shown)
        if not expression.follows_elapsed_time:
            left_out = (shown - before) // MINUTE - 1
            if 0 < left_out <= 12 * 60:
                fires = fires or any(expression.matches(before + n * MINUTE) for n in range(1, left_out + 1))
            fires = fires and shown > newest
        if fires and at > after:
            found.append(at)
        before, newest = shown, max(newest, shown)
    return found


def test_many_zones_have_many_clock_changes() -> None:
    some = ZONES[::25]
    assert sum(bool(changes(tz)) for tz in some) > len(some) / 3
    assert sum(len(changes(tz)) for tz in some) > 10 * len(some)


# --- schedules ----------------------------------------------------------------------------------------------------


@explored(crons(), windows(), st.integers(0, 12), few=40, many=400)
def test_in_every_zone_a_schedule_agrees_with_the_minute_walk(
    expression: Expression, near: tuple[str, list[datetime]], number: int
) -> None:
    tz, (a, b) = near
    cron = read(expression, tz)
    expected = walked(expression, tz, a, b)

    assert list(cron.between(a, b)) == expected
    assert cron.count(a, b) == len(expected)
    assert cron.newest(a, b, number) == expected[len(expected) - min(number, len(expected)) :]
    if expected:
        assert cron.next(a) == expected[0]
        assert cron.previous(b) == expected[-1]


@explored(
    crons(),
    st.sampled_from(ZONES),
    st.integers(YEARS[0], YEARS[-1] - 4),
    st.integers(0, 4 * 366),
    st.integers(0, 9),
    few=40,
    many=400,
)
def test_over_years_count_agrees_with_between(
    expression: Expression, tz: str, year: int, days: int, number: int
) -> None:
    cron = read(expression, tz)
    assume(len(expression.means[0]) * len(expression.means[1]) <= 100)
    a = datetime(year, 6, 1, 12, 0, tzinfo=UTC)
    b = a + days * DAY

    times = list(cron.between(a, b))

    assert cron.count(a, b) == len(times)
    assert cron.newest(a, b, number) == times[len(times) - min(number, len(times)) :]


# --- the planner --------------------------------------------------------------------------------------------------

catch_ups = st.one_of(
    st.sampled_from([LATEST, NONE]),
    st.builds(
        lambda newest, within: all_of(newest=newest, within=within and hours(within)),
        st.integers(2, 31),
        st.one_of(st.none(), st.integers(1, 72)),
    ),
)
pauses = st.lists(
    st.tuples(st.integers(-3 * 86_400, 3 * 86_400), st.one_of(st.none(), st.integers(0, 2 * 86_400))), max_size=4
)


def paused_around(at: datetime, drawn: list[tuple[int, int | None]]) -> tuple[Interval, ...]:
    return tuple(
        Interval(at + timedelta(seconds=a), None if b is None else at + timedelta(seconds=a + b)) for a, b in drawn
    )


def job(expression: Expression, tz: str, catch_up: CatchUp) -> Job:
    return Job("books.close", counting.names, counting.do_nothing, cron=expression.text, tz=tz, catch_up=catch_up)


def outcomes(
    times: list[datetime], catch_up: CatchUp, paused: tuple[Interval, ...], now: datetime
) -> list[Reason | None]:
    """The expected outcome of each scheduled time: None if it runs, otherwise the reason. An independent version."""
    held = [any(a <= at and (b is None or at < b) for a, b in paused) for at in times]
    free = [at for at, is_held in zip(times, held, strict=True) if not is_held]
    if catch_up.newest == 0:
        run, why = [at for at in free[-1:] if now - at <= MINUTE], Reason.NOT_LEADING
    else:
        young = [at for at in free if catch_up.within is None or at > now - catch_up.within]
        run = young[-catch_up.newest :]
        why = Reason.SUPERSEDED if catch_up.newest == 1 else Reason.CATCH_UP_LIMIT
    return [Reason.PAUSED if is_held else None if at in run else why for at, is_held in zip(times, held, strict=True)]


def spread(found: list[Occurrence], times: list[datetime]) -> list[tuple[datetime, Reason | None]]:
    """The scheduled times that occurrences cover, in order."""
    single: list[tuple[datetime, Reason | None]] = []
    for each in found:
        mine = [at for at in times if each.due_at <= at <= each.last_due_at]
        assert (len(mine), mine[0], mine[-1]) == (each.instants, each.due_at, each.last_due_at)
        assert (each.state is OccurrenceState.SKIPPED) == (each.reason is Reason.PAUSED)
        assert (each.state is OccurrenceState.MISSED) == (each.reason not in (Reason.PAUSED, None))
        assert not each.runs or each.instants == 1
        single += [(at, each.reason) for at in mine]
    return sorted(single, key=lambda one: one[0])


@explored(crons(), windows(), catch_ups, pauses, few=40, many=400)
def test_in_every_zone_each_scheduled_time_has_the_expected_outcome(
    expression: Expression, near: tuple[str, list[datetime]], catch_up: CatchUp, drawn: list[tuple[int, int | None]]
) -> None:
    tz, (cursor, now) = near
    cron, paused = read(expression, tz), paused_around(cursor, drawn)
    times = walked(expression, tz, cursor, now)

    found = plan([Schedule(job(expression, tz, catch_up), cron, cursor, paused)], now)

    assert spread(found, times) == list(zip(times, outcomes(times, catch_up, paused, now), strict=True))
    runs = sum(each.runs for each in found)
    # A range is one row, cut where a pause starts or ends.
    assert len(found) <= 2 * (len(paused) * 2 + 1) + runs


@explored(crons(), windows(3), catch_ups, pauses, few=40, many=400)
def test_planning_in_two_steps_records_the_same_times(
    expression: Expression, near: tuple[str, list[datetime]], catch_up: CatchUp, drawn: list[tuple[int, int | None]]
) -> None:
    tz, (a, b, c) = near
    cron, paused = read(expression, tz), paused_around(a, drawn)
    what = job(expression, tz, catch_up)

    first = plan([Schedule(what, cron, a, paused)], b)
    cursor = max((each.last_due_at for each in first), default=a)
    second = plan([Schedule(what, cron, cursor, paused)], c)
    whole = plan([Schedule(what, cron, a, paused)], c)

    times = walked(expression, tz, a, c)
    one, two = spread(whole, times), spread(first + second, times)
    assert [at for at, _ in one] == [at for at, _ in two] == times
    assert all(each.last_due_at <= b for each in first)
    assert all(each.due_at > b for each in second)
    # Planning in two steps runs at least the same times, and skips exactly the same for a pause.
    assert {at for at, why in one if why is None and (catch_up.newest or at > b)} <= {
        at for at, why in two if why is None
    }
    assert [at for at, why in one if why is Reason.PAUSED] == [at for at, why in two if why is Reason.PAUSED]


# --- large clock jumps --------------------------------------------------------------------------------------------

LEAP = 3652 * DAY
HOUR_CHANGE = datetime(2025, 3, 30, 1, 0, tzinfo=UTC)
EVERY_MINUTE = ["* * * * *", "*/7 * * * *", "0-58/2 0-22 * * *", "1-59 * 1-30 * 0-5"]
OTHERS = ["30 2 * * *", "0 0 31 * *", "0 0 29 2 *", "15,45 9-17 * * 1-5", "0 12 1 * 6", "50 23 L * *"]


def years_later(catch_up: CatchUp) -> tuple[list[Schedule], datetime]:
    """Thirty jobs in three zones, last planned ten years ago; one of them was paused several times."""
    now = HOUR_CHANGE + LEAP
    paused = tuple(Interval(HOUR_CHANGE + (n * 300 + 1) * DAY, HOUR_CHANGE + (n * 300 + 41) * DAY) for n in range(8))
    return [
        Schedule(
            Job(f"far.job{n}", counting.names, counting.do_nothing, cron=text, tz=tz, catch_up=catch_up),
            Cron(text, tz),
            HOUR_CHANGE,
            paused if n == 0 else (),
        )
        for n, (text, tz) in enumerate(
            (text, tz)
            for tz in ("Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata")
            for text in (*EVERY_MINUTE, *OTHERS)
        )
    ], now


@pytest.mark.parametrize(
    "catch_up",
    [
        LATEST,
        *(
            pytest.param(catch_up, marks=pytest.mark.soak)
            for catch_up in (NONE, all_of(newest=31), all_of(newest=10, within=hours(24)))
        ),
    ],
    ids=str,
)
def test_ten_years_are_planned_in_little_memory_and_few_rows(catch_up: CatchUp) -> None:
    schedules, now = years_later(catch_up)
    found = plan(schedules, now, jumped=True)

    tracemalloc.start()
    try:
        again = plan(schedules, now, jumped=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 50 * 2**20
    assert found == again
    assert len(found) <= len(schedules) * (max(1, catch_up.newest) + 1) + 2 * 8
    for each in schedules:
        mine = [one for one in found if one.job == each.job.name]
        assert sum(one.instants for one in mine) == each.cron.count(each.cursor, now)
        edges = [edge for one in mine for edge in (one.due_at, one.last_due_at)]
        assert edges == sorted(edges)
        assert {one.reason for one in mine} <= {Reason.CLOCK_JUMP, Reason.PAUSED, None}
    every_minute = [one for one in found if one.job == "far.job0"]
    assert sum(one.instants for one in every_minute) == LEAP // MINUTE
    assert sum(one.instants for one in every_minute if one.reason is Reason.PAUSED) == 8 * 40 * DAY // MINUTE
    assert bisect_right([one.due_at for one in every_minute], now) == len(every_minute)
