"""What is odd about jobs, and what is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from opsconsole import DAY, DAY_BEFORE, MONTH_BEFORE, Job, Limits, Overlap, Pack, hours, minutes
from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import BY_HAND
from opsconsole.rules.lint import CROWD, Oddity, Rule, oddities
from tests.packs import counting

NOW = datetime(2026, 1, 19, 12, 0, tzinfo=UTC)


def job(name: str, cron: str = "0 3 * * *", **how: Any) -> Job:
    return Job(f"books.{name}", counting.names, counting.pass_over, cron=cron, **how)


def lint(*jobs: Job, written: Sequence[Job] | None = None, now: datetime = NOW) -> list[Oddity]:
    packs = (Pack("books", jobs=tuple(written or jobs)),)
    return oddities(Catalog(packs, {each.name: each for each in jobs}, {}), now)


def rules(*jobs: Job, **how: Any) -> list[tuple[str, Rule]]:
    return [(each.job, each.rule) for each in lint(*jobs, **how)]


def test_ordinary_jobs_are_not_odd() -> None:
    close = job("close", "50 23 * * *", tz="Asia/Kolkata", covers=DAY)
    send = job("send", "0 5 * * *", tz="Asia/Kolkata", covers=DAY_BEFORE, after=("books.close",), aliases=("post",))
    bill, tidy = job("bill", "0 6 1 * *", covers=MONTH_BEFORE), job("tidy", "0 * * * *", tz="Europe/Berlin")

    assert lint(close, send, bill, tidy) == []


def test_what_fires_only_in_leap_years_is_told_with_its_dates() -> None:
    (odd,) = lint(job("leap", "30 0 29 2 *"))

    assert odd.rule is Rule.RARE
    assert "fires only on 29 February: at 2028-02-29 00:30 UTC and then at 2032-02-29 00:30 UTC" in odd.sentence
    assert rules(job("yearly", "@yearly")) == []


def test_a_job_that_is_started_by_hand_comes_seldom_on_purpose() -> None:
    assert rules(job("tidy", BY_HAND)) == []


# --- instants that meet -------------------------------------------------------------------------------------------


def test_jobs_that_exclude_each_other_and_start_together_collide() -> None:
    one, two, three = (job(name, exclusive="ledger") for name in ("one", "two", "three"))

    (odd,) = lint(one, two, replace(three, cron="0 4 * * *"))

    assert (odd.job, odd.rule) == ("books.one", Rule.COLLIDES)
    assert "books.two, 31 times in 31 days (first 2026-01-20 03:00 UTC)" in odd.sentence
    assert odd.at == (datetime(2026, 1, 20, 3, tzinfo=UTC),)


def test_jobs_of_different_zones_collide_where_their_instants_are_the_same() -> None:
    one, two = job("one", "30 0 * * *", tz="Asia/Kolkata", exclusive="x"), job("two", "0 19 * * *", exclusive="x")

    assert rules(one, two) == [("books.one", Rule.COLLIDES)]


def test_one_that_comes_after_the_other_is_meant_to_wait() -> None:
    one, two = job("one", exclusive="ledger"), job("two", exclusive="ledger", after=("books.one",))

    assert lint(one, two) == []


def test_a_crowd_at_one_minute_is_told_once() -> None:
    crowd = [job(f"n{n:02}") for n in range(CROWD + 1)]

    (odd,) = lint(*crowd, job("other", "0 4 * * *"))

    assert odd.rule is Rule.CROWD
    assert f"{CROWD + 1} jobs start at 2026-01-20 03:00 UTC: books.n00" in odd.sentence
    assert "31 times in 31 days" in odd.sentence
    assert lint(*crowd[:CROWD]) == []


# --- clock changes ------------------------------------------------------------------------------------------------


def test_a_fixed_time_in_berlins_lost_and_doubled_hour_is_told_with_the_dates() -> None:
    gap, fold = lint(job("close", "30 2 * * *", tz="Europe/Berlin"))

    assert (gap.rule, fold.rule) == (Rule.GAP, Rule.FOLD)
    assert "2026-03-29 02:30; 2027-03-28 02:30. There it fires once, right after the gap" in gap.sentence
    assert "2026-10-25 02:30; 2027-10-31 02:30. There it fires at the first passing only" in fold.sentence
    assert gap.at == (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2027, 3, 28, 1, tzinfo=UTC))


def test_minutes_that_count_on_lose_what_falls_into_a_gap() -> None:
    gap, fold = lint(job("close", "*/20 2 * * *", tz="Europe/Berlin", timeout=minutes(10)))

    assert "2026-03-29 02:00, 02:20, 02:40" in gap.sentence
    assert gap.sentence.endswith("it does not fire for them")
    assert fold.sentence.endswith("it fires at both passings")


def test_lord_howe_moves_by_half_an_hour() -> None:
    assert [
        each.sentence.partition(": ")[2]
        for each in lint(
            job("early", "45 1 * * *", tz="Australia/Lord_Howe"), job("late", "15 2 * * *", tz="Australia/Lord_Howe")
        )
    ] == [
        "2026-04-05 01:45; 2027-04-04 01:45. There it fires at the first passing only",
        "2026-10-04 02:15; 2027-10-03 02:15. There it fires once, right after the gap",
    ]


def test_samoas_missing_day_is_told() -> None:
    odd = lint(job("close", "0 5 * * *", tz="Pacific/Apia"), now=datetime(2011, 11, 1, tzinfo=UTC))

    assert [each.sentence for each in odd] == [
        "'0 5 * * *' names a date that does not exist in Pacific/Apia: 2011-12-30 05:00. There it does not fire then"
    ]


@pytest.mark.parametrize("cron", ["*/30 * * * *", "0 * * * *", "@hourly", "0 4 * * *", "30 2 * * 3"])
def test_what_no_change_touches_is_not_odd(cron: str) -> None:
    assert lint(job("close", cron, tz="Europe/Berlin", timeout=minutes(10))) == []


# --- windows ------------------------------------------------------------------------------------------------------


def test_an_override_that_moves_the_window_is_told() -> None:
    written = job("close", "50 23 * * *", covers=DAY)

    (odd,) = lint(replace(written, cron="10 0 * * *"), written=[written])

    assert odd.rule is Rule.WINDOW
    assert "overridden to '10 0 * * *' (UTC) it fires in the first half of its day" in odd.sentence
    assert "'50 23 * * *' (UTC) is about one that is nearly over" in odd.sentence


def test_what_its_author_wrote_or_what_stays_late_is_not() -> None:
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
def test_several_times_for_one_window_is_told(cron: str, covers: Any, for_one: str) -> None:
    (odd,) = lint(job("close", cron, covers=covers))

    assert odd.rule is Rule.WINDOW
    assert odd.sentence.endswith(f"for {for_one}")


# --- after --------------------------------------------------------------------------------------------------------


def test_after_a_job_whose_windows_end_at_other_times_never_waits() -> None:
    kolkata = job("close", "50 23 * * *", tz="Asia/Kolkata", covers=DAY)

    (odd,) = lint(kolkata, job("send", "0 23 * * *", covers=DAY, after=("books.close",)))

    assert (odd.job, odd.rule) == ("books.send", Rule.AFTER)
    assert "no window of books.close ends when one of its own does: it never waits" in odd.sentence


def test_after_a_job_that_fires_later_for_the_same_window_is_told() -> None:
    late = job("close", "0 6 * * *", covers=DAY_BEFORE)

    (odd,) = lint(late, job("send", "0 5 * * *", covers=DAY_BEFORE, after=("books.close",)))

    assert "which always fires later for the same window, as at 2026-01-20 06:00 UTC" in odd.sentence
    assert "not before 2026-01-20 05:00 UTC" in odd.sentence


@pytest.mark.parametrize(
    "other",
    [
        job("close", "50 23 * * *", covers=DAY),  # its day ends when that of the day before is over
        job("close", "0 0 * * *", covers=DAY_BEFORE),
        job("close", "0 1 * * *", covers=DAY_BEFORE),
    ],
)
def test_after_a_job_of_the_same_window_is_as_it_should_be(other: Job) -> None:
    assert lint(other, job("send", "0 1 * * *", covers=DAY_BEFORE, after=("books.close",))) == []


def test_jobs_of_a_moment_wait_only_at_the_same_instant() -> None:
    hourly = job("tidy", "0 * * * *")

    assert lint(hourly, job("send", "0 */2 * * *", after=("books.tidy",))) == []
    assert rules(hourly, job("send", "30 * * * *", after=("books.tidy",))) == [("books.send", Rule.AFTER)]


def test_a_month_ends_with_its_last_day() -> None:
    daily = job("close", "0 1 * * *", covers=DAY_BEFORE)

    assert lint(daily, job("bill", "0 2 1 * *", covers=MONTH_BEFORE, after=("books.close",))) == []


# --- limits and names ---------------------------------------------------------------------------------------------


def test_a_batch_may_not_take_longer_than_its_run() -> None:
    (odd,) = lint(job("close", batch_timeout=hours(2)))

    assert "a batch may take 2 h, longer than the whole run, which may take 1 h" in odd.sentence


@pytest.mark.parametrize(
    ("how", "is_odd"),
    [
        ({}, True),
        ({"overlap": Overlap.QUEUE, "timeout": minutes(30)}, True),
        ({"timeout": minutes(30), "covers": DAY}, True),
        ({"timeout": minutes(30), "limits": Limits(max_age=minutes(20))}, True),
        ({"timeout": minutes(15)}, False),
        ({"timeout": hours(5)}, False),  # it polls, and somebody chose how long it may take
        ({"overlap": Overlap.REPLACE}, False),
    ],
)
def test_a_period_shorter_than_the_timeout_is_odd_unless_it_is_meant(how: dict[str, Any], is_odd: bool) -> None:
    found = rules(job("close", "*/15 * * * *", **how))

    assert (("books.close", Rule.TIMEOUT) in found) == is_odd


def test_an_alias_is_not_to_look_like_something_else() -> None:
    found = lint(job("close", aliases=("books", "all", "shop.close", "closing")))
    assert [each.rule for each in found] == [Rule.ALIAS] * 2
    assert "also names the whole pack" in found[0].sentence
    assert "also names all jobs" in found[1].sentence
