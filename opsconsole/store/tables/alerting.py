"""Tables of alerts: their silences and notifications, and the states of jobs."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, text

from opsconsole.core.column_types import Json, UtcTime
from opsconsole.core.indexes import partial_index
from opsconsole.store.tables.schema import metadata, serial

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
