"""Health checks: findings about jobs and services, and their wording."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from opsconsole import DAY, Job, Limits, hours, minutes
from opsconsole.authoring.run import Counts, Run, RunState, Selection, Trigger
from opsconsole.calendar.windows import Window
from opsconsole.rules import finding_text
from opsconsole.rules.findings import Finding, FindingKind, Remedy, Severity
from opsconsole.rules.health import JobFacts, findings
from tests.packs import counting

NOW = datetime(2025, 1, 19, 12, 0, tzinfo=UTC)
JOB = Job(
    "books.close",
    counting.names,
    counting.do_nothing,
    cron="0 * * * *",
    covers=DAY,
    limits=Limits(max_age=hours(25), longest=minutes(10)),
)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def run(state: RunState, counts: Counts | None = None, **more: object) -> Run:
    made = Run(
        id=7,
        job=JOB.name,
        window=Window(ago(hours=36), ago(hours=12), "2025-01-18"),
        as_of=ago(minutes=30),
        trigger=Trigger.SCHEDULE,
        state=state,
        attempt=1,
        parent=None,
        selection=Selection.ALL,
        command=None,
        requested_by="schedule",
        host="here",
        created_at=ago(minutes=30),
        started_at=ago(minutes=30),
        ended_at=ago(minutes=29),
        counts=counts or Counts(planned=100, ok=100),
        planning_done=True,
        batches=1,
        batches_done=1,
        kinds={},
        metrics={},
        facts={},
        error=None,
        log_lines=0,
    )
    return replace(made, **more)  # type: ignore[arg-type]


WELL = JobFacts(
    job=JOB,
    due=ago(minutes=30),
    accounted_until=ago(minutes=30),
    registered_at=ago(days=30),
    newest=(run(RunState.SUCCEEDED),),
    open=None,
    last_good=ago(minutes=29),
)


def check(facts: JobFacts) -> list[Finding]:
    return list(findings([facts], {}, NOW))


def test_a_healthy_job_has_no_findings() -> None:
    assert check(WELL) == []


def test_a_job_that_was_never_due_has_no_findings() -> None:
    assert check(JobFacts(JOB, None, None, None, (), None, None)) == []


def test_a_scheduled_time_without_a_run_is_overdue_after_a_minute() -> None:
    (found,) = check(replace(WELL, due=ago(seconds=61), accounted_until=ago(hours=1)))

    assert (found.severity, found.subject, found.since) == (Severity.CRITICAL, "books.close", ago(seconds=61))
    assert (found.kind, found.remedy) == (FindingKind.OVERDUE, Remedy.TRIGGER)
    assert finding_text.sentence(found, NOW) == "is overdue: its run has not started"
    assert check(replace(WELL, due=ago(seconds=59), accounted_until=ago(hours=1))) == []


def test_a_run_that_waits_in_the_queue_is_late_after_a_minute() -> None:
    waits = run(RunState.QUEUED, created_at=ago(seconds=61), started_at=None, ended_at=None)

    (found,) = check(replace(WELL, open=waits))

    assert (found.severity, found.kind, found.since) == (Severity.CRITICAL, FindingKind.LATE, ago(seconds=61))
    assert found.run == waits
    assert check(replace(WELL, open=replace(waits, created_at=ago(seconds=59)))) == []


@pytest.mark.parametrize(
    ("good", "registered", "is_too_old"),
    [
        (ago(hours=24), ago(days=30), False),
        (ago(hours=26), ago(days=30), True),
        (None, ago(hours=24), False),
        (None, ago(hours=26), True),
    ],
)
def test_a_job_without_a_good_run_for_too_long_is_reported(
    good: datetime | None, registered: datetime, is_too_old: bool
) -> None:
    found = check(replace(WELL, last_good=good, registered_at=registered))

    expected = ["has had no good run for 26 h"] if is_too_old else []
    assert [finding_text.sentence(finding, NOW) for finding in found] == expected
    assert all(finding.since == ago(hours=1) for finding in found)


def test_a_paused_job_is_not_too_old_and_its_age_counts_from_the_resume() -> None:
    old = replace(WELL, last_good=ago(hours=30))

    assert check(replace(old, paused=True)) == []
    assert check(replace(old, resumed_at=ago(hours=2))) == []
    assert check(replace(old, resumed_at=ago(hours=26))) != []


def test_a_run_that_takes_longer_than_its_target_is_a_warning() -> None:
    active = run(RunState.RUNNING, started_at=ago(minutes=11), ended_at=None)

    (found,) = check(replace(WELL, open=active))

    assert (found.severity, found.since) == (Severity.WARNING, ago(minutes=1))
    assert finding_text.sentence(found, NOW) == "has been running for 11 min"
    assert check(replace(WELL, open=replace(active, started_at=ago(minutes=9)))) == []


@pytest.mark.parametrize(
    ("failed", "severity"), [(1, Severity.WARNING), (10, Severity.WARNING), (11, Severity.CRITICAL)]
)
def test_failed_items_are_a_warning_and_many_are_critical(failed: int, severity: Severity) -> None:
    partial = run(RunState.PARTIAL, Counts(planned=100, ok=100 - failed, failed=failed), kinds={"out_of_ink": failed})

    (found,) = check(replace(WELL, newest=(partial, run(RunState.FAILED))))

    assert (found.severity, found.run, found.remedy) == (severity, partial, Remedy.RETRY)
    assert finding_text.sentence(found, NOW) == f"{failed} of 100 failed (2025-01-18): out of ink"


@pytest.mark.parametrize(
    ("state", "severity"),
    [
        (RunState.FAILED, Severity.CRITICAL),
        (RunState.TIMED_OUT, Severity.CRITICAL),
        (RunState.ABANDONED, Severity.CRITICAL),
        (RunState.CANCELLED, Severity.WARNING),  # by an operator
    ],
)
def test_an_unsuccessful_newest_run_is_reported(state: RunState, severity: Severity) -> None:
    (found,) = check(replace(WELL, newest=(run(state, error="the printer\x1b is on fire"),)))

    assert found.severity is severity
    assert (
        finding_text.sentence(found, NOW)
        == f"{state.value.replace('_', ' ')} (2025-01-18): the printer\\x1b is on fire"
    )


def test_a_newer_success_hides_an_older_failure() -> None:
    assert check(replace(WELL, newest=(run(RunState.SUCCEEDED), run(RunState.FAILED)))) == []


def test_unreachable_services_are_critical_and_the_worst_comes_first() -> None:
    partial = run(RunState.PARTIAL, Counts(planned=100, ok=99, failed=1))

    found = findings(
        [replace(WELL, newest=(partial,))], {"Redis": (ago(minutes=5), "cut"), "the store": (NOW, "lost")}, NOW
    )

    assert [(finding.severity.name, finding.subject) for finding in found] == [
        ("CRITICAL", "Redis"),
        ("CRITICAL", "the store"),
        ("WARNING", "books.close"),
    ]
    assert found[0].kind is FindingKind.UNREACHABLE
    assert finding_text.sentence(found[0], NOW) == "is unreachable: cut"
