"""Windows: adjacent days and months, in every zone and through clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, strategies as st

from opsconsole.calendar.windows import (
    DAY,
    DAY_BEFORE,
    FOUR_WEEKS_BEFORE,
    MOMENT,
    MONTH_BEFORE,
    Covers,
    Unit,
    Window,
    start_of_day,
)
from opsconsole.core.errors import BadWindow

MONTH = Covers(Unit.MONTH)
ODD = ["Pacific/Apia", "America/Sao_Paulo", "America/Havana", "Asia/Beirut", "Africa/Cairo", "Australia/Lord_Howe"]
zones = st.one_of(st.sampled_from(ODD), st.sampled_from(sorted(available_timezones()))).map(ZoneInfo)
days = st.dates(date(1975, 1, 1), date(2037, 12, 1))
# Before 2012 some zones set clocks back a minute after midnight, so that an hour alternated between two dates.
times = st.datetimes(datetime(2012, 1, 2), datetime(2037, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(zones, days)
def test_days_follow_each_other_without_gap_or_overlap(zone: ZoneInfo, day: date) -> None:
    window, after = DAY.named(day, zone), DAY.named(day + timedelta(days=1), zone)

    assert window.start <= window.end == after.start
    assert window.label == day.isoformat()


@given(zones, days)
def test_months_follow_each_other_and_are_made_of_their_days(zone: ZoneInfo, day: date) -> None:
    first = day.replace(day=1)
    after = (first + timedelta(days=31)).replace(day=1)

    month = MONTH.named(day, zone)

    assert month.end == MONTH.named(after, zone).start
    assert month.start == DAY.named(first, zone).start
    assert month.end == DAY.named(after - timedelta(days=1), zone).end
    assert month.label == f"{day:%Y-%m}"


@given(zones, days)
def test_a_day_starts_with_the_first_second_of_its_date(zone: ZoneInfo, day: date) -> None:
    start = start_of_day(day, zone)

    assert (start - timedelta(seconds=1)).astimezone(zone).date() < day
    assert start.astimezone(zone).date() >= day


@given(zones, times)
def test_the_window_of_a_scheduled_time_contains_it_and_has_its_date(zone: ZoneInfo, due_at: datetime) -> None:
    today, before = DAY.at(due_at, zone), DAY_BEFORE.at(due_at, zone)

    assert today.start <= due_at < today.end
    assert today == DAY.named(due_at.astimezone(zone).date(), zone)
    assert before.end == today.start
    assert MONTH.at(due_at, zone).start <= due_at < MONTH.at(due_at, zone).end
    assert MONTH_BEFORE.at(due_at, zone).end == MONTH.at(due_at, zone).start


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Pacific/Apia", "2011-12-29", 24),
        ("Pacific/Apia", "2011-12-30", 0),  # the date that Samoa skipped
        ("Pacific/Apia", "2011-12-31", 24),
        ("America/Sao_Paulo", "2018-11-04", 23),  # without a midnight
        ("America/Sao_Paulo", "2018-02-17", 25),  # with two hours from eleven to twelve
        ("Europe/Berlin", "2025-03-30", 23),
        ("Europe/Berlin", "2025-10-26", 25),
        ("Australia/Lord_Howe", "2025-04-06", 24.5),
        ("Asia/Kolkata", "2025-01-19", 24),
    ],
)
def test_the_length_of_a_day_follows_clock_changes(zone: str, day: str, hours: float) -> None:
    window = DAY.named(date.fromisoformat(day), ZoneInfo(zone))

    assert window.end - window.start == timedelta(hours=hours)


def test_a_quarter_past_six_in_london_is_already_tomorrow_in_kolkata() -> None:
    kolkata = ZoneInfo("Asia/Kolkata")

    assert DAY.at(datetime(2025, 1, 18, 18, 25, tzinfo=UTC), kolkata).label == "2025-01-18"
    assert DAY.at(datetime(2025, 1, 18, 18, 35, tzinfo=UTC), kolkata).label == "2025-01-19"
    assert DAY_BEFORE.at(datetime(2025, 1, 18, 18, 30, tzinfo=UTC), kolkata).label == "2025-01-18"
    assert MONTH_BEFORE.at(datetime(2025, 2, 28, 18, 30, tzinfo=UTC), kolkata).label == "2025-02"


def test_a_job_without_windows_takes_no_date() -> None:
    due_at = datetime(2025, 1, 19, 0, 30, tzinfo=ZoneInfo("Asia/Kolkata"))

    window = MOMENT.at(due_at, ZoneInfo("Asia/Kolkata"))

    assert window == Window(due_at, due_at, "2025-01-18T19:00:00Z")
    with pytest.raises(BadWindow, match="takes no date"):
        MOMENT.named(date(2025, 1, 19), ZoneInfo("UTC"))


@given(times)
def test_a_window_is_cut_at_a_time_and_never_reversed(as_of: datetime) -> None:
    window = DAY.named(date(2025, 1, 19), ZoneInfo("Asia/Kolkata"))

    cut = window.until(as_of)

    assert (cut.start, cut.label) == (window.start, window.label)
    assert window.start <= cut.end <= window.end
    assert cut.end == as_of or as_of < window.start or as_of > window.end


@pytest.mark.parametrize(
    ("due_at", "start", "label"),
    [
        ("2026-11-22T01:00+05:30", "2026-10-25", "2026-11-21"),  # on Sunday, as the schedule has it
        ("2026-11-25T12:00+05:30", "2026-10-25", "2026-11-21"),  # by hand on Wednesday
        ("2026-11-21T23:59+05:30", "2026-10-18", "2026-11-14"),  # this Saturday is not over
        ("2026-11-21T18:45+00:00", "2026-10-25", "2026-11-21"),  # in Kolkata it is Sunday already
    ],
)
def test_four_weeks_end_with_the_last_complete_saturday(due_at: str, start: str, label: str) -> None:
    kolkata = ZoneInfo("Asia/Kolkata")

    window = FOUR_WEEKS_BEFORE.at(datetime.fromisoformat(due_at), kolkata)

    assert window.label == label
    assert window.start == start_of_day(date.fromisoformat(start), kolkata)
    assert window.end == start_of_day(date.fromisoformat(label) + timedelta(days=1), kolkata)
    assert FOUR_WEEKS_BEFORE.named(date.fromisoformat(label), kolkata) == window
