"""Pauses: which scheduled times of which jobs they skip."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

ALL = "all"
"""The target of a pause of every job."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Skips the scheduled times of `target` (a job, a pack or "all") in [since, until); `until` None means no end."""

    id: int
    target: str
    since: datetime
    until: datetime | None
    who: str
    note: str

    def skips(self, job: str, at: datetime) -> bool:
        """Whether a scheduled time of the job at `at` is skipped."""
        return self.applies_to(job) and self.since <= at and (self.until is None or at < self.until)

    def applies_to(self, job: str) -> bool:
        """Whether the job is in the pause's target."""
        return self.target in (ALL, job.partition(".")[0], job)
