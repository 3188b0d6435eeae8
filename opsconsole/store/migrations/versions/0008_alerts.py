"""Alerts, silences, notifications, recorded health and the sizes of tables by day; the newest runs of a job."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from opsconsole.core.column_types import Json, UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
is_open = sa.text("resolved_at IS NULL")


def upgrade() -> None:
    op.create_index(op.f("ix_ops_runs_job_id"), "ops_runs", ["job", "id"])
    op.create_table(
        "ops_alerts",
        sa.Column("id", serial, nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("opened_at", UtcTime(), nullable=False),
        sa.Column("worse_at", UtcTime(), nullable=True),
        sa.Column("resolved_at", UtcTime(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("evidence", Json(), nullable=False),
        sa.Column("job", sa.String(), nullable=True),
        sa.Column("pack", sa.String(), nullable=True),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("cause_id", sa.BigInteger(), nullable=True),
        sa.Column("baseline", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
        sa.Column("acknowledged_at", UtcTime(), nullable=True),
        sa.Column("acknowledged_until", UtcTime(), nullable=True),
        sa.Column("acknowledged_note", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ops_alerts")),
    )
    op.create_index(
        "uq_ops_alerts_open",
        "ops_alerts",
        ["rule", "subject"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_index(op.f("ix_ops_alerts_resolved_at"), "ops_alerts", ["resolved_at"])
    op.create_index(op.f("ix_ops_alerts_rule_subject"), "ops_alerts", ["rule", "subject"])
    op.create_table(
        "ops_silences",
        sa.Column("id", serial, nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("until", UtcTime(), nullable=True),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ops_silences")),
    )
    op.create_table(
        "ops_notifications",
        sa.Column("id", serial, nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("alert_id", serial, nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("not_before", UtcTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("sent_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["ops_alerts.id"], name=op.f("fk_ops_notifications_alert_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ops_notifications")),
        sa.UniqueConstraint("uid", name=op.f("uq_ops_notifications_uid")),
    )
    op.create_index(op.f("ix_ops_notifications_state"), "ops_notifications", ["state"])
    op.create_index(op.f("ix_ops_notifications_alert_id"), "ops_notifications", ["alert_id"])
    op.create_table(
        "ops_health_checks",
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("states", Json(), nullable=False),
        sa.PrimaryKeyConstraint("at", name=op.f("pk_ops_health_checks")),
    )
    op.create_table(
        "ops_table_days",
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("database", sa.String(), nullable=False),
        sa.Column("table", sa.String(), nullable=False),
        sa.Column("index", sa.String(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("scans", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("day", "database", "table", "index", name=op.f("pk_ops_table_days")),
    )
