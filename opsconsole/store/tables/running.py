"""Tables of runs: their batches, failures and logs."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text, text

from opsconsole.core.column_types import Json, UtcTime
from opsconsole.core.indexes import partial_index
from opsconsole.store.tables.schema import metadata, serial

NEEDS_ATTENTION_SQL = "state IN ('partial', 'failed', 'timed_out', 'cancelled', 'abandoned')"
NOT_SUCCEEDED_SQL = "state <> 'succeeded'"
NOT_SCHEDULED_SQL = "trigger <> 'schedule'"
ENDED_SQL = "ended_at IS NOT NULL"
"""Conditions of partial indexes on runs."""

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
