"""What is known of each window, and backfills with their steps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from opsconsole.core.column_types import Json, UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# What the runs of before have left each window in; whether their data reached the window's end is taken for granted.
WINDOWS = """
INSERT INTO ops_windows (job, label, start, "end", run_id, result, whole, items, seconds)
SELECT job, window_label, window_start, window_end, id,
       CASE WHEN state = 'succeeded' THEN 'fresh' WHEN ok > 0 THEN 'partial' ELSE 'failed' END, true, planned, NULL
FROM ops_runs
WHERE window_start < window_end
  AND id IN (SELECT max(id) FROM ops_runs WHERE ended_at IS NOT NULL GROUP BY job, window_label)
"""


def upgrade() -> None:
    op.create_table(
        "ops_windows",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("start", UtcTime(), nullable=False),
        sa.Column("end", UtcTime(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("stale", sa.Integer(), nullable=True),
        sa.Column("looked_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("job", "label", name=op.f("pk_ops_windows")),
    )
    op.create_index(op.f("ix_ops_windows_job_start"), "ops_windows", ["job", "start"])
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "ops_backfills",
        sa.Column("id", serial, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("jobs", Json(), nullable=False),
        sa.Column("since", sa.String(), nullable=False),
        sa.Column("until", sa.String(), nullable=False),
        sa.Column("only", sa.String(), nullable=False),
        sa.Column("stops", sa.Boolean(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("command_id", sa.BigInteger(), nullable=True),
        sa.Column("began_at", UtcTime(), nullable=True),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ops_backfills")),
    )
    op.create_index(op.f("ix_ops_backfills_state"), "ops_backfills", ["state"])
    op.create_table(
        "ops_backfill_steps",
        sa.Column("backfill_id", serial, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("start", UtcTime(), nullable=False),
        sa.Column("end", UtcTime(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("selection", sa.String(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("overwrites", sa.Boolean(), nullable=False),
        sa.Column("before", sa.BigInteger(), nullable=True),
        sa.Column("spec", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["backfill_id"],
            ["ops_backfills.id"],
            name=op.f("fk_ops_backfill_steps_backfill_id_ops_backfills"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("backfill_id", "seq", name=op.f("pk_ops_backfill_steps")),
    )
    op.create_index(
        op.f("ix_ops_backfill_steps_backfill_id_state_end"), "ops_backfill_steps", ["backfill_id", "state", "end"]
    )
    op.create_index(op.f("ix_ops_backfill_steps_run_id"), "ops_backfill_steps", ["run_id"])
    op.execute(WINDOWS)
