"""Tables of jobs: their schedules, pauses, scheduled times, windows and backfills."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)

from opsconsole.core.column_types import Json, UtcTime
from opsconsole.core.indexes import partial_index
from opsconsole.store.tables.schema import metadata, serial

NOT_FRESH_SQL = "(result <> 'fresh' OR stale > 0 OR NOT complete)"
"""The condition of a partial index on windows. A query has to contain it in the same words."""
RANGE_SQL = "instants > 1"
"""The condition of a partial index on occurrences, and of the queries that use it: a row of several times."""

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
