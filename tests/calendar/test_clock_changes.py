"""What clock changes make of the times of day that schedules name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from opsconsole.calendar.clock_changes import Change, change_of, changes, follows_elapsed, moments, named_in, read
from opsconsole.calendar.cron import Cron, zone

BERLIN, LORD_HOWE, APIA = zone("Europe/Berlin"), zone("Australia/Lord_Howe"), zone("Pacific/Apia")


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_changes_are_found_to_the_second() -> None:
    assert changes(BERLIN, utc("2025-01-01"), utc("2026-01-01")) == [
        Change(utc("2025-03-30 01:00"), wall("2025-03-30 02:00"), wall("2025-03-30 03:00")),
        Change(utc("2025-10-26 01:00"), wall("2025-10-26 03:00"), wall("2025-10-26 02:00")),
    ]
    assert changes(LORD_HOWE, utc("2025-06-01"), utc("2026-01-01")) == [
        Change(utc("2025-10-04 15:30"), wall("2025-10-05 02:00"), wall("2025-10-05 02:30"))
    ]
    assert changes(zone("Asia/Kolkata"), utc("2000-01-01"), utc("2026-01-01")) == []


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_a_change_at_the_edge_is_counted_once(seconds: int) -> None:
    at, edge = utc("2025-03-30 01:00"), utc("2025-03-30 01:00") + timedelta(seconds=seconds)

    before, after = changes(BERLIN, utc("2025-03-01"), edge), changes(BERLIN, edge, utc("2025-04-01"))

    assert [change.at for change in before + after] == [at]


def test_a_date_that_was_left_out_is_one_change() -> None:
    (lost,) = changes(APIA, utc("2011-12-01"), utc("2012-01-31"))

    assert lost == Change(utc("2011-12-30 10:00"), wall("2011-12-30 00:00"), wall("2011-12-31 00:00"))
    assert lost.is_lost_date
    assert change_of(wall("2011-12-30 12:00"), APIA) == lost


def test_a_clock_shows_a_time_never_once_or_twice() -> None:
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
    assert follows_elapsed(text) == elapsed


def test_what_a_schedule_names_in_a_gap() -> None:
    (gap,) = changes(BERLIN, utc("2026-03-01"), utc("2026-04-01"))

    assert named_in(Cron("0,30 2,3 * * *", "Europe/Berlin"), gap) == [
        wall("2026-03-29 02:00"),
        wall("2026-03-29 02:30"),
    ]
    assert named_in(Cron("30 2 * * 1", "Europe/Berlin"), gap) == []  # a Sunday


# --- what a time means --------------------------------------------------------------------------------------------


def test_a_fixed_time_in_a_gap_is_about_its_end() -> None:
    reading = read(wall("2026-03-29 02:30"), Cron("30 2 * * *", "Europe/Berlin"))

    assert reading.moments == (utc("2026-03-29 01:00"),)
    assert "02:30 does not exist on 2026-03-29 in Europe/Berlin: clocks went from 02:00 to 03:00" in reading.says
    assert "fires once, right after it: at 2026-03-29 03:00 CEST" in reading.says[1]


def test_the_end_of_a_gap_says_what_fires_there() -> None:
    cron = Cron("30 2 * * *", "Europe/Berlin")

    for asked in (wall("2026-03-29 03:00"), utc("2026-03-29 01:00")):
        reading = read(asked, cron)
        assert reading.moments == (utc("2026-03-29 01:00"),)
        assert "what the schedule names in that gap (02:30) fires once, right after it" in reading.says[0]
        assert cron.previous(reading.moments[0]) == reading.moments[0]


def test_elapsed_time_has_nothing_in_a_gap() -> None:
    reading = read(wall("2026-03-29 02:30"), Cron("*/30 * * * *", "Europe/Berlin"))

    assert reading.moments == ()
    assert "counts elapsed time, and has nothing in a skipped hour" in reading.says[1]


def test_what_no_schedule_names_is_nothing_in_a_gap_either() -> None:
    reading = read(wall("2026-03-29 02:31"), Cron("30 2 * * *", "Europe/Berlin"))

    assert reading.moments == ()
    assert "does not name it either" in reading.says[1]


def test_a_fixed_time_that_passes_twice_is_the_first_passing() -> None:
    cron = Cron("30 2 * * *", "Europe/Berlin")

    reading = read(wall("2025-10-26 02:30"), cron)

    assert reading.moments == (utc("2025-10-26 00:30"),)
    assert "at 2025-10-26 00:30 UTC and at 2025-10-26 01:30 UTC" in reading.says[0]
    assert "the second is no instant" in reading.says[1]


def test_the_second_passing_points_to_the_first() -> None:
    cron = Cron("30 2 * * *", "Europe/Berlin")

    second = read(utc("2025-10-26 01:30"), cron)

    assert second.moments == (utc("2025-10-26 01:30"),)
    assert cron.previous(second.about) != second.about
    assert "02:30 passes for the second time then" in second.says[0]
    assert "at 2025-10-26 02:30 CEST" in second.says[0]
    assert read(utc("2025-10-26 00:30"), cron).says == ()


def test_elapsed_time_is_about_both_passings() -> None:
    reading = read(wall("2025-10-26 02:30"), Cron("*/30 * * * *", "Europe/Berlin"))

    assert reading.moments == (utc("2025-10-26 00:30"), utc("2025-10-26 01:30"))
    assert "both are instants" in reading.says[1]


def test_half_an_hour_in_lord_howe() -> None:
    cron = Cron("15 2 * * *", "Australia/Lord_Howe")

    left_out = read(wall("2025-10-05 02:15"), cron)
    twice = read(wall("2025-04-06 01:45"), Cron("45 1 * * *", "Australia/Lord_Howe"))

    assert left_out.moments == (utc("2025-10-04 15:30"),)
    assert "clocks went from 02:00 to 02:30" in left_out.says[0]
    assert twice.moments == (utc("2025-04-05 14:45"),)


def test_a_date_that_does_not_exist_has_no_instants() -> None:
    cron = Cron("0 5 * * *", "Pacific/Apia")

    reading = read(wall("2011-12-30 05:00"), cron)

    assert reading.moments == ()
    assert "after 2011-12-29 came 2011-12-31; a date that does not exist has no instants" in reading.says[0]
    assert cron.previous(reading.about) == utc("2011-12-29 15:00")
    assert cron.next(reading.about) == utc("2011-12-30 15:00")


@given(
    minute=st.integers(0, 365 * 24 * 60),
    tz=st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "Africa/Cairo", "UTC"]),
    text=st.sampled_from(["30 2 * * *", "15 0,1,2 * * *", "*/30 * * * *", "0 */2 * * *", "45 1 * * 0"]),
)
def test_whatever_a_clock_shows_when_a_schedule_fires_is_about_that_instant(minute: int, tz: str, text: str) -> None:
    cron = Cron(text, tz)
    instant = cron.next(utc("2025-03-01") + timedelta(minutes=minute))
    assert instant is not None

    shown = instant.astimezone(zone(tz)).replace(tzinfo=None, fold=0)

    assert instant in read(shown, cron).moments
    assert read(instant, cron).moments == (instant,)
