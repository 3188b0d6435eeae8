"""The rules about jobs: findings, worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from opsconsole.authoring.job import Job
from opsconsole.authoring.occurrence import Reason
from opsconsole.authoring.run import Run, RunState
from opsconsole.calendar.windows import minutes
from opsconsole.rules.admission import WaitReason
from opsconsole.rules.backfill import WindowStatus
from opsconsole.rules.findings import CLOCK, ENDED, Finding, FindingKind, Severity, worst_first
from opsconsole.rules.job_history import RATE_WITHIN, low_success_rate, low_work, slow_run
from opsconsole.rules.window_health import WindowHealth

CLOCK_TOLERANCE = minutes(1)
"""The clocks of two hosts may differ by this much."""
JUDGED_WINDOWS = 5
"""The newest windows whose failed items are compared."""

JOB_KINDS = frozenset(
    {
        FindingKind.LATE,
        FindingKind.OVERDUE,
        FindingKind.NO_GOOD_RUN,
        FindingKind.LONG_RUN,
        FindingKind.FAILED_RUN,
        FindingKind.FAILING_REPEATEDLY,
        FindingKind.FAILING_ITEMS,
        FindingKind.LOW_SUCCESS_RATE,
        FindingKind.LOW_WORK,
        FindingKind.SLOW_RUN,
        FindingKind.MISSED,
        FindingKind.INCOMPLETE_WINDOWS,
        FindingKind.CLOCK_AHEAD,
    }
)
"""The rules about jobs."""


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

    `due` is its last scheduled time whose run should have started, None for a manual job; `accounted_until` is up to
    when its scheduled times are recorded. `newest` are its newest ended runs, newest first, `windows` what these came
    to, and `open` its active or queued run, which waits for `waits`; none includes backfills. `resumed_at` is when its
    last pause ended. `ran_ahead` are scheduled times later than now that have run. `unrun` are the scheduled times of
    the last day that did not run, oldest first, and `incomplete` the windows of the last 31 days that are not up to
    date, oldest first. `repeated` are the items that fail repeatedly.
    """

    job: Job
    due: datetime | None
    accounted_until: datetime | None
    registered_at: datetime | None
    newest: tuple[Run, ...]
    open: Run | None
    last_good: datetime | None
    windows: tuple[WindowHealth, ...] = ()
    paused: bool = False
    resumed_at: datetime | None = None
    ran_ahead: tuple[datetime, ...] = ()
    waits: WaitReason | None = None
    unrun: tuple[Unrun, ...] = ()
    incomplete: tuple[WindowStatus, ...] = ()
    repeated: RepeatedFailures | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The findings about a job by its `facts`. They stay the same before `until`; None stands for good."""

    facts: JobFacts
    findings: tuple[Finding, ...]
    until: datetime | None


class JobRules:
    """The rules about jobs. A job is judged again when its facts are others than before, or time changes the result."""

    def __init__(self) -> None:
        self._verdicts: dict[str, Verdict] = {}

    def findings(self, jobs: Sequence[JobFacts], now: datetime) -> tuple[Finding, ...]:
        """The findings about jobs, worst first."""
        before = self._verdicts
        self._verdicts = {facts.job.name: _judge(facts, before.get(facts.job.name), now) for facts in jobs}
        found = list(_clock(jobs, now))
        for verdict in self._verdicts.values():
            found += verdict.findings
        return worst_first(found)


def jobs_findings(jobs: Iterable[JobFacts], now: datetime) -> tuple[Finding, ...]:
    """The findings about jobs, worst first."""
    return JobRules().findings(list(jobs), now)


def failed_windows(facts: JobFacts) -> int:
    """How many windows in a row failed if the job is to be paused for that; otherwise 0. Windows from before the end of
    a pause do not count.
    """
    limit = facts.job.limits.pause_after
    if limit is None or facts.paused:
        return 0
    streak = _streak(facts.job, facts.windows)
    failed = sum(facts.resumed_at is None or each.ended_at > facts.resumed_at for each in streak)
    return failed if failed >= limit else 0


def _judge(facts: JobFacts, before: Verdict | None, now: datetime) -> Verdict:
    if before is not None and before.facts is facts and (before.until is None or now < before.until):
        return before
    return Verdict(facts, tuple(_of_job(facts, now)), changes_at(facts, now))


def changes_at(facts: JobFacts, now: datetime) -> datetime | None:
    """When the findings about a job may become others although its facts stay the same; None for never."""
    if facts.open is not None:
        return now  # how long it has waited or taken changes all the time
    limits, moments = facts.job.limits, []
    if facts.due is not None:
        moments.append(facts.due + limits.start_within)
    if (good := _good_until(facts)) is not None and limits.max_age is not None:
        moments.append(good + limits.max_age)
    later = [at + timedelta.resolution for at in moments if at >= now]
    later += [at + RATE_WITHIN for each in facts.windows if (at := each.ended_at) > now - RATE_WITHIN]
    return min(later, default=None)


def _of_job(facts: JobFacts, now: datetime) -> Iterator[Finding]:
    job, windows = facts.job, facts.windows
    yield from _late(facts, now)
    yield from _no_good_run(facts, now)
    yield from _long_run(facts, now)
    yield from _failed_run(job, windows)
    yield from _failing_repeatedly(job, windows)
    yield from _failing_items(facts, windows)
    yield from low_success_rate(job, windows, now)
    yield from low_work(job, windows)
    yield from slow_run(job, facts.newest, facts.open, now)
    yield from _missed(facts)
    yield from _incomplete_windows(facts)


def _clock(jobs: Sequence[JobFacts], now: datetime) -> Iterator[Finding]:
    """Jobs that a leader planned whose clock was ahead, or was right while the clock here is behind. Critical until a
    leader plans them by this clock.
    """
    planned = [facts for facts in jobs if facts.accounted_until and facts.accounted_until > now + CLOCK_TOLERANCE]
    ran = [facts for facts in jobs if facts.ran_ahead]
    untils = [facts.accounted_until for facts in planned] or [facts.ran_ahead[-1] for facts in ran]
    if not untils:
        return
    since = min((facts.due for facts in planned or ran if facts.due is not None), default=now)
    severity = Severity.CRITICAL if planned else Severity.WARNING
    names = tuple(facts.job.name for facts in planned or ran)
    yield Finding(severity, FindingKind.CLOCK_AHEAD, CLOCK, since, recorded_until=max(filter(None, untils)), jobs=names)


def _late(facts: JobFacts, now: datetime) -> Iterator[Finding]:
    """A run that waits for the job it comes after is not late: that job is."""
    job, due, run, grace = facts.job, facts.due, facts.open, facts.job.limits.start_within
    if run is not None and run.started_at is None and now - run.created_at > grace:
        if facts.waits is not WaitReason.AFTER:
            yield Finding(Severity.CRITICAL, FindingKind.LATE, job.name, run.created_at, run)
    elif due is None or facts.accounted_until is None or facts.paused:
        return
    elif facts.accounted_until < due < now - job.shift - grace:
        yield Finding(Severity.CRITICAL, FindingKind.OVERDUE, job.name, due)


def _no_good_run(facts: JobFacts, now: datetime) -> Iterator[Finding]:
    max_age, good = facts.job.limits.max_age, _good_until(facts)
    if max_age is not None and good is not None and now - good > max_age and not facts.paused:
        yield Finding(Severity.CRITICAL, FindingKind.NO_GOOD_RUN, facts.job.name, good + max_age, good_until=good)


def _good_until(facts: JobFacts) -> datetime | None:
    """When its last good run ended; without one, since when it could have had one."""
    return max(filter(None, (facts.last_good or facts.registered_at, facts.resumed_at)), default=None)


def _long_run(facts: JobFacts, now: datetime) -> Iterator[Finding]:
    """The active run, or else the newest one that was not stopped, if it takes longer than its target."""
    run = facts.open if facts.open is not None and facts.open.started_at is not None else None
    if run is None:
        run = next((run for run in facts.newest if run.state in (RunState.SUCCEEDED, RunState.PARTIAL)), None)
    longest = facts.job.limits.longest
    if run is None or run.started_at is None or longest is None:
        return
    if (run.ended_at or now) - run.started_at > longest:
        numbers = {"limit": longest.total_seconds(), ENDED: int(run.ended_at is not None)}
        since = run.started_at + longest
        yield Finding(Severity.WARNING, FindingKind.LONG_RUN, facts.job.name, since, run, numbers=numbers)


def _failed_run(job: Job, windows: Sequence[WindowHealth]) -> Iterator[Finding]:
    newest = next(iter(windows), None)
    if newest is None or newest.is_ok:
        return
    limits, rate = job.limits, newest.rate or 0.0
    critical = newest.broken is not None or rate < limits.critical_below
    numbers: dict[str, int | float] = {
        "planned": newest.planned,
        "ok": newest.ok,
        "failed": newest.failed,
        "retries": newest.retries,
        "same_cause": int(newest.same_cause),
        "broken": int(newest.broken is not None),
    }
    if rate < max(limits.critical_below, limits.warn_below) and newest.broken is None:
        numbers["limit"] = limits.critical_below if critical else limits.warn_below
    yield Finding(
        Severity.CRITICAL if critical else Severity.WARNING,
        FindingKind.FAILED_RUN,
        job.name,
        newest.since or newest.ended_at,
        newest.to_retry,
        reason=newest.cause,
        count=max(1, newest.failed),
        numbers=numbers,
    )


def _failing_repeatedly(job: Job, windows: Sequence[WindowHealth]) -> Iterator[Finding]:
    streak = _streak(job, windows)
    if len(streak) >= job.limits.failing_windows:
        newest, since = streak[0], streak[-1].since or streak[-1].ended_at
        yield Finding(
            Severity.CRITICAL,
            FindingKind.FAILING_REPEATEDLY,
            job.name,
            since,
            newest.to_retry,
            reason=newest.cause,
            count=len(streak),
        )


def _streak(job: Job, windows: Sequence[WindowHealth]) -> list[WindowHealth]:
    """The newest windows up to the last good one."""
    return list(takewhile(lambda each: not each.is_good(job.limits), windows))


def _failing_items(facts: JobFacts, windows: Sequence[WindowHealth]) -> Iterator[Finding]:
    repeated = facts.repeated
    if repeated is None or not windows:
        return
    since = min((each.since for each in windows[:JUDGED_WINDOWS] if each.since is not None), default=None)
    yield Finding(
        Severity.WARNING,
        FindingKind.FAILING_ITEMS,
        facts.job.name,
        since or windows[0].ended_at,
        count=repeated.total,
        items=repeated.items,
    )


def _missed(facts: JobFacts) -> Iterator[Finding]:
    if facts.unrun:
        yield Finding(
            Severity.WARNING,
            FindingKind.MISSED,
            facts.job.name,
            facts.unrun[0].first,
            reason=facts.unrun[-1].reason,
            count=sum(each.count for each in facts.unrun),
        )


def _incomplete_windows(facts: JobFacts) -> Iterator[Finding]:
    if facts.incomplete:
        yield Finding(
            Severity.WARNING,
            FindingKind.INCOMPLETE_WINDOWS,
            facts.job.name,
            facts.incomplete[0].window.end,
            count=len(facts.incomplete),
            items=tuple(each.window.label for each in facts.incomplete),
            numbers=Counter(each.state.value for each in facts.incomplete),
            jobs=facts.job.after,
        )
