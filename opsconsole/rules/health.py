"""The rules of health: pure functions from what the store knows to findings, worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from opsconsole.authoring.job import Job
from opsconsole.authoring.run import NEEDS_A_LOOK, Run, RunState
from opsconsole.calendar.windows import minutes
from opsconsole.core.humanize import words
from opsconsole.core.text import safe

START_WITHIN = minutes(1)
"""An instant whose run has not started by then is overdue."""


class Severity(IntEnum):
    """How bad a finding is."""

    WARNING = 1
    CRITICAL = 2


class FindingKind(StrEnum):
    """What is wrong."""

    UNREACHABLE = "unreachable"
    LATE = "late"
    OVERDUE = "overdue"
    NO_GOOD_RUN = "no_good_run"
    LONG_RUN = "long_run"
    FAILED_RUN = "failed_run"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong. `since` is when it began; `run` the run behind it; `mend` what an operator can do."""

    severity: Severity
    kind: FindingKind
    subject: str
    sentence: str
    since: datetime
    run: int | None = None
    mend: str = ""


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What is known of a job: its last due instant, up to when its instants are accounted for, since when it is
    registered, its newest runs (newest first) and the run that goes on or waits, backfills left out; whether its
    schedule is paused, and when a pause of it ended last.
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


def findings(jobs: Iterable[JobFacts], away: Mapping[str, tuple[datetime, str]], now: datetime) -> tuple[Finding, ...]:
    """Everything that is wrong. `away` holds services that do not answer: {name: (since, why)}."""
    found = [
        Finding(Severity.CRITICAL, FindingKind.UNREACHABLE, name, f"is unreachable: {why}", since)
        for name, (since, why) in away.items()
    ]
    for facts in jobs:
        found += _overdue(facts, now)
        found += _overrun(facts, now)
        found += _failed(facts)
    return tuple(sorted(found, key=lambda f: (-f.severity, f.since)))


def _overdue(facts: JobFacts, now: datetime) -> Iterator[Finding]:
    job, due = facts.job, facts.due
    if facts.open is not None and facts.open.started_at is None and now - facts.open.created_at > START_WITHIN:
        late = facts.open
        sentence = "is late: its run is queued and has not started"
        yield Finding(Severity.CRITICAL, FindingKind.LATE, job.name, sentence, late.created_at, late.id)
    elif due is not None and facts.accounted_until is not None and facts.accounted_until < due < now - START_WITHIN:
        yield Finding(
            Severity.CRITICAL, FindingKind.OVERDUE, job.name, "is overdue: nobody has started it", due, mend="t trigger"
        )
    age = job.limits.max_age
    good = max(filter(None, (facts.last_good or facts.registered_at, facts.resumed_at)), default=None)
    if age is not None and good is not None and now - good > age and not facts.paused:
        yield Finding(
            Severity.CRITICAL,
            FindingKind.NO_GOOD_RUN,
            job.name,
            f"has had no good run for {_span(now - good)}",
            good + age,
        )


def _overrun(facts: JobFacts, now: datetime) -> Iterator[Finding]:
    run, longest = facts.open, facts.job.limits.longest
    if run is not None and run.started_at is not None and longest is not None and now - run.started_at > longest:
        took = _span(now - run.started_at)
        yield Finding(
            Severity.WARNING,
            FindingKind.LONG_RUN,
            facts.job.name,
            f"has been running for {took}",
            run.started_at + longest,
            run.id,
        )


def _failed(facts: JobFacts) -> Iterator[Finding]:
    run = next(iter(facts.newest), None)
    if run is None or run.state not in NEEDS_A_LOOK or run.ended_at is None:
        return
    tried = run.counts.ok + run.counts.failed
    rate = run.counts.ok / tried if tried else 0.0
    # Whoever cancelled a run knows of it; the others shall see it.
    critical = rate < facts.job.limits.critical_below if run.state is RunState.PARTIAL else True
    severity = Severity.CRITICAL if critical and run.state is not RunState.CANCELLED else Severity.WARNING
    why = run.error or words(next(iter(run.kinds), ""))
    if run.state is RunState.PARTIAL:
        what = f"{run.counts.failed:,} of {run.counts.planned:,} failed"
    else:
        what = run.state.value.replace("_", " ")
    told = f"{what} ({run.window.label})" + (f": {safe(why, 120)}" if why else "")
    yield Finding(severity, FindingKind.FAILED_RUN, facts.job.name, told, run.ended_at, run.id, mend="r retry")


def _span(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 172_800 else f"{seconds // 86_400} days"
