"""What is wrong, judged from plain values: late, overdue, too old, too long, failed, and services that are away."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from opsconsole import DAY, Job, Limits, hours, minutes
from opsconsole.authoring.run import Counts, Run, RunState, Selection, Trigger
from opsconsole.calendar.windows import Window
from opsconsole.rules.health import Finding, JobFacts, Severity, findings
from tests.packs import counting

NOW = datetime(2025, 1, 19, 12, 0, tzinfo=UTC)
JOB = Job(
    "books.close",
    counting.names,
    counting.pass_over,
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


def told(facts: JobFacts) -> list[Finding]:
    return list(findings([facts], {}, NOW))


def test_a_job_that_does_well_is_not_mentioned() -> None:
    assert told(WELL) == []


def test_a_job_that_was_never_due_is_not_mentioned() -> None:
    assert told(JobFacts(JOB, None, None, None, (), None, None)) == []


def test_an_instant_that_nobody_has_started_is_overdue_after_a_minute() -> None:
    (found,) = told(replace(WELL, due=ago(seconds=61), accounted_until=ago(hours=1)))

    assert (found.severity, found.subject, found.since) == (Severity.CRITICAL, "books.close", ago(seconds=61))
    assert "overdue" in found.sentence
    assert told(replace(WELL, due=ago(seconds=59), accounted_until=ago(hours=1))) == []


def test_a_run_that_waits_in_the_queue_is_late_after_a_minute() -> None:
    waits = run(RunState.QUEUED, created_at=ago(seconds=61), started_at=None, ended_at=None)

    (found,) = told(replace(WELL, open=waits))

    assert (found.severity, found.run, found.since) == (Severity.CRITICAL, 7, ago(seconds=61))
    assert told(replace(WELL, open=replace(waits, created_at=ago(seconds=59)))) == []


@pytest.mark.parametrize(
    ("good", "registered", "is_too_old"),
    [
        (ago(hours=24), ago(days=30), False),
        (ago(hours=26), ago(days=30), True),
        (None, ago(hours=24), False),
        (None, ago(hours=26), True),
    ],
)
def test_a_job_without_a_good_run_for_too_long_is_said(
    good: datetime | None, registered: datetime, is_too_old: bool
) -> None:
    found = told(replace(WELL, last_good=good, registered_at=registered))

    assert [finding.sentence for finding in found] == (["has had no good run for 26 h"] if is_too_old else [])
    assert all(finding.since == ago(hours=1) for finding in found)


def test_a_pause_makes_nobody_old_and_its_end_begins_anew() -> None:
    old = replace(WELL, last_good=ago(hours=30))

    assert told(replace(old, paused=True)) == []
    assert told(replace(old, resumed_at=ago(hours=2))) == []
    assert told(replace(old, resumed_at=ago(hours=26))) != []


def test_a_run_that_takes_longer_than_its_target_is_a_warning() -> None:
    goes_on = run(RunState.RUNNING, started_at=ago(minutes=11), ended_at=None)

    (found,) = told(replace(WELL, open=goes_on))

    assert (found.severity, found.since) == (Severity.WARNING, ago(minutes=1))
    assert found.sentence == "has been running for 11 min"
    assert told(replace(WELL, open=replace(goes_on, started_at=ago(minutes=9)))) == []


@pytest.mark.parametrize(
    ("failed", "severity"), [(1, Severity.WARNING), (10, Severity.WARNING), (11, Severity.CRITICAL)]
)
def test_failed_items_are_a_warning_and_many_are_critical(failed: int, severity: Severity) -> None:
    partial = run(RunState.PARTIAL, Counts(planned=100, ok=100 - failed, failed=failed), kinds={"out_of_ink": failed})

    (found,) = told(replace(WELL, newest=(partial, run(RunState.FAILED))))

    assert (found.severity, found.run, found.mend) == (severity, 7, "r retry")
    assert found.sentence == f"{failed} of 100 failed (2025-01-18): out of ink"


@pytest.mark.parametrize(
    ("state", "severity"),
    [
        (RunState.FAILED, Severity.CRITICAL),
        (RunState.TIMED_OUT, Severity.CRITICAL),
        (RunState.ABANDONED, Severity.CRITICAL),
        (RunState.CANCELLED, Severity.WARNING),  # somebody wanted it so
    ],
)
def test_a_newest_run_that_did_not_end_well_is_told(state: RunState, severity: Severity) -> None:
    (found,) = told(replace(WELL, newest=(run(state, error="the printer\x1b is on fire"),)))

    assert found.severity is severity
    assert found.sentence == f"{state.value.replace('_', ' ')} (2025-01-18): the printer\\x1b is on fire"


def test_an_older_failure_is_healed_by_a_newer_success() -> None:
    assert told(replace(WELL, newest=(run(RunState.SUCCEEDED), run(RunState.FAILED)))) == []


def test_services_that_are_away_are_critical_and_the_worst_comes_first() -> None:
    partial = run(RunState.PARTIAL, Counts(planned=100, ok=99, failed=1))

    found = findings(
        [replace(WELL, newest=(partial,))], {"Redis": (ago(minutes=5), "cut"), "the store": (NOW, "gone")}, NOW
    )

    assert [(finding.severity.name, finding.subject) for finding in found] == [
        ("CRITICAL", "Redis"),
        ("CRITICAL", "the store"),
        ("WARNING", "books.close"),
    ]
    assert found[0].sentence == "is unreachable: cut"
