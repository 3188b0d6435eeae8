"""The rules about what jobs depend on: services, a leader with its loops and workers, the clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from opsconsole.authoring.batch import Lost
from opsconsole.cache.figures import RedisStats, has_restarted
from opsconsole.calendar.windows import minutes
from opsconsole.core.errors import NAMES
from opsconsole.core.problems import Fault, Problem, Work
from opsconsole.rules.alerts import Alert
from opsconsole.rules.findings import CLOCK, LEADER, Finding, FindingKind, Severity
from opsconsole.rules.leadership import Identity, Lease

SLOW_SECONDS = {NAMES["redis"]: 0.25, NAMES["data"]: 1.0, NAMES["store"]: 1.0}
"""A probe that takes longer has found a slow service."""
LOCKED_FOR_LONG = timedelta(seconds=1)
SLOW_PROBES = 5
"""How many probes in a row must agree before a service becomes slow, or ceases to be."""
RECENTLY = minutes(5)
"""Evictions are counted over this time."""
SAMPLE_EVERY = timedelta(seconds=5)
NEARLY_FULL, FULL = 0.90, 0.97
"""The shares of Redis's memory limit that are a warning, and critical."""
NOT_LEADING_AFTER = timedelta(seconds=30)
"""A restart may take this long. The clocks of two machines may differ by it, too."""
TAKEOVER_SHOWN, JUMP_SHOWN = minutes(15), minutes(15)
LOSSES_COUNTED = minutes(10)
JUMP_TOLERANCE = timedelta(seconds=60)
WORKERS = "the workers"
"""The subject of a finding about worker processes."""
JUDGED_BY_LEADER = frozenset(
    {
        FindingKind.LEADER_LOST,
        FindingKind.WORKER_LOST,
        FindingKind.CLOCK_JUMP,
        FindingKind.DISK_NEARLY_FULL,
        FindingKind.STORE_SIZE,
        FindingKind.TABLE_GROWTH,
        FindingKind.UNUSED_INDEX,
        FindingKind.BLOATED_INDEX,
        FindingKind.NOTIFICATIONS,
        FindingKind.CHECK,
    }
)
"""The kinds of findings that only a leader can judge; other processes know them from its alerts."""


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """What the probes of a service have found. `slow_seconds` is how long the probe took that found it slow; `contrary`
    counts the probes in a row that disagree with `slow_since`.
    """

    name: str
    unreachable_since: datetime | None = None
    reason: str = ""
    slow_since: datetime | None = None
    slow_seconds: float = 0.0
    contrary: int = 0

    def responded(self, at: datetime, seconds: float) -> ServiceRecord:
        """The record after a probe that took `seconds`."""
        is_slow, was_slow = seconds > SLOW_SECONDS[self.name], self.slow_since is not None
        contrary = self.contrary + 1 if is_slow is not was_slow else 0
        if contrary < SLOW_PROBES:
            return replace(self, unreachable_since=None, reason="", contrary=contrary)
        return ServiceRecord(self.name, slow_since=at if is_slow else None, slow_seconds=seconds)

    def reached(self) -> ServiceRecord:
        """The record after something other than a probe has succeeded."""
        return replace(self, unreachable_since=None, reason="")

    def failed(self, at: datetime, reason: str) -> ServiceRecord:
        """The record after a probe that failed."""
        return replace(self, unreachable_since=self.unreachable_since or at, reason=reason)


def services(records: Iterable[ServiceRecord]) -> Iterator[Finding]:
    """Services that do not respond, or respond slowly."""
    for record in records:
        if record.unreachable_since is not None:
            since, reason = record.unreachable_since, record.reason
            yield Finding(Severity.CRITICAL, FindingKind.UNREACHABLE, record.name, since, reason=reason)
        elif record.slow_since is not None:
            numbers = {"seconds": round(record.slow_seconds, 3), "limit_seconds": SLOW_SECONDS[record.name]}
            yield Finding(Severity.WARNING, FindingKind.SLOW, record.name, record.slow_since, numbers=numbers)


def of_leader(alerts: Iterable[Alert], *, is_leading: bool) -> Iterator[Finding]:
    """What is wrong according to the open alerts of the leader, of the kinds that no other process can judge. They are
    outdated unless a process `is_leading`.
    """
    for alert in alerts:
        if alert.is_open and alert.rule in JUDGED_BY_LEADER:
            yield Finding(
                alert.severity,
                alert.rule,
                alert.subject,
                alert.since,
                message=alert.message,
                is_outdated=not is_leading,
            )


def store_locked(since: datetime, holder: str, now: datetime) -> Finding:
    """The store is locked, by a `holder` if it is known: critical once runs have to wait for it."""
    severity = Severity.CRITICAL if now - since >= LOCKED_FOR_LONG else Severity.WARNING
    return Finding(severity, FindingKind.LOCKED, NAMES["store"], since, reason=holder)


@dataclass(frozen=True, slots=True)
class RedisRecord:
    """Figures of Redis over the last minutes, oldest first."""

    samples: tuple[tuple[datetime, RedisStats], ...] = ()

    def after(self, at: datetime, stats: RedisStats) -> RedisRecord:
        """The record with one more sample; one that follows another one too soon replaces it."""
        kept = [each for each in self.samples if at - RECENTLY <= each[0] <= at]
        if len(kept) > 1 and kept[-1][0] - kept[-2][0] < SAMPLE_EVERY:
            kept.pop()
        return RedisRecord((*kept, (at, stats)))


def redis_memory(record: RedisRecord) -> Iterator[Finding]:
    """Whether Redis evicts keys because its memory is full, or soon will."""
    if not record.samples:
        return
    evicted, since = 0, None
    for (_, earlier), (at, later) in pairwise(record.samples):
        grown = (later.evicted or 0) - (earlier.evicted or 0)
        if grown > 0 and not has_restarted(earlier, later):
            evicted, since = evicted + grown, since or at
    if since is not None:
        yield Finding(Severity.WARNING, FindingKind.EVICTING, NAMES["redis"], since, count=evicted)
    at, stats = record.samples[-1]
    if stats.memory is None or not stats.max_memory:
        return
    share = stats.memory / stats.max_memory
    if share >= NEARLY_FULL:
        severity = Severity.CRITICAL if share >= FULL else Severity.WARNING
        numbers = {"percent": int(share * 100), "limit_bytes": stats.max_memory}
        yield Finding(severity, FindingKind.MEMORY_NEARLY_FULL, NAMES["redis"], at, numbers=numbers)


def grace_of(lease_seconds: float) -> timedelta:
    """After how long without a renewal nobody leads, when the lease is valid for that many seconds: it is renewed three
    times during these.
    """
    return max(NOT_LEADING_AFTER, timedelta(seconds=2 * lease_seconds))


def not_leading(
    lease: Lease | None, now: datetime, *, scheduled: bool, grace: timedelta = NOT_LEADING_AFTER
) -> Iterator[Finding]:
    """Whether no process leads although a job is `scheduled`, by the lease alone: nobody has renewed it for longer than
    `grace`, which must be more than it takes to lapse.
    """
    renewed = lease.renewed_at if lease is not None else None
    if not scheduled or (renewed is not None and now - renewed <= grace):
        return
    reason = "" if lease is None or lease.holder is None else f"process {lease.holder.pid} on {lease.holder.host}"
    yield Finding(Severity.CRITICAL, FindingKind.NOT_LEADING, LEADER, renewed or now, reason=reason)


def leader_lost(since: datetime, predecessor: Identity | None, now: datetime) -> Iterator[Finding]:
    """Whether a leadership that began at `since` had to take over from a `predecessor` that died, not long ago."""
    if predecessor is not None and now - since < TAKEOVER_SHOWN:
        reason = f"process {predecessor.pid} on {predecessor.host}"
        yield Finding(Severity.WARNING, FindingKind.LEADER_LOST, LEADER, since, reason=reason)


@dataclass(frozen=True, slots=True)
class WorkerLoss:
    """A worker process that ended, or had to be ended, before its time."""

    at: datetime
    why: Lost


def workers_lost(losses: Sequence[WorkerLoss], now: datetime) -> Iterator[Finding]:
    """The worker processes that were lost lately, by cause."""
    recent = [loss for loss in losses if now - loss.at < LOSSES_COUNTED]
    if recent:
        numbers = dict(Counter(str(loss.why) for loss in recent))
        since = min(loss.at for loss in recent)
        yield Finding(Severity.WARNING, FindingKind.WORKER_LOST, WORKERS, since, count=len(recent), numbers=numbers)


@dataclass(frozen=True, slots=True)
class ClockRecord:
    """The wall clock beside a steady one, in seconds, and its last jump."""

    wall: datetime
    steady: float
    jumped_at: datetime | None = None
    jumped: timedelta = timedelta()

    def after(self, wall: datetime, steady: float) -> ClockRecord:
        """The record after another reading of both clocks."""
        drift = wall - self.wall - timedelta(seconds=steady - self.steady)
        if abs(drift) > JUMP_TOLERANCE:
            return ClockRecord(wall, steady, wall, drift)
        return ClockRecord(wall, steady, self.jumped_at, self.jumped)


def clock_jump(record: ClockRecord) -> Iterator[Finding]:
    """Whether the wall clock was set, forwards or back, not long ago."""
    if record.jumped_at is not None and record.wall - record.jumped_at < JUMP_SHOWN:
        numbers = {"seconds": round(record.jumped.total_seconds())}
        yield Finding(Severity.WARNING, FindingKind.CLOCK_JUMP, CLOCK, record.jumped_at, numbers=numbers)


ESSENTIAL = (Work.ENGINE, Work.LEASE, Work.SCHEDULE, Work.COMMANDS, Work.ADMISSION, Work.BACKFILLS)
"""Without these no run starts."""
TRIED_AGAIN = timedelta(seconds=15)
"""Enough for a second attempt of every loop, and for an answer to it."""


def lasting(problems: Iterable[Problem], now: datetime) -> tuple[Problem, ...]:
    """The problems that are worth an alert: a step that failed is tried again, which usually succeeds, unless no run
    starts without it. What began later than `now` was recorded before the clock was set back.
    """
    return tuple(
        each
        for each in problems
        if each.fault is not Fault.FAILING
        or each.work in ESSENTIAL
        or not timedelta(0) <= now - each.since < TRIED_AGAIN
    )


def degraded(problems: Iterable[Problem], unreachable: Iterable[str]) -> tuple[Finding, ...]:
    """A finding for each kind of work that is not done, but for what an unreachable service explains, and what a pack
    lacks: that is reported with its checks. It is critical where no run makes progress.
    """
    explained = set(unreachable)
    found: dict[str, Finding] = {}
    for problem in problems:
        if problem.fault is Fault.NOT_CONFIGURED:
            continue
        if problem.dependency is None or NAMES.get(problem.dependency, problem.dependency) not in explained:
            is_critical = problem.work in ESSENTIAL or (problem.work == Work.WORKERS and problem.dependency is not None)
            severity = Severity.CRITICAL if is_critical else Severity.WARNING
            found[problem.work] = Finding(
                severity,
                FindingKind.DEGRADED,
                problem.work,
                problem.since,
                reason=problem.reason,
                fault=problem.fault,
            )
    return tuple(found.values())
