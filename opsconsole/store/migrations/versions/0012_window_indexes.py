"""Indexes of the windows that are not up to date, and of the oldest checks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

NOT_FRESH = sa.text("(result <> 'fresh' OR stale > 0 OR NOT complete)")


def upgrade() -> None:
    op.create_index(op.f("ix_ops_windows_job_checked_at"), "ops_windows", ["job", "checked_at"])
    op.create_index(op.f("ix_ops_windows_checked_at"), "ops_windows", ["checked_at"])
    op.create_index(
        "ix_ops_windows_not_fresh",
        "ops_windows",
        ["start", "job"],
        sqlite_where=NOT_FRESH,
        postgresql_where=NOT_FRESH,
    )
