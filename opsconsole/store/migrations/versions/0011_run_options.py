"""Jitter of scheduled times, parameters of runs, the order of backfills, and schedules that operators changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from opsconsole.core.column_types import Json, UtcTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "ops_occurrences", sa.Column("shift_seconds", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    op.add_column("ops_runs", sa.Column("params", Json(), nullable=True))
    op.add_column(
        "ops_backfills", sa.Column("newest_first", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )
    op.add_column("ops_backfills", sa.Column("at_once", sa.Integer(), nullable=True))
    op.create_table(
        "ops_schedules",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("cron", sa.String(), nullable=False),
        sa.Column("tz", sa.String(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("base_cron", sa.String(), nullable=True),
        sa.Column("base_tz", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_ops_schedules")),
    )
