"""The values that the service returns: frozen, and without a connection behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.extensions import PanelContent
from opsconsole.authoring.occurrence import OccurrenceRecord, OccurrenceState, Reason
from opsconsole.authoring.parameters import Parameter
from opsconsole.authoring.run import Run
from opsconsole.calendar.windows import Window
from opsconsole.core.problems import Problem, Work
from opsconsole.rules.admission import Wait
from opsconsole.rules.alerts import Acknowledgement, Alert, AlertState, Silence
from opsconsole.rules.explain import Answer
from opsconsole.rules.findings import Finding, FindingKind, Remedy, Severity
from opsconsole.rules.notifications import Notification
from opsconsole.rules.pauses import Pause
from opsconsole.service import wording
from opsconsole.service.alert_cards import AlertCard, AlertPage, firing

if TYPE_CHECKING:
    from opsconsole.cache.figures import RedisStats
    from opsconsole.cache.history import RedisPoint
    from opsconsole.rules.job_history import Usual
    from opsconsole.store.job_facts import Kept
    from opsconsole.store.job_runs import JobRuns
    from opsconsole.store.presence import Attached
    from opsconsole.store.statistics import PastDays, Rates


@dataclass(frozen=True, slots=True)
class Outage:
    """A dependency that is unreachable."""

    since: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Leader:
    """The leader; `is_me` when it is this process. `problems` are what it cannot do, and `notes` the settings that its
    packs lack (pack, sentence; None until they are known), from its last renewal of the lease, `age_seconds` ago.
    When that `is_late`, it starts no work.
    """

    is_me: bool
    who: str
    host: str
    pid: int
    since: datetime
    age_seconds: float = 0.0
    is_late: bool = False
    problems: tuple[Problem, ...] = ()
    notes: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class JobCard:
    """A job as lists show it. `words` is its schedule in words, "manual" for a job without one; `next_at` is when its
    next scheduled run starts, `shift` after the scheduled time; `changed` says who changed its schedule. It is None
    without a schedule or at the end of the calendar.
    """

    name: str
    description: str
    cron: str | None
    tz: str
    words: str
    aliases: tuple[str, ...]
    next_at: datetime | None
    last: Run | None
    shift: timedelta = timedelta(0)
    params: tuple[Parameter, ...] = ()
    changed: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """An active run. `rate` is in items a second; `rate` and `seconds_left` are None while unknown; `waits` is what a
    queued run waits for.
    """

    run: Run
    tz: str
    rate: float | None
    seconds_left: float | None
    waits: Wait | None = None


@dataclass(frozen=True, slots=True)
class JobHistory:
    """A job's success rates, its newest ended runs (newest first), and the median duration in seconds of those over its
    whole population that had items.
    """

    job: str
    rates: Rates
    newest: tuple[Run, ...]
    usual_seconds: float | None


@dataclass(frozen=True, slots=True)
class LostKeys:
    """Redis was restarted before `at` without this many of its keys."""

    at: datetime
    count: int


@dataclass(frozen=True, slots=True)
class RedisView:
    """The newest figures of Redis. `hit_rates` are those of the last intervals, oldest first, None without reads;
    `history` are the figures since this process started, at most of the last hour; `unknown` is why a server that
    answers has no figures, and `lost` the keys that the last restart has cost.
    """

    stats: RedisStats | None
    outage: Outage | None
    hit_rates: tuple[float | None, ...] = ()
    unknown: str | None = None
    history: tuple[RedisPoint, ...] = ()
    lost: LostKeys | None = None


@dataclass(frozen=True, slots=True)
class Preparation:
    """A demo that is not ready: the share that is done, from 0 to 1, the current step, and why it will never be."""

    share: float
    step: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the Dashboard shows, at one time. During a `store_outage` it keeps the previous values; so does each
    part that cannot be read, which is one of the `unknown`. `store_lock` is since when the store accepts no writes,
    because another transaction holds its lock. `findings` are all of them, worst first; those about jobs, about what
    was set aside and about a missing leader (`leaderless`) are also on their own. `health`, `job_runs`,
    `histories_of` and `past_days` are what the next read of the jobs and their histories needs.

    `alerts` are the open ones, worst first, each followed by those that it explains, and then up to 50 that were
    resolved in the last day, newest first. `silences` are the active ones.
    """

    at: datetime
    environment: str
    leader: Leader | None
    jobs: tuple[JobCard, ...] = ()
    live: tuple[Progress, ...] = ()
    recent: tuple[Run, ...] = ()
    histories: tuple[JobHistory, ...] = ()
    histories_at: datetime | None = None
    histories_of: Mapping[str, tuple[Run, ...]] | None = None
    past_days: PastDays | None = None
    redis: RedisView = RedisView(None, None)
    findings: tuple[Finding, ...] = ()
    store_outage: Outage | None = None
    store_lock: Outage | None = None
    preparation: Preparation | None = None
    data_outage: Outage | None = None
    engine_problem: str | None = None
    pauses: tuple[Pause, ...] = ()
    attached: tuple[Attached, ...] = ()
    unknown: tuple[Problem, ...] = ()
    job_findings: tuple[Finding, ...] = ()
    leaderless: tuple[Finding, ...] = ()
    health: Kept | None = None
    job_runs: JobRuns | None = None
    set_aside: tuple[Finding, ...] = ()
    alerts: tuple[AlertCard, ...] = ()
    silences: tuple[Silence, ...] = ()

    @property
    def firing(self) -> tuple[AlertCard, ...]:
        """The alerts that somebody should look at: firing, and not explained by another open one; worst first."""
        return firing(self.alerts)

    def why_unknown(self, part: Work) -> str | None:
        """Why a part could not be read; None when it is known."""
        return next((problem.reason for problem in self.unknown if problem.work == part), None)


@dataclass(frozen=True, slots=True)
class Cause:
    """Failures of one kind: the message of one of them, their count, and the first items."""

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
    """A run with its details. `retries` are the runs that retried it, oldest first. Once it has ended, `failed_in` has
    for each item of `causes` in how many of the job's `last_runs` it failed. `workers` and `batch` are how many batches
    the job runs at once, and their size; they are None for a job that is not loaded.
    """

    at: datetime
    progress: Progress
    grid: tuple[BatchCell, ...]
    causes: tuple[Cause, ...]
    log: tuple[tuple[datetime, str], ...]
    retries: tuple[Run, ...] = ()
    last_runs: int = 0
    failed_in: Mapping[str, int] = field(default_factory=dict)
    usual: Usual | None = None
    workers: int | None = None
    batch: int | None = None

    @property
    def retried_by(self) -> tuple[int, ...]:
        """The numbers of the runs that retried it."""
        return tuple(run.id for run in self.retries)


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
    """The progress of a command that is carried out in steps: the current `step`, the keys `scanned` out of `of`, and
    the keys cleared.
    """

    step: str
    scanned: int
    of: int
    cleared: int


@dataclass(frozen=True, slots=True)
class PanelView:
    """A panel of a pack, with all texts safe to show. When it `failed`, the content's message is the reason."""

    pack: str
    title: str
    content: PanelContent
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """What a trigger would do: its window and its number of items."""

    job: str
    window: Window
    tz: str
    items: int
    environment: str


@dataclass(frozen=True, slots=True)
class OccurrenceRow:
    """A record of scheduled times, with the timezone of its job. `instants` counts those in the requested range; it is
    not `exact` when the schedule that the record was made by is no longer available.
    """

    record: OccurrenceRecord
    tz: str
    instants: int
    exact: bool


@dataclass(frozen=True, slots=True)
class OccurrenceTotal:
    """The number of scheduled times of a job with one outcome, in the requested range."""

    job: str
    state: OccurrenceState
    reason: Reason | None
    instants: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Occurrences:
    """The outcomes of scheduled times: the newest records, newest first, and the totals of all."""

    rows: tuple[OccurrenceRow, ...]
    totals: tuple[OccurrenceTotal, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a job ran or did not run at a scheduled time: one answer for each time that the question can mean. `notes`
    are about the question itself; `previous` and `next` are the scheduled times before and after it.
    """

    job: str
    cron: str | None
    tz: str
    notes: tuple[str, ...]
    answers: tuple[Answer, ...]
    previous: datetime | None
    next: datetime | None


__all__ = [
    "Acknowledgement",
    "Alert",
    "AlertCard",
    "AlertPage",
    "AlertState",
    "Attached",
    "BatchCell",
    "Cause",
    "Explanation",
    "Finding",
    "FindingKind",
    "JobCard",
    "JobHistory",
    "Leader",
    "Notification",
    "OccurrenceRow",
    "OccurrenceTotal",
    "Occurrences",
    "Outage",
    "Outcome",
    "Pause",
    "Preview",
    "Problem",
    "Progress",
    "Rates",
    "RedisStats",
    "RedisView",
    "Remedy",
    "Run",
    "RunPage",
    "Severity",
    "Silence",
    "Snapshot",
    "Work",
]
