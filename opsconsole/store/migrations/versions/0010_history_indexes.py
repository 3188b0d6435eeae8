"""Indexes with which no repeated query reads a whole history."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_ops_occurrences_state_last_due_at"), "ops_occurrences", ["state", "last_due_at"])
    op.create_index(op.f("ix_ops_runs_job_state_ended_at"), "ops_runs", ["job", "state", "ended_at"])
    op.create_index(op.f("ix_ops_runs_state_id"), "ops_runs", ["state", "id"])
    op.drop_index(op.f("ix_ops_runs_state"), "ops_runs")
