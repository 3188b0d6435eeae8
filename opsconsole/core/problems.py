"""What is wrong with work that is repeated for as long as a process lives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """How bad something is."""

    WARNING = 1
    CRITICAL = 2


class Work(StrEnum):
    """What is repeated."""

    # what a Snapshot is made of
    LEADER = "leader"
    JOBS = "jobs"
    LIVE_RUNS = "live_runs"
    RECENT_RUNS = "recent_runs"
    HISTORIES = "histories"
    HEALTH = "health"
    PAUSES = "pauses"
    ATTACHED = "attached_consoles"
    SET_ASIDE = "set_aside"
    ALERT_LIST = "alert_list"
    # in every process
    SAMPLER = "sampler"
    PRESENCE = "presence"
    HTTP = "http_server"
    REDIS_KEEPER = "embedded_redis"
    CACHE_READS = "cache_reads"
    SIGNALS = "signals"
    ENGINE = "engine"
    # in the leader
    LEASE = "lease"
    SCHEDULE = "schedule"
    COMMANDS = "commands"
    BACKFILLS = "backfills"
    ADMISSION = "admission"
    AUDIT_SEAL = "audit_seal"
    WORKERS = "workers"
    ATTACHED_WORKERS = "attached_workers"
    BACKGROUND_COMMANDS = "background_commands"
    STALENESS_CHECKS = "staleness_checks"
    CACHE_SIZES = "cache_sizes"
    EVENT_RELAY = "event_relay"
    NOTIFICATIONS = "notifications"  # its loops have the names of their channels, too
    DEAD_MAN = "dead_man_switch"
    ALERTS = "alerts"
    JOB_FACTS = "job_facts"
    SET_ASIDE_FACTS = "set_aside_facts"
    DELIVERIES = "deliveries"
    REDIS_PROBE = "redis_probe"
    DATA_PROBE = "data_probe"
    STORE_PROBE = "store_probe"
    RETENTION = "retention"
    PACK_CHECKS = "pack_checks"
    EMPTY_CHECKS = "empty_checks"
    DISK_SPACE = "disk_space"
    TABLE_SIZES = "table_sizes"
    HEALTH_CHECKS = "health_checks"


class Fault(StrEnum):
    """What is wrong with repeated work."""

    FAILING = "failing"
    UNKNOWN = "unknown"  # it cannot be read
    STALLED = "stalled"  # a step does not return
    ENDED = "ended"  # its thread no longer exists
    NOT_CONFIGURED = "not_configured"  # a pack that lacks a setting in the process that leads


@dataclass(frozen=True, slots=True)
class Problem:
    """Repeated work that is not done, or a pack whose jobs do not work, as `work`. `reason` is why it failed last, or
    what the pack lacks; `dependency` is what it could not reach.
    """

    work: str
    fault: Fault
    since: datetime
    reason: str = ""
    dependency: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """How repeated work is doing: seconds since it last succeeded (None if it never has) and since it last made any
    progress, and what is wrong.
    """

    work: str
    succeeded_seconds: float | None
    progress_seconds: float
    problem: Problem | None
