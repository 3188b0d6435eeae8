"""The newest runs of a job as the health rules need them: by window, with the last good one and repeated failures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, RunState, Trigger
from opsconsole.core.database import Connection
from opsconsole.rules.health import JUDGED_WINDOWS, RepeatedFailures
from opsconsole.rules.window_health import WindowHealth, judged
from opsconsole.store import failing, statistics
from opsconsole.store.job_runs import JUDGED

LEAST_FAILURES, NAMED_ITEMS = 2, 10
MOST_FAILED = 10_000
"""If more items fail in a window, the cause is not the items."""


@dataclass(frozen=True, slots=True)
class JudgedRuns:
    """The facts about a job's runs, valid while none of them starts or ends, and until `until`: then a run that was
    recorded by a clock ahead of this one begins to count. `source` are the runs they are based on.
    """

    source: tuple[Run, ...]
    newest: tuple[Run, ...]
    windows: tuple[WindowHealth, ...]
    last_good: datetime | None
    repeated: RepeatedFailures | None
    until: datetime | None


def judge_runs(db: Connection, job: Job, ended: tuple[Run, ...], now: datetime) -> JudgedRuns:
    """Judges the newest ended runs of a job, newest first."""
    newest = tuple(run for run in ended if run.trigger is not Trigger.BACKFILL)[:JUDGED]
    found = judged(newest, now)
    later = [at for run in newest for at in (run.window.start, run.ended_at) if at is not None and at > now]
    until = min(later, default=None)
    return JudgedRuns(ended, newest, found, _last_good(db, job, newest, now), _repeated(db, found), until)


def _last_good(db: Connection, job: Job, newest: Collection[Run], now: datetime) -> datetime | None:
    """When its last good run ended: the store is read only if none of the newest ones is good."""
    if job.limits.max_age is None:
        return None
    triggers = (Trigger.SCHEDULE, Trigger.RETRY, *([Trigger.HAND] if job.cron is None else []))
    good = [
        run.ended_at
        for run in newest
        if run.trigger in triggers and run.ended_at is not None and run.ended_at <= now and _is_good(job, run)
    ]
    if good or len(newest) < JUDGED:
        return max(good, default=None)
    manual = [job.name] if job.cron is None else []
    return statistics.last_good(db, {job.name: job.limits.critical_below}, manual=manual, now=now).get(job.name)


def _is_good(job: Job, run: Run) -> bool:
    tried = run.counts.ok + run.counts.failed
    partly = run.state is RunState.PARTIAL and run.counts.ok >= tried * job.limits.critical_below
    return run.state is RunState.SUCCEEDED or partly


def _repeated(db: Connection, windows: Sequence[WindowHealth]) -> RepeatedFailures | None:
    last = windows[:JUDGED_WINDOWS]
    numbers = [each.to_retry.id for each in last if 0 < each.failed <= MOST_FAILED]
    if len(numbers) < LEAST_FAILURES:
        return None
    total, items = failing.repeated_items(db, numbers, least=LEAST_FAILURES, limit=NAMED_ITEMS)
    return RepeatedFailures(total, items) if total else None
