"""Checks the definition of a job: the types and bounds of its fields, after the configuration has overridden some."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from opsconsole.authoring.job import CatchUp, Job, Limits, Overlap, Retry
from opsconsole.calendar.cron import schedule
from opsconsole.calendar.windows import Covers, Unit
from opsconsole.core.bounds import (
    MAX_INTEGER,
    MAX_LINE,
    duration_problem,
    name_problem,
    number_problem,
    shown,
    whole_number_problem,
)
from opsconsole.core.errors import OpsconsoleError

MAX_BATCH = 10_000
"""The result of a batch can name each of its keys, and the leader reads it in one piece."""
MAX_AT_ONCE = 1000
"""The most workers of a run, and windows of a job at once."""
MAX_INSTANTS = 10_000
"""The most missed times that run after downtime."""
MAX_ATTEMPTS = 1000
MAX_STREAK = 20
"""The most windows in a row: health checks look at a job's last 40 runs."""
MAX_JITTER = timedelta(days=1)
MAX_TAG = 40
"""Characters of a tag, which begins every line of a log."""

Check = Callable[[Any], str | None]
"""What is wrong with a value, or None."""


def problems(job: Job) -> Iterator[str]:
    """What is wrong with a job, each as a clause that begins with a field; nothing if it can be used."""
    found = {field: problem for field, check in _CHECKS.items() if (problem := check(getattr(job, field)))}
    yield from (f"{field} {problem}" for field, problem in found.items())
    for parent, checks in _PARTS.items():
        if parent not in found:
            part = getattr(job, parent)
            prefix = "" if parent == "limits" else f"{parent}."
            yield from (f"{prefix}{name} {problem}" for name, check in checks.items() if (problem := check(part)))
    if not found.keys() & {"skip_when_empty", "covers", "catch_up"} and job.skip_when_empty:
        if job.covers.unit is not Unit.MOMENT:
            yield "skip_when_empty needs a job without windows: a window without a run would be missing"
        elif job.catch_up.newest > 1:
            yield "skip_when_empty needs catch_up LATEST or NONE: only the newest scheduled time is checked"
    if not found.keys() & {"cron", "tz"}:
        try:
            schedule(job.cron, job.tz)
        except OpsconsoleError as error:
            yield error.sentence


def _optional(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _whole(low: int, high: int) -> Check:
    return lambda value: whole_number_problem(value, low, high)


def _a(kind: type, what: str) -> Check:
    return lambda value: None if isinstance(value, kind) else f"must be {what}, not {shown(value)}"


def _function(value: object) -> str | None:
    return None if callable(value) else f"must be a function, not {shown(value)}"


def _wait(value: object) -> str | None:
    if isinstance(value, timedelta) and value < timedelta(0):
        return "must be 0 or more"
    return None if value == timedelta(0) else duration_problem(value)


def _jitter(value: object) -> str | None:
    if isinstance(value, timedelta) and value > MAX_JITTER:
        return "must be at most a day"
    return _wait(value)


def _share(value: Any) -> str | None:
    problem = number_problem(value)
    if problem is None and not 0 <= value <= 1:
        return f"must be between 0 and 1, not {value:g}"
    return problem


def _factor(value: Any) -> str | None:
    problem = number_problem(value)
    if problem is None and value <= 1:
        return f"must be more than 1, not {value:g}"
    return problem


def names_problem(value: object) -> str | None:
    """What is wrong with a tuple of names, or None."""
    if not isinstance(value, tuple):
        return f"must be a tuple of names, not {shown(value)}"
    return next((problem for name in value if (problem := name_problem(name))), None)


def _line(value: object) -> str | None:
    return None if value == "" else name_problem(value, MAX_LINE)


def _of(field: str, check: Check) -> Check:
    return lambda part: check(getattr(part, field))


_CHECKS: dict[str, Check] = {
    "population": _function,
    "apply": _function,
    "prepare": _optional(_function),
    "stale": _optional(_function),
    "oldest": _optional(_function),
    "newest_only": _a(bool, "True or False"),
    "results_ttl": _optional(duration_problem),
    "cron": _optional(_a(str, "a schedule")),
    "tz": _a(str, "a timezone"),
    "jitter": _jitter,
    "covers": _a(Covers, "a window such as DAY"),
    "batch": _whole(1, MAX_BATCH),
    "batch_timeout": duration_problem,
    "timeout": duration_problem,
    "retry": _a(Retry, "a Retry"),
    "workers": _whole(1, MAX_AT_ONCE),
    "parallel": _whole(1, MAX_AT_ONCE),
    "limits": _a(Limits, "a Limits"),
    "catch_up": _a(CatchUp, "LATEST, NONE or all_of(...)"),
    "overlap": _a(Overlap, "SKIP, QUEUE, QUEUE_ALL or REPLACE"),
    "exclusive": _optional(name_problem),
    "after": names_problem,
    "after_wait": _wait,
    "priority": _whole(-MAX_INTEGER, MAX_INTEGER),
    "skip_when_empty": _a(bool, "True or False"),
    "aliases": names_problem,
    "tag": _optional(lambda value: name_problem(value, MAX_TAG)),
    "description": _line,
}
_PARTS: dict[str, dict[str, Check]] = {
    field: {name: _of(name, check) for name, check in checks.items()}
    for field, checks in {
        "retry": {"times": _whole(0, MAX_ATTEMPTS), "first": _wait, "longest": _wait, "jitter": _share},
        "limits": {
            "max_age": _optional(duration_problem),
            "longest": _optional(duration_problem),
            "start_within": duration_problem,
            "warn_below": _share,
            "critical_below": _share,
            "failing_windows": _whole(1, MAX_STREAK),
            "pause_after": _optional(_whole(1, MAX_STREAK)),
            "low_work": _optional(_share),
            "slow_run": _optional(_factor),
        },
        "catch_up": {"newest": _whole(0, MAX_INSTANTS), "within": _optional(duration_problem)},
    }.items()
}
