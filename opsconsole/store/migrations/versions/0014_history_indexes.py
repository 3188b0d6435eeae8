"""Indexes of the newest scheduled times of all jobs, of rows with several times, and of success rates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ENDED = sa.text("ended_at IS NOT NULL")
RANGES = sa.text("instants > 1")


def upgrade() -> None:
    op.create_index(op.f("ix_ops_occurrences_due_at_id"), "ops_occurrences", ["due_at", "id"])
    op.create_index(
        "ix_ops_occurrences_ranges", "ops_occurrences", ["last_due_at"], sqlite_where=RANGES, postgresql_where=RANGES
    )
    columns = ["ended_at", "job", "ok", "failed"]
    op.create_index("ix_ops_runs_ended", "ops_runs", columns, sqlite_where=ENDED, postgresql_where=ENDED)
    op.drop_index(op.f("ix_ops_runs_ended_at"), "ops_runs")
