"""Indexes with which no repeated query reads a whole history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NEEDS_ATTENTION = sa.text("state IN ('partial', 'failed', 'timed_out', 'cancelled', 'abandoned')")
NOT_SUCCEEDED = sa.text("state <> 'succeeded'")
NOT_SCHEDULED = sa.text("trigger <> 'schedule'")


def upgrade() -> None:
    op.create_index(op.f("ix_ops_occurrences_state_last_due_at"), "ops_occurrences", ["state", "last_due_at"])
    op.create_index(op.f("ix_ops_runs_job_state_ended_at"), "ops_runs", ["job", "state", "ended_at"])
    op.create_index(op.f("ix_ops_runs_state_id"), "ops_runs", ["state", "id"])
    op.drop_index(op.f("ix_ops_runs_state"), "ops_runs")
    _index_lists_of_runs()


def _index_lists_of_runs() -> None:
    """By time, window, state, person and trigger; the last three only of the runs that are rare."""
    op.create_index(op.f("ix_ops_runs_created_at"), "ops_runs", ["created_at"])
    op.create_index(op.f("ix_ops_runs_window_label_created_at"), "ops_runs", ["window_label", "created_at"])
    for name, columns, condition in (
        ("ix_ops_runs_not_succeeded", ["state", "created_at"], NOT_SUCCEEDED),
        ("ix_ops_runs_job_attention", ["job", "created_at"], NEEDS_ATTENTION),
        ("ix_ops_runs_requested_by", ["requested_by", "created_at"], NOT_SCHEDULED),
        ("ix_ops_runs_trigger", ["trigger", "created_at"], NOT_SCHEDULED),
    ):
        op.create_index(name, "ops_runs", columns, sqlite_where=condition, postgresql_where=condition)
