"""What the retention removes: the keys of runs, and the beginning of the audit trail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ops_runs", sa.Column("keys_removed", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_table(
        "ops_audit_start",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_ops_audit_start_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ops_audit_start")),
    )
    if op.get_bind().dialect.name == "sqlite":
        _open_the_trail_on_sqlite()
    else:
        _open_the_trail_on_postgresql()


def _open_the_trail_on_sqlite() -> None:
    """Rows can be removed from the beginning only: up to the one in ops_audit_start, which moves forward to a row that
    exists, with its hash.
    """
    op.execute("DROP TRIGGER ops_audit_no_delete")
    op.execute(
        "CREATE TRIGGER ops_audit_no_delete BEFORE DELETE ON ops_audit "
        "WHEN OLD.id > COALESCE((SELECT row FROM ops_audit_start), 0) "
        "BEGIN SELECT RAISE(ABORT, 'ops_audit only grows'); END"
    )
    op.execute(
        "CREATE TRIGGER ops_audit_start_insert BEFORE INSERT ON ops_audit_start "
        "WHEN NEW.hash IS NOT (SELECT hash FROM ops_audit WHERE id = NEW.row) "
        "BEGIN SELECT RAISE(ABORT, 'ops_audit_start only moves forward'); END"
    )
    op.execute(
        "CREATE TRIGGER ops_audit_start_update BEFORE UPDATE ON ops_audit_start "
        "WHEN NEW.row <= OLD.row OR NEW.hash IS NOT (SELECT hash FROM ops_audit WHERE id = NEW.row) "
        "BEGIN SELECT RAISE(ABORT, 'ops_audit_start only moves forward'); END"
    )
    op.execute(
        "CREATE TRIGGER ops_audit_start_no_delete BEFORE DELETE ON ops_audit_start "
        "BEGIN SELECT RAISE(ABORT, 'ops_audit_start only moves forward'); END"
    )


def _open_the_trail_on_postgresql() -> None:
    op.execute("DROP TRIGGER ops_audit_only_grows ON ops_audit")
    op.execute(
        "CREATE TRIGGER ops_audit_only_grows BEFORE UPDATE OR TRUNCATE ON ops_audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION ops_audit_only_grows()"
    )
    op.execute(
        "CREATE FUNCTION ops_audit_starts_later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF OLD.id > COALESCE((SELECT s.row FROM ops_audit_start s), 0) THEN "
        "RAISE EXCEPTION 'ops_audit only grows'; END IF; RETURN OLD; END $$"
    )
    op.execute(
        "CREATE TRIGGER ops_audit_starts_later BEFORE DELETE ON ops_audit "
        "FOR EACH ROW EXECUTE FUNCTION ops_audit_starts_later()"
    )
    op.execute(
        "CREATE FUNCTION ops_audit_start_moves_forward() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF TG_OP IN ('DELETE', 'TRUNCATE') THEN RAISE EXCEPTION 'ops_audit_start only moves forward'; END IF; "
        "IF NEW.hash IS DISTINCT FROM (SELECT a.hash FROM ops_audit a WHERE a.id = NEW.row) "
        "THEN RAISE EXCEPTION 'ops_audit_start only moves forward'; END IF; "
        "IF TG_OP = 'UPDATE' THEN IF NEW.row <= OLD.row "
        "THEN RAISE EXCEPTION 'ops_audit_start only moves forward'; END IF; END IF; "
        "RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER ops_audit_start_moves_forward BEFORE INSERT OR UPDATE OR DELETE ON ops_audit_start "
        "FOR EACH ROW EXECUTE FUNCTION ops_audit_start_moves_forward()"
    )
    op.execute(
        "CREATE TRIGGER ops_audit_start_is_kept BEFORE TRUNCATE ON ops_audit_start "
        "FOR EACH STATEMENT EXECUTE FUNCTION ops_audit_start_moves_forward()"
    )
