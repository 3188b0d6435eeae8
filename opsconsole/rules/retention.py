"""What is removed when: the times before which each kind of record is no longer kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from opsconsole.authoring.occurrence import OccurrenceRecord
from opsconsole.core.humanize import count
from opsconsole.core.retention import RetentionSection

KEPT_RUNS = 50
"""The newest runs of a job are kept however old they are: its health is judged by them."""


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """What ended before these times is removed; None for what is kept for good."""

    successes: datetime | None
    failures: datetime | None
    logs: datetime | None
    keys: datetime | None
    occurrences: datetime | None
    commands: datetime | None
    notifications: datetime | None
    health: datetime | None
    audit: datetime | None


def cutoffs(kept: RetentionSection, now: datetime) -> Cutoffs:
    """The times before which records are removed."""
    return Cutoffs(**{name: _before(now, days) for name, days in msgspec.structs.asdict(kept).items()})


def is_over(days: int, at: datetime, now: datetime) -> bool:
    """Whether what ended at a time is no longer kept."""
    before = _before(now, days)
    return before is not None and at < before


def removed_occurrence(kept: RetentionSection, at: datetime, now: datetime) -> str | None:
    """Why a scheduled time has no row, if its row was removed for its age."""
    if not is_over(kept.occurrences, at, now):
        return None
    days = count(kept.occurrences, "day")
    return f"scheduled times are kept for {days} (retention.occurrences); the record of this one has been removed"


def removed_run(kept: RetentionSection, record: OccurrenceRecord, now: datetime) -> str:
    """Why the run of a scheduled time has no row, after its subject: `is no longer kept: ...`."""
    if not any(is_over(days, record.due_at, now) for days in (kept.successes, kept.failures)):
        return "has been deleted"
    return f"is no longer kept: {'; '.join(_run_days(kept))}"


def _run_days(kept: RetentionSection) -> Iterator[str]:
    if kept.successes:
        yield f"successes are removed after {count(kept.successes, 'day')}"
    if kept.failures:
        yield f"other runs after {count(kept.failures, 'day')}"


def _before(now: datetime, days: int) -> datetime | None:
    """None for what is kept for good, and what would be kept from before the calendar begins."""
    if days == 0 or now - datetime.min.replace(tzinfo=UTC) <= timedelta(days=days):
        return None
    return now - timedelta(days=days)
