"""Decides which of the runs that wait may begin, and says of every other what it waits for: a pure function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, RunState, Trigger
from opsconsole.calendar.windows import Unit

SLOTS = 32
"""So many runs go on at once; beyond them each pack that has none going on may still begin one."""
NO_SLOT = "a free place: as many runs go on as may"


def waits(open_runs: Sequence[Run], find: Callable[[str], Job | None], now: datetime) -> list[tuple[Run, str | None]]:
    """Every run that waits, in the order in which they begin, with what it waits for; None when it may begin now.

    `open_runs` are all that have not ended, in that order; those that are `running` hold their place. One that may
    begin counts as running for those after it.
    """
    live = [run for run in open_runs if run.state is RunState.RUNNING]
    held_back: set[str] = set()
    found: list[tuple[Run, str | None]] = []
    for run in open_runs:
        if run.state is RunState.RUNNING:
            continue
        job = find(run.job)
        why = None
        if run.stop is None and job is not None:
            why = _why(run, job, open_runs, live, held_back, find, now)
        if why is None:
            live.append(run)
        elif run.trigger is Trigger.SCHEDULE:
            held_back.add(run.job)
        found.append((run, why))
    return found


def waited_for(run: Run, job: Job, open_runs: Sequence[Run]) -> list[Run]:
    """The open runs of the jobs that `run` comes after, for the same end of a window."""
    return [other for other in open_runs if other.job in job.after and other.window.end == run.window.end]


def _why(
    run: Run,
    job: Job,
    open_runs: Sequence[Run],
    live: Sequence[Run],
    held_back: set[str],
    find: Callable[[str], Job | None],
    now: datetime,
) -> str | None:
    mine = [other for other in live if other.job == run.job]
    same = [other for other in mine if job.covers.unit is Unit.MOMENT or other.window.label == run.window.label]
    if same:
        return f"run {same[0].id} of this job"
    if len(mine) >= job.parallel:
        return f"run {mine[0].id} of this job, for {mine[0].window.label}"
    if run.trigger is Trigger.SCHEDULE and run.job in held_back:
        return "this job's earlier run, which waits"
    beside = [other for other in live if other.job != run.job and _excludes(job, find(other.job))]
    if beside:
        return f"{beside[0].job}, which excludes it"
    before = waited_for(run, job, open_runs)
    if before and now - run.created_at < job.after_wait:
        return before[0].job
    if len(live) >= SLOTS and Counter(other.job.partition(".")[0] for other in live)[job.pack]:
        return NO_SLOT
    return None


def _excludes(job: Job, other: Job | None) -> bool:
    return other is not None and job.exclusive is not None and job.exclusive == other.exclusive
