"""Scheduled times with their outcomes, and why a job ran or did not run at one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from opsconsole.authoring.occurrence import OccurrenceRecord, OccurrenceState, Reason
from opsconsole.rules.explain import Answer


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
