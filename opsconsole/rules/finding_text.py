"""Findings in words, for every interface: screens, commands, notifications."""

from __future__ import annotations

from datetime import datetime

from opsconsole.authoring.run import Run, RunState
from opsconsole.core.humanize import age, count, local_time, words
from opsconsole.core.problems import Fault
from opsconsole.core.text import safe
from opsconsole.rules.findings import Finding, FindingKind, Severity
from opsconsole.rules.world_text import WORLD


def subject(finding: Finding) -> str:
    """What a finding is about: a job, a service, or a part of this program."""
    return words(finding.subject) if finding.kind is FindingKind.DEGRADED else finding.subject


def sentence(finding: Finding, now: datetime) -> str:
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
        case _ if finding.kind in WORLD:
            return WORLD[finding.kind](finding)
        case _:
            return finding.reason


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
