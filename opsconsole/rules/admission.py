"""Decides which queued and interrupted runs may start, and what each of the others waits for: a pure function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, RunState, Trigger
from opsconsole.calendar.windows import Unit

SLOTS = 32
"""The most runs at once. Beyond them a pack without a running run may still start one."""


class WaitReason(StrEnum):
    """Why a run has to wait."""

    SAME_WINDOW = "same_window"
    PARALLEL_LIMIT = "parallel_limit"
    EARLIER_RUN = "earlier_run"
    EXCLUSIVE = "exclusive"
    AFTER = "after"
    CAPACITY = "capacity"


@dataclass(frozen=True, slots=True)
class Wait:
    """What a run waits for: another run with its job and window, unless the reason is `capacity` or `earlier_run`."""

    reason: WaitReason
    run: int | None = None
    job: str | None = None
    window: str | None = None


def admissions(
    open_runs: Sequence[Run], find: Callable[[str], Job | None], now: datetime
) -> list[tuple[Run, Wait | None]]:
    """Every run that is not running, in the order in which they start, with what it waits for; None when it may start.

    `open_runs` are all runs that have not ended, in that order; running ones keep their slots. A run that may start
    counts as running for those after it.
    """
    live = [run for run in open_runs if run.state is RunState.RUNNING]
    held_back: set[str] = set()
    decided: list[tuple[Run, Wait | None]] = []
    for run in open_runs:
        if run.state is RunState.RUNNING:
            continue
        job = find(run.job)
        wait = None
        if run.stop is None and job is not None:
            wait = _wait(run, job, open_runs, live, held_back, find, now)
        if wait is None:
            live.append(run)
        elif run.trigger is Trigger.SCHEDULE:
            held_back.add(run.job)
        decided.append((run, wait))
    return decided


def predecessors(run: Run, job: Job, open_runs: Sequence[Run]) -> list[Run]:
    """The open runs of the jobs that `run` comes after, for windows with the same end."""
    return [other for other in open_runs if other.job in job.after and other.window.end == run.window.end]


def _wait(
    run: Run,
    job: Job,
    open_runs: Sequence[Run],
    live: Sequence[Run],
    held_back: set[str],
    find: Callable[[str], Job | None],
    now: datetime,
) -> Wait | None:
    of_job = [other for other in live if other.job == run.job]
    same = [other for other in of_job if job.covers.unit is Unit.MOMENT or other.window.label == run.window.label]
    if same:
        return _for(WaitReason.SAME_WINDOW, same[0])
    if len(of_job) >= job.parallel:
        return _for(WaitReason.PARALLEL_LIMIT, of_job[0])
    if run.trigger is Trigger.SCHEDULE and run.job in held_back:
        return Wait(WaitReason.EARLIER_RUN)
    excluding = [other for other in live if other.job != run.job and _excludes(job, find(other.job))]
    if excluding:
        return _for(WaitReason.EXCLUSIVE, excluding[0])
    before = predecessors(run, job, open_runs)
    if before and now - run.created_at < job.after_wait:
        return _for(WaitReason.AFTER, before[0])
    if len(live) >= SLOTS and Counter(other.job.partition(".")[0] for other in live)[job.pack]:
        return Wait(WaitReason.CAPACITY)
    return None


def _for(reason: WaitReason, other: Run) -> Wait:
    return Wait(reason, other.id, other.job, other.window.label)


def _excludes(job: Job, other: Job | None) -> bool:
    return other is not None and job.exclusive is not None and job.exclusive == other.exclusive
