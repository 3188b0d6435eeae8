"""Which pauses are active for a job, and how they are described."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from opsconsole.core import humanize
from opsconsole.service.snapshot import JobCard, Pause
from screens.widgets import symbols
from screens.widgets.lines import Line, Piece, line, text, width

ALL = "all"
DURATIONS: tuple[tuple[str, timedelta | None], ...] = (
    ("1 h", timedelta(hours=1)),
    ("4 h", timedelta(hours=4)),
    ("12 h", timedelta(hours=12)),
    ("24 h", timedelta(hours=24)),
    ("until resumed", None),
)
"""The durations that the dialog offers."""
DEFAULT_DURATION = 2


def pack_of(job: str) -> str:
    """The pack of a job: its name up to the dot."""
    return job.partition(".")[0]


def active(pauses: Sequence[Pause], job: str, now: datetime) -> list[Pause]:
    """The pauses of a job, its pack or all jobs that are active now, the one that ends last first."""
    return of_job(active_now(pauses, now), job)


def active_now(pauses: Sequence[Pause], now: datetime) -> tuple[Pause, ...]:
    """The pauses that are active now, the one that ends last first."""
    found = [pause for pause in pauses if _is_active(pause, now)]
    return tuple(sorted(found, key=lambda pause: (pause.until is None, pause.until or now), reverse=True))


def of_job(pauses: Sequence[Pause], job: str) -> list[Pause]:
    """The pauses of a job, of its pack, or of all jobs."""
    return [pause for pause in pauses if pause.target in (ALL, pack_of(job), job)]


def of_all(pauses: Sequence[Pause], now: datetime) -> Pause | None:
    """The active pause of all jobs, if there is one."""
    return next((pause for pause in pauses if pause.target == ALL and _is_active(pause, now)), None)


def skips(pauses: Sequence[Pause], at: datetime) -> bool:
    """Whether one of these pauses skips a scheduled time."""
    return any(_is_active(pause, at) for pause in pauses)


def until(duration: timedelta | None, now: datetime) -> datetime | None:
    """The end of a pause that starts now: a whole minute, so that the time shown is exact."""
    return None if duration is None else (now + duration).replace(second=0, microsecond=0)


def targets(job: str, jobs: Sequence[JobCard]) -> list[tuple[str, str]]:
    """What can be paused from a job's row, with a description: the job, its pack, all jobs. From `all`, all jobs."""
    every = (ALL, f"all {humanize.count(len(jobs), 'job')}")
    if job == ALL:
        return [every]
    pack = pack_of(job)
    size = sum(pack_of(card.name) == pack for card in jobs)
    return [(job, "this job"), (pack, f"its pack, {humanize.count(size, 'job')}"), every]


def target_name(target: str) -> str:
    """A pause's target in a sentence."""
    if target == ALL:
        return "all jobs"
    return target if "." in target else f"all of {target}"


def status(pause: Pause, now: datetime, tz: str, cells: int, before: str = "") -> Line:
    """`until 18:00 UTC by ben`, after the words `before`; without the name where more than `cells` would be needed."""
    style = symbols.PAUSED.style
    by, end = text(f"by {pause.who}", style, 24), Piece(end_of(pause, now, tz), style)
    first, second = (by, end) if pause.until is None else (end, by)
    start = Piece(f"{before} " if before else "", style)
    whole = line(start, first, Piece(" "), second)
    return whole if width(whole) <= cells else line(start, end)


def end_of(pause: Pause, now: datetime, tz: str) -> str:
    """`until 18:00 UTC`, or `until resumed`."""
    return "until resumed" if pause.until is None else f"until {humanize.upcoming_time(pause.until, now, tz)}"


def new_end(at: datetime | None, now: datetime, tz: str) -> str:
    """When a pause that starts now ends: `06:20 UTC, in 11 h 59 min`."""
    if at is None:
        return "when it is resumed"
    return f"{humanize.upcoming_time(at, now, tz)}, in {humanize.duration(at - now)}"


def sentence(pause: Pause, job: str, now: datetime, tz: str) -> str:
    """A pause that concerns a job, or `all`, in a sentence; contains untrusted text."""
    subject = "all jobs are" if job == ALL else f"{job} is"
    whole = "" if pause.target == job else f" with {target_name(pause.target)}"
    note = f": {pause.note}" if pause.note else ""
    return f"{subject} paused{whole} by {pause.who} {end_of(pause, now, tz)}{note}"


def _is_active(pause: Pause, at: datetime) -> bool:
    return pause.since <= at and (pause.until is None or at < pause.until)
