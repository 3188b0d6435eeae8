"""Findings in words, for every interface: screens, commands, notifications."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from opsconsole.core.humanize import age, count, duration, elapsed, local_time, percent, words
from opsconsole.core.problems import Fault
from opsconsole.core.text import safe
from opsconsole.rules.findings import Finding, FindingKind, Severity
from opsconsole.rules.system_text import SENTENCES

NAMED = 3
"""The items and windows that a sentence names."""


def subject(finding: Finding) -> str:
    """What a finding is about, before its sentence: a job, a service, or a task of this program."""
    if finding.fault is Fault.UNKNOWN:
        return words(finding.subject)
    return name(finding.kind, finding.subject)


def name(kind: FindingKind, subject: str) -> str:
    """The subject of a finding or alert before its sentence. A task has a name of any number: `task live runs`."""
    return f"task {words(subject)}" if kind is FindingKind.DEGRADED else subject


def sentence(finding: Finding, now: datetime) -> str:
    """What is wrong, after the subject: `is unreachable: connection refused`."""
    if finding.message:
        return f"{finding.message} (judged before the leader ended)" if finding.is_outdated else finding.message
    match finding.kind:
        case FindingKind.UNREACHABLE:
            return f"is unreachable: {finding.reason}"
        case FindingKind.LATE:
            return "is late: its run is queued and has not started"
        case FindingKind.OVERDUE:
            return "is overdue: its run has not started"
        case FindingKind.NO_GOOD_RUN:
            return f"has had no good run for {age(now - (finding.good_until or finding.since))}"
        case FindingKind.LONG_RUN:
            return _long_run(finding, now)
        case FindingKind.CLOCK_AHEAD:
            jobs, until = count(len(finding.jobs), "job"), local_time(finding.recorded_until or finding.since, "UTC")
            if finding.severity is Severity.CRITICAL:
                return f"is behind: a leader planned {jobs} up to {until}; set it right, or start a leader with it"
            return f"was set back: {jobs} ran for times up to {until} already; those times do not run again"
        case FindingKind.FAILED_RUN:
            return _failure(finding)
        case FindingKind.FAILING_REPEATEDLY:
            return f"failed in {count(finding.count, 'window')} in a row" + _because(finding)
        case FindingKind.FAILING_ITEMS:
            return (
                f"has {count(finding.count, 'item')} that failed in at least 2 of its last 5 windows: {_named(finding)}"
            )
        case FindingKind.LOW_SUCCESS_RATE:
            return _rate(finding.numbers)
        case FindingKind.LOW_WORK:
            n = finding.numbers
            usual = f"usually {n.get('usual', 0):,.0f} ({n.get('runs', 0)} runs, at least {n.get('least', 0):,})"
            return f"had {count(int(n.get('items', 0)), 'item')}; {usual}"
        case FindingKind.SLOW_RUN:
            return _slow_run(finding, now)
        case FindingKind.MISSED:
            times = count(finding.count, "scheduled time")
            return f"missed {times} in the last 24 hours ({words(finding.reason)})"
        case FindingKind.INCOMPLETE_WINDOWS:
            return f"has {_incomplete(finding)}: {_named(finding)}"
        case FindingKind.DEGRADED:
            return degraded(finding)
        case FindingKind.SET_ASIDE:
            if finding.count == 1:
                return f"was set aside: {finding.reason}"
            return f"and {count(finding.count - 1, 'other')} were set aside: {finding.reason}"
        case _ if finding.kind in SENTENCES:
            return SENTENCES[finding.kind](finding)
        case _:
            return finding.reason


def degraded(finding: Finding) -> str:
    """What is wrong with a part of this program, after its name: `keeps failing: ...`."""
    match finding.fault:
        case Fault.STALLED:
            return "is stalled: its current step does not return"
        case Fault.ENDED:
            return "has ended unexpectedly; restart this process"
        case Fault.UNKNOWN:
            return f"cannot be read: {finding.reason}"
        case _:
            return f"keeps failing: {finding.reason}"


def _incomplete(finding: Finding) -> str:
    """`2 stale windows`, `3 incomplete windows (1 missing, 2 stale)`."""
    if len(finding.numbers) == 1:
        return count(finding.count, f"{next(iter(finding.numbers))} window")
    states = ", ".join(f"{n} {state}" for state, n in finding.numbers.items())
    return count(finding.count, "incomplete window") + (f" ({states})" if states else "")


def _failure(finding: Finding) -> str:
    """`1 of 1,912 failed (2026-01-19): unknown question`, and what came of the retries."""
    run, n = finding.run, finding.numbers
    window = f" ({run.window.label})" if run is not None else ""
    planned, retries = int(n.get("planned", 0)), int(n.get("retries", 0))
    if n.get("broken") and run is not None:
        what = words(run.state) + window
    elif retries:
        what = f"{int(n.get('ok', 0)):,} of {planned:,} ok{window}"
    else:
        what = f"{int(n.get('failed', 0)):,} of {planned:,} failed{window}"
    if limit := n.get("limit"):
        what += f", success rate below {limit * 100:g} %"
    if retries:
        what += f", retried {_times(retries)}" + (", same cause" if n.get("same_cause") else "")
    return what + _because(finding)


def _because(finding: Finding) -> str:
    cause = (finding.run.error if finding.run is not None else None) or words(finding.reason)
    return f": {safe(cause, 120)}" if cause else ""


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _long_run(finding: Finding, now: datetime) -> str:
    run, limit = finding.run, finding.numbers.get("limit")
    target = f"; its target is {duration(limit)}" if limit else ""
    if run is not None and run.seconds is not None:
        return f"took {duration(run.seconds)} ({run.window.label}){target}"
    started = run.started_at if run is not None else None
    return f"has been running for {age(now - (started or finding.since))}{target}"


def _slow_run(finding: Finding, now: datetime) -> str:
    run, n = finding.run, finding.numbers
    usual = f"usually {_taken(n.get('usual', 0))} ({n.get('runs', 0)} runs, at most {_taken(n.get('most', 0))})"
    if run is None or run.seconds is not None:
        window = f" ({run.window.label})" if run is not None else ""
        return f"took {duration(n.get('seconds', 0))}{window}; {usual}"
    return f"has been running for {age(now - (run.started_at or finding.since))}; {usual}"


def _taken(seconds: float) -> str:
    return elapsed(seconds) if seconds < 1 else duration(seconds)


def _rate(numbers: Mapping[str, int | float]) -> str:
    ok, failed = int(numbers.get("ok", 0)), int(numbers.get("failed", 0))
    share = percent(ok / (ok + failed) if ok + failed else None)
    limit, windows = numbers.get("limit", 0), count(int(numbers.get("windows", 0)), "window")
    return (
        f"has a success rate of {share} % in the last 24 hours, below {limit * 100:g} % ({failed:,} failed, {windows})"
    )


def _named(finding: Finding) -> str:
    shown = finding.items[:NAMED]
    more = finding.count - len(shown)
    return ", ".join(safe(item, 60) for item in shown) + (f" and {more:,} more" if more > 0 else "")
