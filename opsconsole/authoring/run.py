"""Runs: executions of a job for a window, with their states and counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from opsconsole.calendar.windows import Window


class Trigger(StrEnum):
    """Why a run exists."""

    SCHEDULE = "schedule"
    HAND = "hand"
    RETRY = "retry"
    BACKFILL = "backfill"


class RunState(StrEnum):
    """The state of a run."""

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


class Selection(StrEnum):
    """Which items a run processes: all of its population, or of its parent; those that its parent did
    not complete; or those whose result is out of date.
    """

    ALL = "all"
    FAILED = "failed"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Counts:
    """Item counts of a run. When it has ended, planned = ok + failed + skipped + not_reached."""

    planned: int = 0
    ok: int = 0
    failed: int = 0
    skipped: int = 0
    not_reached: int = 0

    @property
    def tried(self) -> int:
        """Items that have an outcome."""
        return self.ok + self.failed + self.skipped


class StopReason(StrEnum):
    """Why a run stops early."""

    CANCELLED = "cancelled"
    REPLACED = "replaced"


class Stop(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request that a run ends: at the next batch boundary, or by force from `force_at` on. `run` replaces it."""

    by: str
    at: datetime
    force_at: datetime
    reason: StopReason = StopReason.CANCELLED
    note: str = ""
    run: int | None = None

    @property
    def message(self) -> str:
        """The reason in words: `cancelled by asha: too slow`."""
        by = f"run {self.run}" if self.run is not None else self.by
        return f"{self.reason} by {by}" + (f": {self.note}" if self.note else "")


NO_PARAMS: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a job for one window, as the store has it. Times are aware and in UTC. `unreadable` are the
    parts of its record that cannot be read; they have neutral values. With `keys_removed`, the keys of the items that
    did not fail are no longer kept. `params` are the parameters that an operator gave.
    """

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
    requested_by: str
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
    keys_removed: bool = False
    unreadable: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        """Its duration; None until it has ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()
