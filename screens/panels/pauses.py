"""Which pauses hold a job back, and how that is said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from opsconsole.core import humanize
from opsconsole.service.snapshot import JobCard, Pause
from screens.widgets import symbols as look
from screens.widgets.lines import Line, Piece, line, tell, width

ALL = "all"
LENGTHS: tuple[tuple[str, timedelta | None], ...] = (
    ("1 h", timedelta(hours=1)),
    ("4 h", timedelta(hours=4)),
    ("12 h", timedelta(hours=12)),
    ("24 h", timedelta(hours=24)),
    ("until resumed", None),
)
"""How long a pause may last, as the dialog offers it."""
USUAL_LENGTH = 2


def pack_of(job: str) -> str:
    """The pack of a job: what stands before the dot."""
    return job.partition(".")[0]


def holding(pauses: Sequence[Pause], job: str, now: datetime) -> list[Pause]:
    """The pauses that hold a job back now, the one that ends last first."""
    found = [pause for pause in pauses if pause.target in (ALL, pack_of(job), job) and _holds(pause, now)]
    return sorted(found, key=lambda pause: (pause.until is None, pause.until or now), reverse=True)


def of_all(pauses: Sequence[Pause], now: datetime) -> Pause | None:
    """The pause of everything, if there is one."""
    return next((pause for pause in pauses if pause.target == ALL and _holds(pause, now)), None)


def skips(pauses: Sequence[Pause], at: datetime) -> bool:
    """Whether an instant at `at` is skipped by one of these pauses."""
    return any(_holds(pause, at) for pause in pauses)


def until(length: timedelta | None, now: datetime) -> datetime | None:
    """When a pause that begins now ends: on a whole minute, so that what is shown is what is meant."""
    return None if length is None else (now + length).replace(second=0, microsecond=0)


def targets(job: str, jobs: Sequence[JobCard]) -> list[tuple[str, str]]:
    """What can be paused from a job's row: the job, its pack, everything; each with what that comprises. From `all`
    only everything.
    """
    every = (ALL, f"every job, {len(jobs)} of them")
    if job == ALL:
        return [every]
    pack = pack_of(job)
    mates = sum(pack_of(card.name) == pack for card in jobs)
    return [(job, "this job"), (pack, f"its pack, {humanize.count(mates, 'job')}"), every]


def named(target: str) -> str:
    """A pause's target in a sentence."""
    if target == ALL:
        return "all jobs"
    return target if "." in target else f"all of {target}"


def told(pause: Pause, now: datetime, tz: str, cells: int, before: str = "") -> Line:
    """`until 18:00 UTC by ben`, after the words `before`; without the name where more than `cells` would be needed."""
    style = look.PAUSED.style
    by, end = tell(f"by {pause.who}", style, 24), Piece(ends(pause, now, tz), style)
    first, second = (by, end) if pause.until is None else (end, by)
    start = Piece(f"{before} " if before else "", style)
    whole = line(start, first, Piece(" "), second)
    return whole if width(whole) <= cells else line(start, end)


def ends(pause: Pause, now: datetime, tz: str) -> str:
    """`until 18:00 UTC`, or `until resumed`."""
    return "until resumed" if pause.until is None else f"until {humanize.upcoming_time(pause.until, now, tz)}"


def end_at(at: datetime | None, now: datetime, tz: str) -> str:
    """When a pause that begins now ends: `06:20 UTC, in 11 h 59 min`."""
    if at is None:
        return "when somebody resumes it"
    return f"{humanize.upcoming_time(at, now, tz)}, in {humanize.duration((at - now).total_seconds())}"


def sentence(pause: Pause, job: str, now: datetime, tz: str) -> str:
    """All that is known of a pause that concerns a job, or `all`; unsafe text included."""
    subject = "everything" if job == ALL else job
    whole = "" if pause.target == job else f" with {named(pause.target)}"
    note = f": {pause.note}" if pause.note else ""
    return f"{subject} is paused{whole} by {pause.who} {ends(pause, now, tz)}{note}"


def _holds(pause: Pause, at: datetime) -> bool:
    return pause.since <= at and (pause.until is None or at < pause.until)
