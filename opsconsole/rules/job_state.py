"""The state of a job in one word: its facts and findings, summed up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from opsconsole.rules.findings import Finding, FindingKind
from opsconsole.rules.health import JobFacts


class JobState(StrEnum):
    """How a job is doing. When several apply, it is the first of these, and `up` when none does."""

    PAUSED = "paused"
    DOWN = "down"  # nothing of its newest window succeeded, or several windows in a row failed
    FAILING = "failing"  # some items fail
    STALE = "stale"  # no good run for too long
    LATE = "late"  # a run has not started
    OVERRUN = "overrun"  # a run takes longer than its target
    LOW_WORK = "low_work"  # far fewer items than usual
    NEW = "new"  # it has not run yet
    UP = "up"


_STATES = {
    FindingKind.FAILING_REPEATEDLY: JobState.DOWN,
    FindingKind.FAILED_RUN: JobState.FAILING,
    FindingKind.FAILING_ITEMS: JobState.FAILING,
    FindingKind.LOW_SUCCESS_RATE: JobState.FAILING,
    FindingKind.NO_GOOD_RUN: JobState.STALE,
    FindingKind.LATE: JobState.LATE,
    FindingKind.OVERDUE: JobState.LATE,
    FindingKind.LONG_RUN: JobState.OVERRUN,
    FindingKind.SLOW_RUN: JobState.OVERRUN,
    FindingKind.LOW_WORK: JobState.LOW_WORK,
}
_ORDER = tuple(JobState)


def job_states(jobs: Iterable[JobFacts], findings: Iterable[Finding]) -> Mapping[str, JobState]:
    """The state of each job."""
    of_job: dict[str, list[Finding]] = {}
    for finding in findings:
        of_job.setdefault(finding.subject, []).append(finding)
    return {facts.job.name: job_state(facts, of_job.get(facts.job.name, ())) for facts in jobs}


def job_state(facts: JobFacts, findings: Iterable[Finding]) -> JobState:
    """The state of a job; `findings` may be about other jobs, too."""
    if facts.paused:
        return JobState.PAUSED
    mine = [finding for finding in findings if finding.subject == facts.job.name]
    found = [_state(finding) for finding in mine if finding.kind in _STATES]
    if found:
        return min(found, key=_ORDER.index)
    return JobState.UP if facts.newest or facts.last_good is not None else JobState.NEW


def _state(finding: Finding) -> JobState:
    if finding.kind is FindingKind.FAILED_RUN and not finding.numbers.get("ok"):
        return JobState.DOWN
    return _STATES[finding.kind]
