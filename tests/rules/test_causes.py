"""Findings with one likely cause are joined."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

from opsconsole.rules.causes import causes
from opsconsole.rules.findings import LEADER, Finding, FindingKind, Severity
from tests.rules.ended_runs import NOW, day, ended

K = FindingKind


def finding(kind: FindingKind, subject: str = "books.close", minute: int = 0, **other: object) -> Finding:
    return Finding(Severity.CRITICAL, kind, subject, NOW + timedelta(minutes=minute), **other)  # type: ignore[arg-type]


def test_an_outage_explains_the_failures_of_its_kind() -> None:
    redis = finding(K.UNREACHABLE, "Redis", 1)
    failed = finding(K.FAILED_RUN, reason="redis_unreachable")
    other = finding(K.FAILED_RUN, "books.send", reason="out_of_ink")
    repeated = finding(K.FAILING_REPEATEDLY, reason="redis_unreachable")

    assert causes([redis, failed, other, repeated]) == {failed.key: redis.key, repeated.key: redis.key}


def test_an_outage_of_a_database_explains_what_does_not_start() -> None:
    data, redis = finding(K.UNREACHABLE, "the data database"), finding(K.UNREACHABLE, "Redis")
    late, overdue = finding(K.LATE), finding(K.OVERDUE, "books.send")

    assert causes([data, late, overdue]) == {late.key: data.key, overdue.key: data.key}
    assert causes([redis, late, overdue]) == {}


def test_without_a_leader_nothing_starts() -> None:
    nobody, late, old = finding(K.NOT_LEADING, LEADER), finding(K.OVERDUE), finding(K.NO_GOOD_RUN)

    assert causes([nobody, late, old]) == {late.key: nobody.key, old.key: nobody.key}


def test_a_failed_run_explains_what_follows_from_it() -> None:
    window = ended(1, day(1), failed=5)
    failed = finding(K.FAILED_RUN, run=window)
    follows = [
        finding(K.FAILING_REPEATEDLY),
        finding(K.FAILING_ITEMS),
        finding(K.LOW_SUCCESS_RATE),
        finding(K.NO_GOOD_RUN),
        finding(K.INCOMPLETE_WINDOWS, items=(day(1).label,)),
    ]

    assert causes([failed, *follows]) == {each.key: failed.key for each in follows}
    assert causes([finding(K.FAILED_RUN, "books.send", run=window), *follows[2:]]) == {}


def test_incomplete_windows_explain_the_same_ones_of_jobs_that_follow() -> None:
    incomplete = finding(K.INCOMPLETE_WINDOWS, items=(day(1).label, day(2).label))
    follows = finding(K.INCOMPLETE_WINDOWS, "books.send", items=(day(2).label,), jobs=("books.close",))
    further = finding(K.INCOMPLETE_WINDOWS, "books.file", items=(day(2).label,), jobs=("books.send",))
    other = finding(K.INCOMPLETE_WINDOWS, "books.burn", items=(day(3).label,), jobs=("books.close",))

    assert causes([incomplete, follows, further, other]) == {
        follows.key: incomplete.key,
        further.key: incomplete.key,
    }


def test_other_windows_are_a_problem_of_their_own() -> None:
    failed = finding(K.FAILED_RUN, run=ended(1, day(1), failed=5))
    incomplete = finding(K.INCOMPLETE_WINDOWS, items=(day(9).label, day(1).label))

    assert causes([failed, incomplete]) == {}


def test_a_slow_run_explains_that_it_is_long() -> None:
    slow, long = finding(K.SLOW_RUN, minute=9), finding(K.LONG_RUN)

    assert causes([slow, long]) == {long.key: slow.key}


def test_the_oldest_of_several_failures_of_one_kind_explains_those_soon_after_it() -> None:
    first = finding(K.FAILED_RUN, "a.one", 0, reason="disk_full")
    soon = finding(K.FAILED_RUN, "a.two", 9, reason="disk_full")
    later = finding(K.FAILED_RUN, "a.three", 30, reason="disk_full")
    other = finding(K.FAILED_RUN, "a.four", 1, reason="out_of_ink")

    for found in permutations([first, soon, later, other]):
        assert causes(found) == {soon.key: first.key}


def test_a_chain_leads_to_the_first_cause() -> None:
    first = finding(K.FAILED_RUN, "a.one", 0, reason="disk_full")
    soon = finding(K.FAILED_RUN, "a.two", 1, reason="disk_full")
    items = finding(K.FAILING_ITEMS, "a.two")

    assert causes([items, soon, first]) == {soon.key: first.key, items.key: first.key}


def test_failures_without_a_kind_are_not_joined() -> None:
    assert causes([finding(K.FAILED_RUN, "a.one"), finding(K.FAILED_RUN, "a.two")]) == {}


def test_a_warning_does_not_explain_what_is_critical() -> None:
    failed = replace(finding(K.FAILED_RUN), severity=Severity.WARNING)
    items = replace(finding(K.FAILING_ITEMS), severity=Severity.WARNING)

    assert causes([failed, items, finding(K.NO_GOOD_RUN)]) == {items.key: failed.key}
