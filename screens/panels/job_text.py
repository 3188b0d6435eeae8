"""A job's settings in sentences: when it runs, what a run covers and waits for, and what health checks expect of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from opsconsole.authoring.job import MOST_QUEUED, CatchUp, Job, Overlap
from opsconsole.calendar.windows import Covers, Unit
from opsconsole.core import humanize
from opsconsole.service import wording
from opsconsole.service.snapshot import Progress

if TYPE_CHECKING:
    from opsconsole.service.job_page import JobPage

_OVERLAP = {
    Overlap.SKIP: "while a run is active, scheduled times are skipped",
    Overlap.QUEUE: "while a run is active, one scheduled time waits",
    Overlap.QUEUE_ALL: f"while a run is active, every scheduled time waits, at most {MOST_QUEUED}",
    Overlap.REPLACE: "a scheduled time replaces the active run",
}
_NAMED = 3
"""The jobs that a sentence names."""


def covers(value: Covers) -> str:
    """Which data a run covers."""
    last = value.back > 0
    match value.unit:
        case Unit.MOMENT:
            return "the moment it runs"
        case Unit.DAY:
            return "the day before" if last else "the day of its scheduled time"
        case Unit.FOUR_WEEKS:
            return "the four weeks up to the last Saturday"
        case Unit.MONTH:
            return "the month before" if last else "the month of its scheduled time"


def catch_up(policy: CatchUp) -> str:
    """What runs of the scheduled times that were missed."""
    within = f", none older than {humanize.duration(policy.within)}" if policy.within else ""
    if policy.newest == 0:
        return "missed times do not run"
    if policy.newest == 1:
        return f"only the newest missed time runs{within}"
    return f"the newest {policy.newest:,} missed times run, oldest first{within}"


def overlap(job: Job) -> str:
    """What happens at a scheduled time while a run is active."""
    return _OVERLAP[job.overlap]


def jitter(job: Job) -> str:
    """How much later than its scheduled times its runs start; empty without jitter."""
    if not job.shift:
        return ""
    up_to = humanize.duration(job.jitter)
    return f"runs start {humanize.duration(job.shift)} after it, by a jitter of up to {up_to}"


def sizes(job: Job) -> list[str]:
    """How a run is divided: `batches of 100`, `2 workers`."""
    parts = [f"batches of {job.batch:,}", humanize.count(job.workers, "worker")]
    if job.parallel > 1:
        parts.append(f"{job.parallel:,} windows at once")
    return parts


def limits(job: Job) -> list[str]:
    """What health checks expect, and when a run is stopped; the limits that report a job first come first."""
    return list(_limits(job))


def waits(page: JobPage) -> list[str]:
    """What its runs wait for, in general and now."""
    return [*(_queued(progress) for progress in page.open), *_rules(page)]


def _limits(job: Job) -> Iterator[str]:
    limits = job.limits
    if job.cron is not None:
        yield f"overdue when not started after {humanize.duration(limits.start_within)}"
    if limits.max_age is not None:
        yield f"stale without a good run for {humanize.duration(limits.max_age)}"
    if limits.longest is not None:
        yield f"too long above {humanize.duration(limits.longest)}"
    if limits.slow_run is not None:
        yield f"slow above {limits.slow_run:g} times its usual duration"
    if limits.low_work is not None:
        yield f"too few items below {limits.low_work:.0%} of the usual number"
    yield f"a failed item is a warning, critical below {limits.critical_below:.0%} success"
    pauses = f", paused after {limits.pause_after}" if limits.pause_after is not None else ""
    yield f"failing after {humanize.count(limits.failing_windows, 'window')} in a row{pauses}"
    yield f"stopped after {humanize.duration(job.timeout)}, a batch after {humanize.duration(job.batch_timeout)}"
    yield f"a batch is retried {humanize.count(job.retry.times, 'time')}"


def _rules(page: JobPage) -> Iterator[str]:
    job = page.job
    if job.after:
        yield f"runs after {_names(job.after)}, waits at most {humanize.duration(job.after_wait)}"
    if page.excludes:
        yield f"never runs together with {_names(page.excludes)}"
    if page.followers:
        yield f"{_names(page.followers)} {'runs' if len(page.followers) == 1 else 'run'} after it"


def _queued(progress: Progress) -> str:
    run = progress.run
    if progress.waits is not None:
        return f"run {run.id} waits for {wording.wait(progress.waits)}"
    return f"run {run.id} is {run.state}"


def _names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
