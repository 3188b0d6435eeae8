"""Which actions are allowed: the checks shared by the leader, the service and every interface.

Each check raises an error with a message for the operator, and returns nothing else than what the action needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING

from opsconsole.authoring.job import Job
from opsconsole.authoring.run import OPEN, Run, Selection
from opsconsole.calendar.cron import Cron, zone
from opsconsole.calendar.windows import Window
from opsconsole.core.errors import BadWindow, NotAllowed, Refused, StaleNotSupported, UnknownJob
from opsconsole.core.settings import Actor, Role
from opsconsole.rules.backfill_status import ACTIVE, Backfill, BackfillState
from opsconsole.rules.dates import parse_date, window_on
from opsconsole.rules.pauses import ALL, Pause

if TYPE_CHECKING:
    from opsconsole.authoring.catalog import Catalog


class Verb(StrEnum):
    """The commands that an operator can request."""

    TRIGGER = "trigger"
    RETRY = "retry"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    SCHEDULE = "schedule"
    RESET_SCHEDULE = "reset_schedule"
    PLAN_BACKFILL = "plan_backfill"
    APPLY_BACKFILL = "apply_backfill"
    PAUSE_BACKFILL = "pause_backfill"
    RESUME_BACKFILL = "resume_backfill"
    CANCEL_BACKFILL = "cancel_backfill"
    CLEAR = "clear"
    CANCEL_CLEARING = "cancel_clearing"
    REPLAY = "replay"
    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    SILENCE = "silence"
    UNSILENCE = "unsilence"


STOPPING_VERBS = (Verb.CANCEL, Verb.PAUSE, Verb.PAUSE_BACKFILL, Verb.CANCEL_BACKFILL, Verb.CANCEL_CLEARING)
"""Commands that stop something. Every leader carries them out, also one that leads for a single command."""
BACKGROUND_VERBS = (Verb.CLEAR, Verb.REPLAY)
"""Commands that are carried out in steps in the background, not in one transaction of the store."""
MATCHING = "matching"
"""The target of commands about several runs, whose numbers are in the arguments."""
MAX_RUNS = 10_000
"""Runs that a command about several finds by a filter, and changes at once."""
MAX_LISTED_CHANGES = 5


# --- errors -------------------------------------------------------------------------------------------------------


class RunActive(Refused):
    """A run that has not ended cannot be retried."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"run {run.id} is still {run.state}; retry it when it has ended")


class NothingToRetry(Refused):
    """A run without failed items."""

    def __init__(self, run: Run) -> None:
        super().__init__(
            f"run {run.id} has nothing to retry: no item failed; `opsconsole retry {run.id} --all` runs all items again"
        )


class KeysRemoved(Refused):
    """The keys of a run's items are no longer kept, and only they say what a retry is about."""

    def __init__(self, run: Run) -> None:
        which = f" --date {run.window.label}" if run.window.start < run.window.end else ""
        super().__init__(
            f"run {run.id} cannot be retried: the keys of its items are no longer kept (retention.keys); "
            f"start a new one with `opsconsole run {run.job}{which}`"
        )


class NoRunToRetry(Refused):
    """A filter that matches no run with something to retry."""

    def __init__(self) -> None:
        super().__init__("no matching run has anything to retry")


class NoRunToCancel(Refused):
    """Runs that have all ended."""

    def __init__(self) -> None:
        super().__init__("no matching run is queued or running")


class MoreRunsMatch(Refused):
    """A filter that matches more runs than were counted."""

    def __init__(self, found: int, counted: int) -> None:
        super().__init__(f"{found:,} runs match now, not {counted:,}; count them again")


class RunEnded(Refused):
    """A run that has ended cannot be cancelled."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"run {run.id} has already ended as {run.state.value.replace('_', ' ')}")


class SameSchedule(Refused):
    """A job already has the schedule that it is to get."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"{job.name} already has the schedule {job.cron!r} ({job.tz})")


class ScheduleNotChanged(Refused):
    """A job has the schedule of code and configuration, so there is nothing to reset."""

    def __init__(self, job: str) -> None:
        super().__init__(f"the schedule of {job} was not changed")


class NoClearing(Refused):
    """No clearing of the cache is running, or the command is not one."""

    def __init__(self, number: int | None = None) -> None:
        super().__init__("no clearing is running" if number is None else f"command {number} is not a running clearing")


class WindowActive(Refused):
    """A window has at most one active run."""

    def __init__(self, active: Run) -> None:
        super().__init__(f"{active.job} {active.window.label} already has run {active.id}, which is {active.state}")


class PauseInPast(Refused):
    """A pause must end in the future."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"the pause would end at {until:%Y-%m-%d %H:%M %Z}, which is in the past; choose a later time")


class PausedForLonger(Refused):
    """A pause must not shorten another one: somebody relies on it."""

    def __init__(self, pause: Pause) -> None:
        until = f"until {pause.until:%Y-%m-%d %H:%M %Z}" if pause.until else "until it is resumed"
        note = f" ({pause.note})" if pause.note else ""
        super().__init__(f"{pause.target} is paused by {pause.who} {until}{note}; to shorten that, resume it first")


class NotPaused(Refused):
    """A target without an active pause cannot be resumed."""

    def __init__(self, target: str, active: Sequence[Pause]) -> None:
        targets = ", ".join(dict.fromkeys(pause.target for pause in active))
        problem = "there is no pause of all jobs" if target == ALL else f"{target} is not paused"
        super().__init__(problem + (f"; paused now: {targets}" if targets else ""))


class BackfillRefused(Refused):
    """A backfill whose state does not allow the action."""

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(f"backfill {number} {problem}")


# --- who and what -------------------------------------------------------------------------------------------------


def check_actor(action: str, actor: Actor) -> None:
    """Raises NotAllowed when the actor may only view."""
    if actor.role is not Role.OPERATOR:
        raise NotAllowed(action)


def pause_target(catalog: Catalog, name: str) -> str:
    """What a pause applies to: a job (by name or alias), a pack, or `all`. Raises UnknownJob."""
    packs = [pack.name for pack in catalog.packs]
    if name in (ALL, *packs):
        return name
    try:
        return catalog.find(name).name
    except UnknownJob as error:
        similar = get_close_matches(name, [*packs, *error.jobs], n=3) or error.similar
        raise UnknownJob(name, error.jobs, similar=similar, packs=packs) from None


# --- runs ---------------------------------------------------------------------------------------------------------


def trigger_window(job: Job, day: str | None, now: datetime) -> Window:
    """The window of a run started by hand: the one of `day` (2026-01-19), or the current one.

    Raises BadWindow for an invalid date, one that the job's zone skipped, a window in the future, or an old window of a
    job that keeps only the newest result.
    """
    if day is None:
        return job.covers.at(now, zone(job.tz))
    window = window_on(job, parse_date(day))
    if window.start > now:
        raise BadWindow(f"{window.label} has not started in {job.tz}; choose a date up to today")
    check_window_age(job, window, now)
    return window


def check_window_age(job: Job, window: Window, now: datetime) -> None:
    """Raises BadWindow for an old window of a job that keeps only the newest result."""
    newest = job.covers.at(now, zone(job.tz))
    if job.newest_only and window.label != newest.label:
        raise BadWindow(f"{job.name} keeps only its newest result; only {newest.label} can be run, not {window.label}")


def check_selection(job: Job, selection: Selection) -> None:
    """Raises StaleNotSupported when the job cannot find stale items."""
    if selection is Selection.STALE and job.stale is None:
        raise StaleNotSupported(job.name)


def check_no_active_run(active: Run | None) -> None:
    """Raises WindowActive when the window already has an active run."""
    if active is not None:
        raise WindowActive(active)


def check_retry(run: Run, *, everything: bool, unfinished_items: int) -> None:
    """Raises RunActive, KeysRemoved or NothingToRetry. `unfinished_items` are those that failed or were not reached and
    whose keys are stored; a run that ended before its items were counted can always be retried.
    """
    if run.state in OPEN:
        raise RunActive(run)
    undone = run.counts.failed + run.counts.not_reached
    if run.keys_removed and (everything or not run.planning_done or unfinished_items < max(undone, 1)):
        raise KeysRemoved(run)
    if run.planning_done and not everything and not unfinished_items:
        raise NothingToRetry(run)


def check_counted(found: int, counted: int | None) -> None:
    """Raises MoreRunsMatch when more runs were found than were `counted` before; None allows any number."""
    if counted is not None and found > counted:
        raise MoreRunsMatch(found, counted)


def check_cancel(run: Run) -> None:
    """Raises RunEnded."""
    if run.state not in OPEN:
        raise RunEnded(run)


# --- pauses -------------------------------------------------------------------------------------------------------


def check_pause(target: str, until: datetime | None, active: Sequence[Pause], now: datetime) -> None:
    """Raises PauseInPast, or PausedForLonger when an active pause of exactly this target ends later."""
    if until is None:
        return
    if until <= now:
        raise PauseInPast(until)
    for pause in active:
        if pause.target == target and (pause.until is None or pause.until > until):
            raise PausedForLonger(pause)


def check_resume(target: str, active: Sequence[Pause]) -> None:
    """Raises NotPaused unless one of the active pauses has exactly this target."""
    if all(pause.target != target for pause in active):
        raise NotPaused(target, active)


# --- schedules ----------------------------------------------------------------------------------------------------


def check_schedule(job: Job, cron: str, tz: str) -> None:
    """Raises BadCron or BadZone for a schedule that cannot be used, and SameSchedule."""
    Cron(cron, tz)
    if (job.cron, job.tz) == (cron, tz):
        raise SameSchedule(job)


# --- backfills ----------------------------------------------------------------------------------------------------


def check_apply_backfill(backfill: Backfill) -> None:
    """Raises BackfillRefused for one that was applied or cancelled before."""
    if backfill.state is not BackfillState.PLANNED:
        raise BackfillRefused(backfill.id, f"has already been applied: it is {backfill.state}")


def check_plan_is_current(backfill: Backfill, changes: Sequence[str]) -> None:
    """Raises BackfillRefused when something changed since the plan was made; `changes` are sentences."""
    if changes:
        hidden = len(changes) - MAX_LISTED_CHANGES
        more = f", and {hidden:,} more" if hidden > 0 else ""
        listed = "; ".join(changes[:MAX_LISTED_CHANGES])
        raise BackfillRefused(backfill.id, f"is out of date: {listed}{more}; create a new plan")


def check_pause_backfill(backfill: Backfill) -> None:
    """Raises BackfillRefused unless it is running."""
    if backfill.state is not BackfillState.RUNNING:
        raise BackfillRefused(backfill.id, f"is not running: it is {backfill.state}")


def check_resume_backfill(backfill: Backfill) -> None:
    """Raises BackfillRefused unless it was paused or cancelled, or ended."""
    if backfill.state is BackfillState.PLANNED:
        raise BackfillRefused(backfill.id, "is only planned; apply it")
    if backfill.state is BackfillState.RUNNING:
        raise BackfillRefused(backfill.id, "is already running")
    if backfill.started_at is None:
        raise BackfillRefused(backfill.id, "was cancelled before it started; create a new plan")


def check_backfill_remainder(backfill: Backfill, remaining: int, overlapping: Sequence[tuple[int, str, str]]) -> None:
    """Raises BackfillRefused when a resumed backfill has no window left, or another backfill has the same window.

    `overlapping` are the other backfill, the job and the window's label.
    """
    if not remaining:
        raise BackfillRefused(backfill.id, "has no windows left")
    if overlapping:
        other, job, label = overlapping[0]
        raise BackfillRefused(
            backfill.id, f"shares {job} {label} with backfill {other}; wait for that one, or cancel it"
        )


def check_cancel_backfill(backfill: Backfill) -> None:
    """Raises BackfillRefused for one that is done or cancelled. A plan can be cancelled."""
    if backfill.state is not BackfillState.PLANNED and backfill.state not in ACTIVE:
        raise BackfillRefused(backfill.id, f"is already {backfill.state}")
