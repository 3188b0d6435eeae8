"""Health checks: findings about jobs and services, worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import Reason
from opsconsole.authoring.run import NEEDS_A_LOOK, Run, RunState
from opsconsole.calendar.windows import minutes
from opsconsole.core.errors import NAMES
from opsconsole.core.problems import Problem, Work
from opsconsole.rules.admission import WaitReason
from opsconsole.rules.backfill import WindowStatus
from opsconsole.rules.findings import CLOCK, Finding, FindingKind, Severity, worst_first

START_WITHIN = minutes(1)
"""A scheduled time whose run has not started by then is overdue."""


@dataclass(frozen=True, slots=True)
class Unrun:
    """`count` scheduled times from `first` to `last` that did not run, and why."""

    first: datetime
    last: datetime
    count: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class RepeatedFailures:
    """How many items failed in at least two of a job's last windows (`total`), and the first of them."""

    total: int
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What the health checks need to know of a job.

    `due` is its last scheduled time, None for a manual job; `accounted_until` is up to when its scheduled times are
    recorded. `newest` are its newest ended runs, newest first, and `open` its active or queued run, which waits for
    `waits`; neither includes backfills. `resumed_at` is when its last pause ended. `ran_ahead` are scheduled times
    later than now that have run. `unrun` are the scheduled times of the last day that did not run, oldest first, and
    `incomplete` the windows of the last 31 days that are not up to date, oldest first. `repeated` are the items that
    fail repeatedly.
    """

    job: Job
    due: datetime | None
    accounted_until: datetime | None
    registered_at: datetime | None
    newest: tuple[Run, ...]
    open: Run | None
    last_good: datetime | None
    paused: bool = False
    resumed_at: datetime | None = None
    ran_ahead: tuple[datetime, ...] = ()
    waits: WaitReason | None = None
    unrun: tuple[Unrun, ...] = ()
    incomplete: tuple[WindowStatus, ...] = ()
    repeated: RepeatedFailures | None = None


ESSENTIAL = (Work.ENGINE, Work.LEASE, Work.SCHEDULE, Work.COMMANDS, Work.ADMISSION, Work.BACKFILLS)
"""Without these no run starts."""


def degraded(problems: Iterable[Problem], unreachable: Iterable[str]) -> tuple[Finding, ...]:
    """A finding for each kind of work that is not done, but for what an unreachable service explains."""
    explained = set(unreachable)
    found: dict[str, Finding] = {}
    for problem in problems:
        if problem.dependency is None or NAMES.get(problem.dependency, problem.dependency) not in explained:
            severity = Severity.CRITICAL if problem.work in ESSENTIAL else Severity.WARNING
            found[problem.work] = Finding(
                severity,
                FindingKind.DEGRADED,
                problem.work,
                problem.since,
                reason=problem.reason,
                fault=problem.fault,
            )
    return tuple(found.values())


def findings(
    jobs: Iterable[JobFacts], unreachable: Mapping[str, tuple[datetime, str]], now: datetime
) -> tuple[Finding, ...]:
    """The findings about jobs and services. `unreachable` maps services that do not respond to (since, reason)."""
    found = [
        Finding(Severity.CRITICAL, FindingKind.UNREACHABLE, name, since, reason=reason)
        for name, (since, reason) in unreachable.items()
    ]
    return worst_first([*found, *jobs_findings(jobs, now)])


def jobs_findings(jobs: Iterable[JobFacts], now: datetime) -> tuple[Finding, ...]:
    """The findings about jobs, worst first."""
    facts_of_all = list(jobs)
    found = list(_clock(facts_of_all, now))
    for facts in facts_of_all:
        found += _overdue(facts, now)
        found += _long_running(facts, now)
        found += _failed(facts)
    return worst_first(found)


def _overdue(facts: JobFacts, now: datetime) -> Iterator[Finding]:
    job, due, run = facts.job, facts.due, facts.open
    if run is not None and run.started_at is None and now - run.created_at > START_WITHIN:
        yield Finding(Severity.CRITICAL, FindingKind.LATE, job.name, run.created_at, run)
    elif due is not None and facts.accounted_until is not None and facts.accounted_until < due < now - START_WITHIN:
        yield Finding(Severity.CRITICAL, FindingKind.OVERDUE, job.name, due)
    max_age = job.limits.max_age
    good = max(filter(None, (facts.last_good or facts.registered_at, facts.resumed_at)), default=None)
    if max_age is not None and good is not None and now - good > max_age and not facts.paused:
        yield Finding(Severity.CRITICAL, FindingKind.NO_GOOD_RUN, job.name, good + max_age, good_until=good)


def _clock(jobs: Sequence[JobFacts], now: datetime) -> Iterator[Finding]:
    """Jobs that a leader planned whose clock was ahead, or was right while the clock here is behind. Critical until a
    leader plans them by this clock.
    """
    planned = [facts for facts in jobs if facts.accounted_until and facts.accounted_until > now + START_WITHIN]
    ran = [facts for facts in jobs if facts.ran_ahead]
    untils = [facts.accounted_until for facts in planned] or [facts.ran_ahead[-1] for facts in ran]
    if not untils:
        return
    since = min((facts.due for facts in planned or ran if facts.due is not None), default=now)
    severity = Severity.CRITICAL if planned else Severity.WARNING
    names = tuple(facts.job.name for facts in planned or ran)
    yield Finding(severity, FindingKind.CLOCK_AHEAD, CLOCK, since, recorded_until=max(filter(None, untils)), jobs=names)


def _long_running(facts: JobFacts, now: datetime) -> Iterator[Finding]:
    run, longest = facts.open, facts.job.limits.longest
    if run is not None and run.started_at is not None and longest is not None and now - run.started_at > longest:
        yield Finding(Severity.WARNING, FindingKind.LONG_RUN, facts.job.name, run.started_at + longest, run)


def _failed(facts: JobFacts) -> Iterator[Finding]:
    run = next(iter(facts.newest), None)
    if run is None or run.state not in NEEDS_A_LOOK or run.ended_at is None:
        return
    tried = run.counts.ok + run.counts.failed
    rate = run.counts.ok / tried if tried else 0.0
    critical = rate < facts.job.limits.critical_below if run.state is RunState.PARTIAL else True
    # The operator who cancelled a run knows about it; the warning is for the others.
    severity = Severity.CRITICAL if critical and run.state is not RunState.CANCELLED else Severity.WARNING
    yield Finding(severity, FindingKind.FAILED_RUN, facts.job.name, run.ended_at, run)
