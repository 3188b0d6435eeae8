"""Warnings about jobs that are probably mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from opsconsole import DAY, DAY_BEFORE, MONTH_BEFORE, Job, Limits, Overlap, Pack, hours, minutes
from opsconsole.authoring.catalog import Catalog
from opsconsole.rules.lint import CROWD, lint as lint_catalog
from opsconsole.rules.lint_warning import LintWarning, Rule
from tests.packs import counting

NOW = datetime(2026, 1, 19, 12, 0, tzinfo=UTC)


def job(name: str, cron: str | None = "0 3 * * *", **how: Any) -> Job:
    return Job(f"books.{name}", counting.names, counting.do_nothing, cron=cron, **how)


def lint(*jobs: Job, written: Sequence[Job] | None = None, now: datetime = NOW) -> list[LintWarning]:
    packs = (Pack("books", jobs=tuple(written or jobs)),)
    return lint_catalog(Catalog(packs, {each.name: each for each in jobs}, {}), now)


def rules(*jobs: Job, **how: Any) -> list[tuple[str, Rule]]:
    return [(each.job, each.rule) for each in lint(*jobs, **how)]


@pytest.mark.parametrize(
    ("cron", "fires"),
    [
        ("*/45 * * * *", "minute 0, 45"),
        ("*/90 * * * *", "minute 0"),
        ("0 */36 * * *", "hour 0"),
        ("5/25 * * * *", "minute 5, 30, 55"),
        ("0 0 1 */5 *", "month 1, 6, 11"),
    ],
)
def test_a_step_that_does_not_divide_its_range_is_reported(cron: str, fires: str) -> None:
    (warning,) = lint(job("tidy", cron, timeout=minutes(10)))

    assert warning.rule is Rule.STEP
    assert warning.message.endswith(f"it fires at {fires}, and then starts again")


@pytest.mark.parametrize("cron", ["*/15 * * * *", "5/15 * * * *", "0 */6 * * *", "0 0 */2 * *", "0 8-18/3 * * *"])
def test_a_step_that_means_what_it_says_is_not_reported(cron: str) -> None:
    assert Rule.STEP not in [rule for _, rule in rules(job("tidy", cron, timeout=minutes(10)))]


def test_ordinary_jobs_have_no_warnings() -> None:
    close = job("close", "50 23 * * *", tz="Asia/Kolkata", covers=DAY)
    send = job("send", "0 5 * * *", tz="Asia/Kolkata", covers=DAY_BEFORE, after=("books.close",), aliases=("post",))
    bill, tidy = job("bill", "0 6 1 * *", covers=MONTH_BEFORE), job("tidy", "0 * * * *", tz="Europe/Berlin")

    assert lint(close, send, bill, tidy) == []


def test_a_schedule_for_29_february_is_reported_with_its_dates() -> None:
    (warning,) = lint(job("leap", "30 0 29 2 *"))

    assert warning.rule is Rule.RARE
    assert "fires only on 29 February: at 2028-02-29 00:30 UTC and then at 2032-02-29 00:30 UTC" in warning.message
    assert rules(job("yearly", "@yearly")) == []


def test_a_manual_job_has_no_warnings_about_its_schedule() -> None:
    assert rules(job("tidy", None, covers=DAY, exclusive="ledger"), job("close", exclusive="ledger")) == []
    assert rules(job("tidy", None), job("close", after=("books.tidy",))) == []
    assert rules(job("tidy", None, after=("books.close",)), job("close")) == []


def test_a_manual_job_still_has_warnings_about_its_limits_and_aliases() -> None:
    found = rules(job("tidy", None, batch_timeout=hours(2), aliases=("all",)))

    assert found == [("books.tidy", Rule.TIMEOUT), ("books.tidy", Rule.ALIAS)]


# --- simultaneous starts ------------------------------------------------------------------------------------------


def test_jobs_that_exclude_each_other_and_start_together_collide() -> None:
    one, two, three = (job(name, exclusive="ledger") for name in ("one", "two", "three"))

    (warning,) = lint(one, two, replace(three, cron="0 4 * * *"))

    assert (warning.job, warning.rule) == ("books.one", Rule.COLLIDES)
    assert "books.two, 31 times in 31 days (first 2026-01-20 03:00 UTC)" in warning.message
    assert warning.at == (datetime(2026, 1, 20, 3, tzinfo=UTC),)


def test_jobs_of_different_zones_collide_at_the_same_scheduled_time() -> None:
    one, two = job("one", "30 0 * * *", tz="Asia/Kolkata", exclusive="x"), job("two", "0 19 * * *", exclusive="x")

    assert rules(one, two) == [("books.one", Rule.COLLIDES)]


def test_a_job_that_runs_after_the_other_waits_on_purpose() -> None:
    one, two = job("one", exclusive="ledger"), job("two", exclusive="ledger", after=("books.one",))

    assert lint(one, two) == []


def test_many_jobs_at_one_minute_are_reported_once() -> None:
    crowd = [job(f"n{n:02}") for n in range(CROWD + 1)]

    (warning,) = lint(*crowd, job("other", "0 4 * * *"))

    assert warning.rule is Rule.CROWD
    assert f"{CROWD + 1} jobs start at 2026-01-20 03:00 UTC: books.n00" in warning.message
    assert "31 times in 31 days" in warning.message
    assert lint(*crowd[:CROWD]) == []


# --- clock changes ------------------------------------------------------------------------------------------------


def test_a_fixed_time_in_a_skipped_or_repeated_hour_is_reported_with_the_dates() -> None:
    gap, fold = lint(job("close", "30 2 * * *", tz="Europe/Berlin"))

    assert (gap.rule, fold.rule) == (Rule.GAP, Rule.FOLD)
    assert "2026-03-29 02:30; 2027-03-28 02:30; it fires once, right after the gap" in gap.message
    assert "2026-10-25 02:30; 2027-10-31 02:30; it fires only the first time" in fold.message
    assert gap.at == (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2027, 3, 28, 1, tzinfo=UTC))


def test_a_schedule_that_follows_elapsed_time_skips_a_gap() -> None:
    gap, fold = lint(job("close", "*/20 2 * * *", tz="Europe/Berlin", timeout=minutes(10)))

    assert "2026-03-29 02:00, 02:20, 02:40" in gap.message
    assert gap.message.endswith("it does not fire for them")
    assert fold.message.endswith("it fires both times")


def test_a_clock_change_of_half_an_hour_is_reported() -> None:
    assert [
        each.message.partition(": ")[2]
        for each in lint(
            job("early", "45 1 * * *", tz="Australia/Lord_Howe"), job("late", "15 2 * * *", tz="Australia/Lord_Howe")
        )
    ] == [
        "2026-04-05 01:45; 2027-04-04 01:45; it fires only the first time",
        "2026-10-04 02:15; 2027-10-03 02:15; it fires once, right after the gap",
    ]


def test_a_skipped_date_is_reported() -> None:
    warnings = lint(job("close", "0 5 * * *", tz="Pacific/Apia"), now=datetime(2011, 11, 1, tzinfo=UTC))

    assert [each.message for each in warnings] == [
        "'0 5 * * *' includes a date that does not exist in Pacific/Apia: 2011-12-30 05:00; it does not fire then"
    ]


@pytest.mark.parametrize("cron", ["*/30 * * * *", "0 * * * *", "@hourly", "0 4 * * *", "30 2 * * 3"])
def test_a_schedule_that_clock_changes_do_not_affect_has_no_warnings(cron: str) -> None:
    assert lint(job("close", cron, tz="Europe/Berlin", timeout=minutes(10))) == []


# --- windows ------------------------------------------------------------------------------------------------------


def test_an_override_that_moves_the_window_is_reported() -> None:
    written = job("close", "50 23 * * *", covers=DAY)

    (warning,) = lint(replace(written, cron="10 0 * * *"), written=[written])

    assert warning.rule is Rule.WINDOW
    assert "overridden to '10 0 * * *' (UTC) it fires in the first half of its day" in warning.message
    assert "'50 23 * * *' (UTC) covers one that is nearly over" in warning.message


def test_the_authors_schedule_or_a_late_override_has_no_warnings() -> None:
    early, late = job("early", "10 0 * * *", covers=DAY), job("late", "50 23 * * *", covers=DAY)
    before = job("before", "50 23 * * *", covers=DAY_BEFORE)

    assert lint(early) == []
    assert lint(replace(late, cron="50 22 * * *"), written=[late]) == []
    assert lint(replace(before, cron="10 0 * * *"), written=[before]) == []


def test_an_override_of_the_zone_moves_every_window() -> None:
    written = job("close", "50 23 * * *", tz="Asia/Kolkata", covers=DAY)

    assert rules(replace(written, tz="UTC"), written=[written]) == [("books.close", Rule.WINDOW)]
    assert lint(replace(job("tidy"), tz="Asia/Kolkata"), written=[job("tidy")]) == []


@pytest.mark.parametrize(
    ("cron", "covers", "for_one"),
    [
        ("0 */6 * * *", DAY, "2026-01-20"),
        ("0 6,18 * * *", DAY_BEFORE, "2026-01-19"),
        ("0 0 1,2 * *", MONTH_BEFORE, "2026-01"),
    ],
)
def test_several_scheduled_times_for_one_window_are_reported(cron: str, covers: Any, for_one: str) -> None:
    (warning,) = lint(job("close", cron, covers=covers))

    assert warning.rule is Rule.WINDOW
    assert warning.message.endswith(f"for {for_one}")


# --- after --------------------------------------------------------------------------------------------------------


def test_after_a_job_whose_windows_end_at_other_times_never_waits() -> None:
    kolkata = job("close", "50 23 * * *", tz="Asia/Kolkata", covers=DAY)

    (warning,) = lint(kolkata, job("send", "0 23 * * *", covers=DAY, after=("books.close",)))

    assert (warning.job, warning.rule) == ("books.send", Rule.AFTER)
    assert "no window of books.close ends when one of books.send does: it never waits" in warning.message


def test_after_a_job_that_fires_later_for_the_same_window_is_reported() -> None:
    late = job("close", "0 6 * * *", covers=DAY_BEFORE)

    (warning,) = lint(late, job("send", "0 5 * * *", covers=DAY_BEFORE, after=("books.close",)))

    assert "which always fires later for the same window, for example at 2026-01-20 06:00 UTC" in warning.message
    assert "instead of before 2026-01-20 05:00 UTC" in warning.message


@pytest.mark.parametrize(
    "other",
    [
        job("close", "50 23 * * *", covers=DAY),  # its day ends when that of the day before is over
        job("close", "0 0 * * *", covers=DAY_BEFORE),
        job("close", "0 1 * * *", covers=DAY_BEFORE),
    ],
)
def test_after_a_job_of_the_same_window_has_no_warnings(other: Job) -> None:
    assert lint(other, job("send", "0 1 * * *", covers=DAY_BEFORE, after=("books.close",))) == []


def test_jobs_without_windows_wait_only_at_the_same_scheduled_time() -> None:
    hourly = job("tidy", "0 * * * *")

    assert lint(hourly, job("send", "0 */2 * * *", after=("books.tidy",))) == []
    assert rules(hourly, job("send", "30 * * * *", after=("books.tidy",))) == [("books.send", Rule.AFTER)]


def test_a_month_ends_with_its_last_day() -> None:
    daily = job("close", "0 1 * * *", covers=DAY_BEFORE)

    assert lint(daily, job("bill", "0 2 1 * *", covers=MONTH_BEFORE, after=("books.close",))) == []


# --- limits and names ---------------------------------------------------------------------------------------------


def test_a_batch_timeout_longer_than_the_timeout_is_reported() -> None:
    (warning,) = lint(job("close", batch_timeout=hours(2)))

    assert "its batch timeout of 2 h is longer than its timeout of 1 h and never takes effect" in warning.message


@pytest.mark.parametrize(
    ("how", "reported"),
    [
        ({}, True),
        ({"overlap": Overlap.QUEUE, "timeout": minutes(30)}, True),
        ({"timeout": minutes(30), "covers": DAY}, True),
        ({"timeout": minutes(30), "limits": Limits(max_age=minutes(20))}, True),
        ({"timeout": minutes(15)}, False),
        ({"timeout": hours(5)}, False),  # it polls, and its timeout was chosen for it
        ({"overlap": Overlap.REPLACE}, False),
    ],
)
def test_a_period_shorter_than_the_timeout_is_reported_unless_intended(how: dict[str, Any], reported: bool) -> None:
    found = rules(job("close", "*/15 * * * *", **how))

    assert (("books.close", Rule.TIMEOUT) in found) == reported


def test_an_alias_that_looks_like_something_else_is_reported() -> None:
    found = lint(job("close", aliases=("books", "all", "shop.close", "closing")))
    assert [each.rule for each in found] == [Rule.ALIAS] * 2
    assert "is also the name of the whole pack" in found[0].message
    assert "is also the name of all jobs" in found[1].message


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"jitter": hours(24)}, "its jitter of 1 d is not shorter than its period of 1 d: a run may start after"),
        ({"cron": None, "jitter": minutes(5)}, "its jitter of 5 min has no effect: it has no schedule"),
        ({"limits": Limits(longest=hours(1))}, "`longest` of 1 h never takes effect: a run is ended by its timeout"),
        ({"limits": Limits(warn_below=0.5)}, "critical below 90 %, and a warning only below 50 %"),
        ({"limits": Limits(max_age=hours(24))}, "`max_age` of 1 d is not longer than the 1 d between two"),
        (
            {"overlap": Overlap.REPLACE, "limits": Limits(longest=hours(30)), "timeout": hours(40)},
            "but the next one ends it after 1 d: with overlap `replace`, none may ever finish",
        ),
    ],
    ids=["jitter", "manual", "longest", "warn_below", "max_age", "replace"],
)
def test_settings_that_contradict_each_other_are_reported(how: dict[str, Any], message: str) -> None:
    (warning,) = lint(job("tidy", **how))

    assert message in warning.message


def test_settings_that_fit_each_other_are_not_reported() -> None:
    limits = Limits(max_age=hours(73), longest=minutes(30), warn_below=0.9, critical_below=0.9)

    weekdays = job("tidy", "0 3 * * 1-5", limits=limits, jitter=hours(23))

    assert lint(weekdays, job("by_hand", None, overlap=Overlap.REPLACE)) == []
