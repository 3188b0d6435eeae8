"""A backfill and its windows, as far as they are done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from opsconsole.rules.backfill import OLDEST_FIRST, Only, Order, Step, StepState


class BackfillState(StrEnum):
    """The state of a backfill. `done` may include failed windows."""

    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"


ACTIVE = (BackfillState.RUNNING, BackfillState.PAUSED)


class BackfillStopReason(StrEnum):
    """Why a backfill is paused or cancelled."""

    PAUSED = "paused"
    CANCELLED = "cancelled"
    WINDOW_FAILED = "window_failed"


class BackfillStop(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why and by whom a backfill was paused or cancelled; `job` and `window` are those that failed."""

    reason: BackfillStopReason
    by: str = ""
    note: str = ""
    job: str = ""
    window: str = ""


@dataclass(frozen=True, slots=True)
class Backfill:
    """A backfill with the number of its windows in each state. `since` and `until` are dates in each job's timezone;
    `command` is its newest command; with `stop_on_failure` a failed window pauses the rest; `stop` is
    set while it is paused or cancelled.
    """

    id: int
    state: BackfillState
    jobs: tuple[str, ...]
    since: str
    until: str
    only: Only
    stop_on_failure: bool
    requested_by: str
    created_at: datetime
    command: int | None
    started_at: datetime | None
    ended_at: datetime | None
    stop: BackfillStop | None
    counts: dict[StepState, int]
    items: int
    seconds: float | None
    unreadable: str = ""
    order: Order = OLDEST_FIRST

    @property
    def to_run(self) -> int:
        """The number of windows that are not skipped."""
        return sum(self.counts.values()) - self.counts.get(StepState.SKIPPED, 0)

    @property
    def ended(self) -> int:
        """The number of windows whose run has ended."""
        return sum(self.counts.get(state, 0) for state in (StepState.DONE, StepState.PARTIAL, StepState.FAILED))


@dataclass(frozen=True, slots=True)
class StepView:
    """One window of a backfill: its plan, its state and its run."""

    seq: int
    step: Step
    state: StepState
    run: int | None
