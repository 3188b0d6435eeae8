"""Decides which queued and interrupted runs may start, and what each of the others waits for: a pure function."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

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
    WORKERS = "workers"


@dataclass(frozen=True, slots=True)
class Wait:
    """What a run waits for: another run with its job and window, unless the reason is `capacity` or `earlier_run`. For
    `workers`, `detail` is why nothing can be executed.
    """

    reason: WaitReason
    run: int | None = None
    job: str | None = None
    window: str | None = None
    detail: str = ""


def admissions(
    open_runs: Sequence[Run], find: Callable[[str], Job | None], now: datetime
) -> Iterator[tuple[Run, Wait | None]]:
    """Every run that is not running, in the order in which they start, with what it waits for; None when it may start.

    `open_runs` are all runs that have not ended, in that order; running ones keep their slots. A run that may start
    counts as running for those after it.
    """
    admission = _Admission(open_runs, find, now)
    for run in open_runs:
        if run.state is not RunState.RUNNING:
            yield run, admission.decide(run)


def startable(open_runs: Sequence[Run], find: Callable[[str], Job | None], now: datetime) -> Iterator[Run]:
    """The runs that `admissions` lets start. Once every slot is taken, only those that are to be stopped follow."""
    admission = _Admission(open_runs, find, now)
    packs = {_pack(run) for run in open_runs}
    is_full = False
    for run in open_runs:
        if run.state is RunState.RUNNING:
            continue
        is_full = is_full or admission.is_full(packs)
        if is_full and run.stop is None:
            continue
        if admission.decide(run) is None:
            yield run


def predecessors(run: Run, job: Job, open_runs: Sequence[Run]) -> list[Run]:
    """The open runs of the jobs that `run` comes after, for windows with the same end."""
    if not job.after:
        return []
    return [other for other in open_runs if other.job in job.after and other.window.end == run.window.end]


class _Admission:
    """The running runs, indexed for decisions: with a thousand open runs, a decision must not read all of them."""

    def __init__(self, open_runs: Sequence[Run], find: Callable[[str], Job | None], now: datetime) -> None:
        self._open_runs, self._find, self._now = open_runs, find, now
        self._of_job: defaultdict[str, list[Run]] = defaultdict(list)
        self._of_group: defaultdict[str, list[Run]] = defaultdict(list)
        self._running = 0
        self._of_pack: set[str] = set()
        self._held_back: set[str] = set()
        for run in open_runs:
            if run.state is RunState.RUNNING:
                self._add(run, find(run.job))

    def decide(self, run: Run) -> Wait | None:
        """What a run waits for. None: it may start, and counts as running from now on."""
        job = self._find(run.job)
        wait = self._wait(run, job) if run.stop is None and job is not None else None
        if wait is None:
            self._add(run, job)
        elif run.trigger is Trigger.SCHEDULE:
            self._held_back.add(run.job)
        return wait

    def is_full(self, packs: Collection[str]) -> bool:
        """Whether no run of these packs gets a slot."""
        return self._running >= SLOTS and len(self._of_pack) >= len(packs)

    def _add(self, run: Run, job: Job | None) -> None:
        self._of_job[run.job].append(run)
        self._running += 1
        self._of_pack.add(_pack(run))
        if job is not None and job.exclusive is not None:
            self._of_group[job.exclusive].append(run)

    def _wait(self, run: Run, job: Job) -> Wait | None:
        of_job = self._of_job[run.job]
        same = [other for other in of_job if job.covers.unit is Unit.MOMENT or other.window.label == run.window.label]
        if same:
            return _for(WaitReason.SAME_WINDOW, same[0])
        if len(of_job) >= job.parallel:
            return _for(WaitReason.PARALLEL_LIMIT, of_job[0])
        if run.trigger is Trigger.SCHEDULE and run.job in self._held_back:
            return Wait(WaitReason.EARLIER_RUN)
        if job.exclusive is not None:
            excluding = [other for other in self._of_group[job.exclusive] if other.job != run.job]
            if excluding:
                return _for(WaitReason.EXCLUSIVE, excluding[0])
        before = predecessors(run, job, self._open_runs)
        if before and self._now - run.created_at < job.after_wait:
            return _for(WaitReason.AFTER, before[0])
        if self._running >= SLOTS and _pack(run) in self._of_pack:
            return Wait(WaitReason.CAPACITY)
        return None


def _pack(run: Run) -> str:
    return _pack_of(run.job)


@lru_cache(maxsize=20_000)
def _pack_of(job: str) -> str:
    return job.partition(".")[0]


def _for(reason: WaitReason, other: Run) -> Wait:
    return Wait(reason, other.id, other.job, other.window.label)
