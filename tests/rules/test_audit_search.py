"""Filters of the audit trail as people type them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from opsconsole.rules.audit import AuditFilter
from opsconsole.rules.audit_search import parse
from opsconsole.rules.search_words import BadSearch, SearchProblem

NOW = datetime(2026, 1, 19, 18, 20, tzinfo=UTC)


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("", AuditFilter()),
        ("by asha clear", AuditFilter(who="asha", verb="clear")),
        ("mine refused", AuditFilter(who="ben", outcome="refused")),
        ("by me", AuditFilter(who="ben")),
        ("last tue", AuditFilter(since=at(13), until=at(14))),
        ("since 14 jan before 16 jan", AuditFilter(since=at(14), until=at(16))),
        ("since 2h", AuditFilter(since=at(19, 16, 20))),
        ("before 18:00", AuditFilter(until=at(19, 18))),
        ("cache_day Trigger u0417", AuditFilter(verb="trigger", text=("cache_day", "u0417"))),
    ],
)
def test_filters(typed: str, found: AuditFilter) -> None:
    assert parse(typed, NOW, me="ben") == found


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("by", SearchProblem.NO_NAME),
        ("since", SearchProblem.NO_TIME),
        ("clear before soon", SearchProblem.NO_TIME),
        ("31 feb", SearchProblem.NO_SUCH_DATE),
        ("\ud800", SearchProblem.UNREADABLE),
    ],
)
def test_what_is_not_understood_is_named(typed: str, problem: SearchProblem) -> None:
    with pytest.raises(BadSearch) as refused:
        parse(typed, NOW, me="ben")

    assert refused.value.problem is problem
    assert refused.value.sentence


@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_is_refused(typed: str) -> None:
    with suppress(BadSearch):
        parse(typed, NOW, me="ben")
