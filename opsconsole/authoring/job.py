"""The values everything else is made of: jobs and packs as authors write them, batches and runs as they travel."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from opsconsole.authoring.extensions import Panel, Route
from opsconsole.calendar.windows import MOMENT, Covers, Window, hours, minutes

if TYPE_CHECKING:
    from sqlalchemy import MetaData
    from sqlalchemy.sql import Select

    from opsconsole.authoring.context import Context, Items
    from opsconsole.cache.families import Family
    from opsconsole.core.database import Database

DETAILED_FAILURES = 100
"""So many failures of a batch, and of a run, are kept whole; the rest are counted by kind."""


ON_TIME = minutes(1)
"""A run that starts within this time of its instant is not late."""


class Trigger(StrEnum):
    """Why a run exists."""

    SCHEDULE = "schedule"
    HAND = "hand"
    RETRY = "retry"
    BACKFILL = "backfill"


class RunState(StrEnum):
    """Where a run is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"


LIVE = (RunState.RUNNING, RunState.INTERRUPTED)
OPEN = (RunState.QUEUED, *LIVE)
TERMINAL = tuple(state for state in RunState if state not in OPEN)
NEEDS_A_LOOK = tuple(state for state in TERMINAL if state is not RunState.SUCCEEDED)


class BatchState(StrEnum):
    """Where a batch is in its life; `replaced` by its halves, or by its keys to try again."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    REPLACED = "replaced"
    NOT_REACHED = "not_reached"


class OccurrenceState(StrEnum):
    """What became of a scheduled instant; `due` while its run waits."""

    DUE = "due"
    RAN = "ran"
    LATE = "late"
    SKIPPED = "skipped"
    MISSED = "missed"


class Reason(StrEnum):
    """Why a scheduled instant has no run of its own."""

    OVERLAP = "overlap"
    PAUSED = "paused"
    CAPACITY = "capacity"
    SUPERSEDED = "superseded"
    CATCH_UP_LIMIT = "catch-up limit"
    CLOCK_JUMP = "clock_jump"
    JOB_REMOVED = "job_removed"
    NOT_LEADING = "not_leading"


@dataclass(frozen=True, slots=True)
class CatchUp:
    """How many of the instants missed while nobody led are run: the newest so many, none older than `within`, and the
    oldest of them first.
    """

    newest: int
    within: timedelta | None = None


BY_HAND = "0 0 29 2 *"
"""The schedule of a job that is started by hand: every job has one, and this one comes every four years."""

LATEST = CatchUp(newest=1)
NONE = CatchUp(newest=0)


def all_of(*, newest: int, within: timedelta | None = None) -> CatchUp:
    """Every missed instant is run in order, up to the `newest` so many and back to `within` ago."""
    return CatchUp(newest, within)


class Overlap(StrEnum):
    """What happens to an instant that comes while the job's earlier scheduled run still goes on."""

    SKIP = "skip"
    QUEUE = "queue"
    REPLACE = "replace"


SKIP = Overlap.SKIP
QUEUE = Overlap.QUEUE
REPLACE = Overlap.REPLACE


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently a transient error is tried again.

    `jitter` is the share of a delay that is drawn by chance, so that batches that failed together do not come back
    together.
    """

    times: int = 5
    first: timedelta = timedelta(seconds=0.5)
    longest: timedelta = timedelta(seconds=60)
    jitter: float = 0.5

    def delay(self, attempt: int) -> timedelta:
        """How long to wait after the failed `attempt`, counted from 1."""
        full: timedelta = min(self.longest, self.first * float(2 ** min(attempt - 1, 16)))
        return full * (1 - self.jitter * random.random())  # noqa: S311 - spreading load, no secret


@dataclass(frozen=True, slots=True)
class Limits:
    """What a healthy job keeps to.

    `max_age`: time since its last good scheduled run; without one, an instant that has not started is late after a
    minute. `longest`: a run's usual target. Rates are shares of 1, ok / (ok + failed).
    """

    max_age: timedelta | None = None
    longest: timedelta | None = None
    critical_below: float = 0.90


@dataclass(frozen=True, slots=True)
class Scope:
    """What a job may know before it starts: no clock, no connection.

    `facts` are what its `prepare` found out, empty while its population is read; `options` the settings of its pack.
    """

    window: Window
    as_of: datetime
    facts: Mapping[str, Any]
    options: Mapping[str, Any]


Population = Callable[[Scope], "Select[tuple[str]] | tuple[str, ...]"]
Apply = Callable[["Context", "Items"], None]
Prepare = Callable[["Context"], "Mapping[str, Any] | None"]
Stale = Callable[[Scope], "Select[tuple[str]]"]


class Selection(StrEnum):
    """Which items a run is about: all of its population, or of its parent; those that failed in its parent or were not
    reached; or those whose result is out of date.
    """

    ALL = "all"
    FAILED = "failed"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Job:
    """A batch job: which items, what is done to a batch of them, and when.

    `population(scope)` gives the items' keys, each once, as a SELECT of one string column or a short tuple of names; it
    is read once a run. `apply(ctx, items)` does the work on a batch and may be called again for the same items.
    `prepare(ctx)` is called once a run before that, for what all batches share: a small dict that travels as JSON, kept
    with the run and its retries as `facts`. `stale(scope)` gives the keys whose result for the window is missing or out
    of date. With `newest_only` no window but the newest may be run: older data would replace newer. `results_last` is
    how long what it makes is there, when that goes by itself.
    `batch` is how many items a batch has, `workers` how many batches of a run go on at once, `parallel` how many
    windows. Of the jobs with one `exclusive` name one runs at a time. A job waits for runs of the jobs in `after` whose
    window ends when its own does, no longer than `after_wait`. `tag` stands before its log lines; the job's name when
    None.
    """

    name: str
    population: Population
    apply: Apply
    prepare: Prepare | None = field(default=None, kw_only=True)
    stale: Stale | None = field(default=None, kw_only=True)
    newest_only: bool = field(default=False, kw_only=True)
    results_last: timedelta | None = field(default=None, kw_only=True)
    cron: str = field(kw_only=True)
    tz: str = field(default="UTC", kw_only=True)
    covers: Covers = field(default=MOMENT, kw_only=True)
    batch: int = field(default=100, kw_only=True)
    batch_timeout: timedelta = field(default=minutes(5), kw_only=True)
    timeout: timedelta = field(default=hours(1), kw_only=True)
    retry: Retry = field(default=Retry(), kw_only=True)
    workers: int = field(default=1, kw_only=True)
    parallel: int = field(default=1, kw_only=True)
    limits: Limits = field(default=Limits(), kw_only=True)
    catch_up: CatchUp = field(default=LATEST, kw_only=True)
    overlap: Overlap = field(default=SKIP, kw_only=True)
    exclusive: str | None = field(default=None, kw_only=True)
    after: tuple[str, ...] = field(default=(), kw_only=True)
    after_wait: timedelta = field(default=hours(1), kw_only=True)
    priority: int = field(default=0, kw_only=True)
    aliases: tuple[str, ...] = field(default=(), kw_only=True)
    tag: str | None = field(default=None, kw_only=True)
    says: str = field(default="", kw_only=True)

    @property
    def pack(self) -> str:
        """The pack's name: what stands before the dot."""
        return self.name.partition(".")[0]

    @property
    def spec(self) -> str:
        """A short fingerprint of what decides the job's instants and windows; it changes when they do."""
        text = f"{self.cron}|{self.tz}|{self.covers.unit}|{self.covers.back}|{self.catch_up}|{self.overlap}"
        return sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What is to become of a scheduled instant, or of a stretch of `instants` from `due_at` to `last_due_at`, by the
    schedule with the fingerprint `spec`. `blocked_by` is the run that an overlap was with; `replaces` are the runs that
    this one ends.
    """

    job: str
    spec: str
    due_at: datetime
    last_due_at: datetime
    instants: int
    state: OccurrenceState
    reason: Reason | None = None
    blocked_by: int | None = None
    replaces: tuple[int, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether the instant has a run of its own."""
        return self.state is OccurrenceState.DUE


@dataclass(frozen=True, slots=True)
class Pack:
    """One domain's jobs with the tables and cache families they work on, and what it shows and answers.

    `settings` is the shape of its section of the configuration; its fields, with their defaults, are what the jobs find
    as `options`.
    `sample(data, users, since, until)` writes made-up data: so many users, and what happened in [since, until).
    Stretches written one after another add up to the whole, and one that is there already adds nothing. The demo has
    `sample_days` of it. `notes(options)` says what is not set and keeps some of its jobs from working, a sentence each;
    `opsconsole check` tells it.
    """

    name: str
    jobs: tuple[Job, ...]
    families: tuple[Family, ...] = ()
    metadata: MetaData | None = None
    settings: type[msgspec.Struct] | None = None
    routes: tuple[Route, ...] = ()
    panels: tuple[Panel, ...] = ()
    sample: Callable[[Database, int, datetime, datetime], None] | None = None
    sample_days: int = 5
    notes: Callable[[Mapping[str, Any]], tuple[str, ...]] | None = None


class Batch(msgspec.Struct, frozen=True):
    """All that a worker needs to carry out one batch; travels as JSON."""

    run: int
    seq: int
    attempt: int
    job: str
    window: Window
    as_of: datetime
    keys: list[str]
    facts: dict[str, Any]
    timeout_seconds: float


class Failure(msgspec.Struct, frozen=True):
    """One item that was not done: `kind` groups like with like, `message` says it to a person."""

    item: str
    kind: str
    message: str


class BatchResult(msgspec.Struct):
    """What became of a batch; travels as JSON. `ok + failed + skipped + again` are its keys.

    `broken` names the dependency that was away, `reason` says how; `lost` says how the worker ended when it did not
    come back, `ended` names the process and the signal; `error` is a failure of the job itself, outside any item.
    """

    run: int
    seq: int
    attempt: int
    ok: int = 0
    failed: list[str] = []
    skipped: dict[str, int] = {}
    again: list[str] = []
    broken: str | None = None
    reason: str | None = None
    lost: str | None = None
    ended: str | None = None
    error: str | None = None
    failures: list[Failure] = []
    kinds: dict[str, int] = {}
    metrics: dict[str, int | float] = {}
    log: list[str] = []
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a run is; planned = ok + failed + skipped + not_reached once it has ended."""

    planned: int = 0
    ok: int = 0
    failed: int = 0
    skipped: int = 0
    not_reached: int = 0

    @property
    def tried(self) -> int:
        """Items that have an outcome."""
        return self.ok + self.failed + self.skipped


class Stop(msgspec.Struct, frozen=True):
    """Somebody's wish that a run ends: at the next batch boundary, and by force from `force_at` on."""

    by: str
    at: datetime
    force_at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a job for one window, as the store has it. Times are aware and in UTC."""

    id: int
    job: str
    window: Window
    as_of: datetime
    trigger: Trigger
    state: RunState
    attempt: int
    parent: int | None
    selection: Selection
    command: int | None
    asked_by: str
    host: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    counts: Counts
    planning_done: bool
    batches: int
    batches_done: int
    kinds: Mapping[str, int]
    metrics: Mapping[str, int | float]
    facts: Mapping[str, Any]
    error: str | None
    log_lines: int
    stop: Stop | None = None
    recoveries: int = 0
    occurrence: int | None = None

    @property
    def seconds(self) -> float | None:
        """From its own start to its own end; None until it has ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()
