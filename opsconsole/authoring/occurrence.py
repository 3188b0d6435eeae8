"""Scheduled times of a job, and what becomes of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from opsconsole.calendar.windows import minutes

ON_TIME = minutes(1)
"""A run that starts within this time of its instant is not late."""


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
    CATCH_UP_LIMIT = "catch_up_limit"
    CLOCK_JUMP = "clock_jump"
    JOB_REMOVED = "job_removed"
    NOT_LEADING = "not_leading"


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
class OccurrenceRecord:
    """A row: what became of an instant, or of `instants` of them from `due_at` to `last_due_at`. `run` is its own,
    `blocked_by` the one it gave way to.
    """

    id: int
    job: str
    due_at: datetime
    last_due_at: datetime
    instants: int
    state: OccurrenceState
    reason: Reason | None
    blocked_by: int | None
    spec: str
    token: int
    recorded_at: datetime
    started_at: datetime | None
    run: int | None


@dataclass(frozen=True, slots=True)
class Registration:
    """A job as the leader that last registered it saw it. Instants later than `registered_at` and up to `planned_until`
    are accounted for.
    """

    job: str
    spec: str
    cron: str | None
    tz: str
    registered_at: datetime
    planned_until: datetime
    removed_at: datetime | None
