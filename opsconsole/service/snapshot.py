"""The Snapshot of an installation, and the values in it: frozen, and without a connection behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from opsconsole.authoring.extensions import PanelContent
from opsconsole.authoring.parameters import Parameter
from opsconsole.authoring.run import Run
from opsconsole.calendar.windows import Window
from opsconsole.core.problems import Problem, Work
from opsconsole.rules.admission import Wait
from opsconsole.rules.alerts import Acknowledgement, Alert, AlertState, Silence
from opsconsole.rules.findings import Finding, FindingKind, Remedy, Severity
from opsconsole.rules.notifications import Notification
from opsconsole.rules.pauses import Pause
from opsconsole.service.alert_cards import AlertCard, AlertPage, firing

if TYPE_CHECKING:
    from opsconsole.cache.figures import RedisStats
    from opsconsole.cache.history import RedisPoint
    from opsconsole.store.job_facts import ReadState
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
    next scheduled run starts, `shift` after the scheduled time, and None without a schedule or at the end of the
    calendar; `changed` names who changed its schedule; `has_calendar` means that it can be backfilled.
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
    has_calendar: bool = True


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

    The parts that are `unread` follow in the next Snapshot, a moment later.

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
    unread: tuple[Work, ...] = ()
    job_findings: tuple[Finding, ...] = ()
    leaderless: tuple[Finding, ...] = ()
    health: ReadState | None = None
    job_runs: JobRuns | None = None
    set_aside: tuple[Finding, ...] = ()
    alerts: tuple[AlertCard, ...] = ()
    silences: tuple[Silence, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every part has been read, or could not be. Redis is left out of the first Snapshot."""
        redis = self.redis
        return not self.unread and (redis.stats, redis.outage, redis.unknown) != (None, None, None)

    @property
    def firing(self) -> tuple[AlertCard, ...]:
        """The alerts that somebody should look at: firing, and not explained by another open one; worst first."""
        return firing(self.alerts)

    def why_unknown(self, part: Work) -> str | None:
        """Why a part could not be read; None when it is known."""
        return next((problem.reason for problem in self.unknown if problem.work == part), None)


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


__all__ = [
    "Acknowledgement",
    "Alert",
    "AlertCard",
    "AlertPage",
    "AlertState",
    "Attached",
    "Finding",
    "FindingKind",
    "JobCard",
    "JobHistory",
    "Leader",
    "Notification",
    "Outage",
    "Pause",
    "Preview",
    "Problem",
    "Progress",
    "Rates",
    "RedisStats",
    "RedisView",
    "Remedy",
    "Run",
    "Severity",
    "Silence",
    "Snapshot",
    "Work",
]
