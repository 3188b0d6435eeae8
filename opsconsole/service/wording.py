"""Sentences that several interfaces make of values: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from opsconsole.authoring.run import Run, RunState, Stop
from opsconsole.core.humanize import age, count, duration, local_time, words
from opsconsole.core.problems import Fault
from opsconsole.core.text import safe
from opsconsole.rules.admission import Wait, WaitReason
from opsconsole.rules.audit import AuditProblem, Seal, Verification
from opsconsole.rules.backfill import Step, StepReason
from opsconsole.rules.backfill_status import BackfillStop, BackfillStopReason
from opsconsole.rules.health import Finding, FindingKind, Severity


def wait(wait: Wait) -> str:
    """What a run waits for, after `waits for`: `run 17 of this job`."""
    match wait.reason:
        case WaitReason.SAME_WINDOW:
            return f"run {wait.run} of this job"
        case WaitReason.PARALLEL_LIMIT:
            return f"run {wait.run} of this job, for {wait.window}"
        case WaitReason.EARLIER_RUN:
            return "an earlier run of this job"
        case WaitReason.EXCLUSIVE:
            return f"{wait.job}, which excludes it"
        case WaitReason.AFTER:
            return str(wait.job)
        case WaitReason.CAPACITY:
            return "a free slot: the maximum number of runs is running"


def stop(stop: Stop) -> str:
    """Why a run stops: `cancelled by asha: too slow`."""
    return stop.message


def step_reason(step: Step) -> str:
    """Why a window is run or skipped: `3 items are stale`."""
    match step.reason:
        case StepReason.RUNNING:
            return f"run {step.open_run} is active"
        case StepReason.STALE:
            return f"{step.stale:,} items are stale" if step.stale != 1 else "1 item is stale"
        case StepReason.INCOMPLETE:
            return "data ends before the window does"
        case StepReason.NOT_DUE:
            return "not due yet"
        case _:
            return words(step.reason)


def backfill_stop(stop: BackfillStop) -> str:
    """Why a backfill stopped: `paused by asha: lunch`."""
    if stop.reason is BackfillStopReason.WINDOW_FAILED:
        return f"{stop.job} {stop.window} failed"
    return f"{stop.reason} by {stop.by}" + (f": {stop.note}" if stop.note else "")


def audit_verification(result: Verification, anchor: Seal | None) -> str:
    """What a verification of the audit trail has proven."""
    verified = count(result.rows, "row")
    match result.problem:
        case AuditProblem.ROW_CHANGED:
            return f"row {result.broken} was changed after it was written; {verified} before it are valid"
        case AuditProblem.PREVIOUS_ROW_MISSING:
            return f"the row before row {result.broken} is missing or was changed; {verified} before it are valid"
        case AuditProblem.ANCHOR_CHANGED:
            return f"row {result.broken} does not have this seal: the trail was rewritten"
        case AuditProblem.ANCHOR_MISSING:
            return f"row {result.broken} of this seal is missing: rows were removed from the end"
        case None:
            pass
    if result.seal is None:
        return "the audit trail is empty"
    if anchor is not None:
        return f"verified {verified}: unchanged up to row {anchor.row}, consistent up to row {result.seal.row}"
    return (
        f"verified {verified}: they are consistent with each other; the last seal is {result.seal}\n"
        "this does not show whether rows were removed from the end, or the whole trail was rewritten; "
        "for that, compare with a seal kept elsewhere: `opsconsole audit verify --seal ID:HASH`"
    )


def short_lived_results(job: str, lifetime: timedelta, windows: int) -> str:
    """A warning that results of a backfill expire soon."""
    return f"results of {job} expire after {duration(lifetime)}; this plan creates {count(windows, 'window')} of them"


def subject(finding: Finding) -> str:
    """What a finding is about: a job, a service, or a part of this program."""
    return words(finding.subject) if finding.kind is FindingKind.DEGRADED else finding.subject


def finding(finding: Finding, now: datetime) -> str:
    """What is wrong, after the subject: `is unreachable: connection refused`."""
    run = finding.run
    match finding.kind:
        case FindingKind.UNREACHABLE:
            return f"is unreachable: {finding.reason}"
        case FindingKind.LATE:
            return "is late: its run is queued and has not started"
        case FindingKind.OVERDUE:
            return "is overdue: its run has not started"
        case FindingKind.NO_GOOD_RUN:
            return f"has had no good run for {age(now - (finding.good_until or finding.since))}"
        case FindingKind.LONG_RUN:
            started = run.started_at if run is not None else None
            return f"has been running for {age(now - (started or finding.since))}"
        case FindingKind.CLOCK_AHEAD:
            jobs, until = count(len(finding.jobs), "job"), local_time(finding.recorded_until or finding.since, "UTC")
            if finding.severity is Severity.CRITICAL:
                return f"is behind: a leader planned {jobs} up to {until}; set it right, or start a leader with it"
            return f"was set back: {jobs} ran for times up to {until} already; those times do not run again"
        case FindingKind.FAILED_RUN:
            return _failure(run) if run is not None else "failed"
        case FindingKind.DEGRADED:
            return degraded(finding)
        case FindingKind.SET_ASIDE:
            if finding.count == 1:
                return f"was set aside: {finding.reason}"
            return f"and {count(finding.count - 1, 'other')} were set aside: {finding.reason}"


def degraded(finding: Finding) -> str:
    """What is wrong with a part of this program, after its name: `keeps failing: ...`."""
    match finding.fault:
        case Fault.STALLED:
            return "is stalled: its current step does not return"
        case Fault.ENDED:
            return "has ended unexpectedly; restart this process"
        case Fault.UNKNOWN:
            return f"cannot be read: {finding.reason}"
        case _:
            return f"keeps failing: {finding.reason}"


def _failure(run: Run) -> str:
    if run.state is RunState.PARTIAL:
        what = f"{run.counts.failed:,} of {run.counts.planned:,} failed"
    else:
        what = words(run.state)
    cause = run.error or words(next(iter(run.kinds), ""))
    return f"{what} ({run.window.label})" + (f": {safe(cause, 120)}" if cause else "")


def done(verb: str, outcome: Mapping[str, Any]) -> str | None:
    """What a command did; None when it queued one run, whose number is in the outcome."""
    sentence = _DONE.get(verb)
    return None if sentence is None else sentence(outcome)


def _retried(outcome: Mapping[str, Any]) -> str | None:
    if "runs" not in outcome:
        return None
    queued, refused = len(outcome["runs"]), outcome["refused"]
    return f"queued {count(queued, 'run')}" + (f", refused {refused:,}" if refused else "")


def _cancelled(outcome: Mapping[str, Any]) -> str:
    when = "now" if outcome["force"] else "when its batches in flight are done"
    return f"run {outcome['run']} of {outcome['job']} ends {when}"


def _paused(outcome: Mapping[str, Any]) -> str:
    until = outcome["until"]
    how = f"until {datetime.fromisoformat(until):%Y-%m-%d %H:%M %Z}" if until else "until it is resumed"
    return f"paused {outcome['target']} {how}" + ("; this extends an earlier pause" if outcome.get("replaced") else "")


def _cleared(outcome: Mapping[str, Any]) -> str:
    families = outcome["families"]
    of = f" of {count(len(families), 'family', 'families')}" if families else ""
    return f"cleared {count(outcome['cleared'], 'key')}{of}"


def unknown(denied: Sequence[str]) -> str:
    """A figure of Redis that is not known, because its user may not run these commands if there are any."""
    return f"unknown: the Redis user may not run {' and '.join(denied)}" if denied else "unknown"


_DONE: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    "retry": _retried,
    "cancel": _cancelled,
    "pause": _paused,
    "resume": lambda outcome: f"resumed {outcome['target']}",
    "apply_backfill": lambda outcome: f"started backfill {outcome['backfill']}: {count(outcome['windows'], 'window')}",
    "pause_backfill": lambda outcome: f"paused backfill {outcome['backfill']}; running windows finish",
    "resume_backfill": lambda outcome: (
        f"resumed backfill {outcome['backfill']}: {count(outcome['windows'], 'window')} left"
    ),
    "cancel_backfill": lambda outcome: (
        f"cancelled backfill {outcome['backfill']}: {count(outcome['windows'], 'window')} not started"
    ),
    "clear": _cleared,
    "replay": lambda outcome: f"queued {count(outcome['events'], 'event')} to be published again",
}
