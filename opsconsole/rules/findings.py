"""Findings: what is wrong with a job, a service, or a part of this program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from opsconsole.authoring.run import Run
from opsconsole.core.problems import Fault, Severity

CLOCK = "the clock"
"""The subject of a finding about the times that are recorded."""
LEADER = "the leader"
"""The subject of a finding about who leads."""


ENDED = "ended"
"""Among the numbers of a finding about a run that takes long: 1 when the run has ended."""


class FindingKind(StrEnum):
    """What a finding is about. It is the name of the rule that found it."""

    # jobs
    LATE = "late"  # a run has not started
    OVERDUE = "overdue"  # a scheduled time has no run
    NO_GOOD_RUN = "no_good_run"
    LONG_RUN = "long_run"  # a run takes longer than its target
    FAILED_RUN = "failed_run"  # the newest window, with all its retries
    FAILING_REPEATEDLY = "failing_repeatedly"  # several windows in a row
    FAILING_ITEMS = "failing_items"  # items that failed in several of the last runs
    LOW_SUCCESS_RATE = "low_success_rate"
    LOW_WORK = "low_work"  # far fewer items than usual
    SLOW_RUN = "slow_run"  # slower than its own history
    MISSED = "missed"  # scheduled times that did not run
    INCOMPLETE_WINDOWS = "incomplete_windows"  # stale, partial or missing windows
    # services and this program
    UNREACHABLE = "unreachable"  # a service does not respond
    LOCKED = "locked"  # another transaction keeps the store from being written
    SLOW = "slow"  # a service responds slowly
    EVICTING = "evicting"  # Redis evicts keys because its memory is full
    MEMORY_NEARLY_FULL = "memory_nearly_full"
    NOT_LEADING = "not_leading"  # no process leads
    LEADER_LOST = "leader_lost"  # a leader died and another one took over
    WORKER_LOST = "worker_lost"  # workers die
    DEGRADED = "degraded"  # a part of this program does not do its work
    SET_ASIDE = "set_aside"  # something could not be processed and was left out
    CLOCK_AHEAD = "clock_ahead"  # what is recorded is later than now
    CLOCK_JUMP = "clock_jump"
    DISK_NEARLY_FULL = "disk_nearly_full"
    STORE_SIZE = "store_size"  # larger than its retention explains
    TABLE_GROWTH = "table_growth"
    UNUSED_INDEX = "unused_index"
    BLOATED_INDEX = "bloated_index"
    NOTIFICATIONS = "notifications"  # a channel does not deliver
    # packs
    CHECK = "check"  # a check that a pack brings; its subject is `pack.check`


class Remedy(StrEnum):
    """What an operator can do about a finding."""

    TRIGGER = "trigger"
    RETRY = "retry"
    BACKFILL = "backfill"


FindingKey = tuple[FindingKind, str]
"""The identity of a finding: its kind and its subject."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem with a job, a service or a part of this program (`subject`), and when it began.

    `run` is the run concerned, `reason` why a service is unreachable or work is not done (for a pack's check, its
    message), `fault` what is wrong with that work, `good_until` when the job's last good run ended, `count` how many
    were set aside, failed or missed, `recorded_until` the last scheduled time of `jobs` that is recorded and still to
    come; of incomplete windows, `jobs` are those that the job runs after. `numbers` are further figures that the
    finding is based on, and `items` the items that it names. `message` is what is wrong in words, after the subject,
    where that is all that is known: of what only the leader can judge. It `is_outdated` while no process is leading.
    """

    severity: Severity
    kind: FindingKind
    subject: str
    since: datetime
    run: Run | None = None
    reason: str = ""
    good_until: datetime | None = None
    fault: Fault | None = None
    count: int = 1
    recorded_until: datetime | None = None
    jobs: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    numbers: Mapping[str, int | float] = field(default_factory=dict)
    message: str = ""
    is_outdated: bool = False

    @property
    def key(self) -> FindingKey:
        """Its identity, the same for as long as it lasts."""
        return self.kind, self.subject

    @property
    def remedy(self) -> Remedy | None:
        """What to do; None if there is nothing to do but wait, or to repair a service."""
        return remedy_of(self.kind)


_REMEDIES = {
    FindingKind.OVERDUE: Remedy.TRIGGER,
    FindingKind.FAILED_RUN: Remedy.RETRY,
    FindingKind.INCOMPLETE_WINDOWS: Remedy.BACKFILL,
    FindingKind.SLOW_RUN: Remedy.TRIGGER,
}


def remedy_of(kind: FindingKind) -> Remedy | None:
    """What to do about a finding of this kind; None if there is nothing to do but wait, or to repair a service."""
    return _REMEDIES.get(kind)


def worst_first(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings in the order in which they are shown."""
    return tuple(sorted(found, key=lambda finding: (-finding.severity, finding.since)))


__all__ = [
    "CLOCK",
    "ENDED",
    "LEADER",
    "Finding",
    "FindingKey",
    "FindingKind",
    "Remedy",
    "Severity",
    "worst_first",
]
