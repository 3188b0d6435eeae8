"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from opsconsole.core.column_types import Json, UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ops_audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("command_id", sa.BigInteger(), nullable=True),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("before", Json(), nullable=True),
        sa.Column("after", Json(), nullable=True),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ops_audit")),
        sa.UniqueConstraint("hash", name=op.f("uq_ops_audit_hash")),
        sa.UniqueConstraint("previous", name=op.f("uq_ops_audit_previous")),
    )
    op.create_table(
        "ops_commands",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("arguments", Json(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_from", sa.String(), nullable=False),
        sa.Column("asked_at", UtcTime(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("outcome", Json(), nullable=True),
        sa.Column("done_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ops_commands")),
    )
    with op.batch_alter_table("ops_commands", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ops_commands_state"), ["state"], unique=False)

    op.create_table(
        "ops_jobs",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("spec", sa.String(), nullable=False),
        sa.Column("cron", sa.String(), nullable=False),
        sa.Column("tz", sa.String(), nullable=False),
        sa.Column("registered_at", UtcTime(), nullable=False),
        sa.Column("planned_until", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_ops_jobs")),
    )
    op.create_table(
        "ops_lease",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("host", sa.String(), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("pid_started", sa.String(), nullable=True),
        sa.Column("boot", sa.String(), nullable=True),
        sa.Column("who", sa.String(), nullable=True),
        sa.Column("since", UtcTime(), nullable=True),
        sa.Column("renewed_at", UtcTime(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_ops_lease_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ops_lease")),
        sa.UniqueConstraint("token", name=op.f("uq_ops_lease_token")),
    )
    op.create_table(
        "ops_occurrences",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("due_at", UtcTime(), nullable=False),
        sa.Column("last_due_at", UtcTime(), nullable=False),
        sa.Column("instants", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("blocked_by", sa.BigInteger(), nullable=True),
        sa.Column("spec", sa.String(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ops_occurrences")),
        sa.UniqueConstraint("job", "due_at", name=op.f("uq_ops_occurrences_job_due_at")),
    )
    op.create_table(
        "ops_runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("window_label", sa.String(), nullable=False),
        sa.Column("window_start", UtcTime(), nullable=False),
        sa.Column("window_end", UtcTime(), nullable=False),
        sa.Column("as_of", UtcTime(), nullable=False),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("occurrence_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("parent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("retry_of", sa.String(), nullable=True),
        sa.Column("command_id", sa.BigInteger(), nullable=True),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("spec", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=True),
        sa.Column("host", sa.String(), nullable=True),
        sa.Column("version", sa.String(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("started_at", UtcTime(), nullable=True),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.Column("planning_done", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("batches", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("batches_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("planned", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("ok", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("skipped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("not_reached", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("facts", Json(), nullable=False),
        sa.Column("parameters", Json(), nullable=False),
        sa.Column("kinds", Json(), nullable=False),
        sa.Column("metrics", Json(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("log_lines", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["occurrence_id"], ["ops_occurrences.id"], name=op.f("fk_ops_runs_occurrence_id")),
        sa.ForeignKeyConstraint(["parent_id"], ["ops_runs.id"], name=op.f("fk_ops_runs_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ops_runs")),
        sa.UniqueConstraint("occurrence_id", name=op.f("uq_ops_runs_occurrence_id")),
    )
    with op.batch_alter_table("ops_runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ops_runs_ended_at"), ["ended_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_ops_runs_job_created_at"), ["job", "created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_ops_runs_parent_id"), ["parent_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_ops_runs_state"), ["state"], unique=False)

    op.create_table(
        "ops_batches",
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("not_before", UtcTime(), nullable=True),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("keys", Json(), nullable=False),
        sa.Column("ok", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("skipped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed_keys", Json(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("started_at", UtcTime(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["ops_runs.id"], name=op.f("fk_ops_batches_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "seq", name=op.f("pk_ops_batches")),
    )
    with op.batch_alter_table("ops_batches", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ops_batches_run_id_state"), ["run_id", "state"], unique=False)

    op.create_table(
        "ops_failures",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["ops_runs.id"], name=op.f("fk_ops_failures_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ops_failures")),
    )
    with op.batch_alter_table("ops_failures", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ops_failures_run_id"), ["run_id"], unique=False)

    op.create_table(
        "ops_log",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["ops_runs.id"], name=op.f("fk_ops_log_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ops_log")),
    )
    with op.batch_alter_table("ops_log", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ops_log_run_id"), ["run_id"], unique=False)

    _make_the_trail_append_only()


def _make_the_trail_append_only() -> None:
    """The audit trail only grows: the database itself refuses to change or remove a row."""
    if op.get_bind().dialect.name == "sqlite":
        for what in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER ops_audit_no_{what.lower()} BEFORE {what} ON ops_audit "
                "BEGIN SELECT RAISE(ABORT, 'ops_audit only grows'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION ops_audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'ops_audit only grows'; END $$"
    )
    op.execute(
        "CREATE TRIGGER ops_audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON ops_audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION ops_audit_only_grows()"
    )
