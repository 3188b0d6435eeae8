"""The tables of the store."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from opsconsole.core.column_types import Json, UtcTime
from opsconsole.core.indexes import partial_index

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite autoincrements only a column that is exactly INTEGER.
serial = BigInteger().with_variant(Integer, "sqlite")

NEEDS_ATTENTION_SQL = "state IN ('partial', 'failed', 'timed_out', 'cancelled', 'abandoned')"
NOT_SUCCEEDED_SQL = "state <> 'succeeded'"
NOT_SCHEDULED_SQL = "trigger <> 'schedule'"
ENDED_SQL = "ended_at IS NOT NULL"
"""Conditions of partial indexes on runs."""
NOT_FRESH_SQL = "(result <> 'fresh' OR stale > 0 OR NOT complete)"
"""The condition of a partial index on windows. A query has to contain it in the same words."""
RANGE_SQL = "instants > 1"
"""The condition of a partial index on occurrences, and of the queries that use it: a row of several times."""

lease = Table(
    "ops_lease",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # Unique, so that on PostgreSQL a fenced transaction blocks a takeover but not a renewal.
    Column("token", BigInteger, nullable=False, unique=True),
    Column("beat", BigInteger, nullable=False),
    Column("owner", String, nullable=True),
    Column("host", String, nullable=True),
    Column("pid", Integer, nullable=True),
    Column("pid_started", String, nullable=True),
    Column("boot", String, nullable=True),
    Column("who", String, nullable=True),
    Column("since", UtcTime, nullable=True),
    Column("renewed_at", UtcTime, nullable=True),
    # What the holder cannot do, from its newest renewal.
    Column("problems", Text, nullable=True),
    CheckConstraint("id = 1", name="one_row"),
)

jobs = Table(
    "ops_jobs",
    metadata,
    Column("job", String, primary_key=True),
    Column("spec", String, nullable=False),
    Column("cron", String, nullable=True),  # NULL for a job that only runs when an operator starts it
    Column("tz", String, nullable=False),
    Column("registered_at", UtcTime, nullable=False),
    Column("planned_until", UtcTime, nullable=False),
    Column("removed_at", UtcTime, nullable=True),
)

# Schedules that operators changed. They apply over code and configuration, which had `base_cron` and `base_tz` then.
schedules = Table(
    "ops_schedules",
    metadata,
    Column("job", String, primary_key=True),
    Column("cron", String, nullable=False),
    Column("tz", String, nullable=False),
    Column("who", String, nullable=False),
    Column("note", String, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("base_cron", String, nullable=True),
    Column("base_tz", String, nullable=False),
)

# A target is a job, a pack, or "all". Rows are kept: they explain why a scheduled time was skipped.
pauses = Table(
    "ops_pauses",
    metadata,
    Column("id", serial, primary_key=True),
    Column("target", String, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=True),
    Column("who", String, nullable=False),
    Column("note", String, nullable=False),
)

occurrences = Table(
    "ops_occurrences",
    metadata,
    Column("id", serial, primary_key=True),
    Column("job", String, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    # A range of scheduled times with one reason is one row: the first and the last time, and their number.
    Column("last_due_at", UtcTime, nullable=False),
    Column("instants", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=True),
    Column("blocked_by", BigInteger, nullable=True),
    Column("spec", String, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("started_at", UtcTime, nullable=True),
    # How long after it its run was to start, because of the job's jitter.
    Column("shift_seconds", Integer, nullable=False, server_default=text("0")),
    UniqueConstraint("job", "due_at"),
    Index(None, "state", "last_due_at"),  # recent ones without a run, and those ahead of a clock that was set back
    Index(None, "due_at", "id"),  # the newest of all jobs
    partial_index("ix_ops_occurrences_ranges", "last_due_at", where=text(RANGE_SQL)),
)

runs = Table(
    "ops_runs",
    metadata,
    Column("id", serial, primary_key=True),
    Column("job", String, nullable=False),
    Column("window_label", String, nullable=False),
    Column("window_start", UtcTime, nullable=False),
    Column("window_end", UtcTime, nullable=False),
    Column("as_of", UtcTime, nullable=False),
    Column("trigger", String, nullable=False),
    Column("occurrence_id", serial, ForeignKey("ops_occurrences.id"), nullable=True, unique=True),
    Column("parent_id", serial, ForeignKey("ops_runs.id"), nullable=True),
    Column("selection", String, nullable=False, server_default="all"),
    Column("command_id", BigInteger, nullable=True),
    Column("requested_by", String, nullable=False),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    Column("spec", String, nullable=False),
    Column("state", String, nullable=False),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("token", BigInteger, nullable=True),
    Column("host", String, nullable=True),
    Column("version", String, nullable=True),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime, nullable=True),
    Column("ended_at", UtcTime, nullable=True),
    Column("planning_done", Boolean, nullable=False, server_default=text("false")),
    Column("batches", Integer, nullable=False, server_default=text("0")),
    Column("batches_done", Integer, nullable=False, server_default=text("0")),
    Column("planned", Integer, nullable=False, server_default=text("0")),
    Column("ok", Integer, nullable=False, server_default=text("0")),
    Column("failed", Integer, nullable=False, server_default=text("0")),
    Column("skipped", Integer, nullable=False, server_default=text("0")),
    Column("not_reached", Integer, nullable=False, server_default=text("0")),
    Column("facts", Json, nullable=False),
    # The parameters that an operator gave; NULL without any.
    Column("params", Json, nullable=True),
    Column("kinds", Json, nullable=False),
    Column("metrics", Json, nullable=False),
    Column("error", Text, nullable=True),
    Column("log_lines", Integer, nullable=False, server_default=text("0")),
    Column("stop", Json, nullable=True),
    Column("recoveries", Integer, nullable=False, server_default=text("0")),
    # Whether the retention has removed batches, and with them the keys of their items.
    Column("keys_removed", Boolean, nullable=False, server_default=text("false")),
    Index(None, "state", "id"),
    Index(None, "job", "created_at"),
    Index(None, "job", "id"),  # the newest runs of a job
    Index(None, "job", "state", "ended_at"),  # its last good run
    # Everything that success rates are made of.
    partial_index("ix_ops_runs_ended", "ended_at", "job", "ok", "failed", where=text(ENDED_SQL)),
    Index(None, "parent_id"),
    # Lists of runs, newest first, by what is rare among them.
    Index(None, "created_at"),
    Index(None, "window_label", "created_at"),
    *(
        partial_index(f"ix_ops_runs_{name}", *columns, where=text(condition))
        for name, columns, condition in (
            ("not_succeeded", ("state", "created_at"), NOT_SUCCEEDED_SQL),
            ("job_attention", ("job", "created_at"), NEEDS_ATTENTION_SQL),
            ("requested_by", ("requested_by", "created_at"), NOT_SCHEDULED_SQL),
            ("trigger", ("trigger", "created_at"), NOT_SCHEDULED_SQL),
        )
    ),
)

batches = Table(
    "ops_batches",
    metadata,
    Column("run_id", serial, ForeignKey("ops_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("state", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("deaths", Integer, nullable=False),
    Column("not_before", UtcTime, nullable=True),
    Column("items", Integer, nullable=False),
    Column("keys", Json, nullable=False),
    Column("ok", Integer, nullable=False, server_default=text("0")),
    Column("failed", Integer, nullable=False, server_default=text("0")),
    Column("skipped", Integer, nullable=False, server_default=text("0")),
    # NULL when every key of the batch failed, or none.
    Column("failed_keys", Json, nullable=True),
    Column("cause", Text, nullable=True),
    Column("started_at", UtcTime, nullable=True),
    Column("seconds", Float, nullable=True),
    Index(None, "run_id", "state"),
)

failures = Table(
    "ops_failures",
    metadata,
    Column("id", serial, primary_key=True),
    Column("run_id", serial, ForeignKey("ops_runs.id", ondelete="CASCADE"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("item", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("message", Text, nullable=False),
    Index(None, "run_id"),
)

log = Table(
    "ops_log",
    metadata,
    Column("id", serial, primary_key=True),
    Column("run_id", serial, ForeignKey("ops_runs.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("line", Text, nullable=False),
    Index(None, "run_id"),
)

commands = Table(
    "ops_commands",
    metadata,
    Column("id", serial, primary_key=True),
    Column("verb", String, nullable=False),
    Column("target", String, nullable=False),
    Column("arguments", Json, nullable=False),
    Column("requested_by", String, nullable=False),
    Column("requested_from", String, nullable=False),
    Column("requested_at", UtcTime, nullable=False),
    Column("state", String, nullable=False),
    Column("outcome", Json, nullable=True),
    Column("done_at", UtcTime, nullable=True),
    Column("role", String, nullable=False, server_default="operator"),
    # Sent by a client, so that a request that it repeats is carried out once.
    Column("key", String, nullable=True),
    Index(None, "state"),
    Index(None, "requested_by", "key", unique=True),
)

audit = Table(
    "ops_audit",
    metadata,
    Column("id", serial, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("command_id", BigInteger, nullable=True),
    Column("who", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("verb", String, nullable=False),
    Column("target", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("before", Json, nullable=True),
    Column("after", Json, nullable=True),
    Column("previous", String, nullable=False, unique=True),
    Column("hash", String, nullable=False, unique=True),
)

# The last row of the audit trail that was removed for its age: the trail starts after it.
audit_start = Table(
    "ops_audit_start",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("row", BigInteger, nullable=False),
    Column("hash", String, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

presence = Table(
    "ops_presence",
    metadata,
    Column("owner", String, primary_key=True),
    Column("who", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("interface", String, nullable=False),
    Column("screen", String, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
)

# The last known state of each window of a job's data; outlives the runs it was derived from.
windows = Table(
    "ops_windows",
    metadata,
    Column("job", String, primary_key=True),
    Column("label", String, primary_key=True),
    Column("start", UtcTime, nullable=False),
    Column("end", UtcTime, nullable=False),
    # The newest ended run; NULL when the window was only checked.
    Column("run_id", BigInteger, nullable=True),
    Column("result", String, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("items", Integer, nullable=False),
    Column("seconds", Float, nullable=True),
    # From the newest check.
    Column("stale", Integer, nullable=True),
    Column("checked_at", UtcTime, nullable=True),
    Index(None, "job", "start"),
    Index(None, "job", "checked_at"),  # those that were never checked
    Index(None, "checked_at"),  # the oldest check
    partial_index("ix_ops_windows_not_fresh", "start", "job", where=text(NOT_FRESH_SQL)),
)

# What could not be processed and is left out, so that it does not hold up the rest: events, and checks of windows.
set_aside = Table(
    "ops_set_aside",
    metadata,
    Column("kind", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("reason", Text, nullable=False),
)

# The reads of a family on a UTC day, and the newest sample of what the server held of it on that day.
cache_days = Table(
    "ops_cache_days",
    metadata,
    Column("day", String, primary_key=True),
    Column("family", String, primary_key=True),
    Column("hits", BigInteger, nullable=False, server_default=text("0")),
    Column("misses", BigInteger, nullable=False, server_default=text("0")),
    Column("failed", BigInteger, nullable=False, server_default=text("0")),
    Column("keys", BigInteger, nullable=True),
    Column("bytes", BigInteger, nullable=True),
)

backfills = Table(
    "ops_backfills",
    metadata,
    Column("id", serial, primary_key=True),
    Column("state", String, nullable=False),
    Column("jobs", Json, nullable=False),
    Column("since", String, nullable=False),
    Column("until", String, nullable=False),
    Column("only", String, nullable=False),
    Column("stop_on_failure", Boolean, nullable=False),
    Column("newest_first", Boolean, nullable=False, server_default=text("false")),
    # The most windows at once; NULL for as many as each job allows.
    Column("at_once", Integer, nullable=True),
    Column("requested_by", String, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    # The newest command for it, which its runs belong to.
    Column("command_id", BigInteger, nullable=True),
    Column("started_at", UtcTime, nullable=True),
    Column("ended_at", UtcTime, nullable=True),
    Column("stop", Json, nullable=True),
    Index(None, "state"),
)

steps = Table(
    "ops_backfill_steps",
    metadata,
    Column("backfill_id", serial, ForeignKey("ops_backfills.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("job", String, nullable=False),
    Column("label", String, nullable=False),
    Column("start", UtcTime, nullable=False),
    Column("end", UtcTime, nullable=False),
    Column("reason", String, nullable=False),
    Column("stale", Integer, nullable=True),
    Column("open_run", BigInteger, nullable=True),
    Column("selection", String, nullable=False),
    Column("items", Integer, nullable=False),
    Column("seconds", Float, nullable=True),
    Column("overwrites", Boolean, nullable=False),
    Column("before", BigInteger, nullable=True),
    Column("spec", String, nullable=False),
    Column("state", String, nullable=False),
    Column("run_id", BigInteger, nullable=True),
    Index(None, "backfill_id", "state", "end"),
    Index(None, "run_id"),
)

alerts = Table(
    "ops_alerts",
    metadata,
    Column("id", serial, primary_key=True),
    Column("rule", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("worse_at", UtcTime, nullable=True),
    Column("resolved_at", UtcTime, nullable=True),
    Column("message", Text, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("job", String, nullable=True),
    Column("pack", String, nullable=True),
    Column("run_id", BigInteger, nullable=True),
    Column("cause_id", BigInteger, nullable=True),
    # How much of it there was when it fired or became worse: failed items, windows in a row.
    Column("baseline", Integer, nullable=False, server_default=text("1")),
    Column("acknowledged_by", String, nullable=True),
    Column("acknowledged_at", UtcTime, nullable=True),
    Column("acknowledged_until", UtcTime, nullable=True),
    Column("acknowledged_note", String, nullable=True),
    # A rule has one open alert for each subject.
    partial_index("uq_ops_alerts_open", "rule", "subject", unique=True, where=text("resolved_at IS NULL")),
    Index(None, "resolved_at"),
    Index(None, "rule", "subject"),
)

# Rows are kept: they explain why nothing was sent.
silences = Table(
    "ops_silences",
    metadata,
    Column("id", serial, primary_key=True),
    Column("target", String, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=True),
    Column("who", String, nullable=False),
    Column("note", String, nullable=False),
)

# The outbox: written in the transaction of the alert's change, and sent afterwards.
notifications = Table(
    "ops_notifications",
    metadata,
    Column("id", serial, primary_key=True),
    # Goes with the message, so that its receivers can recognise a duplicate.
    Column("uid", String, nullable=False, unique=True),
    Column("alert_id", serial, ForeignKey("ops_alerts.id", ondelete="CASCADE"), nullable=False),
    Column("event", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("not_before", UtcTime, nullable=True),
    Column("error", Text, nullable=True),
    Column("sent_at", UtcTime, nullable=True),
    Index(None, "state"),
    Index(None, "alert_id"),
)

# The state of every job, at regular times.
health_checks = Table(
    "ops_health_checks",
    metadata,
    Column("at", UtcTime, primary_key=True),
    Column("states", Json, nullable=False),
)

# How large each table and index was on each UTC day. `database` is "store" or "data"; the row about a table itself,
# with its indexes, has no index. `scans` counts the queries that used an index until then.
table_days = Table(
    "ops_table_days",
    metadata,
    Column("day", String, primary_key=True),
    Column("database", String, primary_key=True),
    Column("table", String, primary_key=True),
    Column("index", String, primary_key=True),
    Column("rows", BigInteger, nullable=True),
    Column("bytes", BigInteger, nullable=True),
    Column("scans", BigInteger, nullable=True),
)
