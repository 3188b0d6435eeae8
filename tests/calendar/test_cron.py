"""Cron expressions: their grammar, descriptions, errors and scheduled times."""

from __future__ import annotations

import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest

from opsconsole.calendar.cron import Cron, zone
from opsconsole.core.errors import BadCron, BadZone
from opsconsole.leader.trigger import NextDue


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def fired(text: str, tz: str, start: datetime, *, days: int) -> list[str]:
    """The scheduled times of some days, in wall-clock time."""
    there = ZoneInfo(tz)
    times = Cron(text, tz).between(start - timedelta(seconds=1), start + timedelta(days=days, seconds=-1))
    return [f"{due_at.astimezone(there):%m-%d %H:%M}" for due_at in times]


def dates(text: str, start: datetime, end: datetime) -> list[str]:
    return [f"{due_at:%Y-%m-%d}" for due_at in Cron(text).between(start, end)]


# Grammar


def test_monday_is_1_and_sunday_is_0_and_7() -> None:
    now = utc(2026, 1, 21, 12)

    assert Cron("0 0 * * 1").next(now) == utc(2026, 1, 26)
    assert utc(2026, 1, 26).strftime("%A") == "Monday"
    assert Cron("0 0 * * 0").next(now) == Cron("0 0 * * 7").next(now) == Cron("0 0 * * SUN").next(now)
    assert Cron("0 0 * * 7").next(now) == utc(2026, 1, 25)


def test_next_excludes_its_argument_and_previous_includes_it() -> None:
    cron = Cron("50 23 * * *")
    due_at = utc(2026, 1, 19, 23, 50)

    assert cron.next(due_at) == utc(2026, 1, 20, 23, 50)
    assert cron.previous(due_at) == due_at
    assert cron.next(due_at - timedelta(microseconds=1)) == due_at
    assert cron.previous(due_at - timedelta(microseconds=1)) == utc(2026, 1, 18, 23, 50)


def test_between_excludes_its_start_and_includes_its_end() -> None:
    cron = Cron("0 0 * * *")

    assert list(cron.between(utc(2026, 1, 1), utc(2026, 1, 3))) == [utc(2026, 1, 2), utc(2026, 1, 3)]
    assert list(cron.between(utc(2026, 1, 3), utc(2026, 1, 3))) == []
    assert list(cron.between(utc(2026, 1, 3), utc(2026, 1, 1))) == []


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("@daily", "0 0 * * *"),
        ("@Midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("@weekly", "0 0 * * SUN"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 JAN *"),
        ("@annually", "0 0 1 1 *"),
        ("  0\t9  * * mon-fri ", "0 9 * * 1,2,3,4,5"),
        ("0-59/20 8-10 ? jan-mar *", "0,20,40 8,9,10 * 1,2,3 *"),
        ("5-5 12 * * *", "5 12 * * *"),
        ("0 0 * * FRI-MON", "0 0 * * 5,6,0,1"),
        ("0 0 * * 0-7", "0 0 * * *"),
        ("0 22-1 * * *", "0 22,23,0,1 * * *"),
        ("50/5 * * * *", "50,55 * * * *"),
        ("0 0 * * 5L", "0 0 * * L5"),
        ("0 0 * * fril", "0 0 * * L5"),
        ("0 0 * * fri#2", "0 0 * * 5#2"),
        ("0 0 1 5-MAY *", "0 0 1 5 *"),
    ],
)
def test_one_schedule_can_be_written_in_two_ways(text: str, same: str) -> None:
    start, end = utc(2026, 1, 1), utc(2027, 1, 1)

    assert list(Cron(text).between(start, end)) == list(Cron(same).between(start, end)) != []


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("0 17-2/3 * * *", "0 2,17,20,23 * * *"),
        ("0 22-2 * * *", "0 22,23,0,1,2 * * *"),
        ("50-10/7 * * * *", "50,57,4 * * * *"),
        ("0 0 1 OCT-MAR/2 *", "0 0 1 10,12,2 *"),
        ("0 0 28-3/2 * *", "0 0 28,30,1,3 * *"),
        ("0 0 * * FRI-MON", "0 0 * * 5,6,0,1"),
        ("0 0 * * SAT-TUE/2", "0 0 * * 6,1"),
        ("0 6,22-1/2 * * *", "0 6,22,0 * * *"),
    ],
)
def test_a_range_that_wraps_around_goes_through_the_end(text: str, same: str) -> None:
    begin, end = utc(2026, 1, 1), utc(2027, 1, 1)

    assert list(Cron(text).between(begin, end)) == list(Cron(same).between(begin, end))


def test_a_date_and_a_weekday_mean_either() -> None:
    assert dates("0 0 13 * FRI", utc(2026, 1, 31), utc(2026, 3, 1)) == [
        "2026-02-06",
        "2026-02-13",
        "2026-02-20",
        "2026-02-27",
    ]
    assert dates("0 0 10 * FRI#2", utc(2026, 1, 31), utc(2026, 3, 1)) == ["2026-02-10", "2026-02-13"]


def test_a_day_field_that_starts_with_a_star_means_both() -> None:
    assert dates("0 0 */10 * MON", utc(2026, 1, 1), utc(2026, 12, 31)) == [
        "2026-05-11",
        "2026-06-01",
        "2026-08-31",
        "2026-09-21",
        "2026-12-21",
    ]
    assert dates("0 0 1 * */7", utc(2026, 1, 2), utc(2026, 12, 31)) == ["2026-02-01", "2026-03-01", "2026-11-01"]


def test_nth_and_last_weekdays() -> None:
    assert dates("0 0 * * 5#2", utc(2026, 1, 1), utc(2026, 3, 1)) == ["2026-01-09", "2026-02-13"]
    assert dates("0 0 * * L5", utc(2026, 1, 1), utc(2026, 3, 1)) == ["2026-01-30", "2026-02-27"]
    assert dates("0 0 * * 1#5", utc(2026, 1, 1), utc(2026, 7, 1)) == ["2026-03-30", "2026-06-29"]


# Month ends and leap days


def test_the_31st_fires_seven_times_a_year() -> None:
    months = [due_at.month for due_at in Cron("0 0 31 * *").between(utc(2024, 1, 1), utc(2032, 12, 31))]

    assert months == [1, 3, 5, 7, 8, 10, 12] * 9


def test_the_last_day_of_a_month_follows_leap_years() -> None:
    assert dates("0 0 L * *", utc(2028, 1, 31), utc(2028, 4, 1)) == ["2028-02-29", "2028-03-31"]
    assert dates("0 0 L 2 *", utc(2026, 1, 1), utc(2029, 1, 1)) == ["2026-02-28", "2027-02-28", "2028-02-29"]
    assert dates("0 0 15,L 2 *", utc(2027, 1, 1), utc(2028, 1, 1)) == ["2027-02-15", "2027-02-28"]


def test_29_february_is_eight_years_apart_around_1900_and_2100() -> None:
    cron = Cron("0 0 29 2 *")

    assert dates("0 0 29 2 *", utc(2024, 1, 1), utc(2033, 1, 1)) == ["2024-02-29", "2028-02-29", "2032-02-29"]
    assert cron.next(utc(2096, 3, 1)) == utc(2104, 2, 29)
    assert cron.previous(utc(1904, 2, 28)) == utc(1896, 2, 29)


def test_a_date_forty_years_ahead_is_found() -> None:
    assert Cron("0 0 29 2 */7").next(utc(2088, 3, 1)) == utc(2128, 2, 29)  # a leap day that is a Sunday


def test_new_year_in_kiribati_is_in_the_old_year_of_utc() -> None:
    assert Cron("0 0 1 1 *", "Pacific/Kiritimati").next(utc(2026, 6, 1)) == utc(2026, 12, 31, 10)


# Clock changes


@pytest.mark.parametrize("start", [utc(2026, 3, 6, 5), utc(2026, 10, 30, 4)])
def test_a_job_at_half_past_two_in_new_york_runs_once_every_day(start: datetime) -> None:
    days = [at.split()[0] for at in fired("30 2 * * *", "America/New_York", start, days=5)]

    assert len(days) == len(set(days)) == 5


def test_a_skipped_time_fires_right_after_the_gap() -> None:
    cron = Cron("30 2 * * *", "Europe/Berlin")

    assert fired("30 2 * * *", "Europe/Berlin", utc(2025, 3, 28, 23), days=3) == [
        "03-29 02:30",
        "03-30 03:00",
        "03-31 02:30",
    ]
    assert cron.previous(utc(2025, 3, 30, 0, 59)) == utc(2025, 3, 29, 1, 30)
    assert cron.previous(utc(2025, 3, 30, 1)) == cron.next(utc(2025, 3, 30, 0, 59)) == utc(2025, 3, 30, 1)


def test_all_skipped_times_fire_once_together() -> None:
    day = utc(2025, 3, 29, 23)

    assert fired("0,20,40 2 * * *", "Europe/Berlin", day, days=1) == ["03-30 03:00"]
    assert fired("0,30 2,3 * * *", "Europe/Berlin", day, days=1) == ["03-30 03:00", "03-30 03:30"]


def test_a_repeated_time_fires_the_first_time() -> None:
    cron = Cron("30 2 * * *", "Europe/Berlin")
    first = utc(2025, 10, 26, 0, 30)

    assert list(cron.between(utc(2025, 10, 25, 22), utc(2025, 10, 26, 22))) == [first]
    assert cron.next(first) == utc(2025, 10, 27, 1, 30)
    assert cron.previous(first + timedelta(hours=1)) == first


def test_every_half_hour_means_every_half_hour_of_elapsed_time() -> None:
    for start in (utc(2025, 3, 29, 12), utc(2025, 10, 25, 12)):
        times = list(Cron("*/30 * * * *", "Europe/Berlin").between(start, start + timedelta(days=1)))
        assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(minutes=30)}
    assert fired("*/30 * * * *", "Europe/Berlin", utc(2025, 10, 26), days=1)[:5] == [
        "10-26 02:00",
        "10-26 02:30",
        "10-26 02:00",
        "10-26 02:30",
        "10-26 03:00",
    ]


def test_minutes_of_one_hour_are_skipped_or_repeated_with_it() -> None:
    assert fired("*/15 2 * * *", "Europe/Berlin", utc(2025, 3, 29, 23), days=1) == []
    assert len(fired("*/15 2 * * *", "Europe/Berlin", utc(2025, 10, 25, 22), days=1)) == 8


def test_a_skipped_midnight_in_sao_paulo_fires_at_one() -> None:
    assert fired("0 0 * * *", "America/Sao_Paulo", utc(2018, 11, 3, 2), days=3) == [
        "11-03 00:00",
        "11-04 01:00",
        "11-05 00:00",
    ]


def test_a_skipped_hour_in_nuuk_fires_once_with_the_regular_midnight() -> None:
    assert fired("0,30 0,23 30-31 3 *", "America/Nuuk", utc(2024, 3, 30, 12), days=1) == ["03-31 00:00", "03-31 00:30"]


def test_a_clock_change_of_half_an_hour_is_a_gap() -> None:
    assert fired("15 2 * * *", "Australia/Lord_Howe", utc(2025, 10, 4, 12), days=2) == ["10-05 02:30", "10-06 02:15"]
    assert fired("45 1 * * *", "Australia/Lord_Howe", utc(2025, 4, 5, 12), days=2) == ["04-06 01:45", "04-07 01:45"]


def test_a_skipped_date_has_no_scheduled_times() -> None:
    start = utc(2011, 12, 29, 10)

    assert fired("0 12 * * *", "Pacific/Apia", start, days=3) == ["12-29 12:00", "12-31 12:00", "01-01 12:00"]
    assert fired("0 12 30 12 *", "Pacific/Apia", start, days=3) == []
    assert len(fired("0 * * * *", "Pacific/Apia", start, days=2)) == 48


def test_an_evening_repeated_at_new_year_fires_once() -> None:
    # In 1912 the evening of new year occurred twice in Niamey; its second pass is in the next year of UTC.
    assert fired("30 23 * * *", "Africa/Niamey", utc(1911, 12, 30, 12), days=3) == [
        "12-30 23:30",
        "12-31 23:30",
        "01-01 23:30",
    ]


# Invalid schedules and timezones


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it has 0 fields; use five: minute, hour, day of month, month, day of week"),
        ("5", "it has 1 field; use five"),
        ("0 0 * *", "it has 4 fields; use five"),
        ("0 0 0 * * *", "it has 6 fields, but seconds and years are not supported; use five"),
        ("0 0 0 * * * 2026", "it has 7 fields, but seconds and years are not supported; use five"),
        ("@reboot", "a start of the machine is not a time"),
        ("@every 5m", "intervals are not supported; write times, such as */5 * * * *"),
        ("@daily /usr/bin/backup", "the shorthands are @hourly, @daily, @midnight"),
        ("@fortnightly", "the shorthands are @hourly, @daily, @midnight"),
        ("CRON_TZ=Europe/Berlin 0 2 * * *", "it sets a variable like a line of a crontab"),
        ("MAILTO = ops", "it sets a variable like a line of a crontab"),
        ("0 2 * * * # nightly", "it has a comment like a line of a crontab"),
        ("0 2 * * * /usr/bin/backup", "it ends with a command like a line of a crontab"),
        ("0 2 * * * root backup --all", "it ends with a command like a line of a crontab"),
        ("0 0 * * 1-5/0", "its day of week '1-5/0' is invalid"),
        ("0 5-2/0 * * *", "its hour '5-2/0' is invalid"),
        ("60 * * * *", "its minute '60' is invalid; it takes 0-59"),
        ("*/0 * * * *", "its minute '*/0' is invalid"),
        ("0 24 * * *", "its hour '24' is invalid; it takes 0-23"),
        ("0 -1 * * *", "its hour '-1' is invalid"),
        ("0 0 0 * *", "its day of month '0' is invalid; it takes 1-31, or L"),
        ("0 0 L-3 * *", "its day of month 'l-3' is invalid"),
        ("0 0 * 13 *", "its month '13' is invalid; it takes 1-12 or JAN-DEC"),
        ("0 0 * * 8", "its day of week '8' is invalid; it takes 0-7 or SUN-SAT"),
        ("0 0 * * fry", "its day of week 'fry' is invalid"),
        ("0 0 * * 5#6", "its day of week '5#6' is invalid"),
        ("0 0 * * 5#2,5", "plain weekdays cannot be combined with # or L"),
        ("R * * * *", "R and H mean random times; write the time itself"),
        ("0 r(0-5) * * *", "R and H mean random times"),
        ("H H * * *", "R and H mean random times"),
        ("0 0 15W * *", "W (the nearest weekday) is not supported"),
        ("0 0 30 2 *", "it never fires because no year has such a date"),
        ("0 0 31 4,6,9,11 *", "it never fires"),
        ("0 0 */31 2 1#5", "it never fires"),
    ],
)
def test_an_invalid_schedule_is_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(BadCron) as refused:
        Cron(text)

    assert refused.value.sentence.startswith(f"schedule {text!r} is invalid: {why}")
    assert "\n" not in refused.value.sentence


def test_30_february_or_monday_fires_on_mondays() -> None:
    assert dates("0 0 30 2 MON", utc(2026, 1, 1), utc(2026, 2, 10)) == ["2026-02-02", "2026-02-09"]


@pytest.mark.parametrize("offset", ["+05:30", "UTC+5:30", "GMT-3", "5:30", "-0300"])
def test_an_offset_is_refused_with_a_hint_to_use_a_place(offset: str) -> None:
    with pytest.raises(BadZone, match="Asia/Kolkata for"):
        Cron("0 0 * * *", offset)


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "IST", "America", "../etc/passwd", "/etc/passwd", "a\0b", "\ud800"]
)
def test_an_unknown_timezone_is_refused(name: str) -> None:
    with pytest.raises(BadZone, match="use an IANA name"):
        zone(name)


def test_a_known_timezone_is_returned() -> None:
    assert zone("Asia/Kolkata") == ZoneInfo("Asia/Kolkata")


def test_a_naive_time_is_refused() -> None:
    naive = utc(2026, 1, 1).replace(tzinfo=None)
    cron = Cron("0 0 * * *")

    for method in (cron.next, cron.previous, lambda at: cron.between(at, at)):
        with pytest.raises(ValueError, match="aware"):
            method(naive)


# Arguments and results


def test_the_zone_of_an_argument_does_not_matter() -> None:
    cron = Cron("50 23 * * *", "Asia/Kolkata")
    at = utc(2026, 1, 19, 12)

    answer = cron.next(at.astimezone(ZoneInfo("America/Los_Angeles")))

    assert answer == cron.next(at) == utc(2026, 1, 19, 18, 20)
    assert answer is not None
    assert answer.tzinfo is UTC


def test_the_ends_of_the_calendar() -> None:
    last, first = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
    cron = Cron("0 0 * * *", "Asia/Kolkata")

    assert cron.next(last) is None
    assert cron.previous(first) is None
    assert cron.next(first) == cron.next(utc(1, 12, 31, 23))
    assert cron.previous(last) == cron.previous(utc(9999, 1, 1))


def test_a_year_of_half_hours_is_a_stream() -> None:
    stream = Cron("*/30 * * * *", "Asia/Kolkata").between(utc(2026, 1, 1), utc(9000, 1, 1))

    assert len(list(islice(stream, 17_520))) == 17_520
    assert next(stream) == utc(2027, 1, 1, 0, 30)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("50 23 * * *", "At 23:50"),
        ("*/30 * * * *", "Every 30 minutes"),
        ("@daily", "At 00:00"),
        ("0 9 * * 1-5", "At 09:00, Monday through Friday"),
        ("0 0 L * *", "At 00:00, on the last day of the month"),
        ("0 0 * * 5L", "At 00:00, on the last Friday of the month"),
        ("0 0 13 * FRI", "At 00:00, on day 13 of the month, or on Friday"),
        ("0 0 */2 * MON", "At 00:00, every 2 days, between day 1 and 31 of the month, but only on Monday"),
        ("0 0 */2 * *", "At 00:00, every 2 days, between day 1 and 31 of the month"),
        ("*/90 * * * *", "Every hour"),
        ("*/45 * * * *", "At 0 and 45 minutes past the hour"),
        ("0 */36 * * *", "At 00:00"),
        ("0 */5 * * *", "At 00:00, 05:00, 10:00, 15:00 and 20:00"),
        ("5/15 * * * *", "Every 15 minutes, starting at 5 minutes past the hour"),
        ("5/25 * * * *", "At 5, 30, and 55 minutes past the hour"),
        ("0 0 1 */5 *", "At 00:00, on day 1 of the month, only in January, June, and November"),
        ("0 0 * * */2", "At 00:00, only on Sunday, Tuesday, Thursday, and Saturday"),
        ("0 17-2/3 * * *", "At 17:00, 20:00, 23:00 and 02:00"),
        ("0 0 * * FRI-MON", "At 00:00, only on Friday, Saturday, Sunday, and Monday"),
        ("0 0 13 * 1-5", "0 0 13 * 1-5"),
        ("0 0 * * 1#1,1#3", "0 0 * * 1#1,1#3"),
    ],
)
def test_a_schedule_is_described_in_words_or_as_written(text: str, words: str) -> None:
    assert Cron(text).describe() == words


def test_schedules_are_values() -> None:
    cron = Cron("0 9 * * *", "Asia/Kolkata")

    assert cron == Cron("0 9 * * *", "Asia/Kolkata") == pickle.loads(pickle.dumps(cron))  # noqa: S301
    assert cron != Cron("0 9 * * *")
    assert repr(cron) == "Cron(text='0 9 * * *', tz='Asia/Kolkata')"


def test_importing_schedules_does_not_import_the_parser() -> None:
    heavy = "{'croniter', 'cron_descriptor', 'apscheduler'}"
    program = f"import sys, opsconsole.calendar.cron; print({heavy} & sys.modules.keys())"

    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "set()\n"


# The trigger


def test_the_trigger_follows_the_schedule() -> None:
    trigger = NextDue(Cron("30 2 * * *", "Europe/Berlin").next)
    now = utc(2025, 3, 29, 12)

    first = trigger.get_next_fire_time(None, now)
    second = trigger.get_next_fire_time(first, utc(2025, 3, 30, 1))

    assert first == utc(2025, 3, 30, 1)
    assert second == utc(2025, 3, 31, 0, 30)
    assert str(trigger) == "due"


def test_the_trigger_does_not_repeat_missed_or_early_times() -> None:
    trigger = NextDue(Cron("*/30 * * * *").next)
    fired_at = utc(2026, 1, 19, 10)

    assert trigger.get_next_fire_time(fired_at, utc(2036, 1, 19, 10, 5)) == utc(2036, 1, 19, 10, 30)
    assert trigger.get_next_fire_time(fired_at, fired_at - timedelta(milliseconds=3)) == utc(2026, 1, 19, 10, 30)
