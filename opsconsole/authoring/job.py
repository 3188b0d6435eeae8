"""A batch job as its author writes it: a name, two functions, a schedule and limits."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from opsconsole.authoring.scope import Scope
from opsconsole.calendar.windows import MOMENT, Covers, hours, minutes

if TYPE_CHECKING:
    from sqlalchemy.sql import Select

    from opsconsole.authoring.context import Context, Items


@dataclass(frozen=True, slots=True)
class CatchUp:
    """How many of the instants missed while nobody led are run: the newest so many, none older than `within`, and the
    oldest of them first.
    """

    newest: int
    within: timedelta | None = None


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
    """What health checks expect of a job.

    `max_age` is the longest time since its last good scheduled run; for a manual job, since its last good run by hand.
    Without it, a scheduled time is overdue if its run has not started after a minute. `longest` is how long a run may
    usually take. `critical_below` is the success rate, ok / (ok + failed), below which a failure is critical.
    """

    max_age: timedelta | None = None
    longest: timedelta | None = None
    critical_below: float = 0.90


Population = Callable[[Scope], "Select[tuple[str]] | tuple[str, ...]"]


Apply = Callable[["Context", "Items"], None]


Prepare = Callable[["Context"], "Mapping[str, Any] | None"]


Stale = Callable[[Scope], "Select[tuple[str]]"]


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
    cron: str | None = field(kw_only=True)
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
    description: str = field(default="", kw_only=True)

    @property
    def pack(self) -> str:
        """The pack's name: what stands before the dot."""
        return self.name.partition(".")[0]

    @property
    def spec(self) -> str:
        """A short fingerprint of what decides the job's instants and windows; it changes when they do."""
        text = f"{self.cron or ''}|{self.tz}|{self.covers.unit}|{self.covers.back}|{self.catch_up}|{self.overlap}"
        return sha256(text.encode()).hexdigest()[:12]
