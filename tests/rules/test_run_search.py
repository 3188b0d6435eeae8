"""Filters of runs as people type them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, strategies as st

from opsconsole.authoring.run import OPEN, RunState, Trigger
from opsconsole.rules.date_phrases import Days
from opsconsole.rules.run_search import FAILED, RunSearch, Segment, parse
from opsconsole.rules.search_words import BadSearch, SearchProblem

NOW = datetime(2026, 1, 19, 18, 50, tzinfo=UTC)  # a Monday; in Kolkata it is Tuesday, 00:20
JOBS = {
    "attempts.cache_day": "Asia/Kolkata",
    "attempts.suggest": "Asia/Kolkata",
    "game.life_regen": "UTC",
    "reporting.monthly_summary": "UTC",
}


def read(typed: str) -> RunSearch:
    return parse(typed, JOBS, NOW, me="asha")


def days(first: str, end: str) -> Days:
    return Days(date.fromisoformat(first), date.fromisoformat(end))


def test_a_filter_has_a_job_a_date_a_state_and_a_person() -> None:
    found = read("cache_day last tue failed by ben")

    assert found.jobs == ("attempts.cache_day",)
    assert found.days == days("2026-01-13", "2026-01-14")
    assert found.created == (
        datetime(2026, 1, 12, 18, 30, tzinfo=UTC),
        datetime(2026, 1, 13, 18, 30, tzinfo=UTC),
    ), "days are those of the zone of the job"
    assert found.states == FAILED
    assert found.person == "ben"


@pytest.mark.parametrize(
    ("typed", "first", "end"),
    [
        ("today", "2026-01-19", "2026-01-20"),
        ("yesterday", "2026-01-18", "2026-01-19"),
        ("last tue", "2026-01-13", "2026-01-14"),
        ("last monday", "2026-01-12", "2026-01-13"),
        ("this mon", "2026-01-19", "2026-01-20"),
        ("tues", "2026-01-13", "2026-01-14"),
        ("last week", "2026-01-12", "2026-01-19"),
        ("this week", "2026-01-19", "2026-01-26"),
        ("last month", "2025-12-01", "2026-01-01"),
        ("2026-01-14", "2026-01-14", "2026-01-15"),
        ("2025-12", "2025-12-01", "2026-01-01"),
        ("2026-01-10..2026-01-14", "2026-01-10", "2026-01-15"),
        ("14 jan", "2026-01-14", "2026-01-15"),
        ("14th January", "2026-01-14", "2026-01-15"),
        ("jan 14", "2026-01-14", "2026-01-15"),
        ("20 jan", "2025-01-20", "2025-01-21"),
        ("14 jan 2024", "2024-01-14", "2024-01-15"),
        ("29 feb", "2024-02-29", "2024-03-01"),
        ("jan 2026", "2026-01-01", "2026-02-01"),
        ("feb", "2025-02-01", "2025-03-01"),
        ("jan", "2026-01-01", "2026-02-01"),
    ],
)
def test_dates(typed: str, first: str, end: str) -> None:
    found = read(typed)
    assert found.days == days(first, end)
    assert not found.words
    assert found.created == tuple(datetime.fromisoformat(f"{day}T00:00:00Z") for day in (first, end))


def test_the_name_of_a_job_is_no_weekday() -> None:
    assert read("mon").jobs == ("reporting.monthly_summary",)
    assert read("mon").days is None
    assert read("monthly last mon").days == days("2026-01-12", "2026-01-13")


def test_times_limit_when_runs_were_created() -> None:
    assert read("since 2h").since == datetime(2026, 1, 19, 16, 50, tzinfo=UTC)
    assert read("since 18:00").since == datetime(2026, 1, 19, 18, tzinfo=UTC)
    assert read("since 14 jan before 2026-01-16").since == datetime(2026, 1, 14, tzinfo=UTC)
    assert read("since 14 jan before 2026-01-16").until == datetime(2026, 1, 16, tzinfo=UTC)
    assert read("suggest since 00:10").since == datetime(2026, 1, 19, 18, 40, tzinfo=UTC), "in the zone of the job"


@pytest.mark.parametrize(
    ("typed", "states"),
    [
        ("failed partial", (*FAILED, RunState.PARTIAL)),
        ("running", OPEN),
        ("OK", (RunState.SUCCEEDED,)),
        ("timed_out", (RunState.TIMED_OUT,)),
        ("all", None),
    ],
)
def test_states(typed: str, states: tuple[RunState, ...] | None) -> None:
    assert read(typed).states == states


def test_triggers_people_and_numbers() -> None:
    assert read("retries manual").triggers == (Trigger.RETRY, Trigger.HAND)
    assert read("by schedule").triggers == (Trigger.SCHEDULE,)
    assert read("mine").person == read("by me").person == "asha"
    assert read("4,790").numbers == read("#4790").numbers == (4790,)
    assert read("41 #42 41").numbers == (41, 42, 41)


def test_jobs_are_found_by_all_parts_of_their_names() -> None:
    assert read("attempts").jobs == ("attempts.cache_day", "attempts.suggest")
    assert read("ATTEMPTS day").jobs == ("attempts.cache_day",)
    assert read("attempts regen").jobs == ()


def test_other_words_are_searched_in_errors() -> None:
    found = read('unreachable "by redis" cache_day')
    assert found.words == ("unreachable", "by redis")
    assert found.jobs == ("attempts.cache_day",)
    assert read('"today" ""').words == ("today",)


@pytest.mark.parametrize(
    ("typed", "problem", "words"),
    [
        ("cache_day by", SearchProblem.NO_NAME, "`by asha`"),
        ("since", SearchProblem.NO_TIME, "write a time after `since`, such as `since 14 jan`"),
        ("before tea", SearchProblem.NO_TIME, "`before 2h`"),
        ("31 feb", SearchProblem.NO_SUCH_DATE, "there is no date '31 feb'"),
        ("2026-13-01", SearchProblem.NO_SUCH_DATE, "'2026-13-01'"),
        ("9999-12-31", SearchProblem.NO_SUCH_DATE, "'9999-12-31'"),
        ("2026-01-14..2026-01-10", SearchProblem.NO_SUCH_DATE, "'2026-01-14..2026-01-10'"),
        ("today last tue", SearchProblem.TWO_DATES, "'last tue' is a second date"),
        ('"redis is', SearchProblem.OPEN_QUOTE, 'close the quote: "redis is"'),
        ("\ud800", SearchProblem.UNREADABLE, "not valid Unicode"),
    ],
)
def test_what_is_not_understood_is_reported(typed: str, problem: SearchProblem, words: str) -> None:
    with pytest.raises(BadSearch) as raised:
        read(typed)
    assert raised.value.problem is problem
    assert words in raised.value.sentence


def test_a_segment_is_a_part_of_what_a_filter_selects() -> None:
    failed_today = read("today failed")
    assert failed_today.within(Segment.ALL, "asha") is failed_today
    assert failed_today.within(Segment.FAILED, "asha").states == FAILED
    assert failed_today.within(Segment.PARTIAL, "asha").states == ()
    assert read("").within(Segment.RUNNING, "asha").states == OPEN
    assert read("").within(Segment.MINE, "asha").person == "asha"
    assert read("by ben").within(Segment.MINE, "asha").states == ()


WORDS = ["last", "tue", "14", "jan", "2026", "since", "before", "by", "me", "failed", '"', "2h", "..", "#1", "cache"]


@given(st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=12)), max_size=8))
def test_every_text_is_a_filter_or_refused_with_a_message(words: list[str]) -> None:
    with suppress(BadSearch):
        read(" ".join(words))
