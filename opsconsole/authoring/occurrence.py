"""Occurrences: scheduled times of a job and their outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from opsconsole.calendar.windows import minutes

ON_TIME = minutes(1)
"""A run that starts within this time of its scheduled time is not late."""


class OccurrenceState(StrEnum):
    """The outcome of a scheduled time; `due` while its run waits."""

    DUE = "due"
    RAN = "ran"
    LATE = "late"
    SKIPPED = "skipped"
    MISSED = "missed"


RUN_STATES = (OccurrenceState.DUE, OccurrenceState.RAN, OccurrenceState.LATE)
"""The outcomes with a run."""


class Reason(StrEnum):
    """Why a scheduled time has no run, or no second one."""

    OVERLAP = "overlap"
    PAUSED = "paused"
    CAPACITY = "capacity"
    SUPERSEDED = "superseded"
    CATCH_UP_LIMIT = "catch_up_limit"
    CLOCK_JUMP = "clock_jump"
    JOB_REMOVED = "job_removed"
    NOT_LEADING = "not_leading"
    NOTHING_TO_DO = "nothing_to_do"
    CLOCK_SET_BACK = "clock_set_back"  # it has a run, from before the clock was set back; it came again without one


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The planned outcome of a scheduled time, or of a range of `instants` times from `due_at` to `last_due_at`, by the
    schedule with the fingerprint `spec`. `blocked_by` is the run that it overlaps, `replaces` the runs that it ends.
    Its run starts `shift_seconds` later, because of the job's jitter.
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
    shift_seconds: int = 0

    @property
    def runs(self) -> bool:
        """Whether it has a run."""
        return self.state is OccurrenceState.DUE


@dataclass(frozen=True, slots=True)
class OccurrenceRecord:
    """A stored outcome of a scheduled time, or of a range of `instants` times from `due_at` to `last_due_at`. `run` is
    its run, `blocked_by` the run that it overlapped. Because of the job's jitter, its run was to start `shift` after
    the scheduled time.
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
    shift_seconds: int = 0

    @property
    def shift(self) -> timedelta:
        """How long after the scheduled time its run was to start."""
        return timedelta(seconds=self.shift_seconds)

    @property
    def has_run(self) -> bool:
        """Whether it has a run, or had one that was deleted."""
        return self.state in RUN_STATES


@dataclass(frozen=True, slots=True)
class Registration:
    """A job's schedule as the last leader registered it; `cron` is None for a manual job. Scheduled times later than
    `registered_at` and up to `planned_until` are recorded. `unreadable` are the parts that cannot be read.
    """

    job: str
    spec: str
    cron: str | None
    tz: str
    registered_at: datetime
    planned_until: datetime
    removed_at: datetime | None
    unreadable: str = ""


class OccurrenceFilter(msgspec.Struct, frozen=True):
    """Selects scheduled times of a job, in one of these states, in [since, until)."""

    job: str | None = None
    states: tuple[OccurrenceState, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
