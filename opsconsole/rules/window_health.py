"""Judges windows by all their runs together: a run over all items, and the retries of what it left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from opsconsole.authoring.job import Limits
from opsconsole.authoring.run import TERMINAL, Run, RunState, Selection, Trigger
from opsconsole.calendar.windows import Window

BROKEN = (RunState.FAILED, RunState.TIMED_OUT, RunState.ABANDONED)
"""The run failed as a whole."""


class WindowHealth(NamedTuple):
    """What the ended runs of a window came to. A moment is a window of its own: a run and the retries of it.

    The counts are items: `failed` are those that no run completed. `broken` is how its run failed as a whole, None if
    it did not. `retries` have ended since the last run over all items; with `same_cause` they failed as that run did,
    and `cause` is the kind of most failures, or the error of a run that broke. `newest` is its newest ended run,
    `to_retry` the one whose items are left, `since` when a run first left some, and `scheduled_items` how many items
    its scheduled run had, None if that broke or does not exist.
    """

    window: Window
    planned: int
    ok: int
    failed: int
    skipped: int
    broken: RunState | None
    retries: int
    same_cause: bool
    cause: str
    newest: Run
    to_retry: Run
    since: datetime | None
    scheduled_items: int | None

    @property
    def ended_at(self) -> datetime:
        """When its newest run ended."""
        return self.newest.ended_at or self.newest.created_at

    @property
    def is_ok(self) -> bool:
        """Whether nothing is left to do."""
        return self.broken is None and not self.failed

    @property
    def rate(self) -> float | None:
        """The success rate, ok / (ok + failed); None without items."""
        tried = self.ok + self.failed
        return self.ok / tried if tried else None

    def is_good(self, limits: Limits) -> bool:
        """Whether it succeeded, or failed in part within the job's limit."""
        return self.is_ok or (self.broken is None and (self.rate or 0.0) >= limits.critical_below)


def judged(ended: Iterable[Run], now: datetime) -> tuple[WindowHealth, ...]:
    """The windows of a job's runs, newest first. Backfills do not count, nor do runs that were cancelled or replaced,
    nor windows of a clock that was ahead of `now`.
    """
    by_window: dict[str, list[Run]] = {}
    for run in sorted(ended, key=attrgetter("id")):
        if _counts(run) and run.window.start <= now:
            by_window.setdefault(run.window.label, []).append(run)
    found = [_judge(runs) for runs in by_window.values()]
    return tuple(sorted(found, key=lambda each: (each.window.start, each.newest.id), reverse=True))


def _counts(run: Run) -> bool:
    return run.trigger is not Trigger.BACKFILL and run.state in TERMINAL and run.state is not RunState.CANCELLED


def _judge(runs: Sequence[Run]) -> WindowHealth:
    """Judges the runs of a window, oldest first."""
    found = _of_one(runs[0])
    for run in runs[1:]:
        found = _after_retry(found, run) if run.trigger is Trigger.RETRY else _after_all(found, run)
    return found


def _of_one(run: Run) -> WindowHealth:
    counts, broken = run.counts, run.state if run.state in BROKEN else None
    found = WindowHealth(
        window=run.window,
        planned=counts.planned,
        ok=counts.ok,
        failed=_left(run),
        skipped=counts.skipped,
        broken=broken,
        retries=0,
        same_cause=True,
        cause=_cause(run),
        newest=run,
        to_retry=run,
        since=None,
        scheduled_items=counts.planned if run.trigger is Trigger.SCHEDULE and broken is None else None,
    )
    return found if found.is_ok else found._replace(since=run.ended_at)


def _after_all(before: WindowHealth, run: Run) -> WindowHealth:
    found = _of_one(run)
    if found.scheduled_items is None:
        found = found._replace(scheduled_items=before.scheduled_items)
    return found if found.is_ok or before.is_ok else found._replace(since=before.since)


def _after_retry(before: WindowHealth, run: Run) -> WindowHealth:
    """A retry can only help: the results of the runs before it still exist."""
    retried = before._replace(newest=run, retries=before.retries + 1)
    if run.state is not RunState.SUCCEEDED:
        retried = retried._replace(same_cause=before.same_cause and _cause(run) == before.cause)
    left = _left(run)
    if not run.planning_done or (left > before.failed and before.planned):
        return retried
    planned = max(before.planned, run.counts.planned)
    skipped = run.counts.skipped + (before.skipped if run.selection is Selection.FAILED else 0)
    found = retried._replace(
        planned=planned,
        ok=max(0, planned - left - skipped),
        failed=left,
        skipped=skipped,
        broken=before.broken if run.state in BROKEN else None,
        cause=_cause(run) or before.cause,
        to_retry=run,
    )
    return found._replace(since=None) if found.is_ok else found


def _left(run: Run) -> int:
    return run.counts.failed + run.counts.not_reached


def _cause(run: Run) -> str:
    if not run.kinds:
        return run.error or ""
    return max(run.kinds, key=lambda kind: run.kinds[kind]) or run.error or ""
