"""Sentences that several interfaces make of values: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from opsconsole.authoring.changed_schedule import ChangedSchedule
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Stop
from opsconsole.core.humanize import count, duration, elapsed, local_time, words
from opsconsole.rules.actions import MAX_RUNS
from opsconsole.rules.admission import Wait, WaitReason
from opsconsole.rules.audit import AuditProblem, Seal, Verification
from opsconsole.rules.backfill import Only, Order, Step, StepReason, StepState, WindowState, WindowStatus
from opsconsole.rules.backfill_status import BackfillStop, BackfillStopReason


def number_of_runs(found: int) -> str:
    """How many runs a filter selects: `3 runs`, or `10,000 runs and more`, as a command changes no more at once."""
    return count(found, "run") + (" and more" if found >= MAX_RUNS else "")


def wait(wait: Wait) -> str:
    """What a run waits for, after `waits for`: `run 17 of this job`."""
    match wait.reason:
        case WaitReason.SAME_WINDOW:
            return f"run {wait.run} of this job"
        case WaitReason.PARALLEL_LIMIT:
            return f"run {wait.run} of this job, for {wait.window}"
        case WaitReason.EARLIER_RUN:
            return "an earlier run of this job"
        case WaitReason.EXCLUSIVE:
            return f"{wait.job}, which excludes it"
        case WaitReason.AFTER:
            return str(wait.job)
        case WaitReason.CAPACITY:
            return "a free slot: the maximum number of runs is running"
        case WaitReason.WORKERS:
            return f"a worker: {wait.detail}"


def stop(stop: Stop) -> str:
    """Why a run stops: `cancelled by asha: too slow`."""
    return stop.message


def only(selected: Only) -> str:
    """Which windows are selected: `missing, failed and partial windows`, `all windows`."""
    if Only.ALL in selected:
        return "all windows"
    names = [name for each in selected for name in (("failed", "partial") if each is Only.FAILED else (str(each),))]
    return f"{' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))} windows"


def order(order: Order) -> str:
    """The order of a backfill unless it is the default, such as `newest first, at most 2 windows at once`."""
    parts = ["newest first"] if order.newest_first else []
    if order.at_once is not None:
        parts.append(f"at most {count(order.at_once, 'window')} at once")
    return ", ".join(parts)


def parameters(given: Mapping[str, Any]) -> str:
    """The parameters of a run: `limit=10, send_mail=false`."""
    return ", ".join(f"{name}={value if isinstance(value, str) else _as_json(value)}" for name, value in given.items())


def _as_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def step_reason(step: Step, state: StepState = StepState.PENDING) -> str:
    """Why a window is run or skipped: `3 items are stale`; once it has been run, why it was: `was missing`."""
    has_run = state in (StepState.DONE, StepState.PARTIAL, StepState.FAILED)
    match step.reason:
        case StepReason.RUNNING:
            return f"run {step.open_run} {'was' if has_run else 'is'} active"
        case StepReason.STALE:
            verb = ("was" if has_run else "is") if step.stale == 1 else ("were" if has_run else "are")
            return f"{step.stale:,} {'item' if step.stale == 1 else 'items'} {verb} stale"
        case StepReason.INCOMPLETE:
            return "data ended before the window did" if has_run else "data ends before the window does"
        case StepReason.NOT_DUE:
            return "not due yet"
        case _:
            return f"was {words(step.reason)}" if has_run else words(step.reason)


def window(status: WindowStatus) -> str:
    """Why a window is in its state: `3 items out of date · run 4812, 1,203 items in 2.1 s`."""
    record = status.record
    run = f"run {record.run}, {count(record.items, 'item')} in {elapsed(record.seconds)}"
    if status.state is WindowState.RUNNING:
        return f"run {status.open_run}"
    if status.state is WindowState.NOT_DUE:
        return "the window has not ended yet"
    if status.state is WindowState.NO_DATA:
        return "it ended before the job's data begins"
    if status.state is WindowState.MISSING:
        return "no run covered it"
    if record.run is None:
        return "all its data exists"
    if status.state is WindowState.STALE:
        why = f"{count(record.stale, 'item')} out of date" if record.stale else "run before the window ended"
        return f"{why} · {run}"
    return run


def backfill_stop(stop: BackfillStop) -> str:
    """Why a backfill stopped: `paused by asha: lunch`."""
    if stop.reason is BackfillStopReason.WINDOW_FAILED:
        return f"{stop.job} {stop.window} failed"
    return f"{stop.reason} by {stop.by}" + (f": {stop.note}" if stop.note else "")


KEYS_REMOVED = "the keys of its items are no longer kept, but for those that failed"


def audit_verification(result: Verification, anchor: Seal | None) -> str:
    """What a verification of the audit trail has proven."""
    verified = count(result.rows, "row")
    if result.start is not None:
        verified += f" after row {result.start.row}, up to which they are no longer kept"
    match result.problem:
        case AuditProblem.ROW_CHANGED:
            return f"row {result.broken} was changed after it was written; {verified} before it are valid"
        case AuditProblem.PREVIOUS_ROW_MISSING:
            return f"the row before row {result.broken} is missing or was changed; {verified} before it are valid"
        case AuditProblem.ANCHOR_CHANGED:
            return f"row {result.broken} does not have this seal: the trail was rewritten"
        case AuditProblem.ANCHOR_MISSING:
            return f"row {result.broken} of this seal is missing: rows were removed from the end"
        case AuditProblem.ANCHOR_REMOVED:
            return (
                f"the rows up to {result.broken} are no longer kept, and with them that of this seal; use a newer one"
            )
        case None:
            pass
    if result.seal is None:
        return "the audit trail is empty"
    if anchor is not None:
        return f"verified {verified}: unchanged up to row {anchor.row}, consistent up to row {result.seal.row}"
    return (
        f"verified {verified}: they are consistent with each other; the last seal is {result.seal}\n"
        "this does not show whether rows were removed from the end, or the whole trail was rewritten; "
        "for that, compare with a seal kept elsewhere: `opsconsole audit verify --seal ID:HASH`"
    )


def short_lived_results(job: str, lifetime: timedelta, windows: int) -> str:
    """A warning that results of a backfill expire soon."""
    return f"results of {job} expire after {duration(lifetime)}; this plan creates {count(windows, 'window')} of them"


def done(verb: str, outcome: Mapping[str, Any]) -> str | None:
    """What a command did; None when it queued one run, whose number is in the outcome."""
    sentence = _DONE.get(verb)
    return None if sentence is None else sentence(outcome)


def _retried(outcome: Mapping[str, Any]) -> str | None:
    if "runs" not in outcome:
        return None
    queued, refused = len(outcome["runs"]), outcome["refused"]
    return f"queued {count(queued, 'run')}" + (f", refused {refused:,}" if refused else "")


def _cancelled(outcome: Mapping[str, Any]) -> str:
    if "runs" in outcome:
        number, ended = len(outcome["runs"]), outcome["refused"]
        verb, its = ("ends", "its") if number == 1 else ("end", "their")
        when = "now" if outcome["force"] else f"when {its} batches in flight are done"
        return f"{count(number, 'run')} {verb} {when}" + (f", {ended:,} had already ended" if ended else "")
    when = "now" if outcome["force"] else "when its batches in flight are done"
    return f"run {outcome['run']} of {outcome['job']} ends {when}"


def _paused(outcome: Mapping[str, Any]) -> str:
    until = outcome["until"]
    how = f"until {datetime.fromisoformat(until):%Y-%m-%d %H:%M %Z}" if until else "until it is resumed"
    return f"paused {outcome['target']} {how}" + ("; this extends an earlier pause" if outcome.get("replaced") else "")


def _cleared(outcome: Mapping[str, Any]) -> str:
    families = outcome["families"]
    of = f" of {count(len(families), 'family', 'families')}" if families else ""
    by = f", then {outcome['cancelled_by']} cancelled it" if outcome.get("cancelled_by") else ""
    return f"cleared {count(outcome['cleared'], 'key')}{of}{by}"


def _acknowledged(outcome: Mapping[str, Any]) -> str:
    until = outcome["until"]
    how = f"until {local_time(datetime.fromisoformat(until), 'UTC')}" if until else "until it is resolved"
    return f"acknowledged alert {outcome['alert']} ({outcome['target']}) {how}"


def _silenced(outcome: Mapping[str, Any]) -> str:
    until = outcome["until"]
    how = f"until {local_time(datetime.fromisoformat(until), 'UTC')}" if until else "until you end it with unsilence"
    return f"silenced {outcome['target']} {how}" + ("; this extends an earlier silence" if outcome["replaced"] else "")


def unknown(denied: Sequence[str]) -> str:
    """A figure of Redis that is not known, because its user may not run these commands if there are any."""
    return f"unknown: the Redis user may not run {' and '.join(denied)}" if denied else "unknown"


def _scheduled(outcome: Mapping[str, Any]) -> str:
    schedule = f"{outcome['cron']!r} ({outcome['tz']})" if outcome["cron"] is not None else "none: it is manual"
    return f"the schedule of {outcome['job']} is {schedule} from now on"


def changed_schedule(changed: ChangedSchedule, base: Job) -> str:
    """Who changed the schedule of a job, and what it is without that; `base` is the job of code and configuration."""
    note = f" ({changed.note})" if changed.note else ""
    own = _schedule(base.cron, base.tz)
    sentence = f"changed by {changed.who} at {local_time(changed.since, 'UTC')}{note}; reset it to {own}"
    if (base.cron, base.tz) != (changed.base_cron, changed.base_tz):
        sentence += f", which was {_schedule(changed.base_cron, changed.base_tz)} when it was changed"
    return sentence


def _schedule(cron: str | None, tz: str) -> str:
    return "no schedule" if cron is None else f"{cron!r} ({tz})"


_DONE: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    "retry": _retried,
    "cancel": _cancelled,
    "pause": _paused,
    "schedule": _scheduled,
    "reset_schedule": _scheduled,
    "resume": lambda outcome: f"resumed {outcome['target']}",
    "plan_backfill": lambda outcome: f"planned backfill {outcome['backfill']}",
    "apply_backfill": lambda outcome: f"started backfill {outcome['backfill']}: {count(outcome['windows'], 'window')}",
    "pause_backfill": lambda outcome: f"paused backfill {outcome['backfill']}; running windows finish",
    "resume_backfill": lambda outcome: (
        f"resumed backfill {outcome['backfill']}: {count(outcome['windows'], 'window')} left"
    ),
    "cancel_backfill": lambda outcome: (
        f"cancelled backfill {outcome['backfill']}: {count(outcome['windows'], 'window')} not started"
    ),
    "clear": _cleared,
    "cancel_clearing": lambda outcome: f"the clearing of {outcome['target']} stops",
    "acknowledge": _acknowledged,
    "unacknowledge": lambda outcome: f"ended the acknowledgement of alert {outcome['alert']} ({outcome['target']})",
    "silence": _silenced,
    "unsilence": lambda outcome: f"ended the silence of {outcome['target']}",
    "replay": lambda outcome: f"queued {count(outcome['events'], 'event')} to be published again",
}
