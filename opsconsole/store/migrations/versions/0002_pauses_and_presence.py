"""Pauses, presence, removed jobs, and runs that are to stop."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from opsconsole.core.column_types import Json, UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ops_pauses",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("until", UtcTime(), nullable=True),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ops_pauses")),
    )
    op.create_table(
        "ops_presence",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("face", sa.String(), nullable=False),
        sa.Column("screen", sa.String(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("seen_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_ops_presence")),
    )
    op.add_column("ops_jobs", sa.Column("removed_at", UtcTime(), nullable=True))
    op.add_column("ops_occurrences", sa.Column("started_at", UtcTime(), nullable=True))
    op.add_column("ops_runs", sa.Column("stop", Json(), nullable=True))
    op.add_column("ops_runs", sa.Column("recoveries", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("ops_commands", sa.Column("role", sa.String(), server_default="operator", nullable=False))
