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
    CATCH_UP_LIMIT = "catch-up limit"
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
