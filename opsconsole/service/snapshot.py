"""What the faces are told: frozen values, none of them with a connection behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.extensions import PanelContent
from opsconsole.authoring.occurrence import OccurrenceRecord, OccurrenceState, Reason
from opsconsole.authoring.run import Run
from opsconsole.cache.statistics import RedisStats
from opsconsole.calendar.windows import Window
from opsconsole.rules.admission import Wait
from opsconsole.rules.explain import Answer
from opsconsole.rules.health import Finding, Severity
from opsconsole.rules.pauses import Pause
from opsconsole.service import wording
from opsconsole.store.presence import Attached
from opsconsole.store.statistics import Rates


@dataclass(frozen=True, slots=True)
class Outage:
    """A service that does not answer, since when and why."""

    since: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Leader:
    """Who leads; `is_me` when it is this process."""

    is_me: bool
    who: str
    host: str
    pid: int
    since: datetime


@dataclass(frozen=True, slots=True)
class JobCard:
    """A job as lists show it. `words` is its schedule in words, "manual" for a job without one; `next_at` is its next
    scheduled time, None without a schedule or at the end of the calendar.
    """

    name: str
    description: str
    cron: str | None
    tz: str
    words: str
    aliases: tuple[str, ...]
    next_at: datetime | None
    last: Run | None


@dataclass(frozen=True, slots=True)
class Progress:
    """A run that is queued or goes on. `rate` in items a second, `seconds_left` None while either is unknown; `waits`
    is what a queued run waits for.
    """

    run: Run
    tz: str
    rate: float | None
    seconds_left: float | None
    waits: Wait | None = None


@dataclass(frozen=True, slots=True)
class Success:
    """How a job has been doing: rates, its newest ended runs (newest first), its usual duration in seconds, and the
    newest ended runs that its health is judged by, which are no backfill's.
    """

    job: str
    rates: Rates
    newest: tuple[Run, ...]
    usual_seconds: float | None
    judged: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True)
class RedisView:
    """Redis as this process last saw it. `hit_rates` are of the last intervals, oldest first, None without reads."""

    stats: RedisStats | None
    away: Outage | None
    hit_rates: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the Dashboard shows, at one moment. What could not be read is as it was, and `store_away` says so."""

    at: datetime
    environment: str
    leader: Leader | None
    jobs: tuple[JobCard, ...] = ()
    live: tuple[Progress, ...] = ()
    recent: tuple[Run, ...] = ()
    success: tuple[Success, ...] = ()
    redis: RedisView = RedisView(None, None)
    findings: tuple[Finding, ...] = ()
    store_away: Outage | None = None
    data_away: Outage | None = None
    engine_problem: str | None = None
    pauses: tuple[Pause, ...] = ()
    attached: tuple[Attached, ...] = ()


@dataclass(frozen=True, slots=True)
class Cause:
    """Failures of one kind: the message of one of them, how many there are, and the first items."""

    kind: str
    message: str
    count: int
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BatchCell:
    """A batch in a run's grid."""

    seq: int
    state: BatchState
    items: int
    failed: int


@dataclass(frozen=True, slots=True)
class RunPage:
    """A run with all that is kept of it. `retried_by` are the runs that retried it."""

    at: datetime
    progress: Progress
    grid: tuple[BatchCell, ...]
    causes: tuple[Cause, ...]
    log: tuple[tuple[datetime, str], ...]
    retried_by: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a command. `facts` are the values its verb returns, such as the keys cleared of each family; or
    the `error`, its `message` and the `exit_code` when it was refused.
    """

    verb: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> int | None:
        """The run that was queued or changed."""
        return self.facts.get("run")

    @property
    def runs(self) -> tuple[int, ...]:
        """The runs that were queued."""
        return tuple(self.facts.get("runs", ()))

    @property
    def error(self) -> str | None:
        """The code of the error that refused it, such as `unknown_job`."""
        return self.facts.get("error")

    @property
    def refused(self) -> str | None:
        """The message of that error; None when the command was executed."""
        return self.facts.get("message") if self.error is not None else None

    @property
    def done(self) -> str | None:
        """What was done, as a sentence; None when that is one run, queued."""
        return None if self.error is not None else wording.done(self.verb, self.facts)

    @property
    def exit_code(self) -> int:
        """The exit code for a command line."""
        return int(self.facts.get("exit_code", 0))


@dataclass(frozen=True, slots=True)
class CommandProgress:
    """How far a command is that takes long: `step` in a word, how many of how many keys it has looked at, and how many
    it has cleared.
    """

    step: str
    scanned: int
    of: int
    cleared: int


@dataclass(frozen=True, slots=True)
class PanelView:
    """What a pack shows of itself, all texts safe; `troubled` when it could not be read, and says why."""

    pack: str
    title: str
    shown: PanelContent
    troubled: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """What a trigger would do: the window, and how many items."""

    job: str
    window: Window
    tz: str
    items: int
    environment: str


@dataclass(frozen=True, slots=True)
class OccurrenceRow:
    """A row of what became of scheduled instants, in the zone of its job. `instants` are those of it that lie in the
    stretch that was asked about; not `exact` when the schedule it was made by is not known any more.
    """

    account: OccurrenceRecord
    tz: str
    instants: int
    exact: bool


@dataclass(frozen=True, slots=True)
class OccurrenceTotal:
    """How many instants of a job came to the same, in the stretch that was asked about."""

    job: str
    state: OccurrenceState
    reason: Reason | None
    instants: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Occurrences:
    """What became of scheduled instants: the newest rows, newest first, and the totals of all."""

    rows: tuple[OccurrenceRow, ...]
    totals: tuple[OccurrenceTotal, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an instant ran or did not: one answer for each moment that the time asked about can mean. `previous` and
    `next` are the instants before and after it.
    """

    job: str
    cron: str | None
    tz: str
    notes: tuple[str, ...]
    answers: tuple[Answer, ...]
    previous: datetime | None
    next: datetime | None


__all__ = [
    "Attached",
    "BatchCell",
    "Cause",
    "Explanation",
    "Finding",
    "JobCard",
    "Leader",
    "OccurrenceRow",
    "OccurrenceTotal",
    "Occurrences",
    "Outage",
    "Outcome",
    "Pause",
    "Preview",
    "Progress",
    "Rates",
    "RedisStats",
    "RedisView",
    "Run",
    "RunPage",
    "Severity",
    "Snapshot",
    "Success",
]
