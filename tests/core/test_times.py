"""Parsing and formatting of times and durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from opsconsole.core.humanize import duration, local_time
from opsconsole.core.times import BadTime, parse_duration, parse_future_time, parse_past_time, parse_time

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 1, 19, 22, 30, tzinfo=UTC)  # 23:30 in Berlin


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("45m", timedelta(minutes=45)),
        ("45 min", timedelta(minutes=45)),
        ("2h", timedelta(hours=2)),
        ("1d12h", timedelta(hours=36)),
        ("1D 12H", timedelta(hours=36)),
        ("1.5h", timedelta(minutes=90)),
        ("30s", timedelta(seconds=30)),
        ("2w", timedelta(days=14)),
    ],
)
def test_durations_are_parsed(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize("text", ["", "2", "h", "two hours", "2h later", "-2h", "0h", "99999999999999999999w", "2x"])
def test_a_text_that_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(BadTime, match=r"is not a duration|is out of range"):
        parse_duration(text)


def test_a_time_without_a_zone_stays_naive() -> None:
    assert parse_time("2026-03-29 02:30", BERLIN, NOW) == datetime(2026, 3, 29, 2, 30)  # noqa: DTZ001
    assert parse_time("02:30", BERLIN, NOW) == datetime(2026, 1, 19, 2, 30)  # noqa: DTZ001
    assert parse_time("2:30", BERLIN, NOW) == datetime(2026, 1, 19, 2, 30)  # noqa: DTZ001
    assert parse_time("2026-01-19T18:20:00Z", BERLIN, NOW) == datetime(2026, 1, 19, 18, 20, tzinfo=UTC)
    assert parse_time(" now ", BERLIN, NOW) == NOW


def test_today_is_the_date_in_the_zone() -> None:
    late = datetime(2026, 1, 19, 23, 30, tzinfo=UTC)  # half past midnight in Berlin

    assert parse_time("02:30", BERLIN, late) == datetime(2026, 1, 20, 2, 30)  # noqa: DTZ001


@pytest.mark.parametrize("text", ["", "3", "yesterday", "25:00", "2026-02-30", "12:5", "0001-01-01", "9999-12-31"])
def test_a_text_that_is_not_a_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(BadTime, match="is not a time; write it as 2026-01-19T18:20:00Z"):
        parse_time(text, BERLIN, NOW)


def test_a_past_time_can_be_a_duration_before_now() -> None:
    assert parse_past_time("24h", BERLIN, NOW) == NOW - timedelta(hours=24)
    assert parse_past_time("2026-01-19", BERLIN, NOW) == datetime(2026, 1, 18, 23, 0, tzinfo=UTC)
    with pytest.raises(BadTime, match="23:50 for today; 2h means two hours ago"):
        parse_past_time("soon", BERLIN, NOW)


def test_a_future_time_of_day_is_the_next_one() -> None:
    assert parse_future_time("23:45", BERLIN, NOW) == datetime(2026, 1, 19, 22, 45, tzinfo=UTC)
    assert parse_future_time("06:00", BERLIN, NOW) == datetime(2026, 1, 20, 5, 0, tzinfo=UTC)
    # The day before clocks go forward: the result is still six o'clock.
    assert parse_future_time("06:00", BERLIN, datetime(2026, 3, 28, 12, tzinfo=UTC)) == datetime(
        2026, 3, 29, 4, tzinfo=UTC
    )


def test_times_and_durations_are_formatted() -> None:
    assert local_time(NOW, "Europe/Berlin") == "2026-01-19 23:30 CET"
    assert local_time(NOW + timedelta(seconds=5), "UTC") == "2026-01-19 22:30:05 UTC"
    assert [duration(timedelta(seconds=s)) for s in (0.4, 59, 60, 3600, 3605, 7320, 90_000, 86_400 * 3)] == [
        "0.4 s",
        "59 s",
        "1 min",
        "1 h",
        "1 h",
        "2 h 2 min",
        "1 d 1 h",
        "3 d",
    ]
