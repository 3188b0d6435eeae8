"""What is usual for a job, and how its newest run compares: its duration, its number of items, its success rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, RunState, Selection, Trigger
from opsconsole.rules.findings import ENDED, Finding, FindingKind, Severity
from opsconsole.rules.spread import deviation
from opsconsole.rules.window_health import WindowHealth

LEAST_RUNS = 10
"""With fewer runs, nothing is usual."""
LEAST_ITEMS = 20
"""Fewer items than these vary too much."""
LEAST_SLOWER = 10.0
"""Seconds. A smaller difference is not worth a look."""
DEVIATIONS = 4
"""How many standard deviations a usual value may be off."""
SAME_WEEKDAY = 4
"""With at least this many, the windows of the same weekday are also compared on their own."""
SIMILAR = 2
"""Durations are compared with those of runs over at most this many times the items, or its inverse."""
RATE_WITHIN = timedelta(days=1)
EXTREMES = 10
"""One of this many durations may lie below the usual range, and one above it."""

_DONE = (RunState.SUCCEEDED, RunState.PARTIAL)


@dataclass(frozen=True, slots=True)
class Usual:
    """The usual duration of a job, in seconds: the range of four out of five of its `runs`, and their median."""

    least: float
    middle: float
    most: float
    runs: int


def usual_duration(newest: Sequence[Run]) -> Usual | None:
    """How long runs take that process the whole population of a job; None without one. A run without items does not
    count.
    """
    whole = [run for run in newest if run.selection is Selection.ALL and run.state in _DONE and run.counts.planned]
    seconds = sorted(run.seconds for run in whole if run.seconds is not None)
    if not seconds:
        return None
    extremes = len(seconds) // EXTREMES
    return Usual(seconds[extremes], median(seconds), seconds[-1 - extremes], len(seconds))


def slow_run(job: Job, newest: Sequence[Run], active: Run | None, now: datetime) -> Iterator[Finding]:
    """The active run, or else the newest one, if it is slower than those before it over a similar number of items."""
    factor = job.limits.slow_run
    done = [run for run in newest if _is_full(run) and run.seconds is not None]
    is_active = active is not None and active.started_at is not None and active.planning_done and _is_full(active)
    run = active if is_active else next(iter(done), None)
    if run is None or run.started_at is None or factor is None or not run.counts.planned:
        return
    seconds = run.seconds if run.seconds is not None else (now - run.started_at).total_seconds()
    usual = [
        before.seconds
        for before in done
        if before.id != run.id and before.seconds is not None and _is_similar(before, run)
    ]
    if len(usual) < LEAST_RUNS:
        return
    middle = median(usual)
    limit = middle + max(DEVIATIONS * deviation(usual), (factor - 1) * middle, LEAST_SLOWER)
    if seconds > limit:
        numbers = {"seconds": seconds, "usual": middle, "runs": len(usual), "most": max(usual)}
        numbers[ENDED] = int(run.ended_at is not None)
        since = run.started_at + timedelta(seconds=limit)
        yield Finding(Severity.WARNING, FindingKind.SLOW_RUN, job.name, since, run, numbers=numbers)


def low_work(job: Job, windows: Sequence[WindowHealth]) -> Iterator[Finding]:
    """The newest scheduled window, if it had far fewer items than those before it."""
    share = job.limits.low_work
    counted = [(each, each.scheduled_items) for each in windows if each.scheduled_items is not None]
    if share is None or len(counted) <= LEAST_RUNS:
        return
    (newest, items), *before = counted
    usual = [n for _, n in before]
    middle = median(usual)
    same_day = [n for each, n in before if each.window.start.weekday() == newest.window.start.weekday()]
    limit = min(share * middle, middle - DEVIATIONS * deviation(usual))
    if len(same_day) >= SAME_WEEKDAY:
        limit = min(limit, share * median(same_day))
    if middle >= LEAST_ITEMS and items < limit:
        numbers = {"items": items, "usual": middle, "runs": len(usual), "least": min(usual)}
        yield Finding(Severity.WARNING, FindingKind.LOW_WORK, job.name, newest.ended_at, newest.newest, numbers=numbers)


def low_success_rate(job: Job, windows: Sequence[WindowHealth], now: datetime) -> Iterator[Finding]:
    """The windows of the last day together, if there are several: the newest one on its own is a failed run."""
    recent = [each for each in windows if each.ended_at > now - RATE_WITHIN]
    ok, failed = sum(each.ok for each in recent), sum(each.failed for each in recent)
    if len(recent) < 2 or ok + failed < LEAST_ITEMS:
        return
    rate, limits = ok / (ok + failed), job.limits
    if rate >= max(limits.warn_below, limits.critical_below):
        return
    severity, limit = Severity.WARNING, limits.warn_below
    if rate < limits.critical_below:
        severity, limit = Severity.CRITICAL, limits.critical_below
    since = min((each.since for each in recent if each.since is not None), default=now)
    numbers = {"ok": ok, "failed": failed, "windows": len(recent), "limit": limit}
    yield Finding(severity, FindingKind.LOW_SUCCESS_RATE, job.name, since, numbers=numbers, count=failed)


def _is_full(run: Run) -> bool:
    is_whole = run.selection is Selection.ALL and run.trigger in (Trigger.SCHEDULE, Trigger.HAND)
    return is_whole and run.state in (RunState.RUNNING, RunState.SUCCEEDED, RunState.PARTIAL)


def _is_similar(one: Run, other: Run) -> bool:
    return other.counts.planned <= SIMILAR * one.counts.planned and one.counts.planned <= SIMILAR * other.counts.planned
