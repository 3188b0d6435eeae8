"""A run records which items it selects, with or without a parent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ops_runs", sa.Column("selection", sa.String(), server_default="all", nullable=False))
    op.execute("UPDATE ops_runs SET selection = retry_of WHERE retry_of IS NOT NULL")
    op.drop_column("ops_runs", "retry_of")
