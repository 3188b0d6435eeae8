"""Clock changes, and the wall-clock times that they skip or repeat."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from opsconsole.calendar.clock_changes import ClockChange, change_affecting, clock_changes, moments
from opsconsole.calendar.cron import Cron, zone

BERLIN, LORD_HOWE, APIA = zone("Europe/Berlin"), zone("Australia/Lord_Howe"), zone("Pacific/Apia")


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_changes_are_found_to_the_second() -> None:
    assert clock_changes(BERLIN, utc("2025-01-01"), utc("2026-01-01")) == [
        ClockChange(utc("2025-03-30 01:00"), wall("2025-03-30 02:00"), wall("2025-03-30 03:00")),
        ClockChange(utc("2025-10-26 01:00"), wall("2025-10-26 03:00"), wall("2025-10-26 02:00")),
    ]
    assert clock_changes(LORD_HOWE, utc("2025-06-01"), utc("2026-01-01")) == [
        ClockChange(utc("2025-10-04 15:30"), wall("2025-10-05 02:00"), wall("2025-10-05 02:30"))
    ]
    assert clock_changes(zone("Asia/Kolkata"), utc("2000-01-01"), utc("2026-01-01")) == []


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_a_change_at_the_edge_of_a_range_is_found_once(seconds: int) -> None:
    at, edge = utc("2025-03-30 01:00"), utc("2025-03-30 01:00") + timedelta(seconds=seconds)

    before = clock_changes(BERLIN, utc("2025-03-01"), edge)
    after = clock_changes(BERLIN, edge, utc("2025-04-01"))

    assert [change.at for change in before + after] == [at]


def test_a_skipped_date_is_one_change() -> None:
    (skipped,) = clock_changes(APIA, utc("2011-12-01"), utc("2012-01-31"))

    assert skipped == ClockChange(utc("2011-12-30 10:00"), wall("2011-12-30 00:00"), wall("2011-12-31 00:00"))
    assert skipped.skips_date
    assert change_affecting(wall("2011-12-30 12:00"), APIA) == skipped


def test_a_wall_clock_shows_a_time_never_once_or_twice() -> None:
    assert moments(wall("2026-03-29 02:30"), BERLIN) == ()
    assert moments(wall("2026-03-29 03:00"), BERLIN) == (utc("2026-03-29 01:00"),)
    assert moments(wall("2025-10-26 02:30"), BERLIN) == (utc("2025-10-26 00:30"), utc("2025-10-26 01:30"))
    assert moments(wall("2025-04-06 01:45"), LORD_HOWE) == (utc("2025-04-05 14:45"), utc("2025-04-05 15:15"))


@pytest.mark.parametrize(
    ("text", "elapsed"),
    [
        ("*/5 * * * *", True),
        ("0 * * * *", True),
        ("*/15 2 * * *", True),
        ("@hourly", True),
        ("@Daily", False),
        ("30 2 * * *", False),
        ("0 0-23 * * *", False),
    ],
)
def test_a_star_in_minute_or_hour_follows_elapsed_time(text: str, elapsed: bool) -> None:
    assert Cron(text).follows_elapsed_time == elapsed


def test_the_times_of_a_schedule_in_a_gap() -> None:
    (gap,) = clock_changes(BERLIN, utc("2026-03-01"), utc("2026-04-01"))

    assert Cron("0,30 2,3 * * *", "Europe/Berlin").times_affected_by(gap) == [
        wall("2026-03-29 02:00"),
        wall("2026-03-29 02:30"),
    ]
    assert Cron("30 2 * * 1", "Europe/Berlin").times_affected_by(gap) == []  # the gap is on a Sunday
