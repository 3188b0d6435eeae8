"""The state of a job in one word."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from opsconsole import Job
from opsconsole.rules.findings import Finding, FindingKind, Severity
from opsconsole.rules.health import JobFacts
from opsconsole.rules.job_state import JobState, job_state
from tests.packs import counting

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CLOSE = Job("books.close", counting.names, counting.do_nothing, cron="0 * * * *")
FACTS = JobFacts(CLOSE, NOW, NOW, NOW, (), None, NOW)


def finding(kind: FindingKind, numbers: dict[str, int] | None = None, subject: str = "books.close") -> Finding:
    return Finding(Severity.CRITICAL, kind, subject, NOW, numbers=numbers or {})


def test_a_job_without_findings_is_up_or_new() -> None:
    assert job_state(FACTS, []) is JobState.UP
    assert job_state(replace(FACTS, last_good=None), []) is JobState.NEW
    assert job_state(FACTS, [finding(FindingKind.FAILED_RUN, subject="books.open")]) is JobState.UP


@pytest.mark.parametrize(
    ("kind", "numbers", "state"),
    [
        (FindingKind.FAILED_RUN, {"ok": 9, "failed": 1}, JobState.FAILING),
        (FindingKind.FAILED_RUN, {"ok": 0, "failed": 9}, JobState.DOWN),
        (FindingKind.FAILING_REPEATEDLY, {}, JobState.DOWN),
        (FindingKind.LOW_SUCCESS_RATE, {}, JobState.FAILING),
        (FindingKind.NO_GOOD_RUN, {}, JobState.STALE),
        (FindingKind.LATE, {}, JobState.LATE),
        (FindingKind.OVERDUE, {}, JobState.LATE),
        (FindingKind.LONG_RUN, {}, JobState.OVERRUN),
        (FindingKind.LOW_WORK, {}, JobState.LOW_WORK),
        (FindingKind.INCOMPLETE_WINDOWS, {}, JobState.UP),
    ],
)
def test_a_finding_decides_the_state(kind: FindingKind, numbers: dict[str, int], state: JobState) -> None:
    assert job_state(FACTS, [finding(kind, numbers)]) is state


def test_the_worst_state_counts_and_a_pause_hides_it() -> None:
    found = [finding(FindingKind.LOW_WORK), finding(FindingKind.FAILED_RUN, {"ok": 1}), finding(FindingKind.LATE)]

    assert job_state(FACTS, found) is JobState.FAILING
    assert job_state(replace(FACTS, paused=True), found) is JobState.PAUSED
