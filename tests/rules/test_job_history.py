"""Runs compared with those before them: slower, with less work, or with less success than usual."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from opsconsole import Job, Limits
from opsconsole.authoring.run import Run, RunState, Selection, Trigger
from opsconsole.rules import finding_text
from opsconsole.rules.findings import Finding, Severity
from opsconsole.rules.job_history import Usual, low_success_rate, low_work, slow_run, usual_duration
from opsconsole.rules.window_health import judged
from tests.rules.ended_runs import JOB, NOW, ago, day, ended, moment, retried

USUAL = [230, 240, 240, 250, 300, 240, 235, 245, 240, 240]
"""Seconds."""


def days(*seconds: float, last: int = 1, items: int = 100) -> list[Run]:
    """A run a day that took so long, the newest first."""
    count = len(seconds)
    return [ended(n, day(last + count - 1 - n), ok=items, seconds=each) for n, each in enumerate(seconds)][::-1]


def slow(runs: list[Run], active: Run | None = None, job: Job = JOB) -> Finding | None:
    return next(slow_run(job, runs, active, NOW), None)


def wording(finding: Finding | None) -> str:
    assert finding is not None
    return finding_text.sentence(finding, NOW)


def test_a_run_that_took_much_longer_than_usual_is_slow() -> None:
    found = slow(days(*USUAL, 720))

    assert found is not None
    assert found.severity is Severity.WARNING
    assert wording(found) == "took 12 min (2025-01-18); usually 4 min (10 runs, at most 5 min)"
    assert slow(days(*USUAL, 720, 240)) is None


@pytest.mark.parametrize("seconds", [300, 350])
def test_a_run_that_took_a_little_longer_is_not_slow(seconds: float) -> None:
    assert slow(days(*USUAL, seconds)) is None


def test_a_short_job_is_not_slow_for_a_few_seconds() -> None:
    assert slow(days(*[0.2] * 10, 9.9)) is None
    assert slow(days(*[0.2] * 10, 10.5)) is not None


def test_with_fewer_than_ten_runs_nothing_is_usual() -> None:
    assert slow(days(*USUAL[:9], 7200)) is None
    assert slow([]) is None


def test_varying_durations_leave_room() -> None:
    assert slow(days(*[100, 400, 900] * 4, 1500)) is None


def test_an_active_run_is_slow_before_it_ends() -> None:
    active = replace(days(0)[0], id=99, state=RunState.RUNNING, started_at=ago(minutes=12), ended_at=None)

    assert wording(slow(days(*USUAL), active)) == "has been running for 12 min; usually 4 min (10 runs, at most 5 min)"
    assert slow(days(*USUAL), replace(active, started_at=ago(minutes=5))) is None
    assert slow(days(*USUAL), replace(active, planning_done=False)) is None
    assert slow(days(*USUAL), replace(active, trigger=Trigger.RETRY, selection=Selection.FAILED)) is None


def test_only_runs_over_a_similar_number_of_items_are_compared() -> None:
    """A queue is mostly empty, and a run that has something to do takes minutes."""
    empty = [ended(n, moment(ago(minutes=40 - n)), seconds=0.1) for n in range(20)][::-1]

    assert slow([ended(50, moment(ago(minutes=9)), ok=3, seconds=300), *empty]) is None
    assert slow([ended(50, day(0), ok=1000, seconds=2400), *days(*USUAL)]) is None


def test_backfills_retries_and_failures_are_not_compared() -> None:
    runs = days(*USUAL)

    for other in (
        ended(50, day(0), ok=100, seconds=7200, trigger=Trigger.BACKFILL),
        retried(50, day(1), ok=100, seconds=7200),
        ended(50, day(0), not_reached=100, seconds=7200, state=RunState.TIMED_OUT),
        ended(50, day(0), ok=50, not_reached=50, seconds=7200, state=RunState.CANCELLED),
    ):
        assert slow([other, *runs]) is None


def test_the_factor_is_a_limit_of_the_job_and_none_turns_the_rule_off() -> None:
    runs = days(*USUAL, 720)

    assert slow(runs, job=replace(JOB, limits=Limits(slow_run=4.0))) is None
    assert slow(runs, job=replace(JOB, limits=Limits(slow_run=None))) is None


# --- less work than usual -------------------------------------------------------------------------------------------


def little(*items: int, job: Job = JOB, extra: tuple[Run, ...] = ()) -> Finding | None:
    count = len(items)
    runs = [ended(n, day(count - n), ok=each) for n, each in enumerate(items)]
    return next(low_work(job, judged([*runs, *extra], NOW)), None)


def test_far_fewer_items_than_usual_are_low_work() -> None:
    found = little(*[1900, 1912, 1905, 1910] * 3, 140)

    assert found is not None
    assert (found.severity, found.since) == (Severity.WARNING, day(1).end + timedelta(hours=1))
    assert wording(found) == "had 140 items; usually 1,908 (12 runs, at least 1,900)"
    assert little(*[1900] * 12, 0) is not None
    assert little(*[1900] * 12, 140, 1900) is None


@pytest.mark.parametrize(
    "items",
    [
        [1900] * 12 + [1000],  # half of it
        [1900] * 9 + [10],  # nothing is usual yet
        [19] * 12 + [0],  # few items vary
        [50, 900, 2000, 400] * 4 + [40],  # varies anyway
    ],
)
def test_what_is_not_low_work(items: list[int]) -> None:
    assert little(*items) is None


def test_a_quiet_weekday_is_compared_with_the_same_weekday() -> None:
    week = [1900, 1900, 1900, 1900, 1900, 1900, 300]  # ends yesterday

    assert little(*week * 5) is None
    assert little(*[1900] * 34, 300) is not None


def test_runs_by_hand_and_broken_runs_are_not_low_work() -> None:
    usual = [1900] * 12

    by_hand = ended(50, day(0), ok=3, trigger=Trigger.HAND)
    again = ended(50, day(1), ok=3, trigger=Trigger.HAND)
    broken = ended(50, day(0), state=RunState.FAILED, planned=False, error="no such table")
    assert [little(*usual, extra=(run,)) for run in (by_hand, again, broken)] == [None, None, None]


def test_the_share_is_a_limit_of_the_job_and_none_turns_the_rule_off() -> None:
    items = [1900] * 12 + [140]

    assert little(*items, job=replace(JOB, limits=Limits(low_work=0.05))) is None
    assert little(*items, job=replace(JOB, limits=Limits(low_work=None))) is None


# --- the success rate of a day ---------------------------------------------------------------------------------------


def rate(*runs: Run, job: Job = JOB) -> Finding | None:
    return next(low_success_rate(job, judged(runs, NOW), NOW), None)


def hourly(*failed: int, of: int = 10) -> list[Run]:
    """A run an hour, of which so many items failed, the newest an hour ago."""
    times = [ago(hours=len(failed) - n) for n in range(len(failed))]
    return [
        ended(n, moment(at), ok=of - k, failed=k, at=at) for n, (at, k) in enumerate(zip(times, failed, strict=True))
    ]


def test_the_success_rate_of_a_day_has_two_limits() -> None:
    warning, critical = rate(*hourly(0, 4, 0, 0, 0)), rate(*hourly(0, 4, 2, 0, 0))

    assert warning is not None
    assert critical is not None
    assert (warning.severity, warning.since, warning.count) == (Severity.WARNING, ago(hours=4), 4)
    assert wording(warning) == "has a success rate of 92.0 % in the last 24 hours, below 95 % (4 failed, 5 windows)"
    assert critical.severity is Severity.CRITICAL
    assert wording(critical) == "has a success rate of 88.0 % in the last 24 hours, below 90 % (6 failed, 5 windows)"


def test_what_is_no_low_success_rate() -> None:
    assert rate(*hourly(0, 2, 0, 0)) is None
    assert rate(*hourly(5, 0, of=5)) is None  # few items
    assert rate(*[ended(1, day(0), ok=50, failed=50, at=ago(hours=1))]) is None  # the newest window is a failed run
    assert (
        rate(*[replace(run, ended_at=run.ended_at and run.ended_at - timedelta(days=1)) for run in hourly(9, 9)])
        is None
    )
    backfilled = [replace(run, trigger=Trigger.BACKFILL) for run in hourly(9, 9, 9)]
    assert rate(*backfilled) is None


def test_retries_do_not_count_twice() -> None:
    first, second = moment(ago(hours=2)), moment(ago(hours=1))
    runs = [ended(1, first, ok=100, at=ago(hours=2)), ended(2, second, ok=91, failed=9, at=ago(hours=1))]
    again = [retried(n, second, failed=9, at=ago(minutes=9)) for n in range(3, 9)]

    assert rate(*runs, *again) is None


# --- the usual duration ---------------------------------------------------------------------------------------------


def test_the_usual_range_leaves_out_the_shortest_and_the_longest_runs() -> None:
    usual = usual_duration(days(1, 10, 11, 12, 13, 14, 15, 16, 17, 18, 500))

    assert usual is not None
    assert (usual.least, usual.middle, usual.most, usual.runs) == (10, 14, 18, 11)


def test_runs_without_items_retries_and_failures_are_not_usual() -> None:
    empty = ended(9, day(2), ok=0, seconds=1)
    retry = ended(8, day(3), ok=5, seconds=2, trigger=Trigger.RETRY, selection=Selection.FAILED)
    failed = ended(7, day(4), failed=5, seconds=3)

    assert usual_duration([empty, retry, failed]) is None
    assert usual_duration([empty, retry, failed, *days(60)]) == Usual(60, 60, 60, 1)
