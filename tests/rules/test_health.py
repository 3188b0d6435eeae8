"""Health checks: findings about jobs and services, and their wording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from opsconsole import minutes
from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import Reason
from opsconsole.authoring.run import Run, RunState, StopReason, Trigger
from opsconsole.core.problems import Fault, Problem, Work
from opsconsole.rules import finding_text
from opsconsole.rules.admission import WaitReason
from opsconsole.rules.alerts import Alert
from opsconsole.rules.backfill import NO_RECORD, WindowState, WindowStatus
from opsconsole.rules.findings import Finding, FindingKind, Remedy, Severity, worst_first
from opsconsole.rules.health import JobFacts, JobRules, RepeatedFailures, Unrun, failed_windows, jobs_findings
from opsconsole.rules.system_health import ServiceRecord, degraded, lasting, of_leader, services
from opsconsole.rules.window_health import judged
from tests.rules.ended_runs import JOB, NOW, ago, day, ended, retried

YESTERDAY = day(1)
GOOD = ended(7, YESTERDAY, ok=100)


def queued(**span: float) -> Run:
    """A run that was queued that long ago."""
    return replace(GOOD, id=8, state=RunState.QUEUED, created_at=ago(**span), started_at=None, ended_at=None)


def running(**span: float) -> Run:
    """A run that started that long ago."""
    return replace(GOOD, id=8, state=RunState.RUNNING, created_at=ago(**span), started_at=ago(**span), ended_at=None)


WELL = JobFacts(
    job=JOB,
    due=ago(minutes=30),
    accounted_until=ago(minutes=30),
    registered_at=ago(days=30),
    newest=(GOOD,),
    open=None,
    last_good=ago(minutes=29),
    windows=judged((GOOD,), NOW),
)


def check(facts: JobFacts) -> list[Finding]:
    return list(jobs_findings([facts], NOW))


def only(facts: JobFacts, kind: FindingKind) -> Finding | None:
    """Its finding of one kind."""
    return next((finding for finding in check(facts) if finding.kind is kind), None)


def with_runs(*runs: Run, **other: object) -> JobFacts:
    newest = tuple(reversed(runs))
    return replace(WELL, newest=newest, windows=judged(newest, NOW), **other)  # type: ignore[arg-type]


def limited(**limits: object) -> Job:
    return replace(JOB, limits=replace(JOB.limits, **limits))  # type: ignore[arg-type]


def wording(finding: Finding | None) -> str:
    assert finding is not None
    return finding_text.sentence(finding, NOW)


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
    (found,) = check(replace(WELL, open=queued(seconds=61), waits=WaitReason.CAPACITY))

    assert (found.severity, found.kind, found.since) == (Severity.CRITICAL, FindingKind.LATE, ago(seconds=61))
    assert found.run == queued(seconds=61)
    assert check(replace(WELL, open=queued(seconds=59))) == []


def test_the_grace_of_a_start_is_a_limit_of_the_job() -> None:
    patient = replace(WELL, job=limited(start_within=minutes(5)))

    assert check(replace(patient, open=queued(minutes=4))) == []
    assert only(replace(patient, open=queued(minutes=6)), FindingKind.LATE)
    assert check(replace(patient, due=ago(minutes=4), accounted_until=ago(hours=1))) == []
    assert only(replace(patient, due=ago(minutes=6), accounted_until=ago(hours=1)), FindingKind.OVERDUE)


def test_a_run_that_waits_for_the_job_before_it_is_not_late() -> None:
    assert check(replace(WELL, open=queued(minutes=9), waits=WaitReason.AFTER)) == []


def test_a_paused_job_is_not_overdue() -> None:
    assert check(replace(WELL, due=ago(minutes=9), accounted_until=ago(hours=1), paused=True)) == []


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
    (found,) = check(replace(WELL, open=running(minutes=11)))

    assert (found.severity, found.since) == (Severity.WARNING, ago(minutes=1))
    assert wording(found) == "has been running for 11 min; its target is 10 min"
    assert check(replace(WELL, open=running(minutes=9))) == []


def test_a_run_that_took_longer_than_its_target_is_a_warning_until_the_next_one() -> None:
    slow = ended(7, YESTERDAY, ok=100, seconds=660)

    assert wording(only(with_runs(slow), FindingKind.LONG_RUN)) == "took 11 min (2025-01-18); its target is 10 min"
    assert check(with_runs(slow, ended(8, day(0), ok=100, at=ago(minutes=1)))) == []
    assert check(with_runs(slow, open=running(minutes=1))) == []


@pytest.mark.parametrize(
    ("failed", "severity", "limit"),
    [
        (1, Severity.WARNING, ""),
        (5, Severity.WARNING, ""),
        (6, Severity.WARNING, ", success rate below 95 %"),
        (10, Severity.WARNING, ", success rate below 95 %"),
        (11, Severity.CRITICAL, ", success rate below 90 %"),
    ],
)
def test_failed_items_are_a_warning_and_many_are_critical(failed: int, severity: Severity, limit: str) -> None:
    partial = ended(7, YESTERDAY, ok=100 - failed, failed=failed)

    (found,) = check(with_runs(ended(6, day(2), failed=100), partial))

    assert (found.severity, found.run, found.remedy) == (severity, partial, Remedy.RETRY)
    assert (found.count, found.reason, found.since) == (failed, "out_of_ink", partial.ended_at)
    assert wording(found) == f"{failed} of 100 failed (2025-01-18){limit}: out of ink"


def test_the_limits_of_a_success_rate_are_the_jobs() -> None:
    partial = ended(7, YESTERDAY, ok=98, failed=2)

    (found,) = check(with_runs(partial, job=limited(critical_below=0.99)))

    assert found.severity is Severity.CRITICAL
    assert wording(found) == "2 of 100 failed (2025-01-18), success rate below 99 %: out of ink"


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.TIMED_OUT, RunState.ABANDONED])
def test_an_unsuccessful_newest_run_is_critical(state: RunState) -> None:
    (found,) = check(with_runs(ended(7, YESTERDAY, state=state, error="the printer\x1b is on fire")))

    assert found.severity is Severity.CRITICAL
    assert wording(found) == f"{state.value.replace('_', ' ')} (2025-01-18): the printer\\x1b is on fire"


@pytest.mark.parametrize("reason", StopReason)
def test_what_an_operator_cancelled_is_no_alarm(reason: StopReason) -> None:
    cancelled = ended(8, day(0), ok=1, failed=9, state=RunState.CANCELLED, stop=reason, at=ago(minutes=1))

    assert check(with_runs(GOOD, cancelled)) == []


def test_a_newer_success_hides_an_older_failure() -> None:
    assert check(with_runs(ended(6, day(2), failed=100), GOOD)) == []


def test_a_retry_that_fails_again_is_no_worse() -> None:
    partial = ended(7, YESTERDAY, ok=1911, failed=1, kind="unknown_question")

    (before,) = check(with_runs(partial))
    (found,) = check(with_runs(partial, retried(8, YESTERDAY, failed=1, kind="unknown_question", at=ago(minutes=1))))

    assert (found.severity, found.key, found.since, found.count) == (
        before.severity,
        before.key,
        before.since,
        before.count,
    )
    assert found.severity is Severity.WARNING
    assert wording(before) == "1 of 1,912 failed (2025-01-18): unknown question"
    assert wording(found) == "1,911 of 1,912 ok (2025-01-18), retried once, same cause: unknown question"
    again = retried(9, YESTERDAY, failed=1, kind="out_of_ink", at=ago(minutes=1))
    assert wording(check(with_runs(partial, again, again))[0]) == (
        "1,911 of 1,912 ok (2025-01-18), retried twice: out of ink"
    )


def test_the_run_to_retry_is_the_one_that_has_the_failed_items() -> None:
    partial = ended(7, YESTERDAY, ok=90, failed=10)
    broken = retried(8, YESTERDAY, state=RunState.FAILED, planned=False, error="no such table", at=ago(minutes=1))

    (found,) = check(with_runs(partial, broken))

    assert found.run == partial


def test_a_successful_retry_resolves_it() -> None:
    assert check(with_runs(ended(7, YESTERDAY, ok=99, failed=1), retried(8, YESTERDAY, ok=1))) == []


def test_a_backfill_neither_heals_nor_harms() -> None:
    failed = ended(7, YESTERDAY, failed=100)
    healed = ended(8, YESTERDAY, ok=100, trigger=Trigger.BACKFILL)

    assert check(with_runs(failed, healed)) == check(with_runs(failed))
    assert check(with_runs(GOOD, replace(failed, id=8, trigger=Trigger.BACKFILL))) == []


# --- several windows ----------------------------------------------------------------------------------------------


def failing(*failed: int, of: int = 100) -> Sequence[Run]:
    """A run a day up to yesterday, of which so many items failed."""
    return [ended(n, day(len(failed) - n), ok=of - k, failed=k) for n, k in enumerate(failed)]


def test_three_windows_in_a_row_are_failing_repeatedly() -> None:
    found = only(with_runs(*failing(0, 11, 100, 11)), FindingKind.FAILING_REPEATEDLY)

    assert found is not None
    assert (found.severity, found.count, found.since) == (Severity.CRITICAL, 3, day(3).end + timedelta(hours=1))
    assert wording(found) == "failed in 3 windows in a row: out of ink"
    for fine in (failing(11, 11), failing(11, 11, 0), failing(11, 5, 11), failing(11, 11, 11, 1)):
        assert only(with_runs(*fine), FindingKind.FAILING_REPEATEDLY) is None
    strict = limited(failing_windows=2)
    assert only(with_runs(*failing(11, 11), job=strict), FindingKind.FAILING_REPEATEDLY)


def test_retries_that_fail_again_are_the_same_window() -> None:
    again = [retried(n, YESTERDAY, failed=100) for n in range(8, 12)]

    assert only(with_runs(ended(7, YESTERDAY, failed=100), *again), FindingKind.FAILING_REPEATEDLY) is None


def test_a_job_that_fails_often_enough_is_to_be_paused_and_a_resume_starts_anew() -> None:
    job = limited(pause_after=3)
    failed = with_runs(*failing(100, 100, 100), job=job)

    assert failed_windows(failed) == 3
    assert failed_windows(replace(failed, job=JOB)) == 0
    assert failed_windows(replace(failed, paused=True)) == 0
    assert failed_windows(replace(failed, resumed_at=ago(hours=30))) == 0
    assert failed_windows(with_runs(*failing(100, 100), job=job)) == 0
    resumed = with_runs(*failing(*[100] * 6), job=job, resumed_at=day(3).start + timedelta(hours=2))
    assert failed_windows(resumed) == 3


def test_items_that_fail_again_are_named() -> None:
    repeated = RepeatedFailures(5, ("asha", "ben\x1b", "chen", "dev"))

    found = only(with_runs(*failing(5, 0, 5), repeated=repeated), FindingKind.FAILING_ITEMS)

    assert found is not None
    assert (found.severity, found.count, found.items) == (Severity.WARNING, 5, repeated.items)
    assert found.since == day(3).end + timedelta(hours=1)
    assert wording(found) == (
        "has 5 items that failed in at least 2 of its last 5 windows: asha, ben\\x1b, chen and 2 more"
    )


def test_scheduled_times_that_did_not_run_are_counted() -> None:
    unrun = (
        Unrun(ago(hours=9), ago(hours=9), 1, Reason.CAPACITY),
        Unrun(ago(hours=5), ago(hours=4), 2, Reason.NOT_LEADING),
    )

    (found,) = check(replace(WELL, unrun=unrun))

    assert (found.severity, found.kind, found.count, found.since) == (
        Severity.WARNING,
        FindingKind.MISSED,
        3,
        ago(hours=9),
    )
    assert wording(found) == "missed 3 scheduled times in the last 24 hours (not leading)"


def test_incomplete_windows_are_listed_with_their_states() -> None:
    states = [WindowState.MISSING, WindowState.STALE, WindowState.STALE]
    incomplete = tuple(WindowStatus(day(9 - n), state, NO_RECORD) for n, state in enumerate(states))

    (found,) = check(replace(WELL, incomplete=incomplete))

    assert (found.severity, found.kind, found.count) == (Severity.WARNING, FindingKind.INCOMPLETE_WINDOWS, 3)
    assert found.remedy is Remedy.BACKFILL
    assert wording(found) == "has 3 incomplete windows (1 missing, 2 stale): 2025-01-10, 2025-01-11, 2025-01-12"
    (alike,) = check(replace(WELL, incomplete=incomplete[1:]))
    assert wording(alike) == "has 2 stale windows: 2025-01-11, 2025-01-12"


def test_a_task_has_a_sentence_whatever_the_number_of_its_name() -> None:
    (found,) = degraded([Problem(Work.WORKERS, Fault.FAILING, NOW, "no memory")], ())

    assert f"{finding_text.subject(found)} {wording(found)}" == "task workers keeps failing: no memory"
    unread = replace(found, subject=Work.LIVE_RUNS, fault=Fault.UNKNOWN, reason="no such table")
    assert f"{finding_text.subject(unread)} {wording(unread)}" == "live runs cannot be read: no such table"


def test_what_only_the_leader_can_judge_is_found_in_its_open_alerts() -> None:
    full = Alert(3, FindingKind.CHECK, "exams.queue", Severity.WARNING, ago(hours=1), ago(hours=1), "reports: it grows")
    others = (replace(full, resolved_at=NOW), replace(full, rule=FindingKind.LATE))

    (found,) = of_leader([full, *others], is_leading=True)
    (outdated,) = of_leader([full, *others], is_leading=False)

    assert (found.key, found.since, wording(found)) == (full.key, full.since, "reports: it grows")
    assert wording(outdated) == "reports: it grows (judged before the leader ended)"


# --- services -----------------------------------------------------------------------------------------------------


def test_unreachable_services_are_critical_and_the_worst_comes_first() -> None:
    partial = ended(7, YESTERDAY, ok=99, failed=1)

    records = (ServiceRecord("Redis").failed(ago(minutes=5), "cut"), ServiceRecord("the store").failed(NOW, "lost"))
    found = worst_first([*jobs_findings([with_runs(partial)], NOW), *services(records)])

    assert [(finding.severity.name, finding.subject) for finding in found] == [
        ("CRITICAL", "Redis"),
        ("CRITICAL", "the store"),
        ("WARNING", "books.close"),
    ]
    assert found[0].kind is FindingKind.UNREACHABLE
    assert finding_text.sentence(found[0], NOW) == "is unreachable: cut"


def test_what_a_pack_lacks_is_no_work_that_fails() -> None:
    lacking = Problem("exams", Fault.NOT_CONFIGURED, NOW, "set the key")
    failing = Problem(Work.EVENT_RELAY, Fault.FAILING, NOW, "refused")

    assert [finding.subject for finding in degraded([lacking, failing], ())] == [Work.EVENT_RELAY]


def test_a_step_that_failed_is_an_alert_when_it_fails_again_or_no_run_starts_without_it() -> None:
    since = NOW - timedelta(seconds=5)
    relay, probe = (Problem(work, Fault.FAILING, since, "refused") for work in (Work.EVENT_RELAY, Work.DEAD_MAN))
    schedule = replace(relay, work=Work.SCHEDULE)
    stalled = replace(probe, fault=Fault.STALLED)
    before_the_clock_was_set_back = replace(probe, since=NOW + timedelta(hours=1))

    assert lasting([relay, probe], NOW) == ()
    assert lasting([relay, probe], NOW + timedelta(seconds=10)) == (relay, probe)
    assert lasting([schedule, stalled], NOW) == (schedule, stalled)
    assert lasting([before_the_clock_was_set_back], NOW) == (before_the_clock_was_set_back,)


@pytest.mark.parametrize(
    "facts",
    [
        WELL,
        replace(WELL, due=ago(seconds=30), accounted_until=ago(hours=1)),
        replace(WELL, last_good=ago(hours=22)),
        replace(WELL, open=queued(seconds=30)),
        replace(WELL, open=running(minutes=5)),
        with_runs(*(ended(n, day(5), ok=50, failed=50) for n in (1, 2))),
    ],
)
def test_a_job_is_judged_again_when_time_changes_the_result(facts: JobFacts) -> None:
    rules = JobRules()
    for minute in range(-10, 60 * 30, 7):
        now = NOW + timedelta(minutes=minute)
        assert rules.findings([facts], now) == jobs_findings([facts], now)


def test_a_job_that_stays_the_same_is_not_judged_again() -> None:
    rules = JobRules()
    facts = with_runs(ended(7, day(5), ok=90, failed=10))
    (before,) = (each for each in rules.findings([facts], NOW) if each.kind is FindingKind.FAILED_RUN)
    later = rules.findings([facts], NOW + timedelta(seconds=1))
    assert any(each is before for each in later)
