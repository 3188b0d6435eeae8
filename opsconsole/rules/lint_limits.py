"""Warns about limits, timeouts and overlap policies of a job that contradict each other or its schedule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from opsconsole.authoring.job import Job, Limits, Overlap
from opsconsole.calendar.windows import Unit
from opsconsole.core.humanize import duration
from opsconsole.rules.lint_warning import LintWarning, Rule

DEFAULT_TIMEOUT = Job.__dataclass_fields__["timeout"].default
DEFAULT_WARN_BELOW = Limits.__dataclass_fields__["warn_below"].default
"""Values that were probably not chosen for the job."""


def limit_warnings(job: Job) -> Iterator[LintWarning]:
    """The warnings about a job that do not depend on its schedule, only on whether it has one."""
    if job.batch_timeout > job.timeout:
        batch, whole = duration(job.batch_timeout), duration(job.timeout)
        message = f"its batch timeout of {batch} is longer than its timeout of {whole} and never takes effect"
        yield LintWarning(job.name, Rule.TIMEOUT, message)
    if job.cron is None and job.jitter:
        message = f"its jitter of {duration(job.jitter)} has no effect: it has no schedule"
        yield LintWarning(job.name, Rule.JITTER, message)
    limits = job.limits
    if limits.longest is not None and limits.longest >= job.timeout:
        message = (
            f"its limit `longest` of {duration(limits.longest)} never takes effect: a run is ended by its timeout "
            f"after {duration(job.timeout)}"
        )
        yield LintWarning(job.name, Rule.LIMIT, message)
    if limits.warn_below < limits.critical_below and limits.warn_below != DEFAULT_WARN_BELOW:
        message = (
            f"a success rate is critical below {limits.critical_below * 100:g} %, and a warning only below "
            f"{limits.warn_below * 100:g} %: `warn_below` never takes effect"
        )
        yield LintWarning(job.name, Rule.LIMIT, message)


def schedule_warnings(job: Job, times: Sequence[datetime]) -> Iterator[LintWarning]:
    """The warnings about a job that is scheduled at these times, the next ones in order."""
    gaps = [two - one for one, two in pairwise(times)]
    if not gaps:
        return
    yield from _jitter(job, min(gaps))
    yield from _timeout(job, min(gaps))
    yield from _replaced(job, min(gaps))
    yield from _max_age(job, max(gaps))


def _jitter(job: Job, period: timedelta) -> Iterator[LintWarning]:
    if job.jitter < period:
        return
    message = (
        f"its jitter of {duration(job.jitter)} is not shorter than its period of {duration(period)}: a run may start "
        "after the next scheduled time"
    )
    yield LintWarning(job.name, Rule.JITTER, message)


def _timeout(job: Job, period: timedelta) -> Iterator[LintWarning]:
    if period >= job.timeout or job.overlap is Overlap.REPLACE or _is_polling(job):
        return
    effect = "wait" if job.overlap in (Overlap.QUEUE, Overlap.QUEUE_ALL) else "are skipped"
    message = (
        f"it fires again after {duration(period)}, but a run may take {duration(job.timeout)}: while one hangs, "
        f"later scheduled times {effect}"
    )
    yield LintWarning(job.name, Rule.TIMEOUT, message)


def _is_polling(job: Job) -> bool:
    """Whether a job is meant to fire more often than a run may take: each run processes everything that is waiting, its
    timeout was chosen for it, and its limits do not report it before the timeout.
    """
    patient = job.limits.max_age is None or job.limits.max_age >= job.timeout
    return job.covers.unit is Unit.MOMENT and job.overlap is Overlap.SKIP and job.timeout != DEFAULT_TIMEOUT and patient


def _replaced(job: Job, period: timedelta) -> Iterator[LintWarning]:
    """Warns when runs that may take long are ended by the next one, again and again."""
    longest = job.limits.longest
    if job.overlap is not Overlap.REPLACE or longest is None or longest < period:
        return
    message = (
        f"a run may take {duration(longest)} (`longest`), but the next one ends it after {duration(period)}: with "
        "overlap `replace`, none may ever finish"
    )
    yield LintWarning(job.name, Rule.LIMIT, message)


def _max_age(job: Job, longest_gap: timedelta) -> Iterator[LintWarning]:
    """Warns when the last good run is too old before the next one is even scheduled."""
    max_age = job.limits.max_age
    if max_age is None or max_age > longest_gap:
        return
    message = (
        f"its limit `max_age` of {duration(max_age)} is not longer than the {duration(longest_gap)} between two "
        "scheduled times: an alert fires although every run succeeds"
    )
    yield LintWarning(job.name, Rule.LIMIT, message)
