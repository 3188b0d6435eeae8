"""Jobs: a name, two functions, a schedule and limits."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from opsconsole.authoring.scope import Scope
from opsconsole.calendar.windows import MOMENT, Covers, hours, minutes

if TYPE_CHECKING:
    from sqlalchemy.sql import Select

    from opsconsole.authoring.context import Context, Items


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Which scheduled times run that were missed while no process led: the `newest` ones, none older than `within`,
    oldest first.
    """

    newest: int
    within: timedelta | None = None


LATEST = CatchUp(newest=1)
NONE = CatchUp(newest=0)


def all_of(*, newest: int, within: timedelta | None = None) -> CatchUp:
    """Runs all missed times in order, at most the `newest` ones and none older than `within`."""
    return CatchUp(newest, within)


class Overlap(StrEnum):
    """What happens at a scheduled time while an earlier scheduled run of the job is active."""

    SKIP = "skip"
    QUEUE = "queue"  # one run waits
    QUEUE_ALL = "queue_all"  # every run waits, up to MOST_QUEUED
    REPLACE = "replace"


SKIP = Overlap.SKIP
QUEUE = Overlap.QUEUE
QUEUE_ALL = Overlap.QUEUE_ALL
REPLACE = Overlap.REPLACE

MOST_QUEUED = 100
"""How many scheduled runs of a job wait with QUEUE_ALL; later times are skipped, so that a queue cannot grow for ever.
"""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, and after which delays, a batch is retried after a transient error.

    `jitter` is the random share of a delay; it keeps batches that failed together from being retried together.
    """

    times: int = 5
    first: timedelta = timedelta(seconds=0.5)
    longest: timedelta = timedelta(seconds=60)
    jitter: float = 0.5

    def delay(self, attempt: int) -> timedelta:
        """The delay after a failed attempt, counted from 1."""
        full: timedelta = min(self.longest, self.first * float(2 ** min(attempt - 1, 16)))
        return full * (1 - self.jitter * random.random())  # noqa: S311 - spreading load, no secret


@dataclass(frozen=True, slots=True)
class Limits:
    """What health checks expect of a job.

    A scheduled time is overdue, and a queued run late, if the run has not started after `start_within`. `max_age` is
    the longest time since the last good scheduled run; for a manual job, since the last good run by hand. `longest` is
    how long a run may usually take.

    A success rate is ok / (ok + failed). Any failed item is a warning; the rate of a day is one below `warn_below`;
    below `critical_below`, both are critical. That many windows in a row that fail as a whole or below `critical_below`
    are failing repeatedly (`failing_windows`), and pause the job (`pause_after`; None never pauses it).

    `low_work` is the share of the usual number of items below which a run has too few, and `slow_run` the factor of the
    usual duration above which a run is slow. Both are compared with the job's last runs; None turns them off.
    """

    max_age: timedelta | None = None
    longest: timedelta | None = None
    start_within: timedelta = timedelta(minutes=1)
    warn_below: float = 0.95
    critical_below: float = 0.90
    failing_windows: int = 3
    pause_after: int | None = None
    low_work: float | None = 0.5
    slow_run: float | None = 1.5


Population = Callable[[Scope], "Select[tuple[str]] | tuple[str, ...]"]
Apply = Callable[["Context", "Items"], None]
Prepare = Callable[["Context"], "Mapping[str, Any] | None"]
Stale = Callable[[Scope], "Select[tuple[str]]"]
Oldest = Callable[[], "Select[tuple[datetime]]"]


@dataclass(frozen=True, slots=True)
class Job:
    """A batch job: which items it processes, how, and when.

    `population(scope)` returns the keys of the items, each once, as a SELECT of one string column or a short tuple; it
    is read once per run. `apply(ctx, items)` processes a batch and may be called again for the same items.
    `prepare(ctx)` is called once per run before that, for what all batches share: a small JSON-serializable dict, kept
    with the run and its retries as `facts`. `stale(scope)` returns the keys whose result for the window is missing or
    out of date. `oldest()` selects the time of the oldest data that the job processes: earlier windows are empty, not
    missing. With `newest_only` only the newest window can run, because older data would replace newer.
    `results_ttl` is how long results are kept, if they expire.

    `cron` is None for a manual job, which runs only when an operator starts it. With `jitter`, scheduled runs start up
    to that much later, each job always by the same part of it, so that jobs of one time do not start together. `batch`
    is the number of items in a batch, `workers` how many batches of a run are processed at once, `parallel` how many
    windows. Of all jobs with the same `exclusive` name, one runs at a time. A job waits for runs of the jobs in `after`
    whose window ends when its own does, at most `after_wait`. With `skip_when_empty`, scheduled times without items
    make no run. `params` is a msgspec Struct, each field with a default: what an operator may pass to a run, among the
    `options` of its scope. `tag` precedes its log lines; the job's name in brackets if None.
    """

    name: str
    population: Population
    apply: Apply
    prepare: Prepare | None = field(default=None, kw_only=True)
    stale: Stale | None = field(default=None, kw_only=True)
    oldest: Oldest | None = field(default=None, kw_only=True)
    newest_only: bool = field(default=False, kw_only=True)
    results_ttl: timedelta | None = field(default=None, kw_only=True)
    cron: str | None = field(kw_only=True)
    tz: str = field(default="UTC", kw_only=True)
    jitter: timedelta = field(default=timedelta(0), kw_only=True)
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
    skip_when_empty: bool = field(default=False, kw_only=True)
    params: type[msgspec.Struct] | None = field(default=None, kw_only=True)
    aliases: tuple[str, ...] = field(default=(), kw_only=True)
    tag: str | None = field(default=None, kw_only=True)
    description: str = field(default="", kw_only=True)

    @property
    def pack(self) -> str:
        """The pack's name: the part before the dot."""
        return self.name.partition(".")[0]

    @property
    def shift(self) -> timedelta:
        """How long after a scheduled time its run starts, in whole seconds: a part of `jitter` that depends only on the
        job's name.
        """
        if not self.jitter:
            return timedelta(0)
        share = int.from_bytes(sha256(self.name.encode()).digest()[:8]) / 2**64
        return timedelta(seconds=int(share * self.jitter.total_seconds()))

    @property
    def log_tag(self) -> str:
        """What its log lines begin with."""
        return f"[{self.name}]" if self.tag is None else self.tag

    @property
    def spec(self) -> str:
        """A short fingerprint of the settings that determine scheduled times and windows."""
        text = f"{self.cron or ''}|{self.tz}|{self.covers.unit}|{self.covers.back}|{self.catch_up}|{self.overlap}"
        return sha256(text.encode()).hexdigest()[:12]
