"""Properties of schedules in all zones, compared with cronsim and with a walk through all minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import HealthCheck, given, settings, strategies as st

from opsconsole.calendar.cron import Cron
from opsconsole.core.errors import BadCron

MINUTE = timedelta(minutes=1)
DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]

# Without Lord Howe, where cronsim has a bug. The walk below covers it.
ZONES = [
    "UTC",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Nuuk",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Australia/Adelaide",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
]

CHANGES = [
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Europe/Berlin", "2025-03-30"),
    ("Europe/Berlin", "2025-10-26"),
    ("Europe/London", "2026-03-29"),
    ("Europe/Dublin", "2026-10-25"),
    ("America/Sao_Paulo", "2018-02-18"),  # midnight becomes 23:00 of the day before
    ("America/Sao_Paulo", "2018-11-04"),  # no midnight
    ("America/Havana", "2025-03-09"),
    ("Africa/Cairo", "2025-04-25"),
    ("Africa/Casablanca", "2026-02-15"),
    ("Africa/Casablanca", "2026-03-22"),
    ("America/Nuuk", "2024-03-30"),  # 23:00 becomes midnight
    ("America/Nuuk", "2024-10-26"),
    ("America/St_Johns", "2010-11-07"),  # 00:01 becomes 23:01 of the day before
    ("America/St_Johns", "2011-03-13"),
    ("Australia/Lord_Howe", "2025-04-06"),  # half an hour
    ("Australia/Lord_Howe", "2025-10-05"),
    ("Antarctica/Troll", "2025-03-30"),  # two hours
    ("Antarctica/Casey", "2018-10-07"),  # three hours
    ("Antarctica/Casey", "2019-03-17"),
    ("Asia/Pyongyang", "2015-08-15"),
    ("Asia/Pyongyang", "2018-05-04"),
    ("Pacific/Apia", "2011-12-30"),  # a date that does not exist
    ("Pacific/Kwajalein", "1993-08-21"),
    ("Pacific/Chatham", "2026-04-05"),
    ("Asia/Kolkata", "2026-01-20"),  # no clock change
]


@dataclass(frozen=True)
class Text:
    """A generated cron text and its meaning: the sets are generated with the text, not parsed from it.

    In `dates` 0 is the last day; in `weekdays` (5, 2) is the second Friday, (5, 0) the last one.
    """

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    dates: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int | tuple[int, int]]

    def matches(self, clock: datetime) -> bool:
        if clock.minute not in self.minutes or clock.hour not in self.hours or clock.month not in self.months:
            return False
        weekday, nth = clock.isoweekday() % 7, (clock.day - 1) // 7 + 1
        is_last = (clock + timedelta(days=1)).month != clock.month
        is_last_week = (clock + timedelta(days=7)).month != clock.month
        date = clock.day in self.dates or (is_last and 0 in self.dates)
        names = {weekday, (weekday, nth), (weekday, 0 if is_last_week else nth)}
        day = not self.weekdays.isdisjoint(names)
        _, _, date_field, _, weekday_field = self.text.split()
        if date_field.startswith("*") or weekday_field.startswith("*"):
            return date and day
        return date or day

    @property
    def follows_elapsed_time(self) -> bool:
        minute, hour, *_ = self.text.split()
        return minute.startswith("*") or hour.startswith("*")


Field = tuple[str, frozenset[int]]


@st.composite
def items(draw: st.DrawFn, low: int, high: int, names: list[str] | None = None) -> Field:
    """A number, a range, a range with steps."""

    def word(number: int) -> str:
        name = names[number - low] if names and number - low < len(names) else str(number)
        return draw(st.sampled_from([str(number), name, name.lower()]))

    start = draw(st.integers(low, high))
    if draw(st.booleans()):
        return word(start), frozenset({start})
    end = draw(st.integers(start, high))
    step = draw(st.integers(1, high)) if start < end else 1  # cronsim reads 5-5/2 as 5/2
    written = f"{word(start)}-{word(end)}"
    return (
        (written, frozenset(range(start, end + 1)))
        if step == 1
        else (
            f"{written}/{step}",
            frozenset(range(start, end + 1, step)),
        )
    )


@st.composite
def fields(draw: st.DrawFn, low: int, high: int, names: list[str] | None = None) -> Field:
    kind = draw(st.sampled_from(["star", "step", "list", "list"]))
    every = range(low, high + 1)
    if kind == "star":
        return "*", frozenset(every)
    if kind == "step":
        step = draw(st.integers(1, high))
        return f"*/{step}", frozenset(every[::step])
    parts = draw(st.lists(items(low, high, names), min_size=1, max_size=3))
    return ",".join(text for text, _ in parts), frozenset().union(*(values for _, values in parts))


@st.composite
def texts(draw: st.DrawFn) -> Text:
    minute, minutes = draw(fields(0, 59))
    hour, hours = draw(fields(0, 23))
    # Days are mostly unrestricted. Otherwise nearly every schedule would be rare.
    date, dates = draw(
        st.one_of(st.just(("*", frozenset(range(1, 32)))), fields(1, 31), st.just(("L", frozenset({0}))))
    )
    month, months = draw(st.one_of(st.just(("*", frozenset(range(1, 13)))), fields(1, 12, MONTHS)))
    weekday, weekdays = draw(st.one_of(st.just(("*", frozenset(range(7)))), fields(0, 7, DAYS), special_weekdays()))
    folded = frozenset(day % 7 if isinstance(day, int) else day for day in weekdays)
    return Text(f"{minute} {hour} {date} {month} {weekday}", minutes, hours, dates, months, folded)


@st.composite
def special_weekdays(draw: st.DrawFn) -> tuple[str, frozenset[tuple[int, int]]]:
    day, nth = draw(st.integers(0, 6)), draw(st.integers(0, 5))
    return (f"{day}#{nth}" if nth else f"{day}L"), frozenset({(day, nth)})


def readable(text: Text, tz: str) -> Cron | None:
    """The schedule; None if no year has such a date."""
    try:
        return Cron(text.text, tz)
    except BadCron as refused:
        if "never fires" in refused.sentence:
            return None
        raise


def is_calm(at: datetime, tz: str) -> bool:
    """No clock changes within a day and a half."""
    there = ZoneInfo(tz)
    return len({(at + timedelta(hours=hours)).astimezone(there).utcoffset() for hours in (-36, 0, 36)}) == 1


def walk(text: Text, tz: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """The scheduled times in `start < t <= end`, minute by minute, by the documented rule."""
    there = ZoneInfo(tz)

    def shown(at: datetime) -> datetime:
        return at.astimezone(there).replace(tzinfo=None, fold=0)

    at = start - timedelta(days=1)  # to know which times were shown before
    before = latest = shown(at)
    while at < end:
        at += MINUTE
        clock = shown(at)
        fires = text.matches(clock)
        if not text.follows_elapsed_time:
            fires = fires and clock > latest
            skipped = clock - before - MINUTE
            if timedelta() < skipped <= timedelta(hours=6):
                fires = fires or any(text.matches(before + n * MINUTE) for n in range(1, skipped // MINUTE + 1))
        if fires and at > start:
            yield at
        before, latest = clock, max(latest, clock)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(texts(), st.sampled_from(ZONES), st.datetimes(datetime(1990, 1, 1), datetime(2036, 1, 1)))  # noqa: DTZ001
def test_without_clock_changes_a_schedule_agrees_with_cronsim(text: Text, tz: str, at: datetime) -> None:
    start = at.replace(second=0, microsecond=0, tzinfo=UTC)
    cron = readable(text, tz)
    try:
        expected = [there.astimezone(UTC) for there in islice(CronSim(text.text, start.astimezone(ZoneInfo(tz))), 40)]
    except CronSimError:
        expected = []
    if cron is None:
        assert expected == []
        return

    actual = list(cron.between(start, expected[-1]))

    assert [t for t in actual if is_calm(t, tz)] == [t for t in expected if is_calm(t, tz)]


@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.parametrize(("tz", "date"), CHANGES)
@given(text=texts(), hours=st.integers(-6, 6))
def test_at_clock_changes_a_schedule_follows_the_documented_rule(tz: str, date: str, text: Text, hours: int) -> None:
    noon = datetime.fromisoformat(f"{date}T12:00").replace(tzinfo=ZoneInfo(tz)).astimezone(UTC)
    start, end = noon + timedelta(hours=hours - 24), noon + timedelta(hours=hours + 18)
    cron = readable(text, tz)
    if cron is None:
        return

    assert list(cron.between(start, end)) == list(walk(text, tz, start, end))


@st.composite
def times_near_a_change(draw: st.DrawFn, count: int) -> tuple[str, list[datetime]]:
    tz, date = draw(st.sampled_from(CHANGES))
    noon = datetime.fromisoformat(f"{date}T12:00").replace(tzinfo=UTC)
    seconds = draw(st.lists(st.integers(-2 * 86_400, 2 * 86_400), min_size=count, max_size=count))
    return tz, [noon + timedelta(seconds=second) for second in sorted(seconds)]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(texts(), times_near_a_change(3))
def test_two_halves_of_a_range_have_the_same_scheduled_times(text: Text, near: tuple[str, list[datetime]]) -> None:
    tz, (a, b, c) = near
    cron = readable(text, tz)
    if cron is None:
        return

    whole = list(cron.between(a, c))

    assert whole == [*cron.between(a, b), *cron.between(b, c)]
    assert whole == sorted(set(whole))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(texts(), times_near_a_change(1))
def test_next_and_previous_agree(text: Text, near: tuple[str, list[datetime]]) -> None:
    tz, (at,) = near
    cron = readable(text, tz)
    if cron is None:
        return

    after, before = cron.next(at), cron.previous(at)

    assert after is not None
    assert before is not None
    assert before <= at < after
    assert cron.next(before) == after
    assert cron.previous(after) == after
    assert cron.previous(after - timedelta(microseconds=1)) == before
    assert list(cron.between(before, after)) == [after]


@settings(deadline=None, max_examples=200)
@given(
    st.one_of(
        st.text(max_size=30),
        st.lists(st.text("0123456789*/-,#?LWRHMONJAN@", min_size=1, max_size=6), min_size=5, max_size=5).map(" ".join),
        texts().map(lambda text: text.text),
    )
)
def test_any_text_is_described_or_refused_in_one_line(text: str) -> None:
    try:
        cron = Cron(text)
    except BadCron as refused:
        line = refused.sentence
    else:
        line = cron.describe()
        assert cron.next(datetime(2026, 1, 1, tzinfo=UTC))
    assert line
    assert "\n" not in line
