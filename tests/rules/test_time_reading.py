"""Which moments a time means, and how clock changes affect it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st

from opsconsole.calendar.cron import Cron, zone
from opsconsole.rules.time_reading import ClockEffect, TimeReading, describe, read_time

NIGHTLY = Cron("30 2 * * *", "Europe/Berlin")
HALF_HOURLY = Cron("*/30 * * * *", "Europe/Berlin")


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def read(at: datetime, cron: Cron) -> TimeReading:
    return read_time(at, cron.tz, cron)


def effects(reading: TimeReading) -> list[ClockEffect]:
    return [note.effect for note in reading.notes]


def sentences(reading: TimeReading, cron: Cron) -> list[str]:
    return [sentence for note in reading.notes for sentence in describe(note, cron.tz, cron)]


def test_a_fixed_time_in_a_gap_means_the_end_of_the_gap() -> None:
    reading = read(wall("2026-03-29 02:30"), NIGHTLY)

    assert reading.moments == (utc("2026-03-29 01:00"),)
    assert effects(reading) == [ClockEffect.MOVED_AFTER_GAP]
    assert sentences(reading, NIGHTLY) == [
        "02:30 does not exist on 2026-03-29 in Europe/Berlin: clocks went from 02:00 to 03:00",
        "skipped times fire once, right after the gap: at 2026-03-29 03:00 CEST",
    ]


def test_the_end_of_a_gap_lists_the_skipped_times_that_fire_there() -> None:
    for requested in (wall("2026-03-29 03:00"), utc("2026-03-29 01:00")):
        reading = read(requested, NIGHTLY)
        assert reading.moments == (utc("2026-03-29 01:00"),)
        assert effects(reading) == [ClockEffect.ENDS_GAP]
        assert "the skipped times (02:30) fire once, now" in sentences(reading, NIGHTLY)[0]
        assert NIGHTLY.previous(reading.moments[0]) == reading.moments[0]


def test_a_schedule_that_follows_elapsed_time_skips_a_gap() -> None:
    reading = read(wall("2026-03-29 02:30"), HALF_HOURLY)

    assert reading.moments == ()
    assert effects(reading) == [ClockEffect.SKIPPED]
    assert sentences(reading, HALF_HOURLY)[1].endswith("follows elapsed time and skips this hour")


def test_a_time_in_a_gap_that_the_schedule_does_not_match_means_no_moment() -> None:
    reading = read(wall("2026-03-29 02:31"), NIGHTLY)

    assert reading.moments == ()
    assert effects(reading) == [ClockEffect.SKIPPED_NO_MATCH]
    assert sentences(reading, NIGHTLY)[1] == "the schedule '30 2 * * *' does not match it either"


def test_a_fixed_time_that_occurs_twice_means_the_first_time() -> None:
    reading = read(wall("2025-10-26 02:30"), NIGHTLY)

    assert reading.moments == (utc("2025-10-26 00:30"),)
    assert effects(reading) == [ClockEffect.FIRES_FIRST]
    twice, effect = sentences(reading, NIGHTLY)
    assert "02:30 occurs twice on 2025-10-26 in Europe/Berlin, where clocks go back from 03:00 to 02:00" in twice
    assert twice.endswith("at 2025-10-26 00:30 UTC and 2025-10-26 01:30 UTC")
    assert effect == "a fixed time fires only the first time"


def test_the_second_occurrence_points_to_the_first() -> None:
    second = read(utc("2025-10-26 01:30"), NIGHTLY)

    assert second.moments == (utc("2025-10-26 01:30"),)
    assert NIGHTLY.previous(second.near) != second.near
    assert effects(second) == [ClockEffect.REPEAT_SKIPPED]
    (sentence,) = sentences(second, NIGHTLY)
    assert sentence.startswith("02:30 occurs for the second time")
    assert sentence.endswith("at 2025-10-26 02:30 CEST")
    assert read(utc("2025-10-26 00:30"), NIGHTLY).notes == ()


def test_elapsed_time_means_both_occurrences_of_a_repeated_time() -> None:
    reading = read(wall("2025-10-26 02:30"), HALF_HOURLY)

    assert reading.moments == (utc("2025-10-26 00:30"), utc("2025-10-26 01:30"))
    assert effects(reading) == [ClockEffect.FIRES_TWICE]
    assert sentences(reading, HALF_HOURLY)[1].endswith("fires both times")


def test_lord_howe_changes_its_clocks_by_half_an_hour() -> None:
    cron = Cron("15 2 * * *", "Australia/Lord_Howe")

    skipped = read(wall("2025-10-05 02:15"), cron)
    repeated = read(wall("2025-04-06 01:45"), Cron("45 1 * * *", "Australia/Lord_Howe"))

    assert skipped.moments == (utc("2025-10-04 15:30"),)
    assert "clocks went from 02:00 to 02:30" in sentences(skipped, cron)[0]
    assert repeated.moments == (utc("2025-04-05 14:45"),)


def test_a_skipped_date_has_no_scheduled_times() -> None:
    cron = Cron("0 5 * * *", "Pacific/Apia")

    reading = read(wall("2011-12-30 05:00"), cron)

    assert reading.moments == ()
    assert effects(reading) == [ClockEffect.DATE_SKIPPED]
    assert sentences(reading, cron) == [
        "2011-12-30 does not exist in Pacific/Apia: 2011-12-29 was followed by 2011-12-31"
    ]
    assert cron.previous(reading.near) == utc("2011-12-29 15:00")
    assert cron.next(reading.near) == utc("2011-12-30 15:00")


def test_a_manual_job_has_times_too() -> None:
    ordinary = read_time(wall("2026-03-28 02:30"), "Europe/Berlin", None)
    skipped = read_time(wall("2026-03-29 02:30"), "Europe/Berlin", None)
    repeated = read_time(wall("2025-10-26 02:30"), "Europe/Berlin", None)

    assert (ordinary.moments, ordinary.notes) == ((utc("2026-03-28 01:30"),), ())
    assert (skipped.moments, effects(skipped)) == ((), [ClockEffect.SKIPPED_NO_MATCH])
    assert (repeated.moments, effects(repeated)) == ((utc("2025-10-26 00:30"),), [ClockEffect.REPEATED_NO_MATCH])


@given(
    minute=st.integers(0, 365 * 24 * 60),
    tz=st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "Africa/Cairo", "UTC"]),
    text=st.sampled_from(["30 2 * * *", "15 0,1,2 * * *", "*/30 * * * *", "0 */2 * * *", "45 1 * * 0"]),
)
def test_the_wall_clock_time_of_a_scheduled_time_means_that_time(minute: int, tz: str, text: str) -> None:
    cron = Cron(text, tz)
    due_at = cron.next(utc("2025-03-01") + timedelta(minutes=minute))
    assert due_at is not None

    wall_clock = due_at.astimezone(zone(tz)).replace(tzinfo=None, fold=0)

    assert due_at in read(wall_clock, cron).moments
    assert read(due_at, cron).moments == (due_at,)
