"""A window is judged by all its runs together."""

from __future__ import annotations

from datetime import timedelta

import pytest

from opsconsole import Limits
from opsconsole.authoring.run import Run, RunState, Selection, StopReason, Trigger
from opsconsole.rules.window_health import WindowHealth, judged
from tests.rules.ended_runs import NOW, ago, day, ended, moment, retried

YESTERDAY = day(1)
PARTIAL = ended(1, YESTERDAY, ok=1911, failed=1)


def newest(*runs: Run) -> WindowHealth:
    return judged(reversed(runs), NOW)[0]


def test_without_runs_no_window_is_judged() -> None:
    assert judged([], NOW) == ()


def test_a_run_on_its_own() -> None:
    found = newest(PARTIAL)

    assert (found.planned, found.ok, found.failed, found.skipped) == (1912, 1911, 1, 0)
    assert (found.retries, found.cause, found.to_retry, found.newest) == (0, "out_of_ink", PARTIAL, PARTIAL)
    assert (found.since, found.broken, found.is_ok) == (PARTIAL.ended_at, None, False)
    assert found.rate == 1911 / 1912


def test_a_retry_that_fails_again_makes_it_no_worse() -> None:
    again = retried(2, YESTERDAY, failed=1, at=ago(minutes=5))

    found = newest(PARTIAL, again)

    assert (found.planned, found.ok, found.failed) == (1912, 1911, 1)
    assert (found.broken, found.retries, found.same_cause) == (None, 1, True)
    assert (found.newest, found.to_retry, found.since) == (again, again, PARTIAL.ended_at)
    assert found.is_good(Limits(critical_below=0.99))


def test_a_retry_that_fails_otherwise_has_another_cause() -> None:
    found = newest(PARTIAL, retried(2, YESTERDAY, failed=1, kind="out_of_paper"))

    assert (found.same_cause, found.cause) == (False, "out_of_paper")


def test_a_retry_heals_what_it_completes() -> None:
    failed = ended(1, YESTERDAY, ok=90, failed=10)

    some = newest(failed, retried(2, YESTERDAY, ok=7, failed=3))
    assert (some.planned, some.ok, some.failed, some.to_retry.id) == (100, 97, 3, 2)

    everything = newest(failed, retried(2, YESTERDAY, ok=7, failed=3), retried(3, YESTERDAY, ok=3))
    assert (everything.planned, everything.ok, everything.failed, everything.retries) == (100, 100, 0, 2)
    assert (everything.is_ok, everything.since) == (True, None)


def test_a_second_retry_of_the_same_run_undoes_nothing() -> None:
    failed = ended(1, YESTERDAY, ok=90, failed=10)
    healed = retried(2, YESTERDAY, ok=7, failed=3, parent=1)
    worse = retried(3, YESTERDAY, failed=10, kind="redis_unreachable", parent=1)

    found = newest(failed, healed, worse)

    assert (found.ok, found.failed, found.to_retry, found.newest) == (97, 3, healed, worse)


def test_a_retry_that_breaks_before_it_has_planned_leaves_the_items_with_its_parent() -> None:
    broken = retried(2, YESTERDAY, state=RunState.FAILED, planned=False, error="the printer is on fire")

    found = newest(PARTIAL, broken)

    assert (found.ok, found.failed, found.broken, found.to_retry, found.newest) == (1911, 1, None, PARTIAL, broken)


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.TIMED_OUT, RunState.ABANDONED])
def test_a_run_that_failed_as_a_whole_is_broken_until_a_retry_completes_it(state: RunState) -> None:
    stopped = ended(1, YESTERDAY, ok=60, not_reached=40, state=state, error="too slow")

    assert (newest(stopped).broken, newest(stopped).failed) == (state, 40)
    assert newest(stopped, retried(2, YESTERDAY, not_reached=40, state=state, error="too slow")).broken is state
    assert newest(stopped, retried(2, YESTERDAY, ok=40)).is_ok
    found = newest(stopped, retried(2, YESTERDAY, ok=39, failed=1))
    assert (found.broken, found.ok, found.failed) == (None, 99, 1)


def test_a_run_that_broke_before_it_had_planned_is_healed_by_a_retry_over_everything() -> None:
    broken = ended(1, YESTERDAY, state=RunState.FAILED, planned=False, error="no such table")

    found = newest(broken, retried(2, YESTERDAY, ok=99, failed=1))

    assert (found.planned, found.ok, found.failed, found.broken) == (100, 99, 1, None)


def test_a_run_by_hand_replaces_everything_before_it() -> None:
    by_hand = ended(3, YESTERDAY, ok=50, failed=50, trigger=Trigger.HAND, at=ago(minutes=1))

    found = newest(PARTIAL, retried(2, YESTERDAY, failed=1), by_hand)

    assert (found.planned, found.ok, found.failed, found.retries) == (100, 50, 50, 0)
    assert (found.to_retry, found.since) == (by_hand, PARTIAL.ended_at)
    healed = newest(PARTIAL, ended(3, YESTERDAY, ok=1912, trigger=Trigger.HAND))
    assert healed.is_ok
    assert healed.scheduled_items == 1912


def test_a_retry_of_all_items_counts_if_it_left_fewer() -> None:
    everything = ended(2, YESTERDAY, ok=1912, trigger=Trigger.RETRY, selection=Selection.ALL)
    assert newest(PARTIAL, everything).is_ok
    unreachable = ended(2, YESTERDAY, failed=1912, trigger=Trigger.RETRY, selection=Selection.ALL)
    assert newest(PARTIAL, unreachable).failed == 1


@pytest.mark.parametrize("failed", [0, 5])
def test_backfills_neither_heal_nor_harm(failed: int) -> None:
    backfilled = ended(2, YESTERDAY, ok=10, failed=failed, trigger=Trigger.BACKFILL)

    assert newest(PARTIAL, backfilled) == newest(PARTIAL)
    assert judged([ended(1, YESTERDAY, failed=5, trigger=Trigger.BACKFILL)], NOW) == ()


@pytest.mark.parametrize("reason", [StopReason.CANCELLED, StopReason.REPLACED])
def test_a_cancelled_run_neither_heals_nor_harms(reason: StopReason) -> None:
    cancelled = ended(2, day(0), ok=10, failed=1, not_reached=1000, state=RunState.CANCELLED, stop=reason, at=NOW)

    assert judged([cancelled], NOW) == ()
    assert newest(PARTIAL, cancelled) == newest(PARTIAL)


def test_the_newest_window_is_the_one_with_the_newest_data() -> None:
    """An operator who repeats an older day says nothing about today's."""
    older = ended(2, day(3), failed=5, trigger=Trigger.HAND, at=ago(minutes=1))

    assert [each.window.label for each in judged([older, PARTIAL], NOW)] == ["2025-01-18", "2025-01-16"]


def test_the_windows_of_a_clock_that_was_ahead_do_not_count() -> None:
    ahead = ended(2, moment(NOW + timedelta(days=300)), failed=5)

    assert newest(PARTIAL, ahead) == newest(PARTIAL)


def test_a_moment_and_its_retries_are_one_window() -> None:
    first, second = moment(ago(minutes=60)), moment(ago(minutes=30))
    runs = [ended(1, first, ok=9, failed=1), ended(2, second, ok=9, failed=2), retried(3, second, ok=1, failed=1)]

    newer, older = judged(runs, NOW)

    assert (newer.planned, newer.failed, newer.retries) == (11, 1, 1)
    assert (older.planned, older.failed, older.retries) == (10, 1, 0)


def test_the_items_of_a_scheduled_run_are_not_those_of_a_later_run_by_hand() -> None:
    """A population that consumes itself is small the second time."""
    scheduled = ended(1, YESTERDAY, ok=100)

    assert newest(scheduled, ended(2, YESTERDAY, ok=0, trigger=Trigger.HAND)).scheduled_items == 100
    assert newest(ended(2, YESTERDAY, ok=3, trigger=Trigger.HAND)).scheduled_items is None
