"""The tables of the store, one module for each subject."""

from __future__ import annotations

from opsconsole.store.tables.alerting import alerts, health_checks, notifications, silences
from opsconsole.store.tables.measuring import cache_days, set_aside, table_days
from opsconsole.store.tables.operating import audit, audit_start, commands, lease, presence
from opsconsole.store.tables.running import (
    ENDED_SQL,
    NEEDS_ATTENTION_SQL,
    NOT_SCHEDULED_SQL,
    NOT_SUCCEEDED_SQL,
    batches,
    failures,
    log,
    runs,
)
from opsconsole.store.tables.scheduling import (
    NOT_FRESH_SQL,
    RANGE_SQL,
    backfills,
    jobs,
    occurrences,
    pauses,
    schedules,
    steps,
    windows,
)
from opsconsole.store.tables.schema import metadata

__all__ = [
    "ENDED_SQL",
    "NEEDS_ATTENTION_SQL",
    "NOT_FRESH_SQL",
    "NOT_SCHEDULED_SQL",
    "NOT_SUCCEEDED_SQL",
    "RANGE_SQL",
    "alerts",
    "audit",
    "audit_start",
    "backfills",
    "batches",
    "cache_days",
    "commands",
    "failures",
    "health_checks",
    "jobs",
    "lease",
    "log",
    "metadata",
    "notifications",
    "occurrences",
    "pauses",
    "presence",
    "runs",
    "schedules",
    "set_aside",
    "silences",
    "steps",
    "table_days",
    "windows",
]
